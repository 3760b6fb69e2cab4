from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import InvalidOption, NodeExecutionError, StatementTimeout, UnknownOption
from tests.limits import at_most
from tests.mysql.support import connected, driver_of, until


@pytest.fixture
async def db(mysql_url: str) -> AsyncIterator[DataFlow]:
    """An instance on a new database."""
    async with DataFlow(mysql_url, pool_size=3, command_timeout=20) as instance:
        yield instance


async def sql(db: DataFlow, text: str, **parameters: Any) -> Any:
    """What a statement of the user's own gives."""
    return (await db.run("SQLNode", sql=text, parameters=parameters))["result"]


async def test_bytes_are_bound(db: DataFlow) -> None:
    """Bytes travel with whatever versions of the two drivers are installed together: the newest
    pair of them cannot bind bytes by itself."""

    @db.model
    class Picture:
        content: bytes

    for content in (b"", b"\x00\xff'\\%s?", bytes(range(256))):
        created = await db.run("PictureCreateNode", content=content)
        read = await db.run("PictureReadNode", id=created["id"])
        assert read["content"] == content
        found = await db.run("PictureListNode", filter={"content": content})
        assert found["count"] == 1
    ((content,),) = [list(row.values()) for row in await sql(db, "SELECT :b AS b", b=b"\xff\x00")]
    assert content == b"\xff\x00"


async def test_a_statement_of_ones_own(db: DataFlow) -> None:
    """Percent and question marks of a statement are its own; values are bound by name."""
    text = (
        "SELECT :a AS a, '%s ? :a' AS b, 7 % 4 AS c, :a LIKE '%x%' AS d, `?` AS e"
        " FROM (SELECT 5 AS `?`) AS t -- 'what?\n"
    )
    assert await sql(db, text, a="it's ? %s \\ x") == [
        {"a": "it's ? %s \\ x", "b": "%s ? :a", "c": 3, "d": 1, "e": 5}
    ]


async def test_no_session_state_reaches_the_next_borrower(mysql_url: str) -> None:
    """What a statement leaves in its session is gone when the connection goes back, also out of a
    transaction."""
    async with DataFlow(mysql_url, pool_size=1, max_overflow=0) as db:
        state = "SELECT @tenant AS tenant, @@sql_mode AS modes, CONNECTION_ID() AS id"
        ((before),) = await sql(db, state)
        await sql(db, "SET @tenant = 'acme', sql_mode = ''")
        assert await sql(db, state) == [before]
        async with db.transaction():
            await sql(db, "SET @tenant = 'acme'")
            assert (await sql(db, state))[0]["tenant"] == "acme"
        assert (await sql(db, state))[0]["tenant"] is None


async def test_options_of_the_documentation(mysql_url: str) -> None:
    """Options are arguments, or stand in the URL; each has its effect or is refused."""
    url = f"{mysql_url}?charset=utf8mb4&collation=utf8mb4_unicode_ci"
    async with DataFlow(url) as db:
        assert (await sql(db, "SELECT @@collation_connection AS c"))[0]["c"] == "utf8mb4_unicode_ci"
    async with DataFlow(mysql_url, charset="utf8mb4", collation="utf8mb4_unicode_ci") as db:
        assert (await sql(db, "SELECT 'a' = 'A' AS same"))[0]["same"] == 1
    with pytest.raises((InvalidOption, NodeExecutionError), match="utf8mb4"):
        async with DataFlow(mysql_url, charset="latin1") as db:
            await sql(db, "SELECT 1")
    with pytest.raises(UnknownOption):
        DataFlow(mysql_url, colation="utf8mb4_bin")


async def test_a_slow_statement_is_stopped(mysql_url: str) -> None:
    """A statement that exceeds the limit ends at the server too, and the pool goes on."""
    other = await connected(driver_of(mysql_url))
    async with DataFlow(mysql_url, command_timeout=1, pool_size=2) as db:
        started = time.monotonic()
        with pytest.raises((StatementTimeout, NodeExecutionError), match="DF-506"):
            await sql(db, "SELECT SLEEP(20)")
        assert time.monotonic() - started < at_most(1.5)
        assert await sql(db, "SELECT 1 AS one") == [{"one": 1}]

    async def idle() -> bool:
        rows = await other.fetch(
            "SELECT 1 FROM information_schema.processlist WHERE info LIKE ?", ("SELECT SLEEP(2%",)
        )
        return not rows

    await until(idle, 2)
    await other.close()


async def test_a_cancelled_call(db: DataFlow, mysql_server: Any, mysql_url: str) -> None:
    """A call that is cancelled raises CancelledError, soon, and leaves nothing behind."""
    for _ in range(5):
        task = asyncio.ensure_future(sql(db, "SELECT SLEEP(20)"))
        await asyncio.sleep(0.05)
        task.cancel()
        started = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < at_most(1)
    assert await sql(db, "SELECT 2 AS two") == [{"two": 2}]
    await until(lambda: mysql_server.connections(mysql_url) <= 1, 2)


async def test_connections_that_the_server_ended(
    db: DataFlow, mysql_server: Any, mysql_url: str
) -> None:
    """Connections that were ended while they were idle are replaced without an error."""
    await asyncio.gather(*(sql(db, "SELECT SLEEP(0.05)") for _ in range(3)))
    for _ in range(3):
        mysql_server.kill_connections(mysql_url)
        await asyncio.sleep(0.05)
        assert await sql(db, "SELECT 3 AS three") == [{"three": 3}]


def test_an_instance_in_several_loops(mysql_url: str) -> None:
    """One instance serves one event loop after the other, and code without any."""
    db = DataFlow(mysql_url)
    for number in range(3):
        assert asyncio.run(sql(db, "SELECT :n AS n", n=number)) == [{"n": number}]
    assert db.run_sync("SQLNode", sql="SELECT 4 AS four")["result"] == [{"four": 4}]
    db.close()
