"""The audit log: what is read, redacted, pruned, removed; whose it is."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dataflow_core import AsyncLocalRuntime, DataFlow, WorkflowBuilder, field
from dataflow_core.errors import (
    DataFlowError,
    InvalidModel,
    InvalidValue,
    TenantMismatch,
    TenantRequired,
)
from dataflow_core.nodes.base import Context

WITHOUT_DATABASES = ("pgbouncer",)


class Person:
    __dataflow__ = {"audit_log": {"redact": ["secret"], "retention_days": 30}, "timestamps": False}

    name: str
    secret: str = ""
    age: int = 0


class Line:
    """A key of two fields, and values that JSON has not."""

    __dataflow__ = {"audit_log": True, "timestamps": False, "primary_key": ["order", "number"]}

    order: uuid.UUID
    number: int
    price: decimal.Decimal = field(precision=12, scale=2)
    at: dt.datetime
    raw: bytes
    counts: list[int]
    facts: dict


class Deal:
    __dataflow__ = {"multi_tenant": True, "timestamps": False}

    title: str


class Quiet:
    __dataflow__ = {"multi_tenant": True, "audit_log": False, "timestamps": False}

    title: str


def opened(url: str, **options: Any) -> DataFlow:
    """An instance with the models."""
    db = DataFlow(url, **options)
    for cls in (Person, Line, Deal, Quiet):
        db.model(type(cls.__name__, (cls,), {"__module__": __name__}), validation="off")
    return db


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[DataFlow]:
    """An instance with the models."""
    handle = opened(database_url, pool_size=8)
    yield handle
    await handle.aclose()


async def test_a_change_says_what_who_and_when(db: DataFlow) -> None:
    """Each entry has the row before and after, who made the change, and in which run."""
    began = dt.datetime.now(dt.UTC)
    with db.acting("ann"):
        builder = WorkflowBuilder(db)
        builder.add_node("PersonCreateNode", "one", {"name": "Ada"})
        _, run_id = await AsyncLocalRuntime().execute(builder.build())
    await db.run("PersonUpdateNode", id=1, fields={"age": 3})
    await db.run("PersonDeleteNode", id=1)
    made, changed, gone = await db.aaudit(model="Person", key=1)
    assert (made["kind"], made["actor"], made["run_id"]) == ("insert", "ann", run_id)
    assert began <= made["at"] <= dt.datetime.now(dt.UTC)
    assert (changed["kind"], changed["actor"], changed["run_id"]) == ("update", None, None)
    assert changed["before"] == made["after"] == {"id": 1, "name": "Ada", "age": 0}
    assert changed["after"] == gone["before"] == {"id": 1, "name": "Ada", "age": 3}
    assert (gone["kind"], gone["after"], made["before"]) == ("delete", None, None)


async def test_redacted_values_are_nowhere(db: DataFlow) -> None:
    """An entry says that a redacted field changed; its values are in no table of the log."""
    await db.run("PersonBulkCreateNode", data=[{"name": "a", "secret": "hush1"}, {"name": "b"}])
    await db.run("PersonUpdateNode", id=1, fields={"age": 1})
    await db.run("PersonUpdateNode", id=1, fields={"secret": "hush2"})
    await db.run("PersonBulkUpdateNode", filter={"id": {"$gt": 0}}, fields={"secret": "hush2"})
    told = [(entry["key"], entry["redacted"]) for entry in await db.aaudit(model=Person)]
    every = ["secret"]
    assert told == [(1, every), (2, every), (1, []), (1, every), (2, every)]
    stored = await db.run("SQLNode", sql="SELECT * FROM dataflow_audit")
    assert "hush" not in str(stored["records"])


async def test_values_come_back_as_they_were(db: DataFlow) -> None:
    """Keys of several fields, and values of types that JSON has not, from one row and from many."""
    order = uuid.uuid4()
    row = {
        "order": order,
        "price": decimal.Decimal("1.50"),
        "at": dt.datetime(2024, 2, 29, 1, 2, 3, 4, dt.UTC),
        "raw": b"\0\xff",
        "counts": [1, 2],
        "facts": {"a": [1, True, None, 1.5], "all": {"b": "ü"}},
    }
    await db.run("LineCreateNode", values={**row, "number": 1})
    await db.run("LineBulkCreateNode", data=[{**row, "number": number} for number in (2, 3)])
    for key in ({"order": order, "number": 1}, (order, 3)):
        [entry] = await db.aaudit(model="Line", key=key)
        number = entry["key"]["number"]
        assert entry["key"] == {"order": order, "number": number}
        assert entry["after"] == {**row, "number": number}
        assert repr(entry["after"]["facts"]) == repr(row["facts"])


async def test_long_contents_are_cut(db: DataFlow) -> None:
    """What is too long for one entry is several, which read as one."""
    data = [{"name": f"{number}".ljust(1_000, "x")} for number in range(2_500)]
    await db.run("PersonBulkCreateNode", data=data)
    told = await db.aaudit(model="Person")
    assert [entry["after"]["name"] for entry in told] == [row["name"] for row in data]
    stored = await db.run("SQLNode", sql="SELECT LENGTH(content) AS size FROM dataflow_audit")
    assert max(row["size"] for row in stored["records"]) <= 1_000_000
    assert (await db.averify_audit())["valid"]


async def test_entries_of_another_tenant_are_out_of_reach(db: DataFlow) -> None:
    """A tenant reads its own entries only; no node, stream, lookup or union reaches the tables."""
    for tenant in ("a", "b"):
        await db.run("DealCreateNode", title=f"of {tenant}", tenant_id=tenant)
    with db.tenant("a"):
        [entry] = await db.aaudit()
        assert (entry["tenant_id"], entry["after"]["title"]) == ("a", "of a")
        with pytest.raises(TenantMismatch):
            await db.aaudit(all_tenants=True)
        union = [{"$unionWith": {"coll": "DataflowAudit", "pipeline": []}}]
        reads: dict[str, dict[str, Any]] = {
            "DataflowAuditListNode": {"limit": 5},
            "DataflowAuditCountNode": {},
            "DataflowAuditUpdateNode": {"id": uuid.uuid4(), "fields": {"actor": "x"}},
            "DataflowAuditBulkDeleteNode": {"allow_all": True},
            "DataflowAuditSealListNode": {"limit": 5},
            "DataflowAuditHeadListNode": {"limit": 5},
            "DealListNode": {"aggregate": union},
        }
        for node, parameters in reads.items():
            with pytest.raises(DataFlowError):
                await db.run(node, **parameters)
        stream = db.node_type("DataflowAuditListNode").stream
        assert stream is not None
        with pytest.raises(InvalidValue):
            [row async for row in stream(Context(db), {})]
        with pytest.raises(TenantMismatch):
            await db.aaudit(model="Deal", tenant_id="b")
    assert await db.aaudit() == []
    with pytest.raises(TenantRequired):
        await db.aaudit(model="Deal", key=1)
    assert [one["tenant_id"] for one in await db.aaudit(model="Deal", tenant_id="b")] == ["b"]
    assert len(await db.aaudit(model="Deal", all_tenants=True)) == 2


async def test_a_tenant_checks_its_own_chains(db: DataFlow) -> None:
    """Where a tenant is in force, what is checked and named is of its rows only."""
    for tenant in ("a", "b"):
        await db.run("DealCreateNode", title="x", tenant_id=tenant)
    with db.tenant("a"):
        found = await db.averify_audit()
    assert (list(found["anchor"]["primary"]), found["chains"]) == (["Deal/a"], 1)
    assert set((await db.averify_audit())["anchor"]["primary"]) == {"Deal/a", "Deal/b"}


async def test_models_with_tenants_are_audited_unless_switched_off(db: DataFlow) -> None:
    """`multi_tenant` brings the log along; `audit_log: False` is the way out."""
    await db.run("DealCreateNode", title="x", tenant_id="a")
    await db.run("QuietCreateNode", title="x", tenant_id="a")
    assert {entry["model"] for entry in await db.aaudit(all_tenants=True)} == {"Deal"}


async def test_old_entries_go_and_the_rest_holds(db: DataFlow) -> None:
    """Pruning removes from the front, says so in the chain, and keeps what is young enough."""
    await db.run("PersonCreateNode", name="old")
    await db.run("LineBulkCreateNode", data=[])
    limit = dt.datetime.now(dt.UTC)
    await db.run("PersonCreateNode", name="young")
    anchor = (await db.averify_audit())["anchor"]
    assert await db.aprune_audit() == {}
    with db.acting("job"):
        assert await db.aprune_audit(before=limit) == {"Person": 1}
    assert [entry["key"] for entry in await db.aaudit(model="Person")] == [2]
    found = await db.averify_audit(anchor=anchor)
    assert found["valid"], found["problems"]
    assert await db.aprune_audit(before=dt.datetime.now(dt.UTC)) == {"Person": 2}
    await db.run("PersonCreateNode", name="next")
    found = await db.averify_audit(anchor=anchor)
    assert found["valid"], found["problems"]


async def test_removed_values_are_gone_and_the_chain_holds(db: DataFlow) -> None:
    """Tombstones take the values of a row from entries of one and of many rows, and no others."""
    await db.run("PersonBulkCreateNode", data=[{"name": "Ada"}, {"name": "Bob"}])
    await db.run("PersonUpdateNode", id=1, fields={"age": 7})
    with db.acting("officer"):
        assert await db.atombstone_audit(model="Person", key=1, fields=["name"]) == 2
        assert await db.atombstone_audit(model="Person", key=1, fields=["name"]) == 0
        assert await db.atombstone_audit(model="Person", key=1) == 2
    stored = await db.run("SQLNode", sql="SELECT content FROM dataflow_audit")
    assert "Ada" not in str(stored["records"])
    assert "Bob" in str(stored["records"])
    for entry in await db.aaudit(model="Person", key=1):
        assert entry["after"] == {"id": 1, "name": None, "age": None}
        assert entry["removed"] == ["name", "age"]
    [other] = await db.aaudit(model="Person", key=2)
    assert (other["after"]["name"], other["removed"]) == ("Bob", [])
    found = await db.averify_audit()
    assert found["valid"], found["problems"]


@pytest.mark.timeout(60)
async def test_calls_that_begin_a_chain_together_all_succeed(db: DataFlow) -> None:
    """Of calls without a transaction, the first of a chain, none fails for another one's sake."""
    with db.tenant("a"):
        await asyncio.gather(*(db.run("DealCreateNode", title=f"{at}") for at in range(20)))
    found = await db.averify_audit()
    assert found["valid"], found["problems"]
    assert found["anchor"]["primary"]["Deal/a"]["sequence"] == 20


@pytest.mark.timeout(120)
async def test_writers_at_once_make_one_chain(db: DataFlow) -> None:
    """Eight writers, of two models in either order: nobody fails, and the chains hold."""
    await db.run("PersonCreateNode", name="first")
    await db.run("DealCreateNode", title="first", tenant_id="a")

    async def write(number: int) -> None:
        names = ["Person", "Deal"] if number % 2 else ["Deal", "Person"]
        for _ in range(4):
            async with db.transaction():
                for name in names:
                    given = {"name": "x"} if name == "Person" else {"title": "x"}
                    await db.run(f"{name}BulkCreateNode", data=[given, given])

    with db.tenant("a"):
        await asyncio.gather(*map(write, range(8)))
    found = await db.averify_audit()
    assert found["valid"], found["problems"]
    assert found["anchor"]["primary"]["Person"]["sequence"] == 33
    assert found["anchor"]["primary"]["Deal/a"]["sequence"] == 33


def test_code_that_is_not_asynchronous(database_url: str) -> None:
    """Every method has a form that is simply called."""
    with opened(database_url) as db:
        db.run_sync("PersonCreateNode", name="x")
        assert len(db.audit(model="Person")) == 1
        assert db.verify_audit()["valid"]
        assert db.prune_audit() == {}
        assert db.tombstone_audit(model="Person", key=1) == 1


@pytest.mark.parametrize(
    "option",
    [
        {"redact": ["nme"]},
        {"redact": ["id"]},
        {"redact": "name"},
        {"retention_days": 0},
        {"retention_days": True},
        {"keep": 1},
        5,
    ],
)
def test_options_that_cannot_be_are_refused(option: Any) -> None:
    """A wrong option of the log is refused when the model is registered."""
    body = {"__annotations__": {"name": str}, "__dataflow__": {"audit_log": option}}
    with DataFlow() as db, pytest.raises(InvalidModel):
        db.model(type("Wrong", (), body), validation="off")


def test_without_audited_models_there_is_no_log() -> None:
    """Asking for a log that nobody writes is refused, and so is an actor that is none."""
    with DataFlow() as db:
        with pytest.raises(InvalidValue):
            db.audit()
        with pytest.raises(InvalidValue), db.acting(""):
            pass
