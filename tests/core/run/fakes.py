"""A connection that talks to nobody and fails where it is told to."""

from __future__ import annotations

import asyncio
from typing import Any

from dataflow_core.run.pool import Pool, PoolLimits


class FakeConnection:
    """Counts what is done to it; ``faults``: the errors that its methods raise, by name."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.usable = True
        self.in_transaction = False
        self.closed = 0
        self.pings = 0
        self.faults: dict[str, BaseException] = {}
        self.hanging: set[str] = set()

    async def _do(self, name: str) -> None:
        if name in self.hanging:
            await asyncio.sleep(60)
        if name in self.faults:
            raise self.faults[name]

    async def ping(self) -> None:
        """Answer, hang or fail."""
        self.pings += 1
        await self._do("ping")

    async def close(self) -> None:
        """Be gone."""
        self.closed += 1
        self.usable = False
        await self._do("close")


class Server:
    """Opens fake connections, and can be told to refuse or to be slow."""

    def __init__(self) -> None:
        self.opened: list[FakeConnection] = []
        self.refusals: list[BaseException] = []
        self.seconds = 0.0

    async def connect(self) -> Any:
        """One more connection."""
        await asyncio.sleep(self.seconds)
        if self.refusals:
            raise self.refusals.pop(0)
        connection = FakeConnection(len(self.opened))
        self.opened.append(connection)
        return connection

    @property
    def alive(self) -> int:
        """How many connections are open."""
        return sum(not connection.closed for connection in self.opened)

    def pool(self, size: int, **limits: Any) -> Pool:
        """A pool of its connections."""
        exclusive = limits.pop("exclusive", None)
        return Pool(self.connect, PoolLimits(size, **limits), exclusive)


async def give_back(pool: Pool, connection: Any) -> None:
    """What the engine does with a connection that was used."""
    if pool.must_discard(connection):
        await pool.discard(connection)
    else:
        pool.release(connection)
