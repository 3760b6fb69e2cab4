"""Tables are changed to what a new table would be, with their rows."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from attrs import evolve

from dataflow_core.contract import ConnectOptions, ErrorSituation
from dataflow_core.errors import DataFlowError, SchemaChangeRefused
from dataflow_core.operations import (
    AddForeignKey,
    AlterTable,
    ChangeType,
    DropCheck,
    DropColumn,
    DropIndex,
    Step,
)
from dataflow_core.schema import MISSING, Field, ForeignKey, Model, Reference
from dataflow_core.schema.tables import Table
from dataflow_core.types import (
    Boolean,
    Decimal,
    Enumeration,
    Float,
    Integer,
    Text,
    Timestamp,
    Uuid,
)
from tests.sqlite.changes import (
    BEFORE,
    CHANGES,
    PARENT_KEY,
    ROWS,
    change_type,
    index_name,
    with_field,
    without,
)
from tests.sqlite.schemas import PARENT, SQLITE, make, read, run
from tests.sqlite.support import key, read_url


@pytest.fixture
async def connection() -> AsyncIterator[Any]:
    """A database in memory."""
    driver = SQLITE.open(read_url(":memory:"), ConnectOptions())
    yield await driver.connect(driver.lanes[0])
    await driver.close()


async def fill(connection: Any, model: Model = BEFORE) -> Table:
    """The table of the model with rows, a counter that is ahead, and what others made beside it."""
    await make(connection, PARENT)
    await make(connection, model, PARENT_KEY)
    await run(
        connection,
        "INSERT INTO parents VALUES (1), (2)",
        "CREATE TABLE log (text)",
        "CREATE TABLE children (thing INTEGER REFERENCES things (id) ON DELETE CASCADE)",
        "CREATE VIEW names AS SELECT name FROM things",
        "CREATE TRIGGER written AFTER UPDATE OF name ON things"
        " BEGIN INSERT INTO log VALUES (new.name || old.amount); END",
        'CREATE INDEX theirs ON things (lower(name), "amount")',
    )
    for row in ROWS:
        await connection.execute(
            "INSERT INTO things (name, amount, day, kind, price, parent_id)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )
    await run(
        connection,
        "INSERT INTO things (name) VALUES ('gone')",
        "DELETE FROM things WHERE name = 'gone'",
        "INSERT INTO children VALUES (1), (3)",
    )
    return await read(connection, model.table)


async def change(
    connection: Any, model: Model, table: Table, steps: Sequence[Step], *keys: ForeignKey
) -> Table:
    """Change the table as the core does."""
    statements = SQLITE.ddl.alter(AlterTable(model, table, tuple(steps), keys))
    await run(connection, *SQLITE.ddl.before_change)
    await connection.begin()
    try:
        await run(connection, *statements)
    except BaseException:
        await connection.rollback()
        raise
    else:
        await connection.commit()
    finally:
        await run(connection, *SQLITE.ddl.after_change)
    return await read(connection, table.name)


def shape(table: Table) -> Any:
    """What a table is, whatever the order of its columns and indexes."""
    return (
        {item.name: item for item in table.columns},
        table.primary_key,
        {item.name: item for item in table.indexes if item.name != "theirs"},
        {repr(item) for item in table.foreign_keys},
        {item.name: item for item in table.checks},
        table.notes,
    )


@pytest.mark.parametrize("name", CHANGES)
async def test_a_changed_table_is_that_of_a_new_one(connection: Any, name: str) -> None:
    """After any change the table is what a new table of the model is, and keeps what it had."""
    before = await fill(connection)
    model, steps, keys = CHANGES[name](before)
    after = await change(connection, model, before, steps, *keys)
    await run(connection, "CREATE TABLE kept AS SELECT * FROM things")
    other = SQLITE.open(read_url(":memory:"), ConnectOptions())
    fresh = await other.connect(other.lanes[0])
    await make(fresh, PARENT)
    assert shape(after) == shape(await make(fresh, model, *keys))
    await other.close()
    # What others made and what is kept beside the rows.
    assert after.triggers == ("written",)
    assert "theirs" in {index.name for index in after.indexes}
    assert await connection.fetch("SELECT id, name FROM things ORDER BY id", ()) == [
        (1, "n1"), (2, "n2"), (3, "007"),
    ]  # fmt: skip
    assert await connection.fetch("SELECT name FROM names ORDER BY name", ()) == [
        ("007",), ("n1",), ("n2",),
    ]  # fmt: skip
    assert await connection.fetch("SELECT count(*) FROM children", ()) == [(2,)]
    if model.primary_key[0].generated == "database":
        await run(connection, "INSERT INTO things (name) VALUES ('new')")
        assert await connection.fetch("SELECT id FROM things WHERE name = 'new'", ()) == [(5,)]
    await run(connection, "UPDATE things SET name = 'N1' WHERE name = 'n1'")
    assert len(await connection.fetch("SELECT text FROM log", ())) == 1
    await run(connection, "DELETE FROM things WHERE id = 1")
    assert await connection.fetch("SELECT thing FROM children", ()) == [(3,)]


VALUES: tuple[tuple[str, Any, list[Any]], ...] = (
    ("amount", Integer(), [1, None, 7]),
    ("amount", Decimal(20, 3), [decimal.Decimal("1.000"), None, decimal.Decimal("7.000")]),
    ("amount", Float(), [1.0, None, 7.0]),
    ("amount", Text(), ["1", None, "7"]),
    ("price", Decimal(30, 5), [decimal.Decimal("1.5"), None, decimal.Decimal("0.01")]),
    ("price", Text(), ["1.50", None, "0.01"]),
    ("name", Text(), ["n1", "n2", "007"]),
    (
        "day",
        Timestamp(),
        [dt.datetime(2024, 2, 29, tzinfo=dt.UTC), None, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)],
    ),
    ("day", Text(), ["2024-02-29", None, "2024-01-01"]),
    ("kind", Text(1), ["a", None, "b"]),
)


@pytest.mark.parametrize(("name", "kind", "wanted"), VALUES)
async def test_values_are_kept(connection: Any, name: str, kind: Any, wanted: list[Any]) -> None:
    """A change of a type changes no value."""
    before = await fill(connection)
    model = evolve(with_field(name, type=kind, check=None, default=MISSING), checks=())
    steps = (
        DropCheck("short"),
        DropCheck("things_price_check"),
        ChangeType(model.by_name[name], before.by_name[name], "lossy"),
    )
    model = with_field("price", model, check=None)
    await change(connection, model, before, steps, PARENT_KEY)
    decode = SQLITE.compiler.codec(kind).decode
    rows = await connection.fetch(f"SELECT {name} FROM things ORDER BY id", ())
    values = [value if value is None or not decode else decode(value) for (value,) in rows]
    assert values == wanted


REFUSED: tuple[tuple[str, Any], ...] = (
    ("name", Text(2)),
    ("price", Decimal(10, 1)),
    ("price", Decimal(2, 2)),
    ("kind", Enumeration(("a",))),
)


@pytest.mark.parametrize(("name", "kind"), REFUSED)
async def test_rows_that_do_not_fit(connection: Any, name: str, kind: Any) -> None:
    """A change that a row does not fit fails and changes nothing."""
    before = await fill(connection)
    model, steps, keys = change_type(before, kind, name)
    rows = await connection.fetch("SELECT * FROM things", ())
    with pytest.raises(Exception, match=r".") as caught:
        await change(connection, model, before, steps, *keys)
    error = SQLITE.translate_error(caught.value, ErrorSituation(model=model, writing=True))
    assert isinstance(error, DataFlowError)
    assert name in str(error) or "stored value" in str(error)
    assert await read(connection, "things") == before
    assert await connection.fetch("SELECT * FROM things", ()) == rows


SENSELESS: tuple[tuple[str, Any], ...] = (
    ("name", Integer()),
    ("amount", Boolean()),
    ("day", Uuid()),
    ("price", Integer()),
)


@pytest.mark.parametrize(("name", "kind"), SENSELESS)
async def test_changes_without_sense(connection: Any, name: str, kind: Any) -> None:
    """Types that have nothing to do with each other are refused, with the names of both."""
    before = await fill(connection)
    model, steps, keys = change_type(before, kind, name)
    with pytest.raises(SchemaChangeRefused, match=f"{before.by_name[name].type.name}.*{kind.name}"):  # type: ignore[union-attr]
        await change(connection, model, before, steps, *keys)


async def test_nothing_that_refers_to_the_table_is_lost(connection: Any) -> None:
    """Where foreign keys are enforced, a table that others refer to is not made anew."""
    before = await fill(connection)
    model, steps, keys = change_type(before, Text(), "amount")
    statements = SQLITE.ddl.alter(AlterTable(model, before, steps, keys))
    await connection.begin()
    with pytest.raises(Exception, match=r".") as caught:
        await run(connection, *statements)
    assert isinstance(caught.value.__cause__, SchemaChangeRefused)
    await connection.rollback()
    assert await connection.fetch("SELECT count(*) FROM children", ()) == [(2,)]


async def test_a_dropped_column_that_a_trigger_reads(connection: Any) -> None:
    """A column that a trigger needs is not dropped."""
    before = await fill(connection)
    model = without("amount", indexes=())
    steps = (
        DropIndex(index_name(BEFORE, BEFORE.indexes[0])),
        DropColumn(before.by_name["amount"]),
    )
    await run(connection, "DROP INDEX theirs")
    before = await read(connection, "things")
    with pytest.raises(Exception, match="trigger"):
        await change(connection, model, before, steps, PARENT_KEY)
    assert await read(connection, "things") == before


async def test_references_to_nothing(connection: Any) -> None:
    """A reference that rows do not keep is refused, though nobody looked while it was made."""
    before = await fill(connection)
    key_of_amount = ForeignKey(("amount",), Reference("parents", ("id",)))
    with pytest.raises(Exception, match=r".") as caught:
        await change(
            connection, BEFORE, before, (AddForeignKey(key_of_amount),), PARENT_KEY, key_of_amount
        )
    assert isinstance(caught.value.__cause__, SchemaChangeRefused)
    assert await read(connection, "things") == before


async def test_rows_keep_their_numbers(connection: Any) -> None:
    """A table without a counted key keeps the numbers of its rows."""
    model = Model("Note", "notes", (Field("id", Text(), "id", primary_key=True),))
    before = await make(connection, model)
    await run(connection, "INSERT INTO notes (rowid, id) VALUES (7, 'a'), (9, 'b')")
    longer = evolve(model, fields=(evolve(model.fields[0], type=Text(9)),))
    step = ChangeType(longer.fields[0], before.by_name["id"], "lossy")
    await change(connection, longer, before, (step,))
    assert await connection.fetch("SELECT rowid, id FROM notes", ()) == [(7, "a"), (9, "b")]


async def test_unique_constraints_of_older_tables(connection: Any) -> None:
    """A unique constraint inside a table can be dropped."""
    await run(
        connection,
        "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, b INT UNIQUE,"
        " UNIQUE (a))",
    )
    before = await read(connection, "notes")
    model = Model("Note", "notes", (key(),))
    names = [index.name for index in before.indexes if index.columns == ("a",)]
    after = await change(connection, model, before, (DropIndex(names[0], constraint=True),))
    assert [index.columns for index in after.indexes] == [("b",)]
