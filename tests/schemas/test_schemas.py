"""Schemas that nobody here wrote: discovered, registered, read and written as they are.

They are no part of this repository: ``DATAFLOW_SCHEMAS`` says where the run takes them from, as the
README beside this module tells.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from decimal import Decimal
from typing import Any

import attrs
import pytest

from dataflow_core import DataFlow
from dataflow_core.schema import Model
from tests.databases import of
from tests.schemas.plain import Plain, opened
from tests.schemas.sources import Source, chosen

ALL = 1_000_000
SAMPLE = 20

# A view that no session reads in which a group gives only what it is grouped by.
REFUSED = {("sakila", "mysql"): {"sales_by_store": "isn't in GROUP BY"}}


@attrs.define
class Loaded:
    """A schema in a database, through both: the plain driver and an instance."""

    source: Source
    database: str
    plain: Plain
    db: DataFlow

    async def count(self, table: str) -> int:
        """How many rows the plain driver counts."""
        ((number,),) = await self.plain.rows(f"SELECT COUNT(*) FROM {self.plain.quoted(table)}")
        return int(number)

    async def rows(self, model: Model) -> list[dict[str, Any]]:
        """The rows of a model's table, by the plain driver."""
        names = ", ".join(self.plain.quoted(field.column) for field in model.fields)
        rows = await self.plain.rows(f"SELECT {names} FROM {self.plain.quoted(model.table)}")
        fields = [field.name for field in model.fields]
        return [dict(zip(fields, row, strict=True)) for row in rows]

    async def definitions(self) -> list[Any]:
        """What tells whether the schema was changed."""
        return [await self.plain.rows(query) for query in self.plain.definitions]

    def models(self) -> list[Model]:
        """Every model that was registered."""
        return list(self.db._registry.models_of("primary"))


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(
            (source, name),
            marks=pytest.mark.databases(name),
            id=f"{source.name}-{name}",
        )
        for source in chosen()
        for name in source.registered
    ],
)
def filled(request: pytest.FixtureRequest) -> Iterator[tuple[Source, str, str]]:
    """A schema with rows in a database: the source, the database's name, its URL.

    Tests share it: what they write they write back.
    """
    source, name = request.param
    server = of(request.config).server(name)
    url = server.new_database()

    async def fill() -> None:
        plain = await opened(name, url)
        try:
            await source.fill(plain, name, url)
        finally:
            await plain.close()

    asyncio.run(fill())
    yield source, name, url
    server.drop_database(url)


@pytest.fixture
async def loaded(filled: tuple[Source, str, str]) -> AsyncIterator[Loaded]:
    """The schema through the plain driver and through an instance that changes no schema."""
    source, name, url = filled
    plain = await opened(name, url)
    try:
        async with DataFlow(url, existing_schema_mode=True) as db:
            yield Loaded(source, name, plain, db)
    finally:
        await plain.close()


def alike(given: Any, plain: Any) -> Any:
    """A value of the plain driver as the type in which it is given here."""
    if given is None or plain is None:
        return plain
    if isinstance(given, str) and isinstance(plain, int):
        return str(plain)
    if isinstance(plain, str) and isinstance(given, dt.datetime):
        plain = dt.datetime.fromisoformat(plain)
    if isinstance(plain, dt.datetime) and plain.tzinfo is None:
        return plain.replace(tzinfo=dt.UTC)
    if isinstance(plain, str) and isinstance(given, dt.date):
        return dt.date.fromisoformat(plain)
    if isinstance(given, bool):
        return bool(int(plain))
    if isinstance(given, Decimal):
        return Decimal(str(plain))
    if isinstance(given, list | dict) and isinstance(plain, str):
        return json.loads(plain)
    return plain


def in_order(rows: Iterable[dict[str, Any]]) -> Counter[str]:
    """Rows whose order does not count, with the types of their values."""
    return Counter(
        repr(
            [
                (name, value.normalize() if isinstance(value, Decimal) else value)
                for name, value in sorted(row.items())
            ]
        )
        for row in rows
    )


def agreed(given: list[dict[str, Any]], plain: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the plain driver, each value of the type of its field here."""
    types: dict[str, Any] = {}
    for row in given:
        types.update({name: value for name, value in row.items() if value is not None})
    return [{name: alike(types.get(name), value) for name, value in row.items()} for row in plain]


async def test_every_table_and_column_is_discovered(loaded: Loaded) -> None:
    """Discovery tells what the catalogue has: tables, views, columns, and which may be NULL."""
    tables = {name for (name,) in await loaded.plain.rows(loaded.plain.tables)}
    columns = {
        (table, column): bool(nullable)
        for table, column, nullable in await loaded.plain.rows(loaded.plain.columns)
    }
    refused = REFUSED.get((loaded.source.name, loaded.database), {})
    found = await loaded.db.adiscover_schema()
    assert set(found) == tables
    given = {
        (table, column["name"]): column["nullable"]
        for table, described in found.items()
        for column in described["columns"]
    }
    assert set(given) == {key for key in columns if key[0] not in refused}
    # Of a view the catalogue guesses it anew in each session.
    for key, nullable in given.items():
        assert found[key[0]]["kind"] == "view" or nullable == columns[key], key
    for table in refused:
        assert found[table]["notes"]


async def test_every_table_is_registered(loaded: Loaded) -> None:
    """Each table becomes a model, or is refused by name with the reason; no column is lost."""
    result = await loaded.db.aregister_schema_as_models()
    refused = REFUSED.get((loaded.source.name, loaded.database), {})
    assert set(result["errors"]) == set(refused)
    for table, reason in refused.items():
        assert reason in result["errors"][table]
    found = await loaded.db.adiscover_schema()
    assert result["success_count"] == len(found) - len(refused)
    # Newer versions of what makes the schema may have more.
    assert result["success_count"] >= loaded.source.registered[loaded.database]
    for model in loaded.models():
        left_out = {
            column["name"]
            for column in found[model.table]["columns"]
            if column["field_type"] is None
        }
        assert left_out == {c["name"] for c in found[model.table]["columns"]} - {
            field.column for field in model.fields
        }
        notes = " ".join(result["notes"].get(model.table, ()))
        assert all(f"{name} is left out" in notes for name in left_out)


async def test_counts_and_rows_are_those_of_the_plain_driver(loaded: Loaded) -> None:
    """Every model counts and lists what the plain driver reads, value by value."""
    await loaded.db.aregister_schema_as_models()
    seen = 0
    for model in loaded.models():
        handle = getattr(loaded.db.nodes, model.name)
        number = await loaded.count(model.table)
        assert (await handle.count())["count"] == number, model.table
        given = (await handle.list(limit=ALL))["records"]
        plain = agreed(given, await loaded.rows(model))
        assert in_order(given) == in_order(plain), model.table
        seen += number
    assert seen > 0


async def test_rows_are_read_by_their_keys(loaded: Loaded) -> None:
    """Each of a sample of rows is found by its key, of one column or several."""
    await loaded.db.aregister_schema_as_models()
    read = 0
    for model in loaded.models():
        if not model.primary_key:
            continue
        handle = getattr(loaded.db.nodes, model.name)
        for row in (await handle.list(limit=SAMPLE))["records"]:
            key = {field.name: row[field.name] for field in model.primary_key}
            found = await handle.read(**key)
            assert {name: found[name] for name in row} == row, (model.table, key)
            read += 1
    assert read > 0


async def test_a_row_is_made_changed_and_removed(loaded: Loaded) -> None:
    """What the nodes write, the plain driver reads; the other rows stay as they were."""
    await loaded.db.aregister_schema_as_models()
    written = loaded.source.written[loaded.database]
    (model,) = (one for one in loaded.models() if one.table == written.table)
    keys = [field.name for field in model.primary_key]
    handle = getattr(loaded.db.nodes, model.name)
    before = await loaded.rows(model)
    given = {**written.given, written.column: "a"}
    if not given.keys() & {*keys}:
        (only,) = keys
        given[only] = max(row[only] for row in before) + 1
    made = await handle.create(**given)
    key = {name: made[name] for name in keys}
    await handle.update(**key, fields={written.column: "b"})
    after = await loaded.rows(model)
    (row,) = (row for row in after if row not in before)
    assert row[written.column] == "b"
    assert in_order(row for row in after if row in before) == in_order(before)
    await handle.delete(**key)
    assert in_order(await loaded.rows(model)) == in_order(before)


async def test_nothing_of_the_schema_changes(loaded: Loaded) -> None:
    """Discovery, registration and reading leave the catalogue as it was."""
    before = await loaded.definitions()
    await loaded.db.adiscover_schema()
    await loaded.db.aregister_schema_as_models()
    for model in loaded.models():
        await getattr(loaded.db.nodes, model.name).list(limit=1)
    assert await loaded.definitions() == before


async def test_filters_find_what_is_listed(loaded: Loaded) -> None:
    """A value of a row, put into a filter, finds that row and all others that have the value.

    Text is compared as its column does it, so rows of other letters may be found beside them.
    """
    await loaded.db.aregister_schema_as_models()
    asked, wrong = 0, []
    for model in loaded.models():
        handle = getattr(loaded.db.nodes, model.name)
        rows = (await handle.list(limit=ALL))["records"]
        for field in model.fields:
            values = [row[field.name] for row in rows if row[field.name] is not None]
            if not values or isinstance(values[0], bytes):
                continue
            value = values[len(values) // 2]
            found = (await handle.count(filter={field.name: value}))["count"]
            there = values.count(value)
            asked += 1
            if found < there or (found != there and not isinstance(value, str)):
                wrong.append((model.table, field.name, value, found, there))
    assert asked > 0
    assert wrong == []


async def test_values_are_written_as_they_were_read(loaded: Loaded) -> None:
    """A row that is given its own values again keeps every one of them, for the plain driver too.

    Only what the database itself sets at each change of a row may differ: its last change.
    """
    await loaded.db.aregister_schema_as_models()
    written = 0
    for model in loaded.models():
        if model.read_only:
            continue
        handle = getattr(loaded.db.nodes, model.name)
        before = await loaded.rows(model)
        keys = {field.name for field in model.primary_key}
        for row in (await handle.list(limit=SAMPLE))["records"]:
            values = {
                field.name: row[field.name]
                for field in model.fields
                if field.name not in keys and field.generated != "computed"
            }
            if values:
                await handle.update(**{name: row[name] for name in keys}, fields=values)
                written += 1
        after = await loaded.rows(model)
        for row in (*before, *after):
            row.pop("last_update", None)
        assert in_order(after) == in_order(before), model.table
    assert written > 0
