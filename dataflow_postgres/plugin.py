"""What the entry point loads: PostgreSQL's declaration. It does not load the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dataflow_core.contract import Dialect, DialectSpec, Option, hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataflow_core.contract import ConnectOptions, DatabaseURL, TestServer

__all__ = ["SSL_MODES", "TARGETS", "dataflow_dialect", "dataflow_test_server"]

SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
TARGETS: Final = ("any", "primary", "standby", "read-write", "read-only")

# Words are taken in any case, so their choices are checked where they are read.
_OPTIONS: Final = (
    Option("sslmode", str, f"one of {', '.join(SSL_MODES)} (default prefer)"),
    Option("sslrootcert", str, "file of the authorities that may sign the server's certificate"),
    Option("sslcert", str, "file of the client's own certificate"),
    Option("sslkey", str, "file of the key of sslcert, if it is not in the same file"),
    Option("sslpassword", str, "password of an encrypted key"),
    Option("host", str, "the server's socket, or its folder, instead of a host in the URL"),
    Option("application_name", str, "how the server lists the connections (default dataflow)"),
    Option("search_path", str, "schemas, separated by commas, in which tables are looked up"),
    Option("target_session_attrs", str, f"the kind of server needed: {', '.join(TARGETS)}"),
    Option("statement_cache_size", int, "prepared statements kept by each connection; 0 is none"),
    Option("pooler", bool, "whether a transaction-mode pooler is in between (default: found out)"),
    Option("server_settings", dict, "more settings of the server for every connection, by name"),
)


def _load() -> Dialect:
    from dataflow_postgres.dialect import load

    return load()


def _check(url: DatabaseURL, options: ConnectOptions) -> None:
    from dataflow_postgres.location import locate

    locate(url, options)


@hookimpl
def dataflow_dialect() -> DialectSpec:
    """PostgreSQL: ``postgresql://user:password@host:5432/database``."""
    return DialectSpec(
        name="postgres",
        schemes=("postgresql", "postgres"),
        options=_OPTIONS,
        load=_load,
        check=_check,
    )


@hookimpl
def dataflow_test_server() -> Sequence[TestServer]:
    """What is found first; and PostgreSQL 18, which is reported only."""
    from dataflow_postgres.server import Postgres18Server, PostgresServer

    return [PostgresServer(), Postgres18Server()]
