"""What a row costs in time and memory when there are many of them."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from attrs import frozen

from benchmarks.data import declare_user, users_one_by_one
from benchmarks.databases import Place
from benchmarks.size_probe import KINDS, available
from dataflow_core import DataFlow

__all__ = ["BOUNDED", "MOST_GROWTH", "MOST_MEGABYTES", "SIZES", "SizeFigure", "measure_sizes"]

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
BOUNDED: Final = ("bulk create", "stream")
"""What must not need more memory for more rows; a list holds all of its rows."""

MOST_MEGABYTES: Final = 60.0
MOST_GROWTH: Final = 1.15
"""The most time per row at 1,000,000 rows, to that at 100,000."""

_ROOT: Final = Path(__file__).resolve().parents[1]
_TIMEOUT: Final = 900


@frozen
class SizeFigure:
    """So many rows of a kind on a database: microseconds per row, megabytes over the start."""

    database: str
    kind: str
    rows: int
    microseconds: Sequence[float]
    megabytes: Sequence[float]

    @property
    def per_row(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.microseconds)

    @property
    def peak(self) -> float:
        """The highest of the rounds: a bound holds in each."""
        return max(self.megabytes)


def measure_sizes(
    place: Place,
    sizes: Sequence[int],
    rounds: int,
    *,
    progress: Callable[[str], object] = lambda _: None,
) -> list[SizeFigure]:
    """Measure each size in turn, ``rounds`` times; a stream where there are streams."""
    kinds = [kind for kind in KINDS if available(kind)]
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    with ExitStack() as stack:
        full = place.new()
        stack.callback(place.drop, full)
        asyncio.run(_fill(full, max(sizes)))
        for _ in range(rounds):
            for kind in kinds:
                for rows in sizes:
                    progress(f"{place.name}, {kind} of {rows:,}")
                    found.setdefault((kind, rows), []).append(_probe(place, full, kind, rows))
    return [
        SizeFigure(
            place.name,
            kind,
            rows,
            [each["seconds"] / rows * 1e6 for each in figures],
            [each["peak"] - each["before"] for each in figures],
        )
        for (kind, rows), figures in found.items()
    ]


async def _fill(url: str, rows: int) -> None:
    async with DataFlow(url) as db:
        declare_user(db)
        await db.nodes.User.bulk_create(data=users_one_by_one(rows))


def _probe(place: Place, full: str, kind: str, rows: int) -> dict[str, float]:
    """One measurement in a fresh process."""
    url = place.new() if kind == "bulk create" else full
    try:
        answer = subprocess.run(  # noqa: S603 - a program of this checkout
            [sys.executable, "-m", "benchmarks.size_probe", url, kind, str(rows)],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            text=True,
            timeout=_TIMEOUT,
            check=True,
        )
    finally:
        if url != full:
            place.drop(url)
    figures: dict[str, float] = json.loads(answer.stdout)
    return figures
