"""Parts of a workflow that are transactions, on each database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from dataflow_core import AsyncLocalRuntime, DataFlow, WorkflowBuilder, field
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.errors import (
    ConflictingParameters,
    ConnectionLost,
    Deadlock,
    NodeExecutionError,
    TransactionSpansDatabases,
    UniqueViolation,
)
from dataflow_core.workflow import Workflow
from tests.databases import new_database


class Account:
    __dataflow__ = {"timestamps": False}

    id: int = field(primary_key=True)
    name: str | None = field(default=None, max_length=50, unique=True)
    balance: int = 0


class Note:
    __dataflow__ = {"timestamps": False}

    id: int = field(primary_key=True)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[DataFlow]:
    """An instance with two accounts, and notes beside them."""
    handle = DataFlow(database_url, pool_size=10)
    for cls in (Account, Note):
        handle.model(type(cls.__name__, (cls,), {"__module__": __name__}), validation="off")
    await handle.run("AccountBulkCreateNode", data=[{"id": 1, "name": "a"}, {"id": 2}])
    yield handle
    await handle.aclose()


@pytest.fixture
def second_url(database: SharedServer) -> Iterator[str]:
    """A second new database of the same server."""
    yield from new_database(database)


async def stored(db: DataFlow) -> tuple[dict[int, int], list[int]]:
    """The balances by key, and the keys of the notes."""
    accounts = (await db.run("AccountListNode"))["records"]
    notes = (await db.run("NoteListNode"))["records"]
    return {row["id"]: row["balance"] for row in accounts}, [row["id"] for row in notes]


def added(amount: int, key: int) -> dict[str, Any]:
    """Parameters that change a balance."""
    return {"filter": {"id": key}, "fields": {"$inc": {"balance": amount}}}


def moving(db: DataFlow, name: str, *between: str, **options: Any) -> Workflow:
    """A note, a transaction that moves money and gives the second account a name, and a note."""
    workflow = WorkflowBuilder(db)
    workflow.add_node("NoteCreateNode", "before", {"id": 1})
    with workflow.transaction("move", **options):
        workflow.add_node("AccountUpdateNode", "from", added(-5, 1))
        for node in between:
            workflow.add_node(node, node)
        workflow.add_node("AccountUpdateNode", "to", added(5, 2))
        workflow.add_node("AccountUpdateNode", "named", {"id": 2, "fields": {"name": name}})
    workflow.add_node("NoteCreateNode", "after", {"id": 2})
    workflow.add_connection("before", "id", "from", "input")
    workflow.add_connection("named", "id", "after", "input")
    return workflow.build()


async def test_a_part_is_kept(db: DataFlow) -> None:
    """All nodes of the part are done, and those around it."""
    results, _ = await AsyncLocalRuntime().execute(moving(db, "b"))
    assert await stored(db) == ({1: -5, 2: 5}, [1, 2])
    assert results["named"]["result"] == {"id": 2, "name": "b", "balance": 5}


async def test_a_part_is_undone(db: DataFlow) -> None:
    """A node of it that fails undoes the part; what ran before it in no transaction is kept."""
    with pytest.raises(NodeExecutionError) as caught:
        await AsyncLocalRuntime().execute(moving(db, "a"))
    assert isinstance(caught.value.__cause__, UniqueViolation)
    assert list(caught.value.results) == ["before"]
    assert await stored(db) == ({1: 0, 2: 0}, [1])


async def test_the_rest_goes_on(db: DataFlow) -> None:
    """With `on_error="continue"` every node of the part has failed and what it feeds is skipped."""
    workflow = moving(db, "a")
    results, _ = await AsyncLocalRuntime().execute(workflow, on_error="continue")
    codes = {name: result.get("error", {}).get("code") for name, result in results.items()}
    assert codes == {
        "before": None,
        "from": "DF-524",
        "to": "DF-524",
        "named": "DF-703",
        "after": "DF-703",
    }
    assert results["after"]["skipped"]
    assert await stored(db) == ({1: 0, 2: 0}, [1])


@pytest.mark.parametrize("way", ["workflow", "caller"])
async def test_within_a_transaction_a_part_is_a_savepoint(db: DataFlow, way: str) -> None:
    """What the part did goes with the transaction around it; with the caller's, the rest stays."""
    runtime = AsyncLocalRuntime()
    if way == "workflow":
        with pytest.raises(NodeExecutionError):
            await runtime.execute(moving(db, "a"), transaction=True)
        assert await stored(db) == ({1: 0, 2: 0}, [])
        return
    async with db.transaction():
        with pytest.raises(NodeExecutionError):
            await runtime.execute(moving(db, "a"))
        await runtime.execute(moving(db, "b"), {"before": {"id": 3}})
    assert await stored(db) == ({1: -5, 2: 5}, [1, 2, 3])


async def test_isolation_is_asked_for(db: DataFlow) -> None:
    """The part has the isolation that it asks for; within a transaction that is refused."""
    workflow = moving(db, "b", isolation="serializable")
    async with db.transaction():
        with pytest.raises(ConflictingParameters, match="isolation"):
            await AsyncLocalRuntime().execute(workflow)
    await AsyncLocalRuntime().execute(workflow)
    assert await stored(db) == ({1: -5, 2: 5}, [1, 2])


async def test_it_is_explained(db: DataFlow) -> None:
    """The statements of a part stand in their order among those of the others; nothing is sent."""
    workflow = WorkflowBuilder(db)
    workflow.add_node("AccountBulkUpdateNode", "before", added(1, 1))
    with workflow.transaction("move", isolation="serializable", retry=1):
        workflow.add_node("AccountBulkUpdateNode", "from", added(2, 1))
        workflow.add_node("AccountBulkUpdateNode", "to", added(3, 2))
    workflow.add_node("AccountBulkUpdateNode", "after", added(4, 2))

    @db.node("MovesNode")
    async def moves(context: Any) -> dict[str, Any]:
        await AsyncLocalRuntime().execute(workflow.build())
        return {}

    explained = await asyncio.to_thread(db.explain, "MovesNode")
    amounts = [value for one in explained for value in one.parameters if "UPDATE" in one.sql]
    assert [amount for amount in amounts if amount in (1, 2, 3, 4)][::2] == [1, 2, 3, 4]
    assert await stored(db) == ({1: 0, 2: 0}, [])


@pytest.mark.parametrize("kept", [True, False])
async def test_nobody_can_tell_after_a_commit_without_an_answer(db: DataFlow, kept: bool) -> None:
    """The outcome is told as unknown, the part is not done again, and it is there or not, whole."""

    @db.node("BreakNode", repeatable=True)
    async def break_off(context: Any) -> dict[str, Any]:
        connection = context.transaction.session.connection
        end = connection.commit if kept else connection.rollback

        async def without_answer() -> None:
            del connection.commit
            await end()
            raise ConnectionLost("no answer", outcome="unknown")

        connection.commit = without_answer
        return {}

    workflow = moving(db, "b", "BreakNode", retry=3)
    with pytest.raises(NodeExecutionError, match="nobody can tell whether it is done") as caught:
        await AsyncLocalRuntime().execute(workflow)
    assert caught.value.outcome == "unknown"
    assert list(caught.value.results) == ["before"]
    assert await stored(db) == ({1: -5, 2: 5} if kept else {1: 0, 2: 0}, [1])


async def test_each_database_has_parts_of_its_own(database_url: str, second_url: str) -> None:
    """In an instance with two databases a part is on one of them, also within a transaction of
    the caller's there, and over both it is refused."""
    async with DataFlow(database_url=database_url, figures_db=second_url) as db:
        for name, where in (("Guest", "primary"), ("Click", "figures")):
            options = {"timestamps": False, "database": where}
            namespace = {"__annotations__": {"id": int}, "__dataflow__": options}
            db.model(type(name, (), namespace), validation="off")
        clicks, both = WorkflowBuilder(db), WorkflowBuilder(db)
        for builder in (clicks, both):
            with builder.transaction("clicks"):
                builder.add_node("ClickCreateNode", "one", {"id": 1})
                builder.add_node("ClickCreateNode", "two", {"id": 1})
        runtime = AsyncLocalRuntime()
        async with db.transaction("figures"):
            with pytest.raises(NodeExecutionError, match="'two'"):
                await runtime.execute(clicks.build())
            await db.run("ClickCreateNode", id=3)
        both.add_node("GuestCreateNode", "guest", {"id": 1})
        results, _ = await runtime.execute(both.build(), on_error="continue")
        assert results["one"]["error"]["code"] == "DF-524"
        assert [row["id"] for row in (await db.run("GuestListNode"))["records"]] == [1]
        assert [row["id"] for row in (await db.run("ClickListNode"))["records"]] == [3]
        with both.transaction("over both"):
            both.add_node("GuestCreateNode", parameters={"id": 2})
            both.add_node("ClickCreateNode", parameters={"id": 2})
        with pytest.raises(TransactionSpansDatabases, match="'primary'"):
            both.build()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("retry", [0, 4])
async def test_a_part_that_the_database_ended_is_done_again(db: DataFlow, retry: int) -> None:
    """Of two parts that wait for each other one is ended, and done again if that was asked for."""
    both = asyncio.Barrier(2)
    notes = iter(range(1, 100))

    async def work(first: int, second: int) -> None:
        async def meet(context: Any) -> dict[str, Any]:
            # Where one waits for the other to end, they do not meet.
            try:
                async with asyncio.timeout(0.3):
                    await both.wait()
            except (TimeoutError, asyncio.BrokenBarrierError):
                await both.abort()
            return {}

        db.node(f"Meet{first}Node", repeatable=True)(meet)
        workflow = WorkflowBuilder(db)
        workflow.add_node("NoteCreateNode", "note", {"id": next(notes)})
        with workflow.transaction("move", retry=retry):
            workflow.add_node("AccountUpdateNode", "first", added(1, first))
            workflow.add_node(f"Meet{first}Node", "meet")
            workflow.add_node("AccountUpdateNode", "second", added(1, second))
        await AsyncLocalRuntime().execute(workflow.build())

    ended = await asyncio.gather(work(1, 2), work(2, 1), return_exceptions=True)
    errors = [error for error in ended if error is not None]
    done = 2 if retry or db.url.scheme == "sqlite" else 1
    assert len(errors) == 2 - done
    assert all(isinstance(error.__cause__, Deadlock) for error in errors)
    assert await stored(db) == ({1: done, 2: done}, [1, 2])
