from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dataflow_core.contract import ConnectOptions
from dataflow_core.url import parse_url
from dataflow_mysql.driver import MySQLDriver
from dataflow_mysql.location import locate
from tests.mysql.replication import CopyingServer, LoggingServer, follow
from tests.mysql.support import connected, count, driver_of, make_table, until, value


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[LoggingServer, CopyingServer]]:
    """Two servers."""
    servers = LoggingServer(private=True), CopyingServer(private=True)
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.stop()


@pytest.mark.timeout(90)
async def test_a_replica_that_lags_and_catches_up(
    pair: tuple[LoggingServer, CopyingServer],
) -> None:
    """A replica has caught up once it holds what the primary holds, and not before; nothing can be
    written there."""
    source, copy = pair
    url = source.new_database()
    writer: Any = await connected(driver_of(url))
    replica_url = await follow(source, copy, url)
    controller: Any = await connected(driver_of(replica_url))
    driver = MySQLDriver(
        locate(parse_url(url), ConnectOptions(replica=parse_url(replica_url))),
    )
    await make_table(writer)
    reading, writing = driver.lanes
    primary: Any = await driver.connect(writing)
    replica: Any = await driver.connect(reading)

    async def caught_up() -> bool:
        return await driver.caught_up(primary, replica)

    await until(caught_up, 20)
    assert await count(replica) == 0
    await controller.fetch("STOP SLAVE SQL_THREAD", ())
    await primary.fetch("INSERT INTO t (v) VALUES ('new')", ())
    assert not await caught_up()
    assert await count(replica) == 0
    await controller.fetch("START SLAVE SQL_THREAD", ())
    await until(caught_up, 20)
    assert await count(replica) == 1
    for connection in (writer, primary, replica, controller):
        await connection.close()
    await driver.close()


async def test_without_a_log_nobody_can_tell(mysql_url: str) -> None:
    """Where the primary keeps no log of what it does, a replica is never said to have caught up."""
    driver = driver_of(mysql_url)
    connection: Any = await connected(driver)
    logged = bool(await value(connection, "SELECT @@log_bin"))
    caught_up = await driver.caught_up(connection, connection)
    assert logged or not caught_up
    await connection.close()
