"""A page that sets databases beside each other, made from their reports and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from dataflow_core.conformance.outcome import Outcome
from dataflow_core.features import FEATURES

__all__ = ["parity_tables"]

_VERSIONS: Final = ("server", "dialect", "driver", "python", "core", "suite")


def parity_tables(reports: Sequence[Mapping[str, Any]]) -> str:
    """The versions, and a row for each feature with a column for each report, in Markdown.

    Parameters:
        reports: as ``read_report`` gives them, in the order of the columns.
    """
    titles = _titles(reports)
    versions = [
        [name, *(str(report["versions"].get(name, "")) for report in reports)] for name in _VERSIONS
    ]
    versions.append(["tier reached", *(_tier(report) for report in reports)])
    versions.append(["cases", *(_totals(report) for report in reports)])
    lines = [{line["feature"]: line for line in report["features"]} for report in reports]
    names = [
        *FEATURES,
        *dict.fromkeys(name for one in lines for name in one if name not in FEATURES),
    ]
    features = [
        [f"`{name}`", _tier_of(name), *(_cell(one.get(name)) for one in lines)] for name in names
    ]
    return "\n\n".join(
        (
            _table(("", *titles), versions),
            _table(("feature", "tier", *titles), features),
        )
    )


def _titles(reports: Sequence[Mapping[str, Any]]) -> list[str]:
    """The product's name; with a number where two reports are of one product."""
    names = [str(report["versions"].get("server", "")).rpartition(" ")[0] for report in reports]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: at + 1].count(name)})"
        for at, name in enumerate(names)
    ]


def _tier(report: Mapping[str, Any]) -> str:
    return report["tier"] or "none" if report["complete"] else "not told: a part of the suite"


def _totals(report: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in report["counts"].items())
    return f"{report['total']}: {counts}"


def _tier_of(name: str) -> str:
    info = FEATURES.get(name)
    return info.tier if info is not None else ""


def _cell(line: Mapping[str, Any] | None) -> str:
    if line is None:
        return "not run"
    level = str(line["level"]).replace("_", " ")
    text = f"{level}: {line['reason']}" if line["reason"] and level != "full" else level
    outcome = line["outcome"]
    if outcome is None:
        return f"{text}, not tested" if level == "full" else text
    bad = Outcome(outcome).bad
    return f"{text}, {line['passed']}/{line['total']}" + (f" **{outcome}**" if bad else "")


def _table(header: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    columns = list(header)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
        for line in lines
    )
