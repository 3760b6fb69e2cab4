from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import (
    ConnectionLost,
    DatabaseError,
    SerializationFailure,
    StatementTimeout,
    TransactionFailed,
)
from dataflow_postgres.connection import _CACHED_STATEMENTS, PostgresConnection
from dataflow_postgres.errors import translate_error
from dataflow_postgres.introspect import read_tables
from tests.postgres.conftest import Connect, Open
from tests.postgres.support import SLOW, driver_of, raised, setting, until, value

RUNNING = (
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)%'"
    " AND pid <> pg_backend_pid()"
)


async def table_columns(connection: Any, name: str) -> list[str]:
    """The names of the columns of a table or a view; none if it is not there."""
    tables = await read_tables(connection, [name])
    return [column.name for table in tables for column in table.columns]


async def make_table(connection: Any) -> None:
    """A table with three rows."""
    await connection.execute("CREATE TABLE t (id bigint PRIMARY KEY, v text)", ())
    await connection.execute("INSERT INTO t SELECT g, 'v' FROM generate_series(1, 3) AS g", ())


async def prepared(connection: Any) -> int:
    """How many prepared statements the server keeps for the connection."""
    return int(await value(connection, "SELECT count(*) FROM pg_prepared_statements"))


async def test_rows_behave_like_tuples(connection: PostgresConnection) -> None:
    """Rows are indexed, counted and unpacked like tuples."""
    ((first, second),) = rows = await connection.fetch("SELECT $1::bigint, $2::text", (1, "a"))
    assert (first, second) == (rows[0][0], rows[0][1]) == tuple(rows[0]) == (1, "a")
    assert len(rows[0]) == 2


async def test_names_of_columns(connection: PostgresConnection) -> None:
    """The names of columns come with the rows, also when there are none, or names occur twice."""
    names, rows = await connection.fetch_named("SELECT 1 AS a, 2 AS b, 3 AS a WHERE $1", (False,))
    assert (names, list(rows)) == (("a", "b", "a"), [])
    names, rows = await connection.fetch_named("SELECT 1 AS a", ())
    assert (names, rows[0][0]) == (("a",), 1)


async def test_the_number_of_rows(connection: PostgresConnection) -> None:
    """What a statement matched or wrote is counted; one that touches no rows counts none."""
    await make_table(connection)
    assert await connection.execute("UPDATE t SET v = v WHERE id > $1::bigint", (1,)) == 2
    assert await connection.execute("INSERT INTO t VALUES (9, 'x') RETURNING id", ()) == 1
    assert await connection.execute("SELECT * FROM t", ()) == 4
    assert await connection.execute("DELETE FROM t WHERE id = $1::bigint", (77,)) == 0
    assert await connection.execute("CREATE TABLE other (a int)", ()) == 0


async def test_one_statement_at_a_time(connection: PostgresConnection) -> None:
    """A second statement in the same text is refused, also without values."""
    await make_table(connection)
    assert isinstance(await raised(connection, "SELECT 1; DELETE FROM t"), DatabaseError)
    assert await value(connection, "SELECT count(*) FROM t") == 3


@pytest.mark.parametrize("sql", ["COPY t FROM STDIN", "copy t to stdout (format csv)"])
async def test_copy_over_the_connection_is_refused(
    connection: PostgresConnection, sql: str
) -> None:
    """COPY from or to the client would wait for ever; it is refused and the connection is fine."""
    await make_table(connection)
    error = await raised(connection, sql)
    assert (type(error), error.outcome) == (DatabaseError, "not done")
    assert await value(connection, "SELECT count(*) FROM t") == 3


async def test_statements_are_prepared_once(connection: PostgresConnection) -> None:
    """A statement is prepared at its first use; what is used once only is not kept."""
    before = await prepared(connection)
    for _ in range(3):
        await connection.fetch("SELECT $1::bigint + 1", (1,))
    await connection.execute("CREATE TABLE x (a int)", ())
    assert await prepared(connection) == before + 1


async def test_prepared_statements_are_bounded(connect: Connect, url: str) -> None:
    """Each connection keeps a bounded number of statements, on the server as well."""
    connection = await connect(url, statement_cache_size=5)
    for number in range(20):
        await connection.fetch(f"SELECT {number}", ())
    assert await prepared(connection) <= 6
    plain = await connect(f"{url}?statement_cache_size=0")
    await plain.fetch("SELECT 1", ())
    assert await prepared(plain) == 0
    assert _CACHED_STATEMENTS >= 100


async def test_a_changed_table(connection: PostgresConnection) -> None:
    """A statement that a change of its table made stale is prepared again without a word."""
    await make_table(connection)
    sql = "SELECT * FROM t WHERE id = $1::bigint"
    assert len((await connection.fetch(sql, (1,)))[0]) == 2
    await connection.execute("ALTER TABLE t ADD COLUMN w int", ())
    assert len((await connection.fetch(sql, (1,)))[0]) == 3
    await connection.execute("ALTER TABLE t ALTER COLUMN w TYPE text", ())
    assert await connection.execute(sql, (1,)) == 1


async def test_a_changed_table_within_a_transaction(connection: PostgresConnection) -> None:
    """Within a transaction that is an error that says to run it again, which then succeeds."""
    await make_table(connection)
    sql = "SELECT * FROM t"
    await connection.fetch(sql, ())
    await connection.execute("ALTER TABLE t ADD COLUMN w int", ())
    await connection.begin()
    error = await raised(connection, sql)
    assert isinstance(error, SerializationFailure)
    assert (error.retryable, error.outcome) == (True, "not done")
    await connection.rollback()
    await connection.begin()
    assert len((await connection.fetch(sql, ()))[0]) == 3
    await connection.commit()


async def test_a_forgotten_statement(connection: PostgresConnection) -> None:
    """Statements that were dropped on the server are prepared again."""
    sql = "SELECT $1::bigint"
    await connection.fetch(sql, (1,))
    await connection.execute("DEALLOCATE ALL", ())
    assert await value(connection, sql, 2) == 2


@pytest.mark.parametrize(
    ("isolation", "expected"),
    [
        (None, "read committed"),
        ("read committed", "read committed"),
        ("repeatable read", "repeatable read"),
        ("serializable", "serializable"),
    ],
)
async def test_isolation(connect: Connect, url: str, isolation: Any, expected: str) -> None:
    """A transaction has the isolation that was asked for, whatever the session's default is."""
    connection = await connect(
        url, server_settings={"default_transaction_isolation": "serializable"}
    )
    await connection.begin(isolation=isolation)
    assert await setting(connection, "transaction_isolation") == expected
    await connection.rollback()


async def test_a_transaction_that_only_reads(connection: PostgresConnection) -> None:
    """A transaction that only reads refuses writes."""
    await make_table(connection)
    await connection.begin(read_only=True)
    assert await setting(connection, "transaction_read_only") == "on"
    assert type(await raised(connection, "DELETE FROM t")).__name__ == "ReadOnlyDatabase"
    await connection.rollback()
    await connection.execute("DELETE FROM t", ())


async def test_transactions(connection: Any) -> None:
    """Commit keeps, rollback undoes, savepoints go back a part of the way."""
    await make_table(connection)
    assert not connection.in_transaction
    await connection.begin()
    assert connection.in_transaction
    await connection.savepoint("one")
    await connection.execute("DELETE FROM t", ())
    await connection.rollback_to("one")
    await connection.release("one")
    await connection.commit()
    assert not connection.in_transaction
    await connection.begin()
    await connection.execute("DELETE FROM t", ())
    await connection.rollback()
    await connection.rollback()
    assert await value(connection, "SELECT count(*) FROM t") == 3


async def test_an_error_ends_the_transaction(connection: PostgresConnection) -> None:
    """After an error only rolling back is possible; commit does not do it without a word."""
    await make_table(connection)
    assert not connection.survives_errors
    await connection.begin()
    await connection.savepoint("one")
    await raised(connection, "SELECT 1/0")
    error = await raised(connection, "SELECT 1")
    assert (type(error), error.outcome) == (TransactionFailed, "not done")
    await connection.rollback_to("one")
    assert await value(connection, "SELECT 1") == 1
    await raised(connection, "SELECT 1/0")
    with pytest.raises(TransactionFailed) as caught:
        await connection.commit()
    assert caught.value.outcome == "not done"
    assert not connection.in_transaction


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_cancelling_stops_the_server(
    connect: Connect, url: str, in_transaction: bool
) -> None:
    """A cancelled statement is stopped on the server, and the connection is clean afterwards."""
    connection, observer = await connect(url), await connect(url)
    if in_transaction:
        await connection.begin()
    task = asyncio.create_task(connection.fetch(SLOW, ()))
    await until(lambda: value(observer, RUNNING))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await connection.cancel()
    assert await value(observer, RUNNING) == 0
    assert connection.usable
    assert connection.in_transaction is in_transaction
    await connection.rollback()
    assert await value(connection, "SELECT 1") == 1


async def test_cancelling_at_any_moment(connect: Connect, url: str) -> None:
    """Wherever a statement is cut off, the next one gets its own answer."""
    connection = await connect(url)
    for number in range(60):
        task = asyncio.create_task(
            connection.fetch(f"SELECT {number % 7}, pg_sleep(0.002) WHERE $1::bigint > 0", (1,))
        )
        await asyncio.sleep(number / 10_000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await connection.cancel()
        assert connection.usable
        assert await value(connection, "SELECT $1::bigint", number) == number


async def test_the_server_s_own_time_limit(connect: Connect, url: str) -> None:
    """A statement that the server stopped is a timeout that did nothing."""
    connection = await connect(url, server_settings={"statement_timeout": "50ms"})
    error = await raised(connection, SLOW)
    assert (type(error), error.outcome) == (StatementTimeout, "not done")


DIRT = [
    "SET search_path TO nowhere",
    "SET TimeZone TO 'Asia/Tokyo'",
    "SELECT set_config('statement_timeout', '1s', false)",
    "SELECT pg_advisory_lock(77)",
    "CREATE TEMP TABLE t (a int)",
    "LISTEN channel",
    "PREPARE own AS SELECT 1",
    "SET ROLE pg_monitor",
    "SET SESSION AUTHORIZATION pg_monitor",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "BEGIN",
]
STATE = (
    "SELECT current_setting('search_path'), current_setting('TimeZone'), current_user::text,"
    " current_setting('statement_timeout'), session_user::text,"
    " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),"
    " (SELECT count(*) FROM pg_class WHERE relpersistence = 't'),"
    " (SELECT count(*) FROM pg_listening_channels()),"
    " (SELECT count(*) FROM pg_prepared_statements WHERE from_sql),"
    " (SELECT count(*) FROM pg_cursors WHERE is_holdable)"
)


@pytest.mark.parametrize("sql", DIRT)
async def test_reset_leaves_nothing(connect: Connect, url: str, sql: str) -> None:
    """Whatever a user's own SQL did to the session is undone, and our own settings hold again."""
    connection = await connect(url, server_settings={"statement_timeout": "7s"})
    (clean,) = await connection.fetch(STATE, ())
    if sql.startswith("SELECT"):
        await connection.fetch_named(sql, ())
    else:
        await connection.execute(sql, ())
    if not connection.in_transaction:
        (dirty,) = await connection.fetch(STATE, ())
        assert tuple(dirty) != tuple(clean)
    await connection.reset()
    assert not connection.in_transaction
    (after,) = await connection.fetch(STATE, ())
    assert tuple(after) == tuple(clean)


async def test_reset_costs_nothing_after_plain_statements(
    connect: Connect, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After statements that leave nothing behind, a reset sends nothing."""
    connection = await connect(url)
    await make_table(connection)
    await connection.reset()
    await connection.execute("INSERT INTO t (id, v) VALUES ($1, $2)", (7, "a"))
    await connection.fetch_named("SELECT count(*) FROM t WHERE id IN (1, 2)", ())
    sent: list[str] = []

    async def note(sql: str) -> str:
        sent.append(sql)
        return ""

    monkeypatch.setattr(connection, "_command", note)
    await connection.reset()
    assert sent == []
    await connection.execute("SET work_mem TO '1MB'", ())
    await connection.reset()
    assert len(sent) == 1


async def test_closing(connect: Connect, url: str) -> None:
    """A closed connection is not usable, can be closed again, and says that it is lost."""
    connection = await connect(url)
    await connection.ping()
    await connection.close()
    await connection.close()
    assert not connection.usable
    assert not connection.in_transaction
    error = await raised(connection, "SELECT 1")
    assert (type(error), error.outcome) == (ConnectionLost, "not done")
    with pytest.raises(Exception) as caught:
        await connection.ping()
    assert isinstance(translate_error(caught.value, ErrorSituation()), ConnectionLost)


async def test_a_connection_of_a_loop_that_has_ended(url: str) -> None:
    """A connection whose event loop is gone can still be closed from another one."""
    driver = driver_of(url)
    (connection,) = await asyncio.to_thread(lambda: asyncio.run(_opened(driver)))
    observer = await driver.connect(driver.lanes[0])
    await connection.close()
    assert not connection.usable
    alone = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database()"
    await until(lambda: value(observer, alone))
    await observer.close()


async def _opened(driver: Any) -> list[Any]:
    return [await driver.connect(driver.lanes[0])]


async def test_the_description_is_for_the_log(open_driver: Open) -> None:
    """What is opened is told without user and password."""
    driver = open_driver("postgresql://ada:s3cret@host/shop", replica="postgresql://ada@copy/shop")
    assert driver.description == "PostgreSQL, host:5432/shop, replica copy:5432/shop"
    assert [lane.name for lane in driver.lanes] == ["replica", "primary"]
    assert (driver.lanes[0].writes, driver.lanes[0].delayed) == (False, True)


async def test_the_columns_of_a_table(connection: PostgresConnection) -> None:
    """Columns come in order, without dropped ones; views have them, missing tables have none."""
    await connection.execute('CREATE TABLE "My ""table" (b int, gone int, "ä B" text, a int)', ())
    await connection.execute('ALTER TABLE "My ""table" DROP COLUMN gone', ())
    await connection.execute('CREATE VIEW seen AS SELECT a FROM "My ""table"', ())
    assert await table_columns(connection, 'My "table') == ["b", "ä B", "a"]
    assert await table_columns(connection, "seen") == ["a"]
    assert await table_columns(connection, "nowhere") == []
    assert await table_columns(connection, "public.seen") == []


async def test_columns_of_the_schema_that_is_used(connect: Connect, url: str) -> None:
    """A table is looked up on the search path, as statements do."""
    connection = await connect(url, search_path="sales, public")
    await connection.execute("CREATE SCHEMA sales", ())
    await connection.execute("CREATE TABLE public.t (a int)", ())
    assert await table_columns(connection, "t") == ["a"]
    await connection.execute("CREATE TABLE t (b int)", ())
    assert await table_columns(connection, "t") == ["b"]
