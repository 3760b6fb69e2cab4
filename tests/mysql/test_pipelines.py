from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dataflow_mysql.protocol.failures import ConnectionGone, ServerError
from tests.mysql.support import make_table, until, value

UPDATE = "UPDATE t SET v = ? WHERE id = ?"
SELECT = "SELECT v FROM t WHERE id = ?"


async def update(connection: Any, text: str | None, key: int = 1) -> Any:
    """Change a row and read it, in one transaction."""
    return await connection.fetch_together([(UPDATE, (text, key)), (SELECT, (key,))])


@pytest.fixture
async def stored(connect: Any) -> Any:
    """Opens connections to a database whose table has one row; its text is unique and not NULL."""
    first = await connect()
    await make_table(first)
    await first.fetch("ALTER TABLE t MODIFY v VARCHAR(20) NOT NULL UNIQUE", ())
    await first.fetch("INSERT INTO t VALUES (1, 'old'), (2, 'other')", ())
    return connect


@pytest.mark.parametrize("fast", [True, False])
async def test_the_rows_of_the_last_statement_come_back(stored: Any, fast: bool) -> None:
    """What is written is read, and is durable for others; then the connection is free again."""
    connection, other = await stored(fast=fast), await stored()
    assert list(await update(connection, "new")) == [("new",)]
    assert not connection.in_transaction
    assert await value(other, SELECT, 1) == "new"
    assert list(await update(connection, "new", 99)) == []


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(("text", "number"), [("other", 1062), (None, 1048)])
async def test_what_fails_changes_nothing(
    stored: Any, fast: bool, text: str | None, number: int
) -> None:
    """The first error is raised, no transaction stays open, and what comes next is answered."""
    connection = await stored(fast=fast)
    with pytest.raises(ServerError) as caught:
        await update(connection, text)
    assert caught.value.number == number
    assert not connection.in_transaction
    assert await value(connection, SELECT, 1) == "old"
    assert list(await update(connection, "new")) == [("new",)]


async def test_one_trip(stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All statements are sent before the first answer has come."""
    connection = await stored()
    wire, sent = connection._wire, []
    monkeypatch.setattr(wire, "_send", lambda command, text: sent.append(text))
    asking = asyncio.ensure_future(update(connection, "new"))
    await asyncio.sleep(0)
    assert [text.split()[0] for text in sent] == [b"START", b"UPDATE", b"SELECT", b"COMMIT"]
    asking.cancel()
    await asyncio.wait([asking])


async def test_cancelled_while_it_waits_for_a_lock(stored: Any) -> None:
    """The row keeps its value, and the connection can be used again."""
    connection, other = await stored(), await stored()
    await other.begin()
    await other.fetch(UPDATE, ("held", 1))
    asking = asyncio.ensure_future(update(connection, "new"))
    await asyncio.sleep(0.1)
    asking.cancel()
    await asyncio.wait([asking])
    await connection.cancel()
    await other.rollback()
    assert asking.cancelled()
    assert connection.usable
    assert not connection.in_transaction
    assert await value(connection, SELECT, 1) == "old"


async def test_lost_on_the_way(stored: Any, mysql_server: Any, mysql_url: str) -> None:
    """Who cannot know whether it was committed says so."""
    connection, other = await stored(), await stored()
    await other.begin()
    await other.fetch(UPDATE, ("held", 1))
    asking = asyncio.ensure_future(update(connection, "new"))
    await asyncio.sleep(0.1)
    mysql_server.kill_connections(mysql_url)
    with pytest.raises(ConnectionGone) as caught:
        await asking
    assert caught.value.sent
    assert not getattr(caught.value, "undone", False)
    await until(lambda: not connection.usable)
