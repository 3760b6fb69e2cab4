from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import ConnectionFailed, ConnectionLost
from dataflow_postgres.errors import translate_error
from tests.limits import at_most
from tests.postgres.conftest import Connect, Open
from tests.postgres.servers import Network, PrivateServer
from tests.postgres.support import SLOW, WRITING, raised, until, value

CLIENTS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dataflow'"
SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
WRITE = "INSERT INTO faults VALUES (1)"


@pytest.fixture
async def table(connect: Connect, server: PrivateServer) -> str:
    """The URL of a database with an empty table."""
    connection = await connect(server.url())
    await connection.execute("DROP TABLE IF EXISTS faults", ())
    await connection.execute("CREATE TABLE faults (id bigint)", ())
    return server.url()


def rows(server: PrivateServer) -> int:
    """How many rows the table has."""
    return int(server.sql("SELECT count(*) FROM faults"))


async def lost(work: Any) -> ConnectionLost:
    """The uniform error of a write whose connection broke."""
    with pytest.raises(Exception) as caught:
        await work
    error = translate_error(caught.value, WRITING)
    assert isinstance(error, ConnectionLost)
    return error


async def test_a_killed_server(connect: Connect, server: PrivateServer, table: str) -> None:
    """When the server dies in a transaction, nothing of it was done, and a new connection works."""
    connection = await connect(table)
    await connection.begin()
    await connection.execute(WRITE, ())
    server.process.kill()
    started = time.monotonic()
    error = await raised(connection, WRITE)
    assert time.monotonic() - started < at_most(1)
    assert isinstance(error, ConnectionLost)
    assert (error.outcome, error.retryable) == ("not done", True)
    assert not connection.usable
    assert not connection.in_transaction
    with pytest.raises(ConnectionFailed):
        await connect(table)
    server.process.restart()
    assert rows(server) == 0
    assert await value(await connect(table), "SELECT 1") == 1


async def test_a_write_that_may_have_been_done(
    connect: Connect, server: PrivateServer, table: str
) -> None:
    """A write that commits by itself, and a commit, are unknown when their answer does not come."""
    async with Network(server.port) as network:
        url = f"postgresql://postgres@127.0.0.1:{network.port}/postgres"
        for in_transaction in (False, True):
            connection = await connect(url)
            if in_transaction:
                await connection.begin()
                await connection.execute(WRITE, ())
            network.hold()
            work = connection.commit() if in_transaction else connection.execute(WRITE, ())
            task = asyncio.create_task(lost(work))
            await asyncio.sleep(0.05)
            network.cut()
            assert (await task).outcome == "unknown"
            network.flow()


async def test_a_write_in_a_transaction_is_undone(
    connect: Connect, server: PrivateServer, table: str
) -> None:
    """A write within a transaction whose connection broke was not done."""
    async with Network(server.port) as network:
        connection = await connect(f"postgresql://postgres@127.0.0.1:{network.port}/postgres")
        await connection.begin()
        await connection.execute(WRITE, ())
        network.hold()
        task = asyncio.create_task(lost(connection.execute(WRITE, ())))
        await asyncio.sleep(0.05)
        network.cut()
        assert (await task).outcome == "not done"
    await asyncio.sleep(0.05)
    assert rows(server) == 0


async def test_idle_connections_are_known_to_be_gone(
    connect: Connect, server: PrivateServer, table: str
) -> None:
    """A connection that the server closed while it was idle is known not to be usable."""
    connection = await connect(table)
    server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    )
    await until(lambda: not connection.usable)
    error = await raised(connection, WRITE)
    assert (type(error), error.outcome) == (ConnectionLost, "not done")
    assert rows(server) == 0


async def test_reading_has_no_outcome(connect: Connect, server: PrivateServer, table: str) -> None:
    """A read whose connection broke is lost, and there is nothing that could have been done."""
    connection = await connect(table)
    task = asyncio.create_task(raised(connection, SLOW, situation=ErrorSituation()))
    await until(lambda: server.sql(SLEEPING) != "0")
    server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    )
    error = await task
    assert (type(error), error.outcome) == (ConnectionLost, None)
    assert not connection.usable


async def test_a_server_that_does_not_answer(
    open_driver: Open, server: PrivateServer, table: str
) -> None:
    """Cancelling waits a twentieth of the time limit for a server that is silent, then gives up."""
    async with Network(server.port) as network:
        driver = open_driver(
            f"postgresql://postgres@127.0.0.1:{network.port}/postgres", command_timeout=2
        )
        connection: Any = await driver.connect(driver.lanes[0])
        network.hold()
        task = asyncio.create_task(connection.fetch("SELECT 1", ()))
        await asyncio.sleep(0.05)
        started = time.monotonic()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await connection.cancel()
        assert not connection.usable
        await connection.close()
        assert time.monotonic() - started < at_most(1)
        await driver.close()
        assert time.monotonic() - started < at_most(4)


async def test_an_idle_connection_to_a_silent_server_is_closed_in_time(
    connect: Connect, server: PrivateServer, table: str
) -> None:
    """Closing takes less than two seconds, whatever the server does."""
    async with Network(server.port) as network:
        connection = await connect(f"postgresql://postgres@127.0.0.1:{network.port}/postgres")
        network.hold()
        started = time.monotonic()
        await connection.close()
        assert time.monotonic() - started < at_most(2)


async def test_connecting_to_a_silent_server_can_be_given_up(
    connect: Connect, server: PrivateServer, table: str
) -> None:
    """Connecting ends when the core says so, and leaves nothing behind."""
    async with Network(server.port) as network:
        network.hold()
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await connect(f"postgresql://postgres@127.0.0.1:{network.port}/postgres")
        assert time.monotonic() - started < at_most(1.5)


async def test_a_late_server_still_hears_of_the_cancellation(
    open_driver: Open, server: PrivateServer, table: str
) -> None:
    """A connection that is given up lets the request to cancel reach the server all the same."""
    driver = open_driver(table, command_timeout=0.001)
    connection: Any = await driver.connect(driver.lanes[0])
    connection._stop_limit = 0.0
    task = asyncio.create_task(connection.fetch(SLOW, ()))
    await until(lambda: server.sql(SLEEPING) != "0")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await connection.cancel()
    await connection.close()
    await driver.close()
    await until(lambda: server.sql(SLEEPING) == "0", seconds=2)
    assert not connection.usable


async def test_a_storm_of_cancellations(
    open_driver: Open, server: PrivateServer, table: str
) -> None:
    """After many cancellations no answer is wrong, nothing runs, and no connection is left over."""
    before = int(server.sql(CLIENTS))
    driver = open_driver(table)
    connections: list[Any] = [await driver.connect(driver.lanes[0]) for _ in range(5)]

    async def work(place: int) -> None:
        connection = connections[place]
        for number in range(40):
            task = asyncio.create_task(
                connection.fetch("SELECT $1::bigint, pg_sleep(0.003)", (number,))
            )
            await asyncio.sleep((number * 7 + place) % 11 / 2_000)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await connection.cancel()
            assert await value(connection, "SELECT $1::bigint", number) == number

    await asyncio.gather(*map(work, range(len(connections))))
    assert all(connection.usable for connection in connections)
    assert server.sql(SLEEPING) == "0"
    for connection in connections:
        await connection.close()
    await until(lambda: int(server.sql(CLIENTS)) <= before, seconds=2)


async def test_a_fork_leaves_the_connection_alone(
    connect: Connect, server: PrivateServer, table: str
) -> None:
    """A forked process neither closes nor ends the connection of its parent."""
    connection = await connect(table)
    child = os.fork()
    if child == 0:
        try:
            connection._connection.terminate()
            connection._connection.__del__()
        finally:
            os._exit(0)
    await asyncio.to_thread(os.waitpid, child, 0)
    assert await value(connection, "SELECT 1") == 1
    assert connection.usable
