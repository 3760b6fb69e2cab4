"""The SQLite dialect: what it offers, and its parts put together."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from dataflow_core.contract import Connection, ConnectOptions, Dialect, Driver, ErrorSituation
from dataflow_core.dialect import BaseDialect
from dataflow_core.errors import DataFlowError, PluginError
from dataflow_core.features import Feature
from dataflow_core.schema import Table
from dataflow_sqlite.compiler import SQLiteCompiler
from dataflow_sqlite.ddl import SQLiteDDLCompiler
from dataflow_sqlite.driver import SQLiteDriver
from dataflow_sqlite.errors import translate_error
from dataflow_sqlite.introspect import read_tables
from dataflow_sqlite.location import locate

if TYPE_CHECKING:
    from dataflow_core.contract import DatabaseURL

__all__ = ["FEATURES", "SQLiteDialect", "load"]

OLDEST_VERSION: Final = (3, 35, 0)

_OFF: Final = {
    "schema.partitions": Feature("unsupported", "the engine has no tables in parts"),
    "schema.row_security": Feature("unsupported", "a file has no roles and no policies"),
    "transactions.two_phase": Feature("unsupported", "a file prepares no transactions"),
    "connection.read_replica": Feature("unsupported", "a file has no replica"),
    "connection.tls": Feature("unsupported", "a file is opened without any network"),
}
_FULL: Final = (
    "types.integer",
    "types.float",
    "types.decimal",
    "types.decimal.wide",
    "types.boolean",
    "types.text",
    "types.binary",
    "types.timestamp",
    "types.date",
    "types.time",
    "types.uuid",
    "types.json",
    "types.enum",
    "filters.comparison",
    "filters.membership",
    "filters.logic",
    "filters.null",
    "filters.text",
    "filters.regex",
    "filters.modulo",
    "filters.bits",
    "filters.expression",
    "filters.json.path",
    "filters.json.array",
    "order.null_first",
    "paging",
    "select.distinct",
    "updates.arithmetic",
    "updates.set",
    "updates.bits",
    "updates.expression",
    "updates.json",
    "aggregate.group",
    "aggregate.first_last",
    "aggregate.collect",
    "aggregate.statistics",
    "aggregate.stages",
    "aggregate.more_stages",
    "aggregate.facet",
    "aggregate.union",
    "aggregate.lookup",
    "relations",
    "schema.introspection",
    "schema.alter",
    "schema.partial_index",
    "schema.partial_unique",
    "expressions.arithmetic",
    "expressions.text",
    "expressions.logic",
    "expressions.date",
    "write.generated_key",
    "write.bulk_create",
    "write.bulk_conflict",
    "write.bulk_update",
    "write.bulk_delete",
    "write.upsert",
    "constraints.errors",
    "constraints.foreign_key",
    "constraints.check",
    "transactions",
    "transactions.savepoint",
    "cancellation",
    "concurrency",
    "identifiers",
    "limits",
    "connection.memory",
)
FEATURES: Final[Mapping[str, Feature]] = {name: Feature("full") for name in _FULL} | _OFF
"""The level of every feature id."""


class SQLiteDialect(BaseDialect):
    """SQLite from 3.35. Relatives replace ``name``, ``features`` and the classes of the parts."""

    name = "sqlite"
    features = FEATURES
    compiler_class = SQLiteCompiler
    ddl_class = SQLiteDDLCompiler
    driver_class: ClassVar[type[SQLiteDriver]] = SQLiteDriver

    def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
        """Check URL and options and return a driver; looks at the file, opens nothing.

        Raises ``InvalidURL``, ``UnknownOption``, ``InvalidOption`` and ``ConnectionFailed``.
        """
        return self.driver_class(locate(url, options))

    def translate_error(self, error: Exception, situation: ErrorSituation) -> DataFlowError | None:
        """The uniform error for what the driver raised, or ``None`` if it is not the driver's."""
        return translate_error(error, situation)

    async def read_tables(
        self, connection: Connection, names: Sequence[str] | None = None
    ) -> Sequence[Table]:
        """The tables and views of these names, or of all."""
        return await read_tables(connection, names)


def load() -> Dialect:
    """The dialect; ``PluginError`` if the SQLite library of this Python is too old."""
    if sqlite3.sqlite_version_info < OLDEST_VERSION:
        raise PluginError(
            f"dataflow-db-sqlite needs SQLite 3.35 or newer, this Python has"
            f" {sqlite3.sqlite_version}; use a Python with a newer SQLite"
        )
    return SQLiteDialect()
