"""Columns that others made: their types, and their values both ways."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import Any

import pytest

from dataflow_core.errors import InvalidValue
from dataflow_core.schema import MISSING
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)
from dataflow_mysql.columns import Rules, constant, found_type, storage_codec
from dataflow_mysql.types import MARIADB, MYSQL, column_type
from tests.mysql.schema import Database


@pytest.mark.parametrize("variant", [MARIADB, MYSQL])
@pytest.mark.parametrize(
    "kind",
    [Integer(), Integer(32), Float(), Decimal(38, 18), Boolean(), Text(), Binary(), Timestamp(),
     Date(), Time(), Uuid()],
)  # fmt: skip
def test_own_types_are_read_back(kind: FieldType, variant: Any) -> None:
    """The word for a column leads back to the field type, with nothing that surprises."""
    declared, _, collation = column_type(kind, variant).lower().partition(" character set ")
    found = found_type(declared, collation.partition(" collate ")[2] or None, Rules(flags=True))
    assert (found.type, found.problem, found.notes) == (kind, None, ())


COLUMNS: dict[str, tuple[FieldType | None, Any]] = {
    "tinyint": (Integer(32, storage="tinyint"), -5),
    "smallint unsigned": (Integer(32, storage="smallint unsigned"), 65_535),
    "int unsigned": (Integer(64, storage="int unsigned"), 4_294_967_295),
    "bigint unsigned": (Integer(64, storage="bigint unsigned"), 2**63 - 1),
    "tinyint(1)": (Boolean(storage="tinyint(1)"), True),
    "bit(1)": (Boolean(storage="bit"), True),
    "bit(12)": (Integer(32, storage="bit"), 4_095),
    "year": (Integer(32, storage="year"), 1999),
    "float": (Float(storage="float"), 1.5),
    "double(8,2)": (Float(storage="double(8,2)"), 1.25),
    "decimal(10,2)": (Decimal(10, 2), decimal.Decimal("1.50")),
    "decimal(10,2) unsigned": (Decimal(10, 2, storage="decimal unsigned"), decimal.Decimal("1.50")),
    "datetime": (Timestamp(storage="datetime"), dt.datetime(2024, 2, 29, 1, 2, 3, tzinfo=dt.UTC)),
    "timestamp(3)": (
        Timestamp(storage="timestamp(3)"),
        dt.datetime(2024, 2, 29, 1, 2, 3, 4_000, tzinfo=dt.UTC),
    ),
    "time": (Time(storage="time"), dt.time(1, 2, 3)),
    "date": (Date(), dt.date(2024, 2, 29)),
    "char(5) character set latin1": (Text(5, storage="char latin1_swedish_ci"), "é"),
    "varchar(9) collate utf8mb4_general_ci": (
        Text(9, storage="varchar utf8mb4_general_ci"), "É 😀"
    ),
    "text collate utf8mb4_general_ci": (Text(storage="text utf8mb4_general_ci"), "a\\'b"),
    "enum('x','y''z','q,r') collate utf8mb4_bin": (
        Enumeration(("x", "y'z", "q,r"), Text(), storage="enum"), "y'z"
    ),
    "set('a','b') collate utf8mb4_bin": (Text(storage="set"), "a,b"),
    "blob": (Binary(storage="blob"), b"\x00\xff"),
    "binary(2)": (Binary(storage="binary"), b"\x00\xff"),
    "varbinary(10)": (Binary(), b"\x00\xff"),
    "json": (Json(), {"a": [1, "é"]}),
    "point": (None, None),
    "decimal(65,30)": (None, None),
}  # fmt: skip


@pytest.mark.parametrize("declared", COLUMNS)
def test_values_of_columns_that_others_made(schema: Database, declared: str) -> None:
    """A value that is written is what the server has, and what is read back."""
    kind, value = COLUMNS[declared]
    schema.run(f"CREATE TABLE others (v {declared})")
    (table,) = schema.read("others")
    (found,) = table.columns
    assert found.type == kind
    assert (found.problem is None) == (kind is not None)
    if kind is None:
        return
    compiler: Any = schema.dialect.compiler
    codec = compiler.codec(kind)
    bound = value if codec.encode is None else codec.encode(kind.check(value, "v"))
    connection = schema.connection
    schema.runner.run(connection.execute("INSERT INTO others VALUES (?)", (bound,)))
    ((stored,),) = schema.run("SELECT v FROM others")
    read = stored if codec.decode is None else codec.decode(stored)
    assert read == value
    assert type(read) is type(value)
    if not isinstance(kind, Json):
        rows = schema.runner.run(
            connection.fetch("SELECT COUNT(*) FROM others WHERE v = ?", (bound,))
        )
        assert rows[0][0] == 1


def test_values_that_do_not_fit_their_type() -> None:
    """A stored value that the field type does not have is refused, and told."""
    for kind, value in (
        (Boolean(storage="tinyint(1)"), 2),
        (Integer(storage="bigint unsigned"), 2**64 - 1),
        (Timestamp(storage="datetime"), "0000-00-00 00:00:00"),
        (Time(storage="time"), dt.timedelta(hours=100)),
    ):
        codec = storage_codec(kind)
        assert codec is not None
        assert codec.decode is not None
        with pytest.raises(InvalidValue):
            codec.decode(value)


def test_what_surprises_is_noted(schema: Database) -> None:
    """Collations, rounding and what the server fills in are told in a sentence each."""
    schema.run(
        "CREATE TABLE others (a VARCHAR(5) COLLATE utf8mb4_general_ci, b DATETIME(3), c TINYINT(1),"
        " d TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,"
        " e INT AS (c + 1) VIRTUAL, f INT INVISIBLE)"
    )
    columns = schema.read("others")[0].by_name
    assert columns["a"].notes == ("compares by its own collation, utf8mb4_general_ci",)
    assert columns["b"].notes == ("keeps 3 digits of a second and rounds the rest",)
    assert "more numbers than 0 and 1" in columns["c"].notes[0]
    assert any("every update" in note for note in columns["d"].notes)
    assert columns["d"].default is MISSING
    assert "current_timestamp" in str(columns["d"].default_sql).lower()
    assert columns["e"].generated == "computed"
    assert columns["f"].notes == ("SELECT * leaves it out",)


def test_defaults_are_constants_of_the_type() -> None:
    """A constant becomes a value of the type; what is none of its values is no default."""
    assert constant("1", Boolean()) is True
    assert constant("5", Boolean()) is MISSING
    assert constant("1.50", Decimal(8, 2)) == decimal.Decimal("1.50")
    assert constant(b"\xff", Binary()) == b"\xff"
    assert constant("x", Integer()) is MISSING
    assert constant("8c0d5c2e-3f0e-4c55-9d0c-2f8a6f1f7a10", Uuid()) == uuid.UUID(
        "8c0d5c2e-3f0e-4c55-9d0c-2f8a6f1f7a10"
    )
    assert constant(None, Text()) is MISSING
