"""All errors in order, and the page that describes them."""

from __future__ import annotations

from dataflow_core.errors import (
    configuration,
    constraints,
    database,
    execution,
    features,
    language,
    models,
    parameters,
    policies,
    records,
    schema,
    workflow,
)
from dataflow_core.errors.base import DataFlowError

_MODULES = (
    parameters,
    workflow,
    schema,
    configuration,
    execution,
    database,
    models,
    policies,
    records,
    constraints,
    language,
    features,
)
_GROUPS = {
    "1": "Parameters",
    "2": "Workflows",
    "3": "Schema",
    "4": "Configuration",
    "5": "Running and the database",
    "6": "Models",
    "7": "Records and constraints",
    "8": "Query language",
    "9": "Features",
}
_INTRODUCTION = """\
# Errors

Every error that DataFlow raises on purpose is a `DataFlowError` and has a code that never changes
its meaning. `str(error)` is made for a terminal, `error.to_dict()` for JSON. Both leave out
passwords and the values of rows.

Each error has `code`, `message`, `context`, `causes`, `solutions`, `suggestion` (the nearest right
name, where there is one) and `docs`. `outcome` of a failed write is `"not done"`, `"done"` or
`"unknown"`. `retryable` tells whether the same call may succeed when it is made again; make a
write again only where its outcome is `"not done"`.

The snippets assume an instance `db`, a model `User`, a builder `workflow` and a `runtime`.
"""
# Each answers another situation, so they make no program when they run one after the other.
_NOT_RUN = "<!-- no-run: belongs to the situation of its error -->"


def all_errors() -> tuple[type[DataFlowError], ...]:
    """Return every class that has a code of its own, sorted by code."""
    found = {
        item
        for module in _MODULES
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, DataFlowError) and "code" in vars(item)
    }
    return tuple(sorted(found - {DataFlowError}, key=lambda kind: kind.code))


def reference() -> str:
    """Return the page `docs/reference/errors.md` as Markdown."""
    errors = all_errors()
    parts = [_INTRODUCTION, _table(errors)]
    group = ""
    for kind in errors:
        if kind.code[3] != group:
            group = kind.code[3]
            parts.append(f"## DF-{group}xx: {_GROUPS[group]}\n")
        parts.append(_section(kind))
    return "\n".join(parts)


def _table(errors: tuple[type[DataFlowError], ...]) -> str:
    lines = ["| code | class | meaning | retryable |", "| --- | --- | --- | --- |"]
    lines.extend(
        f"| [{kind.code}](#{kind.code.lower()}) | `{kind.__name__}` | {kind.title} "
        f"| {'yes' if kind.retryable else 'no'} |"
        for kind in errors
    )
    return "\n".join(lines) + "\n"


def _section(kind: type[DataFlowError]) -> str:
    bases = ", ".join(f"`{base.__name__}`" for base in kind.__bases__)
    summary = (kind.__doc__ or "").partition("\n")[0].strip()
    lines = [f"### {kind.code}", "", f"**`{kind.__name__}`** (a {bases}). {summary}", ""]
    lines.append("Causes:")
    lines.append("")
    lines.extend(f"- {cause}" for cause in kind.causes)
    lines.append("")
    for solution in kind.solutions:
        lines.extend([solution.text, ""])
        if solution.language == "python":
            lines.append(_NOT_RUN)
        language = "bash" if solution.language == "shell" else "python"
        lines.extend([f"```{language}", solution.snippet, "```", ""])
    return "\n".join(lines)
