"""A part of a workflow as a transaction: how it runs, fails, and is done again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dataflow_core.errors import (
    ConflictingParameters,
    ConnectionLost,
    Deadlock,
    NodeExecutionError,
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
        """Note the node; fail as often as ``errors`` says, or wait, when told to."""
        self.log.append(context.node_id)
        errors = parameters.get("errors")
        if errors:
            raise errors.pop()
        await self.gate.pass_through(context.node_id, parameters.get("seconds", 0))
        return {"result": context.transaction}


@pytest.fixture
def shop() -> Shop:
    """An instance with two databases."""
    return Shop()


@pytest.fixture
def builder(shop) -> WorkflowBuilder:
    """A builder of its nodes."""
    return WorkflowBuilder(shop)


def pay(builder: WorkflowBuilder, *errors: Exception, **options: Any) -> None:
    """A node before, a transaction of two of which the second fails so often, and one that is fed
    by it and one that is not."""
    builder.add_node("WriteNode", "before")
    with builder.transaction("pay", **options):
        builder.add_node("WriteNode", "one")
        builder.add_node("WriteNode", "two", {"errors": list(errors)})
    builder.add_node("WriteNode", "after")
    builder.add_node("WriteNode", "apart")
    builder.add_connection("two", "result", "after", "input")


PAID = ["begin primary", "one", "two"]


async def run(builder: WorkflowBuilder, *arguments: Any, **options: Any) -> dict[str, Any]:
    """Build and run; the results."""
    results, _ = await AsyncLocalRuntime().execute(builder.build(), *arguments, **options)
    return results


async def test_its_nodes_run_in_one_transaction_and_others_in_none(shop, builder):
    """The nodes of the part run in order in one transaction; those before and after in none."""
    pay(builder)
    results = await run(builder)
    assert shop.log == ["before", *PAID, "commit", "after", "apart"]
    assert {name: result["result"] for name, result in results.items()} == {
        "before": None,
        "one": "primary",
        "two": "primary",
        "after": None,
        "apart": None,
    }


async def test_its_reads_do_not_run_at_the_same_time(shop, builder):
    """One connection takes one statement after the other."""
    with builder.transaction("read"):
        for _ in range(3):
            builder.add_node("ReadNode")
    await run(builder)
    assert shop.gate.most == 1


async def test_what_it_does_not_touch_runs_at_the_same_time(shop, builder):
    """A part runs beside nodes, and other parts, that cannot be told apart from it."""
    with builder.transaction("pay"):
        builder.add_node("WriteNode", "one", {"seconds": 0.02})
        builder.add_node("ReadNode", "two", {"seconds": 0.02})
    with builder.transaction("visit"):
        builder.add_node("VisitNode", "visit", {"seconds": 0.02})
    builder.add_node("WriteNode", "after")
    await run(builder)
    assert shop.gate.most == 2
    assert shop.gate.finished.index("visit") < shop.gate.finished.index("two")
    assert shop.gate.finished[-1] == "after"


async def test_the_database_is_that_of_its_nodes(shop, builder):
    """Each part is opened where its nodes are, with the isolation that was asked for."""
    with builder.transaction("visit", isolation="serializable"):
        builder.add_node("OwnNode", "own")
        builder.add_node("VisitNode", "visit")
    await run(builder)
    assert shop.log == ["begin analytics serializable", "own", "visit", "commit"]


async def test_a_failing_node_undoes_the_part(shop, builder):
    """The error names node and transaction; no node of the part counts as finished."""
    pay(builder, ValueError("no"))
    with pytest.raises(
        NodeExecutionError, match=r"'two' \(WriteNode\) of the transaction 'pay'"
    ) as caught:
        await run(builder)
    assert shop.log == ["before", *PAID, "rollback"]
    error = caught.value
    assert list(error.results) == ["before"]
    assert (error.node_id, error.context["transaction"]) == ("two", "pay")
    assert error.outcome == "not done"
    assert isinstance(error.__cause__, ValueError)


async def test_all_its_nodes_are_recorded_as_failed(shop, builder):
    """With `on_error="continue"` each node of the part has failed, what it feeds is skipped, and
    the rest runs."""
    pay(builder, ValueError("no"))
    results = await run(builder, on_error="continue")
    assert shop.log == ["before", *PAID, "rollback", "apart"]
    assert results["two"] == {
        "success": False,
        "error": {"code": None, "error": "ValueError", "message": "no"},
    }
    one = results["one"]
    assert (one["success"], one["failed_node"], one["error"]["code"]) == (False, "two", "DF-524")
    assert one["error"]["outcome"] == "not done"
    assert "because node 'two' (WriteNode) of the same transaction 'pay'" in one["error"]["message"]
    assert results["after"]["skipped"]
    assert results["after"]["failed_node"] == "two"
    assert results["apart"] == {"result": None}


async def test_a_node_of_it_may_end_the_run(shop, builder):
    """Where a node of the part says "raise" its failure, and that of its like, ends the run."""
    with builder.transaction("pay"):
        builder.add_node("WriteNode", "one", on_error="raise")
        builder.add_node("WriteNode", "two", {"errors": [ValueError()]})
    with pytest.raises(NodeExecutionError):
        await run(builder, on_error="continue")


async def test_it_is_skipped_as_a_whole(shop, builder):
    """If one of its nodes lacks what it waits for, nothing of the part is done."""
    builder.add_node("WriteNode", "source", {"errors": [ValueError()]}, on_error="continue")
    with builder.transaction("pay"):
        builder.add_node("WriteNode", "one")
        builder.add_node("WriteNode", "two")
    builder.add_connection("source", "result", "two", "input")
    results = await run(builder)
    assert shop.log == ["source"]
    assert [results[name]["skipped"] for name in ("one", "two")] == [True, True]
    assert results["one"]["failed_node"] == "source"


def lost() -> ConnectionLost:
    """What a commit gives that nobody has an answer to."""
    return ConnectionLost("no answer to COMMIT", outcome="unknown")


async def test_an_unknown_outcome_is_told(shop, builder):
    """Where nobody knows whether the part was kept, the error and each result say so."""
    pay(builder)
    shop.commit_error = lost()
    with pytest.raises(NodeExecutionError, match=r"'pay'.* nobody can tell whether") as caught:
        await run(builder)
    assert caught.value.outcome == "unknown"
    assert list(caught.value.results) == ["before"]
    shop.commit_error = lost()
    results = await run(builder, on_error="continue")
    for name in ("one", "two"):
        assert results[name]["success"] is False
        assert (results[name]["error"]["code"], results[name]["error"]["outcome"]) == (
            "DF-504",
            "unknown",
        )
    assert results["after"]["skipped"]


async def test_the_last_attempt_is_told(shop, builder):
    """Where a node failed, and then the commit of the next attempt, the commit is what is told."""
    pay(builder, Deadlock("ended", outcome="not done"), retry=1)
    shop.commit_error = lost()
    with pytest.raises(NodeExecutionError, match="nobody can tell") as caught:
        await run(builder)
    assert caught.value.outcome == "unknown"
    assert shop.log.count("begin primary") == 2


async def test_cancelling_rolls_back(shop, builder):
    """A run whose time is over has not finished the nodes of the part that it was in."""
    builder.add_node("WriteNode", "before")
    with builder.transaction("pay"):
        builder.add_node("WriteNode", "one")
        builder.add_node("WriteNode", "two", {"seconds": 60})
    with pytest.raises(WorkflowTimeout) as caught:
        await run(builder, timeout=0.05)
    assert shop.log == ["before", *PAID, "rollback"]
    assert caught.value.context["finished"] == ["before"]


async def test_it_is_cancelled_by_an_earlier_failure(shop, builder):
    """What comes after a node that failed is undone, also where it ran at the same time."""
    builder.add_node("VisitNode", "visit", {"errors": [], "seconds": 0.02})
    with builder.transaction("pay"):
        builder.add_node("WriteNode", "one", {"seconds": 60})

    async def fail(context: Context, parameters: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0.02)
        raise ValueError

    shop.add("VisitNode", fail, effect=touching(writes=["visits"], database="analytics"))
    with pytest.raises(NodeExecutionError, match="'visit'"):
        await run(builder)
    assert shop.log == ["begin primary", "one", "rollback"]


# Being done again


async def test_it_is_done_again_alone(shop, builder):
    """Where the database ended it all its nodes run again, and no other node does."""
    pay(builder, Deadlock("ended", outcome="not done"), retry=1)
    results = await run(builder)
    assert shop.log == ["before", *PAID, "rollback", *PAID, "commit", "after", "apart"]
    assert results["two"] == {"result": "primary"}


async def test_it_is_done_again_as_often_as_asked(shop, builder):
    """The last failure is reported as any other; without `retry` that is the first."""
    pay(builder, *[Deadlock("ended", outcome="not done")] * 3, retry=1)
    with pytest.raises(NodeExecutionError, match="ended"):
        await run(builder)
    assert shop.log.count("begin primary") == 2


async def test_what_may_act_outside_is_not_done_again(shop, builder):
    """`retry` of a node that may act outside of the database is refused when it is built."""
    shop.add("MailNode", effect=EVERYTHING, repeatable=False)
    with builder.transaction("pay", retry=1):
        builder.add_node("MailNode", "mail")
    with pytest.raises(ConflictingParameters, match=r"retry=1, but node 'mail'.* outside"):
        builder.build()


@pytest.mark.parametrize("given", ["constant", "run", "fed"])
async def test_what_is_read_once_is_not_done_again(shop, builder, given):
    """`retry` with something that the first attempt would use up is refused before it begins."""

    async def rows(context: Context, parameters: dict[str, Any]) -> dict[str, Any]:
        return {"result": iter([1])}

    shop.add("RowsNode", rows, effect=EVERYTHING)
    if given == "fed":
        builder.add_node("RowsNode", "rows")
        builder.add_connection("rows", "result", "one", "rows")
    constants = {"rows": iter([1])} if given == "constant" else {}
    with builder.transaction("pay", retry=1):
        builder.add_node("WriteNode", "one", constants)
    parameters = {"one": {"rows": iter([1])}} if given == "run" else None
    with pytest.raises((ConflictingParameters, NodeExecutionError), match="read only once"):
        await run(builder, parameters)
    assert shop.log == []


# Within a transaction


async def test_within_a_transaction_it_is_a_savepoint(shop, builder):
    """In a run with `transaction=True`, and in a transaction of the caller's."""
    pay(builder)
    inside = ["before", "savepoint primary", "one", "two", "release", "after", "apart"]
    await run(builder, transaction=True)
    assert shop.log == ["begin primary", *inside, "commit"]
    shop.log.clear()
    async with shop.transaction():
        await run(builder)
    assert shop.log == ["begin primary", *inside, "commit"]


async def test_a_transaction_on_its_own_database_is_what_counts(shop, builder):
    """A transaction of the caller's on another database than the default one is seen too."""
    with builder.transaction("visit", retry=2):
        builder.add_node("VisitNode", "visit", {"errors": [Deadlock("ended", outcome="not done")]})
    async with shop.transaction("analytics"):
        with pytest.raises(NodeExecutionError):
            await run(builder)
    assert shop.log == ["begin analytics", "savepoint analytics", "visit", "roll back to", "commit"]


async def test_a_savepoint_is_not_done_again(shop, builder):
    """The database ends the whole transaction, so that is what is done again."""
    pay(builder, Deadlock("ended", outcome="not done"), retry=2)
    await run(builder, transaction=True)
    assert shop.log.count("begin primary") == 2
    assert shop.log.count("savepoint primary") == 2


@pytest.mark.parametrize("outer", [True, False])
async def test_a_savepoint_has_no_isolation_of_its_own(shop, builder, outer):
    """`isolation` within a transaction is refused before anything runs."""
    pay(builder, isolation="serializable")
    with pytest.raises(ConflictingParameters, match=r"'pay': isolation='serializable' within"):
        if outer:
            await run(builder, transaction=True)
        async with shop.transaction():
            shop.log.clear()
            await run(builder)
    assert "before" not in shop.log
