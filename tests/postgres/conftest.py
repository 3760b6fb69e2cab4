"""Servers, databases, and drivers whose connections are closed at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from dataflow_postgres.connection import PostgresConnection
from dataflow_postgres.driver import PostgresDriver
from tests.postgres.servers import Pooler, PrivateServer
from tests.postgres.support import driver_of

Open = Callable[..., PostgresDriver]
Connect = Callable[..., Any]


@pytest.fixture(scope="session")
def own_server() -> Iterator[PrivateServer]:
    """A server that may be killed, with TLS and passwords; runs for the whole session."""
    server = PrivateServer()
    try:
        server.start()
        yield server
    finally:
        server.process.close()


@pytest.fixture
def server(own_server: PrivateServer) -> PrivateServer:
    """The own server, running whatever the test before did to it."""
    if not own_server.process.running:
        own_server.process.restart()
    return own_server


@pytest.fixture(scope="session")
def own_pooler(own_server: PrivateServer) -> Iterator[Pooler]:
    """A pooler before the own server that uses two connections in turn."""
    pooler = Pooler(own_server, default_pool_size=2, min_pool_size=2, server_round_robin=1)
    yield pooler
    pooler.process.close()


@pytest.fixture
async def open_driver() -> AsyncIterator[Open]:
    """Makes drivers; what they opened is closed at the end."""
    opened: list[Any] = []
    drivers: list[PostgresDriver] = []

    class TrackedDriver(PostgresDriver):
        async def connect(self, lane: Any) -> Any:
            connection = await super().connect(lane)
            opened.append(connection)
            return connection

    def make(url: str, **options: Any) -> PostgresDriver:
        driver = TrackedDriver(driver_of(url, **options)._location)
        drivers.append(driver)
        return driver

    yield make
    for connection in opened:
        await connection.close()
    for driver in drivers:
        await driver.close()


@pytest.fixture
async def connect(open_driver: Open) -> AsyncIterator[Connect]:
    """Opens a connection of the lane that writes, of a driver of its own."""

    async def make(url: str, **options: Any) -> Any:
        driver = open_driver(url, **options)
        return await driver.connect(driver.lanes[-1])

    yield make
    # An encrypted connection that was refused says goodbye in a few turns of the loop.
    await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def module_url(postgres_server: Any) -> Iterator[str]:
    """A database for all tests of a module: making one takes long."""
    url = postgres_server.new_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
async def url(module_url: str) -> str:
    """The URL of a database that is empty again."""
    driver = driver_of(module_url)
    connection = await driver.connect(driver.lanes[0])
    for name in ("public", "sales"):
        await connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE", ())
    await connection.execute("CREATE SCHEMA public", ())
    await connection.close()
    return module_url


@pytest.fixture
async def connection(connect: Connect, url: str) -> PostgresConnection:
    """A connection to an empty database."""
    opened: PostgresConnection = await connect(url)
    return opened
