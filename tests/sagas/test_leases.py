from __future__ import annotations

import asyncio
import logging

import pytest

import dataflow_sagas
from dataflow_core import Context, DataFlow
from dataflow_core.errors import RecordNotFound
from dataflow_sagas.journal import MOST_CLAIMS
from tests.sagas.notes import ADD, names, saga
from tests.sagas.world import expire, rewrite

WITHOUT_DATABASES = ("pgbouncer",)


async def test_a_saga_that_is_carried_is_left_alone(db: DataFlow, database_url: str) -> None:
    """While a function runs longer than the lease, nobody else takes the saga over."""

    @db.node("SlowNode")
    async def slow(context: Context) -> dict:
        await asyncio.sleep(3)
        return {}

    running = asyncio.create_task(saga(db, {"node": "SlowNode"}, lease=1))
    resumed = []
    while not running.done():
        resumed += await dataflow_sagas.resume(db)
        await asyncio.sleep(0.3)
    assert resumed == []
    assert running.result()["status"] == "completed"


async def test_whoever_was_overtaken_stops(db: DataFlow) -> None:
    """A process that was held up beyond its lease changes nothing, and is told the end."""
    entered = asyncio.Event()
    go_on = asyncio.Event()
    calls: list[int] = []

    @db.node("HeldUpNode")
    async def held_up(context: Context) -> dict:
        calls.append(1)
        if len(calls) == 1:
            entered.set()
            await go_on.wait()
        return {"call": len(calls)}

    running = asyncio.create_task(saga(db, {"node": "HeldUpNode"}, ADD, context={"name": "a"}))
    await entered.wait()
    await expire(db)
    [ended] = await dataflow_sagas.resume(db)
    assert ended["status"] == "completed"
    go_on.set()
    result = await running
    assert {name: result[name] for name in ended} == ended
    assert await names(db) == ["a"]


async def test_left_to_another_process(db: DataFlow, caplog: pytest.LogCaptureFixture) -> None:
    """A saga whose nodes are not known here, or that was taken over too often, stays as it is."""
    entered = asyncio.Event()

    @db.node("SlowNode")
    async def slow(context: Context) -> dict:
        entered.set()
        await asyncio.sleep(60)
        return {}

    running = asyncio.create_task(saga(db, {"node": "SlowNode"}))
    await entered.wait()
    running.cancel()
    await asyncio.wait({running})
    await expire(db)
    [left] = await dataflow_sagas.list_sagas(db, stuck=True)
    other = DataFlow(db.url.render(hide_password=False), validation="off")
    with caplog.at_level(logging.WARNING, "dataflow.sagas"):
        assert await dataflow_sagas.resume(other) == []
    assert "SlowNode" in caplog.text
    await other.aclose()
    await rewrite(db, claim=MOST_CLAIMS)
    assert await dataflow_sagas.resume(db) == []
    with pytest.raises(RecordNotFound):
        await dataflow_sagas.resume(db, "no such saga")
    assert left["status"] == "running"
