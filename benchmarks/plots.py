"""The figures as pictures, in SVG: written by hand, so that no library is needed for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from attrs import define, field

from benchmarks.contestants.peers import PEERS
from benchmarks.databases import PLACES
from benchmarks.results import FOLDER, DatabaseRun, Report, SizeRun
from benchmarks.rounds import OURS
from benchmarks.sizes import MOST_MEGABYTES, SizeFigure

__all__ = ["plots", "ratio_plot", "size_plot", "write_plots"]

_OURS: Final = "#0b5cad"
_PEERS: Final = dict(
    zip(PEERS, ("#d1495b", "#edae49", "#66a182", "#8d5a97", "#7a7a7a", "#2e8b9a"), strict=True)
)
_DATABASES: Final = {"sqlite": "#66a182", "postgres": "#0b5cad", "mysql": "#d1495b"}
_DASHES: Final = {"bulk create": "", "list": "6 3", "stream": "2 3"}
_GREY: Final = "#b0b0b0"


@define
class _Drawing:
    """Shapes, one after the other."""

    width: int
    height: int
    shapes: list[str] = field(factory=list)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], colour: str, more: str = ""
    ) -> None:
        (x1, y1), (x2, y2) = start, end
        self.shapes.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"'
            f"{more}/>"
        )

    def dot(self, at: tuple[float, float], radius: float, colour: str) -> None:
        self.shapes.append(
            f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius:g}" fill="{colour}"/>'
        )

    def text(self, at: tuple[float, float], text: str, anchor: str = "start") -> None:
        self.shapes.append(
            f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def path(self, points: Sequence[tuple[float, float]], colour: str, dash: str) -> None:
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.shapes.append(
            f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"'
            f' stroke-dasharray="{dash}"/>'
        )

    def render(self, title: str) -> str:
        """The file. The ground is white, so that it can be read in a dark page too."""
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}"'
                f' height="{self.height}" viewBox="0 0 {self.width} {self.height}"'
                ' font-family="sans-serif" font-size="12">',
                f"<title>{escape(title)}</title>",
                '<rect width="100%" height="100%" fill="white"/>',
                *self.shapes,
                "</svg>",
                "",
            ]
        )


@define
class _Scale:
    """A logarithmic axis: from values to places."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + part * (self.end - self.start)


def ratio_plot(run: DatabaseRun) -> str:
    """Ours with its spread, the peers, and the bars, by workload; the raw driver is 1."""
    top, step = 60, 34
    drawing = _Drawing(860, top + step * len(run.measured) + 40)
    bottom = drawing.height - 40
    scale = _Scale(0.02, 20, 240, drawing.width - 20)
    for value in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20):
        wide = ' stroke-width="2"' if value == 1 else ' stroke-dasharray="2 3"'
        drawing.line((scale(value), top - 10), (scale(value), bottom), _GREY, wide)
        drawing.text((scale(value), bottom + 16), f"{value:g}", "middle")
    drawing.text((scale(1), bottom + 32), "times the raw driver (more is quicker)", "middle")
    taking_part = {name for each in run.measured for name in each.peers}
    colours = {name: _PEERS[name] for name in PEERS if name in taking_part}
    for number, each in enumerate(run.measured):
        height = top + step * number + step / 2
        drawing.text((10, height + 4), each.title)
        for name, colour in colours.items():
            if name in each.peers:
                drawing.dot((scale(each.peers[name].median), height), 4, colour)
        ours = each.ratio
        wide = ' stroke-width="3"'
        drawing.line((scale(ours.lowest), height), (scale(ours.highest), height), _OURS, wide)
        drawing.dot((scale(ours.median), height), 6, _OURS)
        drawing.line((scale(each.bar), height - 11), (scale(each.bar), height + 11), "black", wide)
    place = 20
    for name, colour in ((OURS, _OURS), *colours.items()):
        drawing.dot((place, 20), 5, colour)
        drawing.text((place + 10, 24), name)
        place += 30 + 7 * len(name)
    drawing.line((place, 12), (place, 28), "black", ' stroke-width="3"')
    drawing.text((place + 10, 24), "bar")
    return drawing.render(f"{run.title}: each workload to the raw driver")


def size_plot(runs: Sequence[SizeRun]) -> str:
    """Time per row and peak memory by number of rows."""
    drawing = _Drawing(900, 400)
    figures = [figure for run in runs for figure in run.figures]
    titles = {run.name: run.title for run in runs}
    place = 20
    for name, title in titles.items():
        drawing.dot((place, 20), 5, _DATABASES[name])
        drawing.text((place + 10, 24), title)
        place += 110
    for kind in dict.fromkeys(figure.kind for figure in figures):
        drawing.path([(place, 20), (place + 40, 20)], "black", _DASHES[kind])
        drawing.text((place + 48, 24), kind)
        place += 130
    times = [figure.per_row for figure in figures]
    _panel(drawing, figures, 60, "microseconds per row", times, (0.5, 1, 2, 5, 10, 20, 50, 100))
    peaks = [max(figure.peak, 0.1) for figure in figures]
    marks = (0.1, 1, 10, MOST_MEGABYTES, 100, 1_000)
    _panel(drawing, figures, 490, "megabytes over the start", peaks, marks)
    return drawing.render("Time per row and peak memory by number of rows")


def _panel(
    drawing: _Drawing,
    figures: Sequence[SizeFigure],
    left: int,
    title: str,
    values: Sequence[float],
    marks: Sequence[float],
) -> None:
    top, bottom, right = 70, 340, left + 350
    across = _Scale(1_000, 1_000_000, left, right)
    up = _Scale(min(marks), max(marks), bottom, top)
    drawing.text((left, top - 16), title)
    for value in marks:
        colour = "black" if value == MOST_MEGABYTES else _GREY
        drawing.line((left, up(value)), (right, up(value)), colour, ' stroke-dasharray="2 3"')
        drawing.text((left - 6, up(value) + 4), f"{value:g}", "end")
    for size in (1_000, 10_000, 100_000, 1_000_000):
        drawing.text((across(size), bottom + 18), f"{size:,}", "middle")
    drawing.text(((left + right) / 2, bottom + 40), "rows", "middle")
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for figure, value in zip(figures, values, strict=True):
        point = (across(figure.rows), up(value))
        lines.setdefault((figure.database, figure.kind), []).append(point)
    for (database, kind), points in lines.items():
        drawing.path(points, _DATABASES[database], _DASHES[kind])
        for point in points:
            drawing.dot(point, 3, _DATABASES[database])


def plots(report: Report) -> dict[str, str]:
    """The pictures by the name of the file."""
    found = {f"{name}.svg": ratio_plot(run) for name, run in report.databases.items()}
    if report.sizes:
        runs = [report.sizes[name] for name in PLACES if name in report.sizes]
        found["sizes.svg"] = size_plot(runs)
    return found


def write_plots(report: Report, folder: Path = FOLDER) -> None:
    """Write the pictures of what there is."""
    for name, text in plots(report).items():
        (folder / name).write_text(text, encoding="utf-8")
