from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from dataflow_core.errors import ConnectionLost, DataFlowError
from tests.faults.load import Load, create, instance, serving
from tests.limits import at_most

WITHOUT_DATABASES = ("sqlite", "pgbouncer")


@pytest.mark.bars
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", ["killed", "stopped"])
async def test_no_acknowledged_write_is_lost(
    way: str, own_server: Any, own_url: str, full_bars: bool
) -> None:
    """A server that is killed, or stopped in good order, and started again under 40 writers loses
    no acknowledged write.

    Each failed write says rightly whether it was done, nothing is half done, and the pool serves
    again within two seconds.
    """
    load = Load(instance(own_url))
    waits = []
    async with load.running():
        for _ in range(8 if full_bars else 2 if way == "killed" else 1):
            await asyncio.sleep(2 if full_bars else 0.7)
            if way == "killed":
                await asyncio.to_thread(own_server.kill)
            await asyncio.to_thread(own_server.restart)
            waits.append(await serving(load.db, time.monotonic()))
    print(f"{own_server.description}: {way} {len(waits)} times, {await load.check()}")
    print(f"served again after {', '.join(f'{wait:.2f} s' for wait in waits)}")
    assert load.errors, "no write was hit"
    await load.db.aclose()


@pytest.mark.timeout(60)
async def test_a_transaction_that_the_server_did_not_survive(own_server: Any, own_url: str) -> None:
    """The caller learns within a second that nothing was done, and the next transaction works."""
    db = instance(own_url)
    started = 0.0
    with pytest.raises(ConnectionLost) as caught:
        async with db.transaction():
            await db.run("EntryCreateNode", values=create(1))
            await asyncio.to_thread(own_server.kill)
            started = time.monotonic()
            await db.run("EntryCreateNode", values=create(2))
    assert time.monotonic() - started < at_most(1)
    assert (caught.value.outcome, caught.value.retryable) == ("not done", True)
    with pytest.raises(DataFlowError) as refused:
        await db.run("EntryCreateNode", values=create(3))
    assert refused.value.outcome == "not done"
    await asyncio.to_thread(own_server.restart)
    await serving(db, time.monotonic())
    async with db.transaction():
        await db.run("EntryCreateNode", values=create(4))
    rows = (await db.run("EntryListNode", filter={}))["records"]
    assert [row["id"] for row in rows] == [4]
    await db.aclose()


@pytest.mark.timeout(60)
async def test_idle_connections_that_a_restart_ended(own_server: Any, own_url: str) -> None:
    """After a restart with a pool full of idle connections no caller sees an error."""
    db = instance(own_url)
    await fill(db)
    await asyncio.to_thread(own_server.kill)
    await asyncio.to_thread(own_server.restart)
    await asyncio.gather(*work(db, 60))
    assert (await db.run("EntryCountNode", filter={}))["count"] == 40
    await db.aclose()


@pytest.mark.timeout(60)
async def test_idle_connections_that_the_server_ended(own_server: Any, own_url: str) -> None:
    """Nor after the server ended every idle connection."""
    db = instance(own_url)
    await fill(db)
    for round_ in range(3):
        assert await asyncio.to_thread(own_server.kill_connections, own_url) > 0
        # The server only marks them at first; whoever writes meanwhile cannot know what he hit.
        await asyncio.sleep(0.3)
        await asyncio.gather(*work(db, 60, first=1_000 * round_))
    assert (await db.run("EntryCountNode", filter={}))["count"] == 3 * 40
    await db.aclose()


@pytest.mark.timeout(60)
async def test_connections_that_died_unseen(own_server: Any, own_url: str) -> None:
    """Where nobody could see yet that a connection is dead, reads and transactions are sent again.

    A write that had been sent is not: it says that its outcome is unknown, and is not there twice.
    """
    db = instance(own_url, pool_size=4)
    await db.run("EntryCreateNode", values=create(1))
    for key in range(2, 6):
        # Not in a thread: the event loop has no chance to see the end of the connections.
        own_server.kill_connections(own_url)
        assert (await db.run("EntryReadNode", id=1))["value"] == create(1)["value"]
        own_server.kill_connections(own_url)
        async with db.transaction():
            await db.run("EntryCreateNode", values=create(key))
    own_server.kill_connections(own_url)
    try:
        await db.run("EntryCreateNode", values=create(100))
        told = "done"
    except ConnectionLost as error:
        assert error.outcome == "unknown"
        told = error.outcome
    rows = (await db.run("EntryListNode", filter={}))["records"]
    keys = [row["id"] for row in rows]
    assert keys[:5] == [1, 2, 3, 4, 5]
    assert keys[5:] in ([[100]] if told == "done" else [[], [100]])
    await db.aclose()


async def fill(db: Any) -> None:
    """Open as many connections as the pool may have."""

    async def use() -> None:
        async with db.transaction(read_only=True):
            await db.run("EntryCountNode", filter={})
            await asyncio.sleep(0.05)

    await asyncio.gather(*(use() for _ in range(20)))
    assert sum(lane.idle for lane in db.pool_stats()["primary"].values()) == 20


def work(db: Any, number: int, *, first: int = 0) -> list[Any]:
    """Reads, creates and transactions; two in three create a row."""

    async def transaction(key: int) -> None:
        async with db.transaction():
            await db.run("EntryCreateNode", values=create(key))

    calls = []
    for key in range(first + 1, first + number + 1):
        if key % 3 == 0:
            calls.append(db.run("EntryCountNode", filter={"id": key}))
        elif key % 3 == 1:
            calls.append(db.run("EntryCreateNode", values=create(key)))
        else:
            calls.append(transaction(key))
    return calls
