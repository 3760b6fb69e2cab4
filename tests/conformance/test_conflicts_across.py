from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import Any

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.errors import (
    DatabaseError,
    Deadlock,
    LockTimeout,
    SerializationFailure,
    StatementTimeout,
)

WITHOUT_DATABASES = ("pgbouncer",)


class Account:
    __dataflow__ = {"timestamps": False}

    id: int = field(primary_key=True)
    name: str | None = field(default=None, unique=True)
    balance: int = 0
    items: list | None = None


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[DataFlow]:
    """An instance with two accounts."""
    handle = DataFlow(database_url, pool_size=10)
    handle.model(type("Account", (Account,), {"__module__": __name__}), validation="off")
    await handle.run("AccountBulkCreateNode", data=[{"id": 1}, {"id": 2}])
    yield handle
    await handle.aclose()


async def failures(work: list[Awaitable[Any]]) -> list[BaseException]:
    """What went wrong of several things done at once."""
    results = await asyncio.gather(*work, return_exceptions=True)
    return [result for result in results if isinstance(result, BaseException)]


def fields_of(error: DatabaseError) -> dict[str, Any]:
    """What a program sees of an error that has no columns."""
    return {"code": error.code, "outcome": error.outcome, "retryable": error.retryable}


async def add(db: DataFlow, key: int, amount: int) -> None:
    """Change a balance by an operator."""
    await db.run("AccountUpdateNode", filter={"id": key}, fields={"$inc": {"balance": amount}})


@pytest.mark.timeout(120)
async def test_transactions_that_wait_for_each_other(db: DataFlow) -> None:
    """Eight workers that lock two rows in opposite order: each ends within 8 attempts, none lost.

    Where transactions can wait for each other, some are ended; each of these says `Deadlock`, and
    that nothing was done. SQLite lets one write after the other.
    """
    ended: list[DatabaseError] = []

    async def work(number: int) -> int:
        order = (1, 2) if number % 2 else (2, 1)
        for attempt in range(1, 100):
            try:
                async with db.transaction():
                    await add(db, order[0], 1)
                    await asyncio.sleep(0.02)
                    await add(db, order[1], 1)
                return attempt
            except (Deadlock, SerializationFailure, LockTimeout) as error:
                ended.append(error)
                # At random, and longer each time, else the same ones meet again.
                await asyncio.sleep(random.uniform(0, 0.1 * 2**attempt))
        raise AssertionError("never ended")

    attempts = await asyncio.gather(*(work(number) for number in range(8)))
    rows = (await db.run("AccountListNode", order_by=["id"]))["records"]
    assert [row["balance"] for row in rows] == [8, 8]
    assert max(attempts) <= 8
    assert bool(ended) == (db.url.scheme != "sqlite")
    for error in ended:
        assert fields_of(error) == {"code": Deadlock.code, "outcome": "not done", "retryable": True}


@pytest.mark.timeout(60)
async def test_no_update_is_lost(db: DataFlow) -> None:
    """Sixteen tasks change one row by `$inc` and inside its list, and nothing is lost."""
    await db.run("AccountUpdateNode", filter={"id": 1}, fields={"items": []})

    async def change(number: int) -> None:
        await add(db, 1, 1)
        change = {"$push": {"items": number}}
        await db.run("AccountUpdateNode", filter={"id": 1}, fields=change)
        await db.run("AccountBulkUpdateNode", filter={"id": 1}, fields={"$inc": {"balance": 1}})

    assert await failures([change(number) for number in range(16)]) == []
    row = await db.run("AccountReadNode", id=1)
    assert row["balance"] == 32
    assert sorted(row["items"]) == list(range(16))


@pytest.mark.timeout(60)
async def test_upserts_of_one_key_insert_once(db: DataFlow) -> None:
    """Of tasks that upsert one key at once exactly one inserts, and the others update."""
    for round_ in range(5):
        name = f"round {round_}"

        async def upsert(number: int, name: str = name, first: int = 100 * (round_ + 1)) -> bool:
            values = {"id": first + number, "name": name, "balance": number}
            result = await db.run(
                "AccountUpsertNode", values=values, match_fields=["name"], update_fields=["balance"]
            )
            return bool(result["created"])

        created = await asyncio.gather(*(upsert(number) for number in range(12)))
        assert sum(created) == 1
        count = await db.run("AccountCountNode", filter={"name": name})
        assert count["count"] == 1


@pytest.mark.timeout(60)
async def test_transactions_that_cannot_be_put_in_an_order(db: DataFlow) -> None:
    """Two serializable transactions that each write what the other has read: one of them fails.

    It is `SerializationFailure` or `Deadlock`, with nothing done and worth another try; or the
    second one waits and reads what the first has written.
    """
    both = asyncio.Barrier(2)

    async def move(source: int, target: int) -> None:
        async with db.transaction(isolation="serializable"):
            read = await db.run("AccountReadNode", id=source)
            with suppress(TimeoutError, asyncio.BrokenBarrierError):
                await asyncio.wait_for(both.wait(), 0.3)
            fields = {"balance": read["balance"] + 1}
            await db.run("AccountUpdateNode", filter={"id": target}, fields=fields)

    errors = await failures([move(1, 2), move(2, 1)])
    rows = (await db.run("AccountListNode", order_by=["id"]))["records"]
    balances = [row["balance"] for row in rows]
    if errors:
        [error] = errors
        assert isinstance(error, SerializationFailure | Deadlock)
        assert (error.outcome, error.retryable) == ("not done", True)
        assert sorted(balances) == [0, 1]
    else:
        assert sorted(balances) == [1, 2]


@pytest.mark.timeout(60)
async def test_a_wait_for_a_lock_ends_in_time(db: DataFlow, database_url: str) -> None:
    """A statement that waits for a row of another transaction ends at `command_timeout`.

    It says `StatementTimeout`, and what it was to change is as it was.
    """
    hurried = DataFlow(database_url, command_timeout=0.5)
    hurried.model(type("Account", (Account,), {"__module__": __name__}), validation="off")
    try:
        await hurried.run("AccountCountNode")
        async with db.transaction():
            await add(db, 1, 1)
            loop = asyncio.get_running_loop()
            started = loop.time()
            change = {"$inc": {"balance": 10}}
            with pytest.raises(StatementTimeout) as caught:
                await hurried.run("AccountBulkUpdateNode", filter={"id": 1}, fields=change)
            assert 0.4 < loop.time() - started < 1.5
            single = caught.value.outcome
            with pytest.raises(StatementTimeout) as caught:
                async with hurried.transaction():
                    await add(hurried, 1, 10)
        # A single write may be done at the very last moment, a transaction is never committed.
        assert (single, caught.value.outcome) == ("unknown", "not done")
        assert (await hurried.run("AccountReadNode", id=1))["balance"] == 1
    finally:
        await hurried.aclose()
