"""What the entry point loads: DuckDB's declaration. Neither it nor its imports load the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataflow_core.contract import Dialect, DialectSpec, Option, hookimpl

if TYPE_CHECKING:
    from dataflow_core.contract import TestServer

__all__ = ["dataflow_dialect", "dataflow_test_server"]


def _load() -> Dialect:
    from dataflow_duckdb.dialect import DuckDBDialect

    return DuckDBDialect()


@hookimpl
def dataflow_dialect() -> DialectSpec:
    """DuckDB: ``duckdb:///path`` and ``duckdb:///:memory:``."""
    return DialectSpec(
        name="duckdb",
        schemes=("duckdb",),
        options=(Option("threads", int, "how many threads a query may use (default: all)"),),
        load=_load,
        memory=":memory:",
        contract=1,
    )


@hookimpl
def dataflow_test_server() -> TestServer:
    """Throwaway database files."""
    from dataflow_duckdb.server import DuckDBServer

    return DuckDBServer()
