"""Who holds the connections of a pool that has none left."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from dataflow_core.errors import PoolTimeout
from tests.core.run.fakes import Server, give_back


@pytest.fixture
def server() -> Server:
    """What is connected to."""
    return Server()


async def test_who_gets_no_connection_is_told_who_has_them(server: Server) -> None:
    """The error of an exhausted pool names each borrower, for how long, and where it stands."""
    pool = server.pool(2, timeout=0.05)
    secret = "a value that nobody else may see"

    async def hold(value: str) -> None:
        connection = pool.take() or await pool.acquire()
        try:
            await sleeping_inside(value)
        finally:
            await give_back(pool, connection)

    async def sleeping_inside(value: str) -> None:
        await asyncio.sleep(60)

    pool.release(await pool.acquire())
    holders = [asyncio.create_task(hold(secret), name=f"holder {n}") for n in range(2)]
    await asyncio.sleep(0.01)
    with pytest.raises(PoolTimeout) as caught:
        await pool.acquire()
    borrowers = caught.value.context["borrowers"]
    assert [one["task"] for one in borrowers] == ["holder 0", "holder 1"]
    for borrower in borrowers:
        assert 0.05 <= borrower["seconds"] < 1
        outer, inner, *_ = borrower["stack"]
        assert "test_borrowers.py:" in outer
        assert outer.endswith("hold")
        assert inner.endswith("sleeping_inside")
    text = str(caught.value)
    assert "by holder 1:" in text
    assert "sleeping_inside" in text
    assert secret not in text + repr(caught.value.to_dict())
    for holder in holders:
        holder.cancel()
    await asyncio.gather(*holders, return_exceptions=True)
    assert (pool.statistics.used, pool.statistics.idle) == (0, 2)


async def test_a_borrower_that_has_ended_is_told_too(server: Server) -> None:
    """A connection that was never given back is told by the name of the task that took it."""
    pool = server.pool(1, timeout=0.02)
    await asyncio.create_task(pool.acquire(), name="forgetful")
    with pytest.raises(PoolTimeout) as caught:
        await pool.acquire()
    assert [(one["task"], one["stack"]) for one in caught.value.context["borrowers"]] == [
        ("forgetful", [])
    ]


async def test_a_pool_keeps_nobody_alive(server: Server) -> None:
    """A task that has given its connection back is no longer known to the pool."""
    pool = server.pool(1)

    async def use() -> None:
        pool.release(pool.take() or await pool.acquire())

    task = asyncio.create_task(use())
    await task
    gone = weakref.ref(task)
    del task
    # The loop, too, has to let go of it.
    await asyncio.sleep(0)
    gc.collect()
    assert gone() is None
