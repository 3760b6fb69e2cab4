from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from dataflow_core.conformance.servers import SharedServer
from dataflow_core.url import parse_url
from tests.faults.load import instance
from tests.postgres.servers import Network


@pytest.fixture(scope="module")
def own_server(database: SharedServer) -> Iterator[Any]:
    """A server that a test may kill; what it acknowledged outlives that."""
    server = database.private(durable=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def own_url(own_server: Any) -> AsyncIterator[str]:
    """A new database on that server, with the tables made."""
    url = await asyncio.to_thread(own_server.new_database)
    db = instance(url)
    await db.run("EntryCountNode", filter={})
    await db.run("AccountCountNode", filter={})
    await db.aclose()
    yield url
    try:
        await asyncio.to_thread(own_server.drop_database, url)
    except OSError:  # the test failed while the server was down
        await asyncio.to_thread(own_server.restart)


@pytest.fixture
async def network(own_url: str) -> AsyncIterator[Network]:
    """A line to that server which can be held up and cut."""
    port = parse_url(own_url).port
    assert port is not None
    async with Network(port) as line:
        yield line


@pytest.fixture
def url_over_network(own_url: str, network: Network) -> str:
    """The database, over that line."""
    port = parse_url(own_url).port
    return own_url.replace(f":{port}/", f":{network.port}/")


@pytest.fixture(autouse=True)
def nothing_forgotten(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No task of a test fails without anybody hearing of it."""
    yield
    gc.collect()
    forgotten = [
        record.getMessage()
        for record in (*caplog.get_records("setup"), *caplog.get_records("call"), *caplog.records)
        if record.name == "asyncio" and record.levelno >= logging.ERROR
    ]
    assert forgotten == []
