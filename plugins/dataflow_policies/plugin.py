"""What the entry point loads: the policies, in the order in which they are composed.

A model is extended in this order, and around its nodes the first policy is innermost: whatever the
others do, they do to the rows of the tenant in force.
"""

from __future__ import annotations

from collections.abc import Sequence

from dataflow_core.contract import ModelPolicy, hookimpl
from dataflow_policies.multi_tenant import MULTI_TENANT
from dataflow_policies.soft_delete import SOFT_DELETE
from dataflow_policies.versioned import VERSIONED

__all__ = ["dataflow_model_policies"]


@hookimpl
def dataflow_model_policies() -> Sequence[ModelPolicy]:
    """``multi_tenant``, ``soft_delete``, ``versioned``."""
    return (MULTI_TENANT, SOFT_DELETE, VERSIONED)
