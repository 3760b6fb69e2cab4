from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Any

import pytest

from tests.limits import at_most
from tests.mysql.support import SLOW, connected, count, driver_of, make_table, until, value

BOTH_WAYS = pytest.mark.parametrize("fast", [True, False])


async def running(other: Any) -> list[str]:
    """What other connections of the database are doing."""
    rows = await other.fetch(
        "SELECT info FROM information_schema.processlist"
        " WHERE db = DATABASE() AND id <> CONNECTION_ID() AND info IS NOT NULL",
        (),
    )
    return [row[0] for row in rows]


async def nothing_runs(other: Any) -> bool:
    """Whether other connections are doing nothing."""
    return not await running(other)


async def interrupted(connection: Any, sql: str, after: float) -> None:
    """Run a statement, cancel it, and stop it."""
    task = asyncio.ensure_future(connection.fetch(sql, ()))
    await asyncio.sleep(after)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await connection.cancel()


@BOTH_WAYS
async def test_a_cancelled_statement_is_stopped(connect: Any, fast: bool) -> None:
    """A statement that is given up ends at the server too, soon; the caller learns that it was
    cancelled."""
    connection, other = await connect(fast=fast), await connect()
    started = time.monotonic()
    await interrupted(connection, SLOW, 0.1)
    assert time.monotonic() - started < at_most(1.5)
    await until(lambda: nothing_runs(other), 2)
    assert connection.usable is fast
    if fast:
        assert await value(connection, "SELECT 'next'") == "next"
        assert not connection.in_transaction


async def test_a_large_result_is_read_to_its_end(connection: Any) -> None:
    """Cancelled in the midst of a result, the connection still answers the next statement."""
    sql = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)"
        " SELECT a.i, REPEAT('x', 500) FROM n a, n b"
    )
    for number in range(5):
        await interrupted(connection, sql, 0.03 * (number + 1))
        assert connection.usable
        assert await value(connection, "SELECT ?", number) == number


async def test_cancelled_within_a_transaction(connect: Any) -> None:
    """The statement is undone and the transaction is still there."""
    connection, other = await connect(), await connect()
    await make_table(connection)
    await connection.begin()
    await connection.fetch("INSERT INTO t (v) VALUES ('kept')", ())
    slow = (
        "INSERT INTO t (v) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 900) SELECT COUNT(*) FROM n a, n b, n c"
    )
    await interrupted(connection, slow, 0.1)
    assert connection.in_transaction
    await connection.commit()
    assert await count(other) == 1


async def test_cancelled_while_it_waits_for_a_lock(connect: Any) -> None:
    """A statement that waits for a lock gives up waiting, and its own locks are released."""
    connection, holder, third = await connect(), await connect(), await connect()
    await make_table(connection)
    await connection.fetch("INSERT INTO t VALUES (1, 'a'), (2, 'b')", ())
    await holder.begin()
    await holder.fetch("UPDATE t SET v = 'x' WHERE id = 2", ())
    await connection.begin()
    await connection.fetch("UPDATE t SET v = 'y' WHERE id = 1", ())
    await interrupted(connection, "UPDATE t SET v = 'y' WHERE id = 2", 0.1)
    await connection.rollback()
    await third.fetch("SET innodb_lock_wait_timeout = 1", ())
    assert await third.execute("UPDATE t SET v = 'z' WHERE id = 1", ()) == 1
    await holder.rollback()


async def test_nothing_to_stop(connection: Any) -> None:
    """Without a statement under way there is nothing to do, also between two transactions."""
    await connection.cancel()
    assert connection.usable
    task = asyncio.ensure_future(connection.begin(isolation="serializable"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await connection.cancel()
    assert connection.usable and not connection.in_transaction
    await connection.begin()
    isolation = "SELECT @@tx_isolation"
    if connection.server.name == "MySQL":
        isolation = "SELECT @@transaction_isolation"
    assert await value(connection, isolation) == "READ-COMMITTED"
    await connection.rollback()


async def test_the_isolation_of_a_begin_that_was_cancelled_does_not_stay(connect: Any) -> None:
    """An isolation set for a transaction that was never begun does not reach the next one."""
    connection, other = await connect(), await connect()
    await make_table(connection)
    for number in range(30):
        task = asyncio.ensure_future(connection.begin(isolation="repeatable read"))
        await asyncio.sleep(number * 0.00002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await connection.cancel()
        assert connection.usable
        await connection.rollback()
        await connection.begin()
        before = await count(connection)
        await other.fetch("INSERT INTO t (v) VALUES ('x')", ())
        assert await count(connection) == before + 1
        await connection.rollback()


async def test_a_storm_of_cancellations(mysql_server: Any, mysql_url: str, seed: int) -> None:
    """Whenever a statement is cancelled, later answers belong to their statements, nothing runs on
    at the server and no connection is left."""
    chooser = random.Random(seed)
    driver = driver_of(mysql_url)
    connection = await connected(driver)
    kept = 0
    for number in range(300):
        if not connection.usable:
            await connection.close()
            connection = await connected(driver)
        sql = chooser.choice(
            ("SELECT ?", "SELECT ? FROM (SELECT SLEEP(0.002)) AS s", "SELECT ? UNION SELECT 1")
        )
        task = asyncio.ensure_future(connection.fetch(sql, (f"wrong {number}",)))
        await asyncio.sleep(chooser.random() * 0.003)
        task.cancel()
        try:
            assert (await task)[0] == (f"wrong {number}",)
        except asyncio.CancelledError:
            await connection.cancel()
        if connection.usable:
            kept += 1
            assert await value(connection, "SELECT ?", number) == number
    assert kept > 290
    assert await running(connection) == []
    await connection.close()
    await driver.close()
    await until(lambda: mysql_server.connections(mysql_url) == 0)


async def test_another_server_behind_the_same_address(
    connect: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the second connection leads to another server, nobody's statement is stopped there."""
    from attrs import evolve

    connection, other = await connect(), await connect()
    opened = connection._opened
    connection._opened = evolve(opened, identity=("elsewhere", 1, 1))
    with caplog.at_level(logging.WARNING, "dataflow.mysql"):
        await interrupted(connection, "SELECT SLEEP(3)", 0.05)
    assert "goes on" in caplog.text
    assert not connection.usable
    assert await running(other) == ["SELECT SLEEP(3)"]
    # Closed from this side, it ends with its statement; the test does not wait for it.
    await other.fetch(f"KILL CONNECTION {opened.number}", ())


async def test_a_network_that_swallows_everything(
    mysql_server: Any, mysql_url: str, connect: Any
) -> None:
    """Without any answer from the server, stopping takes no longer than its share of the limit."""
    other = await connect()
    driver = driver_of(mysql_url, timeout=2)
    connection = await connected(driver)
    connection._wire._transport.pause_reading()

    async def never(*_: Any) -> Any:
        await asyncio.sleep(60)

    driver.stop = lambda *_: asyncio.ensure_future(never())  # type: ignore[method-assign]
    task = asyncio.ensure_future(connection.fetch("SELECT 1", ()))
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    started = time.monotonic()
    await connection.cancel()
    assert time.monotonic() - started < at_most(0.5)
    assert not connection.usable
    await connection.close()
    assert await value(other, "SELECT 1") == 1
    for pending in asyncio.all_tasks() - {asyncio.current_task()}:
        if "never" in repr(pending):
            pending.cancel()
