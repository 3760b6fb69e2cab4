"""Enterprise features in the reference: all four options on one model, used in workflows."""

from __future__ import annotations

import pytest

from dataflow_core import DataFlow, WorkflowBuilder
from dataflow_core.errors import NodeExecutionError, TenantRequired
from tests.reference.support import ran


def fleet(url: str) -> DataFlow:
    """An instance with the voyages of several shipping companies."""
    db = DataFlow(url)

    @db.model
    class Voyage:
        ship_id: int
        cargo: float
        __dataflow__ = {
            "multi_tenant": True,
            "soft_delete": True,
            "audit_log": True,
            "versioned": True,
        }

    return db


def test_a_voyage_belongs_to_its_company(database_url: str) -> None:
    """The parameter of the node puts the tenant in force, and another tenant sees nothing."""
    with fleet(database_url) as db:
        workflow = WorkflowBuilder(db)
        workflow.add_node(
            "VoyageCreateNode", "sail", {"ship_id": 7, "cargo": 120.5, "tenant_id": "north_line"}
        )
        sailed = ran(workflow)["sail"]
        assert (sailed["tenant_id"], sailed["version"], sailed["deleted_at"]) == (
            "north_line", 1, None,
        )  # fmt: skip
        with db.tenant("south_line"):
            assert db.run_sync("VoyageCountNode")["count"] == 0
        with db.tenant("north_line"):
            assert db.run_sync("VoyageCountNode")["count"] == 1


def test_without_a_company_nothing_is_done(database_url: str) -> None:
    """A workflow whose nodes are not told a tenant fails, and stores nothing."""
    with fleet(database_url) as db:
        workflow = WorkflowBuilder(db)
        workflow.add_node("VoyageCreateNode", "sail", {"ship_id": 7, "cargo": 120.5})
        with pytest.raises(NodeExecutionError) as caught:
            ran(workflow)
        assert isinstance(caught.value.__cause__, TenantRequired)
        with db.tenant("north_line"):
            assert db.run_sync("VoyageCountNode")["count"] == 0


def test_voyages_that_are_struck_off(database_url: str) -> None:
    """The bulk deletion of the reference, soft, is undone by restoring."""
    with fleet(database_url) as db, db.tenant("north_line"):
        workflow = WorkflowBuilder(db)
        data = [{"ship_id": at, "cargo": float(at)} for at in range(4)]
        workflow.add_node("VoyageBulkCreateNode", "sail", {"data": data})
        workflow.add_node(
            "VoyageBulkDeleteNode", "strike", {"filter": {"cargo": {"$gt": 1}}, "soft_delete": True}
        )
        results = ran(workflow)
        assert results["strike"]["deleted"] == 2
        assert db.run_sync("VoyageCountNode")["count"] == 2
        restored = db.run_sync("VoyageRestoreNode", filter={"ship_id": 3})
        assert (restored["restored"], restored["cargo"]) == (True, 3.0)
