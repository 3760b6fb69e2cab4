"""Row security on PostgreSQL: how tables get it, and where it is refused."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from dataflow_core import DataFlow, field
from dataflow_core.errors import (
    InvalidModel,
    SchemaChangeRefused,
    SchemaMismatch,
    UnsupportedFeature,
)
from tests.policies.secured import SECURED, Database, with_models


async def test_the_option_comes_to_a_table_that_is_there(place: Database) -> None:
    """It is a step of the plan; done, there is nothing left to do, also for the next instance."""
    plain = {**SECURED, "multi_tenant": True}
    async with with_models(place.plain, plain) as db:
        with db.tenant("a"):
            await db.run("CustomerCreateNode", name="Ada")
    async with with_models(place.plain, auto_migrate=False) as db:
        with db.tenant("a"), pytest.raises(SchemaMismatch, match="keep its rows apart"):
            await db.run("CustomerListNode")
    async with with_models(place.plain) as db:
        assert "switch on row security by 'tenant_id'" in str(await db.aplan())
        with db.tenant("a"):
            assert (await db.run("CustomerListNode"))["count"] == 1
        await db.amigrate()
        assert not await db.aplan()
    async with with_models(place.plain) as db:
        assert not await db.aplan()
    connection = await asyncpg.connect(place.plain)
    assert await connection.fetch("SELECT * FROM customers") == []
    await connection.close()


async def test_it_is_switched_off_by_consent_only(place: Database, db: DataFlow) -> None:
    """A program without the option is refused, and what is switched off is off for good."""
    plain = {**SECURED, "multi_tenant": True}
    async with with_models(place.plain, plain) as other:
        with other.tenant("a"), pytest.raises(SchemaChangeRefused, match="lose its row security"):
            await other.run("OrderListNode")
        plan = await other.amigrate(allow_data_loss=True)
        assert "switch off row security by 'tenant_id' (LOSES A LOCK)" in str(plan)
        assert not await other.aplan()
        with other.tenant("a"):
            assert (await other.run("OrderListNode"))["count"] == 3
    connection = await asyncpg.connect(place.plain)
    assert await connection.fetchval("SELECT COUNT(*) FROM orders") == 6
    await connection.close()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE customers NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE customers DISABLE ROW LEVEL SECURITY",
        "DROP POLICY dataflow_tenant ON customers",
        "ALTER POLICY dataflow_tenant ON customers USING (TRUE)",
        "ALTER POLICY dataflow_tenant ON customers WITH CHECK (TRUE)",
    ],
)
async def test_a_lock_that_somebody_opened_is_seen(
    db: DataFlow, place: Database, change: str
) -> None:
    """The next start puts it back, whatever part of it was taken away."""
    connection = await asyncpg.connect(place.plain)
    await connection.execute(change)
    async with with_models(place.plain) as other:
        assert "switch on row security" in str(await other.aplan())
        with other.tenant("a"):
            assert (await other.run("CustomerListNode"))["count"] == 1
        assert not await other.aplan()
    assert await connection.fetch("SELECT * FROM customers") == []
    await connection.close()


@pytest.mark.parametrize("kind", [str, int])
async def test_tenants_of_other_types(place: Database, kind: type) -> None:
    """A tenant is compared as a value of its column's type, and the type may grow."""
    given: Any = kind(7)
    wider: dict[str, Any] = {"bits": 64} if kind is int else {"max_length": 80}
    narrower: dict[str, Any] = {"bits": 32} if kind is int else {"max_length": 20}
    for sizes in (narrower, wider):
        async with DataFlow(place.plain) as db:
            fields = {"id": int, "tenant_id": kind}
            namespace = {
                "__annotations__": fields,
                "tenant_id": field(**sizes),
                "__dataflow__": SECURED,
            }
            db.model(type("Note", (), namespace))
            with db.tenant(given):
                await db.run("NoteCreateNode")
                count = (await db.run("NoteCountNode"))["count"]
            assert not await db.aplan()
    assert count == 2
    connection = await asyncpg.connect(place.plain)
    assert await connection.fetch("SELECT * FROM notes") == []
    await connection.close()


# Where it cannot hold


async def test_a_role_that_sees_every_row_is_refused(db: DataFlow, place: Database) -> None:
    """Superusers and roles with BYPASSRLS are refused at the first use, and nothing is sent."""
    above = await asyncpg.connect(place.above)
    for url in (place.above, place.plain):
        await above.execute(f"ALTER ROLE {place.role} BYPASSRLS")
        async with with_models(url) as other:
            with other.tenant("a"), pytest.raises(UnsupportedFeature, match="sees every row"):
                await other.run("OrderListNode")
            with pytest.raises(UnsupportedFeature, match="sees every row"):
                await other.aplan()
    await above.close()


async def test_other_databases_refuse_the_option(mysql_url: str) -> None:
    """Where the database has no row security the model is refused, and no table is made."""
    for url in (mysql_url, "sqlite:///:memory:"):
        async with with_models(url) as db:
            with db.tenant("a"), pytest.raises(UnsupportedFeature, match="row_security"):
                await db.run("CustomerListNode")
            with db.tenant("a"), pytest.raises(UnsupportedFeature, match="row_security"):
                await db.run("OrderCreateNode", customer_id=1, title="new")
            found = await db.adiscover_schema()
            assert "customers" not in str(found)


async def test_the_option_is_a_bool() -> None:
    """Anything else is refused when the model is registered."""
    with pytest.raises(InvalidModel, match="row_security"):
        with_models("sqlite:///:memory:", {"multi_tenant": {"row_security": "yes"}})
