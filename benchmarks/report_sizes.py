"""The parts of the report about many rows: what a row costs, and the flights of a year."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from benchmarks.flights import MOST_TIME
from benchmarks.results import FlightRun, SizeRun
from benchmarks.sizes import BOUNDED, MOST_GROWTH, MOST_MEGABYTES, SizeFigure
from benchmarks.tables import Table, mark, spread, told

__all__ = ["flights_part", "sizes_part"]

Render = Callable[[Table], str]


def sizes_part(runs: Iterable[SizeRun], render: Render = Table.markdown) -> str:
    """Time and memory by number of rows, for each database and kind."""
    runs = list(runs)
    sizes = sorted({figure.rows for run in runs for figure in run.figures})
    rows = []
    for run in runs:
        for kind in dict.fromkeys(figure.kind for figure in run.figures):
            found = {figure.rows: figure for figure in run.figures if figure.kind == kind}
            cells = [_cell(found[size]) if size in found else "-" for size in sizes]
            rows.append((run.title, kind, *cells, *_bars(kind, found)))
    heads = ("database", "", *(f"{size:,} rows" for size in sizes), "growth", "memory")
    parts = [
        render(Table(heads, rows)),
        f"A cell has microseconds per row, and megabytes over the start at the peak. `growth` is"
        f" the time per row at the largest number to that at a tenth of it, its bar {MOST_GROWTH};"
        f" `memory` is held against {MOST_MEGABYTES:.0f} MB, for {' and '.join(BOUNDED)}.",
        *_told_once(runs),
    ]
    return "\n\n".join(parts)


def _cell(figure: SizeFigure) -> str:
    return f"{figure.per_row:.2f} us, {figure.peak:.0f} MB"


def _bars(kind: str, found: dict[int, SizeFigure]) -> tuple[str, str]:
    largest = max(found)
    before = found.get(largest // 10)
    if before is None:
        return "-", "-"
    growth = found[largest].per_row / before.per_row
    if kind not in BOUNDED:
        return f"{growth:.2f}", "-"
    reached = found[largest].peak <= MOST_MEGABYTES
    return f"{growth:.2f} {mark(growth <= MOST_GROWTH)}", mark(reached)


def flights_part(runs: Iterable[FlightRun], render: Render = Table.markdown) -> str:
    """Seconds and ratio for each database."""
    runs = list(runs)
    rows = []
    for run in runs:
        figures = run.figures
        ours, raw = figures.seconds
        rows.append(
            (
                run.title,
                f"{figures.rows:,}",
                f"{ours:.2f} s",
                f"{raw:.2f} s",
                spread(figures.ratio),
                spread(figures.noise),
                f"less than {MOST_TIME:.0f}",
                mark(figures.reached),
            )
        )
    heads = ("database", "rows", "DataFlow", "raw", "time to raw", "raw to raw", "bar", "")
    return "\n\n".join([render(Table(heads, rows)), *_told_once(runs)])


def _told_once(runs: Iterable[SizeRun | FlightRun]) -> list[str]:
    """Where the figures come from; what is the same for several stands there once."""
    lines: dict[str, list[str]] = {}
    for run in runs:
        lines.setdefault(f"{told(run.environment)} {run.rounds} rounds.", []).append(run.product)
    return [f"{', '.join(products)}: {line}" for line, products in lines.items()]
