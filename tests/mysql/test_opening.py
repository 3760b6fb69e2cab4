from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dataflow_core.errors import ConnectionFailed
from tests.mysql.support import connected, driver_of, until


async def test_a_closed_connection_leaves_the_server(mysql_server: Any, mysql_url: str) -> None:
    """Closing ends the connection at the server too."""
    driver = driver_of(mysql_url)
    opened = [await connected(driver) for _ in range(5)]
    assert mysql_server.connections(mysql_url) == 5
    for connection in opened:
        await connection.close()
    await until(lambda: mysql_server.connections(mysql_url) == 0)


def test_a_connection_of_a_loop_that_has_ended(mysql_server: Any, mysql_url: str) -> None:
    """A connection can be closed after its event loop has ended, and its socket goes."""
    driver = driver_of(mysql_url)
    connection = asyncio.run(connected(driver))
    asyncio.run(connection.close())
    assert not connection.usable
    asyncio.run(until(lambda: mysql_server.connections(mysql_url) == 0))


def test_a_connection_of_a_loop_in_another_thread(mysql_server: Any, mysql_url: str) -> None:
    """Closed from elsewhere, a connection is taken down by the thread of its own loop alone."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    connection = asyncio.run_coroutine_threadsafe(connected(driver_of(mysql_url)), loop).result()
    threads: list[threading.Thread] = []
    release = connection._wire._release

    def released() -> None:
        threads.append(threading.current_thread())
        release()

    connection._wire._release = released
    asyncio.run(connection.close())
    assert not connection.usable
    asyncio.run(until(lambda: mysql_server.connections(mysql_url) == 0))
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    assert threads == [thread]


async def test_no_connection_without_a_server() -> None:
    """A server that is not there is an error that says where, without the password."""
    driver = driver_of("mysql://ada:secret@127.0.0.1:1/shop")
    with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1/shop cannot be reached") as caught:
        await connected(driver)
    assert "secret" not in str(caught.value)
    assert "secret" not in driver.description


async def test_a_missing_socket(tmp_path: Any) -> None:
    """A socket that is not there is an error that names it."""
    path = tmp_path / "no.sock"
    driver = driver_of("mysql:///shop", unix_socket=str(path))
    with pytest.raises(ConnectionFailed, match=r"no\.sock"):
        await connected(driver)


async def test_a_connection_that_is_given_up_leaves_nothing(
    mysql_server: Any, mysql_url: str
) -> None:
    """Cancelled while it connects, at any moment, a connection leaves no socket behind."""
    driver = driver_of(mysql_url)
    for number in range(60):
        task = asyncio.ensure_future(connected(driver))
        await asyncio.sleep(number * 0.0001)
        task.cancel()
        try:
            connection = await task
        except asyncio.CancelledError:
            continue
        await connection.close()
    await until(lambda: mysql_server.connections(mysql_url) == 0)


@asynccontextmanager
async def _false_server(talk: Any) -> AsyncIterator[str]:
    """A server of one's own: ``talk`` gets every client's reader and writer."""
    talks: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        current = asyncio.current_task()
        assert current is not None
        talks.append(current)
        try:
            await talk(reader, writer)
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield f"mysql://ada@127.0.0.1:{server.sockets[0].getsockname()[1]}/shop"
        await asyncio.wait(talks, timeout=5)


async def test_a_server_that_never_greets() -> None:
    """A host that accepts and says nothing holds a connection attempt only until it is given up."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with _false_server(silent) as url:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await connected(driver_of(url))


async def test_an_old_server_is_refused() -> None:
    """A server that is too old is named with the oldest version that is supported."""

    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = (
            b"\x0a5.7.44\0\x01\0\0\0"
            + b"a" * 8
            + b"\0"
            + b"\xff\xf7\x08\x02\0\x0f\x80\x15"
            + b"\0" * 10
            + b"b" * 12
            + b"\0mysql_native_password\0"
        )
        writer.write(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
        await reader.read(1_000)
        writer.write(b"\x07\0\0\x02\0\0\0\x02\0\0\0")
        await reader.read(1_000)

    async with _false_server(old) as url:
        with pytest.raises(ConnectionFailed, match=r"MySQL 5\.7\.44; MySQL is supported from 8"):
            await connected(driver_of(url))
