from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest

import dataflow_sagas
from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.errors import DatabaseError
from dataflow_core.run.two_phase import list_prepared
from tests.sagas.pair import Here, There, both
from tests.sagas.world import check, expire, opened, order, prepare

WITHOUT_DATABASES = ("sqlite", "pgbouncer")


@pytest.fixture(scope="module")
def own_server(database: SharedServer) -> Iterator[Any]:
    """A server that a test may kill; what it acknowledged outlives that."""
    server = database.private(durable=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def own_urls(own_server: Any) -> dict[str, str]:
    """Two new databases on that server."""
    make = own_server.new_database
    return {"url": await asyncio.to_thread(make), "warehouse": await asyncio.to_thread(make)}


@pytest.fixture
async def own_shop(own_urls: dict[str, str]) -> AsyncIterator[DataFlow]:
    """The shop there."""
    db = opened(**own_urls)
    await prepare(db)
    yield db
    await db.aclose()


class Customers:
    """Who order again and again; the sagas whose end they did not hear of are resumed later."""

    def __init__(self, shop: DataFlow) -> None:
        self.shop = shop
        self.numbers = itertools.count(1)
        self.errors: list[DatabaseError] = []
        self.over = False

    async def one(self) -> None:
        """Order until it is over."""
        while not self.over:
            number = next(self.numbers)
            try:
                await self.shop.run("TransactionManagerNode", **order(number, fails=not number % 3))
            except DatabaseError as error:
                self.errors.append(error)

    async def ended(self) -> dict[str, int]:
        """Carry on what is left, and check all of it."""
        await expire(self.shop)
        await dataflow_sagas.resume(self.shop)
        return await check(self.shop, await dataflow_sagas.list_sagas(self.shop))


@pytest.mark.bars
@pytest.mark.timeout(1800)
async def test_the_server_is_killed(
    own_shop: DataFlow, own_server: Any, seed: int, full_bars: bool
) -> None:
    """However often the server is killed under running sagas, all end done or undone, each effect
    once, and nobody has to resume them while the server comes back within a minute.
    """
    chosen, customers = random.Random(seed), Customers(own_shop)
    kills = 50 if full_bars else 2
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(customers.one())
        for _ in range(kills):
            await asyncio.sleep(chosen.uniform(0.2, 0.8))
            await asyncio.to_thread(own_server.kill)
            await asyncio.to_thread(own_server.restart)
        customers.over = True
    print(f"{kills} kills of the server: {await customers.ended()}, {len(customers.errors)} errors")


@pytest.mark.bars
@pytest.mark.timeout(600)
async def test_connections_are_killed(
    own_shop: DataFlow, own_server: Any, own_urls: dict[str, str], seed: int, full_bars: bool
) -> None:
    """Connections that the server ends under running sagas change nothing of how these end."""
    chosen, customers = random.Random(seed), Customers(own_shop)
    ended = 0
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(customers.one())
        for _ in range(200 if full_bars else 8):
            await asyncio.sleep(chosen.uniform(0.02, 0.15))
            url = own_urls[chosen.choice(("url", "warehouse"))]
            ended += await asyncio.to_thread(own_server.kill_connections, url)
        customers.over = True
    assert ended
    print(f"{ended} connections killed: {await customers.ended()}, {customers.errors}")


@pytest.mark.bars
@pytest.mark.timeout(900)
async def test_the_server_is_killed_in_two_phases(
    own_urls: dict[str, str], own_server: Any, seed: int, full_bars: bool
) -> None:
    """However often the server is killed under commits in two phases, both parts are there or none.

    What was acknowledged as completed is there.
    """
    chosen, numbers, completed = random.Random(seed), itertools.count(1), []
    over = False
    async with DataFlow(own_urls["url"], warehouse_db=own_urls["warehouse"]) as db:
        for model in (Here, There):
            db.model(type(model.__name__, (model,), {"__module__": __name__}))
            await db.run(f"{model.__name__}CountNode")

        async def commit() -> None:
            while not over:
                number = next(numbers)
                with suppress(DatabaseError):
                    result = await db.run("TransactionManagerNode", **both(number))
                    completed.extend([number] * (result["status"] == "completed"))

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(commit())
            for _ in range(20 if full_bars else 1):
                await asyncio.sleep(chosen.uniform(0.2, 0.6))
                await asyncio.to_thread(own_server.kill)
                await asyncio.to_thread(own_server.restart)
            over = True
        await expire(db)
        await dataflow_sagas.resume(db)
        found = [(await db.run(f"{model}ListNode"))["records"] for model in ("Here", "There")]
        here, there = ({row["id"] for row in rows} for rows in found)
        assert here == there
        assert set(completed) <= here
        assert await list_prepared(db.engine("warehouse")) == []
    print(f"{len(completed)} acknowledged, {len(here)} there")
