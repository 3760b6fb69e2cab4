"""The workloads: what is asked of every contestant, in batches that differ from slice to slice."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

from attrs import evolve, frozen

from benchmarks.contestants.contract import Contestant, Page
from benchmarks.data import DEPARTMENTS, users

__all__ = ["STORED", "WORKLOADS", "Workload"]

STORED: Final = 10_000
"""How many rows the table has when the small workloads begin."""


@frozen
class Workload:
    """One line of the report.

    ``batch(number, size)`` makes the input of a slice; ``run`` gives it to a contestant, and
    ``size`` units of work are then done. A round is ``slices`` slices of each contestant in turn:
    short turns, so that what else the machine does falls upon all alike. ``empty``: the table is
    emptied before each slice. ``bar`` is the ratio to hand-written code that must be reached.
    """

    name: str
    title: str
    bar: float
    unit: str
    size: int
    slices: int
    batch: Callable[[int, int], Any]
    run: Callable[[Contestant, Any], Awaitable[Any]]
    empty: bool = False
    writes: bool = False

    def quick(self) -> Workload:
        """The same with less to do in a round."""
        if self.empty:
            return evolve(self, size=self.size // 5)
        return evolve(self, slices=max(1, self.slices // 5))


def _new_users(number: int, size: int) -> Any:
    return users(size, STORED + number * size)


def _keys(number: int, size: int) -> list[int]:
    chance = random.Random(number)
    return [chance.randrange(1, STORED + 1) for _ in range(size)]


def _changes(number: int, size: int) -> list[tuple[int, int]]:
    chance = random.Random(number)
    return [(chance.randrange(1, STORED + 1), chance.randrange(18, 80)) for _ in range(size)]


def _pages(number: int, size: int) -> list[Page]:
    chance = random.Random(number)
    pages = []
    for _ in range(size):
        youngest = chance.randrange(18, 50)
        first, second, third = chance.sample(DEPARTMENTS, 3)
        pages.append(Page(youngest, youngest + 20, (first, second, third)))
    return pages


WORKLOADS: Final = (
    Workload(
        "create", "create one, row back", 0.9, "calls/s", 40, 10, _new_users,
        lambda contestant, batch: contestant.create(batch), writes=True,
    ),
    Workload(
        "read", "read by key", 0.75, "calls/s", 300, 10, _keys,
        lambda contestant, batch: contestant.read(batch),
    ),
    Workload(
        "update", "update by key, row back", 0.9, "calls/s", 40, 10, _changes,
        lambda contestant, batch: contestant.update(batch), writes=True,
    ),
    Workload(
        "list100", "list 100, filter and sort", 0.85, "calls/s", 30, 10, _pages,
        lambda contestant, batch: contestant.page(batch),
    ),
    Workload(
        "list10k", "list 10,000", 0.9, "rows/s", STORED, 8, lambda _, size: size,
        lambda contestant, batch: contestant.everything(batch),
    ),
    Workload(
        "bulk_create", "bulk create 100,000", 0.9, "rows/s", 100_000, 1,
        lambda _, size: users(size),
        lambda contestant, batch: contestant.bulk_create(batch), empty=True, writes=True,
    ),
)  # fmt: skip
