"""The figures as tables for people: in a terminal, and as parts of the documentation."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, TypeVar

from attrs import frozen

from benchmarks.databases import PLACES
from benchmarks.report_sizes import Render, flights_part, sizes_part
from benchmarks.results import DatabaseRun, Report, RuntimeRun, kept_report
from benchmarks.rounds import OURS, RAW_NAME
from benchmarks.tables import Table, listed, mark, spread, told
from benchmarks.workflows import NODES

__all__ = ["Bar", "bars", "database_part", "page_parts", "plain", "runtime_part"]

MOST_ADDED: Final = 1.5
LEAST_NODES: Final = 20_000
MOST_IMPORT: Final = 1.5
MOST_FIRST_ROW: Final = 500.0

T = TypeVar("T")
_NOTHING: Final = "Not measured yet."


@frozen
class Bar:
    """A figure that is no ratio to hand-written code, with its bar, if it has one."""

    title: str
    figure: str
    bar: str
    reached: bool | None


def bars(run: RuntimeRun) -> list[Bar]:
    """The figures about workflows and the start."""
    result = []
    flows, start = run.workflows, run.startup
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


def _own_table(run: DatabaseRun) -> Table:
    heads = (
        *("workload", "unit", "DataFlow", "raw", "ratio", "raw to raw", "bar", ""),
        "ahead of every peer",
    )
    rows = [
        (
            each.title,
            each.unit,
            f"{statistics.median(each.rates[OURS]):,.0f}",
            f"{statistics.median(each.rates[RAW_NAME]):,.0f}",
            spread(each.ratio),
            spread(each.noise),
            f"{each.bar:.2f}",
            mark(each.reached),
            {True: "yes", False: "NO", None: "-"}[each.ahead],
        )
        for each in run.measured
    ]
    return Table(heads, rows)


def _peers_table(run: DatabaseRun) -> Table | None:
    names = list(dict.fromkeys(name for each in run.measured for name in each.peers))
    if not names:
        return None
    rows = [
        (
            each.title,
            spread(each.ratio),
            *(spread(each.peers[name]) if name in each.peers else "-" for name in names),
        )
        for each in run.measured
    ]
    return Table(("times the raw driver", OURS, *names), rows)


def _left_out(run: DatabaseRun) -> list[str]:
    """Why a cell is empty, each reason once with the workloads that it is for."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for each in run.measured:
        for name, reason in each.left_out.items():
            reasons.setdefault((name, reason), []).append(each.title)
    lines = []
    for (name, reason), titles in reasons.items():
        where = "" if len(titles) == len(run.measured) else f" ({', '.join(titles)})"
        lines.append(f"{name}{where}: {reason}")
    return lines


def database_part(run: DatabaseRun, render: Render = Table.markdown) -> str:
    """What stands in the page about one database."""
    parts = [render(_own_table(run))]
    peers = _peers_table(run)
    if peers is not None:
        parts.append(render(peers))
    if missing := _left_out(run):
        lines = "\n".join(f"- {line}" for line in missing)
        parts.append(f"Without a figure, because the peer cannot take part:\n\n{lines}")
    size = "a first look in small size, " if run.quick else ""
    parts.append(
        f"{told(run.environment)} {run.product}; {size}{run.rounds} rounds;"
        f" {listed(run.versions)}. Settings: {listed(run.settings)}."
    )
    return "\n\n".join(parts)


def runtime_part(run: RuntimeRun, render: Render = Table.markdown) -> str:
    """What stands in the page about workflows and the start."""
    rows = [(each.title, each.figure, each.bar, mark(each.reached)) for each in bars(run)]
    table = render(Table(("figure", "measured", "bar", ""), rows))
    return f"{table}\n\n{told(run.environment)} {run.rounds} rounds."


def plain(report: Report) -> str:
    """The report for a terminal."""
    return "\n\n\n".join(_plain_parts(report))


def _plain_parts(report: Report) -> Iterable[str]:
    for run in report.databases.values():
        yield f"{run.title}\n\n{database_part(run, Table.plain)}"
    if report.sizes:
        yield sizes_part(report.sizes.values(), Table.plain)
    if report.flights:
        yield flights_part(report.flights.values(), Table.plain)
    if report.runtime is not None:
        yield runtime_part(report.runtime, Table.plain)


def page_parts() -> dict[str, Callable[[], str]]:
    """What the page takes from the files, by the name that its marker has there."""
    return {
        **{f"{name} figures": partial(_kept_database, name) for name in PLACES},
        "size figures": lambda: _or_none(sizes_part, _in_order(kept_report().sizes)),
        "flight figures": lambda: _or_none(flights_part, _in_order(kept_report().flights)),
        "runtime figures": _kept_runtime,
    }


def _kept_database(name: str) -> str:
    run = kept_report().databases.get(name)
    return _NOTHING if run is None else database_part(run)


def _kept_runtime() -> str:
    run = kept_report().runtime
    return _NOTHING if run is None else runtime_part(run)


def _in_order(runs: Mapping[str, T]) -> list[T]:
    return [runs[name] for name in PLACES if name in runs]


def _or_none(part: Callable[[list[T]], str], runs: list[T]) -> str:
    return part(runs) if runs else _NOTHING
