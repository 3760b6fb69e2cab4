from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.errors import DatabaseError
from dataflow_mysql.protocol.failures import ConnectionGone, ServerError
from tests.mysql.support import make_table, value

BOTH_WAYS = pytest.mark.parametrize("fast", [True, False])


SQL_MODE = {
    "STRICT_ALL_TABLES",
    "NO_ZERO_DATE",
    "NO_ZERO_IN_DATE",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "NO_AUTO_VALUE_ON_ZERO",
    "ONLY_FULL_GROUP_BY",
    "NO_ENGINE_SUBSTITUTION",
}

LEFT_BEHIND = (
    "SET @tenant = 'acme'",
    "SET sql_mode = ''",
    "SET innodb_lock_wait_timeout = 1",
    "SET time_zone = '+05:00'",
    "SET autocommit = 0",
    "SET foreign_key_checks = 0",
    "SET SESSION TRANSACTION READ ONLY",
    "CREATE TEMPORARY TABLE left_over (a INT)",
    "PREPARE left_over FROM 'SELECT 1'",
    "DO GET_LOCK('left_over', 0)",
    "LOCK TABLES t READ",
    "START TRANSACTION",
    "SET collation_connection = utf8mb4_general_ci",
    "USE information_schema",
)


@BOTH_WAYS
async def test_the_sql_mode(connect: Any, fast: bool) -> None:
    """A session has exactly the SQL modes of this dialect, whatever the server's default is: no
    more, no less."""
    connection = await connect(fast=fast)
    assert set((await value(connection, "SELECT @@sql_mode")).split(",")) == SQL_MODE


@BOTH_WAYS
async def test_locks_are_waited_for_as_long_as_the_statement_may_take(
    connect: Any, fast: bool
) -> None:
    """The server ends no wait for a row or a table before `command_timeout` does."""
    connection = await connect(fast=fast)
    for name in ("innodb_lock_wait_timeout", "lock_wait_timeout"):
        assert int(await value(connection, f"SELECT @@{name}")) == 365 * 24 * 3600


@pytest.mark.parametrize("sql", LEFT_BEHIND)
async def test_reset_undoes_what_sql_left(connect: Any, sql: str) -> None:
    """No state that a statement leaves in the session reaches the next borrower."""
    connection, other = await connect(), await connect()
    await make_table(connection)
    await connection.fetch("INSERT INTO t (v) VALUES ('a')", ())
    state = (
        "SELECT @tenant, @@sql_mode, @@time_zone, @@autocommit, @@foreign_key_checks,"
        " @@innodb_lock_wait_timeout, @@collation_connection, @@character_set_client, DATABASE(),"
        " IS_USED_LOCK('left_over')"
    )
    before = await connection.fetch(state, ())
    await connection.fetch(sql, ())
    await connection.reset()
    assert connection.usable and not connection.in_transaction
    assert await connection.fetch(state, ()) == before
    for gone in ("SELECT * FROM left_over", "EXECUTE left_over"):
        with pytest.raises(ServerError):
            await connection.fetch(gone, ())
    assert await other.execute("UPDATE t SET v = 'b'", ()) == 1
    assert await connection.execute("INSERT INTO t (v) VALUES ('c')", ()) == 1


async def test_reset_of_the_plain_way(connect: Any) -> None:
    """Where the session cannot be undone, the connection is not used again."""
    connection = await connect(fast=False)
    await connection.reset()
    assert not connection.usable


@pytest.mark.parametrize(
    "sql", ["SET NAMES latin1", "SET CHARACTER SET gbk", "SET character_set_client = big5"]
)
async def test_another_character_set_ends_the_connection(connection: Any, sql: str) -> None:
    """A statement that has the server read text in another way is an error, and the last one:
    under some character sets a quote could hide in a character."""
    with pytest.raises(DatabaseError, match="has to speak utf8mb4"):
        await connection.fetch(sql, ())
    assert not connection.usable
    with pytest.raises(ConnectionGone):
        await connection.fetch("SELECT ?", ("\u7e17'",))
