"""The pool: connections of one lane on one event loop, handed out first come, first served."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import astuple, define, field, frozen

from dataflow_core.contract import Connection
from dataflow_core.errors import InstanceClosed, PoolTimeout
from dataflow_core.run.borrowers import described
from dataflow_core.run.watch import Watch

__all__ = ["Pool", "PoolLimits", "PoolStatistics"]

Connect = Callable[[], Awaitable[Connection]]

_POLL_SECONDS = 0.001
_PING_SECONDS = 5.0


@frozen
class PoolLimits:
    """How many connections, and how long what may take. Times in seconds.

    ``size`` connections are kept, ``overflow`` more are opened under load and closed again.
    ``recycle`` closes a connection of that age; ``ping_after`` checks one that was idle so long.
    """

    size: int
    overflow: int = 0
    timeout: float | None = 30.0
    recycle: float | None = 3600.0
    ping_after: float | None = None


@frozen
class PoolStatistics:
    """The state of a pool at a moment, and how much has been opened and closed so far.

    Attributes:
        used: connections in use, those that are just being opened included.
        idle: connections that are free.
        waiting: callers that wait for a connection.
        max: the most connections there may be.
        opened: connections that were opened.
        closed: connections that were closed, or lost.
    """

    used: int
    idle: int
    waiting: int
    max: int
    opened: int = 0
    closed: int = 0

    def __add__(self, other: PoolStatistics) -> PoolStatistics:
        """Of two pools together."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return PoolStatistics(*(mine + theirs for mine, theirs in pairs))


@define(eq=False)
class _Entry:
    """What the pool knows of a connection; ``borrower`` is the task that has it, ``since`` when."""

    opened: float
    returned: float
    borrower: asyncio.Task[Any] | None = None
    since: float = 0.0


@define(eq=False)
class Pool:
    """Connections of one lane. Not thread-safe: it belongs to the loop that uses it.

    ``exclusive`` is held by the borrower of a connection that several loops share. ``watch`` is the
    time limit of the statements on this loop. ``told`` is called with the name of each event.
    """

    connect: Connect
    limits: PoolLimits
    exclusive: threading.Lock | None = None
    watch: Watch | None = None
    told: Callable[..., None] | None = None
    _idle: list[Connection] = field(factory=list)
    _entries: dict[Connection, _Entry] = field(factory=dict)
    _waiters: deque[asyncio.Future[None]] = field(factory=deque)
    _opening: int = 0
    _called: int = 0
    _closed: bool = False
    _doubted: float = float("-inf")
    _opened: int = 0

    @property
    def statistics(self) -> PoolStatistics:
        """Used, idle, waiting and the most there may be."""
        total = len(self._entries) + self._opening
        most = self.limits.size + self.limits.overflow
        idle, waiting = len(self._idle), len(self._waiters)
        closed = self._opened - len(self._entries)
        return PoolStatistics(total - idle, idle, waiting, most, self._opened, closed)

    def take(self) -> Connection | None:
        """An idle connection that needs no check; ``None``: ``acquire`` has to be awaited."""
        if not self._idle or self._waiters or self._called or self._closed:
            return None
        connection, now = self._idle[-1], time.monotonic()
        entry = self._entries[connection]
        if self._needs_check(connection, entry, now):
            return None
        if self.exclusive is not None and not self.exclusive.acquire(blocking=False):
            return None
        self._idle.pop()
        entry.borrower, entry.since = asyncio.current_task(), now
        return connection

    async def acquire(self) -> Connection:
        """A connection; waits for one to be released, or opens one. Raises ``PoolTimeout``."""
        deadline = None if self.limits.timeout is None else time.monotonic() + self.limits.timeout
        connection = await self._next(deadline)
        entry = self._entries[connection]
        entry.borrower, entry.since = asyncio.current_task(), time.monotonic()
        return connection

    async def _next(self, deadline: float | None) -> Connection:
        # Whoever comes while others wait goes behind them.
        called = not self._may_pass()
        if called:
            await self._wait(deadline)
        while True:
            if self._closed:
                raise InstanceClosed("the connections of this instance are closed")
            if self._idle:
                connection = self._idle.pop()
                if await self._is_good(connection):
                    await self._exclude_others(deadline, connection)
                    return connection
                continue
            if self._unopened > 0:
                return await self._open(deadline)
            # Its turn came and there was nothing to take: the next one is its turn again.
            await self._wait(deadline, first=called)
            called = True

    @property
    def _unopened(self) -> int:
        """How many connections may still be opened."""
        most = self.limits.size + self.limits.overflow
        return most - len(self._entries) - self._opening

    def _may_pass(self) -> bool:
        """Whether nobody waits for what is free; those who were called have not taken it yet."""
        if self._waiters:
            return False
        return not self._called or len(self._idle) + self._unopened > self._called

    def release(self, connection: Connection) -> None:
        """Give a connection back that ``must_discard`` lets pass."""
        entry = self._entries.get(connection)
        if entry is None:
            return
        if self.exclusive is not None:
            self.exclusive.release()
        entry.returned, entry.borrower = time.monotonic(), None
        self._idle.append(connection)
        if self._waiters:
            self._wake()

    def take_back(self, connection: Connection) -> bool:
        """Put a borrowed connection back; False if it has to be discarded instead."""
        if self.must_discard(connection):
            return False
        self.release(connection)
        return True

    def must_discard(self, connection: Connection) -> bool:
        """Whether a connection must not go back to the idle ones."""
        return (
            self._closed
            or not connection.usable
            or (len(self._entries) > self.limits.size and not self._waiters)
        )

    async def discard(self, connection: Connection) -> None:
        """Close a borrowed connection and let another take its place.

        If it broke, those that were idle meanwhile may have broken too: each is tried before use.
        """
        if self.exclusive is None and not connection.usable:
            self._doubted = time.monotonic()
        if self.exclusive is None or connection not in self._entries:
            await self._close(connection)
            return
        # Others must not have it before it is clean, whatever is cancelled meanwhile.
        closing, cancelled = asyncio.ensure_future(connection.close()), False
        while not closing.done():
            try:
                await asyncio.wait({closing})
            except asyncio.CancelledError:
                cancelled = True
        self.exclusive.release()
        await self._close(connection)
        closing.result()
        if cancelled:
            raise asyncio.CancelledError

    async def _close(self, connection: Connection) -> None:
        """Forget a connection and close it, unless others share it: they may be using it now."""
        if self._entries.pop(connection, None) is not None and self.told is not None:
            self.told("connection_closed")
        try:
            if self.exclusive is None:
                await connection.close()
        finally:
            self._wake()

    async def close(self) -> None:
        """Close the idle connections and refuse from now on; borrowed ones are closed on return."""
        self._closed = True
        while self._waiters:
            self._wake()
        cancelled = False
        while self._idle:
            try:
                await self._close(self._idle.pop())
            except asyncio.CancelledError:
                # As at the end of an event loop; the others would be left open.
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError

    async def _exclude_others(
        self, deadline: float | None, connection: Connection | None = None
    ) -> None:
        """Wait until no other loop has what is shared. A lock of threads cannot be awaited.

        An idle ``connection`` goes back if that takes too long.
        """
        if self.exclusive is None:
            return
        try:
            while not self.exclusive.acquire(blocking=False):
                if deadline is not None and time.monotonic() > deadline:
                    raise self._timed_out()
                await asyncio.sleep(_POLL_SECONDS)
        except BaseException:
            if connection is not None:
                self._idle.append(connection)
                self._wake()
            raise

    def _timed_out(self) -> PoolTimeout:
        if self.told is not None:
            self.told("acquire_timed_out", self.limits.timeout)
        statistics = self.statistics
        lent = [entry for entry in self._entries.values() if entry.borrower is not None]
        now = time.monotonic()
        return PoolTimeout(
            f"no connection became free within {self.limits.timeout:g} s: {statistics.used} of"
            f" {statistics.max} are in use, {statistics.waiting} callers wait",
            timeout=self.limits.timeout,
            used=statistics.used,
            waiting=statistics.waiting,
            borrowers=described([(one.borrower, now - one.since) for one in lent]),
        )

    async def _open(self, deadline: float | None) -> Connection:
        self._opening += 1
        excluded = False
        try:
            # Connecting cleans what is shared, so nobody else may be using it.
            await self._exclude_others(deadline)
            excluded = self.exclusive is not None
            connection = await self.connect()
        except BaseException:
            if excluded and self.exclusive is not None:
                self.exclusive.release()
            self._opening -= 1
            self._wake()
            raise
        self._opening -= 1
        now = time.monotonic()
        self._entries[connection] = _Entry(now, now)
        self._opened += 1
        if self.told is not None:
            self.told("connection_opened")
        return connection

    def _needs_check(self, connection: Connection, entry: _Entry, now: float) -> bool:
        limits = self.limits
        if not connection.usable or entry.returned <= self._doubted:
            return True
        if limits.recycle is not None and now - entry.opened > limits.recycle:
            return True
        return limits.ping_after is not None and now - entry.returned > limits.ping_after

    async def _is_good(self, connection: Connection) -> bool:
        """Whether a connection may be handed out; one that may not is discarded."""
        limits, entry = self.limits, self._entries[connection]
        if not self._needs_check(connection, entry, time.monotonic()):
            return True
        old = limits.recycle is not None and time.monotonic() - entry.opened > limits.recycle
        if old or not connection.usable:
            await self._close(connection)
            return False
        try:
            async with asyncio.timeout(_PING_SECONDS):
                await connection.ping()
        except Exception:
            await self._close(connection)
            return False
        except BaseException:
            # Cancelled: nobody knows what the connection still has to answer.
            await self._close(connection)
            raise
        entry.returned = time.monotonic()
        return True

    async def _wait(self, deadline: float | None, *, first: bool = False) -> None:
        """Wait for a turn, behind the others or, with ``first``, before them."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if first:
            self._waiters.appendleft(waiter)
        else:
            self._waiters.append(waiter)
        try:
            remaining = None if deadline is None else deadline - time.monotonic()
            async with asyncio.timeout(remaining):
                await waiter
            self._called -= 1
        except TimeoutError:
            self._leave(waiter)
            raise self._timed_out() from None
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def _leave(self, waiter: asyncio.Future[None]) -> None:
        """Give up a place in the queue; a turn that had come already goes to the next."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif waiter.done() and not waiter.cancelled():
            self._called -= 1
            self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                self._called += 1
                return
