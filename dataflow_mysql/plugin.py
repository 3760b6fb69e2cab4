"""What the entry point loads: the declaration. Neither it nor its imports load the driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from dataflow_core.contract import Dialect, DialectSpec, Option, hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataflow_core.contract import ConnectOptions, DatabaseURL, TestServer

__all__ = ["SSL_MODES", "dataflow_dialect", "dataflow_test_server"]

SSL_MODES: Final = ("disabled", "preferred", "required", "verify_ca", "verify_identity")

# Words are taken in any case, so their choices are checked where they are read.
_OPTIONS: Final = (
    Option("charset", str, "utf8mb4, the only one that holds every text"),
    Option("collation", str, "collation of the connection, never of a column: utf8mb4_..."),
    Option("ssl_ca", str, "file of the certificates that the server's has to be signed by"),
    Option("ssl_cert", str, "file of the client's certificate"),
    Option("ssl_key", str, "file of the client's key"),
    Option("ssl_mode", str, f"one of {', '.join(SSL_MODES)}"),
    Option("unix_socket", str, "path of the server's socket, instead of a host"),
)


def _load() -> Dialect:
    from dataflow_mysql.dialect import load

    return load()


def _check(url: DatabaseURL, options: ConnectOptions) -> None:
    from dataflow_mysql.location import locate

    locate(url, options)


@hookimpl
def dataflow_dialect() -> DialectSpec:
    """MySQL and MariaDB: ``mysql://user@host/name`` and ``mariadb://``; the server tells which."""
    return DialectSpec(
        name="mysql",
        schemes=("mysql", "mariadb"),
        options=_OPTIONS,
        load=_load,
        check=_check,
    )


@hookimpl
def dataflow_test_server() -> Sequence[TestServer]:
    """What is found first of MariaDB and MySQL; and real MySQL, which is reported only."""
    from dataflow_mysql.server import MySQL9Server, MySQLServer

    return [MySQLServer(), MySQL9Server()]
