"""Streams over cursors: little is read ahead, the connection stays in order, poolers too."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.postgres.conftest import Connect, Open
from tests.postgres.servers import Pooler, PrivateServer
from tests.postgres.support import SLOW, until, value

NUMBERS = "SELECT n, repeat('x', 1000) FROM generate_series(1, $1::bigint) AS n"
CURSORS = "SELECT count(*) FROM pg_cursors WHERE name <> ''"


async def test_batches(connection: Any) -> None:
    """Batches are full but for the last; a result may be empty; the session stays clean."""
    for count, sizes in ((10, [4, 4, 2]), (8, [4, 4]), (0, [])):
        found = [rows async for rows in connection.stream(NUMBERS, (count,), 4)]
        assert [len(rows) for rows in found] == sizes
        assert [row[0] for rows in found for row in rows] == list(range(1, count + 1))
        assert not connection.in_transaction
        assert await value(connection, CURSORS) == 0


async def test_the_server_waits(connection: Any, connect: Connect, url: str) -> None:
    """The server rests while no rows are asked for, and lets a stream write nothing."""
    await connection.execute("CREATE SEQUENCE made", ())
    other = await connect(url)
    sql = "SELECT nextval('made') FROM generate_series(1, 1000000)"
    batches = connection.stream(sql.replace("nextval('made')", "1"), (), 100)
    await anext(batches)
    state = await value(
        other, "SELECT state FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid()",
        "%generate_series(1, 1000000)%",
    )  # fmt: skip
    assert state == "idle in transaction"
    await batches.aclose()
    assert not connection.in_transaction
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await anext(connection.stream(sql, (), 100))
    assert connection.usable and not connection.in_transaction


async def test_closed_early(connection: Any) -> None:
    """A stream that is closed early leaves neither transaction nor cursor, again and again."""
    for size in (1, 10, 1_000):
        for _ in range(5):
            batches = connection.stream(NUMBERS, (100_000,), size)
            assert len(await anext(batches)) == size
            await batches.aclose()
            assert connection.usable and not connection.in_transaction
            assert await value(connection, "SELECT $1::bigint", 7) == 7
    await connection.begin()
    await connection.commit()


async def test_cancelled(connection: Any, connect: Connect, url: str) -> None:
    """A stream that is cancelled stops at the server, and the connection is clean or given up."""
    other = await connect(url)
    for after in (0.0, 0.002, 0.01, 0.1):
        task = asyncio.ensure_future(anext(connection.stream(SLOW, (), 10)))
        await asyncio.sleep(after)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await connection.cancel()
        if not connection.usable:
            connection = await connect(url)
        assert not connection.in_transaction
        assert [rows async for rows in connection.stream("SELECT 5", (), 2)] == [[(5,)]]

    async def nothing_runs() -> bool:
        running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
        return (
            await value(other, f"{running} AND pid <> pg_backend_pid() AND query = $1", SLOW) == 0
        )

    await until(nothing_runs)


async def test_errors(connection: Any) -> None:
    """An error at the beginning or in the midst ends the transaction, and comes out as it is."""
    with pytest.raises(asyncpg.UndefinedTableError):
        await anext(connection.stream("SELECT * FROM nothing", (), 10))
    assert connection.usable and not connection.in_transaction
    batches = connection.stream("SELECT 1 / (50 - n) FROM generate_series(1, 100) AS n", (), 10)
    with pytest.raises(asyncpg.DivisionByZeroError):
        async for _ in batches:
            pass
    assert connection.usable and not connection.in_transaction
    with pytest.raises(asyncpg.DataError):
        await anext(connection.stream("SELECT $1::bigint", ("x",), 10))
    assert connection.usable and not connection.in_transaction


async def test_a_killed_server_process(connect: Connect, url: str) -> None:
    """A connection that breaks while it streams says so and is not used again."""
    connection, other = await connect(url), await connect(url)
    process = await value(connection, "SELECT pg_backend_pid()")
    batches = connection.stream(NUMBERS, (100_000,), 10)
    await anext(batches)
    await value(other, "SELECT pg_terminate_backend($1::int)", process)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        async for _ in batches:
            pass
    assert not connection.usable


async def test_behind_a_pooler(
    own_pooler: Pooler, server: PrivateServer, open_driver: Open
) -> None:
    """Streams of several clients share the few connections of a pooler, one after the other."""
    driver = open_driver(own_pooler.url("postgres"))
    connections = [await driver.connect(driver.lanes[0]) for _ in range(4)]

    async def read(connection: Any, count: int) -> int:
        batches = connection.stream(NUMBERS, (count,), 7)
        return sum([len(rows) async for rows in batches])

    for _ in range(5):
        found = await asyncio.gather(
            *(read(connection, 40 + number) for number, connection in enumerate(connections))
        )
        assert found == [40, 41, 42, 43]
        for connection in connections:
            batches = connection.stream(NUMBERS, (1_000,), 3)
            await anext(batches)
            await batches.aclose()
            assert connection.usable and not connection.in_transaction
