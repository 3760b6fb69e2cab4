"""The modules of a dialect that begins with nothing: all there, and all to be filled in."""

from __future__ import annotations

from typing import Final

__all__ = ["FILES"]

FILES: Final = {
    "${package}/plugin.py": '''
"""What the entry point loads: the declaration. Neither it nor its imports load the driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataflow_core.contract import Dialect, DialectSpec, hookimpl

if TYPE_CHECKING:
    from dataflow_core.contract import TestServer

__all__ = ["dataflow_dialect", "dataflow_test_server"]


def _load() -> Dialect:
    # Here, so that an installed dialect that is not used loads no driver.
    from ${package}.dialect import ${prefix}Dialect

    return ${prefix}Dialect()


@hookimpl
def dataflow_dialect() -> DialectSpec:
    """The dialect ${name}: URLs that begin with ``${scheme}://``."""
    return DialectSpec(name="${name}", schemes=("${scheme}",), load=_load, contract=${contract})


@hookimpl
def dataflow_test_server() -> TestServer:
    """Throwaway databases."""
    from ${package}.server import ${prefix}Server

    return ${prefix}Server()
''',
    "${package}/dialect.py": '''
"""The ${name} dialect: what it offers, how it is opened, and what its errors mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dataflow_core.contract import ConnectOptions, DatabaseURL, Driver
from dataflow_core.dialect import BaseDialect, ErrorRule
from dataflow_core.errors import DatabaseError
from dataflow_core.features import Feature

from ${package}.compiler import ${prefix}Compiler
from ${package}.driver import ${prefix}Driver, NotWrittenYet

__all__ = ["${prefix}Dialect"]

_REASON: Final = ${reason}
_FEATURES: Final[Mapping[str, Feature]] = {
${features}
}


class ${prefix}Dialect(BaseDialect):
    """${name}, through a driver that blocks."""

    name = "${name}"
    features = _FEATURES
    compiler_class = ${prefix}Compiler
    # The base class of the driver's errors, and which of them are which error of DataFlow.
    driver_errors = NotWrittenYet
    error_rules = (ErrorRule(DatabaseError, "the driver is not written yet", "NotWrittenYet"),)

    def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
        """Check URL and options and return a driver; touches neither disk nor network."""
        return ${prefix}Driver(f"${name}, {url.database or 'no database'}")
''',
    "${package}/compiler.py": '''
"""The SQL of ${name}, where it is not that of the base compiler."""

from __future__ import annotations

from dataflow_core.compile import BaseCompiler

__all__ = ["${prefix}Compiler"]


class ${prefix}Compiler(BaseCompiler):
    """Replace the methods whose SQL is different here."""

    name = "${name}"
''',
    "${package}/driver.py": '''
"""Opening ${name}: a connection of the driver for each of DataFlow's, in a thread of its own."""

from __future__ import annotations

from typing import Any

from dataflow_core.contract import Lane, Server
from dataflow_core.dialect import Answer, SyncDriver

__all__ = ["${prefix}Driver", "NotWrittenYet"]


class NotWrittenYet(Exception):
    """Stands for the errors of the driver."""


class ${prefix}Driver(SyncDriver):
    """One database. Replace the bodies; ``run`` is only here because there is no driver yet."""

    paramstyle = "qmark"

    def open_connection(self, lane: Lane) -> Any:
        """Open a connection of the driver, one that commits every statement by itself."""
        return object()

    def close_connection(self, raw: Any) -> None:
        """Close a connection of the driver."""

    def server(self, raw: Any) -> Server:
        """Product and version."""
        return Server("${name}", (0,))

    def run(self, raw: Any, sql: str, parameters: Any) -> Answer:
        """Run one statement."""
        raise NotWrittenYet("open_connection has to return a connection of the driver")
''',
    "${package}/server.py": '''
"""Throwaway databases for tests."""

from __future__ import annotations

from typing import Literal

__all__ = ["${prefix}Server"]


class ${prefix}Server:
    """Finds or starts a server, and makes empty databases in it."""

    name: str = "${name}"
    description: str = "${name}, which is not there yet"
    level: Literal["gate", "report"] = "gate"

    def start(self) -> None:
        """Find or start the server; raise with the reason if neither works."""

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        return "${scheme}:///nowhere"

    def drop_database(self, url: str) -> None:
        """Remove a database that ``new_database`` made."""

    def stop(self) -> None:
        """Stop what was started, remove its files."""
''',
}
