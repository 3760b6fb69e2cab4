"""The MySQL dialect: what it offers, its parts put together, and which server needs which."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from dataflow_core.contract import (
    Connection,
    ConnectOptions,
    Dialect,
    Driver,
    ErrorSituation,
    Server,
)
from dataflow_core.dialect import BaseDialect
from dataflow_core.errors import DataFlowError
from dataflow_core.features import Feature
from dataflow_core.schema import Table
from dataflow_mysql.compiler import MariaDBCompiler, MySQLCompiler, OldMariaDBCompiler
from dataflow_mysql.ddl import MySQLDDLCompiler
from dataflow_mysql.driver import MySQLDriver
from dataflow_mysql.errors import translate_error
from dataflow_mysql.introspect import read_tables
from dataflow_mysql.location import locate

if TYPE_CHECKING:
    from dataflow_core.contract import DatabaseURL

__all__ = ["FEATURES", "MariaDBDialect", "MySQLDialect", "OldMariaDBDialect", "load"]

T = TypeVar("T")

_OFF: Final = {
    "schema.partial_index": Feature(
        "unsupported", "the server has no indexes of a part of the rows, but for unique ones"
    ),
    "schema.partitions": Feature("unsupported", "tables in parts have no foreign keys there"),
    "schema.row_security": Feature("unsupported", "the server has no policies of rows"),
    "connection.memory": Feature("unsupported", "the server keeps no database in memory"),
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
    "transactions.two_phase",
    "cancellation",
    "concurrency",
    "identifiers",
    "limits",
    "connection.read_replica",
    "connection.tls",
)
FEATURES: Final[Mapping[str, Feature]] = {name: Feature("full") for name in _FULL} | _OFF
"""The level of every feature id."""


class MySQLDialect(BaseDialect):
    """MySQL from 8.0.19. Relatives replace ``name``, ``features`` and the classes of the parts.

    Parameters:
        loads: whether the server takes rows by LOAD DATA from a client.
    """

    name = "mysql"
    features = FEATURES
    compiler_class: ClassVar[type[MySQLCompiler]] = MySQLCompiler
    ddl_class = MySQLDDLCompiler
    driver_class: ClassVar[type[MySQLDriver]] = MySQLDriver

    def __init__(self, *, loads: bool = False) -> None:
        super().__init__()
        self._compiler = self.compiler_class(self.features, loads=loads)
        self._ddl = self.ddl_class(self._compiler)

    def adapt(self, server: Server) -> Dialect:
        """The dialect of the product and the version at the other end.

        A relative stays what it is: what it replaces stands before what that product has.
        """
        for oldest, dialect in _BY_SERVER.get(server.name, ()):
            if server.version >= oldest:
                return self._as(dialect, loads=server.details.get("local_infile") == "1")
        return self

    def _as(self, dialect: type[MySQLDialect], *, loads: bool) -> Dialect:
        own = type(self)
        if issubclass(own, dialect):
            return own(loads=loads)
        if own is MySQLDialect:
            return dialect(loads=loads)
        spelling = _over(own.compiler_class, dialect.compiler_class)
        adapted = _over(own, dialect)
        adapted.compiler_class = spelling
        made: Dialect = adapted(loads=loads)
        return made

    def ends_transaction(self, sql: str) -> bool:
        """Whether a statement commits what was done before it, as most about schemas do."""
        return _COMMITTING.match(sql) is not None

    def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
        """Check URL and options and return a driver; opens nothing.

        Raises ``InvalidURL``, ``UnknownOption`` and ``InvalidOption``.
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


def _over(own: type[T], other: type[T]) -> type[T]:
    """A class that is the one, and the other where that is silent."""
    if issubclass(own, other) or issubclass(other, own):
        return own if issubclass(own, other) else other
    return type(own.__name__, (own, other), {"__module__": own.__module__, "__doc__": own.__doc__})


class MariaDBDialect(MySQLDialect):
    """MariaDB from 10.10."""

    compiler_class = MariaDBCompiler


class OldMariaDBDialect(MySQLDialect):
    """MariaDB before 10.10."""

    compiler_class = OldMariaDBCompiler


_COMMITTING: Final = re.compile(
    r"(?:\s|--[^\n]*\n|#[^\n]*\n|/\*(?!M?!).*?\*/)*"
    # What a comment that the server carries out begins with is not read any further.
    r"(?:/\*M?!|(?:CREATE|DROP)\s+(?!TEMPORARY\b)"
    r"|(?:ALTER|RENAME|TRUNCATE|LOCK|UNLOCK|GRANT|REVOKE|ANALYZE|OPTIMIZE|REPAIR|CHECK|CACHE|FLUSH"
    r"|RESET|PURGE|INSTALL|UNINSTALL|START|STOP|CHANGE|IMPORT)\b"
    r"|LOAD\s+INDEX\b|SET\s+(?:PASSWORD|(?:@@)?(?:SESSION|LOCAL)?[\s.]*autocommit)\b)",
    re.IGNORECASE | re.DOTALL,
)
"""Statements that commit by themselves: https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html"""

_BY_SERVER: Final[Mapping[str, tuple[tuple[tuple[int, ...], type[MySQLDialect]], ...]]] = {
    "MariaDB": (((10, 10), MariaDBDialect), ((0,), OldMariaDBDialect)),
    "MySQL": (((0,), MySQLDialect),),
}
"""By the name of the product: from which version on which dialect, the newest first."""


def load() -> Dialect:
    """The dialect, before a server has said which one it is."""
    return MySQLDialect()
