from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dataflow_core.errors import TransactionFailed
from dataflow_mysql.protocol.failures import ServerError
from tests.mysql.support import count, make_table, translated

BOTH_WAYS = pytest.mark.parametrize("fast", [True, False])


@BOTH_WAYS
async def test_transactions_and_savepoints(connect: Any, fast: bool) -> None:
    """What is rolled back leaves no trace, with savepoints too, whatever they are called."""
    connection = await connect(fast=fast)
    await make_table(connection)
    name = "a`; DROP TABLE t; --"
    await connection.begin(isolation="serializable")
    assert connection.in_transaction
    await connection.fetch("INSERT INTO t (v) VALUES ('kept')", ())
    await connection.savepoint(name)
    await connection.fetch("INSERT INTO t (v) VALUES ('undone')", ())
    await connection.rollback_to(name)
    await connection.release(name)
    assert connection.in_transaction
    await connection.commit()
    assert not connection.in_transaction
    assert await count(connection) == 1
    await connection.begin()
    await connection.fetch("DELETE FROM t", ())
    await connection.rollback()
    await connection.rollback()
    assert await count(connection) == 1


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_an_isolation_holds_for_one_transaction(connect: Any, isolation: Any) -> None:
    """A transaction that asks for it sees no later commits; the next one does again."""
    one, other = await connect(), await connect()
    await make_table(one)
    await one.begin(isolation=isolation, read_only=True)
    assert await count(one) == 0
    await asyncio.wait_for(_insert_if_possible(other), 20)
    assert await count(one) == 0
    await one.commit()
    await one.begin(isolation="read committed")
    before = await count(one)
    await other.fetch("INSERT INTO t (v) VALUES ('later')", ())
    assert await count(one) == before + 1
    await one.rollback()


async def _insert_if_possible(connection: Any) -> None:
    """Write, unless a serializable reader holds the rows."""
    await connection.fetch("SET innodb_lock_wait_timeout = 1", ())
    try:
        await connection.fetch("INSERT INTO t (v) VALUES ('x')", ())
    except ServerError as error:
        assert error.number == 1205


async def test_a_read_only_transaction_refuses_writes(connection: Any) -> None:
    """A read-only transaction writes nothing, and the next one may."""
    await make_table(connection)
    for end in (connection.commit, connection.rollback):
        await connection.begin(read_only=True)
        with pytest.raises(ServerError) as caught:
            await connection.fetch("INSERT INTO t (v) VALUES ('a')", ())
        assert translated(caught.value, writing=True).code == "DF-515"
        await end()
        assert await connection.execute("INSERT INTO t (v) VALUES ('a')", ()) == 1


async def test_a_violation_undoes_its_statement_only(connection: Any) -> None:
    """After a violated constraint the transaction is still there and goes on."""
    await make_table(connection)
    await connection.begin()
    await connection.fetch("INSERT INTO t VALUES (1, 'a')", ())
    with pytest.raises(ServerError):
        await connection.fetch("INSERT INTO t VALUES (2, 'b'), (1, 'a')", ())
    assert connection.in_transaction and connection.survives_errors
    await connection.commit()
    assert await count(connection) == 1


@BOTH_WAYS
async def test_a_deadlock_ends_the_transaction(connect: Any, fast: bool) -> None:
    """The transaction that a deadlock undoes is gone, and the connection knows it."""
    one, other = await connect(fast=fast), await connect(fast=fast)
    await one.fetch("CREATE TABLE t (id INT PRIMARY KEY, v INT)", ())
    await one.fetch("INSERT INTO t VALUES (1, 0), (2, 0)", ())
    await one.begin()
    await other.begin()
    await one.fetch("UPDATE t SET v = 1 WHERE id = 1", ())
    await other.fetch("UPDATE t SET v = 1 WHERE id = 2", ())
    outcomes = await asyncio.gather(
        one.fetch("UPDATE t SET v = 1 WHERE id = 2", ()),
        other.fetch("UPDATE t SET v = 1 WHERE id = 1", ()),
        return_exceptions=True,
    )
    failed = [
        (connection, outcome)
        for connection, outcome in zip((one, other), outcomes, strict=True)
        if isinstance(outcome, BaseException)
    ]
    ((victim, error),) = failed
    assert translated(error, writing=True).code == "DF-508"
    assert not victim.in_transaction and victim.usable
    await victim.rollback()
    with pytest.raises(TransactionFailed):
        await victim.commit()
    survivor = other if victim is one else one
    assert survivor.in_transaction
    await survivor.commit()


async def test_a_lock_that_is_not_released(connect: Any) -> None:
    """Waiting too long for a lock is an error after which the transaction is still open."""
    one, other = await connect(), await connect()
    await make_table(one)
    await one.fetch("INSERT INTO t VALUES (1, 'a')", ())
    await one.begin()
    await one.fetch("UPDATE t SET v = 'b'", ())
    await other.fetch("SET innodb_lock_wait_timeout = 1", ())
    await other.begin()
    with pytest.raises(ServerError) as caught:
        await other.fetch("UPDATE t SET v = 'c'", ())
    assert translated(caught.value, writing=True).code == "DF-507"
    assert other.in_transaction
    with pytest.raises(ServerError) as caught:
        await other.fetch("SELECT v FROM t FOR UPDATE NOWAIT", ())
    assert translated(caught.value).code == "DF-507"
    await other.rollback()
    await one.rollback()


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE other (a INT)",
        "/* harmless */ drop table t",
        "TRUNCATE t",
        "COMMIT",
        "ROLLBACK",
        "BEGIN",
        "START TRANSACTION",
        "SET autocommit = 1",
        "LOCK TABLES t WRITE",
    ],
)
async def test_nothing_ends_a_transaction_by_the_way(connection: Any, sql: str) -> None:
    """A statement that would commit what was done before is refused and not sent."""
    await make_table(connection)
    await connection.begin()
    await connection.fetch("INSERT INTO t (v) VALUES ('a')", ())
    with pytest.raises(TransactionFailed) as caught:
        await connection.fetch(sql, ())
    assert caught.value.outcome == "not done"
    await connection.rollback()
    assert await count(connection) == 0


async def test_what_ends_a_transaction_unseen_is_an_error(connection: Any) -> None:
    """A procedure that commits cannot be refused before; that it did is an error."""
    await make_table(connection)
    await connection.fetch("CREATE PROCEDURE sneaky() COMMIT", ())
    await connection.begin()
    await connection.fetch("INSERT INTO t (v) VALUES ('a')", ())
    with pytest.raises(TransactionFailed) as caught:
        await connection.fetch("CALL sneaky()", ())
    assert caught.value.outcome == "unknown"
    assert not connection.in_transaction


async def test_temporary_tables_do_not_end_a_transaction(connection: Any) -> None:
    """Making and dropping a temporary table is allowed within a transaction."""
    await make_table(connection)
    await connection.begin()
    await connection.fetch("INSERT INTO t (v) VALUES ('a')", ())
    await connection.fetch("CREATE TEMPORARY TABLE draft (a INT)", ())
    await connection.fetch("DROP TEMPORARY TABLE draft", ())
    await connection.rollback()
    assert await count(connection) == 0
