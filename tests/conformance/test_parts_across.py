"""Parts of a workflow that are transactions, on each database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dataflow_core import AsyncLocalRuntime, DataFlow, WorkflowBuilder, field
from dataflow_core.errors import (
    ConflictingParameters,
    Deadlock,
    NodeExecutionError,
    UniqueViolation,
)
from dataflow_core.workflow import Workflow


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
