"""Models that hypothesis makes, and what a table of one has to be."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

from hypothesis import strategies as st

from dataflow_core.contract import Connection
from dataflow_core.operations import CreateTable
from dataflow_core.schema import MISSING, Check, Field, ForeignKey, Index, Model, Reference, Table
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
from dataflow_postgres.dialect import PostgresDialect

__all__ = ["assert_same", "foreign_keys", "make", "models", "table_of"]

DIALECT = PostgresDialect()
TEXTS = st.text("ab'\"\\ %$Ü😀1:()[]-,\n", max_size=6)
NAMES = (
    "plain",
    "order",
    "MixedCase",
    "with space",
    'quo"te',
    "ümlaut",
    "e2",
    "x" * 60,
    "x$1",
    "a-b",
)


def _kinds() -> st.SearchStrategy[FieldType]:
    words = st.lists(TEXTS, min_size=1, max_size=4, unique=True).map(tuple)
    numbers = st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=4, unique=True)
    return st.one_of(
        st.sampled_from(
            (Integer(), Integer(32), Float(), Boolean(), Text(), Binary(), Timestamp(), Date())
        ),
        st.sampled_from((Time(), Uuid(), Json())),
        st.builds(Text, st.integers(6, 300)),
        st.integers(1, 38).flatmap(
            lambda size: st.builds(Decimal, st.just(size), st.integers(0, size))
        ),
        st.builds(Enumeration, words, st.sampled_from((Text(), Text(20)))),
        st.builds(Enumeration, numbers.map(tuple), st.just(Integer())),
    )


VALUES: dict[type[FieldType], st.SearchStrategy[Any]] = {
    Float: st.floats(allow_nan=False, allow_infinity=False),
    Boolean: st.booleans(),
    Text: TEXTS,
    Binary: st.binary(max_size=5),
    Timestamp: st.datetimes(dt.datetime(2, 1, 1), timezones=st.just(dt.UTC)),
    Date: st.dates(),
    Time: st.times(),
    Uuid: st.uuids(),
}


def default_of(kind: FieldType) -> st.SearchStrategy[Any]:
    """Constant defaults of a type, in the canonical form."""
    if isinstance(kind, Enumeration):
        return st.sampled_from(kind.values)
    if isinstance(kind, Integer):
        return st.integers(kind.low, kind.high)
    if isinstance(kind, Decimal):
        most = 10**kind.precision - 1
        return st.integers(-most, most).map(
            lambda number: kind.check(
                decimal.Decimal(number).scaleb(-kind.scale, decimal.Context(prec=100)), "a default"
            )
        )
    return VALUES[type(kind)]


@st.composite
def fields(draw: st.DrawFn, name: str) -> Field:
    """A field that is no key."""
    kind = draw(_kinds())
    default: Any = MISSING
    if not isinstance(kind, Json) and draw(st.booleans()):
        default = draw(default_of(kind))
    plain = not isinstance(kind, Json) and draw(st.booleans())
    way = draw(st.sampled_from(("", "unique", "index"))) if plain else ""
    return Field(
        name,
        kind,
        name,
        nullable=draw(st.booleans()),
        default=default,
        unique=way == "unique",
        index=way == "index",
        check={name: {"$exists": True}} if draw(st.integers(0, 5)) == 0 else None,
        comment=draw(st.none() | TEXTS.filter(bool)),
    )


@st.composite
def models(draw: st.DrawFn, table: str = "things") -> Model:
    """A model, whose reference goes to ``others.id``."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6, unique=True))
    made = [draw(fields(name)) for name in names]
    way = draw(st.sampled_from(("counter", "given", "composite")))
    keys = [Field("id", Integer(), "id", primary_key=True)]
    if way == "counter":
        keys = [Field("id", Integer(), "id", primary_key=True, generated="database")]
    elif way == "composite":
        keys.append(Field("part", Text(30), "part", primary_key=True))
    indexes: list[Index] = []
    plain = [item.name for item in made if not isinstance(item.type, Json)]
    if plain:
        columns = tuple(draw(st.permutations(plain)))[:3]
        descending = frozenset(draw(st.lists(st.sampled_from(columns))))
        where = {columns[0]: {"$exists": True}} if draw(st.booleans()) else None
        unique = draw(st.booleans())
        indexes.append(Index(columns, unique, descending=descending, where=where))
    checks = (Check("a rule", {"id": {"$gt": -5}}),) if draw(st.booleans()) else ()
    if draw(st.booleans()):
        keys.append(Field("other", Integer(), "other", nullable=True, index=True))
    return Model(
        "Thing", table, (*keys, *made), indexes=tuple(dict.fromkeys(indexes)), checks=checks
    )


def foreign_keys(model: Model) -> tuple[ForeignKey, ...]:
    """The reference of a model, if it has one."""
    if "other" not in model.by_name:
        return ()
    return (ForeignKey(("other",), Reference("others", ("id",), "set_null")),)


async def make(connection: Connection, model: Model, *keys: ForeignKey) -> None:
    """Make the table of a model."""
    for statement in DIALECT.ddl.compile(CreateTable(model, keys)):
        await connection.execute(statement, ())


async def table_of(connection: Connection, name: str = "things") -> Table:
    """The table, as the database has it."""
    [table] = await DIALECT.read_tables(connection, [name])
    return table


def assert_same(table: Table, model: Model, keys: tuple[ForeignKey, ...] = ()) -> None:
    """The table is what the model says, and nothing else."""
    assert table.name == model.table
    assert [column.name for column in table.columns] == [item.column for item in model.fields]
    for item in model.fields:
        column = table.by_name[item.column]
        kind = Json() if isinstance(item.type, Json) else item.type
        assert column.type == kind
        assert column.problem is None
        assert column.nullable == item.nullable
        assert (column.generated == "counter") == (item.generated == "database")
        constant = item.default
        if constant is None or callable(constant):
            constant = MISSING
        elif constant is not MISSING:
            constant = item.type.check(constant, item.name)
        assert column.default == constant
        assert type(column.default) is type(constant)
        assert column.comment == (item.comment or None)
        assert column.notes == ()
    assert table.primary_key == tuple(item.column for item in model.primary_key)
    found = sorted(
        (index.columns, index.unique, sorted(index.descending), index.where is not None)
        for index in table.indexes
    )
    wanted = sorted(
        (index.columns, index.unique, sorted(index.descending), index.where is not None)
        for index in model.all_indexes
    )
    assert found == wanted
    assert not any(index.expressions or index.method for index in table.indexes)
    assert [
        (key.columns, key.table, key.target, key.on_delete, key.on_update)
        for key in table.foreign_keys
    ] == [
        (
            key.columns,
            key.reference.table,
            key.reference.columns,
            key.reference.on_delete,
            "no_action",
        )
        for key in keys
    ]
    names = {DIALECT.ddl.check_name(model, check.name) for check in model.all_checks}
    assert {check.name for check in table.checks} == names
    assert len(table.checks) == len(names)
    assert table.notes == table.triggers == ()
