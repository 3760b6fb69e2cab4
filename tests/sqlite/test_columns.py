"""Columns that others made: their types, their values, and what is computed of them."""

from __future__ import annotations

import datetime as dt
import decimal
import sqlite3
import uuid
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.contract import ConnectOptions
from dataflow_core.errors import InvalidValue
from dataflow_core.schema.tables import Column
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)
from dataflow_sqlite.columns import StoredValues, foreign_column
from tests.sqlite.schemas import SQLITE, read, run
from tests.sqlite.support import read_url


@pytest.fixture
async def connection() -> AsyncIterator[Any]:
    """A database in memory."""
    driver = SQLITE.open(read_url(":memory:"), ConnectOptions())
    yield await driver.connect(driver.lanes[0])
    await driver.close()


def utc(*parts: int) -> dt.datetime:
    """An instant."""
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type,misc]


TOKEN = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
NOON = utc(2024, 1, 2, 12, 30, 15)
KEPT: tuple[tuple[str, type[FieldType], Any, Any], ...] = (
    # declared type, field type, what is stored, the value
    ("INTEGER", Integer, 7, 7),
    ("INT", Integer, -7, -7),
    ("UNSIGNED BIG INT", Integer, 2**63 - 1, 2**63 - 1),
    ("BOOLEAN", Boolean, 1, True),
    ("bool", Boolean, "f", False),
    ("BOOLEAN", Boolean, "TRUE", True),
    ("NVARCHAR(160)", Text, "Ä", "Ä"),
    ("CHARACTER VARYING", Text, "7", "7"),
    ("CLOB", Text, "", ""),
    ("NUMERIC(10,2)", Decimal, 0.99, decimal.Decimal("0.99")),
    ("DECIMAL(10,2)", Decimal, 13, decimal.Decimal("13.00")),
    ("NUMERIC", Decimal, 1.5, decimal.Decimal("1.5")),
    ("MONEY", Decimal, -2.25, decimal.Decimal("-2.25")),
    ("REAL", Float, 1.5, 1.5),
    ("DOUBLE PRECISION", Float, 2.0, 2.0),
    ("BLOB", Binary, b"\x00\xff", b"\x00\xff"),
    ("JSON", Json, '{"a": [1, 2]}', {"a": [1, 2]}),
    ("DATETIME", Timestamp, "2024-01-02 12:30:15", NOON),
    ("DATETIME", Timestamp, "2024-01-02T12:30:15", NOON),
    ("TIMESTAMP", Timestamp, "2024-01-02T12:30:15Z", NOON),
    ("TIMESTAMP", Timestamp, "2024-01-02 12:30:15.000", NOON),
    ("timestamp with time zone", Timestamp, "2024-01-02 12:30:15.250000+00:00",
     NOON + dt.timedelta(milliseconds=250)),
    ("DATETIME", Timestamp, "2024-01-02T12:30:15.25Z", NOON + dt.timedelta(milliseconds=250)),
    ("DATETIME", Timestamp, "2024-01-02 12:30", utc(2024, 1, 2, 12, 30)),
    ("DATETIME", Timestamp, "2024-01-02", utc(2024, 1, 2)),
    ("DATETIME", Timestamp, 1704198615, NOON),
    ("DATETIME", Timestamp, 1704198615250, NOON + dt.timedelta(milliseconds=250)),
    ("DATETIME", Timestamp, 2460312.0, utc(2024, 1, 2, 12)),
    ("DATE", Date, "2024-01-02", dt.date(2024, 1, 2)),
    ("DATE", Timestamp, "2024-01-02 12:30:15", NOON),
    ("TIME", Time, "12:30:15", dt.time(12, 30, 15)),
    ("TIME", Time, "12:30", dt.time(12, 30)),
    ("TIME", Time, "12:30:15.000001", dt.time(12, 30, 15, 1)),
    ("UUID", Uuid, str(TOKEN), TOKEN),
    ("UNIQUEIDENTIFIER", Uuid, str(TOKEN).upper(), TOKEN),
    ("UUID", Uuid, TOKEN.hex, TOKEN),
    ("GUID", Uuid, TOKEN.bytes, TOKEN),
    ("", Text, "x", "x"),
    ("", Integer, 3, 3),
    ("THING", Float, 1.5, 1.5),
)  # fmt: skip


async def column_of(connection: Any, declared: str, *stored: Any) -> Column:
    """A column of a table that others made, with these values."""
    await run(connection, f"CREATE TABLE theirs (c {declared})")
    for value in stored:
        await connection.execute("INSERT INTO theirs VALUES (?)", (value,))
    found: Column = (await read(connection, "theirs")).by_name["c"]
    return found


@pytest.mark.parametrize(("declared", "kind", "stored", "value"), KEPT)
async def test_values_are_kept_as_they_were(
    connection: Any, declared: str, kind: type[FieldType], stored: Any, value: Any
) -> None:
    """A value that others wrote is read as its type says, and written as they write it."""
    column = await column_of(connection, declared, stored)
    assert type(column.type) is kind
    assert column.problem is None
    codec = SQLITE.compiler.codec(column.type)
    ((raw,),) = await connection.fetch("SELECT c FROM theirs", ())
    read_value = codec.decode(raw) if codec.decode is not None else raw
    assert read_value == value
    assert type(read_value) is type(value)
    written = codec.encode(value) if codec.encode is not None else value
    # A column of the affinity NUMERIC makes an int of a whole float.
    assert type(written) is type(raw) or {type(written), type(raw)} == {int, float}
    if kind is not Json:
        assert written == raw
        assert await connection.fetch("SELECT 1 FROM theirs WHERE c = ?", (written,)) == [(1,)]


SURPRISES: tuple[tuple[str, tuple[Any, ...], str], ...] = (
    ("TEXT COLLATE NOCASE", (), "collation NOCASE"),
    ("DATETIME", ("2024-01-02", "2024-01-02 10:00:00"), "in several ways"),
    ("DATETIME", ("2024-01-02 10:00:00+02:00",), "in several ways"),
    ("DATETIME", (1704198615,), "seconds since 1970"),
    ("DATETIME", (17,), "which its values are not"),
    ("BOOLEAN", (2,), "which its values are not"),
    ("", ("x",), "no declared type"),
    ("INTEGER_OR_TEXT", (4326,), "keeps a text that is a number"),
    ("NUMERIC(10,2)", (), "15 digits"),
)


@pytest.mark.parametrize(("declared", "stored", "note"), SURPRISES)
async def test_what_may_surprise_is_noted(
    connection: Any, declared: str, stored: tuple[Any, ...], note: str
) -> None:
    """Where comparisons or values may surprise, a note says so."""
    column = await column_of(connection, declared, *stored)
    assert column.type is not None
    assert any(note in text for text in column.notes)


@pytest.mark.parametrize("stored", [(), ("x", 1), (1, b"y")])
async def test_what_cannot_be_told(connection: Any, stored: tuple[Any, ...]) -> None:
    """A column without a type whose values tell none has a problem in its place."""
    column = await column_of(connection, "", *stored)
    assert column.type is None
    assert column.problem is not None


AFTER_MANY: tuple[tuple[str, str, Any, str], ...] = (
    # declared type, most values, the last one, what is said
    ("", "n", "x", "of several kinds"),
    ("DATETIME", "'2024-01-02 12:30:' || (10 + n % 50)", "2024-01-02", "in several ways"),
    ("UUID", "printf('%032x', n)", str(TOKEN), "in several ways"),
    ("TIME", "'12:30:' || (10 + n % 50)", "12:30", "in several ways"),
    ("BOOLEAN", "n % 2", 2, "which its values are not"),
)


@pytest.mark.parametrize(("declared", "most", "last", "told"), AFTER_MANY)
async def test_one_value_of_many_is_not_overlooked(
    connection: Any, declared: str, most: str, last: Any, told: str
) -> None:
    """A type is told by all values of a column, wherever the one stands that differs."""
    await numbers(connection, declared, most, 5_000)
    await connection.execute("INSERT INTO theirs VALUES (?)", (last,))
    (table,) = await SQLITE.read_tables(connection, ["theirs"])
    column = table.by_name["c"]
    assert told in " ".join((*column.notes, column.problem or ""))


@pytest.mark.parametrize(
    ("declared", "number", "noted"),
    [("", 100_000, False), ("", 100_001, True), ("DATE", 10_000, False), ("DATE", 10_001, True)],
)
async def test_a_part_of_the_values_is_noted(
    connection: Any, declared: str, number: int, noted: bool
) -> None:
    """Of a large column a part is looked at, and a note says so."""
    await numbers(connection, declared, "'2024-01-02'", number)
    (table,) = await SQLITE.read_tables(connection, ["theirs"])
    notes = " ".join(table.by_name["c"].notes)
    assert ("that were looked at" in notes) == noted


async def numbers(connection: Any, declared: str, sql: str, number: int) -> None:
    """A column of a value for every n."""
    await run(
        connection,
        f"CREATE TABLE theirs (c {declared})",
        "INSERT INTO theirs WITH RECURSIVE every (n) AS"
        f" (SELECT 1 UNION ALL SELECT n + 1 FROM every WHERE n < {number})"
        f" SELECT {sql} FROM every",
    )


UNREADABLE: tuple[tuple[str, Any], ...] = (
    ("INTEGER", "seven"),
    ("INTEGER", 1.5),
    ("REAL", "x"),
    ("NUMERIC(10,2)", "x"),
    ("BOOLEAN", 7),
    ("DATETIME", "yesterday"),
    ("DATE", "2024-01-02 10:00:00"),
    ("TIME", "25:00"),
    ("UUID", "x"),
    ("JSON", "{"),
    ("TEXT", b"\xff"),
    ("TEXT", None),
    ("BLOB", None),
)


@pytest.mark.parametrize(("declared", "stored"), UNREADABLE)
def test_values_that_do_not_fit(declared: str, stored: Any) -> None:
    """A stored value that its type does not have is an error that shows it."""
    kind = foreign_column(declared, StoredValues()).type
    assert kind is not None
    decode = SQLITE.compiler.codec(kind).decode
    with pytest.raises(InvalidValue, match="cannot be read as"):
        decode(stored)


@pytest.mark.parametrize(
    ("columns", "row", "key"),
    [
        ("a TEXT PRIMARY KEY", "(NULL)", ()),
        ("a TEXT PRIMARY KEY", "('x')", ("a",)),
        ("a INTEGER PRIMARY KEY", "(NULL)", ("a",)),
        ("a TEXT, b TEXT, PRIMARY KEY (b, a)", "('x', NULL)", ()),
        ("a TEXT NOT NULL, PRIMARY KEY (a)", "('x')", ("a",)),
    ],
)
async def test_a_key_that_begins_with_null_is_none(
    connection: Any, columns: str, row: str, key: tuple[str, ...]
) -> None:
    """SQLite keeps NULL in keys; where a row has it, the key tells no row from another."""
    await run(connection, f"CREATE TABLE theirs ({columns})")
    await run(connection, f"INSERT INTO theirs VALUES {row}")
    found = await read(connection, "theirs")
    assert found.primary_key == key
    assert any("tell them apart" in note for note in found.notes) == (key == ())


MADE = (
    "CREATE TABLE theirs (id INTEGER PRIMARY KEY, n NUMERIC(10,2), d DATETIME, u DATETIME, b BOOL)"
)
ROWS = (
    (0.1, "2024-01-02T10:20:30", 1704190830, "t"),
    (0.2, "2024-02-03T00:00:00", 1706918400, "f"),
    (None, None, None, None),
)


async def test_what_is_computed(connection: Any) -> None:
    """Sums, products, parts of dates and truth are computed of what values mean."""
    await run(connection, MADE)
    for row in ROWS:
        await connection.execute("INSERT INTO theirs (n, d, u, b) VALUES (?, ?, ?, ?)", row)
    columns = (await read(connection, "theirs")).by_name
    compiler = SQLITE.compiler
    n, d, u, b = (columns[name].type for name in "ndub")
    total, product = Decimal(38, 2), Decimal(38, 4)

    async def values(sql: str, kind: FieldType | None) -> list[Any]:
        decode = (compiler.codec(kind).decode if kind is not None else None) or (lambda raw: raw)
        rows = await connection.fetch(f"SELECT {sql} FROM theirs", ())
        return [None if raw is None else decode(raw) for (raw,) in rows]

    # 0.1 + 0.2 of floats is not 0.3.
    assert await values(compiler.total("n", n, total), total) == [decimal.Decimal("0.30")]
    assert await values(compiler.arithmetic("add", ["n", "n"], n), n) == [
        decimal.Decimal("0.20"), decimal.Decimal("0.40"), None,
    ]  # fmt: skip
    assert await values(compiler.multiply([("n", n), ("n", n)], product), product) == [
        decimal.Decimal("0.0100"), decimal.Decimal("0.0400"), None,
    ]  # fmt: skip
    assert await values(compiler.convert("n", n, Float()), None) == [0.1, 0.2, None]
    for name, kind in (("d", d), ("u", u)):
        assert await values(compiler.date_part("hour", name, kind), None) == [10, 0, None]
        assert await values(compiler.truncate("month", name, kind), kind) == [
            utc(2024, 1, 1), utc(2024, 2, 1), None,
        ]  # fmt: skip
    assert await values(compiler.column_value("b", b), None) == [1, 0, None]


async def test_many_tables_are_read_with_few_statements(connection: Any) -> None:
    """The number of statements does not depend on that of tables; none is sent for nothing."""
    sent: list[str] = []
    fetch = connection.fetch

    async def counted(sql: str, parameters: Any) -> Any:
        sent.append(sql)
        return await fetch(sql, parameters)

    counts = []
    for number in range(3):
        await run(connection, f"CREATE TABLE t{number} (a DATETIME, b INT UNIQUE)")
        connection.fetch = counted
        await SQLITE.read_tables(connection)
        connection.fetch = fetch
        counts.append(len(sent))
        sent.clear()
    assert len(set(counts)) == 1
    connection.fetch = counted
    assert await SQLITE.read_tables(connection, ["nowhere"]) == []
    assert len(sent) == 1
    connection.fetch = fetch


async def test_numbers_among_texts_are_texts(tmp_path: Path) -> None:
    """Where the declared type says both, values are texts, in patterns and expressions too."""
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE codes (code INTEGER_OR_TEXT NOT NULL PRIMARY KEY)")
        theirs.executemany("INSERT INTO codes VALUES (?)", [(9,), (10,), ("x1",)])
        theirs.commit()
    async with DataFlow(f"sqlite:///{path}", existing_schema_mode=True) as db:
        await db.aregister_schema_as_models()
        codes: Any = db.nodes.Code

        async def found(**filter: Any) -> list[str]:
            rows = (await codes.list(filter=filter, order_by=["code"]))["records"]
            return [row["code"] for row in rows]

        assert await found() == ["9", "10", "x1"]
        assert (await codes.read(code="10"))["code"] == "10"
        assert await found(code={"$in": ["9", "x1"]}) == ["9", "x1"]
        assert await found(code={"$startswith": "1"}) == ["10"]
        assert await found(code={"$contains": "1"}) == ["10", "x1"]
        assert await found(**{"$expr": {"$eq": [{"$concat": ["$code", "!"]}, "9!"]}}) == ["9"]
