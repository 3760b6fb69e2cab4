"""Indexes of some rows: the marker column, which nobody sees, and its names."""

from __future__ import annotations

from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import UniqueViolation
from dataflow_core.operations import CreateTable
from dataflow_core.schema import Field, Index, Model
from dataflow_core.types import Integer, Text, Timestamp
from dataflow_mysql.dialect import MariaDBDialect, MySQLDialect
from dataflow_mysql.indexes import column_sizes, marker_name
from tests.mysql.schema import Database

LONG = "x" * 60


def model(*indexes: Index, table: str = "things") -> Model:
    """A model with indexes over a text."""
    fields = (
        Field("id", Integer(), "id", primary_key=True, generated="database"),
        Field("name", Text(), "name"),
        Field("short", Text(20), "short"),
        Field("gone", Timestamp(), "gone", nullable=True),
    )
    return Model("Thing", table, fields, indexes=indexes)


def live(*columns: str, name: str | None = None) -> Index:
    """A unique index of the rows that are not gone."""
    return Index(columns, unique=True, name=name, where={"gone": None})


@pytest.mark.parametrize(
    ("dialect", "word"),
    [(MySQLDialect, "/*!80023 INVISIBLE */"), (MariaDBDialect, "INVISIBLE")],
)
def test_the_marker_is_null_in_all_other_rows(dialect: type[MySQLDialect], word: str) -> None:
    """The index ends with a computed column, which SELECT * leaves out where the server can."""
    made = model(live("short", name="own"))
    (text,) = dialect().ddl.compile(CreateTable(made, ()))
    assert (
        "`dataflow_where:own` TINYINT GENERATED ALWAYS AS (CASE WHEN `gone` IS NULL THEN 1 END)"
        f" VIRTUAL {word},\n  UNIQUE KEY `own` (`short`, `dataflow_where:own`)"
    ) in text


def test_the_marker_takes_room_in_the_index() -> None:
    """A text without a length has one character less where its index has a marker."""
    assert column_sizes(model(Index(("name",), unique=True)), ())["name"] == 768
    assert column_sizes(model(live("name")), ())["name"] == 767


@pytest.mark.parametrize("name", [None, "own", LONG])
@pytest.mark.parametrize("table", ["things", LONG])
def test_it_comes_back_as_an_index_of_some_rows(
    schema: Database, name: str | None, table: str
) -> None:
    """Introspection gives the declared columns and the condition, whatever the names."""
    made = model(live("short", name=name), Index(("short",), unique=True), table=table)
    schema.make(made)
    (read,) = schema.read(table)
    assert [column.name for column in read.columns] == ["id", "name", "short", "gone"]
    assert read.notes == ()
    assert sorted((index.columns, index.where is None) for index in read.indexes) == [
        (("short",), False),
        (("short",), True),
    ]
    [partial] = [index for index in read.indexes if index.where is not None]
    assert partial.where is not None
    assert partial.where.strip("()") == "`gone` is null"
    assert read.unique_keys == (("id",), ("short",))


def test_a_column_that_is_no_marker_is_told(schema: Database) -> None:
    """Only the computed column of an index by that name is hidden: all others are somebody's."""
    name = marker_name("own")
    schema.run(
        f"CREATE TABLE others (id INT PRIMARY KEY, a INT, `{name}` TINYINT GENERATED ALWAYS AS"
        f" (CASE WHEN a IS NULL THEN 1 END) VIRTUAL, UNIQUE KEY another (id, `{name}`))"
    )
    (table,) = schema.read("others")
    assert [column.name for column in table.columns] == ["id", "a", name]
    assert table.indexes[0].columns == ("id", name)


@pytest.mark.parametrize(("name", "columns"), [(None, ("short",)), ("own", ())])
def test_a_statement_of_ones_own_is_told_the_columns(
    mysql_url: str, name: str | None, columns: tuple[str, ...]
) -> None:
    """Without a model the columns are those in the name of the index, and never the marker."""
    options: dict[str, Any] = {"fields": ["short"], "unique": True, "where": {"gone": None}}
    if name is not None:
        options["name"] = name
    with DataFlow(mysql_url) as db:
        db.model(
            type(
                "T",
                (),
                {
                    "__annotations__": {"id": int, "short": str, "gone": int | None},
                    "__module__": __name__,
                    "__dataflow__": {"table": "t", "timestamps": False, "indexes": [options]},
                },
            )
        )
        db.migrate()
        sql = "INSERT INTO t (id, short) VALUES (:id, 'a')"
        db.run_sync("SQLNode", sql=sql, parameters={"id": 1})
        with pytest.raises(UniqueViolation) as caught:
            db.run_sync("SQLNode", sql=sql, parameters={"id": 2})
        assert caught.value.columns == columns
        assert "dataflow_where" not in str(caught.value)
        rows = db.run_sync("SQLNode", sql="SELECT * FROM t")["result"]
        assert rows == [{"id": 1, "short": "a", "gone": None}]
