"""Models made by hypothesis, and their tables read back."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import Any

from hypothesis import strategies as st

from dataflow_core.contract import Connection
from dataflow_core.operations import CreateTable
from dataflow_core.schema import MISSING, Check, Field, ForeignKey, Index, Model, Reference
from dataflow_core.schema.tables import Table
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
from dataflow_sqlite import dialect

SQLITE: Any = dialect.load()

VALUES: dict[FieldType, Any] = {
    Integer(): -(2**63),
    Integer(32): 7,
    Float(): -1.5e-300,
    Decimal(10, 2): decimal.Decimal("-1.50"),
    Decimal(38, 18): decimal.Decimal("-1.5"),
    Boolean(): True,
    Text(): 'it\'s */ "x" -- \n?1',
    Text(40): "",
    Binary(): b"\x00'",
    Timestamp(): dt.datetime(2024, 1, 1, 1, 2, 3, 4, tzinfo=dt.UTC),
    Date(): dt.date(2024, 1, 1),
    Time(): dt.time(8, 30),
    Uuid(): uuid.UUID(int=7),
    Json("object"): {"a": ["'", None, 1.5]},
    Json("array", Integer()): [1, 2],
    Json(): {},
    Enumeration(("a", "it's, (x)"), Text()): "it's, (x)",
    Enumeration((1, -2), Integer()): -2,
}
"""A type -> a value of it, for defaults."""

COMMENTS = st.one_of(st.none(), st.just("*/ -- \" ' \\ ä😀\n, ("), st.text(min_size=1, max_size=20))


@st.composite
def fields(draw: st.DrawFn, name: str) -> Field:
    """A field of any type, whose column is called otherwise."""
    kind = draw(st.sampled_from(list(VALUES)))
    nullable = draw(st.booleans())
    plain = not isinstance(kind, Json)
    unique = plain and draw(st.booleans())
    return Field(
        name,
        kind,
        draw(st.sampled_from([name, f'{name} "x"', f"CHECK {name}"])),
        nullable=nullable,
        default=draw(st.sampled_from([MISSING, VALUES[kind]])),
        unique=unique,
        index=plain and not unique and draw(st.booleans()),
        check=draw(st.sampled_from([None, {name: {"$ne": VALUES[kind]}}])) if plain else None,
        comment=draw(COMMENTS.filter(lambda text: text is None or "\0" not in text)),
    )


@st.composite
def keys(draw: st.DrawFn) -> tuple[Field, ...]:
    """A key: counted, given, or of several fields."""
    kind = draw(st.sampled_from(["counter", "counter32", "text", "several", "uuid"]))
    if kind.startswith("counter"):
        comment = draw(st.sampled_from([None, "a key"]))
        bits = Integer(32) if kind == "counter32" else Integer()
        return (Field("id", bits, "id", primary_key=True, generated="database", comment=comment),)
    if kind == "several":
        return (
            Field("part", Text(20), "part", primary_key=True),
            Field("id", Integer(), "id", primary_key=True),
        )
    if kind == "uuid":
        return (Field("id", Uuid(), "id", primary_key=True, generated="uuid7"),)
    return (Field("id", Text(), "id", primary_key=True),)


@st.composite
def models(draw: st.DrawFn) -> Model:
    """A model with everything that a model may declare."""
    names = [f"f{number}" for number in range(draw(st.integers(1, 6)))]
    made = (*draw(keys()), *(draw(fields(name)) for name in names))
    plain = [item for item in made if not isinstance(item.type, Json)]
    indexes = []
    if len(plain) > 1:
        columns = tuple(item.name for item in plain[:2])
        indexes.append(
            Index(
                columns,
                unique=draw(st.booleans()),
                descending=frozenset(draw(st.sampled_from([(), columns[:1], columns]))),
                where=draw(st.sampled_from([None, {plain[-1].name: {"$null": False}}])),
            )
        )
    checks = (Check('it\'s a "check"', {made[0].name: {"$null": False}}),)
    return Model(
        "Thing",
        "the things",
        made,
        indexes=tuple(indexes),
        checks=draw(st.sampled_from([(), checks])),
    )


PARENT = Model("Parent", "parents", (Field("id", Integer(), "id", primary_key=True),))


@st.composite
def references(draw: st.DrawFn, model: Model) -> tuple[ForeignKey, ...]:
    """Foreign keys of some fields."""
    found = []
    for item in model.fields:
        if item.type == Integer() and draw(st.booleans()):
            action: Any = draw(st.sampled_from(["no_action", "restrict", "cascade", "set_null"]))
            name = draw(st.sampled_from([None, f"key of {item.name}"]))
            found.append(ForeignKey((item.column,), Reference("parents", ("id",), action), name))
    return tuple(found)


async def run(connection: Connection, *statements: str) -> None:
    """Run statements."""
    for statement in statements:
        await connection.execute(statement, ())


async def make(connection: Connection, model: Model, *foreign_keys: ForeignKey) -> Table:
    """Make the table of a model and read it."""
    await run(connection, *SQLITE.ddl.compile(CreateTable(model, foreign_keys)))
    return await read(connection, model.table)


async def read(connection: Connection, name: str) -> Table:
    """Read a table."""
    (table,) = await SQLITE.read_tables(connection, [name])
    return table
