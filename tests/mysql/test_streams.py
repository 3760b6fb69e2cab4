"""Streams that are read unbuffered: the server waits, and the connection stays in order."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from dataflow_mysql.protocol.failures import ConnectionGone, ServerError
from dataflow_mysql.streaming import StreamingWire
from tests.limits import at_most
from tests.mysql.support import SLOW, make_table, until, value
from tests.mysql.test_cancelling import BOTH_WAYS, nothing_runs


def numbers(count: int, width: int = 1_000) -> str:
    """So many rows: a number and some text."""
    return (
        "WITH RECURSIVE d(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i < 999)"
        f" SELECT a.i * 1000 + b.i AS n, REPEAT('x', {width}) FROM d a, d b"
        f" WHERE a.i * 1000 + b.i < {count} ORDER BY n"
    )


@BOTH_WAYS
async def test_batches(connect: Any, fast: bool) -> None:
    """Batches are full but for the last; a result may be empty or larger than what is buffered."""
    connection = await connect(fast=fast)
    for count, size in ((10, 4), (8, 4), (0, 4), (3, 1), (20_000, 999), (20_000, 50_000)):
        found = [rows async for rows in connection.stream(numbers(count, 50), (), size)]
        assert [row[0] for rows in found for row in rows] == list(range(count))
        assert all(len(rows) == size for rows in found[:-1])
        assert all(0 < len(rows) <= size for rows in found)
        assert await value(connection, "SELECT 'next'") == "next"


@BOTH_WAYS
async def test_parameters_and_types(connect: Any, fast: bool) -> None:
    """Values are bound, and rows are read as they are without a stream."""
    connection = await connect(fast=fast)
    sql = "SELECT ? + 1, NULL, CAST(1.50 AS DECIMAL(5, 2)), TIMESTAMP '2024-01-02 03:04:05', 'é?'"
    whole = await connection.fetch(sql, (1,))
    assert [row async for rows in connection.stream(sql, (1,), 1) for row in rows] == list(whole)


@BOTH_WAYS
async def test_the_server_waits(connect: Any, fast: bool) -> None:
    """Little more than what was asked for is read; the rest stays with the server."""
    connection, other = await connect(fast=fast), await connect()
    batches = connection.stream(numbers(300_000), (), 100)
    await anext(batches)
    await asyncio.sleep(0.3)
    wire = connection._wire
    if isinstance(wire, StreamingWire):
        assert len(wire._rows) < 2_000
        assert len(wire._rest) < 1_000_000
    assert not await nothing_runs(other)
    await anext(batches)
    await batches.aclose()
    await until(lambda: nothing_runs(other))


@BOTH_WAYS
@pytest.mark.parametrize("taken", [1, 3, 40])
async def test_closed_early(connect: Any, fast: bool, taken: int) -> None:
    """A stream that is closed early is stopped at the server, soon; the connection is clean, or is
    given up."""
    connection, other = await connect(fast=fast), await connect()
    batches = connection.stream(numbers(500_000), (), 50)
    for _ in range(taken):
        assert len(await anext(batches)) == 50
    started = time.monotonic()
    await batches.aclose()
    assert time.monotonic() - started < at_most(1.5)
    await until(lambda: nothing_runs(other))
    assert connection.usable is fast
    if fast:
        assert await value(connection, "SELECT 'next'") == "next"
        found = [rows async for rows in connection.stream(numbers(100, 10), (), 60)]
        assert [len(rows) for rows in found] == [60, 40]


async def test_closed_early_with_little_left(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where little is left it is read to its end, without a second connection."""
    stopped: list[Any] = []
    monkeypatch.setattr(connection._driver, "stop", lambda *told: stopped.append(told))
    for _ in range(5):
        batches = connection.stream(numbers(400, 10), (), 10)
        await anext(batches)
        await batches.aclose()
        assert await value(connection, "SELECT 'next'") == "next"
    assert not stopped


@BOTH_WAYS
async def test_cancelled(connect: Any, fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled before the first row or between rows, the statement ends at the server too."""
    # However busy the machine is, the connection has the time to be kept.
    for limit in ("_SHORTEST_GRACE", "_LONGEST_GRACE"):
        monkeypatch.setattr(f"dataflow_mysql.connection.{limit}", 20.0)
    connection, other = await connect(fast=fast), await connect()
    for sql in (SLOW, numbers(900_000)):
        for after in (0.0, 0.01, 0.1):

            async def read(connection: Any = connection, sql: str = sql) -> None:
                async for _ in connection.stream(sql, (), 10):
                    pass

            task = asyncio.ensure_future(read())
            await asyncio.sleep(after)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await connection.cancel()
            await until(lambda: nothing_runs(other))
            assert connection.usable is fast
            if not fast:
                connection = await connect(fast=False)
            assert await value(connection, "SELECT 'next'") == "next"


@BOTH_WAYS
async def test_errors(connect: Any, fast: bool) -> None:
    """An error at the beginning or in the midst is the statement's; the connection goes on."""
    connection = await connect(fast=fast)
    with pytest.raises(ServerError):
        await anext(connection.stream("SELECT * FROM nothing", (), 10))
    assert await value(connection, "SELECT 'next'") == "next"
    await make_table(connection)
    for _ in range(200):
        await connection.execute("INSERT INTO t (v) VALUES (?)", ("x",))
    # For the last row alone the subquery gives two rows.
    late = (
        "SELECT a.id, REPEAT('x', 5000), (SELECT b.v FROM t AS b WHERE b.id = a.id"
        " OR a.id = 200 AND b.id < 3) FROM t AS a ORDER BY a.id"
    )
    with pytest.raises(ServerError):
        async for _ in connection.stream(late, (), 1):
            pass
    assert await value(connection, "SELECT 'next'") == "next"


@BOTH_WAYS
async def test_a_killed_connection(connect: Any, fast: bool) -> None:
    """A connection that breaks while it streams says so and is not used again."""
    connection, other = await connect(fast=fast), await connect()
    number = await value(connection, "SELECT CONNECTION_ID()")
    batches = connection.stream(numbers(900_000), (), 10)
    await anext(batches)
    await other.execute(f"KILL CONNECTION {number}", ())
    with pytest.raises((ConnectionGone, ServerError)):
        async for _ in batches:
            pass
    await connection.cancel()
    with pytest.raises((ConnectionGone, ServerError)):
        await value(connection, "SELECT 1")
    assert not connection.usable
