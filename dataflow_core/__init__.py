"""DataFlow: models become nodes, nodes workflows; they run the same on every database.

The names below are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataflow_core.app import DataFlow
    from dataflow_core.errors import DataFlowError
    from dataflow_core.nodes import Context
    from dataflow_core.schema.declare import field
    from dataflow_core.workflow import AsyncLocalRuntime, LocalRuntime, Workflow, WorkflowBuilder

__all__ = [
    "AsyncLocalRuntime",
    "Context",
    "DataFlow",
    "DataFlowError",
    "LocalRuntime",
    "Workflow",
    "WorkflowBuilder",
    "__version__",
    "field",
]

__version__ = "0.1.0"

_HOMES = {
    "AsyncLocalRuntime": "dataflow_core.workflow",
    "Context": "dataflow_core.nodes",
    "DataFlow": "dataflow_core.app",
    "DataFlowError": "dataflow_core.errors",
    "LocalRuntime": "dataflow_core.workflow",
    "Workflow": "dataflow_core.workflow",
    "WorkflowBuilder": "dataflow_core.workflow",
    "field": "dataflow_core.schema.declare",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'dataflow_core' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
