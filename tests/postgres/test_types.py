from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal as Number
from typing import Any

import pytest

from dataflow_core import DataFlow
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
from dataflow_postgres.columns import column_of
from dataflow_postgres.connection import PostgresConnection
from dataflow_postgres.types import codec, column_type, json_text
from tests.postgres.support import value

FLOATS = (0.1, -2.5, 1e15, 1e16, 2.0**60, 1e22, -1e300, 1.7976931348623157e308, 5e-324, 100.0)


async def test_floats_in_json_stay_floats(connection: PostgresConnection) -> None:
    """A float comes back from jsonb as the same float, and never as an int."""
    document = {"floats": list(FLOATS), "1e+22": "a 1e+22 \\", "ints": [10**18, -(2**63)]}
    stored = json.loads(await value(connection, "SELECT $1::jsonb", json_text(document)))
    assert stored == document
    assert [type(item) for item in stored["floats"]] == [float] * len(FLOATS)
    assert [type(item) for item in stored["ints"]] == [int, int]


async def test_floats_in_json_equal_ints_of_the_same_value(connection: PostgresConnection) -> None:
    """A float beyond 2 ** 53 equals the int that it is, not the one of its shortest digits."""
    sql = "SELECT $1::jsonb = $2::jsonb"
    assert await value(connection, sql, json_text(2.0**60), json_text(2**60))
    assert not await value(connection, sql, json_text(2.0**60), json_text(2**60 + 24))


COLUMNS: tuple[tuple[FieldType, str, FieldType], ...] = (
    (Integer(), "bigint", Integer()),
    (Integer(32), "integer", Integer(32)),
    (Float(), "double precision", Float()),
    (Decimal(10, 2), "numeric(10,2)", Decimal(10, 2)),
    (Decimal(38, 0), "numeric(38,0)", Decimal(38, 0)),
    (Boolean(), "boolean", Boolean()),
    (Text(), "text", Text()),
    (Binary(), "bytea", Binary()),
    (Timestamp(), "timestamp with time zone", Timestamp()),
    (Date(), "date", Date()),
    (Time(), "time without time zone", Time()),
    (Uuid(), "uuid", Uuid()),
    (Json("object"), "jsonb", Json()),
    (Enumeration((1, 2), Integer(32)), "integer", Integer(32)),
)


@pytest.mark.parametrize(("kind", "told", "decoded"), COLUMNS)
async def test_columns_are_found_again(
    connection: PostgresConnection, kind: FieldType, told: str, decoded: FieldType
) -> None:
    """The type that the server tells of a column is that of the field."""
    await connection.execute(f"CREATE TABLE t (c {column_type(kind)})", ())
    sql = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass"
    name = await value(connection, f"{sql} AND attname = 'c'")
    assert name == told
    assert column_of(name, (), "C").type == decoded


async def test_the_first_and_the_last_day_are_days(
    connection: PostgresConnection, url: str
) -> None:
    """date.min and date.max are stored as such, and not as infinite ones."""

    class Holiday:
        __dataflow__ = {"timestamps": False, "table": "holidays"}
        day: dt.date

    db = DataFlow(url)
    db.model(Holiday)
    try:
        for day in (dt.date.min, dt.date.max):
            made = await db.run("HolidayCreateNode", values={"day": day})
            assert made["result"]["day"] == day
            found = await db.run("HolidayListNode", filter={"day": {"$in": [day]}})
            assert [row["day"] for row in found["records"]] == [day]
    finally:
        await db.aclose()
    assert await value(connection, "SELECT bool_and(isfinite(day)) FROM holidays")


async def test_a_uuid_is_one_of_the_standard_library(connection: PostgresConnection) -> None:
    """The driver's own class of UUIDs does not come out."""
    token = uuid.uuid4()
    decode = codec(Uuid()).decode
    assert decode is not None
    found = decode(await value(connection, "SELECT $1::uuid", token))
    assert type(found) is uuid.UUID
    assert (found, hash(found), str(found)) == (token, hash(token), str(token))
    assert found.is_safe is uuid.SafeUUID.unknown


LISTS: tuple[tuple[FieldType, str, list[Any]], ...] = (
    (Decimal(38, 2), "[1.50, 2]", [Number("1.50"), Number(2)]),
    (Binary(), '["00ff"]', [b"\x00\xff"]),
    (
        Timestamp(),
        '["2024-02-29T12:34:56.7", "0002-01-01T00:00:00"]',
        [
            dt.datetime(2024, 2, 29, 12, 34, 56, 700_000, tzinfo=dt.UTC),
            dt.datetime(2, 1, 1, tzinfo=dt.UTC),
        ],
    ),
    (Time(), '["12:30:00.5", null]', [dt.time(12, 30, 0, 500_000), None]),
    (Enumeration(("a", "b"), Text()), '["a"]', ["a"]),
    (Integer(), "[1, 9223372036854775807]", [1, 2**63 - 1]),
)


@pytest.mark.parametrize(("item", "text", "expected"), LISTS)
def test_collected_values_have_their_type(item: FieldType, text: str, expected: list[Any]) -> None:
    """A list that an aggregate collected is decoded element by element."""
    decode = codec(Json("array", item)).decode
    assert decode is not None
    found = decode(text)
    assert found == expected
    assert [type(element) for element in found] == [type(element) for element in expected]
