from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

import dataflow_sagas
from dataflow_core import DataFlow
from tests.sagas.world import check, expire

WITHOUT_DATABASES = ("pgbouncer",)

Jobs = Callable[[list[dict[str, Any]]], list[Any]]


async def events(do: Jobs, urls: dict[str, str], *, fails: bool) -> int:
    """The number of points in the life of a saga."""
    [answer] = do([{**urls, "number": 1_000_000 + fails, "fails": fails}])
    return int(answer["events"])


@pytest.mark.bars
@pytest.mark.timeout(3600)
async def test_killed_at_every_point(
    do: Jobs, shop: DataFlow, urls: dict[str, str], seed: int, full_bars: bool
) -> None:
    """A saga whose process is killed before, after or within any step or compensation ends all
    done or all undone when it is resumed, with each effect once; the resuming may be killed, too.
    """
    chosen = random.Random(seed)
    points = [
        (point, fails)
        for fails in (False, True)
        for point in range(1, await events(do, urls, fails=fails) + 1)
    ]
    wanted, kills, number = (1_000 if full_bars else 8), 0, 0
    while kills < wanted:
        round_ = [chosen.choice(points) for _ in range(min(100, wanted - kills))]
        if full_bars and number < len(points):
            # Every point at least once.
            round_[:50] = points[number : number + 50]
        for point, fails in round_:
            number += 1
            [answer] = do([{**urls, "number": number, "fails": fails, "last": point}])
            kills += answer is None
        for _ in range(len(round_) // 4):
            await expire(shop)
            [answer] = do([{**urls, "resume": True, "last": chosen.randrange(1, 150)}])
            kills += answer is None
        await expire(shop)
        do([{**urls, "resume": True}])
    sagas = await dataflow_sagas.list_sagas(shop)
    print(f"{kills} kills, {len(points)} points: {await check(shop, sagas)}")
    assert await dataflow_sagas.list_sagas(shop, stuck=True) == []


@pytest.mark.timeout(120)
async def test_two_processes_resume_at_once(
    do: Jobs, shop: DataFlow, urls: dict[str, str], seed: int
) -> None:
    """Of processes that resume at the same time exactly one carries each saga."""
    chosen = random.Random(seed)
    jobs = [
        {**urls, "number": number, "fails": number % 2 == 0, "last": chosen.randrange(20, 70)}
        for number in range(1, 9)
    ]
    assert do(jobs) == [None] * 8
    await expire(shop)
    ended = [answer["sagas"] for answer in do([{**urls, "resume": True}] * 2)]
    ids = [saga["saga_id"] for sagas in ended for saga in sagas]
    everything = await dataflow_sagas.list_sagas(shop)
    assert sorted(ids) == sorted(saga["saga_id"] for saga in everything)
    await check(shop, everything)


@pytest.mark.timeout(60)
async def test_a_lease_ends_by_the_clock_of_the_database(
    do: Jobs, shop: DataFlow, urls: dict[str, str]
) -> None:
    """A saga whose process was killed is left alone while its lease lasts, and resumed after."""
    assert do([{**urls, "number": 1, "fails": False, "last": 60, "lease": 2}]) == [None]
    assert await dataflow_sagas.resume(shop) == []
    [stuck] = await dataflow_sagas.list_sagas(shop)
    assert stuck["status"] == "running"
    ended: list[dict[str, Any]] = []
    while not ended:
        ended = await dataflow_sagas.resume(shop)
    assert [saga["status"] for saga in ended] == ["completed"]
    await check(shop, ended)
