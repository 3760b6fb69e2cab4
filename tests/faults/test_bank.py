"""A bank under load and faults: no money is made or lost, whatever is killed."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from attrs import define
from attrs import field as attribute

from dataflow_core import DataFlow, field
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.errors import ConnectionFailed, ConnectionLost, DataFlowError, LockTimeout
from dataflow_core.uuid7 import uuid7

WITHOUT_DATABASES = ("pgbouncer",)
ACCOUNTS = 20
START = 1_000
WORKERS = 16
WITHOUT_FAULTS = "sqlite"
"""A file has no server to kill; programs that are killed are the matter of other tests."""


class Account:
    __dataflow__ = {"timestamps": False, "checks": {"solvent": {"balance": {"$gte": 0}}}}

    id: int = field(primary_key=True)
    balance: int = START


class Transfer:
    """What was moved, written in the same transaction."""

    __dataflow__ = {"timestamps": False}

    id: str = field(primary_key=True, max_length=36)
    source: int
    target: int
    amount: int


@pytest.fixture(scope="module")
def server(database: SharedServer) -> Iterator[Any]:
    """A server that may be killed, where there is one."""
    if database.name == WITHOUT_FAULTS:
        yield database
        return
    own = database.private(durable=True)
    own.start()
    yield own
    own.stop()


@define
class Bank:
    """Moves money at random, and notes what became of every transfer."""

    db: DataFlow
    randomly: random.Random
    done: set[str] = attribute(factory=set)
    not_done: set[str] = attribute(factory=set)
    unknown: set[str] = attribute(factory=set)
    errors: Counter[str] = attribute(factory=Counter)
    snapshots: int = 0
    over: bool = False

    async def work(self, way: str) -> None:
        """Move money until it is over."""
        while not self.over:
            key = str(uuid7())
            source, target = self.randomly.sample(range(1, ACCOUNTS + 1), 2)
            amount = self.randomly.randint(1, 50)
            try:
                await getattr(self, way)(key, source, target, amount)
            except DataFlowError as error:
                self.errors[error.code] += 1
                kept = self.unknown if error.outcome == "unknown" else self.not_done
                kept.add(key)
                await asyncio.sleep(0.05)
            else:
                self.done.add(key)

    async def by_operators(self, key: str, source: int, target: int, amount: int) -> None:
        """Change both accounts where they are."""
        async for attempt in self.db.transaction(retry=8):
            async with attempt:
                await self.note(key, source, target, amount)
                for account, change in ((source, -amount), (target, amount)):
                    await self.db.run(
                        "AccountBulkUpdateNode",
                        filter={"id": account},
                        fields={"$inc": {"balance": change}},
                    )

    async def by_reading(self, key: str, source: int, target: int, amount: int) -> None:
        """Read both accounts and write what they are then."""
        async for attempt in self.db.transaction(retry=8, isolation="serializable"):
            async with attempt:
                await self.note(key, source, target, amount)
                for account, change in ((source, -amount), (target, amount)):
                    before = (await self.db.run("AccountReadNode", id=account))["balance"]
                    await self.db.run(
                        "AccountUpdateNode", id=account, fields={"balance": before + change}
                    )

    async def note(self, key: str, source: int, target: int, amount: int) -> None:
        """Write the transfer down."""
        await self.db.run(
            "TransferCreateNode",
            values={"id": key, "source": source, "target": target, "amount": amount},
        )

    async def look(self) -> None:
        """Add up the accounts as they are at one moment, again and again."""
        while not self.over:
            with suppress(ConnectionLost, ConnectionFailed, LockTimeout):
                total = await self.total()
                assert total == ACCOUNTS * START
                self.snapshots += 1
            await asyncio.sleep(0.05)

    async def total(self) -> int:
        """The money of all accounts."""
        pipeline = [{"$group": {"_id": None, "total": {"$sum": "$balance"}}}]
        [row] = (await self.db.run("AccountListNode", aggregate=pipeline))["records"]
        total: int = row["total"]
        return total

    async def check(self) -> None:
        """Every account is what its transfers make it, and each is told as it ended."""
        balances = {
            row["id"]: row["balance"] for row in (await self.db.run("AccountListNode"))["records"]
        }
        expected = dict.fromkeys(range(1, ACCOUNTS + 1), START)
        stored = set()
        async for row in self.db.nodes.Transfer.stream():
            stored.add(row["id"])
            expected[row["source"]] -= row["amount"]
            expected[row["target"]] += row["amount"]
        assert balances == expected
        assert self.done <= stored
        assert not self.not_done & stored
        assert stored <= self.done | self.unknown


async def make_faults(server: Any, url: str, seconds: float, randomly: random.Random) -> int:
    """End connections, and now and then the server, until the time is over; how often."""
    ends, made = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        await asyncio.sleep(min(randomly.uniform(0.3, 1.5), max(ends - time.monotonic(), 0)))
        if server.name == WITHOUT_FAULTS:
            continue
        made += 1
        if made % 4:
            await asyncio.to_thread(server.kill_connections, url)
        else:
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.restart)
    return made


@pytest.mark.bars
@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", ["by_operators", "by_reading"])
async def test_no_money_is_made_or_lost(way: str, server: Any, full_bars: bool, seed: int) -> None:
    """Sixteen workers move money while connections and the server are killed: the total is the same
    at every look and at the end, no transfer is half done or lost, and each says how it ended."""
    url = await asyncio.to_thread(server.new_database)
    db = DataFlow(url, pool_size=WORKERS)
    for model in (Account, Transfer):
        db.model(type(model.__name__, (model,), {"__module__": __name__}), validation="off")
    await db.run("AccountBulkCreateNode", data=[{"id": n} for n in range(1, ACCOUNTS + 1)])
    await db.run("TransferCountNode")
    randomly = random.Random(seed)
    bank = Bank(db, randomly)
    tasks = [asyncio.create_task(bank.work(way)) for _ in range(WORKERS)]
    tasks.append(asyncio.create_task(bank.look()))
    faults = await make_faults(server, url, 60 if full_bars else 3, randomly)
    bank.over = True
    await asyncio.gather(*tasks)
    await bank.check()
    assert await bank.total() == ACCOUNTS * START
    assert bank.done
    assert bank.snapshots
    told = ", ".join(f"{number} {code}" for code, number in sorted(bank.errors.items()))
    print(
        f"{server.description}, {way}: {len(bank.done)} transfers done, {len(bank.not_done)} not,"
        f" {len(bank.unknown)} unknown; {faults} faults; {bank.snapshots} looks; errors: {told}"
    )
    await db.aclose()
    await asyncio.to_thread(server.drop_database, url)
