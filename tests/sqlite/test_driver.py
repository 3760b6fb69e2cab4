from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from dataflow_sqlite.connection import SQLiteConnection
from dataflow_sqlite.driver import SQLiteDriver
from tests.sqlite.support import count, make_table, pragma, read_lane, write_lane

Open = Callable[..., SQLiteDriver]


async def test_the_reading_lane_cannot_write(open_driver: Open) -> None:
    """A connection of the reading lane refuses a write."""
    driver = open_driver()
    await make_table(await write_lane(driver))
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await (await read_lane(driver)).fetch("INSERT INTO t VALUES (1, 'a')", ())


async def test_a_statement_is_one_trip(writer: SQLiteConnection) -> None:
    """INSERT ... RETURNING stores and gives back in one call, and commits by itself."""
    await make_table(writer)
    rows = await writer.fetch("INSERT INTO t (v) VALUES (?), (?) RETURNING id, v", ("a", "b"))
    assert list(rows) == [(1, "a"), (2, "b")]
    assert not writer.in_transaction


async def test_the_number_of_rows(writer: SQLiteConnection) -> None:
    """execute counts what was matched or written, also behind WITH and with RETURNING."""
    assert await writer.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", ()) == 0
    assert await writer.execute("INSERT INTO t (v) VALUES (?), (?), (?)", ("a", "b", "c")) == 3
    assert await writer.execute("UPDATE t SET v = v", ()) == 3
    assert await writer.execute("WITH q AS (SELECT 1) UPDATE t SET v = 'x' WHERE id < 3", ()) == 2
    assert await writer.execute("DELETE FROM t WHERE id = 1 RETURNING id", ()) == 1
    assert await writer.execute("DELETE FROM t", ()) == 2
    assert await writer.execute("DELETE FROM t", ()) == 0


async def test_transactions_and_savepoints(writer: SQLiteConnection) -> None:
    """What is rolled back leaves no trace, with savepoints too, whatever they are called."""
    await make_table(writer)
    name = 'a"; DROP TABLE t; --'
    await writer.begin(isolation="serializable")
    await writer.fetch("INSERT INTO t (v) VALUES ('kept')", ())
    await writer.savepoint(name)
    await writer.fetch("INSERT INTO t (v) VALUES ('undone')", ())
    await writer.rollback_to(name)
    await writer.release(name)
    assert writer.in_transaction
    await writer.commit()
    assert await count(writer) == 1
    await writer.begin()
    await writer.fetch("DELETE FROM t", ())
    await writer.rollback()
    await writer.rollback()
    assert await count(writer) == 1


async def test_a_read_only_transaction_refuses_writes(open_driver: Open) -> None:
    """Where one connection does everything, a read-only transaction still writes nothing."""
    driver = open_driver(":memory:")
    connection = await driver.connect(driver.lanes[0])
    await make_table(connection)
    for end in (connection.commit, connection.rollback):
        await connection.begin(read_only=True)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await connection.fetch("INSERT INTO t (v) VALUES ('a')", ())
        await end()
        assert await connection.execute("INSERT INTO t (v) VALUES ('a')", ()) == 1


async def test_a_full_database_is_rolled_back_harmlessly(writer: SQLiteConnection) -> None:
    """When there is no room, a rollback is harmless and what was committed stays readable."""
    await make_table(writer)
    await writer.fetch("INSERT INTO t (v) VALUES ('kept')", ())
    await writer.fetch("PRAGMA max_page_count = 10", ())
    await writer.begin()
    with pytest.raises(sqlite3.OperationalError) as caught:
        await writer.fetch("INSERT INTO t (v) VALUES (?)", ("x" * 1_000_000,))
    assert caught.value.sqlite_errorcode == sqlite3.SQLITE_FULL
    await writer.rollback()
    assert await count(writer) == 1


async def test_a_function_tells_why_it_failed(writer: SQLiteConnection) -> None:
    """The reason of a failing function travels with SQLite's error, and only with that one."""
    with pytest.raises(sqlite3.OperationalError) as caught:
        await writer.fetch("SELECT dataflow_int_add(?, 1)", (2**63 - 1,))
    assert "64 bits" in str(caught.value.__cause__)
    with pytest.raises(sqlite3.OperationalError) as caught:
        await writer.fetch("SELECT nothing", ())
    assert caught.value.__cause__ is None


async def test_checks_may_call_the_functions(writer: SQLiteConnection) -> None:
    """A check of a table may use the functions that every connection has."""
    await writer.fetch("CREATE TABLE t (v CHECK (dataflow_regex('^a', v, 0)))", ())
    await writer.fetch("INSERT INTO t VALUES ('abc')", ())
    with pytest.raises(sqlite3.IntegrityError):
        await writer.fetch("INSERT INTO t VALUES ('b')", ())


async def test_reset_undoes_what_sql_left(open_driver: Open) -> None:
    """A transaction is rolled back; a connection whose session was changed is not used again."""
    driver = open_driver()
    connection = await write_lane(driver)
    await connection.begin()
    await connection.reset()
    assert connection.usable and not connection.in_transaction
    await connection.fetch("PRAGMA table_info(t)", ())
    await connection.begin(read_only=True)
    await connection.rollback()
    await connection.reset()
    assert connection.usable
    await connection.fetch("PRAGMA foreign_keys = OFF", ())
    await connection.reset()
    assert not connection.usable


async def test_reset_mends_a_database_in_memory(open_driver: Open) -> None:
    """A database in memory gets its settings back and keeps its rows."""
    driver = open_driver(":memory:")
    connection = await driver.connect(driver.lanes[0])
    await make_table(connection)
    for _ in range(2):
        await connection.fetch("PRAGMA foreign_keys = OFF", ())
        await connection.reset()
        assert connection.usable
        assert await pragma(connection, "foreign_keys") == 1
    assert await count(connection) == 0


async def test_reset_removes_what_is_temporary_in_memory(open_driver: Open, tmp_path: Path) -> None:
    """Temporary objects and attached databases go, and checks hold again; rows stay."""
    driver = open_driver(":memory:")
    connection = await driver.connect(driver.lanes[0])
    await make_table(connection)
    for sql in (
        "PRAGMA ignore_check_constraints = ON",
        "CREATE TEMP TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        'CREATE TEMP TABLE "od""d" (id)',
        'CREATE TEMP VIEW v AS SELECT * FROM "od""d"',
        "CREATE TEMP TRIGGER g AFTER INSERT ON main.t BEGIN SELECT 1; END",
        f"ATTACH '{tmp_path / 'other.db'}' AS other",
    ):
        await connection.fetch(sql, ())
    await connection.reset()
    left = "SELECT name FROM temp.sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    assert not await connection.fetch(left, ())
    databases = await connection.fetch("SELECT name FROM pragma_database_list", ())
    assert {row[0] for row in databases} <= {"main", "temp"}
    assert await pragma(connection, "ignore_check_constraints") == 0
    assert await count(connection) == 0


async def test_cancelling_a_closed_connection_says_so(open_driver: Open) -> None:
    """A connection that was closed by somebody else is cancelled without an error, and unusable."""
    driver = open_driver()
    connection = await write_lane(driver)
    await connection.really_close()
    await connection.cancel()
    assert not connection.usable


async def test_closing_twice_is_harmless(writer: SQLiteConnection) -> None:
    """A connection that is already gone can be closed."""
    await writer.close()
    await writer.close()
    assert not writer.usable
    assert not writer.in_transaction


async def test_the_limit_of_parameters_is_known(writer: SQLiteConnection) -> None:
    """max_parameters is what the library takes in one statement, exactly."""
    number = writer.max_parameters
    marks = ",".join("?" * number)
    ((found,),) = await writer.fetch(f"SELECT 1 IN ({marks})", [1] * number)
    assert found == 1
    with pytest.raises(sqlite3.OperationalError):
        await writer.fetch(f"SELECT 1 IN ({marks},?)", [1] * (number + 1))
