from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import dataflow_sagas
from dataflow_core import Context, DataFlow
from dataflow_core.errors import DataFlowError, InvalidValue, UnsupportedFeature
from dataflow_core.run.two_phase import list_prepared, prepared_transaction
from tests.sagas.pair import Here, There, both
from tests.sagas.world import expire

WITHOUT_DATABASES = ("sqlite", "pgbouncer")


@pytest.fixture
async def db(urls: dict[str, str]) -> AsyncIterator[DataFlow]:
    """An instance with two databases."""
    handle = DataFlow(urls["url"], warehouse_db=urls["warehouse"])
    for model in (Here, There):
        handle.model(type(model.__name__, (model,), {"__module__": __name__}))
    await dataflow_sagas.list_sagas(handle)
    yield handle
    await handle.aclose()


async def stored(db: DataFlow) -> tuple[list[int], list[int]]:
    """The keys of both tables; nothing is left prepared."""
    sagas = [saga["saga_id"] for saga in await dataflow_sagas.list_sagas(db)]
    # Some servers tell of the tests beside this one, too.
    prepared = await list_prepared(db.engine("warehouse"))
    assert [name for name in prepared if name.split(":")[1] in sagas] == []
    found = [(await db.run(f"{model}ListNode"))["records"] for model in ("Here", "There")]
    here, there = ([row["id"] for row in rows] for rows in found)
    return here, there


async def test_both_or_none(db: DataFlow) -> None:
    """Steps in two databases are done together; a step that fails leaves nothing in either."""
    result = await db.run("TransactionManagerNode", **both(1))
    assert result["status"] == "completed"
    assert [step["outcome"] for step in result["steps"]] == ["done", "done"]
    result = await db.run("TransactionManagerNode", **both(2, 1))
    assert result["status"] == "compensated"
    assert [step["outcome"] for step in result["steps"]] == ["waiting", "failed"]
    assert result["error"]["error"] == "UniqueViolation"
    assert await stored(db) == ([1], [1])


async def test_what_cannot_be_part(db: DataFlow) -> None:
    """A function of the user and a compensation are refused before anything is written."""

    @db.node("OwnNode")
    async def own(context: Context) -> dict:
        return {}

    step = {"node": "HereCreateNode", "parameters": {"id": 1}}
    for steps in ([step, {"node": "OwnNode"}], [{**step, "compensation": "HereDeleteNode"}]):
        with pytest.raises(InvalidValue):
            await db.run("TransactionManagerNode", transaction_type="two_phase", steps=steps)
    assert await dataflow_sagas.list_sagas(db) == []


async def test_where_a_database_cannot(urls: dict[str, str]) -> None:
    """A database that cannot prepare is refused before anything is sent, with the way out."""
    async with DataFlow(urls["url"], warehouse_db=":memory:") as db:
        for model in (Here, There):
            db.model(type(model.__name__, (model,), {"__module__": __name__}))
        with pytest.raises(UnsupportedFeature) as caught:
            await db.run("TransactionManagerNode", **both(1))
    assert caught.value.feature == "transactions.two_phase"


@pytest.mark.bars
@pytest.mark.timeout(1800)
async def test_killed_anywhere(
    db: DataFlow, do: Any, urls: dict[str, str], seed: int, full_bars: bool
) -> None:
    """A process killed at any point leaves both parts or none, once another one has resumed."""
    [answer] = do([{**urls, "two_phase": 1_000}])
    total = answer["events"]
    step = 1 if full_bars else total // 4
    points = range(1, total + 1, step)
    kills = 0
    for number, point in enumerate(points, 1):
        kills += do([{**urls, "two_phase": number, "last": point}]) == [None]
    assert kills
    await expire(db)
    await dataflow_sagas.resume(db)
    here, there = await stored(db)
    assert sorted(here) == sorted(there)
    sagas = await dataflow_sagas.list_sagas(db)
    assert {saga["status"] for saga in sagas} <= {"completed", "compensated"}
    completed = [saga for saga in sagas if saga["status"] == "completed"]
    assert len(completed) == len(here)
    print(f"{kills} kills: {len(completed)} completed, {len(sagas) - len(completed)} undone")


async def test_a_part_that_came_late(db: DataFlow) -> None:
    """What was prepared by a saga that has ended otherwise is rolled back by whoever resumes."""
    result = await db.run("TransactionManagerNode", **both(1))
    name = f"saga:{result['saga_id']}:0:0"
    async with prepared_transaction(db.engine("warehouse"), name):
        await db.run("ThereCreateNode", id=2)
    await dataflow_sagas.resume(db)
    assert await stored(db) == ([1], [1])


async def test_an_error_of_the_decision(db: DataFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the decision cannot be written, what was prepared is rolled back."""

    async def fail(*_: Any) -> None:
        raise DataFlowError("no")

    monkeypatch.setattr("dataflow_sagas.journal.Journal.record", fail)
    with pytest.raises(DataFlowError):
        await db.run("TransactionManagerNode", **both(1))
    monkeypatch.undo()
    await expire(db)
    [ended] = await asyncio.wait_for(dataflow_sagas.resume(db), 20)
    assert ended["status"] == "completed"
    assert await stored(db) == ([1], [1])
