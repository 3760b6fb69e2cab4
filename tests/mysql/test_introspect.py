"""What a model declares comes back from the database."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dataflow_core.conformance.everything import Everything
from dataflow_core.errors import InvalidModel
from dataflow_core.schema.declare import declare_model
from dataflow_core.types import Json
from dataflow_mysql.protocol.failures import ServerError
from tests.limits import at_most
from tests.mysql.schema import Database
from tests.mysql.tables import TARGET, found, models, wanted


def test_every_type_comes_back(schema: Database) -> None:
    """The table of the model with every type tells all that the model declares."""
    model = declare_model(Everything)
    schema.make(model)
    (table,) = schema.read(model.table)
    got, expected = found(table), wanted(model, (), schema.dialect.ddl)
    # A database does not tell the shape of a document.
    plain = [
        (name, Json() if isinstance(kind, Json) else kind, *rest)
        for name, kind, *rest in expected.pop("columns")
    ]
    assert got.pop("columns") == plain
    assert got == expected


@given(st.data())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_random_models_come_back(schema: Database, data: st.DataObject) -> None:
    """Types, keys, defaults, comments, indexes, references and checks are read as declared."""
    schema.run("DROP TABLE IF EXISTS things")
    schema.make(TARGET)
    model, keys = data.draw(models())
    try:
        schema.make(model, *keys)
    except InvalidModel:
        assume(False)
    (table,) = schema.read("things")
    assert found(table) == wanted(model, keys, schema.dialect.ddl)


async def count_statements(schema: Database, names: list[str] | None) -> int:
    """How many statements reading tables takes."""
    sent = 0

    class Counting:
        server = schema.connection.server

        async def fetch(self, sql: str, parameters: Any) -> Any:
            nonlocal sent
            sent += 1
            return await schema.connection.fetch(sql, parameters)

    connection: Any = Counting()
    await schema.dialect.read_tables(connection, names)
    return sent


def test_five_hundred_tables_are_read_quickly(schema: Database) -> None:
    """The number of statements does not grow with the tables; for none that exists it is one."""
    for at in range(500):
        schema.run(
            f"CREATE TABLE t{at} (id BIGINT PRIMARY KEY AUTO_INCREMENT, a VARCHAR(20), b INT,"
            f" c DATETIME(6), UNIQUE KEY u (a), KEY k (b, c DESC), CONSTRAINT c{at} CHECK (b > 0))"
        )
    started = time.perf_counter()
    tables = schema.read()
    assert len(tables) == 500
    assert time.perf_counter() - started < at_most(2)
    counted = [
        schema.runner.run(count_statements(schema, names))
        for names in (None, ["t1"], ["t1", "t2", "t3"], ["nothing"], [])
    ]
    most = 7 if schema.connection.server.name == "MariaDB" else 8
    assert counted == [most, most, most, 1, 0]


def test_views_triggers_and_engines(schema: Database) -> None:
    """Views are told from tables; what has no place of its own is noted."""
    schema.run("CREATE TABLE base (a INT, b INT AS (a + 1) STORED) COMMENT 'of a test'")
    schema.run("CREATE TABLE other (a INT) ENGINE=MyISAM")
    schema.run("CREATE TABLE parts (a INT) PARTITION BY HASH(a) PARTITIONS 2")
    schema.run("CREATE VIEW seen AS SELECT a FROM base")
    schema.run("CREATE TRIGGER watch BEFORE INSERT ON base FOR EACH ROW SET @a = 1")
    base, other, parts, seen = schema.read()
    assert [table.kind for table in (base, other, parts, seen)] == ["table"] * 3 + ["view"]
    assert base.triggers == ("watch",)
    assert base.comment == "of a test"
    assert base.by_name["b"].generated == "computed"
    assert "MyISAM" in other.notes[0]
    assert parts.notes == ("parts is partitioned",)
    assert list(seen.by_name) == ["a"]
    assert schema.read("seen", "Base") == [seen]


def test_a_view_that_fails_is_noted_with_the_reason(schema: Database) -> None:
    """Where the catalogue knows no columns of a view, the note is what the server says of it."""
    schema.run("CREATE TABLE base (a INT, b INT)")
    schema.run("CREATE VIEW gone AS SELECT missing.a FROM base AS missing")
    mode = schema.run("SELECT @@sql_mode")[0][0]
    schema.run("SET sql_mode = ''")
    schema.run("CREATE VIEW grouped AS SELECT a, SUM(b) AS total, b FROM base GROUP BY b")
    schema.run(f"SET sql_mode = '{mode}'")
    schema.run("ALTER TABLE base RENAME COLUMN a TO c")
    for name in ("gone", "grouped"):
        with pytest.raises(ServerError) as caught:
            schema.run(f"SELECT * FROM {name}")
        (view,) = schema.read(name)
        assert view.columns or view.notes == (f"{name} cannot be read: {caught.value.text}",)
    schema.run("ALTER TABLE base RENAME COLUMN c TO a")
    (view,) = schema.read("grouped")
    assert view.columns or "GROUP BY" in view.notes[0]


def test_indexes_and_references_of_others(schema: Database) -> None:
    """The start of a text is an expression where it is unique; references have their actions."""
    schema.run("CREATE TABLE up (id INT PRIMARY KEY, v VARCHAR(99))")
    schema.run(
        "CREATE TABLE down (a INT, b TEXT, c INT, UNIQUE KEY start (b(10)), FULLTEXT KEY words (b),"
        " CONSTRAINT own FOREIGN KEY (a) REFERENCES up (id) ON DELETE CASCADE ON UPDATE SET NULL,"
        " FOREIGN KEY (c) REFERENCES up (id), CHECK (c > 3))"
    )
    (table,) = schema.read("down")
    start, words = table.indexes
    assert (start.columns, start.unique, start.expressions) == (("LEFT(`b`, 10)",), True, True)
    assert (words.columns, words.method, words.unique) == (("b",), "fulltext", False)
    assert table.unique_keys == ()
    own, plain = table.foreign_keys
    assert (own.name, own.on_delete, own.on_update) == ("own", "cascade", "set_null")
    assert (plain.columns, plain.table, plain.target) == (("c",), "up", ("id",))
    assert len(table.checks) == 1
    assert "`c` > 3" in table.checks[0].sql
