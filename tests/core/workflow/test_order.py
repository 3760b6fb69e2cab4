"""The order rule: a workflow's result is that of running its nodes one after the other."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import NodeExecutionError
from dataflow_core.nodes.base import Context, Effect
from dataflow_core.workflow import AsyncLocalRuntime, Workflow, WorkflowBuilder
from tests.core.workflow.fakes import EVERYTHING, FakeOwner, Gate, touching

TABLES = ("users", "orders", "items")


def waits(workflow: Workflow) -> dict[str, set[str]]:
    """For each node the nodes that it waits for directly."""
    found: dict[str, set[str]] = {node_id: set() for node_id in workflow}
    first = [unit.steps[0].node.id for unit in workflow.units]
    for node_id, unit in zip(first, workflow.units, strict=True):
        for follower in unit.followers:
            found[first[follower]].add(node_id)
    return found


def built(*nodes: tuple[str, Effect], last: tuple[str, ...] = (), edges: str = "") -> Workflow:
    """A workflow of nodes with effects; ``edges`` like ``"ab bc"``."""
    owner = FakeOwner(live=False)
    builder = WorkflowBuilder(owner)
    for name, effect in nodes:
        owner.add(name, effect=effect, last=name in last)
        builder.add_node(name, name)
    for edge in edges.split():
        builder.add_connection(edge[0], "result", edge[1], "input")
    return builder.build()


READ, WRITE = touching(reads=["t"]), touching(writes=["t"])
OTHER = touching(writes=["other"])


def test_the_order_is_that_of_dependencies_then_of_adding():
    """Dependencies decide; where they leave a choice, the node that was added first comes first."""
    free = Effect()
    workflow = built(*((name, free) for name in "abcde"), edges="da ec")
    assert workflow.order == ("b", "d", "a", "e", "c")


def test_reads_do_not_wait_for_reads():
    """Reads of one table do not wait for each other; a write waits for them, and they for it."""
    workflow = built(("a", READ), ("b", READ), ("c", WRITE), ("d", READ), ("e", WRITE))
    assert waits(workflow) == {"a": set(), "b": set(), "c": {"a", "b"}, "d": {"c"}, "e": {"c", "d"}}


def test_writes_of_different_tables_do_not_wait():
    """Writes of different tables, or of tables of different databases, do not wait."""
    elsewhere = touching(writes=["t"], database="analytics")
    workflow = built(("a", WRITE), ("b", OTHER), ("c", elsewhere))
    assert waits(workflow) == {"a": set(), "b": set(), "c": set()}


def test_what_is_unknown_runs_alone():
    """A node of which nothing is known waits for all before it, and all after it wait for it."""
    workflow = built(("a", READ), ("b", OTHER), ("c", EVERYTHING), ("d", READ), ("e", EVERYTHING))
    assert waits(workflow) == {"a": set(), "b": set(), "c": {"a", "b"}, "d": {"c"}, "e": {"d"}}


def test_the_last_node_waits_for_all():
    """A node that runs last waits for all others, and what hangs on it comes after it."""
    workflow = built(*((name, READ) for name in "abcd"), last=("a",), edges="ac")
    assert workflow.order == ("b", "d", "a", "c")
    assert waits(workflow)["a"] == {"b", "d"}


def test_a_plan_of_many_nodes_stays_linear():
    """Planning 5,000 nodes that read, write or touch all is no square of work."""
    effects = (READ, WRITE, OTHER, READ, EVERYTHING)
    nodes = [(f"n{number}", effects[number % 5]) for number in range(5_000)]
    owner = FakeOwner(live=False)
    builder = WorkflowBuilder(owner)
    for name, effect in nodes:
        owner.add(name, effect=effect)
        builder.add_node(name, name)
    start = time.perf_counter()
    units = builder.build().units
    assert time.perf_counter() - start < 5
    assert sum(unit.waits for unit in units) < 15_000


async def test_only_what_cannot_be_told_apart_runs_together():
    """Reads run at the same time, up to the limit; writes of one table never do."""
    for effect, limit, most in ((READ, 10, 6), (READ, 4, 4), (WRITE, 10, 1), (EVERYTHING, 10, 1)):
        owner, gate = FakeOwner(live=False), Gate()

        async def run(context: Context, parameters: Any, gate: Gate = gate) -> dict[str, Any]:
            await gate.pass_through(context.node_id, 0.001)
            return {"result": None}

        owner.add("Node", run, effect=effect)
        builder = WorkflowBuilder(owner)
        for _ in range(6):
            builder.add_node("Node")
        await AsyncLocalRuntime(concurrency=limit).execute(builder.build())
        assert gate.most == most


@frozen
class Graph:
    """A random workflow: for each node its effect, its sources, and whether it fails."""

    effects: tuple[Effect, ...]
    sources: tuple[tuple[int, ...], ...]
    failing: frozenset[int]
    last: frozenset[int]
    shuffled: tuple[int, ...]

    def naive_order(self) -> list[int]:
        """The order by the words of the rule: always the first added that may run."""
        done: list[int] = []
        while len(done) < len(self.effects):
            may = [
                one
                for one in self.shuffled
                if one not in done and set(self.sources[one]) <= set(done)
            ]
            done.append(next((one for one in may if one not in self.last), may[0]))
        return done


def effects() -> st.SearchStrategy[Effect]:
    """Effects on a few tables; now and then on everything."""
    some = st.lists(st.sampled_from(TABLES), max_size=2, unique=True)
    known = st.builds(lambda reads, writes: touching(reads, writes), some, some)
    return st.one_of(known, known, known, st.just(EVERYTHING), st.just(Effect()))


@st.composite
def graphs(draw: st.DrawFn, failures: bool = False) -> Graph:
    """Random graphs of up to 12 nodes, added in random order."""
    size = draw(st.integers(1, 12))
    numbers = range(size)
    return Graph(
        effects=tuple(draw(effects()) for _ in numbers),
        sources=tuple(
            tuple(draw(st.sets(st.integers(0, number - 1), max_size=2))) if number else ()
            for number in numbers
        ),
        failing=frozenset(draw(st.sets(st.sampled_from(numbers), max_size=3)) if failures else ()),
        last=frozenset(draw(st.sets(st.sampled_from(numbers), max_size=2))),
        shuffled=tuple(draw(st.permutations(numbers))),
    )


class World:
    """Tables in memory, changed by nodes that are interrupted at random points."""

    def __init__(self, seed: int) -> None:
        self.tables: dict[tuple[str, str], list[str]] = {}
        self.random = random.Random(seed)

    async def pause(self) -> None:
        """Let others run for a few turns."""
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)

    def work(self, effect: Effect, fails: bool) -> Any:
        """A node's work: read its tables, then change those that it writes."""

        async def run(context: Context, parameters: dict[str, Any]) -> dict[str, Any]:
            every = {("primary", table) for table in TABLES}
            reads = every if effect.everything else effect.reads
            writes = every if effect.everything else effect.writes
            seen = {}
            for table in sorted(reads):
                await self.pause()
                seen[table[1]] = tuple(self.tables.get(table, ()))
            await self.pause()
            if fails:
                raise ValueError(context.node_id)
            for table in sorted(writes):
                self.tables.setdefault(table, []).append(context.node_id)
                await self.pause()
                seen[f"after {table[1]}"] = tuple(self.tables[table])
            return {"result": context.node_id, "seen": seen, "given": parameters}

        return run


def workflow_of(graph: Graph, world: World) -> Workflow:
    """The graph as a workflow that works on a world."""
    owner = FakeOwner(live=False)
    builder = WorkflowBuilder(owner)
    for number in graph.shuffled:
        effect = graph.effects[number]
        work = world.work(effect, number in graph.failing)
        owner.add(f"Node{number}", work, effect=effect, last=number in graph.last)
        builder.add_node(f"Node{number}", f"n{number}")
    for number, sources in enumerate(graph.sources):
        for source in sources:
            builder.add_connection(f"n{source}", "result", f"n{number}", f"from_{source}")
    return builder.build()


@given(graphs(), st.integers(0, 2**32), st.integers(2, 6))
def test_running_together_equals_running_one_by_one(graph, seed, concurrency):
    """For random graphs and effects the results and the tables equal those of a sequential run."""

    async def run(limit: int) -> tuple[Any, Any]:
        world = World(seed)
        workflow = workflow_of(graph, world)
        assert workflow.order == tuple(f"n{number}" for number in graph.naive_order())
        results, _ = await AsyncLocalRuntime(concurrency=limit).execute(workflow)
        assert list(results) == list(workflow)
        return results, world.tables

    assert asyncio.run(run(concurrency)) == asyncio.run(run(1))


@given(graphs(failures=True), st.integers(0, 2**32), st.integers(2, 6))
def test_passed_over_failures_equal_those_of_running_one_by_one(graph, seed, concurrency):
    """With `on_error="continue"` failures, skipped nodes and tables equal a sequential run's."""

    async def run(limit: int) -> tuple[Any, Any]:
        world = World(seed)
        runtime = AsyncLocalRuntime(concurrency=limit, on_error="continue")
        results, _ = await runtime.execute(workflow_of(graph, world))
        return results, world.tables

    assert asyncio.run(run(concurrency)) == asyncio.run(run(1))


@given(graphs(failures=True), st.integers(0, 2**32), st.integers(2, 6))
def test_the_reported_failure_is_that_of_running_one_by_one(graph, seed, concurrency):
    """The failing node is the first of the sequential order; all before it has finished."""

    async def run(limit: int) -> Any:
        workflow = workflow_of(graph, World(seed))
        try:
            results, _ = await AsyncLocalRuntime(concurrency=limit).execute(workflow)
        except NodeExecutionError as error:
            before = workflow.order[: workflow.order.index(error.node_id)]
            return error.node_id, {node: error.results[node] for node in before}
        return results

    assert asyncio.run(run(concurrency)) == asyncio.run(run(1))
