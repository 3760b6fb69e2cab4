from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from dataflow_core.errors import ConnectionFailed, ReadOnlyDatabase
from dataflow_postgres.introspect import _position
from tests.postgres.conftest import Connect, Open
from tests.postgres.servers import PrivateServer
from tests.postgres.support import raised, until, value


@pytest.fixture(scope="module")
def replica(own_server: PrivateServer) -> Iterator[PrivateServer]:
    """A server that follows the own one."""
    if not own_server.process.running:
        own_server.process.restart()
    copy = PrivateServer()
    try:
        copy.copy(own_server)
        yield copy
    finally:
        copy.process.close()


async def test_reads_of_a_replica(
    open_driver: Open, server: PrivateServer, replica: PrivateServer
) -> None:
    """The first lane leads to the replica, which refuses writes, the second to the primary."""
    driver = open_driver(server.url(), replica=replica.url())
    behind, ahead = [await driver.connect(lane) for lane in driver.lanes]
    assert await value(behind, "SELECT pg_is_in_recovery()") is True
    assert await value(ahead, "SELECT pg_is_in_recovery()") is False
    assert isinstance(await raised(behind, "CREATE TABLE t (a int)"), ReadOnlyDatabase)


async def test_whether_the_replica_has_caught_up(
    open_driver: Open, server: PrivateServer, replica: PrivateServer
) -> None:
    """A replica has caught up exactly when it shows what was written before."""
    driver = open_driver(server.url(), replica=replica.url())
    behind, ahead = [await driver.connect(lane) for lane in driver.lanes]
    await ahead.execute("DROP TABLE IF EXISTS followed", ())
    await ahead.execute("CREATE TABLE followed (id bigint)", ())
    for number in range(20):
        await ahead.execute("INSERT INTO followed VALUES ($1::bigint)", (number,))
        await until(lambda: driver.caught_up(ahead, behind))
        assert await value(behind, "SELECT max(id) FROM followed") == number
    replica.sql("SELECT pg_wal_replay_pause()")
    try:
        await ahead.execute("INSERT INTO followed VALUES (100)", ())
        await asyncio.sleep(0.1)
        assert not await driver.caught_up(ahead, behind)
    finally:
        replica.sql("SELECT pg_wal_replay_resume()")


async def test_the_primary_itself(open_driver: Open, server: PrivateServer) -> None:
    """A primary that is given as its own replica has always caught up."""
    driver = open_driver(server.url(), replica=server.url())
    first, second = [await driver.connect(lane) for lane in driver.lanes]
    assert await driver.caught_up(first, second)


async def test_a_server_that_is_no_copy(
    open_driver: Open, server: PrivateServer, postgres_url: str
) -> None:
    """A server of another system has caught up with nothing, however far its log is."""
    driver = open_driver(server.url(), replica=postgres_url)
    behind, ahead = [await driver.connect(lane) for lane in driver.lanes]
    assert not await driver.caught_up(ahead, behind)
    assert not await driver.caught_up(behind, ahead)


async def test_a_page_of_the_log_that_has_just_begun() -> None:
    """A place behind the header of an empty page is the end of the page before."""

    class Fixed:
        async def fetch(self, _sql: str, _parameters: object) -> list[tuple[str, int]]:
            return [(self.text, 7)]

        def __init__(self, text: str) -> None:
            self.text = text

    async def place(text: str) -> int:
        return (await _position(Fixed(text), "")).place  # type: ignore[arg-type]

    assert await place("1/2018") == await place("1/2000") == (1 << 32) + 0x2000
    assert await place("0/1000028") == 0x1000000
    assert await place("0/1000030") == 0x1000030


async def test_the_kind_of_a_replica(
    connect: Connect, open_driver: Open, server: PrivateServer, replica: PrivateServer
) -> None:
    """The kind of server is checked for each of the two by itself."""
    assert (
        await value(await connect(replica.url(), target_session_attrs="standby"), "SELECT 1") == 1
    )
    with pytest.raises(ConnectionFailed, match="target_session_attrs=primary"):
        await connect(replica.url(), target_session_attrs="primary")
    url = f"{replica.url()}?target_session_attrs=read-only"
    driver = open_driver(server.url(), replica=url, target_session_attrs="read-write")
    for lane in driver.lanes:
        assert await value(await driver.connect(lane), "SELECT 1") == 1
