"""Writes the tables of the reference pages from the code, and those of figures from their files.

    python docs/generate.py

A table stands between `<!-- generated: name -->` and `<!-- end -->`. What the code cannot say, one
line for each operator, stands in `descriptions.toml`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

DOCS = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(DOCS.parent))

from benchmarks.report import page_parts  # noqa: E402 - run as a program, too
from dataflow_core.aggregate.parse import STAGES  # noqa: E402
from dataflow_core.aggregate.parse_group import ACCUMULATORS  # noqa: E402
from dataflow_core.app.unavailable import UNAVAILABLE  # noqa: E402
from dataflow_core.compile import BaseCompiler, Codec  # noqa: E402
from dataflow_core.conformance.parity import parity_tables  # noqa: E402
from dataflow_core.conformance.random_models import CHANGES  # noqa: E402
from dataflow_core.conformance.saved_report import read_report  # noqa: E402
from dataflow_core.contract import (  # noqa: E402
    ChangeRecorder,
    ChangeScope,
    Connection,
    DialectSpec,
    Driver,
    Ended,
    Failure,
    LoadingConnection,
    MigrationGuard,
    ModelAccess,
    ModelPolicy,
    NodeKind,
    NodeRun,
    ObservedDatabase,
    Observer,
    PipeliningConnection,
    PluginSettings,
    RowChange,
    RowChanges,
    RowSecuringConnection,
    SchemaReader,
    StatementRun,
    TwoPhaseConnection,
    WorkflowRun,
    hookspecs,
)
from dataflow_core.dialect import (  # noqa: E402
    BaseDDLCompiler,
    BaseDialect,
    ErrorRule,
    SyncDriver,
)
from dataflow_core.expressions.functions import FUNCTIONS, TRUNCATION_UNITS  # noqa: E402
from dataflow_core.features import FEATURES  # noqa: E402
from dataflow_core.filters.leaves import LEAVES, ONLY_WITH  # noqa: E402
from dataflow_core.limits import Limits  # noqa: E402
from dataflow_core.nodes.kinds import FILE_KINDS, KINDS, RESERVED_NAMES  # noqa: E402
from dataflow_core.nodes.values import POLICY_PARAMETERS  # noqa: E402
from dataflow_core.operations import MigrationFinding, SchemaPlan, TableChange  # noqa: E402
from dataflow_core.schema.annotations import SUPPORTED  # noqa: E402
from dataflow_core.schema.checks import CHECKS  # noqa: E402
from dataflow_core.schema.declare import CORE_OPTIONS, field  # noqa: E402
from dataflow_core.schema.naming import PLURALS  # noqa: E402
from dataflow_core.settings import Settings  # noqa: E402
from dataflow_core.updates.parse import OPERATORS  # noqa: E402
from dataflow_mysql.plugin import dataflow_dialect as mysql  # noqa: E402
from dataflow_postgres.plugin import dataflow_dialect as postgres  # noqa: E402
from dataflow_sqlite.plugin import dataflow_dialect as sqlite  # noqa: E402

PARITY = DOCS / "reference" / "parity"
"""Summaries of runs of the conformance suite, a file for each database."""

DESCRIPTIONS: dict[str, dict[str, Any]] = tomllib.loads(
    (DOCS / "descriptions.toml").read_text(encoding="utf-8")
)

PUBLIC: dict[str, Any] = tomllib.loads((DOCS / "public.toml").read_text(encoding="utf-8"))
"""The modules that a plugin may import from."""

# Operators of filters that the parser knows beside those under a field.
LOGIC = ("$not", "$and", "$or", "$nor", "$elemMatch", "$expr", "$comment")

WORDS: dict[str, tuple[str, ...]] = {
    "filters": (*LEAVES, *ONLY_WITH, *LOGIC),
    "updates": tuple(OPERATORS),
    "stages": (*STAGES, "$sortByCount"),
    "accumulators": tuple(ACCUMULATORS),
    "functions": tuple(f"${name}" for name in FUNCTIONS),
    "annotations": tuple(SUPPORTED.split(", ")),
    "options": CORE_OPTIONS,
    "checks": tuple(CHECKS),
    "parameters": tuple(
        dict.fromkeys(
            name
            for kind in (*KINDS, *FILE_KINDS)
            for name in kind.parameters
            if name not in POLICY_PARAMETERS
        )
    ),
    "outputs": tuple(
        dict.fromkeys(name for kind in (*KINDS, *FILE_KINDS) for name in kind.outputs)
    ),
}
"""The words that the code knows, by the table of `descriptions.toml` that has a line for each."""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar inside a cell is written so that it does not end the cell."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def code(text: object) -> str:
    """Text as code; nothing stays nothing."""
    return f"`{text}`" if str(text) else ""


def described(name: str, columns: Sequence[str]) -> str:
    """A table of the words of one kind with example and description, in the order of the file."""
    return table(
        columns,
        ([code(word), code(example), text] for word, (example, text) in DESCRIPTIONS[name].items()),
    )


def plain(name: str, columns: Sequence[str]) -> str:
    """A table of the words of one kind with what is said of them."""
    return table(
        columns,
        (
            [code(word), *([text] if isinstance(text, str) else text)]
            for word, text in DESCRIPTIONS[name].items()
        ),
    )


def markdown(text: str) -> str:
    """Text of a docstring as Markdown."""
    return text.replace("``", "`")


def documented(docstring: str | None, heading: str) -> dict[str, str]:
    """The names that a section of a docstring explains: `name: text`, `one, two: text`."""
    section = inspect.cleandoc(docstring or "").partition(f"{heading}:\n")[2]
    section = section.split("\n\n")[0]
    entries = re.findall(r"^    (\w[\w, ]*): (.*(?:\n      .*)*)", section, re.MULTILINE)
    return {
        name: markdown(" ".join(text.split()))
        for names, text in entries
        for name in names.replace(",", " ").split()
    }


def field_arguments() -> str:
    """The arguments of `field(...)`, with defaults, from its signature and docstring."""
    texts = documented(field.__doc__, "Parameters")
    parameters = inspect.signature(field).parameters.values()
    return table(
        ("argument", "default", "meaning"),
        ([code(p.name), _default(p.default), texts.get(p.name, "")] for p in parameters),
    )


def _default(value: Any) -> str:
    return "" if type(value).__name__ == "_Missing" else code(repr(value).replace("'", '"'))


def attributes_of(cls: type, columns: Sequence[str]) -> str:
    """The attributes of a settings class, with defaults, from the class and its docstring."""
    texts = documented(cls.__doc__, "Attributes")
    rows = []
    for attribute in cls.__attrs_attrs__:  # type: ignore[attr-defined]
        if attribute.name in ("databases", "dialect_options", "given"):
            continue
        default = attribute.default
        value = code(repr(default).replace("'", '"'))
        if isinstance(default, Limits):
            value = "[these](filters.md#limits)"
        text = texts.get(attribute.name, "")
        if attribute.name in UNAVAILABLE:
            text += f" Refused without a plugin for it: {UNAVAILABLE[attribute.name]}."
        rows.append([code(attribute.name), value, text])
    return table(columns, rows)


def plural_rules() -> str:
    """How the name of a class becomes the name of its table."""
    rows = []
    for ending, plural, example in PLURALS:
        rows.append([f"`-{ending}`" if ending else "any other", f"`-{plural}`", example])
    return table(("a word that ends in", "ends then in", "example"), rows)


def nodes() -> str:
    """Each node with its parameters and outputs."""
    rows = []
    for kind in (*KINDS, *FILE_KINDS):
        taken = [code(name) for name in kind.parameters if name not in POLICY_PARAMETERS]
        if kind.keys_in:
            taken.insert(0, "the key")
        if kind.fields_in:
            taken.insert(0, "the fields")
        given = [code(name) for name in kind.outputs]
        if kind.fields_out:
            given.insert(0, "the fields")
        name = code(f"User{kind.suffix}Node")
        rows.append([name, kind.description, ", ".join(taken), ", ".join(given)])
    return table(("node", "what it does", "parameters", "results"), rows)


def later() -> str:
    """Parameters that are known but refused as yet."""
    return table(
        ("parameter", "why"), ([code(name), reason] for name, reason in POLICY_PARAMETERS.items())
    )


def hooks() -> str:
    """The hooks with their arguments and what they are for."""
    found = [
        (name, function)
        for name, function in vars(hookspecs).items()
        if name.startswith("dataflow_") and inspect.isfunction(function)
    ]
    parts = []
    for name, function in found:
        signature = str(inspect.signature(function)).replace("'", "")
        parts.append(
            f"### `{name}`\n\n    {name}{signature}\n\n{markdown(inspect.getdoc(function) or '')}"
        )
    return "\n\n".join(parts)


def schema_changes() -> str:
    """What can change of a model, and the steps that it takes."""
    rows = [[what, ", ".join(code(step) for step in steps)] for what, (steps, _) in CHANGES.items()]
    return table(("what changes", "steps"), rows)


def features() -> str:
    """The features with their tier, and how each dialect declares them."""
    dialects = {"PostgreSQL": postgres, "MySQL, MariaDB": mysql, "SQLite": sqlite}
    declared = [declare().load().features for declare in dialects.values()]
    rows = []
    for feature in FEATURES.values():
        said = [levels[feature.id] for levels in declared]
        rows.append(
            [code(feature.id), feature.tier, feature.description]
            + [
                level.level.replace("_", " ") + (f": {level.reason}" if level.reason else "")
                for level in said
            ]
        )
    return table(("feature", "tier", "what it is", *dialects), rows)


def parity() -> str:
    """The databases beside each other, from what was measured on each."""
    return parity_tables([read_report(path) for path in sorted(PARITY.glob("*.json"))])


def dialect_options(declare: Callable[[], DialectSpec]) -> str:
    """The options of a dialect."""
    return table(
        ("option", "type", "meaning"),
        ([code(o.name), code(_type_name(o.kind)), o.description] for o in declare().options),
    )


_LONGEST_DEFAULT = 50


def members(cls: type) -> str:
    """What a base class lets be replaced: its public attributes and methods, with their docs."""
    (tree,) = ast.parse(inspect.getsource(cls)).body
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    rows = []
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            said = after.value if isinstance(after, ast.Expr) else None
            text = str(said.value) if isinstance(said, ast.Constant) else ""
            default = "" if node.value is None else f" = {ast.unparse(node.value)}"
            default = default if len(default) < _LONGEST_DEFAULT else ""
            name, shown = node.target.id, f"{node.target.id}{default}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node) or ""
            name = node.name
            word = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
            property_ = any(ast.unparse(item) == "property" for item in node.decorator_list)
            names = [argument.arg for argument in node.args.args[1:]]
            names += [f"{argument.arg}=" for argument in node.args.kwonlyargs]
            shown = name if property_ else f"{word}{name}({', '.join(names)})"
        else:
            continue
        if not name.startswith("_"):
            rows.append([code(shown), markdown(" ".join(text.split("\n\n")[0].split()))])
    return table(("member", "what it is"), rows)


def fields_of(cls: type) -> str:
    """The fields of a value, with defaults, from the class and its docstring."""
    texts = documented(cls.__doc__, "Attributes")
    rows = []
    for item in attrs.fields(cls):
        default = "" if item.default is attrs.NOTHING else f" = {item.default!r}"
        rows.append([code(f"{item.name}{default}"), texts.get(item.name, "")])
    return table(("field", "what it is"), rows)


def public_modules() -> str:
    """The modules of the core that a plugin may import from."""
    return table(("module", "holds"), ([code(name), text] for name, text in PUBLIC["core"].items()))


def relatives() -> str:
    """What each first-party dialect publishes for relatives, by module."""
    rows = []
    for package in PUBLIC["relatives"]["packages"]:
        for name in PUBLIC["relatives"]["modules"]:
            module = importlib.import_module(f"{package}.{name}")
            rows += [
                [code(module.__name__), code(public), _summary(module, public)]
                for public in module.__all__
                if not public.startswith("dataflow_")
            ]
    return table(("module", "name", "what it is"), rows)


def _summary(module: ModuleType, name: str) -> str:
    """The first sentence about a public name: of its docstring, or of the text behind it."""
    value = getattr(module, name)
    text = inspect.getdoc(value) if callable(value) else None
    if text is None:
        body = ast.parse(inspect.getsource(module)).body
        for node, after in zip(body, [*body[1:], None], strict=True):
            named = isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name
            if named and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                text = str(after.value.value)
    return markdown(" ".join((text or "").split("\n\n")[0].split()))


def _type_name(kind: Any) -> str:
    return " | ".join(item.__name__ for item in (kind if isinstance(kind, tuple) else (kind,)))


GENERATED: dict[str, Callable[[], str]] = {
    "filters": lambda: described("filters", ("operator", "example", "true of rows where")),
    "updates": lambda: described("updates", ("operator", "example", "what it does")),
    "stages": lambda: described("stages", ("stage", "example", "what it does")),
    "accumulators": lambda: plain("accumulators", ("accumulator", "gives", "of no values")),
    "functions": lambda: described("functions", ("function", "example", "gives")),
    "date units": lambda: ", ".join(code(unit) for unit in TRUNCATION_UNITS),
    "annotations": lambda: plain("annotations", ("annotation", "what is stored", "sizes")),
    "options": lambda: plain("options", ("option", "meaning")),
    "parameters": lambda: plain("parameters", ("parameter", "meaning")),
    "outputs": lambda: plain("outputs", ("result", "meaning")),
    "nodes": nodes,
    "later parameters": later,
    "checks": lambda: plain("checks", ("check", "reports that")),
    "reserved names": lambda: ", ".join(code(name) for name in sorted(RESERVED_NAMES)),
    "field": field_arguments,
    "plurals": plural_rules,
    "hooks": hooks,
    "features": features,
    "schema changes": schema_changes,
    "parity": parity,
    "limits": lambda: attributes_of(Limits, ("limit", "default", "meaning")),
    "settings": lambda: attributes_of(Settings, ("argument", "default", "meaning")),
    "postgres options": lambda: dialect_options(postgres),
    "mysql options": lambda: dialect_options(mysql),
    "sqlite options": lambda: dialect_options(sqlite),
    "dialect class": lambda: members(BaseDialect),
    "compiler class": lambda: members(BaseCompiler),
    "ddl class": lambda: members(BaseDDLCompiler),
    "sync driver class": lambda: members(SyncDriver),
    **page_parts(),
    "driver protocol": lambda: members(Driver),
    "connection protocol": lambda: members(Connection),
    "loading connection protocol": lambda: members(LoadingConnection),
    "pipelining connection protocol": lambda: members(PipeliningConnection),
    "row securing connection protocol": lambda: members(RowSecuringConnection),
    "two phase connection protocol": lambda: members(TwoPhaseConnection),
    "migration guard": lambda: members(MigrationGuard),
    "schema reader": lambda: members(SchemaReader),
    "schema plan": lambda: fields_of(SchemaPlan),
    "table change": lambda: fields_of(TableChange),
    "migration finding": lambda: fields_of(MigrationFinding),
    "observer": lambda: members(Observer),
    "workflow run": lambda: fields_of(WorkflowRun),
    "node run": lambda: fields_of(NodeRun),
    "statement run": lambda: fields_of(StatementRun),
    "ended": lambda: fields_of(Ended),
    "failure": lambda: fields_of(Failure),
    "observed database": lambda: fields_of(ObservedDatabase),
    "plugin settings": lambda: fields_of(PluginSettings),
    "model policy": lambda: fields_of(ModelPolicy),
    "change recorder": lambda: members(ChangeRecorder),
    "change scope": lambda: members(ChangeScope),
    "row changes": lambda: fields_of(RowChanges),
    "row change": lambda: fields_of(RowChange),
    "node kind": lambda: fields_of(NodeKind),
    "model access": lambda: members(ModelAccess),
    "dialect spec": lambda: fields_of(DialectSpec),
    "error rule": lambda: fields_of(ErrorRule),
    "codec": lambda: fields_of(Codec),
    "public modules": public_modules,
    "relatives": relatives,
}
"""What can stand between two markers, by the name in the marker."""

_MARKED = re.compile(
    r"(?P<start><!-- generated: (?P<name>[\w ]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)


def rendered(page: str) -> str:
    """The text of a page with every generated part as the code has it now.

    Raises KeyError for a marker whose name is unknown.
    """
    return _MARKED.sub(
        lambda found: f"{found['start']}\n{GENERATED[found['name']]()}\n\n{found['end']}", page
    )


def names(page: str) -> list[str]:
    """The names of the generated parts of a page."""
    return [found["name"] for found in _MARKED.finditer(page)]


def pages() -> list[Path]:
    """The pages of the documentation."""
    return [DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md"))]


def main() -> None:
    """Write every page anew that differs from the code."""
    for page in pages():
        old = page.read_text(encoding="utf-8")
        new = rendered(old)
        if new != old:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
