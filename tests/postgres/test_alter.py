from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import pytest
from attrs import evolve

from dataflow_core.errors import SchemaChangeRefused
from dataflow_core.operations import (
    AddCheck,
    AddColumn,
    AddForeignKey,
    AddIndex,
    AlterTable,
    ChangeComment,
    ChangeDefault,
    ChangeNullable,
    ChangePrimaryKey,
    ChangeType,
    DropCheck,
    DropColumn,
    DropForeignKey,
    DropIndex,
    RenameColumn,
    Step,
)
from dataflow_core.schema import Check, Field, ForeignKey, Index, Model, Reference, Table
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
    Uuid,
)
from dataflow_postgres.connection import PostgresConnection
from tests.postgres.schemas import DIALECT, assert_same, make, table_of
from tests.postgres.support import WRITING, column, model, raised, value


async def alter(
    connection: PostgresConnection, made: Model, *steps: Step, keys: tuple[ForeignKey, ...] = ()
) -> None:
    """Change the table to a model, in one transaction."""
    before = await table_of(connection)
    await connection.begin()
    try:
        for statement in DIALECT.ddl.alter(AlterTable(made, before, steps, keys)):
            await connection.execute(statement, ())
    except BaseException:
        await connection.rollback()
        raise
    await connection.commit()


def sorted_table(table: Table) -> Table:
    """A table whose parts have one order: a column that is added stands last."""
    return evolve(
        table,
        columns=tuple(sorted(table.columns, key=lambda item: item.name)),
        indexes=tuple(sorted(table.indexes, key=lambda item: item.name)),
        foreign_keys=tuple(sorted(table.foreign_keys, key=lambda item: item.columns)),
        checks=tuple(sorted(table.checks, key=lambda item: str(item.name))),
    )


async def assert_as_new(
    connection: PostgresConnection, made: Model, *keys: ForeignKey
) -> list[tuple[Any, ...]]:
    """The table equals one that is newly made; its rows."""
    found = await table_of(connection)
    ordered = [made_field.column for made_field in made.fields]
    names = ", ".join(f'"{name}"' for name in ordered)
    rows = [tuple(row) for row in await connection.fetch(f"SELECT {names} FROM things", ())]
    await connection.execute("DROP TABLE things", ())
    await make(connection, made, *keys)
    new = await table_of(connection)
    assert sorted_table(found) == sorted_table(new)
    assert_same(new, made, keys)
    return rows


async def insert(connection: PostgresConnection, rows: str) -> None:
    """Insert rows, written as SQL."""
    await connection.execute(f"INSERT INTO things VALUES {rows}", ())


KEEPS: tuple[tuple[FieldType, FieldType, str, Any], ...] = (
    (Integer(32), Integer(), "7", 7),
    (Integer(), Integer(32), "7", 7),
    (Integer(), Decimal(20, 1), "7", decimal.Decimal("7.0")),
    (Text(5), Text(9), "'abc'", "abc"),
    (Text(9), Text(5), "'abc'", "abc"),
    (Text(5), Text(), "'abc'", "abc"),
    (Text(), Text(5), "'abc'", "abc"),
    (Decimal(5, 2), Decimal(9, 4), "1.25", decimal.Decimal("1.2500")),
    (Decimal(9, 4), Decimal(5, 1), "1.5", decimal.Decimal("1.5")),
    (Enumeration(("a", "b"), Text()), Enumeration(("b", "c"), Text()), "'b'", "b"),
    (Enumeration(("a", "b"), Text()), Text(3), "'b'", "b"),
    (Text(3), Enumeration(("a", "b"), Text()), "'b'", "b"),
    (Enumeration((1, 2), Integer()), Enumeration((2, 3), Integer()), "2", 2),
    (Enumeration((1, 2), Integer()), Integer(32), "2", 2),
    (Date(), Timestamp(), "'2024-02-29'", dt.datetime(2024, 2, 29, tzinfo=dt.UTC)),
    (Integer(), Text(), "7", "7"),
    (Decimal(5, 2), Text(9), "1.5", "1.50"),
    (Date(), Text(), "'2024-02-29'", "2024-02-29"),
    (Uuid(), Text(), f"'{'0' * 31}7'", "00000000-0000-0000-0000-000000000007"),
    (Json("object"), Json("array"), "'{}'", "{}"),
)


@pytest.mark.parametrize(("stored", "wanted", "sql", "kept"), KEEPS)
@pytest.mark.parametrize("nullable", [False, True])
async def test_types_change_and_values_stay(
    connection: PostgresConnection,
    stored: FieldType,
    wanted: FieldType,
    sql: str,
    kept: Any,
    nullable: bool,
) -> None:
    """The table is then as a new one, with its checks, its index and its rows."""
    indexed = not isinstance(stored, Json)
    field = column("c", stored, nullable=nullable, index=indexed)
    await make(connection, model(field))
    await insert(connection, f"(1, {sql})")
    changed = evolve(field, type=wanted)
    before = (await table_of(connection)).by_name["c"]
    await alter(connection, model(changed), ChangeType(changed, before, "lossy"))
    assert await assert_as_new(connection, model(changed)) == [(1, kept)]


REFUSED: tuple[tuple[FieldType, FieldType, str, str], ...] = (
    (Integer(), Integer(32), "5000000000", "OutOfRange"),
    (Integer(), Decimal(5, 3), "700", "OutOfRange"),
    (Text(), Text(2), "'abc'", "CheckViolation"),
    (Decimal(9, 4), Decimal(9, 1), "1.25", "CheckViolation"),
    (Decimal(9, 4), Decimal(4, 2), "123", "OutOfRange"),
    (Enumeration(("a", "b"), Text()), Enumeration(("b",), Text()), "'a'", "CheckViolation"),
    (Text(), Enumeration(("b",), Text()), "'a'", "CheckViolation"),
)


@pytest.mark.parametrize(("stored", "wanted", "sql", "error"), REFUSED)
async def test_rows_that_do_not_fit_change_nothing(
    connection: PostgresConnection, stored: FieldType, wanted: FieldType, sql: str, error: str
) -> None:
    """A value is never cut, rounded or left in a type that refuses it."""
    made = model(column("c", stored))
    await make(connection, made)
    await insert(connection, f"(1, {sql})")
    field = column("c", wanted)
    before = await table_of(connection)
    change = AlterTable(model(field), before, (ChangeType(field, before.by_name["c"], "lossy"),))
    await connection.begin()
    names = []
    for statement in DIALECT.ddl.alter(change):
        try:
            await connection.execute(statement, ())
        except Exception as raised_error:
            translated = DIALECT.translate_error(raised_error, WRITING)
            names.append(type(translated).__name__)
            break
    await connection.rollback()
    assert names == [error]
    assert_same(await table_of(connection), made)
    assert await value(connection, f"SELECT c = {sql} FROM things")


SENSELESS: tuple[tuple[FieldType, FieldType], ...] = (
    (Text(), Integer()),
    (Integer(), Boolean()),
    (Float(), Decimal()),
    (Timestamp(), Date()),
    (Time(), Text()),
    (Json(), Text()),
    (Integer(), Float()),
    (Text(), Json()),
)


@pytest.mark.parametrize(("stored", "wanted"), SENSELESS)
async def test_other_changes_of_types_are_refused(
    connection: PostgresConnection, stored: FieldType, wanted: FieldType
) -> None:
    """What has no obvious value in the new type is refused, with the names of both."""
    await make(connection, model(column("c", stored)))
    field = column("c", wanted)
    before = (await table_of(connection)).by_name["c"]
    with pytest.raises(SchemaChangeRefused, match=f"{stored.name} .* {wanted.name}"):
        await alter(connection, model(field), ChangeType(field, before, "lossy"))


async def test_a_default_goes_with_its_type(connection: PostgresConnection) -> None:
    """The default of a column is one of the new type, also where only that changes."""
    field = column("c", Integer(), default=5)
    await make(connection, model(field))
    changed = evolve(field, type=Text(9), default="five")
    before = (await table_of(connection)).by_name["c"]
    await alter(connection, model(changed), ChangeType(changed, before, "lossy"))
    await assert_as_new(connection, model(changed))
    last = evolve(changed, default="six")
    await alter(connection, model(last), ChangeDefault(last))
    await assert_as_new(connection, model(last))
    none = column("c", Text(9))
    await alter(connection, model(none), ChangeDefault(none))
    await assert_as_new(connection, model(none))


async def test_columns_are_added(connection: PostgresConnection) -> None:
    """With type, default, checks and comment; stored rows get the default."""
    await make(connection, model())
    await insert(connection, "(1), (2)")
    fields = (
        column("a", Enumeration(("x", "y"), Text(4)), default="x", comment="it's one"),
        column("b", Text(3), nullable=True, unique=True),
        column("c", Integer(), default=7, unique=True),
        column("d", Integer(32), nullable=True, index=True, check={"d": {"$gt": 1}}),
    )
    made = model(*fields)
    steps: list[Step] = [AddColumn(field) for field in fields]
    steps += [
        AddIndex(index, "tightening") for index in made.all_indexes if index.columns != ("c",)
    ]
    steps += [AddCheck(check) for check in made.all_checks]
    await alter(connection, made, *steps)
    rows = await connection.fetch("SELECT * FROM things ORDER BY id", ())
    assert [tuple(row) for row in rows] == [(1, "x", None, 7, None), (2, "x", None, 7, None)]
    await connection.execute("DELETE FROM things WHERE id = 1", ())
    await alter(connection, made, AddIndex(Index(("c",), unique=True), "tightening"))
    await assert_as_new(connection, made)


async def test_a_column_without_a_value_for_rows_is_not_added(
    connection: PostgresConnection,
) -> None:
    """Where rows are stored, a column that needs a value and has none fails."""
    await make(connection, model())
    await insert(connection, "(1)")
    made = model(column("a", Integer()))
    operation = AlterTable(made, await table_of(connection), (AddColumn(made.fields[1]),))
    error = await raised(connection, DIALECT.ddl.alter(operation)[0])
    assert type(error).__name__ == "NotNullViolation"


async def test_columns_are_renamed(connection: PostgresConnection) -> None:
    """Checks and indexes get their new names, so that the old ones are free for another column."""
    old = (
        column("a", Enumeration(("x", "y"), Text(4)), index=True),
        column("b", Text(9), nullable=True, unique=True),
    )
    many = Index(("a", "b"), descending=frozenset("b"))
    await make(connection, model(*old, indexes=(many,)))
    await insert(connection, "(1, 'x', 'v')")
    new = (evolve(old[0], name="p", column="p"), evolve(old[1], name="q", column="q"))
    added = (evolve(old[0], default="x"), old[1])
    made = model(*new, *added, indexes=(Index(("p", "q"), descending=frozenset("q")), many))
    steps: list[Step] = [RenameColumn("a", new[0]), RenameColumn("b", new[1])]
    steps += [AddColumn(field) for field in added]
    steps += [
        AddIndex(index, "tightening")
        for index in made.all_indexes
        if {"a", "b"}.intersection(index.columns)
    ]
    await alter(connection, made, *steps)
    assert await assert_as_new(connection, made) == [(1, "x", "v", "x", None)]


async def test_columns_are_dropped(connection: PostgresConnection) -> None:
    """With their indexes and checks."""
    fields = (column("a", Text(3), index=True), column("b", Enumeration((1, 2), Integer())))
    await make(connection, model(*fields))
    before = await table_of(connection)
    steps = [DropIndex(before.indexes[0].name)]
    drops = [DropColumn(before.by_name[name]) for name in ("a", "b")]
    await alter(connection, model(), *steps, *drops)
    await assert_as_new(connection, model())


@pytest.mark.parametrize("nullable", [False, True])
async def test_null_is_let_in_or_kept_out(connection: PostgresConnection, nullable: bool) -> None:
    """Indexes are made again, with NULL where ORDER BY asks for it."""
    old = column("a", Integer(), nullable=nullable, index=True)
    await make(connection, model(old))
    await insert(connection, "(1, 5)")
    new = evolve(old, nullable=not nullable)
    await alter(connection, model(new), ChangeNullable(new, "tightening"))
    texts = "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'things'::regclass"
    indexes = [row[0] for row in await connection.fetch(texts, ())]
    assert any("NULLS FIRST" in text for text in indexes) != nullable
    assert await assert_as_new(connection, model(new)) == [(1, 5)]


async def test_primary_keys_change(connection: PostgresConnection) -> None:
    """From one column to several and back, whatever the constraint is called."""
    one = (Field("a", Integer(), "a", primary_key=True), column("b", Text(5)))
    two = (one[0], evolve(one[1], primary_key=True))
    first, second = Model("Thing", "things", one), Model("Thing", "things", two)
    await make(connection, first)
    await connection.execute('ALTER TABLE things RENAME CONSTRAINT things_pkey TO "it\'s"', ())
    await insert(connection, "(1, 'x')")
    await alter(connection, second, ChangePrimaryKey(("a",)))
    assert await assert_as_new(connection, second) == [(1, "x")]
    third = Model("Thing", "things", (evolve(one[0], primary_key=False, nullable=True), two[1]))
    await alter(
        connection, third, ChangeNullable(third.fields[0], "additive"), ChangePrimaryKey(("a", "b"))
    )
    await assert_as_new(connection, third)


async def test_indexes_checks_keys_and_comments(connection: PostgresConnection) -> None:
    """They come and go by themselves."""
    await make(connection, model(table="others"))
    bare = model(column("a", Integer()), column("b", Text(9), nullable=True))
    await make(connection, bare)
    await connection.execute("INSERT INTO others VALUES (5)", ())
    await insert(connection, "(1, 5, 'v')")
    indexes = (
        Index(("a", "b"), descending=frozenset("a")),
        Index(("b",), unique=True, where={"a": {"$gt": 3}}),
        Index(("b",), name="named"),
    )
    checks = (Check("rule", {"a": {"$gt": 0}}),)
    fields = (bare.fields[1], evolve(bare.fields[2], comment="about 'b' \\"))
    made = model(*fields, indexes=indexes, checks=checks)
    key = ForeignKey(("a",), Reference("others", ("id",), "cascade"))
    steps: list[Step] = [AddIndex(index, "additive") for index in indexes]
    steps += [AddCheck(checks[0]), AddForeignKey(key), ChangeComment(fields[1])]
    await alter(connection, made, *steps, keys=(key,))
    assert await assert_as_new(connection, made, key) == [(1, 5, "v")]
    table = await table_of(connection)
    back: list[Step] = [DropIndex(index.name) for index in table.indexes]
    back += [DropCheck("rule"), ChangeComment(bare.fields[2])]
    back += [DropForeignKey(table.foreign_keys[0].name, ("a",))]
    await alter(connection, bare, *back)
    await assert_as_new(connection, bare)


async def test_unique_constraints_come_and_go(connection: PostgresConnection) -> None:
    """What makes a field unique is a constraint, as in a new table."""
    plain, unique = model(column("a", Integer())), model(column("a", Integer(), unique=True))
    await make(connection, plain)
    await alter(connection, unique, AddIndex(Index(("a",), unique=True), "tightening"))
    [index] = (await table_of(connection)).indexes
    assert index.constraint
    await assert_as_new(connection, unique)
    [index] = (await table_of(connection)).indexes
    await alter(connection, plain, DropIndex(index.name, index.constraint))
    await assert_as_new(connection, plain)


async def test_an_index_of_the_name_is_an_error(connection: PostgresConnection) -> None:
    """Whatever has the name that an index gets is not taken for it."""
    made = model(column("a", Integer(), index=True))
    await make(connection, model(column("a", Integer())))
    [index] = made.all_indexes
    name = DIALECT.ddl.index_name(made, index)
    await connection.execute(f'CREATE TABLE "{name}" (x int)', ())
    operation = AlterTable(made, await table_of(connection), (AddIndex(index, "additive"),))
    with pytest.raises(Exception, match="already exists"):
        await connection.execute(DIALECT.ddl.alter(operation)[0], ())
