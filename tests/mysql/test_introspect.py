"""What a model declares comes back from the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dataflow_core.conformance.everything import Everything
from dataflow_core.contract import Dialect
from dataflow_core.errors import InvalidModel
from dataflow_core.operations import CreateTable
from dataflow_core.schema import Field, ForeignKey, Model, Reference
from dataflow_core.schema.declare import declare_model
from dataflow_core.schema.tables import Table
from dataflow_core.types import Enumeration, Integer, Json, Text
from dataflow_mysql.dialect import load
from tests.mysql.support import connected, driver_of
from tests.mysql.tables import TARGET, found, models, wanted


class Database:
    """A connection whose calls block, with the dialect of the server."""

    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self.driver = driver_of(url)
        self.connection = self.runner.run(connected(self.driver))
        self.dialect: Dialect = load().adapt(self.connection.server)

    def run(self, sql: str) -> Any:
        """The rows of a statement."""
        return self.runner.run(self.connection.fetch(sql, ()))

    def make(self, model: Model, *keys: ForeignKey) -> None:
        """Make a table anew."""
        self.run(f"DROP TABLE IF EXISTS `{model.table}`")
        for statement in self.dialect.ddl.compile(CreateTable(model, keys)):
            self.run(statement)

    def read(self, *names: str) -> list[Table]:
        """The tables of these names; without names all."""
        tables = self.dialect.read_tables(self.connection, names or None)
        return list(self.runner.run(tables))

    def close(self) -> None:
        """Close the connection."""
        self.runner.run(self.connection.close())
        self.runner.run(self.driver.close())
        self.runner.close()


@pytest.fixture
def schema(mysql_url: str) -> Iterator[Database]:
    """A new database."""
    opened = Database(mysql_url)
    yield opened
    opened.close()


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
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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
