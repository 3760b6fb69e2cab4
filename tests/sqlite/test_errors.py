from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import (
    CheckViolation,
    ConnectionLost,
    CorruptDatabase,
    DatabaseError,
    DataFlowError,
    DiskFull,
    ForeignKeyViolation,
    InvalidType,
    InvalidValue,
    LockTimeout,
    NotNullViolation,
    OutOfRange,
    PatternRefused,
    ReadOnlyDatabase,
    RecordNotFound,
    SerializationFailure,
    StatementTimeout,
    TableMissing,
    UniqueViolation,
    ValueTooLong,
)
from dataflow_core.operations import CreateTable
from dataflow_core.schema import Check, ForeignKey, Index, Reference
from dataflow_core.types import Binary, Boolean, Decimal, Enumeration, Integer, Text
from dataflow_sqlite.connection import SQLiteConnection
from dataflow_sqlite.ddl import SQLiteDDLCompiler
from dataflow_sqlite.driver import SQLiteDriver
from dataflow_sqlite.errors import translate_error
from tests.sqlite.support import SLOW, column, model
from tests.sqlite.test_ddl import PositiveOnly

Open = Callable[..., SQLiteDriver]

SECRET = "s3cret-value"
THING = model(
    column("name", Text(20), unique=True),
    column("a", Integer(32), nullable=True),
    column("b", Decimal(4, 1), nullable=True),
    column("kind", Enumeration(("x", "y"), Text()), nullable=True),
    column("flag", Boolean(), nullable=True),
    column("parent_id", Integer(), nullable=True, references="Thing.id"),
    column("picture", Binary(), nullable=True),
    indexes=(Index(("a", "b"), unique=True),),
    checks=(Check("a is positive", {"a": {"$gt": 0}}),),
)
WRITING = ErrorSituation(model=THING, writing=True)


@pytest.fixture
async def things(writer: SQLiteConnection) -> SQLiteConnection:
    """A connection, and a table with one row."""
    to_parent = ForeignKey(("parent_id",), Reference("things", ("id",)))
    for statement in SQLiteDDLCompiler(PositiveOnly({})).compile(CreateTable(THING, (to_parent,))):
        await writer.fetch(statement, ())
    await writer.fetch("INSERT INTO things (name, a, b) VALUES (?, 1, 2)", (SECRET,))
    return writer


async def raised(
    connection: Any, sql: str, *parameters: Any, situation: ErrorSituation = WRITING
) -> DataFlowError:
    """The uniform error of a statement."""
    try:
        await connection.fetch(sql, parameters)
    except Exception as error:
        translated = translate_error(error, situation)
        assert translated is not None
        assert SECRET not in str(translated)
        assert SECRET not in str(translated.to_dict())
        return translated
    raise AssertionError("no error")


INSERT = "INSERT INTO things (name, {}) VALUES ('n', ?)"


async def test_a_unique_value_names_table_and_columns(things: SQLiteConnection) -> None:
    """A duplicate names table and columns, of a field, of an index, and of the key."""
    error = await raised(things, "INSERT INTO things (name) VALUES (?)", SECRET)
    assert isinstance(error, UniqueViolation)
    assert (error.table, error.columns, error.outcome) == ("things", ("name",), "not done")
    error = await raised(things, "INSERT INTO things (name, a, b) VALUES ('n', 1, 2)")
    assert isinstance(error, UniqueViolation)
    assert error.columns == ("a", "b")
    error = await raised(things, "INSERT INTO things (id, name) VALUES (1, 'n')")
    assert isinstance(error, UniqueViolation)
    assert error.columns == ("id",)
    error = await raised(
        things, "INSERT INTO things (name, a, b) VALUES ('n', 1, 2)", situation=ErrorSituation()
    )
    assert isinstance(error, UniqueViolation)
    assert (error.table, error.columns) == ("things", ("a", "b"))


async def test_a_missing_value_names_its_column(things: SQLiteConnection) -> None:
    """NULL where a value is needed names the column."""
    error = await raised(things, "INSERT INTO things (name) VALUES (NULL)")
    assert isinstance(error, NotNullViolation)
    assert error.columns == ("name",)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("a", 2**31, OutOfRange),
        ("b", 10_000, OutOfRange),
        ("kind", SECRET, CheckViolation),
        ("flag", 2, CheckViolation),
        ("picture", SECRET, CheckViolation),
    ],
)
async def test_a_value_that_does_not_fit_names_its_column(
    things: SQLiteConnection, name: str, value: Any, kind: type[DataFlowError]
) -> None:
    """The checks of types become the errors that other databases raise, with the column."""
    error = await raised(things, INSERT.format(name), value)
    assert type(error) is kind
    assert error.context["columns"] == (name,)


async def test_too_long_text(things: SQLiteConnection) -> None:
    """Text longer than its column is told as such."""
    error = await raised(things, "INSERT INTO things (name) VALUES (?)", SECRET * 10)
    assert isinstance(error, ValueTooLong)
    assert error.columns == ("name",)


async def test_a_check_of_the_model_is_named(things: SQLiteConnection) -> None:
    """A failing check of the model is told by its name."""
    error = await raised(things, INSERT.format("a"), 0)
    assert isinstance(error, CheckViolation)
    assert error.constraint == "a is positive"


async def test_a_broken_reference(things: SQLiteConnection) -> None:
    """A broken reference names its column where the model has only one."""
    error = await raised(things, INSERT.format("parent_id"), 99)
    assert isinstance(error, ForeignKeyViolation)
    assert error.columns == ("parent_id",)


async def test_a_locked_database(open_driver: Open) -> None:
    """Another writer makes a retryable error."""
    driver = open_driver(busy_timeout=0)
    first, second = [await driver.connect(driver.lanes[1]) for _ in range(2)]
    await first.begin()
    error = await raised(second, "CREATE TABLE t (v)")
    assert isinstance(error, LockTimeout)
    assert error.retryable
    assert error.outcome == "not done"
    await first.rollback()


async def test_a_stale_snapshot(open_driver: Open) -> None:
    """Writing after somebody else did, in a transaction that has read, is told at once."""
    driver = open_driver()
    first, second = [await driver.connect(driver.lanes[1]) for _ in range(2)]
    await first.fetch("CREATE TABLE t (v)", ())
    await first.fetch("BEGIN", ())
    await first.fetch("SELECT * FROM t", ())
    await second.fetch("INSERT INTO t VALUES (1)", ())
    error = await raised(first, "INSERT INTO t VALUES (2)")
    assert isinstance(error, SerializationFailure)
    assert error.retryable
    await first.rollback()


async def test_an_interrupted_statement(writer: SQLiteConnection) -> None:
    """A statement that was interrupted is a timeout, whoever interrupted it; the text tells."""
    await writer.fetch("CREATE TABLE t (v)", ())
    for timed_out, told in ((True, "command_timeout"), (False, "somebody else")):
        task = asyncio.create_task(
            raised(writer, SLOW, situation=ErrorSituation(timed_out=timed_out))
        )
        await asyncio.sleep(0.1)
        await writer.cancel()
        error = await task
        assert isinstance(error, StatementTimeout)
        assert told in error.message
        assert error.database_code == "SQLITE_INTERRUPT"


async def test_a_full_disk(writer: SQLiteConnection) -> None:
    """No room left is told as such, and nothing was done."""
    await writer.fetch("CREATE TABLE t (v)", ())
    await writer.fetch("PRAGMA max_page_count = 5", ())
    error = await raised(writer, "INSERT INTO t VALUES (?)", SECRET * 100_000)
    assert isinstance(error, DiskFull)
    assert error.outcome == "not done"


async def test_a_read_only_database(open_driver: Open) -> None:
    """A write where nothing may be written is told as such."""
    driver = open_driver()
    reader = await driver.connect(driver.lanes[0])
    assert isinstance(await raised(reader, "CREATE TABLE t (v)"), ReadOnlyDatabase)


async def test_a_damaged_file(open_driver: Open, path: Any) -> None:
    """A damaged file is told as such."""
    driver = open_driver(enable_wal=False)
    connection = await driver.connect(driver.lanes[1])
    await connection.fetch("CREATE TABLE t (v)", ())
    await connection.fetch("INSERT INTO t VALUES (?)", ("x" * 100_000,))
    await connection.close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    connection = await driver.connect(driver.lanes[1])
    assert isinstance(await raised(connection, "SELECT * FROM t"), CorruptDatabase)


async def test_a_missing_table_is_named(writer: SQLiteConnection) -> None:
    """A statement on a table that is not there names it."""
    error = await raised(writer, "SELECT * FROM nowhere")
    assert isinstance(error, TableMissing)
    assert error.context["table"] == "nowhere"


@pytest.mark.parametrize(
    ("sql", "parameter", "kind"),
    [
        ("SELECT ?", 2**63, OutOfRange),
        ("SELECT ?", f"{SECRET}\ud800", InvalidValue),
        ("SELECT ?", object(), InvalidType),
        ("SELECT 1", 1, DatabaseError),
        ("SELECT dataflow_int_add(?, 1)", 2**63 - 1, OutOfRange),
        ("SELECT dataflow_regex(?, 'a', 0)", "(", PatternRefused),
        ("SELECT zeroblob(2000000000) || ?", "a", ValueTooLong),
        ("SELECT * FROM nowhere WHERE ?", 1, TableMissing),
        ("SELEC ?", 1, DatabaseError),
        ("SELECT sum(v) FROM (SELECT ? AS v UNION ALL SELECT 1)", 2**63 - 1, OutOfRange),
    ],
)
async def test_what_a_value_can_cause(
    writer: SQLiteConnection, sql: str, parameter: Any, kind: type[DataFlowError]
) -> None:
    """Whatever a bound value causes is an error of the tree, which does not show the value."""
    assert type(await raised(writer, sql, parameter)) is kind


async def test_a_closed_connection(writer: SQLiteConnection) -> None:
    """Using a connection after it was closed is a lost connection."""
    await writer.close()
    assert isinstance(await raised(writer, "SELECT 1"), ConnectionLost)


def test_what_is_not_the_driver_s_is_left_alone() -> None:
    """Errors of others are not translated; errors of the tree stay as they are."""
    situation = ErrorSituation()
    assert translate_error(KeyError("x"), situation) is None
    assert translate_error(ValueError("something else"), situation) is None
    known = RecordNotFound("nothing there")
    assert translate_error(known, situation) is known


def test_reading_has_no_outcome() -> None:
    """Only a failed write says what became of it."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    written = translate_error(error, WRITING)
    read = translate_error(error, ErrorSituation(model=THING))
    assert written is not None and read is not None
    assert (written.outcome, read.outcome) == ("unknown", None)
