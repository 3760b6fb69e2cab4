from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dataflow_core import AsyncLocalRuntime, DataFlow, LocalRuntime, WorkflowBuilder
from dataflow_core.errors import (
    InvalidModel,
    InvalidValue,
    NodeExecutionError,
    TenantMismatch,
    TenantRequired,
    UnknownModelOption,
    UnknownParameter,
    VersionConflict,
)
from tests.policies.models import Author, Book, registered

WITHOUT_DATABASES = ("pgbouncer",)
ALL = {"multi_tenant": True, "soft_delete": True, "versioned": True}


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[DataFlow]:
    """Tenants a and b, each with an author of the same address and a book."""
    async with registered(DataFlow(database_url), ALL, Author, Book) as db:
        for tenant in ("a", "b"):
            with db.tenant(tenant):
                author = await db.run("AuthorCreateNode", name=tenant, email="e")
                await db.run("BookCreateNode", author_id=author["id"], title=tenant)
        yield db


async def everything(db: DataFlow, tenant: str) -> list[dict[str, Any]]:
    """All rows of a tenant."""
    rows = []
    for model in ("Author", "Book"):
        listed = await db.run(f"{model}ListNode", include_deleted=True, tenant_id=tenant)
        rows += listed["result"]
    return rows


async def test_policies_hold_together(db: DataFlow) -> None:
    """A deletion with a version, its cascade and its restore stay within the tenant."""
    before = await everything(db, "b")
    with db.tenant("a"):
        with pytest.raises(VersionConflict):
            await db.run("AuthorDeleteNode", id=1, version=2)
        deleted = await db.run("AuthorDeleteNode", id=1, version=1)
        assert (deleted["deleted"], deleted["version"]) == (True, 1)
        assert (await db.run("BookCountNode"))["count"] == 0
        assert (await db.run("AuthorDeleteNode", id=2))["deleted"] is False
        assert (await db.run("AuthorRestoreNode", id=2))["restored"] is False
        assert (await db.run("AuthorBulkDeleteNode", allow_all=True, filter={}))["deleted"] == 0
        assert (await db.run("AuthorRestoreNode", id=1))["restored"] is True
        assert (await db.run("BookCountNode"))["count"] == 1
    assert await everything(db, "b") == before


async def test_a_workflow_has_a_tenant(db: DataFlow) -> None:
    """The runtime's tenant confines every node, and a user's function sees it."""

    @db.node("WhoNode")
    async def who(context: Any) -> dict[str, Any]:
        return {"tenant": context.tenant_id, "rows": (await context.run("BookCountNode"))["count"]}

    workflow = WorkflowBuilder(db)
    workflow.add_node("BookListNode", "books")
    workflow.add_node("WhoNode", "who")
    workflow.add_node("AuthorUpdateNode", "rename", {"id": 1, "fields": {"$inc": {"visits": 1}}})
    built = workflow.build()
    results, _ = await AsyncLocalRuntime().execute(built, tenant_id="a")
    assert [book["title"] for book in results["books"]["result"]] == ["a"]
    assert results["who"]["result"] == {"tenant": "a", "rows": 1}
    assert results["rename"]["updated"] is True
    with db.tenant("b"):
        results, _ = await AsyncLocalRuntime().execute(built)
    assert [book["title"] for book in results["books"]["result"]] == ["b"]
    assert results["rename"]["updated"] is False
    with pytest.raises(NodeExecutionError) as caught:
        await AsyncLocalRuntime().execute(built)
    assert isinstance(caught.value.__cause__, TenantRequired)


async def test_a_tenant_that_no_node_of_a_workflow_minds(db: DataFlow) -> None:
    """A tenant given to a workflow without a multi-tenant model is refused."""

    class Note:
        text: str

    db.model(Note)
    workflow = WorkflowBuilder(db)
    workflow.add_node("NoteListNode", "notes")
    with pytest.raises(UnknownParameter):
        await AsyncLocalRuntime().execute(workflow.build(), tenant_id="a")
    with pytest.raises(InvalidValue, match="multi_tenant"):
        await db.run("NoteListNode", tenant_id="a")


def test_the_tenant_of_a_thread_reaches_the_loop(database_url: str) -> None:
    """Synchronous calls are confined to the tenant of the thread that makes them."""
    with registered(DataFlow(database_url), ALL, Author) as db:
        workflow = db.workflow()
        workflow.add_node("AuthorCreateNode", "create", {"name": "x"})
        workflow.add_node("AuthorCountNode", "count", {})
        workflow.add_connection("create", "result", "count", "input")
        built = workflow.build()
        for tenant in ("a", "a", "b"):
            with db.tenant(tenant):
                results, _ = LocalRuntime().execute(built)
        assert results["count"]["count"] == 1
        assert db.run_sync("AuthorCountNode", tenant_id="a")["count"] == 2


async def test_tasks_of_several_tenants(db: DataFlow) -> None:
    """Calls of one tick, each with a tenant of its own, get the rows of that tenant."""

    async def read(tenant: str, key: int) -> str | None:
        with db.tenant(tenant):
            found = await db.run("AuthorReadNode", id=key, raise_on_not_found=False)
            return found["name"] if found["found"] else None

    asked = [(tenant, key) for tenant in ("a", "b") for key in (1, 2)] * 10
    names = await asyncio.gather(*(read(tenant, key) for tenant, key in asked))
    assert names == ["a", None, None, "b"] * 10


async def test_a_stream_keeps_its_tenant(db: DataFlow) -> None:
    """A stream gives the rows of the tenant that was in force where it was asked for."""
    with db.tenant("a"):
        stream = db.nodes.Book.stream()
    with db.tenant("b"):
        assert [row["title"] async for row in stream] == ["a"]
    assert [row["title"] async for row in db.nodes.Book.stream(tenant_id="b")] == ["b"]
    with db.tenant("a"), pytest.raises(TenantMismatch):
        db.nodes.Book.stream(tenant_id="b")


async def test_statements_of_ones_own_are_refused(db: DataFlow) -> None:
    """Where a tenant is in force nothing confines SQL, so it is not run."""
    with db.tenant("a"), pytest.raises(InvalidValue, match="tenant"):
        await db.run("SQLNode", sql="SELECT 1")
    assert (await db.run("SQLNode", sql="SELECT 1 AS one", fetch="one"))["result"] == {"one": 1}


async def test_without_the_plugin_the_model_is_refused(database_url: str) -> None:
    """A model whose options nobody understands is not registered: it would not be confined."""
    async with DataFlow(database_url, disabled_plugins=["policies"]) as db:
        with pytest.raises(UnknownModelOption, match="policies"):
            registered(db, ALL, Author)
        registered(db, {"multi_tenant": False}, Author)


async def test_a_model_from_the_registry_is_confined(database_url: str) -> None:
    """What one session declares under policies, another one reads back under them."""
    async with registered(DataFlow(database_url), ALL, Author) as first:
        with first.tenant("a"):
            await first.run("AuthorCreateNode", name="x", email="e")
    async with DataFlow(database_url) as second:
        found = await second.areconstruct_models_from_registry()
        assert found["reconstructed_models"] == ["Author"]
        with pytest.raises(TenantRequired):
            await second.run("AuthorListNode")
        with second.tenant("b"):
            assert (await second.run("AuthorListNode"))["result"] == []
        with second.tenant("a"):
            assert (await second.run("AuthorRestoreNode", id=1))["restored"] is False
            with pytest.raises(VersionConflict):
                await second.run("AuthorUpdateNode", id=1, fields={"name": "y"}, version=5)


@pytest.mark.parametrize(
    "options",
    [{"multi_tenant": "yes"}, {"soft_delete": {"days": 3}}, {"versioned": {"start": 1}}],
    ids=lambda options: str(options),
)
async def test_options_are_checked(database_url: str, options: dict[str, Any]) -> None:
    """An option is True, False, or a dict of what there is."""
    async with DataFlow(database_url) as db:
        with pytest.raises(InvalidModel):
            registered(db, options, Author)
