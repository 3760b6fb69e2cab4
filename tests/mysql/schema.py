"""A database whose tables are made, changed and read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from dataflow_core.contract import Dialect
from dataflow_core.operations import AlterTable, CreateTable, Step
from dataflow_core.schema import ForeignKey, Model
from dataflow_core.schema.tables import Table
from dataflow_mysql.dialect import load
from tests.mysql.support import connected, driver_of


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

    def alter(self, before: Table, model: Model, steps: Sequence[Step], *keys: ForeignKey) -> int:
        """Change a table; how many statements that took."""
        operation = AlterTable(model, before, tuple(steps), keys)
        statements = self.dialect.ddl.alter(operation)
        try:
            for statement in statements:
                self.run(statement)
        finally:
            for statement in self.dialect.ddl.after_change:
                self.run(statement)
        return len(statements)

    def read(self, *names: str) -> list[Table]:
        """The tables of these names; without names all."""
        tables = self.dialect.read_tables(self.connection, names or None)
        return list(self.runner.run(tables))

    def close(self) -> None:
        """Close the connection."""
        self.runner.run(self.connection.close())
        self.runner.run(self.driver.close())
        self.runner.close()
