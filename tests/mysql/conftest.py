from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.mysql.schema import Database
from tests.mysql.support import connected, driver_of

Connect = Callable[..., Awaitable[Any]]


@pytest.fixture
async def connect(mysql_url: str) -> AsyncIterator[Connect]:
    """Opens connections to a new database; they are closed afterwards."""
    opened: list[Any] = []

    async def open_one(url: str = mysql_url, **options: Any) -> Any:
        driver = driver_of(url, **options)
        connection = await connected(driver)
        opened.append((driver, connection))
        return connection

    yield open_one
    for driver, connection in opened:
        await connection.close()
        await driver.close()


@pytest.fixture
async def connection(connect: Connect) -> Any:
    """A connection to a new database."""
    return await connect()


@pytest.fixture
def blocking_fetch(mysql_url: str) -> Iterator[Callable[..., Any]]:
    """Runs statements on a connection of its own, for tests that are not coroutines."""
    driver = driver_of(mysql_url)
    with asyncio.Runner() as runner:
        connection = runner.run(connected(driver))
        yield lambda sql, parameters: runner.run(connection.fetch(sql, parameters))
        runner.run(connection.close())


@pytest.fixture
def schema(mysql_url: str) -> Iterator[Database]:
    """A new database, to make and change tables in."""
    opened = Database(mysql_url)
    yield opened
    opened.close()
