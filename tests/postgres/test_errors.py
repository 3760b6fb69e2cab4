from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import (
    CheckViolation,
    ConnectionLost,
    CorruptDatabase,
    DatabaseError,
    DataFlowError,
    Deadlock,
    DiskFull,
    ForeignKeyViolation,
    InvalidType,
    InvalidValue,
    LimitExceeded,
    LockTimeout,
    NotNullViolation,
    OutOfRange,
    PatternRefused,
    ReadOnlyDatabase,
    RecordNotFound,
    SerializationFailure,
    StatementTimeout,
    TableMissing,
    TransactionFailed,
    UniqueViolation,
    ValueTooLong,
)
from dataflow_core.operations import CreateTable
from dataflow_core.schema import Check, ForeignKey, Index, Reference
from dataflow_core.types import Decimal, Enumeration, Integer, Text
from dataflow_postgres.connection import PostgresConnection
from dataflow_postgres.dialect import load
from dataflow_postgres.errors import translate_error
from tests.postgres.conftest import Connect
from tests.postgres.support import READING, WRITING, column, model, raised

SECRET = "s3cret-value"
THING = model(
    column("name", Text(20), unique=True),
    column("a", Integer(32), nullable=True),
    column("odd, name", Integer(), nullable=True),
    column("b", Decimal(4, 1), nullable=True),
    column("kind", Enumeration(("x", "y"), Text()), nullable=True),
    column("parent_id", Integer(), nullable=True, references="Thing.id"),
    indexes=(Index(("a", "odd, name"), unique=True), Index(("b",), unique=True, name="own name")),
    checks=(Check("a is positive", {"a": {"$gt": 0}}),),
)
PART = model(
    column("thing_id", Integer(), nullable=True, references="Thing.id"),
    column("odd ref", Integer(), nullable=True, references="Thing.id"),
    table="parts",
)
ON_THING = ErrorSituation(model=THING, writing=True)
ON_PART = ErrorSituation(model=PART, writing=True)


@pytest.fixture
async def things(connection: PostgresConnection) -> PostgresConnection:
    """A connection, a table with one row, and one that refers to it."""
    ddl = load().ddl
    to_thing = Reference("things", ("id",))
    for item, columns in ((THING, ["parent_id"]), (PART, ["thing_id", "odd ref"])):
        keys = tuple(ForeignKey((name,), to_thing) for name in columns)
        for statement in ddl.compile(CreateTable(item, keys)):
            await connection.execute(statement, ())
    await connection.execute(
        'INSERT INTO things (name, a, "odd, name", b) VALUES ($1, 1, 2, 3)', (SECRET,)
    )
    return connection


async def failure(
    connection: Any, sql: str, *parameters: Any, situation: ErrorSituation = ON_THING
) -> Any:
    """The uniform error of a statement, which shows no value."""
    error = await raised(connection, sql, *parameters, situation=situation)
    assert SECRET not in f"{error} {error.to_dict()}"
    return error


INSERT = "INSERT INTO things (name, {}) VALUES ('n', $1)"


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        (f"INSERT INTO things (name) VALUES ('{SECRET}')", ("name",)),
        ("INSERT INTO things (name, a, \"odd, name\") VALUES ('n', 1, 2)", ("a", "odd, name")),
        ("INSERT INTO things (name, b) VALUES ('n', 3)", ("b",)),
        ("INSERT INTO things (id, name) VALUES (1, 'n')", ("id",)),
    ],
)
@pytest.mark.parametrize("situation", [ON_THING, WRITING])
async def test_a_unique_value_names_table_and_columns(
    things: PostgresConnection, sql: str, columns: tuple[str, ...], situation: ErrorSituation
) -> None:
    """A duplicate names table, constraint and columns, of a field, of an index, and of the key."""
    error = await failure(things, sql, situation=situation)
    assert isinstance(error, UniqueViolation)
    assert (error.table, error.columns, error.outcome) == ("things", columns, "not done")
    assert error.constraint


async def test_a_unique_expression_names_no_column(things: PostgresConnection) -> None:
    """An index over an expression has no columns to name."""
    await things.execute("CREATE UNIQUE INDEX low ON things (lower(name), (a + 1))", ())
    error = await failure(things, f"INSERT INTO things (name, a) VALUES (upper('{SECRET}'), 1)")
    assert isinstance(error, UniqueViolation)
    assert (error.constraint, error.columns) == ("low", ())


async def test_a_missing_value_names_its_column(things: PostgresConnection) -> None:
    """NULL where a value is needed names the column."""
    error = await failure(things, "INSERT INTO things (name) VALUES (NULL)")
    assert isinstance(error, NotNullViolation)
    assert (error.table, error.columns, error.outcome) == ("things", ("name",), "not done")


async def test_a_value_that_does_not_fit(things: PostgresConnection) -> None:
    """Text that is too long and a word that is none of the choices name their column."""
    error = await failure(things, "INSERT INTO things (name) VALUES ($1)", SECRET * 10)
    assert isinstance(error, ValueTooLong)
    assert (error.table, error.columns) == ("things", ("name",))
    error = await failure(things, INSERT.format("kind"), SECRET)
    assert (type(error), error.columns) == (CheckViolation, ("kind",))


async def test_numbers_out_of_range(things: PostgresConnection) -> None:
    """A number that its column cannot hold is out of range, whoever finds out."""
    for sql, number in (
        (INSERT.format("a"), 2**31),
        ("UPDATE things SET a = a + $1::int", 2**31 - 1),
        (INSERT.format("b"), 10_000),
        ("SELECT $1::bigint", 2**63),
    ):
        error = await failure(things, sql, number)
        assert (type(error), error.table, error.outcome) == (OutOfRange, "things", "not done")


async def test_a_check_of_the_model_is_named(things: PostgresConnection) -> None:
    """A failing check of the model is told by its name."""
    error = await failure(things, INSERT.format("a"), 0)
    assert isinstance(error, CheckViolation)
    assert (error.table, error.constraint, error.columns) == ("things", "a is positive", ())


@pytest.mark.parametrize("situation", [ON_PART, WRITING])
async def test_a_reference_to_nothing(
    things: PostgresConnection, situation: ErrorSituation
) -> None:
    """A reference to no row is the child's side and names its columns."""
    error = await failure(things, "INSERT INTO parts (thing_id) VALUES (99)", situation=situation)
    assert isinstance(error, ForeignKeyViolation)
    assert (error.side, error.table, error.columns) == ("child", "parts", ("thing_id",))
    error = await failure(things, 'INSERT INTO parts ("odd ref") VALUES (99)', situation=ON_PART)
    assert error.columns == ("odd ref",)


async def test_a_row_that_is_still_referred_to(things: PostgresConnection) -> None:
    """Deleting what is referred to is the parent's side, with the table that was deleted from."""
    await things.execute("INSERT INTO parts (thing_id) VALUES (1)", ())
    deleting = ErrorSituation(model=THING, writing=True, deleting=True)
    for situation, table in ((deleting, "things"), (ON_THING, "things"), (WRITING, None)):
        error = await failure(things, "DELETE FROM things", situation=situation)
        assert isinstance(error, ForeignKeyViolation)
        assert (error.side, error.table, error.columns) == ("parent", table, ())


async def test_a_table_that_refers_to_itself(things: PostgresConnection) -> None:
    """Where both sides are one table, what was being done tells the side."""
    error = await failure(things, INSERT.format("parent_id"), 99)
    assert (error.side, error.columns) == ("child", ("parent_id",))
    await things.execute("UPDATE things SET parent_id = id", ())
    await things.execute("INSERT INTO things (name, parent_id) VALUES ('n', 1)", ())
    deleting = ErrorSituation(model=THING, writing=True, deleting=True)
    error = await failure(things, "DELETE FROM things WHERE id = 1", situation=deleting)
    assert (error.side, error.table) == ("parent", "things")


async def test_the_language_of_the_server_does_not_matter() -> None:
    """Columns and sides are found in details of any language."""
    for detail, table, side, columns in (
        (
            "Schlüssel (a, b)=(1, 2) ist nicht in Tabelle »orders« vorhanden.",
            "order",
            "child",
            "ab",
        ),
        ("Auf Schlüssel (a)=(x)y) wird noch aus Tabelle »order« verwiesen.", "order", "parent", ""),
        ("La clé (a)=(1) n'est pas présente dans la table « x ».", "t", "child", "a"),
    ):
        error: Any = asyncpg.ForeignKeyViolationError("")
        error.detail, error.table_name = detail, table
        found: Any = translate_error(error, WRITING)
        assert (found.side, "".join(found.columns)) == (side, columns)
    for detail, columns in (
        ('Schlüssel »("we""ird )=(", b)=(x)« existiert bereits.', 'we"ird )=(|b'),
        ("", ""),
        ("(", ""),
        ("Key (a, b", ""),
    ):
        error = asyncpg.UniqueViolationError("")
        error.detail = detail
        found = translate_error(error, WRITING)
        assert "|".join(found.columns) == columns


async def test_a_missing_table_is_named(things: PostgresConnection) -> None:
    """A statement on a table that is not there names it, however it is written."""
    for written, name in (
        ("nowhere", "nowhere"),
        ("NoWhere", "nowhere"),
        ('public."No ""where"', 'No "where'),
    ):
        error = await failure(things, f"SELECT * FROM {written}", situation=WRITING)
        assert (type(error), error.context["table"]) == (TableMissing, name)
    error = await failure(things, "TRUNCATE nowhere", situation=ON_THING)
    assert error.context["table"] == "things"


async def test_locks(connect: Connect, things: PostgresConnection, url: str) -> None:
    """Waiting for a lock, and waiting for each other, are told apart; both may be retried."""
    other = await connect(url)
    await things.execute("INSERT INTO things (name) VALUES ('second')", ())
    await things.begin()
    await things.execute("UPDATE things SET a = 5 WHERE id = 1", ())
    error = await failure(other, "SELECT * FROM things WHERE id = 1 FOR UPDATE NOWAIT")
    assert (type(error), error.retryable, error.outcome) == (LockTimeout, True, "not done")
    await other.begin()
    await other.execute("UPDATE things SET a = 7 WHERE id = 2", ())
    results = await asyncio.gather(_change(things, 2), _change(other, 1))
    (error,) = [result for result in results if result is not None]
    assert (type(error), error.retryable, error.outcome) == (Deadlock, True, "not done")
    for connection in (things, other):
        await connection.rollback()


async def _change(connection: Any, number: int) -> Any:
    """The error of changing a row, or None."""
    try:
        await connection.execute("UPDATE things SET a = 6 WHERE id = $1::bigint", (number,))
    except asyncpg.PostgresError as error:
        return translate_error(error, ON_THING)
    return None


async def test_transactions_that_do_not_fit(
    connect: Connect, things: PostgresConnection, url: str
) -> None:
    """Changing what another transaction changed since the snapshot is retryable."""
    other = await connect(url)
    await things.begin(isolation="repeatable read")
    await things.fetch("SELECT * FROM things", ())
    await other.execute("UPDATE things SET a = 5", ())
    error = await failure(things, "UPDATE things SET a = 6")
    assert isinstance(error, SerializationFailure)
    assert (error.retryable, error.outcome) == (True, "not done")
    await things.rollback()


@pytest.mark.parametrize(
    ("sql", "parameter", "kind"),
    [
        ("SELECT $1::bigint", 2**63, OutOfRange),
        ("SELECT $1::smallint", 2**15, OutOfRange),
        ("SELECT $1::bigint * 2", 2**62, OutOfRange),
        ("SELECT make_date($1::int, 1, 1) + interval '1000000 years'", 2024, OutOfRange),
        ("SELECT $1::text", f"{SECRET}\ud800", InvalidValue),
        ("SELECT $1::text", f"{SECRET}\x00", InvalidValue),
        ("SELECT $1::text", 5, InvalidType),
        ("SELECT $1::bigint", SECRET, InvalidType),
        ("SELECT $1::uuid", SECRET, InvalidValue),
        ("SELECT $1::text::int", SECRET, InvalidValue),
        ("SELECT 'a' ~ $1::text", "(", PatternRefused),
        ("SELECT 1", 1, DatabaseError),
        ("SELEC $1", 1, DatabaseError),
        ("SELECT nothing + $1::int", 1, DatabaseError),
        ("SELECT 1 / $1::int", 0, DatabaseError),
        ("SELECT * FROM nowhere WHERE $1", True, TableMissing),
    ],
)
async def test_what_a_value_can_cause(
    connection: PostgresConnection, sql: str, parameter: Any, kind: type[DataFlowError]
) -> None:
    """Whatever a bound value causes is an error of the tree, which does not show the value."""
    situation = ErrorSituation(model=THING, writing=True)
    error = await failure(connection, sql, parameter, situation=situation)
    assert type(error) is kind
    assert connection.usable


async def test_too_much_for_the_server(connection: PostgresConnection) -> None:
    """A statement that is too deep, or binds too much, is refused as too much."""
    deep = "SELECT 1" + " + 1" * 100_000
    assert isinstance(await failure(connection, deep), LimitExceeded)
    columns = ", ".join(f"c{number} int" for number in range(1700))
    assert isinstance(await failure(connection, f"CREATE TABLE wide ({columns})"), LimitExceeded)
    assert connection.usable


@pytest.mark.parametrize(
    ("code", "kind", "outcome"),
    [
        ("08006", ConnectionLost, "unknown"),
        ("57P01", ConnectionLost, "unknown"),
        ("57P05", ConnectionLost, "unknown"),
        ("25P03", ConnectionLost, "unknown"),
        ("23001", ForeignKeyViolation, "not done"),
        ("23P01", CheckViolation, "not done"),
        ("23000", CheckViolation, "not done"),
        ("25006", ReadOnlyDatabase, "not done"),
        ("25P02", TransactionFailed, "not done"),
        ("40000", SerializationFailure, "not done"),
        ("40003", SerializationFailure, "unknown"),
        ("53100", DiskFull, "not done"),
        ("57014", StatementTimeout, "not done"),
        ("58030", DatabaseError, "unknown"),
        ("XX001", CorruptDatabase, "unknown"),
        ("22P05", InvalidValue, None),
        ("54000", LimitExceeded, None),
        ("ZZ999", DatabaseError, "not done"),
        ("P0001", DatabaseError, "not done"),
    ],
)
def test_codes(code: str, kind: type[DataFlowError], outcome: str | None) -> None:
    """The code alone tells the class and what became of a write; reading has no outcome."""
    error = asyncpg.PostgresError.new({"C": code, "M": SECRET, "S": "ERROR"})
    written, read = translate_error(error, ON_THING), translate_error(error, READING)
    assert written is not None
    assert read is not None
    assert (type(written), written.outcome) == (kind, outcome)
    assert type(read) is kind
    assert read.outcome is None or issubclass(kind, ForeignKeyViolation | CheckViolation)
    assert SECRET not in str(written)


def test_what_is_not_the_driver_s_is_left_alone() -> None:
    """Errors of others are not translated; errors of the tree stay as they are."""
    assert translate_error(KeyError("x"), READING) is None
    assert translate_error(ValueError("something else"), READING) is None
    known = RecordNotFound("nothing there")
    assert translate_error(known, READING) is known
