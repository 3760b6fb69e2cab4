"""Tables in parts by the tenant, on PostgreSQL."""

from __future__ import annotations

from typing import Any, Final

import asyncpg
import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import (
    ForeignKeyViolation,
    InvalidModel,
    SchemaMismatch,
    TenantRequired,
    UniqueViolation,
    UnsupportedFeature,
)
from tests.policies.secured import Database, titles, with_models

_PARTS: Final = 4


def options(**multi_tenant: Any) -> dict[str, Any]:
    """The options of the models."""
    return {"multi_tenant": multi_tenant or True, "timestamps": False}


DIVIDED: Final = options(partitions=_PARTS)


async def add_orders(db: DataFlow, tenants: str, number: int) -> None:
    """Some orders of each tenant."""
    for tenant in tenants:
        with db.tenant(tenant):
            customer = await db.run("CustomerCreateNode", name=tenant)
            rows = [
                {"customer_id": customer["id"], "title": f"{tenant}{place}"}
                for place in range(number)
            ]
            await db.run("OrderBulkCreateNode", data=rows)


async def test_calls_see_one_table(place: Database) -> None:
    """Rows of many tenants lie in all parts, and each kind of call is that of a whole table."""
    async with with_models(place.plain, DIVIDED) as db:
        await add_orders(db, "abcdefgh", 150)
        with db.tenant("c"):
            assert (await db.run("OrderCountNode"))["count"] == 150
            (row,) = (await db.run("OrderListNode", filter={"title": "c7"}))["records"]
            assert (await db.run("OrderReadNode", id=row["id"]))["title"] == "c7"
            done = await db.run("OrderUpdateNode", id=row["id"], fields={"total": 5})
            assert done["total"] == 5
            kept = {"customer_id": row["customer_id"], "title": "c7", "total": 6}
            done = await db.run("OrderUpsertNode", values=kept, match_fields=["title"])
            assert (done["id"], done["created"]) == (row["id"], False)
            new = [kept, {**kept, "title": "new"}]
            done = await db.run("OrderBulkUpsertNode", data=new, match_fields=["title"])
            assert (done["inserted"], done["updated"]) == (1, 1)
            with pytest.raises(UniqueViolation):
                await db.run("OrderCreateNode", customer_id=row["customer_id"], title="c7")
            assert await titles(db, filter={"customer.name": "c", "total": 6}) == ["c7", "new"]
            included = await db.run("CustomerListNode", include=["orders"])
            assert [len(one["orders"]) for one in included["records"]] == [151]
            assert (await db.run("OrderDeleteNode", id=row["id"]))["deleted"]
        with pytest.raises(TenantRequired):
            await db.run("OrderCountNode")
    plain = await asyncpg.connect(place.above)
    counts = [
        await plain.fetchval(f"SELECT COUNT(*) FROM orders_part_{number}")
        for number in range(_PARTS)
    ]
    await plain.close()
    assert sum(counts) == 8 * 150
    assert sum(map(bool, counts)) > 1


async def test_references_hold_within_the_tenant(place: Database) -> None:
    """A row refers to one of its own tenant; the key of a part is the tenant and the id."""
    async with with_models(place.plain, DIVIDED) as db:
        await add_orders(db, "ab", 1)
        with db.tenant("b"):
            (foreign,) = (await db.run("CustomerListNode"))["records"]
        with db.tenant("a"), pytest.raises(ForeignKeyViolation):
            await db.run("OrderCreateNode", customer_id=foreign["id"], title="new")


@pytest.mark.parametrize("more", [{}, {"row_security": True}])
async def test_a_second_start_changes_nothing(place: Database, more: dict[str, Any]) -> None:
    """The plan is empty, and discovery tells of one table, with its keys, and of no part."""
    asked = options(partitions=_PARTS, **more)
    async with with_models(place.plain, asked) as db:
        await add_orders(db, "a", 1)
        assert not await db.aplan()
    async with with_models(place.plain, asked) as db:
        assert not await db.aplan()
        with db.tenant("a"):
            assert await titles(db) == ["a0"]
        found = await db.adiscover_schema()
        assert "orders" in found
        assert "_part_" not in str(found)


async def test_row_security_holds_for_each_part(place: Database) -> None:
    """A part that is asked by its own name shows no row either, and one that is opened is seen."""
    asked = options(partitions=2, row_security=True)
    async with with_models(place.plain, asked) as db:
        await add_orders(db, "abcd", 2)
        with db.tenant("a"):
            assert await titles(db) == ["a0", "a1"]
    plain = await asyncpg.connect(place.plain)
    for table in ("orders", "orders_part_0", "orders_part_1"):
        assert await plain.fetch(f"SELECT * FROM {table}") == []
    await plain.execute("ALTER TABLE orders_part_1 DISABLE ROW LEVEL SECURITY")
    async with with_models(place.plain, asked) as db:
        assert "switch on row security" in str(await db.aplan())
        await db.amigrate()
        assert not await db.aplan()
    assert await plain.fetch("SELECT * FROM orders_part_1") == []
    async with with_models(place.plain, options(partitions=2)) as db:
        await db.amigrate(allow_data_loss=True)
        assert not await db.aplan()
    counts = [await plain.fetchval(f"SELECT COUNT(*) FROM orders_part_{n}") for n in range(2)]
    assert sum(counts) == 8
    await plain.close()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (options(), DIVIDED),
        (DIVIDED, options()),
        (DIVIDED, options(partitions=8)),
    ],
)
async def test_the_number_of_parts_stays(
    place: Database, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """A table is not put into parts, or into others, later: that is refused in words."""
    async with with_models(place.plain, before) as db:
        await add_orders(db, "a", 1)
    async with with_models(place.plain, after) as db:
        with db.tenant("a"), pytest.raises(SchemaMismatch, match="copy the rows"):
            await db.run("OrderListNode")


async def test_other_databases_refuse_parts(mysql_url: str) -> None:
    """Where tables have no parts, or parts no references, the model is refused."""
    for url in (mysql_url, "sqlite:///:memory:"):
        async with with_models(url, DIVIDED) as db:
            with db.tenant("a"), pytest.raises(UnsupportedFeature, match="partitions"):
                await db.run("CustomerListNode")


@pytest.mark.parametrize("count", [0, 1, 1_001, True, "8"])
async def test_the_number_is_checked(count: Any) -> None:
    """It is from 2 to 1,000."""
    with pytest.raises(InvalidModel, match="partitions"):
        with_models("sqlite:///:memory:", options(partitions=count))
