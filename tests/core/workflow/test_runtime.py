"""Running workflows: parameters, results, run ids, and what is refused before anything runs."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from dataflow_core.errors import (
    ConflictingParameters,
    InvalidPath,
    InvalidType,
    InvalidValue,
    InvalidWorkflow,
    MissingParameter,
    NodeExecutionError,
    UnknownNode,
    UnknownParameter,
)
from dataflow_core.nodes.base import Context, Parameter
from dataflow_core.workflow import AsyncLocalRuntime, Workflow, WorkflowBuilder
from tests.core.workflow.fakes import EVERYTHING, FakeOwner, Gate, touching


@pytest.fixture
def owner() -> FakeOwner:
    """An instance with a node that gives back its parameters, and one that gives its context."""

    async def tell(context: Context, parameters: Any) -> dict[str, Any]:
        return {"result": context}

    owner = FakeOwner(live=False)
    owner.add("EchoNode")
    owner.add("ContextNode", tell, parameters=["tenant_id"])
    owner.add(
        "UserUpdateNode",
        parameters=[Parameter("id", required=True), Parameter("user_id", alias_of="id"), "fields"],
    )
    return owner


@pytest.fixture
def builder(owner: FakeOwner) -> WorkflowBuilder:
    """A builder for that instance."""
    return WorkflowBuilder(owner)


async def run(workflow: Workflow, **options: Any) -> dict[str, Any]:
    """The results of one run."""
    results, _ = await AsyncLocalRuntime().execute(workflow, **options)
    return results


async def test_values_go_along_connections(builder):
    """Connected values join the constants; a path takes a part, `input` carries only the order."""
    builder.add_node("EchoNode", "list", {"records": [{"id": 1}, {"id": 2}]})
    builder.add_node("EchoNode", "take", {"constant": True})
    builder.add_node("EchoNode", "after")
    builder.add_connection("list", "records.*.id", "take", "ids")
    builder.add_connection("list", "records.0", "take", "first")
    builder.add_connection("take", "result", "after", "input")
    results = await run(builder.build())
    assert results["take"]["result"] == {"constant": True, "ids": [1, 2], "first": {"id": 1}}
    assert results["after"]["result"] == {}


async def test_results_come_in_the_order_of_adding(builder):
    """Results are keyed by node id, in the order in which the nodes were added."""
    for name in "cab":
        builder.add_node("EchoNode", name)
    builder.add_connection("b", "result", "c", "input")
    assert list(await run(builder.build())) == ["c", "a", "b"]


async def test_what_a_node_knows_of_its_run(owner, builder):
    """The context names instance, run, node and tenant, and a key that is the same in no other."""
    builder.add_node("ContextNode", "tell", {"tenant_id": "a"})
    results, run_id = await AsyncLocalRuntime().execute(builder.build(), tenant_id="a")
    context = results["tell"]["result"]
    assert (context.db, context.run_id, context.node_id) == (owner, run_id, "tell")
    assert (context.tenant_id, context.deadline) == ("a", None)
    assert context.idempotency_key == f"{run_id}:tell"


async def test_the_context_knows_when_time_is_over(owner, builder):
    """The deadline is the earlier of the node's and the run's."""
    for seconds in (None, 5, 500):
        builder.add_node("ContextNode", f"in {seconds}", timeout=seconds)
    now = asyncio.get_running_loop().time()
    results = await run(builder.build(), timeout=50)
    left = [result["result"].deadline - now for result in results.values()]
    assert left == pytest.approx([50, 5, 50], abs=2)


async def test_run_ids_are_unique_and_sorted(builder):
    """Each run has an id of its own, a UUIDv7 as text: later runs sort later."""
    workflow = builder.build()
    ids = [(await AsyncLocalRuntime().execute(workflow))[1] for _ in range(50)]
    assert ids == sorted(set(ids))
    assert {UUID(run_id).version for run_id in ids} == {7}


async def test_a_workflow_runs_many_times_at_once(owner, builder):
    """100 runs of 50 nodes at once, of one workflow, each give their own results."""
    gate = Gate()

    async def work(context: Context, parameters: dict[str, Any]) -> dict[str, Any]:
        await gate.pass_through(context.node_id)
        return {"result": parameters["number"] + parameters.get("before", 0)}

    owner.add("AddNode", work, effect=touching(reads=["t"]))
    for number in range(50):
        builder.add_node("AddNode", f"n{number}", {"number": 1})
        if number >= 5:
            builder.add_connection(f"n{number - 5}", "result", f"n{number}", "before")
    workflow, runtime = builder.build(), AsyncLocalRuntime()
    runs = await asyncio.gather(
        *(runtime.execute(workflow, {"n0": {"number": run}}) for run in range(100))
    )
    for number, (results, _) in enumerate(runs):
        assert results["n45"]["result"] == number + 9
        assert results["n49"]["result"] == 10
    assert len({run_id for _, run_id in runs}) == 100
    assert gate.inside == 0


async def test_a_node_may_change_the_dict_it_is_given(owner, builder):
    """What a node does to its parameters does not reach the next run."""

    async def change(context: Context, parameters: dict[str, Any]) -> dict[str, Any]:
        return {"result": parameters.pop("name")}

    owner.add("PopNode", change)
    builder.add_node("PopNode", "pop", {"name": "Ada"})
    workflow = builder.build()
    for _ in range(2):
        assert (await run(workflow))["pop"]["result"] == "Ada"


async def test_a_run_may_replace_constants(builder):
    """Parameters of a run replace constants for that run only, also by an alias."""
    builder.add_node("UserUpdateNode", "update", {"id": 1, "fields": {"age": 3}})
    workflow = builder.build()
    results = await run(workflow, parameters={"update": {"user_id": 2}})
    assert results["update"]["result"] == {"user_id": 2, "fields": {"age": 3}}
    assert (await run(workflow))["update"]["result"] == {"id": 1, "fields": {"age": 3}}


async def test_deferred_parameters_are_given_by_the_run(builder):
    """A run without a deferred parameter is refused; one that gives it, also by an alias, runs."""
    builder.add_node("UserUpdateNode", "update", deferred=["id"])
    workflow = builder.build()
    with pytest.raises(MissingParameter, match=r"node 'update'.*'id' was deferred"):
        await run(workflow)
    for name in ("id", "user_id"):
        results = await run(workflow, parameters={"update": {name: 3}})
        assert results["update"]["result"] == {name: 3}


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ([], InvalidType),
        ("update", InvalidType),
        ({"update": 3}, InvalidType),
        ({"update": {3: 3}}, InvalidType),
        ({"updat": {"id": 3}}, UnknownNode),
        ({3: {"id": 3}}, UnknownNode),
        ({"update": {"idd": 3}}, UnknownParameter),
        ({"update": {"id": 3, "user_id": 3}}, ConflictingParameters),
        ({"update": {"fields": {}}}, ConflictingParameters),
    ],
)
async def test_parameters_of_a_run_are_checked(builder, parameters, error):
    """Parameters of a run that fit no node, are no parameters, or are connected are refused."""
    builder.add_node("EchoNode", "before", {"x": 1})
    builder.add_node("UserUpdateNode", "update", {"id": 1})
    builder.add_connection("before", "x", "update", "fields")
    with pytest.raises(error):
        await run(builder.build(), parameters=parameters)


async def test_parameters_of_a_run_pass_the_check_of_the_node_type(owner, builder):
    """What a node type refuses at build it refuses from a run, before anything has run."""
    ran = []

    async def note(context: Context, parameters: Any) -> dict[str, Any]:
        ran.append(context.node_id)
        return {"result": None}

    def check(parameters: Any) -> None:
        if parameters["limit"] < 0:
            raise InvalidValue("limit must be at least 0")

    owner.add("ListNode", note, parameters=["limit"], check=check)
    builder.add_node("ListNode", "first", {"limit": 1})
    builder.add_node("ListNode", "second", {"limit": 1})
    with pytest.raises(InvalidValue) as caught:
        await run(builder.build(), parameters={"second": {"limit": -1}})
    assert caught.value.context["node_id"] == "second"
    assert ran == []


async def test_a_builder_is_no_workflow(builder):
    """A builder given to the runtime is refused, and the error says what to call."""
    with pytest.raises(InvalidWorkflow, match=r"call \.build\(\)"):
        await AsyncLocalRuntime().execute(builder)
    with pytest.raises(InvalidWorkflow, match="expected a Workflow"):
        await AsyncLocalRuntime().execute({"nodes": []})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"transaction": 1}, InvalidType),
        ({"timeout": 0}, InvalidValue),
        ({"timeout": "5"}, InvalidType),
        ({"on_error": "ignore"}, InvalidValue),
    ],
)
async def test_options_of_a_run_are_checked(builder, options, error):
    """An option of a wrong kind is refused."""
    with pytest.raises(error):
        await run(builder.build(), **options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"concurrency": 0}, InvalidValue),
        ({"concurrency": 2.5}, InvalidType),
        ({"concurrency": True}, InvalidType),
        ({"on_error": "skip"}, InvalidValue),
    ],
)
def test_options_of_a_runtime_are_checked(options, error):
    """A runtime refuses what it cannot be made with."""
    with pytest.raises(error):
        AsyncLocalRuntime(**options)


async def test_a_tenant_that_nothing_uses_is_refused(owner, builder):
    """A tenant is accepted only where a node takes it or may hand it on."""

    async def work(context: Context, parameters: Any) -> dict[str, Any]:
        return {"result": context.tenant_id}

    owner.add("PlainNode", work, parameters=[])
    owner.add("OwnNode", work, parameters=[], effect=EVERYTHING)
    builder.add_node("PlainNode", "plain")
    with pytest.raises(UnknownParameter, match="would be ignored"):
        await run(builder.build(), tenant_id="a")
    builder.add_node("OwnNode", "own")
    assert (await run(builder.build(), tenant_id="a"))["own"]["result"] == "a"


async def test_a_generator_feeds_one_run(builder):
    """A constant generator is read by the first run; a second run would see nothing: refused."""
    builder.add_node("EchoNode", "load", {"data": (number for number in range(3))})
    workflow = builder.build()
    assert list((await run(workflow))["load"]["data"]) == [0, 1, 2]
    with pytest.raises(ConflictingParameters, match="an earlier run has read it"):
        await run(workflow)
    again = await run(workflow, parameters={"load": {"data": iter([4])}})
    assert list(again["load"]["data"]) == [4]


async def test_a_path_that_breaks_at_run_fails_the_node(builder):
    """A path that leads nowhere fails the node it was to feed, naming path and step."""
    builder.add_node("EchoNode", "list", {"records": []})
    builder.add_node("EchoNode", "take")
    builder.add_connection("list", "records.0.id", "take", "id")
    with pytest.raises(NodeExecutionError) as caught:
        await run(builder.build())
    error = caught.value
    assert (error.node_id, error.cause_code) == ("take", InvalidPath.code)
    assert isinstance(error.cause, InvalidPath)
    assert error.cause.context["step"] == "0"
    assert list(error.results) == ["list"]


@pytest.mark.parametrize("returned", [None, 3, [{"id": 1}], "result"])
async def test_a_result_is_a_dict(owner, builder, returned):
    """A node that returns anything but a dict fails."""

    async def work(context: Context, parameters: Any) -> Any:
        return returned

    owner.add("OddNode", work)
    builder.add_node("OddNode", "odd")
    with pytest.raises(NodeExecutionError, match="must be a dict") as caught:
        await run(builder.build())
    assert isinstance(caught.value.cause, InvalidType)


async def test_nodes_may_run_other_nodes(owner, builder):
    """A node runs another one of its instance through its context."""

    async def outer(context: Context, parameters: Any) -> dict[str, Any]:
        return await context.run("EchoNode", inner=True)

    owner.add("OuterNode", outer, effect=EVERYTHING)
    builder.add_node("OuterNode", "outer")
    assert (await run(builder.build()))["outer"]["inner"] is True


async def test_an_empty_workflow_gives_no_results():
    """Running nothing gives no results and a run id."""
    results, run_id = await AsyncLocalRuntime().execute(WorkflowBuilder().build())
    assert results == {}
    assert UUID(run_id)


async def test_a_runtime_may_be_used_with_async_with(builder):
    """A runtime works with `async with`, which holds nothing open."""
    async with AsyncLocalRuntime() as runtime:
        assert (await runtime.execute(builder.build()))[0] == {}
