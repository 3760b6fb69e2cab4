from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

from dataflow_sqlite.connection import SQLiteConnection
from dataflow_sqlite.driver import SQLiteDriver
from tests.limits import at_most
from tests.sqlite.support import SLOW, count, make_table, write_lane

Open = Callable[..., SQLiteDriver]


async def test_a_writing_transaction_locks_at_once(open_driver: Open) -> None:
    """A transaction that may write keeps other writers out from its begin, and waits for them."""
    driver = open_driver()
    first, second = await write_lane(driver), await write_lane(driver)
    await make_table(first)
    await first.begin()
    waiting = asyncio.create_task(second.begin())
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await first.commit()
    await waiting
    await second.rollback()


async def test_no_snapshot_is_lost(open_driver: Open) -> None:
    """Read-then-write beside another writer loses no update and never fails."""
    driver = open_driver()
    connections = [await write_lane(driver) for _ in range(4)]
    await connections[0].fetch("CREATE TABLE n (v INT)", ())
    await connections[0].fetch("INSERT INTO n VALUES (0)", ())

    async def add(connection: Any) -> None:
        for _ in range(25):
            await connection.begin()
            ((value,),) = await connection.fetch("SELECT v FROM n", ())
            await connection.fetch("UPDATE n SET v = ?", (value + 1,))
            await connection.commit()

    await asyncio.gather(*map(add, connections))
    ((total,),) = await connections[0].fetch("SELECT v FROM n", ())
    assert total == 100


async def test_a_schema_that_changes_meanwhile_is_read_anew(open_driver: Open) -> None:
    """A long statement is carried out though others make and drop tables all the time."""
    driver = open_driver()
    reader, maker = await write_lane(driver), await write_lane(driver)
    await make_table(reader)

    async def make_and_drop() -> None:
        for _ in range(2_000):
            await maker.fetch("CREATE TABLE more (v INT)", ())
            await maker.fetch("DROP TABLE more", ())

    making = asyncio.create_task(make_and_drop())
    for number in range(10):
        long = " OR ".join([f"(v = {number} AND v <> ?)"] * 900)
        assert await reader.fetch(f"SELECT COUNT(*) FROM t WHERE {long}", [1] * 900) == [(0,)]
    await making


async def test_waiting_for_a_lock_ends_in_time(open_driver: Open) -> None:
    """A lock that is not released is an error at the busy timeout, in execute as in fetch."""
    driver = open_driver(busy_timeout=0.3)
    first, second = await write_lane(driver), await write_lane(driver)
    await make_table(first)
    await first.begin()
    for call in (second.fetch, second.execute):
        start = time.perf_counter()
        with pytest.raises(sqlite3.OperationalError) as caught:
            await call("INSERT INTO t (v) VALUES ('a')", ())
        assert caught.value.sqlite_errorcode == sqlite3.SQLITE_BUSY
        assert 0.25 < time.perf_counter() - start < at_most(1)
    await first.rollback()


async def test_waiting_for_a_lock_can_be_cancelled(open_driver: Open) -> None:
    """A write that waits is not carried out after its cancellation."""
    driver = open_driver(busy_timeout=30)
    first, second = await write_lane(driver), await write_lane(driver)
    await make_table(first)
    await first.begin()
    waiting = asyncio.create_task(second.fetch("INSERT INTO t (v) VALUES ('a')", ()))
    await asyncio.sleep(0.1)
    start = time.perf_counter()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await second.cancel()
    assert time.perf_counter() - start < at_most(0.5)
    await first.commit()
    assert await count(first) == 0
    assert second.usable


async def test_cancel_stops_what_runs(writer: SQLiteConnection) -> None:
    """A cancelled statement stops at once, and the next one is neither delayed nor hit."""
    task = asyncio.create_task(writer.fetch(SLOW, ()))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    start = time.perf_counter()
    await writer.cancel()
    assert writer.usable
    assert list(await writer.fetch("SELECT 1", ())) == [(1,)]
    assert time.perf_counter() - start < at_most(1)


async def test_cancel_stops_what_has_not_begun(writer: SQLiteConnection) -> None:
    """A statement that is still in the queue when it is cancelled is stopped too."""
    task = asyncio.create_task(writer.fetch(SLOW, ()))
    await asyncio.sleep(0)
    task.cancel()
    start = time.perf_counter()
    await writer.cancel()
    assert time.perf_counter() - start < at_most(1)
    assert list(await writer.fetch("SELECT 1", ())) == [(1,)]


async def test_cancel_hits_no_later_statement(writer: SQLiteConnection) -> None:
    """Cancelling when the statement has just ended leaves the following ones alone."""
    await make_table(writer)
    for number in range(300):
        task = asyncio.create_task(writer.fetch("SELECT 1", ()))
        await asyncio.sleep(0 if number % 2 else 0.0001)
        task.cancel()
        await writer.cancel()
        assert await writer.execute("INSERT INTO t (v) VALUES ('a')", ()) == 1
    assert await count(writer) == 300


async def test_a_cancelled_write_takes_its_transaction_with_it(writer: SQLiteConnection) -> None:
    """After a cancelled write in a transaction, a rollback is harmless and nothing is stored."""
    await make_table(writer)
    await writer.begin()
    await writer.fetch("INSERT INTO t (v) VALUES ('a')", ())
    slow = f"INSERT INTO t (v) SELECT 'b' FROM ({SLOW})"
    task = asyncio.create_task(writer.fetch(slow, ()))
    await asyncio.sleep(0.1)
    task.cancel()
    await writer.cancel()
    await writer.rollback()
    assert not writer.in_transaction
    assert await count(writer) == 0
