"""Coalesced writes on real servers whose answer does not come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.errors import ConnectionLost, DataFlowError, StatementTimeout
from dataflow_core.run.observing import EachStatement

# One writer at a time has a file to itself; a pooler is not told whose connection ends.
WITHOUT_DATABASES = ("sqlite", "pgbouncer")


class Item:
    """A number."""

    __dataflow__ = {"timestamps": False, "table": "coalescing_across"}

    id: int
    n: int = 0


def instance(url: str, **options: Any) -> DataFlow:
    """An instance that knows the model."""
    db = DataFlow(url, **options)
    db.model(Item, validation="off")
    return db


@pytest.fixture
def other(database_url: str) -> Iterator[DataFlow]:
    """Somebody else at the same database."""
    db = instance(database_url)
    db.run_sync("ItemCountNode")
    yield db
    db.close()


@asynccontextmanager
async def key_taken(other: DataFlow, key: int) -> AsyncIterator[None]:
    """Within: a row with a key is written, and whoever writes the same one has to wait."""
    written, may_end = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        try:
            async with other.transaction():
                await other.run("ItemCreateNode", id=key)
                written.set()
                await may_end.wait()
                raise LookupError
        except (LookupError, DataFlowError):
            pass

    holder = asyncio.create_task(hold())
    await written.wait()
    yield
    may_end.set()
    await holder


async def outcomes(db: DataFlow) -> asyncio.Future[list[Any]]:
    """Creates of one turn, of which all but the first wait for somebody else."""
    await db.run("ItemCreateNode", id=1)
    calls = (db.run("ItemCreateNode", id=key) for key in (2, 50, 51, 52, 53))
    return asyncio.gather(*calls, return_exceptions=True)


async def test_a_lost_connection_leaves_each_outcome_unknown(
    database: SharedServer, database_url: str, other: DataFlow
) -> None:
    """Whoever's shared statement was cut off hears so, and no row is sent a second time."""
    db = instance(database_url)
    sent: list[str] = []
    db.engine().observe(EachStatement(lambda sql, _: sent.append(sql)))
    async with key_taken(other, 52):
        calls = await outcomes(db)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(database.kill_connections, database_url)
        made = await asyncio.wait_for(calls, 10)
    assert made[0]["id"] == 2
    # That of the row before, that of the first of the turn, and the shared one.
    assert len([sql for sql in sent if "INSERT INTO" in sql]) == 3
    stored = [row["id"] for row in (await db.run("ItemListNode", filter={}))["records"]]
    if isinstance(made[1], dict):
        # The server ended the one who held the key first, and the statement was quicker.
        assert [row["id"] for row in made[1:]] == [50, 51, 52, 53]
        assert stored == [1, 2, 50, 51, 52, 53]
    else:
        assert [type(error) for error in made[1:]] == [ConnectionLost] * 4
        assert [error.outcome for error in made[1:]] == ["unknown"] * 4
        assert len({id(error) for error in made[1:]}) == 4
        assert stored == [1, 2]
    await db.aclose()


async def test_a_timeout_leaves_each_outcome_unknown(database_url: str, other: DataFlow) -> None:
    """A shared statement has the limit of any other; what is stopped is stopped for all."""
    db = instance(database_url, command_timeout=0.5)
    async with key_taken(other, 52):
        calls = await outcomes(db)
        made = await asyncio.wait_for(calls, 10)
    assert made[0]["id"] == 2
    assert [type(error) for error in made[1:]] == [StatementTimeout] * 4
    assert [error.outcome for error in made[1:]] == ["unknown"] * 4
    stored = await db.run("ItemListNode", filter={})
    assert [row["id"] for row in stored["records"]] == [1, 2]
    await db.aclose()


async def test_the_last_caller_that_leaves_stops_the_statement(
    database_url: str, other: DataFlow
) -> None:
    """Where all callers are cancelled, the statement ends with them, and nothing is stored."""
    db = instance(database_url)
    await db.run("ItemCreateNode", id=1)

    async def create(key: int) -> Any:
        return await db.run("ItemCreateNode", id=key)

    async with key_taken(other, 52):
        tasks = [asyncio.create_task(create(key)) for key in (2, 50, 51, 52)]
        await asyncio.sleep(0.3)
        for task in tasks[1:3]:
            task.cancel()
        await asyncio.wait(tasks[1:3], timeout=5)
        # One still waits, so it is still under way.
        assert sum(lane.used for lane in db.pool_stats()["primary"].values()) == 1
        tasks[3].cancel()
        await asyncio.wait(tasks, timeout=5)
        assert sum(lane.used for lane in db.pool_stats()["primary"].values()) == 0
    assert [task.cancelled() for task in tasks] == [False, True, True, True]
    stored = await db.run("ItemListNode", filter={})
    assert [row["id"] for row in stored["records"]] == [1, 2]
    await db.aclose()
