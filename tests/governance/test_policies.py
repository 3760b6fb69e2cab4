"""Personal data under the policies of models: tenants, soft deletion, versions."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dataflow_core import AsyncLocalRuntime, DataFlow, WorkflowBuilder, field
from dataflow_core.errors import RecordNotFound, TenantRequired
from tests.governance.shop import ADA, MODELS, User, done, fill, rows

WITHOUT_DATABASES = ("pgbouncer",)

COMBINATIONS = [
    dict.fromkeys(names, True)
    for count in (1, 3)
    for names in itertools.combinations(("multi_tenant", "soft_delete", "versioned"), count)
]


@asynccontextmanager
async def shops(url: str, options: dict[str, Any]) -> AsyncIterator[DataFlow]:
    """The shop with its models under policies, once for each tenant, the same keys apart."""
    async with DataFlow(url, enable_model_persistence=False, validation="off") as db:
        for model in MODELS:
            body: dict[str, Any] = {"__module__": __name__}
            body["__dataflow__"] = {"timestamps": False, **options}
            if model is User:
                # Not unique: soft deletion needs more of a database for that.
                body |= {"email": field(personal=True)}
            db.model(type(model.__name__, (model,), body))
        yield db


async def everything(db: DataFlow) -> dict[str, list[dict[str, Any]]]:
    """All rows, those that were deleted softly too."""
    found = {}
    for model in db.models_of():
        if model.name not in db.list_models():
            continue
        given = {"include_deleted": True} if model.options.get("soft_delete") else {}
        found[model.name] = (await db.run(f"{model.name}ListNode", **given))["records"]
    return found


def texts(found: dict[str, list[dict[str, Any]]]) -> set[Any]:
    """All values of rows."""
    return {value for some in found.values() for row in some for value in row.values()}


@pytest.mark.parametrize("options", COMBINATIONS, ids="-".join)
async def test_a_person_is_anonymised_and_deleted(
    database_url: str, options: dict[str, Any]
) -> None:
    """Whatever the policies of the models, the same is done, to the rows of one tenant only."""
    async with shops(database_url, options) as db:
        with db.tenant("north"):
            await fill(db)
        with db.tenant("south"):
            if "multi_tenant" in options:
                await db.run("UserCreateNode", name="Ada", email="ada@example.org", boss_id=None)
            before = await everything(db)
        with db.tenant("north"):
            exported = await db.run("UserDataExportNode", user_id=ADA)
            assert exported["counts"] == {"User": 1, "Order": 1, "Post": 1, "Item": 2, "Comment": 1}
            result = await db.run("UserDataAnonymizeNode", user_id=ADA)
            assert result["result"]["Order"] == done(anonymized=1)
            assert not {"Ada", "ada@example.org", "1 High Street"} & texts(await everything(db))
            given = {"user_id": ADA, "request_type": "delete", "retention_policy": "strict"}
            result = await db.run("GDPRComplianceNode", **given)
            assert result["result"]["Item"] == done(deleted=2)
            assert result["result"]["User"] == done(anonymized=1)
            left = await everything(db)
            assert [len(left[name]) for name in ("User", "Order", "Item", "Post")] == [2, 1, 2, 1]
        if "multi_tenant" in options:
            with db.tenant("south"):
                assert await everything(db) == before


async def test_rows_that_were_deleted_softly(database_url: str) -> None:
    """They are exported where that is asked for, and always erased; in the end they are gone."""
    async with shops(database_url, {"soft_delete": True, "versioned": True}) as db:
        await fill(db)
        await db.run("UserUpdateNode", id=2, version=1, fields={"boss_id": None})
        await db.run("ItemDeleteNode", id=1)
        await db.run("OrderDeleteNode", id=1)
        live = await db.run("UserDataExportNode", user_id=ADA)
        both = await db.run("UserDataExportNode", user_id=ADA, include_deleted=True)
        assert "Order" not in live["counts"]
        assert (both["counts"]["Order"], both["counts"]["Item"]) == (1, 2)
        await db.run("UserDeleteNode", id=ADA)
        with pytest.raises(RecordNotFound):
            await db.run("UserDataExportNode", user_id=ADA)
        before = await everything(db)
        await db.run("UserDataAnonymizeNode", user_id=ADA)
        after = await everything(db)
        assert not {"Ada", "1 High Street", "for 1"} & texts(after)
        # What was deleted stays so, and since the same moment.
        for model in ("User", "Order", "Item"):
            assert [row["deleted_at"] for row in after[model]] == [
                row["deleted_at"] for row in before[model]
            ]
        given = {"user_id": ADA, "request_type": "delete", "retention_policy": "strict"}
        result = await db.run("GDPRComplianceNode", **given)
        assert result["result"]["User"] == result["result"]["Order"] == done(deleted=1)
        left = await everything(db)
        assert [row["id"] for row in left["User"]] == [2]
        # Deleting is soft for everybody else, as before.
        await db.run("ItemBulkDeleteNode", ids=[3])
        assert len(await rows(db, "Item")) == 1
        assert [row["id"] for row in (await everything(db))["Item"]] == [3, 4]


async def test_the_tenant(database_url: str) -> None:
    """It is given to the node, to the runtime, or in force; without one, that is refused."""
    async with shops(database_url, {"multi_tenant": True}) as db:
        with db.tenant("north"):
            await fill(db)
        given = await db.run("UserDataExportNode", user_id=ADA, tenant_id="north")
        workflow = WorkflowBuilder(db)
        workflow.add_node("UserDataExportNode", "export", {"user_id": ADA})
        runtime = AsyncLocalRuntime()
        results, _ = await runtime.execute(workflow.build(), tenant_id="north")
        assert results["export"]["result"] == given["result"]
        with pytest.raises(TenantRequired):
            await db.run("UserDataExportNode", user_id=ADA)
        with pytest.raises(RecordNotFound):
            await db.run("UserDataAnonymizeNode", user_id=ADA, tenant_id="south")
