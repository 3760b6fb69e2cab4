from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from typing import Any

import pytest

from dataflow_core.errors import ConnectionFailed, ConnectionLost, DataFlowError, StatementTimeout
from dataflow_core.url import parse_url
from tests.faults.load import Load, again, create, instance, serving
from tests.limits import at_most
from tests.postgres.servers import Network

WITHOUT_DATABASES = ("sqlite", "pgbouncer")

OTHERS = {
    "postgres": (
        "SELECT pid AS number FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ),
    "mysql": (
        "SELECT id AS number FROM information_schema.processlist"
        " WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    ),
}
END = {"postgres": "SELECT pg_terminate_backend({})", "mysql": "KILL CONNECTION {}"}

LIMIT = 2.0
SLACK = 0.3
"""What a busy machine adds."""

ACCOUNTS = 6
MONEY = 1_000


def dialect_of(url: str) -> str:
    """Which of the spellings above a database takes."""
    return "postgres" if parse_url(url).scheme.startswith("postgres") else "mysql"


async def end_some(admin: Any, rng: random.Random, dialect: str) -> int:
    """End each of the other connections to the database with one chance in three."""
    ended = 0
    for row in (await admin.run("SQLNode", sql=OTHERS[dialect]))["records"]:
        if rng.random() < 1 / 3:
            # It may have ended meanwhile.
            with suppress(DataFlowError):
                await admin.run("SQLNode", sql=END[dialect].format(int(row["number"])))
            ended += 1
    return ended


def in_use(db: Any) -> int:
    """How many connections are lent, and how many callers wait for one."""
    return sum(lane.used + lane.waiting for lane in db.pool_stats()["primary"].values())


@pytest.mark.bars
@pytest.mark.timeout(300)
async def test_random_connections_ended_under_load(
    own_url: str, seed: int, full_bars: bool
) -> None:
    """Connections that the server ends at random: each write says rightly what became of it."""
    load, rng, dialect = Load(instance(own_url)), random.Random(seed), dialect_of(own_url)
    admin = instance(own_url, pool_size=1)
    ended = 0
    async with load.running():
        for _ in range(100 if full_bars else 15):
            await asyncio.sleep(0.1)
            ended += await end_some(admin, rng, dialect)
        took = await serving(load.db, time.monotonic())
    print(f"{dialect}: {ended} connections ended, {await load.check()}")
    print(f"served again after {took:.2f} s")
    assert load.errors, "no write was hit"
    assert in_use(load.db) == 0
    await admin.aclose()
    await load.db.aclose()


@pytest.mark.bars
@pytest.mark.timeout(300)
async def test_resets_under_load(
    own_url: str, url_over_network: str, network: Network, full_bars: bool
) -> None:
    """Connections that are reset while 40 writers write: each write says rightly what became."""
    load = Load(instance(url_over_network))
    async with load.running():
        for number in range(60 if full_bars else 8):
            await asyncio.sleep(0.15)
            if number % 2:
                # What is on its way never arrives, in either direction.
                network.hold()
                await asyncio.sleep(0.05)
            network.cut()
            network.flow()
        took = await serving(load.db, time.monotonic())
    print(f"{dialect_of(own_url)}: reset, {await load.check()}")
    print(f"served again after {took:.2f} s")
    assert load.errors, "no write was hit"
    assert in_use(load.db) == 0
    await load.db.aclose()


@pytest.mark.bars
@pytest.mark.timeout(300)
async def test_silence_under_load(
    own_url: str, url_over_network: str, network: Network, full_bars: bool
) -> None:
    """A network that swallows everything: each call ends with its time limit, rightly told."""
    load = Load(instance(url_over_network, command_timeout=0.5, connect_timeout=0.5))
    async with load.running(writers=20):
        for _ in range(10 if full_bars else 2):
            await asyncio.sleep(0.5)
            network.hold()
            await asyncio.sleep(1)
            network.flow()
            took = await serving(load.db, time.monotonic())
    print(f"{dialect_of(own_url)}: silent, {await load.check()}")
    print(f"served again after {took:.2f} s")
    assert any(name == "StatementTimeout" for name, _ in load.errors)
    assert in_use(load.db) == 0
    await load.db.aclose()


@pytest.mark.timeout(60)
async def test_silence_during_a_query(
    own_url: str, url_over_network: str, network: Network
) -> None:
    """A call over a silent line ends a tenth after its time limit at the latest."""
    db = instance(url_over_network, command_timeout=LIMIT, connect_timeout=LIMIT)
    for kind, outcome in (("read", {None, "not done"}), ("write", {"unknown"})):
        await db.run("EntryUpsertNode", values=create(1))
        network.hold()
        started = time.monotonic()
        with pytest.raises(StatementTimeout) as caught:
            if kind == "read":
                await db.run("EntryReadNode", id=1)
            else:
                await db.run("EntryUpdateNode", id=1, fields={"$inc": {"hits": 1}})
        assert time.monotonic() - started <= at_most(LIMIT * 1.1 + SLACK)
        assert caught.value.outcome in outcome
        network.flow()
        await serving(db, time.monotonic())
    assert in_use(db) == 0
    await db.aclose()


@pytest.mark.timeout(60)
async def test_silence_while_connecting_and_closing(
    own_url: str, url_over_network: str, network: Network
) -> None:
    """Connecting over a silent line ends with `connect_timeout`; closing takes two seconds."""
    network.hold()
    db = instance(url_over_network, connect_timeout=LIMIT)
    started = time.monotonic()
    with pytest.raises(ConnectionFailed) as caught:
        await db.run("EntryCreateNode", values=create(1))
    assert time.monotonic() - started <= at_most(LIMIT * 1.1 + SLACK)
    assert caught.value.outcome == "not done"
    network.flow()
    await serving(db, time.monotonic())
    network.hold()
    started = time.monotonic()
    await db.aclose()
    assert time.monotonic() - started <= at_most(2 + SLACK)


@pytest.mark.timeout(60)
async def test_a_reset_in_the_middle_of_a_result(
    own_url: str, url_over_network: str, network: Network
) -> None:
    """A result that is cut off is an error or read anew, never a part; what follows is right."""
    db = instance(url_over_network, pool_size=4)
    await db.run("EntryBulkCreateNode", data=[create(key) for key in range(1, 5_001)])
    for number in range(12):
        task = asyncio.ensure_future(db.run("EntryListNode", filter={}, limit=10_000))
        await asyncio.sleep(0.001 * number)
        network.cut()
        try:
            rows = (await task)["records"]
        except ConnectionLost:
            rows = (await db.run("EntryListNode", filter={}, limit=10_000))["records"]
        assert [row["id"] for row in rows] == list(range(1, 5_001))
        found = await db.run("EntryReadNode", id=number + 1)
        assert found["value"] == create(number + 1)["value"]
    assert in_use(db) == 0
    await db.aclose()


@pytest.mark.bars
@pytest.mark.timeout(300)
async def test_money_is_neither_made_nor_lost(own_url: str, seed: int, full_bars: bool) -> None:
    """Sixteen workers move money while connections end at random: the total is always the same."""
    db, admin = instance(own_url), instance(own_url, pool_size=1)
    rng, dialect = random.Random(seed), dialect_of(own_url)
    data = [{"id": number, "balance": MONEY} for number in range(ACCOUNTS)]
    await db.run("AccountBulkCreateNode", data=data)
    over = asyncio.Event()
    moved = attempts = totals = 0

    async def move() -> None:
        source, target = rng.sample(range(ACCOUNTS), 2)
        async with db.transaction():
            taken = {"$inc": {"balance": -1}}
            await db.run("AccountUpdateNode", id=source, fields=taken)
            await db.run("AccountUpdateNode", id=target, fields={"$inc": {"balance": 1}})

    async def mover() -> None:
        nonlocal moved, attempts
        while not over.is_set():
            with suppress(ConnectionLost, ConnectionFailed):
                attempts += await again(move)
                moved += 1

    async def watcher() -> None:
        nonlocal totals
        while not over.is_set():
            with suppress(ConnectionLost, ConnectionFailed):
                rows = (await db.run("AccountListNode", filter={}))["records"]
                assert sum(row["balance"] for row in rows) == ACCOUNTS * MONEY
                totals += 1
            await asyncio.sleep(0.01)

    async def ender() -> None:
        for _ in range(150 if full_bars else 12):
            await asyncio.sleep(0.2)
            await end_some(admin, rng, dialect)
        over.set()

    await asyncio.gather(ender(), watcher(), *(mover() for _ in range(16)))
    rows = (await db.run("AccountListNode", filter={}))["records"]
    assert sum(row["balance"] for row in rows) == ACCOUNTS * MONEY
    print(f"{dialect}: {moved} transfers, {attempts} attempts, {totals} totals, all the same")
    assert moved > 0
    assert totals > 0
    await admin.aclose()
    await db.aclose()
