"""The workloads: what is asked of every contestant, in batches that differ from slice to slice."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from attrs import evolve, frozen

from benchmarks.contestants.contract import Contestant, Page
from benchmarks.data import DEPARTMENTS, Row, changed, users

__all__ = ["CONNECTIONS", "STORED", "WORKLOADS", "Workload"]

STORED: Final = 10_000
"""How many rows the table has when the small workloads begin."""

CONNECTIONS: Final = 10
TASKS: Final = 50


@frozen
class Workload:
    """One line of the report.

    ``batch(number, size)`` makes the input of a slice; ``run`` gives it to a contestant, and
    ``size`` units of work are then done. A round is ``slices`` slices of each contestant in turn:
    short turns, so that what else the machine does falls upon all alike. ``bars``: by database, the
    ratio to hand-written code that must be reached.

    ``present(size)`` are the rows that the table has at first; ``again``: it gets them back before
    each slice. ``connections`` are what a contestant may use at once. ``keyed``: whether all
    contestants give a row the same key. ``seldom``: the peers take part in each so many-th round.
    """

    name: str
    title: str
    bars: Mapping[str, float]
    unit: str
    size: int
    slices: int
    batch: Callable[[int, int], Any]
    run: Callable[[Contestant, Any], Awaitable[Any]]
    present: Callable[[int], list[Row]] = lambda size: users(STORED)
    again: bool = False
    writes: bool = False
    connections: int = 1
    keyed: bool = True
    seldom: int = 1

    def quick(self) -> Workload:
        """The same with less to do in a round."""
        if self.again:
            return evolve(self, size=self.size // 10)
        return evolve(self, slices=max(1, self.slices // 5))


def _new_users(number: int, size: int) -> list[Row]:
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


def _by_task(items: list[Any]) -> list[list[Any]]:
    """What each of the tasks has to do, one after the other."""
    return [items[at::TASKS] for at in range(TASKS)]


def _bars(sqlite: float, postgres: float, mysql: float) -> Mapping[str, float]:
    return {"sqlite": sqlite, "postgres": postgres, "mysql": mysql}


WORKLOADS: Final = (
    Workload(
        "create", "create one, row back", _bars(0.90, 0.85, 0.90), "calls/s", 40, 10, _new_users,
        lambda contestant, batch: contestant.create(batch), writes=True,
    ),
    Workload(
        "read", "read by key", _bars(0.75, 0.80, 0.90), "calls/s", 300, 10, _keys,
        lambda contestant, batch: contestant.read(batch), seldom=3,
    ),
    Workload(
        "update", "update by key, row back", _bars(0.90, 0.85, 0.90), "calls/s", 40, 10, _changes,
        lambda contestant, batch: contestant.update(batch), writes=True,
    ),
    Workload(
        "list100", "list 100, filter and sort", _bars(0.85, 0.90, 1.1), "calls/s", 30, 10, _pages,
        lambda contestant, batch: contestant.page(batch),
    ),
    Workload(
        "list10k", "list 10,000", _bars(0.90, 0.95, 1.5), "rows/s", STORED, 8, lambda _, size: size,
        lambda contestant, batch: contestant.everything(batch),
    ),
    Workload(
        "bulk_create", "bulk create 100,000", _bars(0.90, 0.90, 0.90), "rows/s", 100_000, 1,
        lambda _, size: users(size),
        lambda contestant, batch: contestant.bulk_create(batch),
        present=lambda size: [], again=True, writes=True, seldom=3,
    ),
    Workload(
        "bulk_upsert", "bulk upsert 100,000, half present", _bars(0.90, 0.90, 0.90), "rows/s",
        100_000, 1, lambda _, size: changed(users(size)),
        lambda contestant, batch: contestant.bulk_upsert(batch),
        # Databases count keys for rows that turn out to be there, each in its own way.
        present=lambda size: users(size)[::2], again=True, writes=True, keyed=False, seldom=3,
    ),
    Workload(
        "read_at_once", "50 tasks read by key", _bars(3, 5, 4), "calls/s", 500, 6,
        lambda number, size: _by_task(_keys(number, size)),
        lambda contestant, batch: contestant.read_at_once(batch),
        connections=CONNECTIONS, seldom=3,
    ),
    Workload(
        "create_at_once", "50 tasks create one", _bars(5, 4, 4), "calls/s", 200, 5,
        lambda number, size: _by_task(_new_users(number, size)),
        lambda contestant, batch: contestant.create_at_once(batch),
        writes=True, connections=CONNECTIONS, keyed=False,
    ),
)  # fmt: skip
