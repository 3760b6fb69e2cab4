"""Workflows in numbers, and input that means harm."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.workflows import measure_workflows
from dataflow_core import AsyncLocalRuntime, DataFlow, WorkflowBuilder
from dataflow_core.errors import DataFlowError
from dataflow_core.run.observing import EachStatement
from tests.bars.hostile import BAD_NAMES, HOSTILE, SQL_TEXTS, Hostile
from tests.limits import at_most

pytestmark = pytest.mark.bars

WORKFLOWS = 100
GROUPS = 10
"""Groups of five nodes: 50 nodes in a workflow."""


def declare_person(db: DataFlow) -> None:
    """A model with a field of every kind that hostile values are tried on."""

    @db.model(validation="off")
    class Person:
        name: str
        age: int = 0
        score: float = 0.0
        price: Decimal = Decimal(0)
        data: dict | None = None
        tags: list | None = None


def workflow_of(db: DataFlow, number: int) -> Any:
    """50 nodes: rows are created, read, changed, listed and counted, fed by each other."""
    builder = WorkflowBuilder(db)
    for group in range(GROUPS):
        name = f"w{number} g{group}"
        create, read, update, listed, count = (
            f"{kind}{group}" for kind in ("create", "read", "update", "list", "count")
        )
        builder.add_node("PersonCreateNode", create, {"name": name, "age": number})
        builder.add_node("PersonReadNode", read)
        builder.add_node("PersonUpdateNode", update, {"fields": {"$inc": {"age": group + 1}}})
        builder.add_node("PersonListNode", listed, {"filter": {"name": name}})
        builder.add_node(
            "PersonCountNode", count, {"filter": {"name": {"$startswith": f"w{number} "}}}
        )
        builder.add_connection(create, "id", read, "id")
        builder.add_connection(read, "id", update, "id")
    return builder.build()


def check_results(results: dict[str, dict[str, Any]], number: int) -> None:
    """Each node of a workflow saw what those before it had done."""
    assert len(results) == 5 * GROUPS
    for group in range(GROUPS):
        key = results[f"create{group}"]["id"]
        assert results[f"read{group}"]["result"] == results[f"create{group}"]["result"]
        changed = results[f"update{group}"]["result"]
        assert (changed["id"], changed["age"]) == (key, number + group + 1)
        assert results[f"list{group}"]["records"] == [changed]
        assert results[f"count{group}"]["count"] == group + 1


@pytest.mark.timeout(180)
async def test_many_workflows_at_once(tmp_path: Path, full_bars: bool) -> None:
    """100 workflows of 50 nodes at once: right results, and the pool is as it was before."""
    threads = threading.active_count()
    async with DataFlow(f"sqlite:///{tmp_path / 'many.db'}", pool_size=5) as db:
        declare_person(db)
        await db.run("PersonListNode")
        before = db.pool_stats()["primary"]
        runtime = AsyncLocalRuntime()
        for turn in range(5 if full_bars else 1):
            numbers = range(turn * WORKFLOWS, (turn + 1) * WORKFLOWS)
            runs = await asyncio.gather(
                *(runtime.execute(workflow_of(db, number)) for number in numbers)
            )
            assert len({run_id for _, run_id in runs}) == WORKFLOWS
            for number, (results, _) in zip(numbers, runs, strict=True):
                check_results(results, number)
            for lane, after in db.pool_stats()["primary"].items():
                assert (after.used, after.waiting) == (0, 0), lane
                # What was opened beyond the size of the pool is closed again.
                assert after.idle <= min(5, before[lane].max)
                assert after.max == before[lane].max
    for _ in range(100):
        # A connection's thread ends shortly after the connection is closed.
        if threading.active_count() == threads:
            break
        await asyncio.sleep(0.02)
    assert threading.active_count() == threads


@pytest.mark.timeout(120)
def test_cost_of_the_runtimes(full_bars: bool) -> None:
    """The synchronous runtime adds at most 1.5 round trips; 20,000 nodes pass in a second."""
    if not full_bars:
        assert measure_workflows(1, calls=10).nodes_apart > 0
        return
    figures = measure_workflows(15, calls=300)
    assert figures.synchronous_cost <= report.MOST_ADDED, figures
    assert figures.nodes_apart >= report.LEAST_NODES, figures
    assert figures.nodes_chained >= report.LEAST_NODES, figures


@pytest.fixture(scope="module")
def people() -> Iterator[DataFlow]:
    """A database in memory with one row, for input that never reaches it."""
    with DataFlow() as db:
        declare_person(db)
        db.run_sync("PersonCreateNode", name="Ada")
        yield db


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda each: f"{each.node} {each.name}")
def test_hostile_input_is_refused(people: DataFlow, hostile: Hostile) -> None:
    """Hostile input gets an error with a DF-code within 50 ms, and no SQL is sent for it."""
    limit = at_most(0.05)
    sent: list[str] = []
    engine = people.engine()
    engine.observe(EachStatement(lambda sql, _: sent.append(sql)))
    took = []
    try:
        for _ in range(3):
            took.append(asyncio.run(_refusal(people, hostile)))
            if took[-1] <= limit:
                break
    finally:
        engine.observer = None
    assert min(took) <= limit, f"{min(took) * 1e3:.0f} ms"
    assert sent == []


async def _refusal(db: DataFlow, hostile: Hostile) -> float:
    """The seconds until the refusal."""
    parameters = hostile.parameters()
    start = time.perf_counter()
    with pytest.raises(DataFlowError) as caught:
        await db.run(hostile.node, **parameters)
    took = time.perf_counter() - start
    assert caught.value.code.startswith("DF-")
    # It can be shown and sent: whatever the value was, the text is short and encodable.
    shown = str(caught.value)
    assert len(shown.encode("utf-8")) < 20_000
    assert caught.value.to_dict()["code"] == caught.value.code
    return took


@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
def test_hostile_node_names_are_refused(people: DataFlow, name: str) -> None:
    """A workflow with a node of a hostile name is refused with a DF-code."""
    builder = WorkflowBuilder(people)
    start = time.perf_counter()
    with pytest.raises(DataFlowError) as caught:
        builder.add_node(f"{name}Node", "node")
        builder.build()
    assert time.perf_counter() - start <= at_most(0.05)
    assert caught.value.code.startswith("DF-")


@pytest.mark.parametrize("text", SQL_TEXTS)
async def test_text_that_looks_like_sql_is_only_text(text: str) -> None:
    """Text that looks like SQL is stored, found, changed and grouped as any other text."""
    async with DataFlow() as db:
        declare_person(db)
        users = db.nodes.Person
        stored = await users.create(name=text, data={text: text}, tags=[text])
        await users.bulk_create(data=[{"name": text, "age": 1}, {"name": "other", "age": 2}])
        row = (await users.read(id=stored["id"]))["result"]
        assert (row["name"], row["data"], row["tags"]) == (text, {text: text}, [text])
        for condition in (text, {"$eq": text}, {"$in": [text]}, {"$startswith": text}):
            found = await users.list(filter={"name": condition})
            assert [each["name"] for each in found["records"]] == [text, text], condition
        assert (await users.update(id=stored["id"], fields={"name": f"{text}{text}"}))["updated"]
        groups = await users.list(
            aggregate=[{"$group": {"_id": "$name", "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}]
        )
        assert groups["records"] == [
            {"_id": name, "n": 1} for name in sorted([text, f"{text}{text}", "other"])
        ]
        assert (await users.count())["count"] == 3
