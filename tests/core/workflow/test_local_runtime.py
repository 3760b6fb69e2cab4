"""The synchronous face of the runtime."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

from dataflow_core.errors import (
    BlockingCallRefused,
    InvalidWorkflow,
    NodeExecutionError,
    WorkflowTimeout,
)
from dataflow_core.nodes.base import Context
from dataflow_core.workflow import AsyncLocalRuntime, LocalRuntime, Workflow, WorkflowBuilder
from tests.core.workflow.fakes import EVERYTHING, FakeOwner

TENANT: ContextVar[str] = ContextVar("tenant", default="none")


def workflow_of(work: Any, **options: Any) -> Workflow:
    """A workflow of one node that does this work."""
    owner = FakeOwner(live=False)
    owner.add("WorkNode", work, effect=EVERYTHING)
    builder = WorkflowBuilder(owner)
    builder.add_node("WorkNode", "work", **options)
    return builder.build()


async def loop_of(context: Context, parameters: Any) -> dict[str, Any]:
    """A node's work: tell on which loop it runs."""
    return {"result": asyncio.get_running_loop(), "tenant": TENANT.get(), **parameters}


def test_it_runs_without_a_loop():
    """From plain code a workflow runs and gives results and run id; nothing needs closing."""
    results, run_id = LocalRuntime().execute(workflow_of(loop_of), {"work": {"x": 1}})
    assert results["work"]["x"] == 1
    assert run_id
    with LocalRuntime() as runtime:
        assert runtime.execute(workflow_of(loop_of))


def test_all_calls_share_one_loop():
    """Every runtime and every thread of the process goes through the same loop."""
    workflow = workflow_of(loop_of)
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: LocalRuntime().execute(workflow), range(20)))
    assert len({id(results["work"]["result"]) for results, _ in runs}) == 1
    assert len({run_id for _, run_id in runs}) == 20


async def test_it_works_where_a_loop_is_running():
    """In a notebook, or in a test with a loop, the call blocks and works."""
    results, _ = LocalRuntime().execute(workflow_of(loop_of))
    assert results["work"]["result"] is not asyncio.get_running_loop()


def test_it_works_between_other_loops():
    """`asyncio.run` may be used before, between and after."""
    workflow = workflow_of(loop_of)

    async def other() -> Any:
        return (await AsyncLocalRuntime().execute(workflow))[0]["work"]["result"]

    loops = [asyncio.run(other()) for _ in range(2)]
    first = LocalRuntime().execute(workflow)[0]["work"]["result"]
    loops.append(asyncio.run(other()))
    assert LocalRuntime().execute(workflow)[0]["work"]["result"] is first
    assert first not in loops


def test_context_variables_reach_the_nodes():
    """What the caller has set, such as a tenant in force, is seen by the nodes."""
    token = TENANT.set("a")
    try:
        results, _ = LocalRuntime().execute(workflow_of(loop_of))
    finally:
        TENANT.reset(token)
    assert results["work"]["tenant"] == "a"


def test_a_node_cannot_wait_for_its_own_loop():
    """A node that makes a synchronous call is told so, instead of waiting for ever."""
    inner = workflow_of(loop_of)

    async def nested(context: Context, parameters: Any) -> dict[str, Any]:
        return {"result": LocalRuntime().execute(inner)}

    with pytest.raises(NodeExecutionError) as caught:
        LocalRuntime().execute(workflow_of(nested))
    assert isinstance(caught.value.cause, BlockingCallRefused)


def test_errors_and_options_are_those_of_the_asynchronous_runtime():
    """Refusals, timeouts and `on_error` are the same."""

    async def wait(context: Context, parameters: Any) -> dict[str, Any]:
        await asyncio.sleep(60)
        return {"result": None}

    with pytest.raises(InvalidWorkflow):
        LocalRuntime().execute(WorkflowBuilder())  # type: ignore[arg-type]
    with pytest.raises(WorkflowTimeout):
        LocalRuntime().execute(workflow_of(wait), timeout=0.02)
    results, _ = LocalRuntime(on_error="continue").execute(workflow_of(wait, timeout=0.02))
    assert results["work"]["error"]["code"] == "DF-511"
