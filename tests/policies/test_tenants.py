"""Tenants: whatever is called, it is about the rows of the tenant in force.

Run against mutants of the policy too (`tests/bars/test_tenant_mutations.py`): every line is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import (
    ForeignKeyViolation,
    InvalidType,
    InvalidValue,
    ManagedField,
    TenantMismatch,
    TenantRequired,
    UniqueViolation,
)
from tests.policies.boxes import (
    BOXES_OF_OTHERS,
    OTHERS,
    UNITED,
    declare,
    filled,
    looked_up,
    weights,
)

WITHOUT_DATABASES = ("pgbouncer",)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[DataFlow]:
    """Two tenants with rows under the same natural keys; those of others weigh a hundred more."""
    async with filled(database_url) as db:
        yield db


async def test_bulk_changes_stay_within(db: DataFlow) -> None:
    """Updates and deletions of all rows are those of all rows of the tenant."""
    with db.tenant("acme"):
        done = await db.run("LabelBulkUpdateNode", filter={}, fields={"weight": 9}, allow_all=True)
        assert done["matched"] == 2
        some = {"box.weight": {"$gt": 0}}
        done = await db.run("LabelBulkUpdateNode", filter=some, fields={"$inc": {"weight": 1}})
        assert done["matched"] == 2
        data = [{"name": "x", "weight": 5}, {"name": "y", "weight": 6, "tenant_id": "acme"}]
        assert (await db.run("LabelBulkUpdateNode", data=data))["matched"] == 2
        assert await weights(db, "acme") == [("one", 1), ("two", 2), ("x", 5), ("y", 6)]
        assert (await db.run("LabelBulkDeleteNode", ids=["x"]))["deleted"] == 1
        assert (await db.run("BoxBulkDeleteNode", filter={"code": "two"}))["deleted"] == 1
        assert (await db.run("BoxBulkDeleteNode", filter={}, allow_all=True))["deleted"] == 1
        assert (await db.run("LabelCountNode"))["count"] == 0
    assert await weights(db) == BOXES_OF_OTHERS


@pytest.mark.parametrize("node", ["Create", "Upsert", "BulkCreate", "BulkUpsert"])
async def test_natural_keys_are_free(db: DataFlow, node: str) -> None:
    """A key that only another tenant has is as free as one that nobody has."""
    row = {"name": "z", "slug": "sz", "weight": 4}
    for tenant in (OTHERS, "acme"):
        with db.tenant(tenant):
            given = {"data": [row]} if "Bulk" in node else {"values": row}
            done = await db.run(f"Label{node}Node", **given)
            assert done.get("created", done.get("inserted") == 1)
            assert (await db.run("LabelReadNode", name="z"))["tenant_id"] == tenant


async def test_upserts_meet_rows_of_the_tenant(db: DataFlow) -> None:
    """An upsert changes the row of the tenant, by whichever unique key it is matched."""
    row = {"name": "x", "slug": "sx", "weight": 7}
    with db.tenant("acme"):
        assert (await db.run("LabelUpsertNode", values=row))["created"] is False
        for match in (["name"], ["slug"], ["tenant_id", "slug"]):
            done = await db.run("LabelBulkUpsertNode", data=[row], match_fields=match)
            assert (done["inserted"], done["updated"]) == (0, 1)
        done = await db.run("LabelBulkCreateNode", data=[row], conflict="skip")
        assert (done["inserted"], done["skipped"]) == (0, 1)
        done = await db.run("LabelBulkCreateNode", data=[row], conflict="update")
        assert (done["inserted"], done["updated"]) == (0, 1)
        box = {"code": "one", "weight": 8}
        done = await db.run("BoxBulkCreateNode", data=[box], conflict="update")
        assert (done["inserted"], done["updated"]) == (0, 1)
        with pytest.raises(UniqueViolation):
            await db.run("BoxCreateNode", code="one")
    assert await weights(db) == BOXES_OF_OTHERS


async def test_counted_keys_of_others_are_refused(db: DataFlow) -> None:
    """What stores a row under a counted key of another tenant tells that it is taken, no more."""
    row = {"id": 3, "code": "new", "weight": 0}
    with db.tenant("acme"):
        for node, given in (
            ("Create", {"values": row}),
            ("Upsert", {"values": row}),
            ("BulkCreate", {"data": [row]}),
            ("BulkCreate", {"data": [row], "conflict": "update"}),
            ("BulkUpsert", {"data": [row]}),
        ):
            with pytest.raises(UniqueViolation) as caught:
                await db.run(f"Box{node}Node", **given)
            assert "10" not in str(caught.value.to_dict()["message"])
    assert await weights(db) == BOXES_OF_OTHERS


async def test_references_lead_to_rows_of_the_tenant(db: DataFlow) -> None:
    """A row of another tenant cannot be referred to, and takes none along when it goes."""
    with db.tenant("acme"):
        for made in ({"code": "three", "inside_id": 3}, {"code": "three", "inside_id": 99}):
            with pytest.raises(ForeignKeyViolation):
                await db.run("BoxCreateNode", **made)
        with pytest.raises(ForeignKeyViolation) as caught:
            await db.run("LabelUpdateNode", name="x", fields={"box_id": 3})
        assert caught.value.context["columns"] == ("box_id",)
        await db.run("BoxDeleteNode", id=1)
    assert await weights(db) == BOXES_OF_OTHERS
    assert await weights(db, "acme") == []


# The tenant in force


async def test_another_tenant_is_refused(db: DataFlow) -> None:
    """Neither a parameter nor a row nor a change may name another tenant than the one in force."""
    forged: list[tuple[str, dict[str, Any]]] = [
        ("BoxListNode", {"tenant_id": OTHERS}),
        ("BoxCreateNode", {"code": "n", "tenant_id": OTHERS}),
        ("BoxCreateNode", {"values": {"code": "n", "tenant_id": OTHERS}}),
        ("BoxBulkCreateNode", {"data": [{"code": "n", "tenant_id": OTHERS}]}),
        ("BoxBulkCreateNode", {"data": [{"code": "n"}, {"code": "m", "tenant_id": OTHERS}]}),
        ("LabelUpsertNode", {"values": {"name": "n", "slug": "n", "tenant_id": OTHERS}}),
        ("BoxUpdateNode", {"id": 1, "fields": {"tenant_id": OTHERS}}),
        ("BoxUpdateNode", {"id": 1, "fields": {"$set": {"tenant_id": OTHERS}}}),
        ("BoxBulkUpdateNode", {"data": [{"id": 1, "tenant_id": OTHERS, "weight": 1}]}),
    ]
    with db.tenant("acme"):
        for node, parameters in forged:
            with pytest.raises(TenantMismatch):
                await db.run(node, **parameters)
        with pytest.raises(ManagedField):
            await db.run("BoxUpdateNode", id=1, fields={"$unset": {"tenant_id": ""}})
        await db.run("BoxUpdateNode", id=1, fields={"tenant_id": "acme", "weight": 4})
        assert (await db.run("BoxListNode", tenant_id="acme"))["count"] == 2
        assert (await db.run("BoxListNode", tenant_id=None))["count"] == 2
    assert await weights(db) == BOXES_OF_OTHERS


async def test_a_parameter_puts_a_tenant_in_force(db: DataFlow) -> None:
    """Where none is in force, a call may name one; it holds for that call, and what it inserts."""
    done = await db.run("BoxCreateNode", code="three", tenant_id="acme")
    assert (done["tenant_id"], db.current_tenant) == ("acme", None)
    assert (await db.run("BoxCountNode", tenant_id="acme"))["count"] == 3
    with pytest.raises(InvalidType):
        await db.run("BoxCountNode", tenant_id=7)
    with pytest.raises(UniqueViolation):
        await db.run("BoxCreateNode", code="three", tenant_id="acme")
    assert db.current_tenant is None


async def test_without_a_tenant_nothing_is_done(db: DataFlow) -> None:
    """Calls about rows of tenants raise where no tenant is in force; shared ones do not."""
    for node, parameters in (
        ("BoxListNode", {}),
        ("BoxCountNode", {"filter": {"weight": 1}}),
        ("BoxReadNode", {"id": 1}),
        ("BoxCreateNode", {"code": "n"}),
        ("BoxBulkCreateNode", {"data": [{"code": "n"}]}),
        ("BoxUpdateNode", {"id": 1, "fields": {"weight": 0}}),
        ("BoxBulkUpdateNode", {"data": [{"id": 1, "weight": 0}]}),
        ("BoxBulkDeleteNode", {"ids": [1]}),
        ("ShelfListNode", {"include": ["boxes"]}),
        ("ShelfListNode", {"filter": {"boxes.weight": 1}}),
        ("ShelfListNode", {"aggregate": looked_up("id", "Box", "shelf_id")}),
        ("ShelfListNode", {"aggregate": [{"$project": {"id": 1}}, UNITED]}),
    ):
        with pytest.raises(TenantRequired, match="no tenant is in force"):
            await db.run(node, **parameters)
    assert (await db.run("ShelfListNode"))["count"] == 1
    assert await weights(db) == BOXES_OF_OTHERS


async def test_what_is_no_tenant(database_url: str) -> None:
    """Nothing, an empty text and a truth value are refused, and nothing is in force afterwards."""
    async with declare(DataFlow(database_url)) as db:
        for nothing in (None, "", True):
            with pytest.raises(InvalidValue), db.tenant(nothing):
                pass
            assert db.current_tenant is None
        with pytest.raises(InvalidValue):
            await db.run("BoxListNode", tenant_id="")
        with db.tenant(7), pytest.raises(InvalidType, match="the tenant in force"):
            await db.run("BoxListNode")
        with pytest.raises(InvalidType, match="tenant_id"):
            await db.run("BoxListNode", tenant_id=True)


async def test_a_tenant_ends_with_its_block() -> None:
    """Blocks stand within each other and end, also by an error; each task has its own."""
    db = DataFlow(":memory:")
    with db.tenant("a"):
        with db.tenant("b"):
            assert db.current_tenant == "b"
        assert db.current_tenant == "a"

        async def other() -> Any:
            with db.tenant("c"):
                await asyncio.sleep(0)
                return db.current_tenant

        assert list(await asyncio.gather(other(), other())) == ["c", "c"]
        with pytest.raises(ZeroDivisionError), db.tenant("d"):
            raise ZeroDivisionError
        assert db.current_tenant == "a"
    assert db.current_tenant is None
    await db.aclose()


async def test_instances_do_not_share_tenants(database_url: str) -> None:
    """A tenant is in force on the instance that it was set on."""
    async with declare(DataFlow(database_url)) as db, DataFlow(":memory:") as other:
        with other.tenant("acme"), pytest.raises(TenantRequired):
            await db.run("BoxListNode")
