"""Running a workflow in one transaction."""

from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.errors import (
    ConflictingParameters,
    Deadlock,
    NodeExecutionError,
    TransactionSpansDatabases,
    WorkflowTimeout,
)
from dataflow_core.nodes.base import Context, Effect
from dataflow_core.workflow import AsyncLocalRuntime, WorkflowBuilder
from tests.core.workflow.fakes import EVERYTHING, FakeOwner, Gate, touching


class Shop(FakeOwner):
    """An instance with two databases, that notes which node ran in which transaction."""

    def __init__(self) -> None:
        super().__init__(live=False)
        self.gate = Gate()
        for name, effect in {
            "ReadNode": touching(reads=["users"]),
            "WriteNode": touching(writes=["users"]),
            "VisitNode": touching(writes=["visits"], database="analytics"),
            "OwnNode": EVERYTHING,
            "PureNode": Effect(),
        }.items():
            self.add(name, self.work, effect=effect)

    async def work(self, context: Context, parameters: dict[str, Any]) -> dict[str, Any]:
        """Note the transaction; fail or wait when told to."""
        if "error" in parameters:
            raise parameters["error"]
        await self.gate.pass_through(context.node_id, parameters.get("seconds", 0))
        self.log.append(context.node_id)
        return {"result": context.transaction}


@pytest.fixture
def shop() -> Shop:
    """An instance with two databases."""
    return Shop()


def built(*nodes: tuple[FakeOwner, str], **options: Any) -> Any:
    """A workflow of nodes of instances, called n0, n1, ...; options go to the last one."""
    builder = WorkflowBuilder()
    for number, (owner, name) in enumerate(nodes):
        node_type = type("NodeName", (str,), {"owner": owner})(name)
        given = options if number == len(nodes) - 1 else {}
        builder.add_node(node_type, f"n{number}", given.pop("parameters", None), **given)
    return builder.build()


async def test_all_nodes_run_in_one_transaction_in_order(shop):
    """Within a transaction nodes run one by one, in order, though reads could run together."""
    workflow = built(*[(shop, "ReadNode")] * 3, (shop, "PureNode"))
    results, _ = await AsyncLocalRuntime().execute(workflow, transaction=True)
    assert shop.log == ["begin primary", "n0", "n1", "n2", "n3", "commit"]
    assert {result["result"] for result in results.values()} == {"primary"}
    assert shop.gate.most == 1


async def test_the_database_is_that_of_the_nodes(shop):
    """The transaction is opened on the database that the nodes use; unknown ones join it."""
    await AsyncLocalRuntime().execute(
        built((shop, "OwnNode"), (shop, "VisitNode")), transaction=True
    )
    assert shop.log == ["begin analytics", "n0", "n1", "commit"]


async def test_nodes_of_which_nothing_is_known_use_the_default_database(shop):
    """With only such nodes the transaction is that of the instance's first database."""
    await AsyncLocalRuntime().execute(built((shop, "OwnNode")), transaction=True)
    assert shop.log == ["begin primary", "n0", "commit"]


async def test_nodes_that_use_no_database_need_no_transaction(shop):
    """Where no node uses a database, none is opened."""
    await AsyncLocalRuntime().execute(built((shop, "PureNode")), transaction=True)
    assert shop.log == ["n0"]


@pytest.mark.parametrize(
    "names", [("WriteNode", "VisitNode"), ("OwnNode", "ReadNode", "VisitNode")]
)
async def test_two_databases_are_refused(shop, names):
    """Nodes of two databases in one transaction are refused before anything runs."""
    workflow = built(*((shop, name) for name in names))
    with pytest.raises(TransactionSpansDatabases, match=r"'primary'.*'analytics'"):
        await AsyncLocalRuntime().execute(workflow, transaction=True)
    assert shop.log == []


@pytest.mark.parametrize("name", ["WriteNode", "OwnNode"])
async def test_two_instances_are_refused(shop, name):
    """Nodes of two instances in one transaction are refused, also where the database is unknown."""
    workflow = built((shop, "WriteNode"), (Shop(), name))
    with pytest.raises(TransactionSpansDatabases, match="of another instance"):
        await AsyncLocalRuntime().execute(workflow, transaction=True)
    assert shop.log == []


async def test_a_failure_rolls_back(shop):
    """A failing node rolls the transaction back and is reported as without one."""
    workflow = built((shop, "WriteNode"), (shop, "WriteNode"), parameters={"error": ValueError()})
    with pytest.raises(NodeExecutionError) as caught:
        await AsyncLocalRuntime().execute(workflow, transaction=True)
    assert shop.log == ["begin primary", "n0", "rollback"]
    assert list(caught.value.results) == ["n0"]


async def test_a_timeout_rolls_back(shop):
    """A run whose time is over rolls the transaction back."""
    workflow = built((shop, "WriteNode"), parameters={"seconds": 60})
    with pytest.raises(WorkflowTimeout):
        await AsyncLocalRuntime().execute(workflow, transaction=True, timeout=0.02)
    assert shop.log == ["begin primary", "rollback"]


@pytest.mark.parametrize("options", [{"on_error": "continue"}, {"retries": 1}])
async def test_a_transaction_is_all_or_nothing(shop, options):
    """A node that is retried or whose failure is passed over does not fit into a transaction."""
    workflow = built((shop, "WriteNode"), **options)
    with pytest.raises(ConflictingParameters, match="in a transaction"):
        await AsyncLocalRuntime().execute(workflow, transaction=True)
    assert shop.log == []


async def test_a_transaction_passes_over_no_failure(shop):
    """`on_error="continue"` of run or runtime is refused in a transaction."""
    workflow = built((shop, "WriteNode"))
    with pytest.raises(ConflictingParameters):
        await AsyncLocalRuntime().execute(workflow, transaction=True, on_error="continue")
    runtime = AsyncLocalRuntime(on_error="continue")
    with pytest.raises(ConflictingParameters):
        await runtime.execute(workflow, transaction=True)
    await runtime.execute(workflow, transaction=True, on_error="raise")
    assert shop.log == ["begin primary", "n0", "commit"]


async def test_a_transaction_that_is_already_open_is_joined_in_order(shop):
    """Inside the caller's transaction nodes run one by one, and the same is refused."""
    workflow = built(*[(shop, "ReadNode")] * 3)
    async with shop.transaction("primary"):
        results, _ = await AsyncLocalRuntime().execute(workflow)
        with pytest.raises(ConflictingParameters):
            await AsyncLocalRuntime().execute(workflow, on_error="continue")
    assert shop.gate.most == 1
    assert {result["result"] for result in results.values()} == {"primary"}
    assert shop.log == ["begin primary", "n0", "n1", "n2", "commit"]


async def test_a_transaction_on_another_database_is_joined_too(shop):
    """Inside the caller's transaction on the database of the nodes none is opened, nor retried."""
    workflow = built((shop, "VisitNode"), (shop, "VisitNode"))
    async with shop.transaction("analytics"):
        await AsyncLocalRuntime().execute(workflow)
        await AsyncLocalRuntime().execute(workflow, transaction=True)
        with pytest.raises(ConflictingParameters):
            await AsyncLocalRuntime().execute(workflow, on_error="continue")
    nested = ["savepoint analytics", "n0", "n1", "release"]
    assert shop.log == ["begin analytics", "n0", "n1", *nested, "commit"]


def failing(shop, times, **options):
    """A workflow whose second node meets a deadlock so many times."""
    left = [times]

    async def meet(context, parameters):
        shop.log.append("meet")
        if left[0]:
            left[0] -= 1
            raise Deadlock("ended", outcome="not done")
        return {"result": None}

    shop.add("MeetNode", meet, effect=touching(writes=["t"]), **options)
    return built((shop, "WriteNode"), (shop, "MeetNode"))


async def test_a_transaction_that_the_database_ended_is_run_again(shop):
    """All nodes run again, in a new transaction, and the results are those of the last run."""
    results, _ = await AsyncLocalRuntime().execute(failing(shop, 2), transaction=True)
    once = ["begin primary", "n0", "meet"]
    assert shop.log == [*once, "rollback", *once, "rollback", *once, "commit"]
    assert list(results) == ["n0", "n1"]


async def test_it_is_run_five_times_at_most(shop):
    """The last failure is reported as any other."""
    with pytest.raises(NodeExecutionError, match="ended"):
        await AsyncLocalRuntime().execute(failing(shop, 9), transaction=True)
    assert shop.log.count("begin primary") == 5


async def test_what_may_do_something_outside_is_not_run_again(shop):
    """A node that may act outside of the database runs once."""
    with pytest.raises(NodeExecutionError):
        await AsyncLocalRuntime().execute(failing(shop, 1, repeatable=False), transaction=True)
    assert shop.log.count("meet") == 1


async def test_what_is_read_once_is_not_run_again(shop):
    """A parameter that the first run has used up would be another one in the second."""
    workflow = failing(shop, 1)
    with pytest.raises(NodeExecutionError):
        await AsyncLocalRuntime().execute(workflow, {"n1": {"rows": iter([1])}}, transaction=True)
    assert shop.log.count("meet") == 1


async def test_within_a_transaction_of_the_caller_nothing_is_run_again(shop):
    """What is done again is the caller's transaction, and so by the caller."""
    async with shop.transaction("primary"):
        with pytest.raises(NodeExecutionError):
            await AsyncLocalRuntime().execute(failing(shop, 1), transaction=True)
    assert shop.log.count("meet") == 1
