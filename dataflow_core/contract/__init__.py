"""What a dialect implements, and what the core asks of it."""

from dataflow_core.contract.dialect import (
    CONTRACT_VERSION,
    Compiler,
    ControlledServer,
    Dialect,
    DialectSpec,
    ErrorSituation,
    Option,
    TestServer,
)
from dataflow_core.contract.driver import (
    Connection,
    ConnectOptions,
    Driver,
    Isolation,
    Lane,
    LoadingConnection,
    PipeliningConnection,
    Server,
    TwoPhaseConnection,
)
from dataflow_core.contract.hookspecs import hookimpl
from dataflow_core.contract.migrations import MigrationGuard, SchemaReader
from dataflow_core.contract.nodes import NodeSpec
from dataflow_core.url import DatabaseURL

__all__ = [
    "CONTRACT_VERSION",
    "Compiler",
    "ConnectOptions",
    "Connection",
    "ControlledServer",
    "DatabaseURL",
    "Dialect",
    "DialectSpec",
    "Driver",
    "ErrorSituation",
    "Isolation",
    "Lane",
    "LoadingConnection",
    "MigrationGuard",
    "NodeSpec",
    "Option",
    "PipeliningConnection",
    "SchemaReader",
    "Server",
    "TestServer",
    "TwoPhaseConnection",
    "hookimpl",
]
