"""What the entry point loads: the node that the plugin brings, and what locks its tables."""

from __future__ import annotations

from collections.abc import Sequence

from dataflow_core.contract import ModelPolicy, NodeSpec, hookimpl
from dataflow_sagas.node import manage
from dataflow_sagas.tables import JOURNAL

__all__ = ["dataflow_model_policies", "dataflow_nodes"]


@hookimpl
def dataflow_nodes() -> Sequence[NodeSpec]:
    """``TransactionManagerNode``."""
    return (NodeSpec("TransactionManagerNode", manage),)


@hookimpl
def dataflow_model_policies() -> Sequence[ModelPolicy]:
    """What keeps the tables of the journal to it."""
    return (JOURNAL,)
