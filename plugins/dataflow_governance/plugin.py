"""What the entry point loads: the nodes that the plugin brings."""

from __future__ import annotations

from collections.abc import Sequence

from dataflow_core.contract import ModelPolicy, NodeSpec, hookimpl
from dataflow_governance.hidden import REACHING
from dataflow_governance.nodes import anonymize_user_data, comply, export_user_data

__all__ = ["dataflow_model_policies", "dataflow_nodes"]


@hookimpl
def dataflow_nodes() -> Sequence[NodeSpec]:
    """The three nodes. All that they do is done in the database, so transactions may repeat it."""
    return (
        NodeSpec("GDPRComplianceNode", comply, repeatable=True),
        NodeSpec("UserDataExportNode", export_user_data, repeatable=True),
        NodeSpec("UserDataAnonymizeNode", anonymize_user_data, repeatable=True),
    )


@hookimpl
def dataflow_model_policies() -> Sequence[ModelPolicy]:
    """What lets this plugin reach rows that were deleted softly."""
    return (REACHING,)
