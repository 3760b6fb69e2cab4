from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dataflow_core.errors import ConnectionFailed, SerializationFailure
from dataflow_postgres.driver import PostgresDriver
from tests.postgres.conftest import Connect, Open
from tests.postgres.servers import Pooler, PrivateServer
from tests.postgres.support import SLOW, raised, setting, until, value

PROCESS = "SELECT pg_backend_pid()"


def is_pooled(connection: Any) -> bool:
    """Whether a connection takes itself for one to a pooler."""
    return bool(connection._pooled)


@pytest.fixture
async def pooled_url(server: PrivateServer, own_pooler: Pooler, connect: Connect) -> str:
    """A URL that leads to one of two connections of a pooler, in turn."""
    assert server.process.running
    url = own_pooler.url("postgres")
    both = [await connect(url) for _ in range(2)]
    for connection in both:
        await connection.begin()
    for connection in both:
        await connection.rollback()
        await connection.close()
    return url


async def test_a_pooler_is_found_out(
    connect: Connect, pooled_url: str, server: PrivateServer
) -> None:
    """A pooler is recognised on connecting, a server is not taken for one, and the user may say."""
    assert [is_pooled(await connect(pooled_url)) for _ in range(10)] == [True] * 10
    assert not is_pooled(await connect(server.url()))
    assert is_pooled(await connect(server.url(), pooler=True))
    assert not is_pooled(await connect(pooled_url + "?pooler=no"))


async def test_a_pooler_that_takes_every_setting(connect: Connect, server: PrivateServer) -> None:
    """A pooler that ignores what it does not know is recognised as well."""
    pooler = Pooler(server, ignore_startup_parameters="jit,search_path")
    try:
        found = [await connect(pooler.url("postgres")) for _ in range(8)]
        assert [connection._connection.takes_all_settings for connection in found] == [True] * 8
        assert sum(map(is_pooled, found)) >= 7
        for connection in found:
            assert await value(connection, "SELECT $1::bigint", 1) == 1
            await connection.close()
    finally:
        pooler.process.close()


async def test_statements_on_changing_connections(connect: Connect, pooled_url: str) -> None:
    """Statements give right answers though each may run on another connection of the pooler."""
    connection = await connect(pooled_url)
    processes = set()
    for number in range(20):
        processes.add(await value(connection, PROCESS))
        assert await value(connection, "SELECT $1::bigint + 1", number) == number + 1
        names, _ = await connection.fetch_named("SELECT $1::text AS a", ("x",))
        assert names == ("a",)
    assert len(processes) > 1


async def test_many_at_once(open_driver: Open, pooled_url: str) -> None:
    """Many clients of few connections get their own answers."""
    driver = open_driver(pooled_url)
    connections = await asyncio.gather(*(driver.connect(driver.lanes[0]) for _ in range(12)))
    assert all(map(is_pooled, connections))

    async def work(connection: Any, base: int) -> None:
        for number in range(15):
            sql = f"SELECT $1::bigint, {number % 3}"
            ((first, second),) = await connection.fetch(sql, (base + number,))
            assert (first, second) == (base + number, number % 3)

    await asyncio.gather(*(work(item, 1000 * place) for place, item in enumerate(connections)))


async def test_a_transaction_stays_on_one_connection(connect: Connect, pooled_url: str) -> None:
    """A transaction, with its savepoints, sees what it wrote."""
    connection, other = await connect(pooled_url), await connect(pooled_url)
    await connection.execute("DROP TABLE IF EXISTS pooled", ())
    await connection.execute("CREATE TABLE pooled (id bigint)", ())
    await connection.begin(isolation="repeatable read")
    for number in range(5):
        await connection.savepoint("one")
        await connection.execute("INSERT INTO pooled VALUES ($1::bigint)", (number,))
        await connection.release("one")
        assert await value(other, "SELECT count(*) FROM pooled") == 0
        assert await value(connection, "SELECT count(*) FROM pooled") == number + 1
    await connection.commit()
    assert await value(other, "SELECT count(*) FROM pooled") == 5
    await connection.execute("ALTER TABLE pooled ADD COLUMN v text", ())
    assert len((await connection.fetch("SELECT * FROM pooled", ()))[0]) == 2


async def test_settings_behind_a_pooler(connect: Connect, pooled_url: str) -> None:
    """Our settings hold on every connection of the pooler."""
    connection, other = await connect(pooled_url), await connect(pooled_url)
    for _ in range(4):
        await value(other, PROCESS)
        assert await setting(connection, "TimeZone") == "UTC"
        await value(other, PROCESS)
        assert await setting(connection, "DateStyle") == "ISO, MDY"


async def test_a_setting_that_a_pooler_does_not_take(connect: Connect, pooled_url: str) -> None:
    """A setting that a pooler cannot keep apart for each client is refused by it, by name."""
    with pytest.raises(ConnectionFailed, match="search_path"):
        await connect(pooled_url, search_path="sales")


async def test_state_is_not_left_to_others(connect: Connect, pooled_url: str) -> None:
    """What a user's own SQL set is undone on the connection that the pooler gives next."""
    connection = await connect(pooled_url)
    for sql in ("SET TimeZone TO 'Asia/Tokyo'", "SET DateStyle TO 'German'"):
        await connection.execute(sql, ())
        await connection.reset()
    for _ in range(4):
        assert await setting(connection, "TimeZone") == "UTC"
        assert await setting(connection, "DateStyle") == "ISO, MDY"


async def test_cancelling_behind_a_pooler(connect: Connect, pooled_url: str) -> None:
    """A cancelled statement is stopped on the server, and the connection is clean afterwards."""
    connection, observer = await connect(pooled_url), await connect(pooled_url)
    running = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    task = asyncio.create_task(connection.fetch(SLOW, ()))
    await until(lambda: value(observer, running))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await connection.cancel()
    assert connection.usable
    assert await value(observer, running) == 0
    assert await value(connection, "SELECT $1::bigint", 7) == 7


async def test_a_pooler_that_was_mistaken_for_a_server(
    open_driver: Open, pooled_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler that is not recognised is found out by the first statement that a server lacks."""
    monkeypatch.setattr("dataflow_postgres.driver.is_behind_pooler", lambda _connection: False)
    driver: PostgresDriver = open_driver(pooled_url)
    connection: Any = await driver.connect(driver.lanes[0])
    other: Any = await driver.connect(driver.lanes[0])
    assert not is_pooled(connection)
    for number in range(6):
        for _ in range(1 + number % 2):
            await value(other, PROCESS)
        assert await value(connection, "SELECT $1::bigint", number) == number
    assert is_pooled(connection)
    assert is_pooled(await driver.connect(driver.lanes[0]))


async def test_a_statement_that_is_lacking_within_a_transaction(
    connect: Connect, server: PrivateServer
) -> None:
    """Within a transaction that is an error that says to run it again, which then succeeds."""
    connection = await connect(server.url())
    sql = "SELECT $1::bigint"
    await value(connection, sql, 1)
    await connection._connection.execute("DEALLOCATE ALL")
    await connection.begin()
    error = await raised(connection, sql, 2)
    assert isinstance(error, SerializationFailure)
    assert (error.retryable, error.outcome) == (True, "not done")
    await connection.rollback()
    await connection.begin()
    assert await value(connection, sql, 3) == 3
    await connection.commit()
