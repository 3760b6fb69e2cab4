from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.filters import Bindings
from dataflow_core.operations import (
    Count,
    Create,
    CreateMany,
    Delete,
    DeleteMany,
    Find,
    Operation,
    Update,
    UpdateMany,
    UpdateRows,
    Upsert,
)
from dataflow_core.order import parse_order
from dataflow_core.schema import Field
from dataflow_core.schema.declare import declare_model
from dataflow_core.types import Integer
from dataflow_core.updates.parse import parse_update
from tests.core.compile.toy import ITEM, TOY, assigned, predicate, statement
from tests.core.language import NOW

ID, NAME, SIZE, PRICE, SOLD = ITEM.fields
FITS, _ = predicate({"size": 1})
ALL = '"id", "name", "size", "price", "sold"'


def rows(operation: Operation, count: int) -> str:
    """The text that writes so many rows."""
    compiled = TOY.compile(operation)
    assert compiled.rows is not None
    return compiled.rows.sql(count)


def test_find() -> None:
    """Columns, filter, order with nulls first, cut."""
    bindings = Bindings()
    limit, offset = bindings.slot(5, Integer()), bindings.slot(9, Integer())
    find = Find(ITEM, (ID, NAME), order=parse_order("-size", ITEM), limit=limit, offset=offset)
    assert statement(find).sql == (
        'SELECT "id", "name" FROM "items" ORDER BY "size" DESC NULLS LAST, "id" ASC'
        " LIMIT $1 OFFSET $2"
    )
    assert (
        statement(Find(ITEM, (SIZE,), FITS, distinct=True)).sql
    ) == 'SELECT DISTINCT "size" FROM "items" WHERE "size" = $1'


def test_count() -> None:
    """The number of rows, or of distinct combinations."""
    assert statement(Count(ITEM, FITS)).sql == 'SELECT COUNT(*) FROM "items" WHERE "size" = $1'
    assert (
        statement(Count(ITEM, distinct=(SIZE,))).sql
    ) == 'SELECT COUNT(*) FROM (SELECT DISTINCT "size" FROM "items") AS "t"'


def test_create() -> None:
    """One or several rows, with what comes back; a row without any value too."""
    assert f'INSERT INTO "items" ("name") VALUES ($1) RETURNING {ALL}' == (
        rows(Create(ITEM, (NAME,)), 1)
    )
    many = CreateMany(ITEM, (NAME, SIZE), conflict="skip", returning_keys=True)
    assert rows(many, 2) == (
        'INSERT INTO "items" ("name", "size") VALUES ($1, $2), ($3, $4)'
        ' ON CONFLICT DO NOTHING RETURNING "id"'
    )
    assert f'INSERT INTO "items" DEFAULT VALUES RETURNING {ALL}' == rows(Create(ITEM, ()), 1)
    assert rows(CreateMany(ITEM, ()), 1) == 'INSERT INTO "items" DEFAULT VALUES'


def test_upsert() -> None:
    """What is stored is found first, so that inserted and updated are told apart."""
    upsert = Upsert(ITEM, (ID, NAME), (ID,), (NAME,), (ID,))
    assert rows(upsert, 1) == (
        'INSERT INTO "items" ("id", "name") VALUES ($1, $2)'
        ' ON CONFLICT ("id") DO UPDATE SET "name" = excluded."name" RETURNING "id"'
    )
    compiled = TOY.compile(Upsert(ITEM, (ID, NAME), (ID, NAME), ()))
    assert compiled.rows is not None and compiled.existing is not None
    assert compiled.rows.sql(1).endswith(
        ' ON CONFLICT ("id", "name") DO UPDATE SET "id" = excluded."id"'
    )
    assert compiled.existing.sql(2) == (
        'SELECT "id", "name" FROM "items" WHERE ("id", "name") IN (VALUES ($1, $2), ($3, $4))'
    )


def test_update_and_delete_touch_at_most_two_rows() -> None:
    """Of a filter that fixes no unique key at most two rows: enough to refuse more than one."""
    update = parse_update({"name": "x"}, ITEM, Bindings(), now=NOW)
    changes = tuple(update.assignments)
    narrowed = ' WHERE "id" IN (SELECT "id" FROM "items" WHERE "size" = $1 LIMIT 2) AND "size" = $1'
    second = narrowed.replace("$1", "$2")
    assert f'UPDATE "items" SET "name" = $1{second} RETURNING {ALL}' == (
        statement(Update(ITEM, FITS, changes)).sql
    )
    assert f'DELETE FROM "items"{narrowed} RETURNING {ALL}' == statement(Delete(ITEM, FITS)).sql
    assert f'DELETE FROM "items" WHERE "size" = $1 RETURNING {ALL}' == (
        statement(Delete(ITEM, FITS, unique=True)).sql
    )
    assert statement(DeleteMany(ITEM, predicate({})[0])).sql == 'DELETE FROM "items"'
    assert (
        statement(UpdateMany(ITEM, FITS, changes)).sql
    ) == 'UPDATE "items" SET "name" = $1 WHERE "size" = $2'


def test_rows_are_updated_by_their_keys_many_at_once() -> None:
    """Each row is changed to values of its own, however many there are, by one statement."""
    assert rows(UpdateRows(ITEM, (ID,), (NAME,)), 2) == (
        'UPDATE "items" SET "name" = "__new"."__value1" FROM (WITH "__new"'
        ' ("__value0", "__value1") AS (VALUES ($1, $2), ($3, $4)) SELECT * FROM "__new")'
        ' AS "__new" WHERE "items"."id" = "__new"."__value0"'
    )


@pytest.mark.parametrize(
    ("document", "sql"),
    [
        ({"size": None}, '"size" = NULL'),
        ({"$inc": {"size": 1}}, '"size" = CASE WHEN "size" IS NULL THEN $1 ELSE ("size" + $1) END'),
        ({"$mul": {"size": 2}}, '"size" = CASE WHEN "size" IS NULL THEN 0 ELSE ("size" * $1) END'),
        (
            {"$max": {"name": "x"}},
            '"name" = CASE WHEN "name" IS NULL OR "name" < $1 THEN $1 ELSE "name" END',
        ),
        (
            {"$min": {"size": 1}},
            '"size" = CASE WHEN "size" IS NULL OR "size" > $1 THEN $1 ELSE "size" END',
        ),
        ({"$bit": {"size": {"or": 1}}}, '"size" = (COALESCE("size", 0) | $1)'),
        ({"size": {"$add": ["$size", 1]}}, '"size" = ("size" + $1)'),
    ],
)
def test_the_text_of_an_update(document: Any, sql: str) -> None:
    """NULL is what MongoDB makes of a field that is not there."""
    assert sql == assigned(document)


def test_rows_per_statement_keep_to_the_limit_of_parameters() -> None:
    """So many rows that their values fit into one statement, at least one."""
    wide = tuple(Field(f"f{number}", Integer(), f"f{number}") for number in range(500))
    found = [TOY.compile(CreateMany(ITEM, columns)).rows for columns in ((NAME,), wide)]
    assert [item.most_rows for item in found if item is not None] == [500, 64]


def test_the_same_number_of_rows_has_the_same_text() -> None:
    """Texts are kept by number of rows, and not for every number there may be."""
    compiled = TOY.compile(CreateMany(ITEM, (NAME,))).rows
    assert compiled is not None
    assert compiled.sql(3) is compiled.sql(3)
    for count in range(1, 300):
        compiled.sql(count)
    assert compiled.sql(500) is compiled.sql(500)
    assert len(compiled.texts) <= 65


def test_names_are_always_quoted() -> None:
    """Also hostile ones, in tables and columns."""
    name = 'a"; DROP TABLE b; --'
    cls = type("X", (), {"__annotations__": {name: int}, "__tablename__": 't"t'})
    model = declare_model(cls)
    sql = statement(Find(model, (model.field(name),), predicate({name: 1}, model)[0])).sql
    assert sql == 'SELECT "a""; DROP TABLE b; --" FROM "t""t" WHERE "a""; DROP TABLE b; --" = $1'
