"""What the entry point loads: the policies, in the order in which they are composed.

A model is extended in this order, and around its nodes the first policy is innermost: whatever the
others do, they do to the rows of the tenant in force. The audit log sees what comes of it all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dataflow_core.contract import ChangeRecorder, ModelPolicy, hookimpl
from dataflow_core.schema import Model
from dataflow_policies.audit_log import AUDIT_LOG, acting, recorder_of
from dataflow_policies.audit_reading import aaudit
from dataflow_policies.audit_upkeep import aprune_audit, atombstone_audit
from dataflow_policies.audit_verify import averify_audit
from dataflow_policies.multi_tenant import MULTI_TENANT
from dataflow_policies.soft_delete import SOFT_DELETE
from dataflow_policies.versioned import VERSIONED

__all__ = ["dataflow_change_recorder", "dataflow_methods", "dataflow_model_policies"]


@hookimpl
def dataflow_model_policies() -> Sequence[ModelPolicy]:
    """``multi_tenant``, ``soft_delete``, ``versioned``, ``audit_log``."""
    return (MULTI_TENANT, SOFT_DELETE, VERSIONED, AUDIT_LOG)


@hookimpl
def dataflow_change_recorder(model: Model) -> ChangeRecorder | None:
    """What writes the audit log of a model that has one."""
    return recorder_of(model)


@hookimpl
def dataflow_methods() -> Mapping[str, Callable[..., Any]]:
    """What ``DataFlow`` has for the audit log."""
    return {
        "acting": acting,
        "audit": aaudit,
        "prune_audit": aprune_audit,
        "tombstone_audit": atombstone_audit,
        "verify_audit": averify_audit,
    }
