"""Tables and words that are printed, or stand in a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from benchmarks.rounds import Ratio

__all__ = ["Table", "listed", "mark", "spread", "told"]


@frozen
class Table:
    """Heads and rows of cells."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def plain(self) -> str:
        """For a terminal."""
        lines = [self.heads, *self.rows]
        widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    def markdown(self) -> str:
        """For a page."""
        lines = [self.heads, ["---"] * len(self.heads), *self.rows]
        return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def mark(reached: bool | None) -> str:
    """The cell that says whether a bar is reached."""
    if reached is None:
        return ""
    return "reached" if reached else "MISSED"


def spread(ratio: Ratio) -> str:
    """Median, lowest and highest in one cell."""
    return f"{ratio.median:.2f} ({ratio.lowest:.2f}-{ratio.highest:.2f})"


def listed(values: Mapping[str, str]) -> str:
    """Names with what they are."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def told(environment: Mapping[str, str]) -> str:
    """When and where something was measured."""
    found = dict(environment)
    date, machine = found.pop("date"), found.pop("machine")
    return f"Measured on {date}, {listed(found)}; machine: {machine}."
