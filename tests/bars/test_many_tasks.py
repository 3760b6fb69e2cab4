"""Ten thousand tasks over twenty connections: scenario 9."""

from __future__ import annotations

import asyncio
import statistics
import time
import tracemalloc

import pytest

from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer

TASKS = 10_000
CONNECTIONS = 20
MEGABYTES = 200
UNCOUNTED = ("sqlite", "pgbouncer")
"""A file has no connections, and a pooler keeps its own."""


class Item:
    """A number."""

    __dataflow__ = {"timestamps": False}

    id: int
    n: int = 0


@pytest.mark.bars
@pytest.mark.timeout(120)
@pytest.mark.parametrize("coalesce", [True, False], ids=["coalesced", "alone"])
async def test_ten_thousand_tasks_over_twenty_connections(
    database: SharedServer, database_url: str, coalesce: bool, full_bars: bool
) -> None:
    """All are answered rightly and fairly, over no more connections, in little memory."""
    db = DataFlow(database_url, pool_size=CONNECTIONS, max_overflow=0, coalesce=coalesce)
    db.model(type("Item", (Item,), {"__module__": __name__}), validation="off")
    await db.run("ItemBulkCreateNode", data=[{"id": n, "n": n * 7} for n in range(1, 101)])
    waits: list[float] = []
    most = 0

    async def read(number: int) -> None:
        nonlocal most
        key, started = number % 100 + 1, time.monotonic()
        found = await db.nodes.Item.read(id=key)
        waits.append(time.monotonic() - started)
        assert found["result"] == {"id": key, "n": key * 7}
        if number % 500 == 0:
            lanes = db.pool_stats()["primary"].values()
            most = max(most, *(lane.used + lane.idle for lane in lanes))

    await read(0)
    tracemalloc.start()
    try:
        await asyncio.gather(*map(read, range(TASKS)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(waits) == TASKS + 1
    assert most <= CONNECTIONS
    # How long each waited is told by a machine that has nothing else to do.
    assert not full_bars or max(waits) <= 3 * statistics.median(waits) + 0.05
    assert peak <= MEGABYTES * 1_000_000
    lanes = db.pool_stats()["primary"].values()
    assert all((lane.used, lane.waiting) == (0, 0) for lane in lanes)
    if database.name not in UNCOUNTED:
        assert await asyncio.to_thread(database.connections, database_url) <= CONNECTIONS
    await db.aclose()


@pytest.mark.timeout(120)
async def test_a_thousand_wait_in_order(database_url: str) -> None:
    """Transactions that wait for a connection begin in the order in which they were asked for."""
    db = DataFlow(database_url, pool_size=1, max_overflow=0)
    db.model(type("Item", (Item,), {"__module__": __name__}), validation="off")
    await db.run("ItemCreateNode", id=1)
    begun: list[int] = []

    async def work(number: int) -> None:
        async with db.transaction():
            begun.append(number)
            await db.run("ItemReadNode", id=1)

    await asyncio.gather(*map(work, range(1_000)))
    assert begun == list(range(1_000))
    await db.aclose()
