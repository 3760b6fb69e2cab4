from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import Any

import pytest
from attrs import define, field

from dataflow_core import DataFlow
from dataflow_core import field as column
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.errors import (
    ConnectionLost,
    Deadlock,
    LockTimeout,
    PoolTimeout,
    SerializationFailure,
    StatementTimeout,
)
from tests.limits import at_most

FULL = 10_000
SLICE = 250
WORKERS = 16
SETTLED = 50
BATCH = 20

UNCOUNTED = ("sqlite", "pgbouncer")
"""A file has no connections, and a pooler keeps its own."""

# What a caller has to expect who stops waiting, or shares rows with others.
STOPPED = (asyncio.CancelledError, StatementTimeout, PoolTimeout, ConnectionLost)
IN_CONFLICT = (Deadlock, LockTimeout, SerializationFailure)


class Item:
    """A row whose value tells which row it is."""

    __dataflow__ = {"timestamps": False}

    id: int = column(primary_key=True)
    value: int
    batch: int | None = column(default=None, index=True)
    hits: int = 0


def value_of(key: int) -> int:
    """The value that belongs to a key."""
    return key * 7 + 3


def row(key: int, **more: Any) -> dict[str, Any]:
    """The row with a key."""
    return {"id": key, "value": value_of(key), **more}


@define(eq=False)
class Storm:
    """Calls that are cancelled at any moment, and what each of them may have done.

    Attributes:
        done: keys of rows that were acknowledged, or removed: whether they have to be there.
        batches: for each batch of rows: whether it was acknowledged.
        unsure: keys of which nobody can say whether they were written.
    """

    db: DataFlow
    hurried: DataFlow
    rng: random.Random
    done: dict[int, bool] = field(factory=dict)
    unsure: set[int] = field(factory=set)
    batches: dict[int, bool] = field(factory=dict)
    hits: Counter[int] = field(factory=Counter)
    unsure_hits: Counter[int] = field(factory=Counter)
    outcomes: Counter[str] = field(factory=Counter)
    _next: int = 1_000

    def new_keys(self, number: int) -> list[int]:
        """Keys that no row has."""
        first, self._next = self._next, self._next + number
        return list(range(first, first + number))

    async def one(self) -> None:
        """One call, cancelled after a moment or not, on either instance."""
        db = self.hurried if self.rng.random() < 0.2 else self.db
        work = self.rng.choice(self.KINDS)
        task = asyncio.ensure_future(work(self, db))
        if self.rng.random() < 0.7:
            await asyncio.wait({task}, timeout=self.rng.choice((0, 0.0005, 0.002, 0.01)))
            task.cancel()
        try:
            await task
            self.outcomes["done"] += 1
        except STOPPED as error:
            self.outcomes[type(error).__name__] += 1
        except IN_CONFLICT as error:
            self.outcomes[type(error).__name__] += 1

    async def read(self, db: DataFlow) -> None:
        """A read by key gives that row."""
        key = self.rng.randrange(SETTLED)
        found = await db.run("ItemReadNode", id=key)
        assert (found["id"], found["value"]) == (key, value_of(key))

    async def listed(self, db: DataFlow) -> None:
        """A list gives the rows that were asked for."""
        keys = sorted(self.rng.sample(range(SETTLED), 12))
        found = await db.run("ItemListNode", filter={"id": {"$in": keys}}, order_by=["id"])
        assert [(item["id"], item["value"]) for item in found["records"]] == [
            (key, value_of(key)) for key in keys
        ]

    async def total(self, db: DataFlow) -> None:
        """An aggregate gives the sum of the rows that were asked for."""
        most = self.rng.randrange(1, SETTLED)
        pipeline = [
            {"$match": {"id": {"$lt": most}}},
            {"$group": {"_id": None, "sum": {"$sum": "$value"}, "rows": {"$sum": 1}}},
        ]
        [found] = (await db.run("ItemListNode", aggregate=pipeline))["result"]
        assert (found["rows"], found["sum"]) == (most, sum(map(value_of, range(most))))

    async def create(self, db: DataFlow) -> None:
        """A created row is there; one whose creation was stopped may be."""
        [key] = self.new_keys(1)
        self.unsure.add(key)
        await db.run("ItemCreateNode", values=row(key))
        self.unsure.discard(key)
        self.done[key] = True

    async def upsert(self, db: DataFlow) -> None:
        """A row that was upserted is there."""
        [key] = self.new_keys(1)
        self.unsure.add(key)
        await db.run("ItemBulkUpsertNode", data=[row(key)])
        self.unsure.discard(key)
        self.done[key] = True

    async def create_and_delete(self, db: DataFlow) -> None:
        """A deleted row is gone."""
        [key] = self.new_keys(1)
        self.unsure.add(key)
        await db.run("ItemCreateNode", values=row(key))
        await db.run("ItemDeleteNode", id=key)
        self.unsure.discard(key)
        self.done[key] = False

    async def bulk(self, db: DataFlow) -> None:
        """A batch of rows is there as a whole or not at all."""
        keys = self.new_keys(BATCH)
        self.batches[keys[0]] = False
        await db.run("ItemBulkCreateNode", data=[row(key, batch=keys[0]) for key in keys])
        self.batches[keys[0]] = True

    async def transaction(self, db: DataFlow) -> None:
        """So are the rows of a transaction."""
        keys = self.new_keys(BATCH)
        self.batches[keys[0]] = False
        async with db.transaction():
            for key in keys[:-2]:
                await db.run("ItemCreateNode", values=row(key, batch=keys[0]))
            rest = [row(key, batch=keys[0]) for key in keys[-2:]]
            await db.run("ItemBulkCreateNode", data=rest)
        self.batches[keys[0]] = True

    async def hit(self, db: DataFlow) -> None:
        """A counter that was raised stays raised."""
        key = self.rng.randrange(SETTLED)
        self.unsure_hits[key] += 1
        await db.run("ItemUpdateNode", filter={"id": key}, fields={"$inc": {"hits": 1}})
        self.unsure_hits[key] -= 1
        self.hits[key] += 1

    KINDS = (
        read, read, listed, total, create, upsert, create_and_delete, bulk, transaction, hit, hit,
    )  # fmt: skip

    async def check(self) -> None:
        """What was acknowledged is there, what is there is right, nothing is half there."""
        rows = (await self.db.run("ItemListNode", limit=1_000_000))["records"]
        for found in rows:
            assert found["value"] == value_of(found["id"])
        there = {found["id"] for found in rows if found["batch"] is None}
        assert {key for key, wanted in self.done.items() if wanted} <= there
        assert not {key for key, wanted in self.done.items() if not wanted} & there
        assert there <= {*range(SETTLED), *self.done, *self.unsure}
        sizes = Counter(found["batch"] for found in rows if found["batch"] is not None)
        assert set(sizes.values()) <= {BATCH}
        assert {key for key, acknowledged in self.batches.items() if acknowledged} <= set(sizes)
        for found in rows[:SETTLED]:
            key = found["id"]
            assert self.hits[key] <= found["hits"] <= self.hits[key] + self.unsure_hits[key]


def instance(url: str, **options: Any) -> DataFlow:
    """An instance with the model."""
    db = DataFlow(url, pool_size=6, max_overflow=2, **options)
    db.model(type("Item", (Item,), {"__module__": __name__}), validation="off")
    return db


async def until(condition: Any, seconds: float = 2) -> bool:
    """Whether a condition holds within some seconds."""
    deadline = time.monotonic() + at_most(seconds)
    while time.monotonic() < deadline:
        if await asyncio.to_thread(condition):
            return True
        await asyncio.sleep(0.05)
    return bool(await asyncio.to_thread(condition))


def in_use(db: DataFlow) -> int:
    """How many connections are lent, and how many callers wait for one."""
    return sum(lane.used + lane.waiting for lane in db.pool_stats()["primary"].values())


@pytest.mark.bars
@pytest.mark.timeout(3_600)
async def test_cancelled_and_timed_out_calls_leave_no_trace(
    database: SharedServer, database_url: str, seed: int, full_bars: bool
) -> None:
    """After random cancels and timeouts: right answers, whole writes, pools and server at rest."""
    wanted = FULL if full_bars else SLICE
    db, hurried = instance(database_url), instance(database_url, command_timeout=0.03)
    await db.run("ItemBulkCreateNode", data=[row(key) for key in range(SETTLED)])
    storm = Storm(db, hurried, random.Random(seed))
    left = iter(range(wanted))

    async def work() -> None:
        for _ in left:
            await storm.one()

    started = time.monotonic()
    await asyncio.gather(*(work() for _ in range(WORKERS)))
    assert await until(lambda: in_use(db) + in_use(hurried) == 0)
    await hurried.aclose()
    await storm.check()
    counted = database.name not in UNCOUNTED
    if counted:
        kept = sum(lane.idle for lane in db.pool_stats()["primary"].values())
        assert await until(lambda: database.connections(database_url) <= kept)
    await db.aclose()
    if counted:
        assert await until(lambda: database.connections(database_url) == 0)
    seconds = time.monotonic() - started
    print(f"{database.name}: {wanted} calls in {seconds:.0f} s, {dict(storm.outcomes)}")
