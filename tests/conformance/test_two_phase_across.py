from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.errors import DatabaseError, Deadlock, StatementTimeout
from dataflow_core.run.two_phase import list_prepared, prepared_transaction, roll_back_prepared

WITHOUT_DATABASES = ("sqlite",)


class Account:
    __dataflow__ = {"timestamps": False}

    id: int = field(primary_key=True)
    balance: int = 0


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[DataFlow]:
    """An instance with two accounts."""
    handle = DataFlow(database_url, command_timeout=2, validation="off")
    handle.model(type("Account", (Account,), {"__module__": __name__}))
    await handle.run("AccountBulkCreateNode", data=[{"id": 1}, {"id": 2}])
    yield handle
    await handle.aclose()


async def add(db: DataFlow, key: int) -> None:
    """Change a balance."""
    await db.run("AccountUpdateNode", filter={"id": key}, fields={"$inc": {"balance": 1}})


async def balances(db: DataFlow) -> list[int]:
    """The balances; every connection is back in its pool."""
    rows = (await db.run("AccountListNode"))["records"]
    for lane in db.pool_stats()["primary"].values():
        assert (lane.used, lane.waiting) == (0, 0)
    return [row["balance"] for row in rows]


async def test_cancelled(db: DataFlow) -> None:
    """A transaction that is cancelled before it is prepared is undone."""
    name, inside = str(uuid.uuid4()), asyncio.Event()

    async def work() -> None:
        async with prepared_transaction(db.engine(), name):
            await add(db, 1)
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await inside.wait()
    task.cancel()
    await asyncio.wait({task})
    await add(db, 1)
    assert name not in await list_prepared(db.engine())
    assert await balances(db) == [1, 0]


@pytest.mark.timeout(60)
async def test_waiting_for_each_other(db: DataFlow) -> None:
    """Of two that wait for each other one is given up and undone, and nothing of it is prepared."""
    names = [str(uuid.uuid4()) for _ in range(2)]
    both = asyncio.Barrier(2)

    async def work(name: str, first: int, second: int) -> None:
        async with prepared_transaction(db.engine(), name):
            await add(db, first)
            await both.wait()
            await add(db, second)
            raise KeyError  # the one that got both undoes it

    work_of = (work(names[0], 1, 2), work(names[1], 2, 1))
    errors = await asyncio.gather(*work_of, return_exceptions=True)
    kinds = {type(error) for error in errors}
    assert KeyError in kinds
    assert kinds <= {KeyError, Deadlock, StatementTimeout}
    found = await list_prepared(db.engine())
    assert not set(names) & set(found)
    assert await balances(db) == [0, 0]


async def test_a_name_that_is_taken(db: DataFlow) -> None:
    """A second transaction of the same name fails, and what it did is undone."""
    name = str(uuid.uuid4())
    async with prepared_transaction(db.engine(), name):
        await add(db, 1)
    with pytest.raises(DatabaseError):
        async with prepared_transaction(db.engine(), name):
            await add(db, 2)
    assert await balances(db) == [0, 0]
    await roll_back_prepared(db.engine(), name)
