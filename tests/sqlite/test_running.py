"""Cancelling, time limits, event loops, threads and processes: the pool stays what it was."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dataflow_core import AsyncLocalRuntime, DataFlow, LocalRuntime
from dataflow_core.errors import ConnectionFailed, PoolTimeout, StatementTimeout
from tests.sqlite.shop import idle, people, register
from tests.sqlite.support import SLOW

ROOT = Path(__file__).parents[2]


async def slow(db: DataFlow) -> Any:
    """A statement that would take minutes."""
    return await db.run("SQLNode", sql=SLOW)


async def test_cancelled_calls_leave_the_pool_clean(db, seed):
    """300 calls cancelled at any moment, reads, writes and transactions: all answers stay right."""
    await people(db, 50)
    chance = random.Random(seed)

    async def work(number: int) -> None:
        kind = number % 4
        if kind == 0:
            await slow(db)
        elif kind == 1:
            await db.nodes.User.list(filter={"age": {"$gt": number % 50}})
        elif kind == 2:
            await db.nodes.Tag.bulk_create(
                data=({"scope": f"s{number}", "name": f"{at}"} for at in range(3_000))
            )
        else:
            async with db.transaction():
                await db.nodes.Tag.create(scope="t", name=f"{number}a")
                await asyncio.sleep(0.001)
                await db.nodes.Tag.create(scope="t", name=f"{number}b")

    for number in range(300):
        task = asyncio.create_task(work(number))
        await asyncio.sleep(chance.random() * 0.006)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert idle(db)
        if number % 10 == 0:
            row = await db.nodes.User.read(filter={"age": number % 50})
            assert row["name"] == f"u{number % 50}"
    groups = await db.nodes.Tag.list(aggregate=[{"$group": {"_id": "$scope", "n": {"$sum": 1}}}])
    counts = {group["_id"]: group["n"] for group in groups["records"]}
    # Each transaction and each bulk is there in whole or not at all.
    assert counts.pop("t", 0) % 2 == 0
    assert set(counts.values()) <= {3_000}


async def test_a_statement_that_takes_too_long_is_stopped(tmp_path):
    """``command_timeout`` stops a statement, says DF-506, and the next call works at once."""
    for url in (":memory:", f"sqlite:///{tmp_path / 'a.db'}"):
        async with register(DataFlow(url, command_timeout=0.2)) as db:
            await people(db, 1)
            start = time.monotonic()
            with pytest.raises(StatementTimeout) as caught:
                await slow(db)
            assert 0.15 < time.monotonic() - start < 5
            assert caught.value.code == "DF-506"
            assert idle(db)
            assert (await db.nodes.User.count())["count"] == 1
            with pytest.raises(StatementTimeout):
                async with db.transaction():
                    await db.nodes.User.create(name="a")
                    await slow(db)
            assert (await db.nodes.User.count())["count"] == 1
            assert idle(db)


async def test_a_time_limit_of_the_caller_is_a_cancellation(db):
    """``asyncio.timeout`` around a call ends it, and what it did, at once."""
    await people(db, 1)
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await slow(db)
    assert time.monotonic() - start < 5
    assert (await db.nodes.User.count())["count"] == 1


async def test_waiting_for_a_connection_ends(tmp_path):
    """A pool whose one writer is busy refuses after ``pool_timeout``; readers go on."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    async with register(DataFlow(url, pool_timeout=0.2)) as db:
        await people(db, 1)
        inside, leave = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with db.transaction():
                inside.set()
                await leave.wait()

        holder = asyncio.create_task(hold())
        await inside.wait()
        with pytest.raises(PoolTimeout) as caught:
            await db.nodes.User.create(name="a")
        assert caught.value.code == "DF-505"
        assert (await db.nodes.User.count())["count"] == 1
        leave.set()
        await holder
        await db.nodes.User.create(name="a")
        assert idle(db)


async def test_many_callers_at_once(db):
    """A thousand calls at once share a few connections, and each gets its own answer."""
    await people(db, 20)

    async def one(number: int) -> bool:
        row = await db.nodes.User.read(filter={"age": number % 20})
        return bool(row["name"] == f"u{number % 20}")

    assert all(await asyncio.gather(*(one(number) for number in range(1_000))))


@pytest.mark.parametrize("place", ["memory", "file"])
def test_every_way_to_run_in_one_process(tmp_path, place):
    """``asyncio.run`` twice, the synchronous face and both runtimes share one database."""
    url = ":memory:" if place == "memory" else f"sqlite:///{tmp_path / 'a.db'}"
    db = register(DataFlow(url, synchronous="OFF"))
    workflow = db.workflow()
    workflow.add_node("UserCreateNode", "create", {"name": "w"})
    built = workflow.build()

    async def create() -> int:
        await AsyncLocalRuntime().execute(built)
        return int((await db.nodes.User.count())["count"])

    assert asyncio.run(create()) == 1
    assert asyncio.run(create()) == 2
    LocalRuntime().execute(built)
    assert db.run_sync("UserCountNode")["count"] == 3
    assert asyncio.run(create()) == 4
    before = threading.active_count()
    for _ in range(5):
        asyncio.run(create())
    # Loops that ended leave no connections behind.
    assert threading.active_count() <= before + 4
    assert db.run_sync("UserCountNode")["count"] == 9
    db.close()


@pytest.mark.parametrize("place", ["memory", "file"])
def test_threads_share_an_instance(tmp_path, place):
    """Threads, each with its own event loop or none, use one instance from its first call on."""
    url = ":memory:" if place == "memory" else f"sqlite:///{tmp_path / 'a.db'}"
    db = register(DataFlow(url, synchronous="OFF"))
    errors: list[BaseException] = []

    async def several(number: int) -> None:
        for at in range(10):
            await db.nodes.User.create(name=f"t{number}-{at}")
            async with db.transaction():
                await db.nodes.Tag.create(scope=f"{number}", name=f"{at}")

    def work(number: int) -> None:
        try:
            if number % 2:
                asyncio.run(several(number))
            else:
                for at in range(10):
                    db.run_sync("UserCreateNode", name=f"t{number}-{at}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(25)
    assert errors == []
    assert db.run_sync("UserCountNode")["count"] == 40
    assert db.run_sync("TagCountNode")["count"] == 20
    db.close()


def run_program(text: str, *arguments: str) -> str:
    """Run a program in a process of its own; what it prints."""
    program = textwrap.dedent(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, timeout=25, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_forked_child_opens_its_own_connections(tmp_path):
    """After a fork both go on with a file; a database in memory is refused in the child."""
    printed = run_program(
        """
        import os, sys
        from dataflow_core import DataFlow
        from tests.sqlite.shop import User
        db, memory = DataFlow("sqlite:///" + sys.argv[1]), DataFlow()
        for one in (db, memory):
            one.model(User)
            one.run_sync("UserCreateNode", name="parent")
        child = os.fork()
        if child == 0:
            db.run_sync("UserCreateNode", name="child")
            print("child", db.run_sync("UserCountNode")["count"], flush=True)
            try:
                memory.run_sync("UserCountNode")
            except Exception as error:
                print(type(error).__name__, flush=True)
            db.close()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print("status", status)
        db.run_sync("UserCreateNode", name="parent again")
        print("parent", db.run_sync("UserCountNode")["count"])
        print("memory", memory.run_sync("UserCountNode")["count"])
        db.close()
        """,
        str(tmp_path / "a.db"),
    )
    assert printed.splitlines() == [
        "child 2", ConnectionFailed.__name__, "status 0", "parent 3", "memory 1",
    ]  # fmt: skip


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.05])
def test_a_process_killed_in_mid_bulk_leaves_nothing(tmp_path, moment):
    """Killing the process while it writes rows leaves none of them, and a sound file."""
    path = tmp_path / "a.db"
    printed = run_program(
        """
        import os, signal, sys, threading, time
        from dataflow_core import DataFlow
        from tests.sqlite.shop import User
        if os.fork() == 0:
            db = DataFlow("sqlite:///" + sys.argv[1])
            db.model(User)
            db.run_sync("UserCreateNode", name="before")
            def rows():
                for at in range(10**9):
                    if at == 20_000:
                        kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
                        threading.Timer(float(sys.argv[2]), kill).start()
                    yield {"name": f"u{at}"}
            db.run_sync("UserBulkCreateNode", data=rows())
        print(os.wait()[1])
        """,
        str(path),
        str(moment),
    )
    assert printed.strip() == "9"
    with register(DataFlow(f"sqlite:///{path}")) as db:
        assert db.run_sync("UserCountNode")["count"] == 1
        checked = db.run_sync("SQLNode", sql="PRAGMA integrity_check")
        assert checked["result"] == [{"integrity_check": "ok"}]
