"""What the demo prints: plain text, or with rich on a terminal where rich is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from dataflow_core import Workflow

Row = Sequence[Any]
OnProgress = Callable[[int], None]


class Screen(Protocol):
    """Where the demo prints."""

    def heading(self, text: str) -> None:
        """Begin a part of the demo."""

    def say(self, text: str) -> None:
        """Print a line."""

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Print rows as a table."""

    def diagram(self, title: str, workflow: Workflow) -> None:
        """Draw a workflow."""

    def progress(self, totals: Mapping[str, int]) -> Any:
        """`with`: gives, for each name, a function that takes the number of rows done so far."""


def screen() -> Screen:
    """The best screen there is."""
    if sys.stdout.isatty():
        try:
            from show_rich import RichScreen
        except ModuleNotFoundError:
            return PlainScreen()
        return RichScreen()
    return PlainScreen()


class PlainScreen:
    """Aligned text, the same every time: for files, pipes and tests."""

    def heading(self, text: str) -> None:
        print(f"\n== {text}")

    def say(self, text: str) -> None:
        print(text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        texts = [list(columns), *([shown(value) for value in row] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        numeric = [_is_numeric(column) for column in zip(*rows, strict=True)]
        print(f"\n{title}")
        for line in texts:
            cells = (
                text.rjust(width) if right else text.ljust(width)
                for text, width, right in zip(line, widths, numeric, strict=True)
            )
            print("  " + "  ".join(cells).rstrip())

    def diagram(self, title: str, workflow: Workflow) -> None:
        print(f"\n{title}, as Mermaid text:")
        print(workflow.to_mermaid(), end="")

    @contextmanager
    def progress(self, totals: Mapping[str, int]) -> Iterator[dict[str, OnProgress]]:
        done = dict.fromkeys(totals, 0)
        yield {name: partial(done.__setitem__, name) for name in totals}
        for name, total in totals.items():
            print(f"  {name}: {done[name]:,} of {total:,} rows")


def shown(value: Any) -> str:
    """A value as text: a dash for None, one decimal for a float, separators in large numbers."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def levels(workflow: Workflow) -> list[list[str]]:
    """The nodes in rows: each one below all that it is connected to."""
    level: dict[str, int] = {}
    for node_id in workflow.order:
        sources = [one.source for one in workflow.connections if one.target == node_id]
        level[node_id] = 1 + max((level[source] for source in sources), default=-1)
    return [
        [node_id for node_id in workflow.nodes if level[node_id] == number]
        for number in range(max(level.values()) + 1)
    ]


def _is_numeric(column: Sequence[Any]) -> bool:
    values = [value for value in column if value is not None]
    return bool(values) and all(isinstance(value, int | float) for value in values)
