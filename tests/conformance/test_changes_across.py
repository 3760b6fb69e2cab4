"""Recorders of changes, on every database: what they are told is what became of the rows."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import pytest

from dataflow_core import AsyncLocalRuntime, DataFlow, WorkflowBuilder, field
from dataflow_core.contract import ChangeScope, RowChanges, hookimpl
from dataflow_core.errors import DataFlowError, UniqueViolation
from dataflow_core.schema import Model

WITHOUT_DATABASES = ("pgbouncer",)

Row = dict[str, Any]
Key = tuple[str, Any]


class Shadow:
    """Keeps the tables of the recorded models from what it is told; refuses what does not fit."""

    models: Sequence[Model] = ()

    def __init__(self) -> None:
        self.rows: dict[Key, Row] = {}
        self.told: list[tuple[str, str]] = []
        self.runs: list[str] = []
        self.fails: Exception | None = None

    async def record(self, changes: RowChanges, scope: ChangeScope) -> Any:
        """Keep the changes until the commit."""
        if self.fails is not None:
            raise self.fails
        self.runs.append(scope.run_id)
        return [(changes.model.name, change) for change in changes]

    async def before_commit(self, kept: Sequence[Any], scope: ChangeScope) -> None:
        """Make the changes."""
        for model, change in (one for several in kept for one in several):
            self.told.append((model, change.kind))
            row = change.before if change.after is None else change.after
            key = (model, row["id"])
            assert self.rows.get(key) == change.before, "the row was not like that before"
            if change.after is None:
                del self.rows[key]
            else:
                self.rows[key] = change.after


class Plugin:
    """Records the changes of some models."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.shadow = Shadow()

    @hookimpl
    def dataflow_change_recorder(self, model: Model) -> Shadow | None:
        """The shadow of the models asked for."""
        return self.shadow if model.name in self.names else None


class Owner:
    id: int
    name: str


class Person:
    name: str
    email: str | None = field(unique=True)
    age: int = 0
    notes: dict | None = None
    boss_id: int | None = field(references="Person.id", on_delete="set_null")


class Pet:
    id: uuid.UUID
    name: str
    owner_id: int | None = field(references="Owner.id", on_delete="cascade")
    friend_id: int | None = field(references="Person.id", on_delete="set_null")


class Instance:
    """An instance whose people and pets are recorded; its owners are not."""

    def __init__(self, url: str) -> None:
        self.plugin = Plugin("Person", "Pet")
        self.shadow = self.plugin.shadow
        self.db = DataFlow(url, plugins=[("shadow", self.plugin)], pool_size=4)
        for cls in (Owner, Person, Pet):
            declared = type(cls.__name__, (cls,), {"__module__": __name__})
            self.db.model(declared, validation="off")

    async def stored(self) -> dict[Key, Row]:
        """The rows of the recorded models."""
        rows = {}
        for name in self.plugin.names:
            found = await self.db.run(f"{name}ListNode", limit=100_000)
            rows.update({(name, row["id"]): row for row in found["records"]})
        return rows

    async def check(self) -> None:
        """The shadow is what is stored."""
        assert self.shadow.rows == await self.stored()


@pytest.fixture
async def instance(database_url: str) -> AsyncIterator[Instance]:
    """An instance with a few rows."""
    made = Instance(database_url)
    await made.db.run("OwnerBulkCreateNode", data=[{"id": at, "name": "o"} for at in (1, 2, 3)])
    people = [{"name": f"p{at}", "email": f"{at}@x", "age": at} for at in range(20)]
    await made.db.run("PersonBulkCreateNode", data=people)
    yield made
    await made.db.aclose()


def some(least: int, most: int) -> list[Row]:
    """People with emails of which some are taken."""
    return [{"name": f"n{at}", "email": f"{at}@x", "age": 7} for at in range(least, most)]


WRITES: dict[str, tuple[str, dict[str, Any]]] = {
    "create": ("PersonCreateNode", {"name": "new", "notes": {"a": [1]}}),
    "update by key": ("PersonUpdateNode", {"id": 3, "fields": {"$inc": {"age": 2}}}),
    "update by filter": ("PersonUpdateNode", {"filter": {"name": "p4"}, "fields": {"age": 50}}),
    "update of a document": (
        "PersonUpdateNode",
        {"id": 3, "fields": {"$set": {"notes.deep": 1}}},
    ),
    "delete": ("PersonDeleteNode", {"id": 3}),
    "upsert that inserts": (
        "PersonUpsertNode",
        {"name": "u", "email": "u@x", "match_fields": ["email"]},
    ),
    "upsert that changes": (
        "PersonUpsertNode",
        {"name": "u", "email": "5@x", "match_fields": ["email"]},
    ),
    "update or create": (
        "PersonUpsertNode",
        {
            "name": "u",
            "email": "5@x",
            "match_fields": ["email"],
            "fields": {"$inc": {"age": 1}},
        },
    ),
    "bulk create": ("PersonBulkCreateNode", {"data": some(100, 110)}),
    "bulk create, few at a time": (
        "PersonBulkCreateNode",
        {"data": some(100, 110), "batch_size": 3, "return_ids": True},
    ),
    "bulk create that skips": ("PersonBulkCreateNode", {"data": some(15, 25), "conflict": "skip"}),
    "bulk create that updates": (
        "PersonBulkCreateNode",
        {"data": some(15, 25), "conflict": "update"},
    ),
    "bulk create with failing batches": (
        "PersonBulkCreateNode",
        {"data": some(15, 27), "atomic": "batch", "batch_size": 4},
    ),
    "bulk update": (
        "PersonBulkUpdateNode",
        {"filter": {"age": {"$gte": 5}}, "fields": {"$inc": {"age": 1}}},
    ),
    "bulk update of documents": (
        "PersonBulkUpdateNode",
        {"filter": {"age": {"$gte": 5}}, "fields": {"$set": {"notes.x": 1}}},
    ),
    "bulk update by rows": (
        "PersonBulkUpdateNode",
        {"data": [{"id": 2, "age": 1}, {"id": 2, "age": 2}, {"id": 77, "age": 3}]},
    ),
    "bulk delete": ("PersonBulkDeleteNode", {"filter": {"age": {"$lt": 4}}}),
    "bulk delete by keys": ("PersonBulkDeleteNode", {"ids": [1, 2, 3, 999]}),
    "bulk delete of all": ("PersonBulkDeleteNode", {"allow_all": True}),
    "bulk upsert": (
        "PersonBulkUpsertNode",
        {"data": [*some(15, 25), *some(15, 17)], "match_fields": ["email"], "return_ids": True},
    ),
}


@pytest.mark.parametrize("what", WRITES)
async def test_what_is_told_is_what_became_of_the_rows(instance: Instance, what: str) -> None:
    """Every way to write rows hands on each change, as the rows were and as they are."""
    node, parameters = WRITES[what]
    before = len(instance.shadow.told)
    await instance.db.run(node, **parameters)
    assert len(instance.shadow.told) > before
    await instance.check()


async def test_many_rows_are_changed_page_by_page(instance: Instance) -> None:
    """More rows than are held at a time: each is changed, and told of, once."""
    await instance.db.run("PersonBulkCreateNode", data=some(1_000, 2_300))
    await instance.db.run(
        "PersonBulkUpdateNode", filter={"age": 7}, fields={"$inc": {"age": 1}, "name": "all"}
    )
    await instance.check()
    assert instance.shadow.told.count(("Person", "update")) == 1_301
    await instance.db.run("PersonBulkDeleteNode", filter={"name": "all"})
    await instance.check()
    assert instance.shadow.told.count(("Person", "delete")) == 1_301


async def test_what_foreign_keys_do_is_told(instance: Instance) -> None:
    """Deleting rows that are not recorded tells of the recorded ones that go or are cleared."""
    db = instance.db
    pets = [{"name": f"t{at}", "owner_id": at % 3 + 1, "friend_id": at + 1} for at in range(9)]
    await db.run("PetBulkCreateNode", data=pets)
    await db.run("PersonUpdateNode", id=2, fields={"boss_id": 1})
    await db.run("OwnerDeleteNode", id=1)
    await instance.check()
    await db.run("OwnerBulkDeleteNode", filter={"id": {"$gte": 3}})
    await instance.check()
    await db.run("PersonBulkDeleteNode", ids=[1, 2])
    await instance.check()
    assert instance.shadow.told.count(("Pet", "delete")) == 6


async def test_rolled_back_changes_are_not_told(instance: Instance) -> None:
    """A failed write, a savepoint and a transaction that are undone leave no record."""
    db = instance.db
    with pytest.raises(UniqueViolation):
        await db.run("PersonCreateNode", name="twice", email="1@x")
    with pytest.raises(DataFlowError):
        await db.run("PersonBulkCreateNode", data=[*some(200, 210), {"name": 5}])
    with pytest.raises(ZeroDivisionError):
        async with db.transaction():
            await db.run("PersonCreateNode", name="gone")
            raise ZeroDivisionError
    async with db.transaction():
        await db.run("PersonCreateNode", name="stays")
        with pytest.raises(ZeroDivisionError):
            async with db.transaction():
                await db.run("PersonBulkUpdateNode", filter={"age": 3}, fields={"age": 4})
                await db.run("PersonCreateNode", name="gone")
                raise ZeroDivisionError
        await db.run("PersonCreateNode", name="stays too")
    async with db.transaction(statement_savepoints=True):
        await db.run("PersonCreateNode", name="first", email="first@x")
        with pytest.raises(UniqueViolation):
            await db.run("PersonCreateNode", name="second", email="first@x")
    await instance.check()
    assert "gone" not in {row["name"] for row in instance.shadow.rows.values()}


async def test_a_recorder_that_fails_undoes_the_change(instance: Instance) -> None:
    """No change stays without its record: not alone, and not in a transaction that goes on."""
    db, shadow = instance.db, instance.shadow
    before = await instance.stored()
    shadow.fails = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await db.run("PersonCreateNode", name="x")
    with pytest.raises(DataFlowError):
        async with db.transaction():
            with pytest.raises(ZeroDivisionError):
                await db.run("PersonUpdateNode", id=1, fields={"age": 99})
    with pytest.raises(ZeroDivisionError):
        await db.run("PersonBulkDeleteNode", allow_all=True)
    shadow.fails = None
    assert await instance.stored() == before


async def test_a_commit_that_is_refused_undoes_the_change(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a recorder raises before the commit ends the transaction, and reaches the caller."""

    async def refuse(kept: Sequence[Any], scope: ChangeScope) -> None:
        raise ZeroDivisionError

    before = await instance.stored()
    monkeypatch.setattr(instance.shadow, "before_commit", refuse)
    with pytest.raises(ZeroDivisionError):
        await instance.db.run("PersonDeleteNode", id=1)
    with pytest.raises(ZeroDivisionError):
        async with instance.db.transaction():
            await instance.db.run("PersonDeleteNode", id=1)
    assert await instance.stored() == before


def test_code_that_is_not_asynchronous(database_url: str) -> None:
    """The same within ``with db.transaction()``, whose commit another thread sends."""
    made = Instance(database_url)
    with made.db, made.db.transaction():
        made.db.run_sync("PersonCreateNode", name="a")
        made.db.run_sync("PersonUpdateNode", id=1, fields={"age": 4})
    assert made.shadow.told == [("Person", "insert"), ("Person", "update")]


async def test_the_run_of_a_workflow_is_known(instance: Instance) -> None:
    """A recorder knows the id of the run that makes a change, and that none does."""
    instance.shadow.runs.clear()
    builder = WorkflowBuilder(instance.db)
    builder.add_node("PersonCreateNode", "one", {"name": "w"})
    builder.add_node("PersonBulkCreateNode", "many", {"data": some(300, 302)})
    _, run_id = await AsyncLocalRuntime().execute(builder.build())
    await instance.db.run("PersonCreateNode", name="alone")
    assert instance.shadow.runs == [run_id, run_id, ""]


@pytest.mark.timeout(120)
async def test_upserts_of_the_same_rows_at_once(instance: Instance) -> None:
    """Eight writers of the same new rows: each is inserted once, and the others see it before."""

    async def write(number: int) -> None:
        rows = [{"name": f"w{number}", "email": f"same{at}@x"} for at in range(5)]
        async for attempt in instance.db.transaction(retry=50):
            async with attempt:
                await instance.db.run("PersonBulkUpsertNode", data=rows, match_fields=["email"])

    await asyncio.gather(*map(write, range(8)))
    # What is told at the commit comes in the order of the commits, so the shadow has to fit.
    await instance.check()


def random_write(pick: random.Random) -> tuple[str, dict[str, Any]]:
    """A write with values of its own."""
    key, age = pick.randint(1, 40), pick.randint(0, 30)
    first = pick.randint(0, 40)
    makers: list[Callable[[], tuple[str, dict[str, Any]]]] = [
        lambda: ("PersonCreateNode", {"name": "r", "age": age, "email": f"{first}@x"}),
        lambda: ("PersonUpdateNode", {"id": key, "fields": {"age": age, "boss_id": None}}),
        lambda: ("PersonUpdateNode", {"filter": {"email": f"{first}@x"}, "fields": {"age": age}}),
        lambda: ("PersonDeleteNode", {"id": key}),
        lambda: (
            "PersonUpsertNode",
            {"name": "q", "email": f"{first}@x", "age": age, "match_fields": ["email"]},
        ),
        lambda: ("PersonBulkCreateNode", {"data": some(first, first + 3), "conflict": "skip"}),
        lambda: ("PersonBulkCreateNode", {"data": some(first, first + 3), "conflict": "update"}),
        lambda: (
            "PersonBulkUpdateNode",
            {"filter": {"age": {"$gt": age}}, "fields": {"$mul": {"age": 0}}},
        ),
        lambda: ("PersonBulkDeleteNode", {"filter": {"age": age}}),
        lambda: (
            "PersonBulkUpsertNode",
            {"data": some(first, first + 5), "match_fields": ["email"]},
        ),
    ]
    return pick.choice(makers)()


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_writes(instance: Instance, seed: int) -> None:
    """Random writes, alone and in transactions of which some are undone: the shadow fits."""
    pick = random.Random(seed)

    async def one() -> None:
        node, parameters = random_write(pick)
        try:
            async with instance.db.transaction():
                await instance.db.run(node, **parameters)
                if pick.random() < 0.2:
                    raise ZeroDivisionError
        except (UniqueViolation, ZeroDivisionError):
            return

    works: list[Callable[[], Coroutine[Any, Any, None]]] = [one] * 60
    for work in works:
        if pick.random() < 0.3:
            async with instance.db.transaction():
                await work()
                await work()
        else:
            await work()
    await instance.check()
