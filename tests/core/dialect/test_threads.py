"""Connections in threads of their own: nothing is lost, nothing runs on, nothing stays behind."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from dataflow_core.contract import Connection, Lane, Server
from dataflow_core.dialect import SyncDriver
from dataflow_core.dialect.worker import Worker
from dataflow_core.errors import UnsupportedFeature

LANE = Lane("main")


class MemoryDriver(SyncDriver):
    """A database in memory for every connection."""

    def __init__(self) -> None:
        super().__init__("a test")
        self.closed = 0
        self.opening = threading.Event()
        self.opening.set()
        self.running = threading.Event()

    def open_connection(self, lane: Lane) -> sqlite3.Connection:
        self.opening.wait(10)
        raw = sqlite3.connect(":memory:", isolation_level=None)
        raw.create_function("pause", 1, self.pause)
        return raw

    def pause(self, seconds: float) -> int:
        self.running.set()
        time.sleep(seconds)
        return 1

    def close_connection(self, raw: Any) -> None:
        self.closed += 1
        raw.close()

    def server(self, raw: Any) -> Server:
        return Server("memory", (1, 2))


@pytest.fixture
def driver() -> MemoryDriver:
    """A driver."""
    return MemoryDriver()


@pytest.fixture
async def connection(driver: MemoryDriver) -> AsyncIterator[Connection]:
    """A connection with a table of two rows."""
    made = await driver.connect(LANE)
    await made.fetch("CREATE TABLE t (a INTEGER UNIQUE)", ())
    assert await made.execute("INSERT INTO t VALUES ($1), ($2)", (1, 2)) == 2
    yield made
    await made.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen within 10 s")


async def test_statements_give_rows_names_and_counts(connection: Connection) -> None:
    """Rows are tuples, names those of the columns, counts those of the rows written."""
    assert connection.server == Server("memory", (1, 2))
    assert await connection.fetch("SELECT a FROM t WHERE a > $1", (1,)) == [(2,)]
    assert await connection.fetch_named("SELECT a AS b FROM t", ()) == (("b",), [(1,), (2,)])
    assert await connection.execute("UPDATE t SET a = a + $1", (10,)) == 2
    assert await connection.execute("SELECT a FROM t", ()) == 2
    await connection.ping()


async def test_an_error_of_the_driver_arrives_as_it_is(connection: Connection) -> None:
    """The dialect translates it; the connection goes on."""
    with pytest.raises(sqlite3.IntegrityError):
        await connection.execute("INSERT INTO t VALUES (1)", ())
    assert connection.usable
    assert not connection.survives_errors


async def test_transactions_and_savepoints(connection: Connection) -> None:
    """What is rolled back is gone, what is committed stays."""
    await connection.begin()
    begun = connection.in_transaction
    await connection.execute("DELETE FROM t WHERE a = 1", ())
    await connection.savepoint("one")
    await connection.execute("DELETE FROM t", ())
    await connection.rollback_to("one")
    await connection.release("one")
    await connection.commit()
    assert (begun, connection.in_transaction) == (True, False)
    await connection.begin()
    await connection.execute("DELETE FROM t", ())
    await connection.rollback()
    await connection.rollback()
    assert await connection.fetch("SELECT a FROM t", ()) == [(2,)]


async def test_a_driver_without_savepoints_refuses_them() -> None:
    """Nothing is sent: the refusal names the feature."""

    class Without(MemoryDriver):
        savepoints = False

    connection = await Without().connect(LANE)
    await connection.begin()
    with pytest.raises(UnsupportedFeature) as caught:
        await connection.savepoint("one")
    assert caught.value.context["feature"] == "transactions.savepoint"
    await connection.close()


async def test_a_cancelled_connection_is_given_up_at_once(driver: MemoryDriver) -> None:
    """Without a way to interrupt nobody waits; it is closed when the statement has ended."""
    connection = await driver.connect(LANE)
    statement = asyncio.ensure_future(connection.fetch("SELECT pause(2)", ()))
    await until(driver.running.is_set)
    statement.cancel()
    await connection.cancel()
    await connection.close()
    # The statement still runs.
    assert driver.closed == 0
    assert not connection.usable
    await until(lambda: driver.closed == 1)


async def test_an_interrupted_connection_goes_on() -> None:
    """A long query stops, and the next statement works."""

    class Interruptible(MemoryDriver):
        interruptible = True

        def interrupt(self, raw: Any) -> None:
            raw.interrupt()

    connection = await Interruptible().connect(LANE)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    statement = asyncio.ensure_future(connection.fetch(endless, ()))
    await asyncio.sleep(0.05)
    statement.cancel()
    await connection.cancel()
    assert connection.usable
    assert await connection.fetch("SELECT 1", ()) == [(1,)]
    await connection.close()


async def test_what_waits_in_the_queue_is_not_run_when_cancelled(driver: MemoryDriver) -> None:
    """A statement that was cancelled before its turn never reaches the driver."""
    connection = await driver.connect(LANE)
    await connection.fetch("CREATE TABLE t (a)", ())
    first = asyncio.ensure_future(connection.fetch("SELECT pause(0.1)", ()))
    await until(driver.running.is_set)
    second = asyncio.ensure_future(connection.execute("INSERT INTO t VALUES (1)", ()))
    await asyncio.sleep(0)
    second.cancel()
    await first
    assert await connection.fetch("SELECT * FROM t", ()) == []
    await connection.close()


async def test_a_connection_that_opens_too_late_is_closed(driver: MemoryDriver) -> None:
    """Cancelling the opening leaves no connection behind."""
    driver.opening.clear()
    opening = asyncio.ensure_future(driver.connect(LANE))
    await asyncio.sleep(0.02)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    driver.opening.set()
    await until(lambda: driver.closed == 1)


async def test_a_connection_is_opened_anew_after_a_users_own_sql(connection: Connection) -> None:
    """Unless the author cleans it: nobody else gets what the session was left with."""
    await connection.reset()
    assert not connection.usable


async def test_threads_end_with_their_connections(driver: MemoryDriver) -> None:
    """A closed connection leaves no thread."""
    before = threading.active_count()
    connections = [await driver.connect(LANE) for _ in range(5)]
    for connection in connections:
        await connection.close()
    await until(lambda: threading.active_count() <= before)
    assert driver.closed == 5


async def test_a_stopped_worker_takes_no_more_calls() -> None:
    """A call after the end is refused instead of never answered."""
    worker = Worker("test")
    assert await worker.submit(lambda: 5) == 5
    worker.stop()
    worker.stop()
    with pytest.raises(RuntimeError, match="stopped"):
        worker.submit(lambda: 5)


def test_a_call_that_outlives_its_loop_harms_nobody() -> None:
    """The loop has ended when the call returns: the thread goes on to the next one."""
    worker = Worker("test")
    done = threading.Event()

    async def leave() -> None:
        worker.submit(lambda: time.sleep(0.1))
        worker.submit(done.set)

    asyncio.run(leave())
    worker.stop()
    assert done.wait(5) or worker._stopped
