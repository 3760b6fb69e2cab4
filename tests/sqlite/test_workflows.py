"""Workflows of generated nodes on a real database."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from dataflow_core import AsyncLocalRuntime, DataFlow
from dataflow_core.errors import DataFlowError, NodeExecutionError, TransactionSpansDatabases
from tests.sqlite.shop import idle, people

RUNTIME = AsyncLocalRuntime()


async def run(workflow: Any, **options: Any) -> dict[str, Any]:
    """The results of a workflow."""
    results, _ = await RUNTIME.execute(workflow.build(), **options)
    return dict(results)


async def test_results_feed_other_nodes(db):
    """Spread fields, dotted paths, lists of all and the ``<model>_id`` alias connect nodes."""
    workflow = db.workflow()
    workflow.add_node("UserCreateNode", "user", {"name": "Ada"})
    workflow.add_node("OrderCreateNode", "order", {"total": Decimal("1.5")})
    workflow.add_node("OrderUpdateNode", "update", {"fields": {"$inc": {"total": 1}}})
    workflow.add_node("OrderListNode", "orders", {})
    workflow.add_node("OrderReadNode", "first", {})
    workflow.add_node("OrderBulkDeleteNode", "clear", {})
    workflow.add_connection("user", "id", "order", "user_id")
    workflow.add_connection("order", "result.id", "update", "order_id")
    workflow.add_connection("update", "result", "orders", "input")
    workflow.add_connection("orders", "result.0.id", "first", "id")
    workflow.add_connection("first", "result", "clear", "input")
    workflow.add_connection("orders", "records.*.id", "clear", "ids")
    results = await run(workflow)
    assert all(type(result) is dict and "result" in result for result in results.values())
    assert results["first"]["total"] == Decimal("2.5")
    assert results["clear"]["deleted"] == 1
    assert (await db.nodes.Order.count())["count"] == 0


async def test_a_connected_field_for_every_row(db):
    """A parent's key is connected to all rows of a bulk create."""
    workflow = db.workflow()
    workflow.add_node("UserCreateNode", "user", {"name": "Ada"})
    workflow.add_node("OrderBulkCreateNode", "orders", {"data": [{"total": 1}, {"total": 2}]})
    workflow.add_connection("user", "id", "orders", "user_id")
    results = await run(workflow)
    assert results["orders"]["inserted"] == 2
    assert (await db.nodes.Order.count(filter={"user_id": results["user"]["id"]}))["count"] == 2


async def test_nodes_on_one_model_run_in_the_order_they_were_added(db):
    """Without connections the result is that of running one node after the other."""
    workflow = db.workflow()
    workflow.add_node("UserCreateNode", "one", {"name": "a", "email": "e"})
    workflow.add_node("UserCountNode", "count", {})
    workflow.add_node("UserUpdateNode", "two", {"filter": {"email": "e"}, "fields": {"name": "b"}})
    workflow.add_node("UserReadNode", "read", {"filter": {"email": "e"}})
    workflow.add_node("UserDeleteNode", "three", {"filter": {"email": "e"}})
    workflow.add_node("UserCountNode", "end", {})
    results = await run(workflow)
    assert [results[name]["count"] for name in ("count", "end")] == [1, 0]
    assert results["read"]["name"] == "b"


async def test_a_failing_node_says_where_and_why(db):
    """Node id, node type, the code of the cause, and the results of what finished before."""
    workflow = db.workflow()
    workflow.add_node("UserCreateNode", "one", {"name": "a", "email": "e"})
    workflow.add_node("UserCreateNode", "two", {"name": "b", "email": "e"})
    with pytest.raises(NodeExecutionError) as caught:
        await run(workflow)
    error = caught.value
    assert (error.node_id, error.node_type) == ("two", "UserCreateNode")
    assert error.results["one"]["name"] == "a"
    assert "DF-703" in str(error)
    assert isinstance(error.__cause__, DataFlowError)
    assert (await db.nodes.User.count())["count"] == 1


async def test_all_or_nothing(db):
    """``transaction=True``: a failing node undoes what the others did."""
    workflow = db.workflow()
    workflow.add_node("UserCreateNode", "one", {"name": "a", "email": "e"})
    workflow.add_node("OrderCreateNode", "order", {})
    workflow.add_node("UserCreateNode", "two", {"name": "b", "email": "e"})
    workflow.add_connection("one", "id", "order", "user_id")
    with pytest.raises(NodeExecutionError):
        await run(workflow, transaction=True)
    assert (await db.nodes.User.count())["count"] == 0
    assert (await db.nodes.Order.count())["count"] == 0


async def test_going_on_after_a_failure(db):
    """``on_error="continue"`` records the failure and skips what depends on it."""
    workflow = db.workflow()
    workflow.add_node("UserReadNode", "missing", {"id": 99})
    workflow.add_node("OrderCreateNode", "order", {})
    workflow.add_node("UserCreateNode", "other", {"name": "a"})
    workflow.add_connection("missing", "id", "order", "user_id")
    results = await run(workflow, on_error="continue")
    assert results["missing"]["success"] is False
    assert results["missing"]["error"]["code"] == "DF-701"
    assert results["other"]["created"] is True
    assert (await db.nodes.Order.count())["count"] == 0


async def test_a_user_node_works_in_the_same_transaction(db):
    """What ``context.run`` does inside a workflow's transaction is undone with it."""

    @db.node("TwiceNode")
    async def twice(context: Any, name: str, fail: bool = False) -> dict[str, Any]:
        assert context.transaction is not None
        assert (context.run_id, context.node_id) != ("", "")
        for _ in range(2):
            await context.run("UserCreateNode", name=name)
        if fail:
            raise ValueError("no")
        return {"name": name}

    workflow = db.workflow()
    workflow.add_node("TwiceNode", "twice", {"name": "a"})
    await run(workflow, transaction=True)
    with pytest.raises(NodeExecutionError):
        await run(workflow, transaction=True, parameters={"twice": {"fail": True}})
    assert (await db.nodes.User.count())["count"] == 2
    assert twice.__name__ == "twice"


async def test_two_databases_in_one_transaction_are_refused(tmp_path):
    """Such a workflow is refused before any statement is sent."""
    async with DataFlow(":memory:", other_db=f"sqlite:///{tmp_path / 'b.db'}") as db:
        db.model(type("Here", (), {"__annotations__": {"n": int}}))
        there = {"__annotations__": {"n": int}, "__dataflow__": {"database": "other"}}
        db.model(type("There", (), there))
        workflow = db.workflow()
        workflow.add_node("HereCreateNode", "here", {"n": 1})
        workflow.add_node("ThereCreateNode", "there", {"n": 1})
        with pytest.raises(TransactionSpansDatabases):
            await run(workflow, transaction=True)
        assert (await db.nodes.Here.count())["count"] == 0
        assert (await run(workflow))["there"]["n"] == 1


async def test_one_workflow_many_times_at_once(db):
    """A workflow is a value: thirty runs at once with their own parameters do not mix."""
    workflow = db.workflow()
    workflow.add_node("UserCreateNode", "user", {"name": "?"})
    workflow.add_node("OrderCreateNode", "order", {})
    workflow.add_node("OrderReadNode", "read", {})
    workflow.add_connection("user", "id", "order", "user_id")
    workflow.add_connection("order", "id", "read", "id")
    built = workflow.build()

    async def one(number: int) -> tuple[str, bool]:
        given: dict[str, Any] = {"user": {"name": f"n{number}"}, "order": {"total": number}}
        results, run_id = await RUNTIME.execute(built, parameters=given)
        right = results["read"]["total"] == number
        return run_id, right and results["read"]["user_id"] == results["user"]["id"]

    outcomes = await asyncio.gather(*(one(number) for number in range(30)))
    assert all(right for _, right in outcomes)
    assert len({run_id for run_id, _ in outcomes}) == 30
    assert idle(db)


async def test_a_cancelled_workflow_stops_at_the_database(db):
    """Cancelling a run inside a transaction undoes it and frees the connection."""
    await people(db, 1)

    def endless() -> Any:
        for at in range(10**9):
            yield {"scope": "s", "name": f"{at}"}

    workflow = db.workflow()
    workflow.add_node("UserCreateNode", "user", {"name": "a"})
    workflow.add_node("TagBulkCreateNode", "many", {"data": []})
    task = asyncio.create_task(
        run(workflow, transaction=True, parameters={"many": {"data": endless()}})
    )
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert idle(db)
    assert (await db.nodes.User.count())["count"] == 1
    assert (await db.nodes.Tag.count())["count"] == 0
