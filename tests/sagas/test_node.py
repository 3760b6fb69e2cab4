from __future__ import annotations

import asyncio
from typing import Any

import pytest

import dataflow_sagas
from dataflow_core import AsyncLocalRuntime, Context, DataFlow, WorkflowBuilder
from dataflow_core.errors import (
    ConflictingParameters,
    ConnectionFailed,
    DataFlowError,
    Deadlock,
    InvalidType,
    InvalidValue,
    MissingParameter,
    TableMissing,
    UnknownNode,
    UnknownParameter,
)
from tests.sagas.notes import ADD, Entry, names, saga

WITHOUT_DATABASES = ("pgbouncer",)


def outcomes(result: dict[str, Any]) -> list[str]:
    """What became of each step."""
    return [step["outcome"] for step in result["steps"]]


async def test_all_steps_are_done(db: DataFlow) -> None:
    """Parameters come from the context, from results by name, by `<model>_id` and by reference."""
    result = await saga(
        db,
        ADD,
        {"node": "NoteCreateNode", "parameters": {"id": "$step.0.id"}},
        {"node": "EntryUpdateNode", "parameters": {"fields": {"name": "$step.1.status"}}},
        context={"name": "Ada"},
        timeout=30,
    )
    assert result["status"] == "completed"
    assert outcomes(result) == ["done"] * 3
    first, second, third = (step["result"]["result"] for step in result["steps"])
    # A status of another model is not taken, a key is.
    assert second == {"id": first["id"], "entry_id": first["id"], "status": "open"}
    assert third == {**first, "name": "open"}
    assert result["error"] is None


async def test_what_was_done_is_undone(db: DataFlow) -> None:
    """A step that fails is told, and those before it are undone in the opposite order."""
    order: list[int] = []

    @db.node("UndoNode")
    async def undo(context: Context, number: int) -> dict:
        order.append(number)
        return {}

    @db.node("FailNode")
    async def fail(context: Context) -> dict:
        raise ValueError("no stock")

    result = await saga(
        db,
        {**ADD, "parameters": {"name": "a"}},
        *(
            {
                "node": "EntryCountNode",
                "compensation": "UndoNode",
                "compensation_parameters": {"number": number},
            }
            for number in (1, 2)
        ),
        {"node": "FailNode"},
        {"node": "EntryCountNode"},
    )
    assert result["status"] == "compensated"
    assert outcomes(result) == [*["compensated"] * 3, "failed", "waiting"]
    assert result["error"] == {
        "step": 3, "node": "FailNode", "error": "ValueError", "message": "no stock"
    }  # fmt: skip
    assert order == [2, 1]
    assert await names(db) == []


async def test_a_compensation_takes_what_its_step_had(db: DataFlow) -> None:
    """It gets, by name, the parameters and the result of its step, and a key of its own."""
    calls: list[Any] = []

    @db.node("ReserveNode")
    async def reserve(context: Context, sku: str, pieces: int = 1) -> dict:
        calls.append(context.idempotency_key)
        return {"reservation": 7}

    @db.node("ReleaseNode")
    async def release(context: Context, sku: str, pieces: int, reservation: int) -> dict:
        calls.append((context.idempotency_key, sku, pieces, reservation))
        return {}

    step = {
        "node": "ReserveNode",
        "parameters": {"sku": "x", "pieces": 3},
        "compensation": "ReleaseNode",
    }
    result = await saga(db, step, {"node": "NoteReadNode", "parameters": {"id": 0}})
    key = f"{result['saga_id']}:0"
    assert calls == [key, (f"{key}:compensation", "x", 3, 7)]


async def test_a_compensation_that_fails(db: DataFlow) -> None:
    """The saga has failed and is listed as stuck; others are undone, and it may be tried again."""
    broken = [True]

    @db.node("RepairNode")
    async def repair(context: Context) -> dict:
        if broken[0]:
            raise RuntimeError("cannot")
        return {}

    result = await saga(
        db,
        {**ADD, "parameters": {"name": "a"}},
        {"node": "EntryCountNode", "compensation": "RepairNode"},
        {"node": "NoteReadNode", "parameters": {"id": 0}},
    )
    assert result["status"] == "failed"
    assert outcomes(result) == ["compensated", "compensation failed", "failed"]
    assert result["steps"][1]["error"] == {"error": "RuntimeError", "message": "cannot"}
    [stuck] = await dataflow_sagas.list_sagas(db, stuck=True)
    assert stuck["saga_id"] == result["saga_id"]
    assert await dataflow_sagas.resume(db) == []
    broken[0] = False
    [again] = await dataflow_sagas.resume(db, result["saga_id"])
    assert again["status"] == "compensated"
    assert await dataflow_sagas.list_sagas(db, stuck=True) == []


async def test_what_may_be_repeated_is(db: DataFlow) -> None:
    """A function is called again, with the same key, after an error that says nothing was done."""
    keys: list[str] = []

    @db.node("BusyNode")
    async def busy(context: Context) -> dict:
        keys.append(context.idempotency_key)
        if len(keys) < 3:
            raise Deadlock("busy", outcome="not done")
        return {}

    assert (await saga(db, {"node": "BusyNode"}))["status"] == "completed"
    assert len(keys) == 3
    assert len(set(keys)) == 1


@pytest.mark.parametrize(
    ("error", "calls", "outcome"),
    [
        (ConnectionFailed("away"), 5, "failed"),
        (Deadlock("lost", outcome="unknown"), 1, "compensated"),
        (KeyError("x"), 1, "failed"),
    ],
)
async def test_what_may_not_be_repeated(
    db: DataFlow, error: Exception, calls: int, outcome: str
) -> None:
    """Attempts are bounded; what may have been done is not done again, and is undone."""
    counted: list[int] = []

    @db.node("FailNode")
    async def fail(context: Context) -> dict:
        counted.append(1)
        raise error

    result = await saga(db, {"node": "FailNode", "compensation": "EntryCountNode"})
    assert result["status"] == "compensated"
    assert outcomes(result) == [outcome]
    assert len(counted) == calls


async def test_the_time_is_over(db: DataFlow) -> None:
    """What runs then is stopped, and everything is undone: it, too, as it may have been done."""

    @db.node("SlowNode")
    async def slow(context: Context) -> dict:
        await asyncio.sleep(60)
        return {}

    result = await saga(
        db,
        {**ADD, "parameters": {"name": "a"}},
        {"node": "SlowNode", "compensation": "EntryCountNode"},
        timeout=1,
    )
    assert result["status"] == "compensated"
    assert outcomes(result) == ["compensated"] * 2
    assert result["error"]["error"] == "NodeTimeout"
    assert await names(db) == []


async def test_a_result_that_cannot_be_kept(db: DataFlow) -> None:
    """It was done, so it is undone, and the error says why."""

    @db.node("ObjectNode")
    async def make(context: Context) -> dict:
        return {"thing": object()}

    result = await saga(db, {"node": "ObjectNode", "compensation": "EntryCountNode"})
    assert (result["status"], outcomes(result)) == ("compensated", ["compensated"])
    assert result["error"]["error"] == "InvalidType"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"steps": []}, InvalidType),
        ({"steps": ["EntryCountNode"]}, InvalidType),
        ({"steps": [{}]}, MissingParameter),
        ({"steps": [{"node": "EntriCountNode"}]}, UnknownNode),
        ({"steps": [{**ADD, "compensation": "EntryUndoNode"}]}, UnknownNode),
        ({"steps": [{**ADD, "retries": 3}]}, UnknownParameter),
        ({"steps": [{**ADD, "parameters": {"nam": "a"}}]}, UnknownParameter),
        ({"steps": [{**ADD, "parameters": []}]}, InvalidType),
        ({"steps": [{"node": "EntryCountNode", "compensation_parameters": {}}]}, MissingParameter),
        ({"steps": [{**ADD, "parameters": {"name": "$step.0.id"}}]}, InvalidValue),
        ({"steps": [{**ADD, "parameters": {"name": "$step.x"}}]}, InvalidValue),
        ({"steps": [{**ADD, "parameters": {"name": object()}}]}, InvalidType),
        ({"steps": [ADD], "transaction_type": "sage"}, InvalidValue),
        ({"steps": [ADD], "timeout": 0}, InvalidValue),
        ({"steps": [ADD], "timeout": "30"}, InvalidType),
        ({"steps": [ADD], "lease": float("nan")}, InvalidValue),
        ({"steps": [ADD], "context": []}, InvalidType),
    ],
)
async def test_what_is_refused(
    db: DataFlow, given: dict[str, Any], error: type[DataFlowError]
) -> None:
    """What cannot be carried out as it was asked is refused, and nothing is recorded."""
    with pytest.raises(error):
        await db.run("TransactionManagerNode", **given)
    assert await dataflow_sagas.list_sagas(db) == []


async def test_not_inside_a_transaction(db: DataFlow) -> None:
    """A saga commits its steps one by one, so a transaction around it is refused."""
    with pytest.raises(ConflictingParameters, match="inside a transaction"):
        async with db.transaction():
            await saga(db, ADD)


async def test_the_journal_is_not_seen(db: DataFlow) -> None:
    """Its tables are in no list of models, in no discovery, and in no file of models."""
    await saga(db, {**ADD, "parameters": {"name": "a"}})
    assert db.list_models() == ["Entry", "Note"]
    for inspect in (True, False):
        assert sorted(await db.adiscover_schema(inspect)) == ["entries", "notes"]
    found = await db.areconstruct_models_from_registry()
    assert sorted(found["reconstructed_models"]) == ["Entry", "Note"]


async def test_the_journal_is_not_reached(db: DataFlow) -> None:
    """No node reads or changes its tables: they hold what sagas of all tenants were called with."""
    await saga(db, {**ADD, "parameters": {"name": "a"}})
    lookup = {"from": "dataflow_saga_steps", "localField": "name", "foreignField": "saga_id"}
    calls: dict[str, dict[str, Any]] = {
        "DataflowSagaStepListNode": {},
        "DataflowSagaBulkDeleteNode": {"filter": {}, "allow_all": True},
        "EntryListNode": {"aggregate": [{"$lookup": {**lookup, "as": "step"}}]},
    }
    for node, parameters in calls.items():
        with pytest.raises(InvalidValue, match="journal of sagas"):
            await db.run(node, **parameters)
    assert len(await dataflow_sagas.list_sagas(db)) == 1


async def test_one_call_is_one_saga(db: DataFlow) -> None:
    """The same call with the same idempotency key is the same saga; another one is not."""
    context = Context(db, "run", "node", None, "run:node")
    node = db.node_type("TransactionManagerNode")
    steps = [{**ADD, "parameters": {"name": "a"}}]
    first, second, other = [
        await node.run(context, {"steps": steps, "context": {"number": number}})
        for number in (1, 1, 2)
    ]
    assert first == second
    assert other["saga_id"] != first["saga_id"]
    assert await names(db) == ["a", "a"]


async def test_in_a_workflow(db: DataFlow) -> None:
    """Nodes after it take its status."""
    workflow = WorkflowBuilder(db)
    parameters = {"steps": [{**ADD, "parameters": {"name": "a"}}]}
    workflow.add_node("TransactionManagerNode", "saga", parameters)
    workflow.add_node("EntryCreateNode", "told", {})
    workflow.add_connection("saga", "status", "told", "name")
    await AsyncLocalRuntime().execute(workflow.build())
    assert await names(db) == ["a", "completed"]


async def test_no_table_for_the_journal(db: DataFlow) -> None:
    """An instance that changes no schema refuses a saga while the tables are not there."""
    url = db.url.render(hide_password=False)
    async with DataFlow(url, existing_schema_mode=True, validation="off") as other:
        other.model(type("Entry", (Entry,), {"__module__": __name__}))
        with pytest.raises(TableMissing, match="dataflow_sagas"):
            await saga(other, {**ADD, "parameters": {"name": "a"}})
    assert await names(db) == []
