"""Failures, retries, timeouts and cancellation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from dataflow_core.errors import (
    ConflictingParameters,
    ConnectionLost,
    LockTimeout,
    NodeExecutionError,
    NodeTimeout,
    RecordNotFound,
    WorkflowTimeout,
)
from dataflow_core.nodes.base import NOTHING_TOUCHED, Context, Effect
from dataflow_core.workflow import AsyncLocalRuntime, Workflow, WorkflowBuilder
from tests.core.workflow.fakes import EVERYTHING, FakeOwner, Gate

TOGETHER, ALONE = NOTHING_TOUCHED, EVERYTHING


class Bench:
    """An instance whose nodes wait, fail, or fail a few times first."""

    def __init__(self, effect: Effect) -> None:
        self.gate = Gate()
        self.tries = 0
        self.owner = FakeOwner(live=False)
        self.builder = WorkflowBuilder(self.owner)
        self.owner.add("EchoNode", effect=effect)
        self.owner.add("WaitNode", self.wait, effect=effect)
        self.owner.add("FailNode", self.fail, effect=effect)
        self.owner.add("FlakyNode", self.flaky, effect=effect)

    async def wait(self, context: Context, parameters: Any) -> dict[str, Any]:
        """Wait for some seconds."""
        await self.gate.pass_through(context.node_id, parameters.get("seconds", 60))
        return {"result": context.node_id}

    async def fail(self, context: Context, parameters: Any) -> dict[str, Any]:
        """Raise what was given, after some seconds."""
        await asyncio.sleep(parameters.get("seconds", 0))
        raise parameters.get("error", RecordNotFound("no User with id 7", model="User"))

    async def flaky(self, context: Context, parameters: Any) -> dict[str, Any]:
        """Raise what was given until the try that succeeds."""
        self.tries += 1
        if self.tries < parameters["succeeds_at"]:
            raise parameters["error"]
        return {"result": self.tries}

    def built(self, *nodes: tuple[str, str], edges: str = "", **parameters: Any) -> Workflow:
        """A workflow of (id, type), with parameters by id; ``edges`` like ``"ab bc"``."""
        for node_id, node_type in nodes:
            self.builder.add_node(node_type, node_id, parameters.get(node_id))
        for edge in edges.split():
            self.builder.add_connection(edge[0], "result", edge[1], "input")
        return self.builder.build()


@pytest.fixture(params=[TOGETHER, ALONE], ids=["together", "one by one"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """A bench whose nodes may run together, and one whose nodes never do."""
    return Bench(request.param)


async def run(workflow: Workflow, **options: Any) -> dict[str, Any]:
    """The results of one run."""
    results, _ = await AsyncLocalRuntime().execute(workflow, **options)
    return results


async def test_a_failure_names_its_node_and_keeps_what_finished(bench):
    """A failing node raises an error with node, cause, run and the results so far."""
    workflow = bench.built(("a", "EchoNode"), ("b", "FailNode"), ("c", "WaitNode"), edges="ab bc")
    with pytest.raises(
        NodeExecutionError, match=r"node 'b' \(FailNode\) failed: no User"
    ) as caught:
        await run(workflow)
    error = caught.value
    assert (error.node_id, error.node_type) == ("b", "FailNode")
    assert (error.cause_code, error.__cause__) == ("DF-701", error.cause)
    assert list(error.results) == ["a"]
    assert error.run_id


async def test_errors_of_other_libraries_are_wrapped(bench):
    """An error that is none of DataFlow's is the cause as it is."""
    workflow = bench.built(("a", "FailNode"), a={"error": ZeroDivisionError("by zero")})
    with pytest.raises(NodeExecutionError, match="ZeroDivisionError: by zero") as caught:
        await run(workflow)
    assert caught.value.cause_code is None
    assert isinstance(caught.value.cause, ZeroDivisionError)


async def test_what_comes_later_is_cancelled_and_awaited():
    """When a node fails, nodes after it are cancelled and have ended when the error is raised."""
    bench = Bench(TOGETHER)
    workflow = bench.built(("a", "FailNode"), ("b", "WaitNode"), ("c", "WaitNode"))
    with pytest.raises(NodeExecutionError):
        await run(workflow)
    assert sorted(bench.gate.cancelled) == ["b", "c"]
    assert bench.gate.inside == 0


async def test_what_comes_earlier_is_brought_to_its_end():
    """Nodes before the failing one finish, and one that fails among them is the one reported."""
    bench = Bench(TOGETHER)
    workflow = bench.built(
        ("a", "WaitNode"), ("b", "FailNode"), a={"seconds": 0.02}, b={"error": ValueError()}
    )
    with pytest.raises(NodeExecutionError) as caught:
        await run(workflow)
    assert list(caught.value.results) == ["a"]
    other = Bench(TOGETHER)
    workflow = other.built(("a", "FailNode"), ("b", "FailNode"), a={"seconds": 0.02})
    with pytest.raises(NodeExecutionError) as caught:
        await run(workflow)
    assert caught.value.node_id == "a"


async def test_nothing_later_starts_after_a_failure():
    """A node after the failing one is not started, though what it waited for still finishes."""
    bench = Bench(TOGETHER)
    workflow = bench.built(
        ("a", "WaitNode"), ("b", "FailNode"), ("c", "WaitNode"), a={"seconds": 0.02}, edges="ac"
    )
    with pytest.raises(NodeExecutionError) as caught:
        await run(workflow)
    assert list(caught.value.results) == bench.gate.finished == ["a"]
    assert bench.gate.cancelled == []


async def test_a_failure_may_be_passed_over(bench):
    """`on_error="continue"` records a failure, skips all that depends on it, and runs the rest."""
    workflow = bench.built(
        ("a", "FailNode"), ("b", "EchoNode"), ("c", "EchoNode"), ("d", "EchoNode"), edges="ab bc"
    )
    results = await run(workflow, on_error="continue")
    assert results["a"]["success"] is False
    assert results["a"]["error"]["code"] == "DF-701"
    for node in "bc":
        assert results[node] == {
            "success": False,
            "skipped": True,
            "failed_node": "a",
            "error": results["a"]["error"],
        }
    assert results["d"] == {"result": {}}


async def test_a_failure_of_another_library_is_recorded_by_name(bench):
    """A recorded error that is none of DataFlow's has its class, its text and no code."""
    workflow = bench.built(("a", "FailNode"), a={"error": KeyError("x")})
    results = await run(workflow, on_error="continue")
    assert results["a"]["error"] == {"code": None, "error": "KeyError", "message": "'x'"}


async def test_the_node_decides_before_the_run_and_the_run_before_the_runtime(bench):
    """`on_error` of a node wins over the run's, and that over the runtime's."""
    bench.builder.add_node("FailNode", "a", on_error="continue")
    bench.builder.add_node("EchoNode", "b")
    workflow = bench.builder.build()
    assert (await run(workflow, on_error="raise"))["b"] == {"result": {}}
    bench.builder.add_node("FailNode", "c")
    workflow = bench.builder.build()
    results, _ = await AsyncLocalRuntime(on_error="continue").execute(workflow)
    assert results["c"]["success"] is False
    with pytest.raises(NodeExecutionError):
        await AsyncLocalRuntime(on_error="continue").execute(workflow, on_error="raise")


def again(outcome: Any = None) -> LockTimeout:
    """An error that may be tried again."""
    return LockTimeout("a lock was not released", outcome=outcome)


@pytest.mark.parametrize("error", [again, lambda: again("not done")])
async def test_what_may_be_repeated_is_tried_again(bench, error: Callable[[], Exception]):
    """A retryable error that left nothing behind is tried again, up to `retries` times."""
    parameters = {"error": error(), "succeeds_at": 3}
    bench.builder.add_node("FlakyNode", "a", parameters, retries=2)
    assert (await run(bench.builder.build()))["a"]["result"] == 3


@pytest.mark.parametrize(
    ("error", "retries", "tries"),
    [
        (again(), 1, 2),
        (again("unknown"), 5, 1),
        (again("done"), 5, 1),
        (ConnectionLost("gone", outcome="unknown"), 5, 1),
        (RecordNotFound("no User"), 5, 1),
        (ValueError(), 5, 1),
    ],
)
async def test_what_may_not_be_repeated_is_not(bench, error, retries, tries):
    """Errors that are not retryable, writes of unknown outcome and the last try end the node."""
    bench.builder.add_node("FlakyNode", "a", {"error": error, "succeeds_at": 99}, retries=retries)
    with pytest.raises(NodeExecutionError) as caught:
        await run(bench.builder.build())
    assert caught.value.cause is error
    assert bench.tries == tries


async def test_the_delay_doubles(bench, monkeypatch):
    """Between tries the delay is `retry_delay`, then twice that, and so on."""
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("dataflow_core.workflow.execution.asyncio.sleep", sleep)
    parameters = {"error": again(), "succeeds_at": 5}
    bench.builder.add_node("FlakyNode", "a", parameters, retries=4, retry_delay=0.5)
    await run(bench.builder.build())
    assert [seconds for seconds in slept if seconds] == [0.5, 1.0, 2.0, 4.0]


async def test_each_try_sees_the_parameters_as_given(bench):
    """What a failed try did to its dict of parameters does not reach the next."""

    async def once(context: Context, parameters: dict[str, Any]) -> dict[str, Any]:
        name = parameters.pop("name")
        bench.tries += 1
        if bench.tries == 1:
            raise again()
        return {"result": name}

    bench.owner.add("PopNode", once)
    bench.builder.add_node("PopNode", "a", {"name": "Ada"}, retries=1)
    assert (await run(bench.builder.build()))["a"]["result"] == "Ada"


async def test_a_connected_generator_is_not_retried(bench):
    """A node that may be retried refuses a connected value that can be read only once."""
    bench.builder.add_node("EchoNode", "a", deferred=["data"])
    bench.builder.add_node("EchoNode", "b", retries=1)
    bench.builder.add_connection("a", "data", "b", "data")
    with pytest.raises(NodeExecutionError) as caught:
        await run(bench.builder.build(), parameters={"a": {"data": iter(())}})
    assert isinstance(caught.value.cause, ConflictingParameters)


async def test_a_node_has_its_own_time(bench):
    """A node that takes longer than its timeout is cancelled and fails."""
    bench.builder.add_node("WaitNode", "slow", timeout=0.02)
    with pytest.raises(NodeExecutionError, match=r"0\.02 s") as caught:
        await run(bench.builder.build())
    assert isinstance(caught.value.cause, NodeTimeout)
    assert bench.gate.cancelled == ["slow"]


async def test_a_timeout_that_a_node_raises_is_its_own(bench):
    """A TimeoutError that a node raises by itself is no timeout of the node or the run."""
    bench.builder.add_node("FailNode", "a", {"error": TimeoutError("mine")}, timeout=60)
    with pytest.raises(NodeExecutionError) as caught:
        await run(bench.builder.build(), timeout=60)
    assert str(caught.value.cause) == "mine"


async def test_a_node_that_answers_its_cancellation_otherwise_still_times_out(bench):
    """A driver that turns the cancellation into an error of its own does not hide the timeout."""

    async def stubborn(context: Context, parameters: Any) -> dict[str, Any]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ConnectionLost("the server ended the query") from None
        return {"result": None}

    bench.owner.add("StubbornNode", stubborn)
    bench.builder.add_node("StubbornNode", "a", timeout=0.02, retries=3)
    with pytest.raises(NodeExecutionError) as caught:
        await run(bench.builder.build())
    assert isinstance(caught.value.cause, NodeTimeout)
    other = Bench(ALONE)
    other.owner.add("StubbornNode", stubborn, effect=EVERYTHING)
    workflow = other.built(("a", "StubbornNode"), ("b", "WaitNode"))
    start = time.perf_counter()
    with pytest.raises(WorkflowTimeout):
        await run(workflow, timeout=0.02, on_error="continue")
    assert time.perf_counter() - start < 5


async def test_a_run_has_its_own_time(bench):
    """A run that takes too long is cancelled with all its nodes; the error names what finished."""
    workflow = bench.built(("a", "EchoNode"), ("b", "WaitNode"), ("c", "WaitNode"))
    with pytest.raises(WorkflowTimeout, match=r"0\.02 s") as caught:
        await run(workflow, timeout=0.02)
    assert caught.value.context["finished"] == ["a"]
    assert set(bench.gate.cancelled) >= {"b"}
    assert bench.gate.inside == 0


async def test_cancelling_the_call_cancels_the_nodes(bench):
    """A cancelled call cancels the running nodes and ends when they have ended."""
    workflow = bench.built(("a", "WaitNode"), ("b", "WaitNode"))
    task = asyncio.create_task(run(workflow, on_error="continue"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert bench.gate.inside
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.gate.cancelled[0] == "a"
    assert (bench.gate.inside, bench.gate.finished) == (0, [])


async def test_a_second_cancellation_does_not_leave_nodes_behind():
    """Cancelled again while nodes clean up, the call still waits for them."""
    bench, cleaned = Bench(TOGETHER), []

    async def careful(context: Context, parameters: Any) -> dict[str, Any]:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.02)
            cleaned.append(context.node_id)
        return {"result": None}

    bench.owner.add("CarefulNode", careful)
    workflow = bench.built(("a", "CarefulNode"), ("b", "CarefulNode"))
    task = asyncio.create_task(run(workflow))
    for _ in range(3):
        await asyncio.sleep(0.002)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(cleaned) == ["a", "b"]


async def test_a_swallowed_cancellation_still_ends_the_run():
    """A node that ignores its cancellation does not keep the rest of the workflow running."""
    bench = Bench(ALONE)

    async def deaf(context: Context, parameters: Any) -> dict[str, Any]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            bench.tries += 1
        return {"result": None}

    bench.owner.add("DeafNode", deaf, effect=EVERYTHING)
    workflow = bench.built(("a", "DeafNode"), ("b", "WaitNode"))
    with pytest.raises(WorkflowTimeout):
        await run(workflow, timeout=0.02)
    assert (bench.tries, bench.gate.inside) == (1, 0)


async def test_a_node_that_cancels_itself_fails(bench):
    """A CancelledError that nobody asked for is a failure of the node, not of the run."""
    workflow = bench.built(
        ("a", "FailNode"), ("b", "EchoNode"), a={"error": asyncio.CancelledError()}
    )
    results = await run(workflow, on_error="continue")
    assert results["a"]["error"]["error"] == "CancelledError"
    assert results["b"] == {"result": {}}
    with pytest.raises(NodeExecutionError):
        await run(workflow)


async def test_a_run_inside_a_cancelled_task_works(bench):
    """A workflow that cleans up after a cancellation runs although its task was cancelled."""
    workflow = bench.built(("a", "EchoNode"), ("b", "FailNode"), ("c", "EchoNode"))
    found = {}

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            found.update(await run(workflow, on_error="continue"))

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(found) == ["a", "b", "c"]
