"""What a dialect implements, and what the core asks of it."""

from dataflow_core.contract.changes import (
    ChangeKind,
    ChangeRecorder,
    ChangeScope,
    RowChange,
    RowChanges,
)
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
    RowSecuringConnection,
    Server,
    TwoPhaseConnection,
)
from dataflow_core.contract.hookspecs import hookimpl
from dataflow_core.contract.migrations import MigrationGuard, SchemaReader
from dataflow_core.contract.nodes import NodeSpec
from dataflow_core.contract.observers import (
    Ended,
    Failure,
    NodeRun,
    ObservedDatabase,
    Observer,
    StatementRun,
    WorkflowRun,
)
from dataflow_core.contract.policies import (
    Behaviour,
    ModelAccess,
    ModelPolicy,
    NodeKind,
    PolicyContext,
    Referrer,
    Wrap,
)
from dataflow_core.contract.reserved import ReservedTables
from dataflow_core.contract.settings import PluginSettings
from dataflow_core.url import DatabaseURL

__all__ = [
    "Behaviour",
    "CONTRACT_VERSION",
    "ChangeKind",
    "ChangeRecorder",
    "ChangeScope",
    "Compiler",
    "ConnectOptions",
    "Connection",
    "ControlledServer",
    "DatabaseURL",
    "Dialect",
    "DialectSpec",
    "Driver",
    "Ended",
    "ErrorSituation",
    "Failure",
    "Isolation",
    "Lane",
    "LoadingConnection",
    "MigrationGuard",
    "ModelAccess",
    "ModelPolicy",
    "NodeKind",
    "NodeRun",
    "NodeSpec",
    "ObservedDatabase",
    "Observer",
    "Option",
    "PipeliningConnection",
    "RowSecuringConnection",
    "PluginSettings",
    "RowChange",
    "RowChanges",
    "PolicyContext",
    "Referrer",
    "ReservedTables",
    "SchemaReader",
    "Server",
    "StatementRun",
    "TestServer",
    "TwoPhaseConnection",
    "WorkflowRun",
    "Wrap",
    "hookimpl",
]
