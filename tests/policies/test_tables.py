from __future__ import annotations

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.errors import InvalidModel, SchemaChangeRefused, TenantRequired
from tests.policies.models import Author, Book, Chapter, Shelf, registered

WITHOUT_DATABASES = ("pgbouncer",)
ALL = {"multi_tenant": True, "soft_delete": True, "versioned": True}


async def test_a_second_start_changes_nothing(database_url: str) -> None:
    """The tables of models under policies are what the models say, as every later start sees."""
    models = (Author, Book, Chapter, Shelf)
    async with registered(DataFlow(database_url), ALL, *models) as first:
        with first.tenant("a"):
            author = await first.run("AuthorCreateNode", name="x", email="e")
            for model in ("Book", "Chapter", "Shelf"):
                await first.run(f"{model}CountNode")
    async with registered(DataFlow(database_url), ALL, *models) as second:
        plan = await second.aplan()
        assert (plan.operations, plan.refusals) == ((), ())
        with second.tenant("a"):
            assert (await second.run("AuthorReadNode", id=author["id"]))["name"] == "x"


async def test_policies_come_to_a_table_that_is_there(database_url: str) -> None:
    """Soft deletion and versions are added to rows that are there; these are live, in version 1."""
    async with registered(DataFlow(database_url), {}, Author) as before:
        await before.run("AuthorCreateNode", name="old", email="e")
    options = {"soft_delete": True, "versioned": True}
    async with registered(DataFlow(database_url), options, Author) as db:
        await db.run("AuthorUpdateNode", id=1, fields={"name": "new"}, version=1)
        await db.run("AuthorDeleteNode", id=1)
        assert (await db.run("AuthorCreateNode", name="next", email="e"))["id"] == 2
        assert (await db.run("AuthorCountNode", include_deleted=True))["count"] == 2


async def test_rows_without_a_tenant_are_nobodys(database_url: str) -> None:
    """A table with rows does not become multi-tenant by itself: whose are they?"""
    async with registered(DataFlow(database_url), {}, Author) as before:
        await before.run("AuthorCreateNode", name="old", email="e")
    async with registered(DataFlow(database_url), {"multi_tenant": True}, Author) as db:
        with db.tenant("a"), pytest.raises(SchemaChangeRefused, match="tenant_id"):
            await db.run("AuthorListNode")


async def test_an_empty_table_becomes_multi_tenant(database_url: str) -> None:
    """Without rows there is nothing to decide: columns, keys and indexes are made."""
    async with registered(DataFlow(database_url), {}, Author, Shelf, Book) as before:
        for model in ("Author", "Shelf"):
            await before.run(f"{model}CountNode")
    async with registered(DataFlow(database_url), ALL, Author, Shelf, Book) as db:
        for tenant in ("a", "b"):
            with db.tenant(tenant):
                author = await db.run("AuthorCreateNode", name="x", email="e")
                book = await db.run("BookCreateNode", author_id=author["id"], title="t")
                await db.run("ShelfCreateNode", book_id=book["id"])
        plan = await db.aplan()
        assert (plan.operations, plan.refusals) == ((), ())


@pytest.mark.parametrize("action", ["cascade", "set_null"])
async def test_a_shared_row_takes_no_tenants_rows_along(database_url: str, action: str) -> None:
    """Deleting a shared row would reach into every tenant, so such a reference is refused."""
    async with DataFlow(database_url) as db:
        registered(db, {}, Author)
        namespace = {
            "__annotations__": {"author_id": int | None, "title": str},
            "author_id": _reference(action),
            "__dataflow__": {"multi_tenant": True},
        }
        db.model(type("Poem", (), namespace), validation="off")
        with db.tenant("a"), pytest.raises(InvalidModel, match="shared"):
            await db.run("PoemCreateNode", author_id=None, title="x")


async def test_a_reference_is_not_cleared_among_tenants(database_url: str) -> None:
    """The tenant is a part of the reference and never null, so `set_null` is refused."""
    async with DataFlow(database_url) as db:
        registered(db, {"multi_tenant": True}, Author)
        namespace = {
            "__annotations__": {"author_id": int | None, "title": str},
            "author_id": _reference("set_null"),
            "__dataflow__": {"multi_tenant": True},
        }
        db.model(type("Poem", (), namespace), validation="off")
        with db.tenant("a"), pytest.raises(InvalidModel, match="set_null"):
            await db.run("PoemCreateNode", author_id=None, title="x")


def _reference(action: str) -> object:
    return field(default=None, references="Author.id", on_delete=action)  # type: ignore[arg-type]


async def test_a_table_that_is_found_keeps_its_policies(database_url: str) -> None:
    """Registering a table takes the model that the registry has under options, and leaves it so."""
    async with registered(DataFlow(database_url), ALL, Author) as first:
        for tenant in "ab":
            await first.run("AuthorCreateNode", name=tenant, tenant_id=tenant)
    for existing in (True, False):
        async with DataFlow(database_url, existing_schema_mode=existing) as other:
            found = await other.aregister_schema_as_models(tables=["authors"])
            assert found["generated_nodes"]["authors"]["restore"] == "AuthorRestoreNode"
            with pytest.raises(TenantRequired):
                await other.run("AuthorListNode")
    async with DataFlow(database_url, existing_schema_mode=True) as later:
        await later.areconstruct_models_from_registry()
        rows = (await later.run("AuthorListNode", tenant_id="a"))["records"]
        assert [row["name"] for row in rows] == ["a"]


async def test_a_table_is_not_taken_without_the_plugin_of_its_policies(database_url: str) -> None:
    """Where the plugin is switched off, a table whose model has its options becomes no model."""
    async with registered(DataFlow(database_url), ALL, Author) as first:
        await first.run("AuthorCountNode", tenant_id="a")
    async with DataFlow(database_url, disabled_plugins=["policies"]) as other:
        found = await other.aregister_schema_as_models(tables=["authors"])
        assert list(found["errors"]) == ["authors"]
