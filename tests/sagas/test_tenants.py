from __future__ import annotations

from typing import Any

import pytest

from dataflow_core import AsyncLocalRuntime, Context, DataFlow, WorkflowBuilder
from tests.sagas.notes import saga

WITHOUT_DATABASES = ("pgbouncer",)
STEPS = (
    {"node": "DeskCreateNode", "parameters": {"id": "x"}, "compensation": "DeskDeleteNode"},
    {"node": "LookNode"},
)


class Desk:
    __dataflow__ = {"multi_tenant": True, "audit_log": False}

    id: str
    pieces: int = 1


@pytest.fixture
def seen(db: DataFlow) -> list[Any]:
    """The tenants that a user's function was called for; it fails for `b`."""
    db.model(type("Desk", (Desk,), {"__module__": __name__}), validation="off")
    tenants: list[Any] = []

    @db.node("LookNode")
    async def look(context: Context) -> dict:
        tenants.append(context.tenant_id)
        if context.tenant_id == "b":
            raise ValueError("closed")
        return {}

    return tenants


async def pieces(db: DataFlow, tenant: str) -> int:
    """How many desks a tenant has."""
    found: int = (await db.run("DeskCountNode", tenant_id=tenant))["count"]
    return found


async def test_a_saga_is_for_the_tenant_of_its_run(db: DataFlow, seen: list[Any]) -> None:
    """Steps and compensations are about the rows of the tenant that the run was given."""
    workflow = WorkflowBuilder(db)
    workflow.add_node("TransactionManagerNode", "saga", {"steps": list(STEPS)})
    status = []
    for tenant in "ab":
        results, _ = await AsyncLocalRuntime().execute(workflow.build(), tenant_id=tenant)
        status.append(results["saga"]["status"])
    assert (status, seen) == (["completed", "compensated"], ["a", "b"])
    assert [await pieces(db, tenant) for tenant in "ab"] == [1, 0]


async def test_a_saga_is_for_the_tenant_in_force(db: DataFlow, seen: list[Any]) -> None:
    """Within a block it is that of the block."""
    with db.tenant("a"):
        assert (await saga(db, *STEPS))["status"] == "completed"
    assert (seen, await pieces(db, "a")) == (["a"], 1)


async def test_what_undoes_a_step_has_its_tenant(db: DataFlow, seen: list[Any]) -> None:
    """A step that names a tenant is undone for that one, whatever the context of the saga says."""
    await saga(db, {**STEPS[0], "parameters": {"id": "x", "tenant_id": "c"}})
    first = {**STEPS[0], "parameters": {"id": "x", "tenant_id": "a"}}
    fails = {"node": "DeskCreateNode", "parameters": {"id": "x"}}
    result = await saga(db, first, fails, context={"tenant_id": "c"})
    assert [step["outcome"] for step in result["steps"]] == ["compensated", "failed"]
    assert [await pieces(db, tenant) for tenant in "ac"] == [0, 1]
