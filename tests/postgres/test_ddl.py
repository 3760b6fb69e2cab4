from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import json
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.operations import CreateTable
from dataflow_core.schema import Check, Field, ForeignKey, Index, Model, Reference
from dataflow_core.types import Boolean, Date, Decimal, Enumeration, Float, Integer, Text
from dataflow_postgres.connection import PostgresConnection
from dataflow_postgres.ddl import constraint_name
from dataflow_postgres.dialect import PostgresDialect
from tests.postgres.support import column, model, raised, value

DDL = PostgresDialect().ddl


async def create(connection: PostgresConnection, made: Model, *keys: ForeignKey) -> None:
    """Make the table of a model, twice: the second time nothing happens."""
    for statement in DDL.compile(CreateTable(made, keys)) * 2:
        await connection.execute(statement, ())


async def plan(connection: PostgresConnection, sql: str) -> str:
    """How a statement is carried out if a scan of the whole table is the last resort."""
    await connection.execute("SET enable_seqscan = off", ())
    await connection.execute("SET enable_sort = off", ())
    await connection.execute("SET enable_bitmapscan = off", ())
    return json.dumps(json.loads(await value(connection, f"EXPLAIN (FORMAT JSON) {sql}")))


@pytest.mark.parametrize("text", ["abcd", "abc ", "abc   ", "äöüß"])
async def test_text_is_never_cut(connection: PostgresConnection, text: str) -> None:
    """What is longer than its column is refused, spaces at the end too."""
    made = model(column("name", Text(3)))
    await create(connection, made)
    error = await raised(connection, 'INSERT INTO things ("name") VALUES ($1::text)', text)
    assert type(error).__name__ == "CheckViolation"
    assert "things_name_length" in str(error.constraint)  # type: ignore[attr-defined]
    await connection.execute('INSERT INTO things ("name") VALUES ($1::text)', ("äöü",))


async def test_text_compares_by_code_point(connection: PostgresConnection) -> None:
    """Columns of text have the collation C, those of an enumeration as well."""
    await create(connection, model(column("a", Text()), column("b", Enumeration(("x",), Text()))))
    sql = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'things'::regclass AND attname IN"
    assert (
        await value(connection, f"{sql} ('a', 'b') AND attcollation = '\"C\"'::regcollation") == 2
    )


async def test_long_names_stay_apart(connection: PostgresConnection) -> None:
    """Names of constraints and indexes are not cut: those with a common beginning differ."""
    names = ["x" * 62 + end for end in "ab"]
    fields = [column(name, Text(3), index=True, check={name: {"$ne": "no"}}) for name in names]
    made = model(*fields, table="t" * 63, checks=(Check("c" * 70, {names[0]: {"$ne": "never"}}),))
    await create(connection, made)
    sql = "SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND conrelid = $1::text::regclass"
    assert await value(connection, sql, made.table) == 5
    indexes = "SELECT count(*) FROM pg_index WHERE indrelid = $1::text::regclass"
    assert await value(connection, indexes, made.table) == 3


def test_a_name_is_shortened_by_bytes() -> None:
    """A name that fits stays; a longer one keeps its beginning and gets a digest of the whole."""
    assert constraint_name("a" * 63) == "a" * 63
    long = constraint_name("ä" * 40)
    assert len(long.encode()) <= 63
    assert long.startswith("äääää")
    assert long != constraint_name("ä" * 41)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("nullable", [False, True])
@pytest.mark.parametrize("unique", [False, True])
async def test_an_index_serves_the_order(
    connection: PostgresConnection, descending: bool, nullable: bool, unique: bool
) -> None:
    """Sorted reads use the index of a field, with NULL first ascending and last descending."""
    field = column("n", Integer(), nullable=nullable, unique=unique, index=not unique)
    await create(connection, model(field))
    order = PostgresDialect().compiler.order_item('"n"', descending=descending, nullable=nullable)
    shown = await plan(connection, f"SELECT * FROM things ORDER BY {order} LIMIT 5")
    assert "Index Scan" in shown
    assert "Sort" not in shown


async def test_descending_parts_of_an_index(connection: PostgresConnection) -> None:
    """An index that is sorted downwards in part serves exactly that order."""
    index = Index(("a", "b"), descending=frozenset(("b",)))
    made = model(column("a", Integer()), column("b", Text(), nullable=True), indexes=(index,))
    await create(connection, made)
    sql = "SELECT * FROM things ORDER BY a ASC, b DESC NULLS LAST LIMIT 5"
    assert "Index Scan" in await plan(connection, sql)


async def test_a_nullable_unique_field_can_be_referred_to(connection: PostgresConnection) -> None:
    """The index that makes a nullable field unique serves foreign keys, as a constraint does."""
    await create(connection, model(column("code", Text(9), nullable=True, unique=True)))
    other = model(column("code", Text(9)), table="others")
    await create(connection, other, ForeignKey(("code",), Reference("things", ("code",))))
    error = await raised(connection, "INSERT INTO others (code) VALUES ('x')")
    assert type(error).__name__ == "ForeignKeyViolation"


async def test_a_table_refers_to_itself_by_a_nullable_field(connection: PostgresConnection) -> None:
    """Where the reference needs the constraint at once, the field has one."""
    fields = (
        column("code", Text(9), nullable=True, unique=True),
        column("parent", Text(9), nullable=True),
    )
    key = ForeignKey(("parent",), Reference("things", ("code",)))
    await create(connection, model(*fields, foreign_keys=(key,)), key)
    error = await raised(connection, "INSERT INTO things (parent) VALUES ('x')")
    assert type(error).__name__ == "ForeignKeyViolation"


DEFAULTS: tuple[tuple[Any, Any, str], ...] = (
    (Integer(), -5, "-5"),
    (Float(), -1e300, "-1e+300"),
    (Decimal(6, 2), decimal.Decimal("-1.5"), "-1.50"),
    (Boolean(), False, "false"),
    (Text(), "it's \\ 'quoted'", "it's \\ 'quoted'"),
    (Date(), dt.date(2024, 2, 29), "2024-02-29"),
    (Enumeration(("a'b", "\\"), Text()), "\\", "\\"),
)


@pytest.mark.parametrize(("kind", "default", "text"), DEFAULTS)
@pytest.mark.parametrize("standard", ["on", "off"])
async def test_defaults_are_literals(
    connection: PostgresConnection, kind: Any, default: Any, text: str, standard: str
) -> None:
    """A constant default is the column's too, however the server reads backslashes."""
    await connection.execute(f"SET standard_conforming_strings = {standard}", ())
    await create(connection, model(column("c", kind, default=default)))
    await connection.execute("INSERT INTO things DEFAULT VALUES", ())
    assert await value(connection, "SELECT c::text FROM things") == text


CHECKS: tuple[tuple[Any, Any, Any], ...] = (
    ({"c": {"$gt": 3}}, 4, 3),
    ({"c": {"$in": [1, 5]}}, 5, 4),
    ({"c": {"$mod": [3, -1]}}, -4, 4),
    ({"$or": [{"c": {"$between": [1, 2]}}, {"c": 9}]}, 9, 3),
)


@pytest.mark.parametrize(("document", "fits", "refused"), CHECKS)
async def test_checks_are_filters(
    connection: PostgresConnection, document: Any, fits: int, refused: int
) -> None:
    """A check holds what its filter lets through."""
    made = model(column("c", Integer()), checks=(Check("rule", document),))
    await create(connection, made)
    await connection.execute("INSERT INTO things (c) VALUES ($1::bigint)", (fits,))
    error = await raised(connection, "INSERT INTO things (c) VALUES ($1::bigint)", refused)
    assert type(error).__name__ == "CheckViolation"
    assert error.constraint == "rule"  # type: ignore[attr-defined]


async def test_many_make_the_same_table_at_once(postgres_url: str) -> None:
    """Sixteen handles that meet no table make it together, and every row is there."""

    class Arrival:
        __dataflow__ = {"table": "arrivals"}
        number: int = 0
        code: str | None = None

    handles = [DataFlow(postgres_url) for _ in range(16)]
    try:
        for db in handles:
            db.model(Arrival)
        await asyncio.gather(
            *(db.run("ArrivalCreateNode", values={"number": at}) for at, db in enumerate(handles))
        )
        counted = await handles[0].run("ArrivalCountNode", filter={})
    finally:
        for db in handles:
            await db.aclose()
    assert counted["count"] == 16


async def test_the_key_of_several_columns(connection: PostgresConnection) -> None:
    """A composite key is unique as a whole, and none of its parts is NULL."""
    parts = (
        Field("a", Text(5), "a", primary_key=True),
        Field("b", Integer(), "b", primary_key=True),
    )
    await create(connection, Model("Thing", "things", parts))
    await connection.execute("INSERT INTO things VALUES ('x', 1), ('x', 2)", ())
    error = await raised(connection, "INSERT INTO things VALUES ('x', 1)")
    assert type(error).__name__ == "UniqueViolation"
    error = await raised(connection, "INSERT INTO things VALUES (NULL, 1)")
    assert type(error).__name__ == "NotNullViolation"
