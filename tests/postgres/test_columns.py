from __future__ import annotations

import datetime as dt
import decimal
import math
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core import DataFlow
from dataflow_core.errors import DataFlowError
from dataflow_core.schema import MISSING
from dataflow_core.types import (
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
)
from dataflow_postgres.columns import column_of, constant, literals
from dataflow_postgres.connection import PostgresConnection
from dataflow_postgres.types import codec
from tests.postgres.schemas import table_of

TYPES: tuple[tuple[str, FieldType | None], ...] = (
    ("varchar(40)", Text(40, storage="varchar")),
    ("varchar", Text(storage="varchar")),
    ("char(3)", Text(3, storage="char")),
    ("text", Text(storage="collated")),
    ('text COLLATE "C"', Text()),
    ("smallint", Integer(32, storage="smallint")),
    ("real", Float(storage="real")),
    ("numeric", Decimal(38, 18, storage="numeric")),
    ("numeric(40,2)", Decimal(38, 2, storage="numeric")),
    ("numeric(45,40)", None),
    ("timestamp", Timestamp(storage="timestamp")),
    ("timestamp(3)", Timestamp(storage="timestamp")),
    ("timestamptz(0)", Timestamp(storage="timestamptz")),
    ("time(2)", Time(storage="time")),
    ("timetz", None),
    ("json", Json(storage="json")),
    ("inet", Text(storage="text:inet")),
    ("cidr", Text(storage="text:cidr")),
    ("macaddr", Text(storage="text:macaddr")),
    ("mood", Enumeration(("sad", "it's ok"), Text(storage="enum:mood"))),
    ('"Mood 2"', Enumeration(("a",), Text(storage='enum:"Mood 2"'))),
    ("short", Text(9, storage="varchar")),
    ("shorter", Text(9, storage="varchar")),
    ("money", None),
    ("interval", None),
    ("interval day to second(3)", None),
    ("bit(3)", None),
    ("varbit", None),
    ("xml", None),
    ("int[]", None),
    ("int4range", None),
    ("point", None),
    ("tsvector", None),
    ("oid", None),
)


async def types(connection: PostgresConnection) -> None:
    """Make the types of the tests."""
    for statement in (
        "DROP TYPE IF EXISTS mood CASCADE",
        'DROP TYPE IF EXISTS "Mood 2" CASCADE',
        "CREATE TYPE mood AS ENUM ('sad', 'it''s ok')",
        "CREATE TYPE \"Mood 2\" AS ENUM ('a')",
        "CREATE DOMAIN short AS varchar(9) NOT NULL DEFAULT 'd'",
        "CREATE DOMAIN shorter AS short CHECK (length(value) < 5)",
    ):
        await connection.execute(statement, ())


async def test_columns_of_others(connection: PostgresConnection) -> None:
    """Every column has a field type with the way its values are kept, or a reason for none."""
    await types(connection)
    body = ", ".join(f"c{at} {name}" for at, (name, _) in enumerate(TYPES))
    await connection.execute(f"CREATE TABLE things ({body})", ())
    table = await table_of(connection)
    for found, (name, kind) in zip(table.columns, TYPES, strict=True):
        assert (name, found.type) == (name, kind)
        assert (found.problem is None) == (kind is not None)
        plain = kind is None or kind in (Text(), Text(storage="collated"))
        assert plain or found.notes or isinstance(kind, Json) or "macaddr" in name
    short = table.by_name[f"c{[name for name, _ in TYPES].index('shorter')}"]
    assert (short.native, short.nullable, short.default) == ("shorter", False, "d")
    assert "domain shorter" in short.notes[-1]


CONSTANTS: tuple[tuple[str, FieldType, Any], ...] = (
    ("'it''s'::text", Text(), "it's"),
    ("'x'::character varying(9)", Text(), "x"),
    ("('x'::text)::mood", Text(), "x"),
    ("'-5'::integer", Integer(), -5),
    ("(-5)", Integer(), -5),
    ("5", Integer(), 5),
    ("1.50", Decimal(5, 2), decimal.Decimal("1.50")),
    ("'1e+300'::double precision", Float(), 1e300),
    ("true", Boolean(), True),
    ("'2024-02-29'::date", Date(), dt.date(2024, 2, 29)),
    (
        "'2024-02-29 12:00:00+00'::timestamp with time zone",
        Timestamp(),
        dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC),
    ),
    ("'{\"a\": 1}'::jsonb", Json(), {"a": 1}),
    ("NULL::text", Text(), None),
    ("now()", Timestamp(), MISSING),
    ("nextval('x'::regclass)", Integer(), MISSING),
    ("('a'::text || 'b'::text)", Text(), MISSING),
    ("'infinity'::timestamp with time zone", Timestamp(), MISSING),
    ("upper('a'::text)", Text(), MISSING),
    ("(1 + 2)", Integer(), MISSING),
    ("CURRENT_DATE", Date(), MISSING),
    ("'2024-02-29'::text", Date(), dt.date(2024, 2, 29)),
)


@pytest.mark.parametrize(("sql", "kind", "value"), CONSTANTS)
def test_constants(sql: str, kind: FieldType, value: Any) -> None:
    """A default is a value where it is a constant of the type, and else only its text."""
    assert constant(sql, kind) == value
    assert type(constant(sql, kind)) is type(value)


def test_literals_in_a_check() -> None:
    """Digits in names and in names of types are no values."""
    sql = "(\"k 1\" = ANY (ARRAY['it''s 5'::text, '6'::text]))"
    assert literals(sql, Text()) == ("it's 5", "6")
    assert literals("(e2 = ANY (ARRAY['-1'::integer, 2]))", Integer()) == (-1, 2)
    assert literals("(k3 = (7)::bigint)", Integer()) == (7,)


def test_a_type_of_an_extension_keeps_its_schema() -> None:
    """What stands in front of the name of a type is part of it."""
    assert column_of("ext.citext", (), "default").type == Text(storage="text:ext.citext")


ROW: dict[str, Any] = {
    "code": "ab",
    "name": "Émile",
    "small": 7,
    "ratio": 0.1,
    "amount": decimal.Decimal("1.5"),
    "moment": dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC),
    "seen": dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC),
    "doc": {"a": [1, "x"], "b": 2},
    "mood": "sad",
    "address": "10.0.0.1",
}
OTHER: dict[str, Any] = {
    **dict.fromkeys(ROW),
    "code": "zz",
    "name": "zoe",
    "small": -1,
    "ratio": 2.5,
    "mood": "it's ok",
    "amount": decimal.Decimal(100),
    "doc": {"a": []},
}
SQL = """
CREATE TABLE odd (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, code char(5) UNIQUE,
  name varchar(20), small smallint, ratio real, amount numeric, moment timestamp,
  seen timestamptz(0), doc json, mood mood, address inet, tags text[])
"""


@pytest.fixture
async def odd(connection: PostgresConnection, url: str) -> AsyncIterator[DataFlow]:
    """A table that nobody made by this project, with two rows, as a model."""
    await types(connection)
    await connection.execute(SQL, ())
    db = DataFlow(url, auto_migrate=False)
    await db.aregister_schema_as_models(tables=["odd"])
    for row in (ROW, OTHER):
        await db.run("OddCreateNode", values=row)
    yield db
    await db.aclose()


async def test_a_column_that_no_type_fits_is_told(odd: DataFlow) -> None:
    """It is left out of the model, with the reason among the notes."""
    told = await odd.aregister_schema_as_models(tables=["odd"])
    assert told["errors"] == {}
    described = await odd.adiscover_schema()
    [tags] = [item for item in described["odd"]["columns"] if item["name"] == "tags"]
    assert tags["field_type"] is None
    assert "text[]" in tags["notes"][-1]


@given(value=st.floats(width=32))
def test_floats_of_four_bytes(value: float) -> None:
    """They are read with as few digits as tell them from each other, and written as the same."""
    decode = codec(Float(storage="real")).decode
    assert decode is not None
    short = decode(value)
    if value == value and abs(value) < math.inf:
        assert struct.unpack("f", struct.pack("f", short))[0] == value
        assert len(decimal.Decimal(repr(short)).normalize().as_tuple().digits) <= 9
    else:
        assert str(short) == str(value)


async def test_texts_without_regard_to_case(url: str, connection: PostgresConnection) -> None:
    """A column of citext is written, and compares as it does for others."""
    await connection.execute("CREATE EXTENSION citext", ())
    await connection.execute("CREATE TABLE people (email citext PRIMARY KEY, n int)", ())
    async with DataFlow(url, auto_migrate=False) as db:
        told = await db.aregister_schema_as_models(tables=["people"])
        assert "case" in str(told["notes"])
        many = [{"email": f"A{at}@x", "n": at} for at in range(150)]
        await db.run("PeopleBulkCreateNode", data=many)
        assert (await db.run("PeopleReadNode", email="a7@X"))["n"] == 7
        listed = await db.run("PeopleListNode", filter={"email": {"$regex": "^A1@"}})
        assert [row["email"] for row in listed["records"]] == ["A1@x"]


async def codes(db: DataFlow, **parameters: Any) -> list[str]:
    """The codes of the rows that a list gives."""
    listed = await db.run("OddListNode", **{"order_by": ["id"], **parameters})
    return [row["code"] for row in listed["records"]]


async def test_values_come_back(odd: DataFlow, connection: PostgresConnection) -> None:
    """As the Python values that were written, and others read them as the table means them."""
    row = await odd.run("OddReadNode", id=1)
    assert {name: row[name] for name in ROW} == ROW
    assert isinstance(row["address"], str)
    assert row["moment"].tzinfo is dt.UTC
    sql = "SELECT code || '|', amount::text, moment::text, doc ->> 'b', ratio::text FROM odd"
    stored = await connection.fetch(f"{sql} ORDER BY id", ())
    assert tuple(stored[0]) == ("ab|", "1.5", "2024-02-29 12:30:00", "2", "0.1")
    assert stored[1][1] == "100"


FILTERS: tuple[tuple[dict[str, Any], list[str]], ...] = (
    ({"code": "ab"}, ["ab"]),
    ({"code": {"$in": ["ab", "zz", "none"]}}, ["ab", "zz"]),
    ({"code": {"$regex": "^a.$"}}, ["ab"]),
    ({"code": {"$ne": "ab"}}, ["zz"]),
    ({"name": "Émile"}, ["ab"]),
    ({"name": {"$regex": "^É"}}, ["ab"]),
    ({"small": {"$gt": 100_000}}, []),
    ({"small": {"$mod": [2, 1]}}, ["ab"]),
    ({"ratio": 0.1}, ["ab"]),
    ({"ratio": {"$gt": 0.1}}, ["zz"]),
    ({"ratio": {"$in": [0.1, 2.5]}}, ["ab", "zz"]),
    ({"amount": {"$gte": decimal.Decimal("1.5")}}, ["ab", "zz"]),
    ({"amount": decimal.Decimal("1.5")}, ["ab"]),
    ({"moment": ROW["moment"]}, ["ab"]),
    ({"moment": {"$lt": "2024-02-29T13:00:00+00:00"}}, ["ab"]),
    ({"moment": {"$in": [ROW["moment"]]}}, ["ab"]),
    ({"moment": {"$ne": ROW["moment"]}}, ["zz"]),
    ({"seen": ROW["seen"]}, ["ab"]),
    ({"doc.b": 2}, ["ab"]),
    ({"doc": {"$eq": {"a": []}}}, ["zz"]),
    ({"doc": {"$ne": {"a": []}}}, ["ab"]),
    ({"mood": "sad"}, ["ab"]),
    ({"mood": {"$in": ["sad", "it's ok"]}}, ["ab", "zz"]),
    ({"mood": "unheard"}, []),
    ({"mood": {"$ne": "unheard"}}, ["ab", "zz"]),
    ({"mood": {"$in": ["unheard", "sad"]}}, ["ab"]),
    ({"mood": {"$regex": "ok$"}}, ["zz"]),
    ({"address": "10.0.0.1"}, ["ab"]),
    ({"address": {"$regex": "^10"}}, ["ab"]),
    ({"address": None}, ["zz"]),
    ({"$expr": {"$eq": ["$mood", "sad"]}}, ["ab"]),
    ({"$expr": {"$eq": ["$code", "ab"]}}, ["ab"]),
    ({"$expr": {"$eq": [{"$year": "$moment"}, 2024]}}, ["ab"]),
    ({"$expr": {"$gt": ["$ratio", 0.1]}}, ["zz"]),
    ({"$expr": {"$eq": ["$address", "10.0.0.1"]}}, ["ab"]),
    ({"$expr": {"$eq": ["$moment", "$seen"]}}, ["ab", "zz"]),
    ({"$expr": {"$gte": ["$small", "$ratio"]}}, ["ab"]),
    ({"$expr": {"$eq": [{"$concat": ["$name", "$mood"]}, "Émilesad"]}}, ["ab"]),
)


@pytest.mark.parametrize(("filter", "found"), FILTERS)
async def test_filters_of_such_columns(
    odd: DataFlow, filter: dict[str, Any], found: list[str]
) -> None:
    """A value is compared in the form in which the table keeps it."""
    assert await codes(odd, filter=filter) == found
    counted = await odd.run("OddCountNode", filter=filter)
    assert counted["count"] == len(found)


@pytest.mark.parametrize("name", ["code", "small", "ratio", "amount", "moment", "mood", "address"])
async def test_order_by_such_columns(odd: DataFlow, name: str) -> None:
    """Rows are sorted by them, NULL first."""
    listed = await odd.run("OddListNode", order_by=[name])
    values = [row[name] for row in listed["records"]]
    assert sorted(map(str, values)) == sorted(str(row[name]) for row in (ROW, OTHER))
    assert None not in values[1:]


async def test_updates_and_bulk_writes(odd: DataFlow) -> None:
    """Every way to write turns a value into what the column keeps."""
    update = {"name": "new", "mood": "it's ok", "address": "::1", "moment": "2025-01-01T00:00:00"}
    await odd.run("OddUpdateNode", filter={"code": "ab"}, fields=update)
    await odd.run(
        "OddUpdateNode", filter={"code": "ab"}, fields={"$inc": {"small": 5, "ratio": 0.5}}
    )
    row = await odd.run("OddReadNode", id=1)
    assert (row["mood"], row["address"], row["small"]) == ("it's ok", "::1", 12)
    assert row["ratio"] == 0.6
    assert row["moment"] == dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    computed = {
        "code": {"$concat": ["$code", "x"]},
        "name": {"$concat": ["$code", "x"]},
        "address": {"$ifNull": ["$address", "10.0.0.2"]},
        "moment": {"$dateTrunc": {"date": "$seen", "unit": "day"}},
    }
    await odd.run("OddUpdateNode", filter={"code": "ab"}, fields=computed)
    row = await odd.run("OddReadNode", id=1)
    assert (row["code"], row["name"], row["address"]) == ("abx", "abx", "::1")
    assert row["moment"] == dt.datetime(2024, 2, 29, tzinfo=dt.UTC)
    many = [{**ROW, "code": f"c{at}"} for at in range(300)]
    await odd.run("OddBulkCreateNode", data=many)
    assert (await odd.run("OddCountNode", filter={"mood": "sad"}))["count"] == 300
    changed = [{"code": f"c{at}", "mood": "it's ok", "ratio": 0.3} for at in range(300)]
    await odd.run("OddBulkUpsertNode", data=changed, match_fields=["code"])
    assert (await odd.run("OddCountNode", filter={"ratio": 0.3}))["count"] == 300
    without = [
        {name: value for name, value in row.items() if name != "address"} | {"code": f"d{at}"}
        for at, row in enumerate(many)
    ]
    await odd.run("OddBulkCreateNode", data=without)
    last = await odd.run("OddListNode", filter={"code": "d299"})
    assert last["records"][0]["moment"] == ROW["moment"]


async def test_aggregates_of_such_columns(odd: DataFlow) -> None:
    """Groups, sums and extremes have the Python values of their types."""
    group = {
        "_id": None,
        "small": {"$sum": "$small"},
        "amount": {"$max": "$amount"},
        "ratio": {"$min": "$ratio"},
        "moment": {"$max": "$moment"},
        "mood": {"$min": "$mood"},
        "code": {"$max": "$code"},
        "all": {"$push": "$address"},
    }
    result = await odd.run("OddListNode", aggregate=[{"$group": group}])
    [row] = result["records"]
    assert row["small"] == 6
    assert row["amount"] == 100
    assert row["ratio"] == 0.1
    assert row["moment"] == ROW["moment"]
    assert row["mood"] == "it's ok"
    assert row["code"] == "zz"
    assert row["all"] == ["10.0.0.1"]
    grouped = await odd.run(
        "OddListNode",
        aggregate=[{"$group": {"_id": "$mood", "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}],
    )
    assert {row["_id"]: row["n"] for row in grouped["records"]} == {"sad": 1, "it's ok": 1}


@pytest.mark.parametrize(
    ("name", "value"), [("small", 40_000), ("code", "sixsix"), ("mood", "unheard")]
)
async def test_what_does_not_fit_is_a_clear_error(odd: DataFlow, name: str, value: Any) -> None:
    """A value that the column cannot keep is refused with an error of this project."""
    with pytest.raises(DataFlowError):
        await odd.run("OddCreateNode", values={name: value})
