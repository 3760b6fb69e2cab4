"""The pools of a database: one for every event loop and lane, made at first use."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from functools import partial

from attrs import define, field

from dataflow_core.contract import Connection, ConnectOptions, Driver, Lane
from dataflow_core.errors import InstanceClosed
from dataflow_core.run.observing import DatabaseObservers
from dataflow_core.run.pool import Pool, PoolLimits, PoolStatistics
from dataflow_core.run.watch import Watch

__all__ = ["LoopPools", "Pools"]

logger = logging.getLogger("dataflow")


@define(eq=False)
class LoopPools:
    """The pools of one event loop: all by lane, and those for reading, writing and late reading."""

    loop: asyncio.AbstractEventLoop
    lanes: dict[Lane, Pool]
    reading: Pool
    writing: Pool | None
    delayed: Pool | None


@define(eq=False)
class Pools:
    """The pools of one database by event loop. Connections never move from loop to loop."""

    name: str
    driver: Driver
    options: ConnectOptions
    limits: PoolLimits
    connect: Callable[[Lane], Awaitable[Connection]]
    observer: DatabaseObservers | None = None
    _loops: dict[int, LoopPools] = field(factory=dict)
    _current: LoopPools | None = None
    _closing: set[asyncio.Task[None]] = field(factory=set)
    _exclusive: threading.Lock = field(factory=threading.Lock)
    _process: int = field(factory=os.getpid)
    _inherited: list[dict[int, LoopPools]] = field(factory=list)
    _announced: bool = False
    _closed: bool = False

    def of_this_loop(self) -> LoopPools:
        """The pools of the running loop. Raises ``InstanceClosed``."""
        pools = self._current
        if pools is None or pools.loop is not asyncio.get_running_loop():
            pools = self._loop_pools()
        return pools

    def _loop_pools(self) -> LoopPools:
        """The pools of the running loop. Connections of another loop or process are left alone."""
        if self._closed:
            raise InstanceClosed("this instance is closed", database=self.name)
        if self._process != os.getpid():
            # Kept, because collecting would close them; the driver knows what survives a fork.
            self._inherited.append(self._loops)
            self._process, self._loops, self._exclusive = os.getpid(), {}, threading.Lock()
        loop = asyncio.get_running_loop()
        self._close_abandoned(loop)
        found = self._loops.get(id(loop))
        if found is None or found.loop is not loop:
            found = self._loops[id(loop)] = self._open_pools(loop)
        self._current = found
        return found

    def _close_abandoned(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the connections of loops that have ended, as that of an earlier asyncio.run."""
        for key in [key for key, pools in self._loops.items() if pools.loop.is_closed()]:
            for pool in self._loops.pop(key).lanes.values():
                closing = loop.create_task(pool.close())
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    def _open_pools(self, loop: asyncio.AbstractEventLoop) -> LoopPools:
        limit = self.options.command_timeout
        watch = None if limit is None else Watch(limit)
        lanes = {
            lane: Pool(
                partial(self.connect, lane),
                self._limits(lane),
                self._exclusive if lane.shared else None,
                watch,
                None if self.observer is None else self.observer.pool_events(lane.name),
            )
            for lane in self.driver.lanes
        }
        if not self._announced:
            self._announced = True
            logger.info("opened %s", self.driver.description)
        reading = next(pool for lane, pool in lanes.items() if lane.reads and not lane.delayed)
        writing = next((pool for lane, pool in lanes.items() if lane.writes), None)
        delayed = next((pool for lane, pool in lanes.items() if lane.delayed), None)
        return LoopPools(loop, lanes, reading, writing, delayed)

    def _limits(self, lane: Lane) -> PoolLimits:
        limits = self.limits
        if lane.size is None:
            return limits
        return PoolLimits(lane.size, 0, limits.timeout, limits.recycle, limits.ping_after)

    def statistics(self) -> dict[str, PoolStatistics]:
        """The pools of the running loop by lane; of all loops together where none runs."""
        result: dict[str, PoolStatistics] = {}
        for pools in list(self._loops.values()):
            for lane, pool in pools.lanes.items():
                now, before = pool.statistics, result.get(lane.name)
                result[lane.name] = now if before is None else before + now
        return result

    async def close(self) -> None:
        """Close every connection; borrowed ones are closed when they come back."""
        self._closed = True
        self._current = None
        for pools in list(self._loops.values()):
            for pool in pools.lanes.values():
                await pool.close()
        self._loops.clear()
        loop = asyncio.get_running_loop()
        if closing := [task for task in self._closing if task.get_loop() is loop]:
            await asyncio.wait(closing)
