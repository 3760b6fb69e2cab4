"""DataFlow: models become nodes, nodes workflows; they run the same on every database."""

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
