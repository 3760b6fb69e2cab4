"""The figures as a table for people, as JSON for programs, and as a part of the documentation."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import sqlite3
import statistics
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

from benchmarks.rounds import Measured, Ratio
from benchmarks.startup import StartupFigures
from benchmarks.workflows import NODES, WorkflowFigures

__all__ = [
    "PAGE",
    "Bar",
    "Report",
    "environment",
    "figures_json",
    "markdown",
    "plain",
    "write_page",
]

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "explanation" / "speed.md"
_PART: Final = re.compile(r"(<!-- benchmark -->\n).*?(<!-- end -->)", re.DOTALL)

MOST_ADDED: Final = 1.5
LEAST_NODES: Final = 20_000
MOST_IMPORT: Final = 1.5
MOST_FIRST_ROW: Final = 500.0


@frozen
class Report:
    """Everything that was measured; ``None`` where it was not asked for."""

    rounds: int
    database: str
    measured: tuple[Measured, ...] = ()
    workflows: WorkflowFigures | None = None
    startup: StartupFigures | None = None


@frozen
class Bar:
    """A figure that is no ratio to hand-written code, with its bar, if it has one."""

    title: str
    figure: str
    bar: str
    reached: bool | None


def environment() -> dict[str, str]:
    """What the figures depend on."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "SQLite": sqlite3.sqlite_version,
        "aiosqlite": version("aiosqlite"),
        "dataflow-db": version("dataflow-db"),
        "machine": f"{os.cpu_count()} cores, {_processor()}, {platform.system()},"
        f" load average {os.getloadavg()[0]:.1f}",
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"model name\s*:\s*(.+)", information.read_text(encoding="utf-8"))
        if found is not None:
            return found[1].strip()
    return platform.machine()


def bars(report: Report) -> list[Bar]:
    """The figures about workflows and the start."""
    result = []
    flows, start = report.workflows, report.startup
    if flows is not None:
        added = flows.synchronous_cost
        result += [
            Bar(
                "LocalRuntime over AsyncLocalRuntime, in round trips to the loop",
                f"{added:.2f} ({flows.synchronous:.0f} - {flows.asynchronous:.0f} us;"
                f" a round trip {flows.round_trip:.0f} us)",
                f"at most {MOST_ADDED}",
                added <= MOST_ADDED,
            ),
            _nodes(f"nodes/s, {NODES:,} nodes that do nothing", flows.nodes_apart),
            _nodes(f"nodes/s, the same {NODES:,} in a chain", flows.nodes_chained),
        ]
    if start is not None:
        result += [
            Bar(
                "import dataflow_core, to import attrs, pluggy, asyncio",
                f"{start.ratio:.2f} ({start.core:.0f} and {start.requirements:.0f} ms)",
                f"at most {MOST_IMPORT}",
                start.ratio <= MOST_IMPORT,
            ),
            Bar(
                "the same with DataFlow, LocalRuntime, WorkflowBuilder and field taken from it",
                f"{start.used_ratio:.2f} ({start.used:.0f} and {start.requirements:.0f} ms)",
                "none",
                None,
            ),
            Bar(
                "from process start to the first row listed",
                f"{start.first_row:.0f} ms",
                f"less than {MOST_FIRST_ROW:.0f} ms",
                start.first_row < MOST_FIRST_ROW,
            ),
        ]
    return result


def _nodes(title: str, rate: float) -> Bar:
    return Bar(title, f"{rate:,.0f}", f"at least {LEAST_NODES:,}", rate >= LEAST_NODES)


_HEADS: Final = ("workload", "DataFlow", "raw", "unit", "ratio", "raw to raw", "bar", "")


def _workload_rows(measured: Iterable[Measured]) -> list[tuple[str, ...]]:
    return [
        (
            each.workload.title,
            f"{statistics.median(each.rates['DataFlow']):,.0f}",
            f"{statistics.median(each.rates['raw']):,.0f}",
            each.workload.unit,
            _spread(each.ratio),
            _spread(each.noise),
            f"{each.workload.bar:.2f}",
            _mark(each.reached),
        )
        for each in measured
    ]


def _spread(ratio: Ratio) -> str:
    return f"{ratio.median:.2f} ({ratio.lowest:.2f}-{ratio.highest:.2f})"


def _mark(reached: bool | None) -> str:
    if reached is None:
        return ""
    return "reached" if reached else "MISSED"


def _bar_rows(report: Report) -> list[tuple[str, ...]]:
    return [(each.title, each.figure, each.bar, _mark(each.reached)) for each in bars(report)]


def plain(report: Report) -> str:
    """The report for a terminal."""
    parts = []
    if report.measured:
        parts.append(_columns([_HEADS, *_workload_rows(report.measured)]))
    if rows := _bar_rows(report):
        parts.append(_columns(rows))
    parts.append("\n".join(f"{name}: {value}" for name, value in environment().items()))
    return "\n\n".join(parts)


def _columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def markdown(report: Report) -> str:
    """The report as a part of a page."""
    parts = []
    if report.measured:
        parts.append(_table(_HEADS, _workload_rows(report.measured)))
    if rows := _bar_rows(report):
        parts.append(_table(("figure", "measured", "bar", ""), rows))
    found = environment()
    date = found.pop("date")
    versions = ", ".join(f"{name} {value}" for name, value in found.items() if name != "machine")
    parts.append(
        f"Measured on {date}, {report.rounds} rounds, {versions}; machine: {found['machine']}."
    )
    return "\n\n".join(parts)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def write_page(report: Report, page: Path = PAGE) -> None:
    """Put the tables between the markers of the page."""
    text = page.read_text(encoding="utf-8")
    if _PART.search(text) is None:
        raise ValueError(f"{page} has no part for the figures")
    new = _PART.sub(lambda found: f"{found[1]}\n{markdown(report)}\n\n{found[2]}", text)
    page.write_text(new, encoding="utf-8")


def figures_json(report: Report) -> dict[str, Any]:
    """The report for programs: every round, not only the medians."""
    return {
        "environment": environment(),
        "rounds": report.rounds,
        "database": report.database,
        "workloads": {
            each.workload.name: {
                "unit": each.workload.unit,
                "bar": each.workload.bar,
                "ratio": asdict(each.ratio),
                "raw to raw": asdict(each.noise),
                "rates": each.rates,
            }
            for each in report.measured
        },
        "workflows": None if report.workflows is None else asdict(report.workflows),
        "startup": None if report.startup is None else asdict(report.startup),
    }
