"""What the entry point loads: the node that the plugin brings."""

from __future__ import annotations

from collections.abc import Sequence

from dataflow_core.contract import NodeSpec, hookimpl
from dataflow_sagas.node import manage

__all__ = ["dataflow_nodes"]


@hookimpl
def dataflow_nodes() -> Sequence[NodeSpec]:
    """``TransactionManagerNode``."""
    return (NodeSpec("TransactionManagerNode", manage),)
