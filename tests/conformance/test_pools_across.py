"""Pools on real servers: event loops and processes that come and go."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer

ROOT = Path(__file__).resolve().parents[2]
UNCOUNTED = ("sqlite", "pgbouncer")
"""A file has no connections, and a pooler keeps its own."""


class Item:
    """A number."""

    __dataflow__ = {"timestamps": False, "table": "pools_across"}

    id: int
    n: int = 0


def instance(url: str, **options: Any) -> DataFlow:
    """An instance that knows the model."""
    db = DataFlow(url, **options)
    db.model(Item, validation="off")
    return db


def opened(db: DataFlow) -> int:
    """How many connections the pools of the running loop have opened."""
    return sum(lane.opened for lane in db.pool_stats()["primary"].values())


def test_one_event_loop_after_the_other(database: SharedServer, database_url: str) -> None:
    """Each asyncio.run gets connections of its own; those of the one before are closed."""
    db = instance(database_url)

    async def work(number: int) -> int:
        await asyncio.gather(*(db.run("ItemCreateNode", n=number) for _ in range(8)))
        return int((await db.run("ItemCountNode"))["count"])

    assert [asyncio.run(work(number)) for number in range(3)] == [8, 16, 24]
    assert asyncio.run(closed_with(db, database, database_url))


async def closed_with(db: DataFlow, database: SharedServer, url: str) -> bool:
    """Close; whether no connection is left at the server."""
    await db.run("ItemCountNode")
    await db.aclose()
    deadline = time.monotonic() + 2
    while database.name not in UNCOUNTED and time.monotonic() < deadline:
        if await asyncio.to_thread(database.connections, url) == 0:
            return True
        await asyncio.sleep(0.05)
    return database.name in UNCOUNTED


def test_event_loops_beside_each_other(database_url: str) -> None:
    """Threads with loops of their own, and synchronous calls, share an instance."""
    db = instance(database_url)
    db.run_sync("ItemCountNode")
    failures: list[BaseException] = []

    async def work() -> None:
        for _ in range(5):
            made = await asyncio.gather(*(db.run("ItemCreateNode", n=n) for n in range(10)))
            read = await asyncio.gather(*(db.run("ItemReadNode", id=row["id"]) for row in made))
            assert [row["n"] for row in read] == list(range(10))

    def run() -> None:
        try:
            asyncio.run(work())
            db.run_sync("ItemCreateNode", n=10)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(25)
    assert failures == []
    assert db.run_sync("ItemCountNode")["count"] == 153
    db.close()


FORKING = """
    import asyncio, os, sys
    from tests.conformance.test_pools_across import instance, opened

    db = instance(sys.argv[1])
    loop = asyncio.new_event_loop()
    count = lambda: loop.run_until_complete(db.run("ItemCountNode"))["count"]
    create = lambda n: loop.run_until_complete(db.run("ItemCreateNode", n=n))
    create(1), count()
    before = opened(db)
    child = os.fork()
    if child == 0:
        async def work():
            await asyncio.gather(*(db.run("ItemCreateNode", n=n) for n in range(5)))
            found = (await db.run("ItemCountNode"))["count"]
            await db.aclose()
            return found
        asyncio._set_running_loop(None)
        print("child", asyncio.run(work()), flush=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    create(2)
    print("parent", count(), status, opened(db) - before)
    loop.run_until_complete(db.aclose())
"""


def test_a_forked_process_has_a_pool_of_its_own(database_url: str) -> None:
    """After a fork the child opens its own connections; the parent goes on with those it had."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORKING), database_url],
        capture_output=True, text=True, timeout=25, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["child 6", "parent 7 0 0"]


async def test_what_waits_too_long_is_told_who_has_the_connections(database_url: str) -> None:
    """The error of an exhausted pool shows where the task stands that holds the connection."""
    db = instance(database_url, pool_size=1, max_overflow=0, pool_timeout=0.2)
    await db.run("ItemCreateNode", id=1)
    holding, may_end = asyncio.Event(), asyncio.Event()

    async def hold_on() -> None:
        async with db.transaction():
            await db.run("ItemUpdateNode", id=1, fields={"n": 1})
            holding.set()
            await may_end.wait()

    holder = asyncio.create_task(hold_on(), name="who holds on")
    await holding.wait()
    with pytest.raises(Exception, match="no connection became free") as caught:
        await db.run("ItemCreateNode", id=2)
    assert "by who holds on:" in str(caught.value)
    assert f"{__file__}:" in str(caught.value)
    assert "hold_on" in str(caught.value)
    may_end.set()
    await holder
    await db.aclose()
