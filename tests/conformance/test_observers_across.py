"""What observers are told, on every database."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from dataflow_core import AsyncLocalRuntime, Context, DataFlow, WorkflowBuilder, field
from dataflow_core.contract import (
    Ended,
    NodeRun,
    Observer,
    StatementRun,
    WorkflowRun,
    hookimpl,
)
from dataflow_core.errors import NodeExecutionError, PoolTimeout, UniqueViolation

WITHOUT_DATABASES = ("pgbouncer",)
SECRET = "Hunter22"


class Watcher(Observer):
    """Notes everything, and is the plugin that offers itself."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.statements: list[tuple[StatementRun, Ended]] = []
        self.nodes: list[tuple[NodeRun, Ended]] = []
        self.pools: Counter[str] = Counter()

    @hookimpl
    def dataflow_observer(self) -> Observer:
        return self

    def run_began(self, run: WorkflowRun) -> None:
        self.events.append(("run began", run))

    def run_ended(self, run: WorkflowRun, end: Ended) -> None:
        self.events.append(("run ended", run))

    def node_began(self, run: NodeRun) -> None:
        self.events.append(("node began", run))

    def node_ended(self, run: NodeRun, end: Ended) -> None:
        self.events.append(("node ended", run))
        self.nodes.append((run, end))

    def statement_began(self, statement: StatementRun) -> None:
        self.events.append(("statement began", statement))

    def statement_ended(self, statement: StatementRun, end: Ended) -> None:
        self.events.append(("statement ended", statement))
        self.statements.append((statement, end))

    def connection_opened(self, database: str, lane: str) -> None:
        self.pools["opened"] += 1

    def connection_closed(self, database: str, lane: str) -> None:
        self.pools["closed"] += 1

    def acquire_timed_out(self, database: str, lane: str, seconds: float) -> None:
        self.pools["timed out"] += 1

    def clear(self) -> None:
        """Forget what was before."""
        self.events.clear()
        self.statements.clear()
        self.nodes.clear()

    def sent(self) -> list[StatementRun]:
        """The statements that are not control."""
        return [run for run, _ in self.statements if not run.control]


class Person:
    __dataflow__ = {"timestamps": False}

    name: str | None = field(default=None, unique=True)
    age: int = 0


@pytest.fixture
def watcher() -> Watcher:
    """What is told."""
    return Watcher()


@pytest.fixture
async def db(database_url: str, watcher: Watcher) -> Any:
    """An instance with the watcher, its table made."""
    handle = DataFlow(
        database_url, plugins=[("watcher", watcher)], pool_size=2, max_overflow=0, pool_timeout=0.3
    )
    handle.model(type("Person", (Person,), {"__module__": __name__}), validation="off")
    await handle.run("PersonBulkCreateNode", data=[{"name": f"p{at}"} for at in range(1, 9)])
    watcher.clear()
    yield handle
    await handle.aclose()


def nodes_of(statements: Sequence[StatementRun]) -> list[str]:
    """The ids of the nodes that statements were sent for."""
    return [node.node_id or node.node for run in statements for node in run.nodes]


async def test_a_workflow_is_told_from_the_outside_in(db: DataFlow, watcher: Watcher) -> None:
    """Run, node, statement begin in this order and end in the opposite one, of the same ids."""
    workflow = WorkflowBuilder(db)
    workflow.add_node("PersonListNode", "all", {"order_by": ["id"]})
    _, run_id = await AsyncLocalRuntime().execute(workflow.build())
    assert [name for name, _ in watcher.events] == [
        *("run began", "node began", "statement began"),
        *("statement ended", "node ended", "run ended"),
    ]
    run, node, statement = (what for _, what in watcher.events[:3])
    assert (run.run_id, run.nodes) == (run_id, ("all",))
    assert (node.node, node.node_id, node.run_id) == ("PersonListNode", "all", run_id)
    assert (statement.database, statement.table, statement.nodes) == ("primary", "persons", (node,))
    assert statement.dialect == db.engine().dialect.name
    assert statement.sql.startswith("SELECT")
    assert (watcher.statements[0][1].rows, watcher.nodes[0][1].rows) == (8, 8)
    assert 0 < watcher.statements[0][1].seconds <= watcher.nodes[0][1].seconds


ROWS: dict[str, tuple[dict[str, Any], int]] = {
    "create": ({"name": "x"}, 1),
    "read": ({"id": 1}, 1),
    "update": ({"id": 1, "fields": {"age": 2}}, 1),
    "upsert": ({"values": {"name": "p2", "age": 2}, "match_fields": ["name"]}, 1),
    "delete": ({"id": 99}, 0),
    "list": ({"limit": 3}, 3),
    "count": ({}, 0),
    "bulk_create": ({"data": [{"name": "y"}, {"name": "z"}]}, 2),
    "bulk_update": ({"filter": {"id": {"$lte": 3}}, "fields": {"age": 7}}, 3),
    "bulk_upsert": ({"data": [{"id": 1, "age": 3}, {"id": 2, "age": 3}]}, 2),
    "bulk_delete": ({"ids": [7, 8]}, 2),
}


async def test_every_node_has_its_rows_and_its_statements(db: DataFlow, watcher: Watcher) -> None:
    """Each statement ends once, belongs to the node, and is that of its table."""
    for kind, (parameters, rows) in ROWS.items():
        watcher.clear()
        await getattr(db.nodes.Person, kind)(**parameters)
        [(run, end)] = watcher.nodes
        assert (kind, end.rows, end.failure) == (kind, rows, None)
        began = [what for name, what in watcher.events if name == "statement began"]
        assert began
        assert sorted(map(id, began)) == sorted(id(one) for one, _ in watcher.statements)
        assert all(one.nodes == (run,) for one in watcher.sent())
        assert {one.table for one in watcher.sent()} == {"persons"}
        assert sum(one.seconds for _, one in watcher.statements) <= end.seconds


async def test_no_value_is_told(db: DataFlow, watcher: Watcher) -> None:
    """Neither of a row, nor of a filter, nor of an error."""
    await db.nodes.Person.create(name=SECRET)
    await db.nodes.Person.list(filter={"name": {"$in": [SECRET, "x"]}})
    with pytest.raises(UniqueViolation):
        await db.nodes.Person.create(name=SECRET)
    await db.nodes.Person.bulk_update(filter={"name": SECRET}, fields={"name": SECRET * 2})
    told = repr(watcher.events) + repr(watcher.statements) + repr(watcher.nodes)
    assert SECRET not in told


async def test_a_failed_statement_has_the_code(db: DataFlow, watcher: Watcher) -> None:
    """The class of the error, its DF-code and that of the database, at statement and node."""
    with pytest.raises(UniqueViolation) as caught:
        await db.nodes.Person.create(name="p1")
    failures = [end.failure for _, end in watcher.statements if end.failure is not None]
    # What was sent behind it at once was not done either, for no reason of its own.
    [failure] = [one for one in failures if one.name != "NotDone"]
    assert (failure.name, failure.code) == ("UniqueViolation", caught.value.code)
    [(_, end)] = watcher.nodes
    assert end.failure is not None
    assert end.failure.code == caught.value.code


async def test_a_shared_statement_names_all_who_share_it(db: DataFlow, watcher: Watcher) -> None:
    """Reads of the same moment: the first alone, one statement for the others, each known."""
    workflow = WorkflowBuilder(db)
    for key in range(1, 6):
        workflow.add_node("PersonReadNode", f"r{key}", {"id": key})
    await AsyncLocalRuntime().execute(workflow.build())
    # They may end in another order than they were sent in.
    alone, shared = sorted(watcher.sent(), key=lambda run: len(run.nodes))
    assert nodes_of([alone]) == ["r1"]
    assert nodes_of([shared]) == ["r2", "r3", "r4", "r5"]
    assert len(watcher.nodes) == 5


async def test_who_has_left_does_not_share_a_statement(db: DataFlow, watcher: Watcher) -> None:
    """A caller that was cancelled before the statement was sent is not named by it."""
    tasks = [asyncio.create_task(db.run("PersonReadNode", id=key)) for key in range(1, 5)]
    asyncio.get_running_loop().call_soon(tasks[2].cancel)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(len(run.nodes) for run in watcher.sent()) == 3


async def test_creates_that_fail_together_are_told_one_by_one(
    db: DataFlow, watcher: Watcher
) -> None:
    """After the shared statement each create has one of its own."""
    calls = (db.run("PersonCreateNode", name=name) for name in ("a", "b", "p1", "c"))
    made = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(one, UniqueViolation) for one in made] == [False, False, True, False]
    inserts = [run for run in watcher.sent() if run.sql.startswith("INSERT")]
    assert [len(run.nodes) for run in inserts] == [1, 3, 1, 1, 1]
    assert len({node for run in inserts[2:] for node in run.nodes}) == 3


async def test_one_node_that_asks_for_many_rows_is_named_once(
    db: DataFlow, watcher: Watcher
) -> None:
    """Calls of a function share statements, each with its own run, within that of the function."""

    @db.node("ManyNode")
    async def many(context: Context) -> dict[str, Any]:
        reads = (context.run("PersonReadNode", id=key) for key in range(1, 5))
        return {"records": list(await asyncio.gather(*reads))}

    await db.run("ManyNode")
    assert nodes_of(watcher.sent()) == ["PersonReadNode"] * 4
    assert {node.outer.node for run in watcher.sent() for node in run.nodes if node.outer} == {
        "ManyNode"
    }
    assert watcher.nodes[-1][1].rows == 4


async def test_a_stream_is_one_statement(db: DataFlow, watcher: Watcher) -> None:
    """It ends once: with all of its rows, or with those that were read when it was left."""
    assert len([row async for row in db.nodes.Person.stream(batch_size=3)]) == 8
    [(_, end)] = watcher.statements
    assert (end.rows, end.failure) == (8, None)
    watcher.clear()
    async with db.nodes.Person.stream(batch_size=3) as rows:
        async for _ in rows:
            break
    [(_, end)] = watcher.statements
    assert end.rows is not None
    assert end.rows >= 3
    assert [name for name, _ in watcher.events] == ["statement began", "statement ended"]


async def test_transactions_are_control(db: DataFlow, watcher: Watcher) -> None:
    """Where one begins and ends is told, and is no statement of a node."""
    async with db.transaction():
        await db.nodes.Person.create(name="in")
    with pytest.raises(RuntimeError):
        async with db.transaction():
            raise RuntimeError
    control = [run.sql for run, _ in watcher.statements if run.control]
    assert control == ["BEGIN", "COMMIT", "BEGIN", "ROLLBACK"]


async def test_explaining_tells_nothing(db: DataFlow, watcher: Watcher) -> None:
    """Nothing is run, so nothing is told."""
    assert await asyncio.to_thread(db.explain, "PersonListNode")
    assert watcher.events == []


async def test_a_failing_workflow_ends_all_that_began(db: DataFlow, watcher: Watcher) -> None:
    """Whatever began has ended when the error arrives."""
    workflow = WorkflowBuilder(db)
    workflow.add_node("PersonListNode", "all", {})
    workflow.add_node("PersonCreateNode", "twice", {"name": "p1"})
    with pytest.raises(NodeExecutionError):
        await AsyncLocalRuntime().execute(workflow.build(), transaction=True)
    counts = Counter(name for name, _ in watcher.events)
    for what in ("run", "node", "statement"):
        assert counts[f"{what} began"] == counts[f"{what} ended"] > 0


async def test_pools_are_told_of(database_url: str) -> None:
    """Every connection that is opened, and that it was closed in the end."""
    watcher = Watcher()
    async with DataFlow(database_url, plugins=[("watcher", watcher)]) as db:
        await db.aping()
        assert watcher.pools == {"opened": 1}
        async with db.transaction():
            pass
        lanes = db.pool_stats()["primary"].values()
        assert watcher.pools["opened"] == sum(lane.opened for lane in lanes)
    assert watcher.pools["opened"] == watcher.pools["closed"] > 0


async def test_a_wait_in_vain_is_told(db: DataFlow, watcher: Watcher) -> None:
    """``acquire_timed_out`` comes with the ``PoolTimeout``."""
    enough = asyncio.Event()

    async def hold(holds: asyncio.Event) -> None:
        async with db.transaction():
            await db.nodes.Person.create(name=None)
            holds.set()
            await enough.wait()

    holders = []
    # SQLite has one connection that writes.
    for _ in range(1 if db.url.scheme == "sqlite" else 2):
        holds = asyncio.Event()
        holders.append(asyncio.create_task(hold(holds)))
        await holds.wait()
    with pytest.raises(PoolTimeout):
        async with db.transaction():
            pass
    enough.set()
    await asyncio.gather(*holders)
    assert watcher.pools["timed out"] == 1


async def test_a_workflow_of_two_instances_is_told_to_both(
    db: DataFlow, watcher: Watcher, tmp_path: Any
) -> None:
    """Each is told of the run, and of its own nodes."""
    second = Watcher()
    url = f"sqlite:///{tmp_path / 'other.db'}"
    async with DataFlow(url, plugins=[("watcher", second)]) as other:
        other.model(type("Animal", (Person,), {"__module__": __name__}), validation="off")
        workflow = WorkflowBuilder()
        workflow.add_node("PersonReadNode", "person", {"id": 1})
        workflow.add_node("AnimalCountNode", "animals", {})
        await AsyncLocalRuntime().execute(workflow.build())
    for told, node in ((watcher, "person"), (second, "animals")):
        assert [run.node_id for run, _ in told.nodes] == [node]
        assert [name for name, _ in told.events if name.startswith("run")] == [
            *("run began", "run ended"),
        ]
