"""The demo on a terminal, with rich."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from show import OnProgress, Row, levels, shown

from dataflow_core import Workflow


class RichScreen:
    """Colours, panels and a bar that moves."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)

    def heading(self, text: str) -> None:
        self.console.print()
        self.console.rule(f"[bold cyan]{text}", align="left")

    def say(self, text: str) -> None:
        # Markup off: statements hold square brackets of their own.
        self.console.print(text, markup=False, soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        table = Table(title=title, title_justify="left", title_style="bold", header_style="cyan")
        for name, values in zip(columns, zip(*rows, strict=True), strict=True):
            numeric = all(isinstance(value, int | float) for value in values if value is not None)
            table.add_column(name, justify="right" if numeric else "left")
        for row in rows:
            table.add_row(*map(shown, row))
        self.console.print()
        self.console.print(table)

    def diagram(self, title: str, workflow: Workflow) -> None:
        self.console.print(f"\n[bold]{title}[/bold]")
        for number, level in enumerate(levels(workflow)):
            if number:
                self.console.print("    [dim]|\n    v[/dim]")
            self.console.print(Columns([self._panel(workflow, node_id) for node_id in level]))

    def _panel(self, workflow: Workflow, node_id: str) -> Panel:
        sources = [one.source for one in workflow.connections if one.target == node_id]
        text = workflow.nodes[node_id].type.name
        if sources:
            text += f"\n[dim]after {', '.join(sources)}[/dim]"
        return Panel(text, title=f"[bold]{node_id}", expand=False)

    @contextmanager
    def progress(self, totals: Mapping[str, int]) -> Iterator[dict[str, OnProgress]]:
        columns = (
            TextColumn("{task.description:>10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console) as bar:
            yield {
                name: partial(_move, bar, bar.add_task(name, total=total))
                for name, total in totals.items()
            }


def _move(bar: Progress, task: Any, number: int) -> None:
    bar.update(task, completed=number)
