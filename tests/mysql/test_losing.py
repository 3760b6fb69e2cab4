from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dataflow_mysql.protocol.failures import ConnectionGone, ServerError
from tests.limits import at_most
from tests.mysql.support import (
    connected,
    count,
    driver_of,
    located,
    make_table,
    translated,
    until,
    value,
)

WRITERS = 12
EACH = 4_000


@pytest.fixture(scope="module")
def own_server(mysql_server: Any) -> Iterator[Any]:
    """A server that a test may kill; what it acknowledged outlives that."""
    server = mysql_server.private(durable=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_url(own_server: Any) -> Iterator[str]:
    """A new database on that server."""
    url = own_server.new_database()
    yield url
    own_server.drop_database(url)


async def test_an_idle_connection_that_the_server_ends(
    connect: Any, mysql_server: Any, mysql_url: str
) -> None:
    """A connection that is ended while nobody uses it says so by itself, and nothing is sent."""
    connections = [await connect(), await connect(fast=False)]
    mysql_server.kill_connections(mysql_url)
    await until(lambda: not connections[0].usable)
    for connection in connections:
        with pytest.raises(ConnectionGone) as caught:
            await connection.fetch("INSERT INTO t VALUES (1)", ())
        assert not connection.usable and not connection.in_transaction
    with pytest.raises(ConnectionGone) as caught:
        await connections[0].fetch("SELECT 1", ())
    assert translated(caught.value, writing=True).outcome == "not done"


@pytest.mark.parametrize("fast", [True, False])
async def test_a_connection_that_is_ended_in_a_transaction(
    connect: Any, mysql_server: Any, mysql_url: str, fast: bool
) -> None:
    """The statement under way fails at once, and so does everything after it."""
    connection = await connect(fast=fast)
    await make_table(connection)
    await connection.begin()
    await connection.fetch("INSERT INTO t (v) VALUES ('gone')", ())
    task = asyncio.ensure_future(connection.fetch("SELECT SLEEP(20)", ()))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    mysql_server.kill_connections(mysql_url)
    with pytest.raises((ConnectionGone, ServerError)) as caught:
        await task
    assert time.monotonic() - started < at_most(1)
    error = translated(caught.value, writing=True)
    assert (error.code, error.outcome) == ("DF-504", "not done")
    with pytest.raises(ConnectionGone) as later:
        await connection.commit()
    assert translated(later.value, writing=True).outcome == "not done"
    assert not connection.usable
    other = await connect()
    assert await count(other) == 0


async def test_a_server_that_is_killed_in_a_transaction(own_server: Any, own_url: str) -> None:
    """The caller learns within a second that the connection is lost; nothing half is left, and the
    server's return is all that a new connection waits for."""
    driver = driver_of(own_url)
    connection: Any = await connected(driver)
    await make_table(connection)
    await connection.begin()
    await connection.fetch("INSERT INTO t (v) VALUES ('gone')", ())
    task = asyncio.ensure_future(connection.fetch("DO SLEEP(20)", ()))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await asyncio.to_thread(own_server.kill)
    with pytest.raises(ConnectionGone) as caught:
        await task
    assert time.monotonic() - started < at_most(1)
    assert translated(caught.value, writing=True).code == "DF-504"
    assert not connection.usable
    await connection.close()
    await asyncio.to_thread(own_server.restart)
    connection = await connected(driver)
    assert await count(connection) == 0
    await connection.close()


async def _write(url: str, writer: int, outcomes: dict[int, str], stop: asyncio.Event) -> None:
    """Insert one row after the other, alone or in a transaction, and note what became of each."""
    connection = await connected(driver_of(url))
    try:
        for number in range(EACH):
            if stop.is_set():
                return
            key = writer * EACH + number
            in_transaction = number % 3 == 0
            try:
                if in_transaction:
                    await connection.begin()
                await connection.fetch("INSERT INTO t VALUES (?, 'x')", (key,))
                if in_transaction:
                    await connection.commit()
            except Exception as error:
                outcomes[key] = translated(error, writing=True).outcome
                return
            outcomes[key] = "done"
    finally:
        await connection.close()


@pytest.mark.parametrize("way", ["killed", "shut down"])
@pytest.mark.timeout(120)
async def test_writers_when_the_server_goes(own_server: Any, own_url: str, way: str) -> None:
    """No acknowledged write is lost; one that failed is said to be done or not done as it is, and
    unknown only where the connection broke."""
    connection: Any = await connected(driver_of(own_url))
    await make_table(connection)
    outcomes: dict[int, str] = {}
    stop = asyncio.Event()
    writers = [
        asyncio.ensure_future(_write(own_url, number, outcomes, stop)) for number in range(WRITERS)
    ]
    await asyncio.sleep(0.5)
    end: Callable[[], Any] = own_server.kill
    if way == "killed":
        await asyncio.to_thread(end)
    else:
        await connection.fetch("SHUTDOWN", ())
    await asyncio.gather(*writers)
    await connection.close()
    if way == "shut down":
        await asyncio.to_thread(end)
    await asyncio.to_thread(own_server.restart)
    connection = await connected(driver_of(own_url))
    stored = {row[0] for row in await connection.fetch("SELECT id FROM t", ())}
    await connection.close()
    by_outcome: dict[str, set[int]] = {"done": set(), "not done": set(), "unknown": set()}
    for key, outcome in outcomes.items():
        by_outcome[outcome].add(key)
    assert len(by_outcome["done"]) > WRITERS
    assert by_outcome["done"] <= stored
    assert not by_outcome["not done"] & stored
    assert len(by_outcome["not done"] | by_outcome["unknown"]) == WRITERS
    assert stored <= by_outcome["done"] | by_outcome["unknown"]


async def test_a_connection_that_is_cut_within_a_result(mysql_url: str) -> None:
    """A result that ends in the middle is an error, never rows; nothing is sent any more."""
    location = located(mysql_url)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(location.host, location.port)
        upwards = asyncio.ensure_future(_copy(reader, server_writer))
        passed = 0
        while passed < 300_000 and (data := await server_reader.read(65_536)):
            passed += len(data)
            writer.write(data)
        transport = writer.transport
        transport.abort()
        server_writer.close()
        upwards.cancel()
        await asyncio.gather(upwards, return_exceptions=True)

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = mysql_url.replace(f":{location.port}/", f":{port}/")
        connection = await connected(driver_of(url))
        sql = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)"
            " SELECT i, REPEAT('x', 1000) FROM n"
        )
        assert await value(connection, "SELECT 1") == 1
        with pytest.raises(ConnectionGone):
            await connection.fetch(sql, ())
        assert not connection.usable
        await connection.close()
        await asyncio.sleep(0.05)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
