"""How far it is: told to a callback, and shown on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

__all__ = ["Progress"]


class Progress:
    """Counts rows for ``on_progress`` and, if ``shown``, for a bar on the terminal.

    The bar is there where rich is installed and the standard error stream is a terminal.
    """

    def __init__(
        self, label: str, on_progress: Callable[[int], object] | None, *, shown: bool
    ) -> None:
        self._on_progress = on_progress
        self._bar = _bar(label) if shown else None

    @property
    def wanted(self) -> bool:
        """Whether anybody wants to know."""
        return self._on_progress is not None or self._bar is not None

    def __call__(self, rows: int) -> object:
        """So many rows are done; what the callback returns, which may have to be awaited."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=rows)
        return None if self._on_progress is None else self._on_progress(rows)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar(label: str) -> Any:
    """A bar of rich on the terminal, if there is one."""
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    try:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress
    except ImportError:
        return None
    bar = RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} rows"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    bar.add_task(label, total=None)
    return bar
