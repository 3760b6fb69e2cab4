"""A changed table is what a new one of the model would be, and keeps its rows."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import pytest
from attrs import evolve
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dataflow_core.errors import InvalidModel, NotNullViolation, SchemaChangeRefused
from dataflow_core.operations import AlterTable
from dataflow_core.schema import MISSING, Check, Field, ForeignKey, Index, Model, Reference
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    Float,
    Integer,
    Json,
    Text,
    Timestamp,
    Uuid,
)
from dataflow_mysql.protocol.failures import ServerError
from tests.mysql.schema import Database
from tests.mysql.support import column, model, translated
from tests.mysql.tables import TARGET, models, steps_between

RED = Enumeration(("red", "green"), Text())
FK = ForeignKey(("to",), Reference("targets", ("id",)))


def _text_key(action: Any) -> ForeignKey:
    return ForeignKey(("to",), Reference("targets", ("code",), action))


CHANGES: dict[str, tuple[Any, Any]] = {
    "add a column": ([], [column("a", Text(8), nullable=True, comment="it's")]),
    "add one with a default": ([], [column("a", Integer(), default=7)]),
    "drop a column": ([column("a", Boolean(), nullable=True), column("b", RED, nullable=True)], []),
    "drop one with an index": (
        [column("a", Integer(), nullable=True, index=True), column("b", Text(9), nullable=True)],
        [column("b", Text(9), nullable=True)],
    ),
    "rename": (
        [column("a", Boolean(), nullable=True, index=True, comment="x")],
        [Field("b", Boolean(), "b", nullable=True, index=True, comment="x", renamed_from="a")],
    ),
    "rename and change": (
        [column("a", Text(8), nullable=True)],
        [Field("b", Text(20), "b", nullable=True, renamed_from="a", default="z")],
    ),
    "swap": (
        [column("a", Text(8), nullable=True), column("b", Integer(), nullable=True)],
        [
            Field("b", Text(8), "b", nullable=True, renamed_from="a"),
            Field("a", Integer(), "a", nullable=True, renamed_from="b"),
        ],
    ),
    "wider": ([column("a", Integer(32), nullable=True)], [column("a", Integer(), nullable=True)]),
    "narrower": (
        [column("a", Integer(), nullable=True)], [column("a", Integer(32), nullable=True)]
    ),
    "int to Decimal": (
        [column("a", Integer(), nullable=True)], [column("a", Decimal(20, 2), nullable=True)]
    ),
    "more digits": (
        [column("a", Decimal(8, 2), nullable=True)], [column("a", Decimal(12, 4), nullable=True)]
    ),
    "longer": ([column("a", Text(8), nullable=True)], [column("a", Text(), nullable=True)]),
    "bounded": ([column("a", Text(), nullable=True)], [column("a", Text(2000), nullable=True)]),
    "enum": ([column("a", Text(8), nullable=True)], [column("a", RED, nullable=True)]),
    "more values": (
        [column("a", RED, nullable=True)],
        [column("a", Enumeration(("red", "green", "größer 😀"), Text()), nullable=True)],
    ),
    "date to instant": (
        [column("a", Date(), nullable=True)], [column("a", Timestamp(), nullable=True)]
    ),
    "int to text": ([column("a", Integer(), nullable=True)], [column("a", Text(), nullable=True)]),
    "nullable": ([column("a", Text(8), default="x")], [column("a", Text(8), nullable=True)]),
    "not nullable": ([column("a", Text(8), default="x", nullable=True)], [column("a", Text(8))]),
    "default": ([column("a", Binary(), default=b"a")], [column("a", Binary(), default=b"\xff'")]),
    "comment": (
        [column("a", Integer(), nullable=True, comment="a\\b")],
        [column("a", Integer(), nullable=True, comment="it's 😀 [dataflow: bool]")],
    ),
    "index": (
        [column("a", Text(), nullable=True)], [column("a", Text(), nullable=True, index=True)]
    ),
    "unique": (
        [column("a", Text(), nullable=True)], [column("a", Text(), nullable=True, unique=True)]
    ),
    "not unique": (
        [column("a", Text(), nullable=True, unique=True)], [column("a", Text(), nullable=True)]
    ),
}  # fmt: skip


def changed(schema: Database, before: Model, after: Model, *keys: Any) -> None:
    """Change a table with a row, and compare it with a new one."""
    old_keys, new_keys = keys or ((), ())
    schema.run("DROP TABLE IF EXISTS things")
    schema.make(TARGET)
    schema.make(before, *old_keys)
    rows = int(_takes_a_row(before, after))
    if rows:
        schema.run("INSERT INTO things () VALUES ()")
    (table,) = schema.read("things")
    steps = steps_between(table, after, new_keys)
    assert schema.alter(table, after, steps, *new_keys) <= 5
    (changed_table,) = schema.read("things")
    assert schema.run("SELECT COUNT(*) FROM things")[0][0] == rows
    schema.make(after, *new_keys)
    (made,) = schema.read("things")
    assert _sorted(changed_table) == _sorted(made)


def _takes_a_row(before: Model, after: Model) -> bool:
    """Whether a row of defaults fits both tables."""

    def made(item: Field) -> bool:
        constant = item.default not in (MISSING, None) and not callable(item.default)
        return constant or item.generated == "database"

    old = {item.column: item for item in before.fields}
    return all(made(item) or item.nullable for item in before.fields) and all(
        item.nullable or made(old.get(str(item.renamed_from or item.column), item))
        for item in after.fields
    )


def _sorted(table: Any) -> Any:
    """Without the orders that a change does not keep: that of columns, indexes and checks."""
    by_name = {
        name: sorted(getattr(table, name), key=lambda item: str(item.name))
        for name in ("columns", "indexes", "foreign_keys", "checks", "type_checks")
    }
    return evolve(table, **{name: tuple(items) for name, items in by_name.items()})


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_of_a_field(schema: Database, name: str) -> None:
    """What a change of fields gives is what a new table would be."""
    before, after = CHANGES[name]
    changed(schema, model(*before), model(*after))


REFERENCE = column("to", Integer(), nullable=True)
CODE = column("to", Text(20), nullable=True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((REFERENCE,), (REFERENCE, FK)),
        ((REFERENCE, FK), (REFERENCE,)),
        ((REFERENCE, FK), ()),
        ((REFERENCE, FK), (evolve(REFERENCE, index=True), FK)),
        ((evolve(REFERENCE, index=True), FK), (REFERENCE, FK)),
        ((evolve(REFERENCE, index=True), FK), (evolve(REFERENCE, index=True),)),
        ((CODE,), (CODE, _text_key("set_null"))),
        ((CODE, _text_key("set_null")), (CODE,)),
        ((CODE, _text_key("set_null")), (CODE, _text_key("cascade"))),
        ((CODE, _text_key("cascade")), (CODE, _text_key("set_null"))),
    ],
)
def test_references(schema: Database, before: Any, after: Any) -> None:
    """References come and go with the indexes that the server makes for them."""

    def split(parts: Any) -> tuple[Model, tuple[ForeignKey, ...]]:
        fields = [item for item in parts if isinstance(item, Field)]
        return model(*fields), tuple(item for item in parts if isinstance(item, ForeignKey))

    (old, old_keys), (new, new_keys) = split(before), split(after)
    changed(schema, old, new, old_keys, new_keys)


def test_a_renamed_reference(schema: Database) -> None:
    """Renaming the column of a reference renames what is called after it."""
    new = Field("other", Integer(), "other", nullable=True, renamed_from="to")
    key = ForeignKey(("other",), FK.reference)
    changed(schema, model(REFERENCE), model(new), (FK,), (key,))


def test_checks_and_keys(schema: Database) -> None:
    """Checks follow renamed columns; keys, indexes and checks are exchanged in one statement."""
    a, b = column("a", Integer(), default=1), column("b", Text(), default="x")
    check = Check("limit", {"a": {"$gt": 0}})
    renamed = Field("c", Integer(), "c", default=1, renamed_from="a")
    changed(
        schema,
        model(a, b, checks=(check,), indexes=(Index(("a", "b")),)),
        model(
            renamed, b, checks=(Check("limit", {"c": {"$gt": 0}}),), indexes=(Index(("c", "b")),)
        ),
    )
    changed(
        schema,
        model(a, b, checks=(check, Check("gone", {"b": {"$ne": ""}}))),
        model(a, b, checks=(Check("new", {"a": {"$lt": 9}}),), indexes=(Index(("b", "a"), True),)),
    )
    keyless = Model("Thing", "things", (a, b))
    keyed = Model("Thing", "things", (evolve(a, primary_key=True), evolve(b, primary_key=True)))
    changed(schema, keyless, keyed)
    changed(schema, keyed, keyless)


@given(st.data())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_random_changes(schema: Database, data: st.DataObject) -> None:
    """From any model to any other, where the types of common fields are kept."""
    old, old_keys = data.draw(models())
    new, new_keys = data.draw(models())
    kinds = {item.column: item.type for item in old.fields}
    fields = [
        evolve(
            item,
            type=kinds[item.column],
            default=item.default
            if item.type == kinds[item.column]
            else old.by_name[item.name].default,
        )
        if item.column in kinds and item.name.startswith(("f", "odd", "größe"))
        else item
        for item in new.fields
    ]
    assume(all(item.type.ordered or not (item.unique or item.index) for item in fields))
    used = {name for index in new.indexes for name in index.columns}
    assume(all(item.type.ordered for item in fields if item.name in used))
    new = Model(
        "Thing",
        "things",
        tuple(fields),
        new.indexes,
        (),
        tuple(
            check
            for check in new.checks
            if all(
                isinstance(Model("T", "t", tuple(fields)).by_name[name].type, Integer)
                for name in check.filter
            )
        ),
    )
    try:
        for made, keys in ((old, old_keys), (new, new_keys)):
            schema.run("DROP TABLE IF EXISTS things")
            schema.make(TARGET)
            schema.make(made, *keys)
            schema.run("DROP TABLE things")
    except InvalidModel:
        assume(False)
    try:
        changed(schema, old, new, old_keys, new_keys)
    except SchemaChangeRefused:
        assume(False)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Text(), Integer()),
        (Decimal(8, 4), Decimal(8, 2)),
        (Float(), Text()),
        (Boolean(), Text()),
        (Timestamp(), Date()),
        (Integer(), Uuid()),
        (Json(), Text()),
    ],
)
def test_conversions_that_are_refused(schema: Database, before: Any, after: Any) -> None:
    """A change that would not keep the values is refused, and names both types."""
    schema.make(model(column("a", before, nullable=True)))
    (table,) = schema.read("things")
    new = model(column("a", after, nullable=True))
    with pytest.raises(SchemaChangeRefused, match=after.name):
        schema.alter(table, new, steps_between(table, new, ()))
    assert schema.read("things") == [table]


@pytest.mark.parametrize(
    ("before", "stored", "after", "read"),
    [
        (Integer(), "5", Decimal(8, 2), "5.00"),
        (Integer(), "-7", Text(), "-7"),
        (Date(), "'2024-02-29'", Timestamp(), "2024-02-29 00:00:00+00:00"),
        (Text(4), "'abc '", Text(), "abc "),
        (Text(), "'red'", RED, "red"),
        (Decimal(8, 2), "1.50", Decimal(10, 4), "1.5000"),
        (Integer(), "2147483648", Integer(32), None),
        (Text(), "'abcde'", Text(4), None),
        (Text(), "'abc      '", Text(4), None),
        (Text(), "'blue'", RED, None),
        (Decimal(8, 2), "123456.50", Decimal(6, 2), None),
    ],
)
def test_values_are_kept_or_the_change_fails(
    schema: Database, before: Any, stored: str, after: Any, read: str | None
) -> None:
    """A value is the same in the new type; where one does not fit, nothing is changed."""
    schema.make(model(column("a", before, nullable=True)))
    schema.run(f"INSERT INTO things (a) VALUES ({stored})")
    (table,) = schema.read("things")
    new = model(column("a", after, nullable=True))
    steps = steps_between(table, new, ())
    if read is None:
        with pytest.raises(ServerError):
            schema.alter(table, new, steps)
        assert schema.read("things") == [table]
        return
    schema.alter(table, new, steps)
    assert str(schema.run("SELECT a FROM things")[0][0]) == read


def test_a_column_without_a_value_needs_an_empty_table(schema: Database) -> None:
    """The server would make up values for rows; the change fails, and nothing is changed."""
    new = model(column("a", Integer()))
    for row in (True, False):
        schema.make(model())
        if row:
            schema.run("INSERT INTO things () VALUES ()")
        (table,) = schema.read("things")
        steps = steps_between(table, new, ())
        if row:
            with pytest.raises(ServerError) as caught:
                schema.alter(table, new, steps)
            error = translated(caught.value, model=new, writing=True)
            assert isinstance(error, NotNullViolation)
            assert schema.read("things") == [table]
        else:
            schema.alter(table, new, steps)
            assert "a" in schema.read("things")[0].by_name


@pytest.mark.parametrize("keys", [(), (FK,)])
def test_no_row_comes_while_a_column_is_added(
    schema: Database, mysql_url: str, keys: tuple[ForeignKey, ...]
) -> None:
    """A row that somebody adds after the look whether the table is empty waits for the column."""
    schema.run("DROP TABLE IF EXISTS things")
    schema.make(TARGET)
    schema.make(model())
    (table,) = schema.read("things")
    new = model(column("to", Integer()))
    operation = AlterTable(new, table, tuple(steps_between(table, new, keys)), keys)
    other = Database(mysql_url)
    adding = threading.Thread(target=_add_row, args=(other,))
    try:
        for sql in schema.dialect.ddl.alter(operation):
            schema.run(sql)
            if sql.startswith("SELECT"):
                adding.start()
                adding.join(0.5)
                assert adding.is_alive()
        adding.join()
    finally:
        other.close()
    assert schema.run("SELECT COUNT(*) FROM things")[0][0] == 0
    assert "to" in schema.read("things")[0].by_name


def _add_row(database: Database) -> None:
    with suppress(ServerError):
        database.run("INSERT INTO things () VALUES ()")


def test_the_lock_is_given_to_one_connection(schema: Database, mysql_url: str) -> None:
    """Nobody else has the lock of a database until it is given back."""
    ddl = schema.dialect.ddl
    other = Database(mysql_url)
    assert ddl.lock is not None
    assert ddl.unlock is not None
    assert schema.run(ddl.lock)[0][0] == 1
    assert other.run(ddl.lock.replace("60", "0"))[0][0] == 0
    schema.run(ddl.unlock)
    assert other.run(ddl.lock)[0][0] == 1
    other.close()
