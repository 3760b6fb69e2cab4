from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dataflow_core import AsyncLocalRuntime, Context, DataFlow, WorkflowBuilder
from dataflow_core.errors import (
    ConflictingParameters,
    InvalidType,
    InvalidWorkflow,
    LockTimeout,
    NodeExecutionError,
    PluginError,
)
from dataflow_monitoring.runs import RUNS
from tests.monitoring.people import fill, instance

WITHOUT_DATABASES = ("pgbouncer",)
NOT_CONFIGURED = "not configured"


async def run(workflow: WorkflowBuilder, **options: Any) -> dict[str, dict[str, Any]]:
    """The results of a workflow."""
    results, _ = await AsyncLocalRuntime().execute(workflow.build(), **options)
    return results


async def test_a_healthy_database(database_url: str) -> None:
    """Everything is measured: status, connection, latency, connections, statements per second."""
    async with instance(database_url) as db:
        await fill(db)
        health = await db.run("HealthCheckNode")
    assert (health["status"], health["database"]) == ("healthy", "connected")
    assert health["cache"] == NOT_CONFIGURED
    assert health["connections"]["used"] == 0
    assert 1 <= health["connections"]["idle"] <= health["connections"]["max"]
    assert health["queries_per_second"] > 0
    assert 0 < health["latency_ms"] < 10_000
    assert health["result"] == {key: value for key, value in health.items() if key != "result"}


async def test_health_within_a_transaction(database_url: str) -> None:
    """It asks over the connection of the transaction, though there is no other."""
    options = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.5}
    async with instance(database_url, **options) as db, db.transaction():
        health = await db.run("HealthCheckNode")
    assert (health["database"], health["connections"]["used"]) == ("connected", 1)


async def test_what_is_not_to_be_checked_is_not(database_url: str) -> None:
    """A check that is switched off says so, and opens nothing."""
    async with instance(database_url) as db:
        health = await db.run(
            "HealthCheckNode", check_database=False, check_cache=False, check_connections=False
        )
        assert sum(lane.opened for lane in db.pool_stats()["primary"].values()) == 0
    named = ("status", "database", "cache", "connections", "latency_ms")
    assert [health[name] for name in named] == ["healthy", *["not checked"] * 3, None]


async def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    """The primary: unhealthy, with the code; another one: degraded, and it is named."""
    nowhere = f"sqlite:///{tmp_path}/nowhere/a.db"
    async with instance(nowhere) as db:
        health = await db.run("HealthCheckNode")
    assert (health["status"], health["latency_ms"]) == ("unhealthy", None)
    assert health["database"].startswith("DF-503: ")
    async with instance("sqlite://", archive_db=nowhere) as db:
        health = await db.run("HealthCheckNode")
    assert health["status"] == "degraded"
    assert health["database"].startswith("archive: DF-503: ")
    assert health["latency_ms"] is not None


async def test_waiting_callers_degrade(database_url: str) -> None:
    """Where somebody waits for a connection, the status says it."""
    async with instance(database_url, pool_size=1, max_overflow=0) as db:
        await fill(db)
        done = asyncio.Event()

        async def hold() -> None:
            async with db.transaction():
                await done.wait()

        tasks = [asyncio.create_task(hold()) for _ in range(3)]
        await asyncio.sleep(0.1)
        health = await db.run("HealthCheckNode", check_database=False)
        done.set()
        await asyncio.gather(*tasks)
    assert health["status"] == "degraded"


async def test_the_monitor_sees_the_whole_run(database_url: str) -> None:
    """Added first it still runs last; each node has its calls, rows, seconds, statements."""
    async with instance(database_url) as db:
        await fill(db)
        workflow = WorkflowBuilder(db)
        workflow.add_node("PerformanceMonitorNode", "monitor", {"operation": "people"})
        workflow.add_node("PersonListNode", "all", {})
        workflow.add_node("PersonUpdateNode", "older", {"id": 1, "fields": {"age": 2}})
        monitor = (await run(workflow))["monitor"]
    assert monitor["operation"] == "people"
    metrics = monitor["metrics"]
    assert metrics == monitor["result"]["metrics"]
    assert list(metrics) == ["all", "older", "workflow"]
    assert {name: metrics["all"][name] for name in ("type", "calls", "rows", "cache_hits")} == {
        "type": "PersonListNode",
        "calls": 1,
        "rows": 8,
        "cache_hits": NOT_CONFIGURED,
    }
    assert metrics["all"]["statements"] == 1
    seconds = metrics["older"]["seconds"]
    assert 0 < seconds["p50"] == seconds["p95"] == seconds["max"] < 10
    total = metrics["workflow"]
    assert (total["calls"], total["rows"]) == (2, 9)
    assert total["statements"] == 1 + metrics["older"]["statements"]
    assert total["seconds"]["max"] == max(
        metrics[name]["seconds"]["max"] for name in ("all", "older")
    )


async def test_a_shared_statement_counts_once_in_all() -> None:
    """For each node that shares it, and once in the totals."""
    async with instance() as db:
        await fill(db)
        workflow = WorkflowBuilder(db)
        for key in range(1, 6):
            workflow.add_node("PersonReadNode", f"r{key}", {"id": key})
        workflow.add_node("PerformanceMonitorNode", "monitor", {})
        metrics = (await run(workflow))["monitor"]["metrics"]
    assert [metrics[f"r{key}"]["statements"] for key in range(1, 6)] == [1] * 5
    assert metrics["workflow"]["statements"] == 2


async def test_what_a_function_calls_is_its_own() -> None:
    """A node that calls others has their statements, and is one call."""
    async with instance() as db:
        await fill(db)

        @db.node("TwoReadsNode")
        async def two_reads(context: Context) -> dict[str, Any]:
            for key in (1, 2):
                await context.run("PersonReadNode", id=key)
            return {"done": True}

        workflow = WorkflowBuilder(db)
        workflow.add_node("TwoReadsNode", "both", {})
        workflow.add_node("PerformanceMonitorNode", "monitor", {})
        metrics = (await run(workflow))["monitor"]["metrics"]
    both = metrics["both"]
    assert (both["type"], both["calls"], both["statements"]) == ("TwoReadsNode", 1, 2)


async def test_each_try_is_a_call() -> None:
    """The time of a node that is tried again is a distribution."""
    async with instance() as db:
        tries = 0

        @db.node("ThirdTimeNode")
        async def third_time(context: Context) -> dict[str, Any]:
            nonlocal tries
            tries += 1
            if tries < 3:
                raise LockTimeout("not yet", outcome="not done")
            await asyncio.sleep(0.02)
            return {}

        workflow = WorkflowBuilder(db)
        workflow.add_node("ThirdTimeNode", "third", {}, retries=2, retry_delay=0)
        workflow.add_node("PerformanceMonitorNode", "monitor", {})
        third = (await run(workflow))["monitor"]["metrics"]["third"]
    assert third["calls"] == 3
    assert third["seconds"]["p50"] < 0.02 <= third["seconds"]["p95"] == third["seconds"]["max"]


async def test_two_runs_at_once_have_their_own_metrics() -> None:
    """Nothing of another run is counted, and nothing is kept when a run is over."""
    async with instance() as db:
        await fill(db)
        workflow = WorkflowBuilder(db)
        workflow.add_node("PersonListNode", "all", {})
        workflow.add_node("PerformanceMonitorNode", "monitor", {})
        found = await asyncio.gather(*(run(workflow) for _ in range(20)))
    assert {one["monitor"]["metrics"]["workflow"]["calls"] for one in found} == {1}
    assert RUNS._records == {}


async def test_a_workflow_of_two_instances_is_measured_as_one(tmp_path: Path) -> None:
    """The monitor of one has the nodes of the other."""
    second = DataFlow(f"sqlite:///{tmp_path / 'second.db'}")

    @second.model
    class Animal:
        name: str = ""

    async with instance() as db, second:
        workflow = WorkflowBuilder(db)
        workflow.add_node("PersonCountNode", "people", {})
        workflow.add_node("AnimalCountNode", "animals", {})
        workflow.add_node("PerformanceMonitorNode", "monitor", {})
        metrics = (await run(workflow))["monitor"]["metrics"]
    assert [metrics[name]["calls"] for name in ("people", "animals", "workflow")] == [1, 1, 2]


async def test_without_metrics_nothing_is_said() -> None:
    """``track_metrics=False`` leaves the node in place and its metrics empty."""
    async with instance() as db:
        workflow = WorkflowBuilder(db)
        workflow.add_node("PerformanceMonitorNode", "monitor", {"track_metrics": False})
        assert (await run(workflow))["monitor"]["metrics"] == {}


@pytest.mark.parametrize(
    ("node", "parameters"),
    [
        ("HealthCheckNode", {"check_database": 1}),
        ("HealthCheckNode", {"check_cache": "yes"}),
        ("PerformanceMonitorNode", {"track_metrics": None}),
        ("PerformanceMonitorNode", {"operation": 5}),
    ],
)
async def test_parameters_of_the_wrong_type_are_refused(
    node: str, parameters: dict[str, Any]
) -> None:
    """The refusal names node and parameter."""
    async with instance() as db:
        with pytest.raises(InvalidType, match=f"{node}: {next(iter(parameters))}"):
            await db.run(node, **parameters)


async def test_the_monitor_outside_of_a_workflow_is_refused() -> None:
    """There is nothing that it could measure."""
    async with instance() as db:
        with pytest.raises(InvalidWorkflow, match="add it to one"):
            await db.run("PerformanceMonitorNode")


async def test_a_node_called_workflow_is_refused() -> None:
    """Its metrics would be those of the whole."""
    async with instance() as db:
        workflow = WorkflowBuilder(db)
        workflow.add_node("PersonCountNode", "workflow", {})
        workflow.add_node("PerformanceMonitorNode", "monitor", {})
        with pytest.raises(NodeExecutionError) as caught:
            await run(workflow)
    assert isinstance(caught.value.__cause__, ConflictingParameters)


def test_switched_off_there_are_no_nodes() -> None:
    """``DATAFLOW_DISABLED_PLUGINS`` and its argument take nodes and observers away."""
    from dataflow_monitoring import statistics

    with DataFlow(disabled_plugins=["monitoring"]) as db:
        assert "HealthCheckNode" not in db.node_names()
        assert db.observers is None
        with pytest.raises(PluginError, match="switched off"):
            statistics(db)
