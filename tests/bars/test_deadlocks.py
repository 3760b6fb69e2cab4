"""Workers that lock two rows in opposite order, all at once: scenario 30."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from dataflow_core import AsyncLocalRuntime, DataFlow, WorkflowBuilder, field

WORKERS = 8
FULL = 125
SLICE = 1
MOST_ATTEMPTS = 5
SHARE = 0.999
WITHOUT_DATABASES = ("pgbouncer",)
pytestmark = pytest.mark.bars


class Account:
    __dataflow__ = {"timestamps": False}

    id: int = field(primary_key=True)
    balance: int = 0


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", ["attempts", "workflow"])
async def test_who_waits_for_each_other_is_done_in_five_attempts(
    database_url: str, way: str, full_bars: bool
) -> None:
    """99.9 % of the units of eight workers are done within five attempts, each once."""
    db = DataFlow(database_url, pool_size=WORKERS)
    db.model(type("Account", (Account,), {"__module__": __name__}), validation="off")
    await db.run("AccountBulkCreateNode", data=[{"id": 1}, {"id": 2}])
    attempts: Counter[int] = Counter()
    tried: Counter[int] = Counter()

    @db.node("PauseNode", repeatable=True)
    async def pause(context: object, unit: int) -> dict[str, object]:
        """Let others take the second row; counts the attempts of a unit."""
        tried[unit] += 1
        await asyncio.sleep(0.02)
        return {}

    def workflow(unit: int) -> WorkflowBuilder:
        first, second = (1, 2) if unit % 2 else (2, 1)
        builder = WorkflowBuilder(db)
        change = {"fields": {"$inc": {"balance": 1}}}
        builder.add_node("AccountUpdateNode", "first", {"filter": {"id": first}, **change})
        builder.add_node("PauseNode", "pause", {"unit": unit})
        builder.add_node("AccountUpdateNode", "second", {"filter": {"id": second}, **change})
        return builder

    async def work(unit: int) -> None:
        if way == "workflow":
            await AsyncLocalRuntime().execute(workflow(unit).build(), transaction=True)
        else:
            async for attempt in db.transaction(retry=50):
                async with attempt:
                    await AsyncLocalRuntime().execute(workflow(unit).build())
        attempts[tried.pop(unit)] += 1

    failures = 0
    rounds = FULL if full_bars else SLICE
    for _ in range(rounds):
        ended = await asyncio.gather(*map(work, range(WORKERS)), return_exceptions=True)
        failures += sum(isinstance(one, BaseException) for one in ended)
        tried.clear()
    rows = (await db.run("AccountListNode"))["records"]
    await db.aclose()
    done = sum(attempts.values())
    print(f"{db.url.scheme}, {way}: units by attempts {sorted(attempts.items())}")
    assert [row["balance"] for row in rows] == [done, done]
    quick = sum(number for tries, number in attempts.items() if tries <= MOST_ATTEMPTS)
    assert quick >= SHARE * WORKERS * rounds, (sorted(attempts.items()), failures)
