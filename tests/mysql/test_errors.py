from __future__ import annotations

import ssl
from typing import Any

import pytest
from pymysql.err import OperationalError

from dataflow_core.errors import (
    CheckViolation,
    ConnectionFailed,
    ConnectionLost,
    ConstraintViolation,
    DatabaseError,
    DataFlowError,
    Deadlock,
    DiskFull,
    ForeignKeyViolation,
    InvalidValue,
    LimitExceeded,
    LockTimeout,
    NotNullViolation,
    OutOfRange,
    PatternRefused,
    ReadOnlyDatabase,
    SerializationFailure,
    StatementTimeout,
    TableMissing,
    UniqueViolation,
    ValueTooLong,
)
from dataflow_core.schema import Check, Field, Index
from dataflow_core.types import Integer, Text
from dataflow_mysql.indexes import constraint_name
from dataflow_mysql.opening import connect_error
from dataflow_mysql.protocol.failures import ConnectionGone, ServerError
from tests.mysql.support import column, model, translated

SECRET = "bob@example.com"
THING = model(
    column("email", Text(max_length=20), unique=True),
    column("first", Text(max_length=10), nullable=True),
    column("last", Text(max_length=10), nullable=True),
    column("age", Integer(), nullable=True),
    column("parent", Integer(), nullable=True),
    indexes=(
        Index(("first", "last"), unique=True),
        Index(("age", "last"), unique=True, name="uq by's age"),
    ),
    checks=(Check("age_is_small", {"age": {"$lt": 150}}),),
)
EMAIL = constraint_name("dataflow_unique", "things", "email")
NAMES = constraint_name("dataflow_unique", "things", "first,last")
LENGTH = constraint_name("dataflow_length", "things", "first")
SMALL = constraint_name("things", "age_is_small")

TABLE = f"""
    CREATE TABLE things (
      id BIGINT PRIMARY KEY AUTO_INCREMENT, email VARCHAR(20) NOT NULL, first VARCHAR(11),
      last VARCHAR(11), age INT, parent BIGINT,
      UNIQUE KEY `{EMAIL}` (email), UNIQUE KEY `{NAMES}` (first, last),
      UNIQUE KEY `uq by's age` (age, last),
      CONSTRAINT `{LENGTH}` CHECK (CHAR_LENGTH(first) <= 10),
      CONSTRAINT `{SMALL}` CHECK (age < 150),
      CONSTRAINT `the ``parent``` FOREIGN KEY (parent) REFERENCES things (id)
    ) ENGINE=InnoDB CHARACTER SET utf8mb4
"""


@pytest.fixture
async def things(connection: Any) -> Any:
    """A connection to a database with the table and two rows."""
    await connection.fetch(TABLE, ())
    await connection.fetch(
        "INSERT INTO things VALUES (1, ?, 'a', 'b', 5, NULL), (2, 'x', 'c', 'b', 6, 1)", (SECRET,)
    )
    return connection


INSERT = "INSERT INTO things (id, email, first, last, age, parent) VALUES (?, ?, ?, ?, ?, ?)"


@pytest.mark.parametrize(
    ("row", "kind", "fields"),
    [
        ((1, "n", None, None, None, None), UniqueViolation, {"columns": ("id",)}),
        (
            (3, SECRET, None, None, None, None),
            UniqueViolation,
            {"columns": ("email",), "constraint": EMAIL},
        ),
        ((3, "n", "a", "b", None, None), UniqueViolation, {"columns": ("first", "last")}),
        ((3, "n", None, "b", 5, None), UniqueViolation, {"columns": ("age", "last")}),
        ((3, None, None, None, None, None), NotNullViolation, {"columns": ("email",)}),
        ((3, "n" * 21, None, None, None, None), ValueTooLong, {"columns": ("email",)}),
        (
            (3, "n", "n" * 11, None, None, None),
            ValueTooLong,
            {"columns": ("first",), "constraint": LENGTH},
        ),
        ((3, "n", None, None, 2**40, None), OutOfRange, {"columns": ("age",)}),
        (
            (3, "n", None, None, 200, None),
            CheckViolation,
            {"columns": (), "constraint": "age_is_small"},
        ),
        (
            (3, "n", None, None, None, 99),
            ForeignKeyViolation,
            {"columns": ("parent",), "side": "child", "constraint": "the `parent`"},
        ),
        ((3, "n", None, None, "five", None), CheckViolation, {"columns": ("age",)}),
    ],
)
async def test_broken_rules_of_a_table(
    things: Any, row: Any, kind: type[ConstraintViolation], fields: dict[str, Any]
) -> None:
    """A violation names table, columns and constraint as on every database, and no value."""
    with pytest.raises(ServerError) as caught:
        await things.fetch(INSERT, row)
    error = translated(caught.value, model=THING, writing=True)
    assert type(error) is kind
    assert error.table == "things" and error.outcome == "not done"
    assert {name: getattr(error, name) for name in fields} == fields
    assert SECRET not in str(error) and "five" not in str(error)
    # Without a model the class is the same.
    assert type(translated(caught.value, writing=True)) is kind


async def test_an_omitted_value(things: Any) -> None:
    """A column without a default that is left out is the same violation as NULL."""
    with pytest.raises(ServerError) as caught:
        await things.fetch("INSERT INTO things (id) VALUES (9)", ())
    error = translated(caught.value, model=THING, writing=True)
    assert (type(error), error.columns) == (NotNullViolation, ("email",))


async def test_a_row_that_is_referred_to(things: Any) -> None:
    """Deleting a row that others refer to breaks the reference on the parent's side."""
    with pytest.raises(ServerError) as caught:
        await things.fetch("DELETE FROM things WHERE id = 1", ())
    error = translated(caught.value, model=THING, writing=True, deleting=True)
    assert (type(error), error.side, error.table) == (ForeignKeyViolation, "parent", "things")


async def test_arithmetic_out_of_range(things: Any) -> None:
    """A result that exceeds 64 bits is out of range."""
    with pytest.raises(ServerError) as caught:
        await things.fetch("SELECT ? + id FROM things", (2**63 - 1,))
    assert type(translated(caught.value, model=THING)) is OutOfRange


@pytest.mark.parametrize(
    ("sql", "kind", "shown"),
    [
        ("SELECT * FROM nothing", TableMissing, "'nothing'"),
        ("SELECT nothing FROM things", DatabaseError, "'nothing'"),
        ("SELEC 'secret'", DatabaseError, "'SELEC'"),
        ("SELECT 'a' REGEXP '('", PatternRefused, "pattern"),
        ("SELECT * FROM things WHERE age = 1 ORDER 'secret'", DatabaseError, "cannot read"),
        ("SELECT JSON_EXTRACT('{}', 'secret')", DataFlowError, ""),
        ("SELECT nothing('secret')", DatabaseError, ""),
    ],
)
async def test_statements_that_the_server_refuses(
    things: Any, sql: str, kind: type[DataFlowError], shown: str
) -> None:
    """What is wrong with a statement is told with its names, without its values."""
    try:
        await things.fetch(sql, ())
    except ServerError as raised:
        error = translated(raised)
        assert isinstance(error, kind)
        assert shown in str(error)
        assert "secret" not in str(error)
    else:
        # One of the two servers takes a path that is none for one that leads nowhere.
        assert "JSON" in sql


NUMBERS: dict[int, tuple[type[DataFlowError], str | None]] = {
    1213: (Deadlock, "not done"),
    1205: (LockTimeout, "not done"),
    3572: (LockTimeout, "not done"),
    1020: (SerializationFailure, "not done"),
    1969: (StatementTimeout, "not done"),
    3024: (StatementTimeout, "not done"),
    1053: (ConnectionLost, "not done"),
    1927: (ConnectionLost, "not done"),
    3169: (ConnectionLost, "not done"),
    1290: (ReadOnlyDatabase, "not done"),
    1792: (ReadOnlyDatabase, "not done"),
    1836: (ReadOnlyDatabase, "not done"),
    1021: (DiskFull, "not done"),
    1041: (DiskFull, "not done"),
    1114: (DiskFull, "not done"),
    1153: (LimitExceeded, None),
    1436: (LimitExceeded, None),
    3170: (LimitExceeded, None),
    3140: (InvalidValue, None),
    3158: (InvalidValue, None),
    3699: (PatternRefused, None),
    1139: (PatternRefused, None),
    1586: (UniqueViolation, "not done"),
    1216: (ForeignKeyViolation, "not done"),
    1217: (ForeignKeyViolation, "not done"),
    3819: (CheckViolation, "not done"),
    4025: (CheckViolation, "not done"),
    1690: (OutOfRange, "not done"),
    1366: (CheckViolation, "not done"),
    1265: (CheckViolation, "not done"),
    1292: (CheckViolation, "not done"),
    1040: (ConnectionFailed, "not done"),
    9999: (DatabaseError, "not done"),
}


@pytest.mark.parametrize("number", NUMBERS)
def test_errors_are_told_apart_by_number(number: int) -> None:
    """The class follows from the number alone, whatever the text says, in whatever language."""
    kind, outcome = NUMBERS[number]
    # What the text of a failed check quotes is the name of the check, never a value.
    quoted = "'age'" if kind is CheckViolation else f"'{SECRET}' x 'y'"
    for text in ("", "Die Tabelle «t» ist voll", quoted):
        error = translated(ServerError(number, text), writing=True)
        assert (type(error), error.outcome) == (kind, outcome)
        assert SECRET not in str(error)
        assert translated(ServerError(number, text)).code == error.code


def test_a_unique_key_in_another_language() -> None:
    """The name of a key is taken from where it stands in every language, values with quotes too."""
    for text in (
        f"Duplicate entry '{SECRET}' for key '{EMAIL}'",
        f"Duplicate entry 'it's' for key 'things.{EMAIL}'",
        f"Doppelter Eintrag '' for key 'x'' für Schlüssel '{EMAIL}'",
    ):
        error = translated(ServerError(1062, text), model=THING, writing=True)
        assert (error.columns, error.constraint) == (("email",), EMAIL)
    error = translated(ServerError(1062, f"Duplicate entry 'a' for key 'things.{EMAIL}'"))
    assert (error.table, error.columns) == ("things", ("email",))


def test_a_check_with_a_long_name() -> None:
    """A name that was cut still leads to its column."""
    long = "a" * 60
    field = Field(long, Text(max_length=3), long)
    thing = model(field)
    name = constraint_name("dataflow_length", "things", long)
    assert "~" in name
    for text in (f"CONSTRAINT `{name}` failed for `d`.`things`", f"constraint '{name}' is broken"):
        error = translated(ServerError(4025, text), model=thing, writing=True)
        assert (type(error), error.columns) == (ValueTooLong, (long,))


def test_an_interrupted_statement() -> None:
    """A statement that was interrupted is a timeout, whoever interrupted it; the text tells."""
    for timed_out, told in ((True, "command_timeout"), (False, "somebody else")):
        error = translated(ServerError(1317, "interrupted"), timed_out=timed_out)
        assert type(error) is StatementTimeout
        assert told in error.message
        assert error.database_code == "1317"


@pytest.mark.parametrize(
    ("sent", "undone", "outcome"),
    [(False, False, "not done"), (True, True, "not done"), (True, False, "unknown")],
)
def test_what_became_of_a_write_when_the_connection_broke(
    sent: bool, undone: bool, outcome: str
) -> None:
    """Not sent, or undone with its transaction: not done. Otherwise nobody can tell."""
    error = ConnectionGone("x", sent=sent)
    error.undone = undone
    assert translated(error, writing=True).outcome == outcome
    assert translated(error).outcome is None


def test_errors_of_the_driver_itself() -> None:
    """What the driver raises is translated too; what is not of the database stays as it is."""
    lost = translated(OperationalError(2013, "Lost connection"), writing=True)
    assert (type(lost), lost.outcome) == (ConnectionLost, "unknown")
    assert type(translated(OperationalError(1062, "for key 'PRIMARY'"))) is UniqueViolation
    assert translated(KeyError("x")) is None
    kept = InvalidValue("x")
    assert translated(kept) is kept
    with pytest.raises(UnicodeEncodeError) as caught:
        "\ud800".encode()
    assert type(translated(caught.value)) is InvalidValue


def test_why_no_connection_was_made() -> None:
    """The reason is told, and neither user nor password."""
    denied = "Access denied for user 'ada'@'localhost' (using password: YES)"
    error = connect_error(ServerError(1045, denied), Exception(), "host/shop")
    assert type(error) is ConnectionFailed and "ada" not in str(error)
    missing = connect_error(ServerError(1049, "Unknown database"), Exception(), "host/shop")
    assert "does not exist" in str(missing)
    full = connect_error(ServerError(1040, ""), Exception(), "host/shop")
    assert "too many connections" in str(full)
    handshake = OperationalError(2003, "x")
    handshake.__cause__ = ssl.SSLError(1, "wrong version number")
    assert "TLS" in str(connect_error(Exception(), handshake, "host/shop"))
    package = RuntimeError("'cryptography' package is required")
    assert "PyMySQL[rsa]" in str(connect_error(package, package, "host/shop"))
