"""Row security on PostgreSQL: the lock alone, and the tenant that the database is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from dataflow_core import DataFlow, field
from dataflow_core.errors import (
    DatabaseError,
    DataFlowError,
    TenantRequired,
    UniqueViolation,
)
from dataflow_core.run import plans
from dataflow_core.run.session import Session
from tests.policies.secured import MANY, SECURED, Database, stored, titles

_SETTING: Final = "SELECT current_setting('dataflow.tenant_id', TRUE)"


@pytest.fixture
def lock_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core confines nothing."""
    monkeypatch.setattr(plans, "confined", lambda operation: operation)


# The lock alone


@pytest.mark.usefixtures("lock_alone")
async def test_reads_see_nothing_of_others(db: DataFlow, tmp_path: Path) -> None:
    """Lists, counts, reads, aggregates, relations, exports and streams, by the lock alone."""
    own = ["a0", "a1", "a2"]
    with db.tenant("b"):
        (foreign,) = (await db.run("OrderListNode", filter={"title": "b0"}))["records"]
    with db.tenant("a"):
        assert await titles(db) == own
        assert (await db.run("OrderCountNode"))["count"] == 3
        read = await db.run("OrderReadNode", id=foreign["id"], raise_on_not_found=False)
        assert not read["found"]
        assert await titles(db, filter={"title": {"$startswith": "b"}}) == []
        related = {"customer.name": {"$startswith": "of "}}
        assert await titles(db, filter=related) == own
        included = await db.run("CustomerListNode", include=["orders"])
        assert [len(row["orders"]) for row in included["records"]] == [3]
        sums: dict[str, Any] = {"n": {"$count": {}}, "sum": {"$sum": "$total"}}
        grouped = await db.run("OrderListNode", aggregate=[{"$group": {"_id": None, **sums}}])
        assert [(row["n"], row["sum"]) for row in grouped["result"]] == [(3, 3)]
        facet = await db.run("OrderListNode", aggregate=[{"$facet": {"n": [{"$count": "n"}]}}])
        assert facet["result"][0]["n"] == [{"n": 3}]
        exported = await db.run("OrderExportNode", path=str(tmp_path / "orders.csv"))
        assert exported["rows"] == 3
        stream = db.nodes.Order.stream(order_by=["id"])
        assert [row["title"] async for row in stream] == own


@pytest.mark.usefixtures("lock_alone")
async def test_writes_change_nothing_of_others(db: DataFlow, place: Database) -> None:
    """Updates, deletions and upserts, single and bulk, by key and by filter, by the lock alone."""
    before = await stored(place, "b")
    key = {"id": before[0][0]}
    with db.tenant("a"):
        update = {"fields": {"total": 9}}
        assert not (await db.run("OrderUpdateNode", **key, **update))["updated"]
        assert not (await db.run("OrderUpdateNode", filter={"title": "b0"}, **update))["updated"]
        assert not (await db.run("OrderDeleteNode", **key))["deleted"]
        done = await db.run("OrderBulkUpdateNode", data=[{**key, "total": 9}])
        assert done["matched"] == 0
        done = await db.run("OrderBulkUpdateNode", filter={}, allow_all=True, **update)
        assert done["matched"] == 3
        assert (await db.run("OrderBulkDeleteNode", ids=[key["id"]]))["matched"] == 0
        customer = (await db.run("CustomerListNode"))["records"][0]["id"]
        rows = [{"customer_id": customer, "title": f"b{number}"} for number in range(MANY)]
        upserted = await db.run("OrderBulkUpsertNode", data=rows, match_fields=["title"])
        assert upserted["inserted"] == MANY
        row = {**key, "customer_id": customer, "title": "new"}
        for node in ("OrderUpsertNode", "OrderCreateNode"):
            with pytest.raises((UniqueViolation, DatabaseError)):
                await db.run(node, values=row)
        assert (await db.run("OrderBulkDeleteNode", filter={}, allow_all=True))["matched"] == (
            3 + MANY
        )
    assert await stored(place, "a") == []
    assert await stored(place, "b") == before


async def _every_way(db: DataFlow, customer: int, key: int) -> list[Any]:
    """What each kind of node does to the row of a key, and to all; errors as their classes."""
    row = {"customer_id": customer, "title": "new"}
    filter: dict[str, Any] = {"total": {"$gte": 0}}

    async def streamed() -> int:
        return len([row async for row in db.nodes.Order.stream()])

    ways: list[Callable[[], Any]] = [
        lambda: db.run("OrderListNode"),
        lambda: db.run("OrderCountNode", filter=filter),
        lambda: db.run("OrderReadNode", id=key, raise_on_not_found=False),
        lambda: db.run("OrderUpdateNode", id=key, fields={"total": 9}),
        lambda: db.run("OrderDeleteNode", id=key),
        lambda: db.run("OrderBulkUpdateNode", filter=filter, fields={"total": 9}),
        lambda: db.run("OrderBulkUpdateNode", data=[{"id": key, "total": 9}]),
        lambda: db.run("OrderBulkDeleteNode", filter=filter),
        streamed,
        lambda: db.run("OrderCreateNode", **row),
        lambda: db.run("OrderBulkCreateNode", data=[row]),
        lambda: db.run("OrderBulkCreateNode", data=[{**row, "title": f"{n}"} for n in range(MANY)]),
        lambda: db.run("OrderUpsertNode", values=row, match_fields=["title"]),
        lambda: db.run("OrderBulkUpsertNode", data=[row], match_fields=["title"]),
        lambda: db.run(
            "OrderBulkUpsertNode",
            data=[{**row, "title": f"b{n}"} for n in range(MANY)],
            match_fields=["title"],
        ),
    ]
    found: list[Any] = []
    for way in ways:
        try:
            result = await way()
        except DataFlowError as error:
            found.append(type(error))
            continue
        names = ("count", "found", "updated", "deleted", "matched")
        given = [result[name] for name in names if name in result] if result else [0]
        found.append(int(given[-1]))
    return found


async def test_a_core_that_takes_one_tenant_for_another_gets_nowhere(
    db: DataFlow, place: Database
) -> None:
    """Though the core fills in b, the database that is told a shows and takes nothing of b."""
    before = await stored(place, "b")
    [customer, key] = [before[0][2], before[0][0]]
    with db.tenant("b"):
        await db.run("OrderCountNode")
        db.engine().telling.tenant = lambda: "a"
        found = await _every_way(db, customer, key)
        async with db.transaction():
            assert (await db.run("OrderCountNode"))["count"] == 0
    assert found == [0] * 9 + [DatabaseError] * 6
    assert await stored(place, "b") == before
    assert len(await stored(place, "a")) == 3


@pytest.mark.usefixtures("lock_alone")
async def test_without_a_tenant_there_is_nothing(db: DataFlow) -> None:
    """No rows are seen and none are taken, inside and outside of transactions."""
    for _ in range(2):
        assert await titles(db) == []
        assert (await db.run("OrderCountNode"))["count"] == 0
        done = await db.run("OrderBulkDeleteNode", filter={}, allow_all=True)
        assert done["matched"] == 0
        async with db.transaction():
            assert await titles(db) == []
        with db.tenant("a"):
            assert len(await titles(db)) == 3
    with pytest.raises(TenantRequired):
        await db.run("OrderCreateNode", customer_id=1, title="new")


async def test_others_with_the_role_see_nothing(db: DataFlow, place: Database) -> None:
    """A plain connection of the owner sees no row, takes none, and moves none to another tenant."""
    with db.tenant("a"):
        assert (await db.run("OrderCountNode"))["count"] == 3
    plain = await asyncpg.connect(place.plain)
    insert = "INSERT INTO orders (tenant_id, customer_id, title, total) VALUES ($1, 1, 'new', 0)"
    refused = asyncpg.InsufficientPrivilegeError
    assert await plain.fetch("SELECT * FROM orders") == []
    with pytest.raises(refused, match="row-level security"):
        await plain.execute(insert, "a")
    async with plain.transaction():
        await plain.execute("SELECT set_config('dataflow.tenant_id', 'a', TRUE)")
        assert await plain.fetchval("SELECT COUNT(*) FROM orders") == 3
        with pytest.raises(refused, match="row-level security"):
            async with plain.transaction():
                await plain.execute(insert, "b")
        with pytest.raises(refused, match="row-level security"):
            async with plain.transaction():
                await plain.execute("UPDATE orders SET tenant_id = 'b'")
    # The setting is an empty text now, which is no tenant either.
    assert await plain.fetch("SELECT * FROM orders") == []
    with pytest.raises(refused, match="row-level security"):
        await plain.execute(insert, "")
    await plain.close()


# Telling the tenant


async def test_nothing_stays_in_the_session(db: DataFlow) -> None:
    """After reads, writes, streams, transactions and errors no connection knows a tenant."""
    with db.tenant("a"):
        await db.run("OrderListNode")
        await db.run("OrderUpdateNode", filter={"title": "a0"}, fields={"total": 5})
        assert len([row async for row in db.nodes.Order.stream()]) == 3
        stream = db.nodes.Order.stream()
        assert (await anext(stream))["title"]
        await stream.aclose()
        async with db.transaction():
            await db.run("OrderListNode")
        with pytest.raises(DataFlowError):
            await db.run("OrderCreateNode", customer_id=-1, title="new")
    for _ in range(5):
        found = await asyncio.gather(*(db.run("SQLNode", sql=_SETTING) for _ in range(4)))
        assert {row["current_setting"] for one in found for row in one["records"]} <= {"", None}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tenants that are told, in order."""
    found: list[str] = []
    fetch = Session.fetch

    def noted(session: Session, sql: str, parameters: Sequence[Any], situation: Any) -> Any:
        if "set_config" in sql:
            found.append(parameters[0])
        return fetch(session, sql, parameters, situation)

    monkeypatch.setattr(Session, "fetch", noted)
    return found


async def test_the_tenant_is_told_once_for_a_transaction(db: DataFlow, told: list[str]) -> None:
    """And again only when another one is in force."""
    async with db.transaction():
        for tenant in "aba":
            with db.tenant(tenant):
                assert (await db.run("OrderCountNode"))["count"] == 3
                assert len(await titles(db)) == 3
    assert told == ["a", "b", "a"]


async def test_the_tenant_is_told_again_after_a_savepoint(db: DataFlow, told: list[str]) -> None:
    """What is undone by going back to a savepoint is also what was told since."""
    async with db.transaction():
        with db.tenant("a"):
            assert len(await titles(db)) == 3
        with db.tenant("b"):
            with pytest.raises(ZeroDivisionError):
                async with db.transaction():
                    assert len(await titles(db)) == 3
                    raise ZeroDivisionError
            assert len(await titles(db)) == 3
    assert told == ["a", "b", "b"]


async def test_tasks_of_two_tenants_share_a_transaction(db: DataFlow) -> None:
    """Each statement is seen by the tenant of the task that sends it."""

    async def seen(tenant: str) -> set[str]:
        with db.tenant(tenant):
            return {title[0] for _ in range(5) for title in await titles(db)}

    async with db.transaction():
        found = await asyncio.gather(*map(seen, "abab"))
    assert found == [{"a"}, {"b"}, {"a"}, {"b"}]


async def test_a_transaction_that_is_sent_again_tells_again(db: DataFlow) -> None:
    """Two transactions that deadlock are both done, each by its tenants, by sending all again."""
    first, second = asyncio.Event(), asyncio.Event()

    async def change(tenant: str) -> None:
        with db.tenant(tenant):
            filter, fields = {"title": f"{tenant}0"}, {"total": 10}
            done = await db.run("OrderBulkUpdateNode", filter=filter, fields=fields)
            assert done["matched"] == 1

    async def work(one: str, other: str, mine: asyncio.Event, its: asyncio.Event) -> None:
        async with db.transaction(retry=3):
            await change(one)
            mine.set()
            await its.wait()
            await change(other)

    await asyncio.gather(work("a", "b", first, second), work("b", "a", second, first))
    for tenant in "ab":
        with db.tenant(tenant):
            assert await titles(db, filter={"total": 10}) == [f"{tenant}0"]


@pytest.mark.usefixtures("lock_alone")
async def test_a_statement_of_ones_own_cannot_leave_a_tenant(db: DataFlow) -> None:
    """Whatever it sets in the transaction, the next call tells the tenant, or that none is."""
    async with db.transaction():
        with db.tenant("a"):
            assert len(await titles(db)) == 3
        await db.run("SQLNode", sql="SELECT set_config('dataflow.tenant_id', 'b', TRUE)")
        assert await titles(db) == []


async def test_a_stream_is_that_of_the_tenant_who_asked(db: DataFlow) -> None:
    """A stream that is made under one tenant and read under another gives the first one's rows."""
    with db.tenant("a"):
        stream = db.nodes.Order.stream(order_by=["id"])
    with db.tenant("b"):
        assert [row["title"] async for row in stream] == ["a0", "a1", "a2"]


async def test_bulk_writes_are_of_the_tenant(db: DataFlow, place: Database) -> None:
    """Many rows are inserted without COPY, upserted and changed by their keys."""
    with db.tenant("a"):
        customer = (await db.run("CustomerListNode"))["records"][0]["id"]
        rows = [{"customer_id": customer, "title": f"new{number}"} for number in range(MANY)]
        assert (await db.run("OrderBulkCreateNode", data=rows))["inserted"] == MANY
        changed = [{**row, "total": 7} for row in rows]
        done = await db.run("OrderBulkUpsertNode", data=changed, match_fields=["title"])
        assert (done["inserted"], done["updated"]) == (0, MANY)
        found = await db.run("OrderListNode", filter={"total": 7}, limit=1)
        keys = [{"id": row["id"], "total": 8} for row in found["records"]]
        assert (await db.run("OrderBulkUpdateNode", data=keys))["matched"] == 1
    assert len(await stored(place, "a")) == 3 + MANY
    assert len(await stored(place, "b")) == 3


async def test_a_model_beside_secured_ones_needs_no_lock_itself(place: Database) -> None:
    """A secured model whose table was seen to with one that refers to it is told the tenant too."""
    async with DataFlow(place.plain) as db:

        @db.model
        class Customer:
            id: int
            name: str = field(max_length=40)
            __dataflow__ = SECURED

        @db.model
        class Visit:
            id: int
            customer_id: int = field(references="Customer.id")
            __dataflow__ = {"multi_tenant": True}

        with db.tenant("a"):
            assert (await db.run("VisitCountNode"))["count"] == 0
            customer = await db.run("CustomerCreateNode", name="Ada")
            await db.run("VisitCreateNode", customer_id=customer["id"])
            found = await db.run("VisitListNode", filter={"customer.name": "Ada"})
            assert found["count"] == 1


async def test_a_table_that_was_changed_since_is_read_all_the_same(
    db: DataFlow, place: Database
) -> None:
    """A statement that was prepared for the table as it was is prepared anew, and nobody hears."""
    plain = await asyncpg.connect(place.plain)
    with db.tenant("a"):
        assert len(await titles(db)) == 3
        await plain.execute("ALTER TABLE orders ALTER title TYPE varchar(90)")
        assert len(await titles(db)) == 3
        await plain.execute("ALTER TABLE orders ALTER total TYPE numeric USING total")
        await plain.execute("ALTER TABLE orders ALTER total TYPE bigint USING total")
        assert (await db.run("OrderCountNode"))["count"] == 3
    await plain.close()
