"""Writers that note what became of every write, and the comparison with what is stored."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from attrs import define
from attrs import field as attribute

from dataflow_core import DataFlow, field
from dataflow_core.errors import DataFlowError, Deadlock
from tests.limits import at_most

__all__ = ["BATCH", "Load", "create", "instance", "serving", "value_of"]

WRITERS: Final = 40
BATCH: Final = 20
_PAUSE: Final = 0.02
_OWN: Final = -1
"""The keys of the rows that writers change: one for each, below zero."""
_OUTCOMES: Final = ("done", "not done", "unknown")


class Entry:
    """A row whose value tells which row it is; ``hits`` and ``last`` are what a writer changes."""

    __dataflow__ = {"timestamps": False, "table": "entries"}

    id: int = field(primary_key=True)
    value: int
    batch: int | None = field(default=None, index=True)
    hits: int = 0
    last: int = 0


class Account:
    """Money."""

    __dataflow__ = {"timestamps": False, "table": "accounts"}

    id: int = field(primary_key=True)
    balance: int = 0


def value_of(key: int) -> int:
    """The value that belongs to a key."""
    return key * 7 + 3


def create(key: int, **more: Any) -> dict[str, Any]:
    """The row with a key."""
    return {"id": key, "value": value_of(key), **more}


def instance(url: str, **options: Any) -> DataFlow:
    """An instance with the models."""
    db = DataFlow(url, **{"pool_size": 20, "max_overflow": 0, "pool_timeout": 20, **options})
    for cls in (Entry, Account):
        db.model(type(cls.__name__, (cls,), {"__module__": __name__}), validation="off")
    return db


async def serving(db: DataFlow, since: float, seconds: float = 2.0) -> float:
    """Wait until an instance answers again; seconds since a moment. Fails if it takes too long."""
    while True:
        with suppress(DataFlowError):
            await db.run("EntryCountNode", filter={})
            took = time.monotonic() - since
            assert took < at_most(seconds), f"the pool serves again only after {took:.2f} s"
            return took
        assert time.monotonic() - since < 10 * seconds, "the pool does not serve again"
        await asyncio.sleep(0.01)


@define(eq=False)
class Load:
    """Writers at work, and what they were told.

    Attributes:
        rows: of each key that was created by itself: what its writer was told.
        batches: the same of each batch of rows; a pair of rows of a transaction is one too.
        hits: of each writer: how many increments ended in which way.
        last: of each writer: the numbers that it set in turn, with what it was told.
        errors: how many errors of each kind, with their outcome.
    """

    db: DataFlow
    rows: dict[int, str] = attribute(factory=dict)
    batches: dict[int, tuple[int, str]] = attribute(factory=dict)
    hits: dict[int, Counter[str]] = attribute(factory=dict)
    last: dict[int, list[tuple[int, str]]] = attribute(factory=dict)
    errors: Counter[tuple[str, str | None]] = attribute(factory=Counter)
    reads: int = 0
    _stopped: bool = False
    _next: int = 0

    @asynccontextmanager
    async def running(self, writers: int = WRITERS) -> AsyncIterator[None]:
        """While it lasts, the writers write; then they end what they have begun."""
        own = [create(_OWN - number) for number in range(writers)]
        await self.db.run("EntryBulkCreateNode", data=own)
        tasks = [asyncio.ensure_future(self._work(_OWN - number)) for number in range(writers)]
        try:
            yield
        finally:
            self._stopped = True
            await asyncio.gather(*tasks)

    async def _work(self, own: int) -> None:
        self.hits[own], self.last[own] = Counter(), []
        kinds: list[Callable[[int], Awaitable[None]]] = [
            self._create, self._hit, self._set, self._create, self._bulk, self._pair, self._read,
        ]  # fmt: skip
        turn = own
        while not self._stopped:
            turn += 1
            await kinds[turn % len(kinds)](own)

    async def _told(self, work: Awaitable[Any]) -> str:
        """What the caller of a write is told of it."""
        try:
            await work
        except DataFlowError as error:
            self.errors[type(error).__name__, error.outcome] += 1
            assert error.outcome in _OUTCOMES, f"{error!r} does not say what became of the write"
            await asyncio.sleep(_PAUSE)
            return error.outcome
        return "done"

    def _keys(self, number: int) -> range:
        first = self._next + 1
        self._next += number
        return range(first, first + number)

    async def _create(self, own: int) -> None:
        [key] = self._keys(1)
        self.rows[key] = await self._told(self.db.run("EntryCreateNode", values=create(key)))

    async def _bulk(self, own: int) -> None:
        keys = self._keys(BATCH)
        data = [create(key, batch=keys[0]) for key in keys]
        told = await self._told(self.db.run("EntryBulkCreateNode", data=data))
        self.batches[keys[0]] = (BATCH, told)

    async def _pair(self, own: int) -> None:
        keys = self._keys(2)

        async def work() -> None:
            async with self.db.transaction():
                for key in keys:
                    await self.db.run("EntryCreateNode", values=create(key, batch=keys[0]))

        self.batches[keys[0]] = (2, await self._told(work()))

    async def _hit(self, own: int) -> None:
        change = {"$inc": {"hits": 1}}
        told = await self._told(self.db.run("EntryUpdateNode", id=own, fields=change))
        self.hits[own][told] += 1

    async def _set(self, own: int) -> None:
        number = len(self.last[own]) + 1
        change = self.db.run("EntryBulkUpdateNode", filter={"id": own}, fields={"last": number})
        self.last[own].append((number, await self._told(change)))

    async def _read(self, own: int) -> None:
        try:
            row = await self.db.run("EntryReadNode", id=own)
        except DataFlowError as error:
            self.errors[type(error).__name__, "read"] += 1
            await asyncio.sleep(_PAUSE)
            return
        assert (row["id"], row["value"]) == (own, value_of(own)), "an answer to another question"
        self.reads += 1

    async def check(self) -> str:
        """Compare with what is stored; what was counted, in words."""
        stored = (await self.db.run("EntryListNode", filter={}, limit=10_000_000))["records"]
        found = {row["id"]: row for row in stored}
        assert all(row["value"] == value_of(key) for key, row in found.items())
        for key, told in self.rows.items():
            assert told == "unknown" or (key in found) == (told == "done"), (key, told)
        sizes = Counter(row["batch"] for row in stored if row["batch"] is not None)
        for batch, (size, told) in self.batches.items():
            assert sizes[batch] in (0, size), f"half of a batch: {sizes[batch]} of {size}"
            assert told == "unknown" or (sizes[batch] == size) == (told == "done"), (batch, told)
        assert len(found) <= len(self.rows) + sum(sizes.values()) + len(self.hits)
        for own, hits in self.hits.items():
            done = hits["done"]
            assert done <= found[own]["hits"] <= done + hits["unknown"], hits
            assert found[own]["last"] in _possible(self.last[own]), (found[own], self.last[own])
        told_all = Counter(
            [*self.rows.values(), *(told for _, told in self.batches.values())]
            + [told for said in self.last.values() for _, told in said]
        )
        for hits in self.hits.values():
            told_all.update(hits)
        errors = ", ".join(f"{name} {told} {n}" for (name, told), n in self.errors.items())
        return f"writes {dict(told_all)}, reads {self.reads}, errors: {errors or 'none'}"


def _possible(said: list[tuple[int, str]]) -> set[int]:
    """The numbers that may be stored: the last acknowledged one, and the unknown ones behind."""
    possible = {0}
    for number, told in said:
        if told == "done":
            possible = {number}
        elif told == "unknown":
            possible.add(number)
    return possible


async def again(work: Callable[[], Awaitable[None]]) -> int:
    """Do a transaction until it is done, as a caller would that got a deadlock; the attempts."""
    attempt = 1
    while True:
        try:
            await work()
        except Deadlock:
            attempt += 1
            await asyncio.sleep(_PAUSE)
        else:
            return attempt
