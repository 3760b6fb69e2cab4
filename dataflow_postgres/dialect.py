"""The PostgreSQL dialect: what it offers, and its parts put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from attrs import evolve

from dataflow_core.contract import (
    Connection,
    ConnectOptions,
    DatabaseURL,
    Dialect,
    Driver,
    ErrorSituation,
    Server,
)
from dataflow_core.dialect import BaseDialect
from dataflow_core.errors import DataFlowError
from dataflow_core.features import Feature
from dataflow_core.schema import Table
from dataflow_postgres.catalogue import ABOVE_POLICIES
from dataflow_postgres.compiler import FOLDING_COLLATIONS, TENANT_SECURITY, PostgresCompiler
from dataflow_postgres.ddl import PostgresDDLCompiler
from dataflow_postgres.driver import PostgresDriver
from dataflow_postgres.errors import translate_error
from dataflow_postgres.introspect import read_tables
from dataflow_postgres.location import locate

__all__ = ["FEATURES", "PostgresDialect", "load"]

_OFF: Final = {
    "connection.memory": Feature("unsupported", "a server keeps its databases on disk"),
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
    "schema.partitions",
    "schema.row_security",
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
_PASSED_OVER: Final = (
    "the role that is connected is a superuser or has BYPASSRLS, so it sees every row; connect as"
    " another one, which may own the tables"
)
FEATURES: Final[Mapping[str, Feature]] = {name: Feature("full") for name in _FULL} | _OFF
"""The level of every feature id."""


class PostgresDialect(BaseDialect):
    """PostgreSQL from 14. Relatives replace ``name``, ``features`` and the classes of the parts.

    Parameters:
        folding: the collation by which letters change their case; see ``PostgresCompiler``.
        passed_over: why row security does not hold for the role, if it does not.
    """

    name = "postgres"
    features = FEATURES
    compiler_class: ClassVar[type[PostgresCompiler]] = PostgresCompiler
    ddl_class: ClassVar[type[PostgresDDLCompiler]] = PostgresDDLCompiler
    driver_class: ClassVar[type[PostgresDriver]] = PostgresDriver

    def __init__(self, folding: str | None = None, passed_over: str = "") -> None:
        super().__init__()
        self._told = folding, passed_over
        self._compiler = self.compiler_class(self.features, folding)
        self._compiler.row_security = evolve(TENANT_SECURITY, passed_over=passed_over)
        self._ddl = self.ddl_class(self._compiler)

    def adapt(self, server: Server) -> Dialect:
        """The dialect for a server: it changes the case of letters by a collation that is there.

        ``collations`` of the server's details are the names of those it has, with spaces between;
        ``role`` says where it is one that row security does not hold for.
        """
        known = server.details.get("collations", "").split()
        folding = next((name for name in FOLDING_COLLATIONS if name in known), None)
        told = folding, _PASSED_OVER if server.details.get("role") == ABOVE_POLICIES else ""
        return self if told == self._told else type(self)(*told)

    def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
        """Check URL and options and return a driver; touches no network.

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


def load() -> Dialect:
    """The dialect."""
    return PostgresDialect()
