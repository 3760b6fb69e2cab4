"""Drivers and connections on real files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.contract import ConnectOptions
from dataflow_sqlite.connection import SQLiteConnection
from dataflow_sqlite.driver import SQLiteDriver
from dataflow_sqlite.location import locate
from tests.sqlite.shop import idle, register
from tests.sqlite.support import read_url

Open = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that does not exist yet."""
    return tmp_path / "a.db"


@pytest.fixture
async def open_driver(path: Path) -> AsyncIterator[Open]:
    """Makes drivers; what they opened is closed at the end."""
    opened: list[SQLiteConnection] = []
    drivers: list[SQLiteDriver] = []

    class TrackedDriver(SQLiteDriver):
        async def connect(self, lane: Any) -> Any:
            connection = await super().connect(lane)
            opened.append(connection)  # type: ignore[arg-type]
            return connection

    def make(url: str | None = None, **options: Any) -> SQLiteDriver:
        connect_options = ConnectOptions(options=options)
        driver = TrackedDriver(locate(read_url(url or f"sqlite:///{path}"), connect_options))
        drivers.append(driver)
        return driver

    yield make
    for connection in opened:
        await connection.really_close()
    for driver in drivers:
        await driver.close()


@pytest.fixture
async def writer(open_driver: Open) -> SQLiteConnection:
    """A connection of the lane that writes."""
    driver = open_driver()
    connection: SQLiteConnection = await driver.connect(driver.lanes[1])
    return connection


@pytest.fixture(params=["memory", "file"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DataFlow]:
    """An instance with the models of the shop; its pool ends as it began."""
    url = ":memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'shop.db'}"
    async with register(DataFlow(url, synchronous="OFF")) as instance:
        yield instance
        assert idle(instance)
