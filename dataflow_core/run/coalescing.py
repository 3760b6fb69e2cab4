"""Coalescing: what is asked in the same turn of the event loop goes as one statement.

The first call of a turn goes its own way at once, so a lone call is never late. Those that follow
it in the same turn are collected; when the turn is over they share one statement, and each gets
what it would have got alone: a row of its own, or an error of its own. While their statement still
waits for a connection, further calls join it.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from contextvars import Context
from copy import copy
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from dataflow_core.errors import (
    ConnectionFailed,
    ConnectionLost,
    DataFlowError,
    DiskFull,
    InstanceClosed,
    LockTimeout,
    NoRowReturned,
    PoolTimeout,
    ReadOnlyDatabase,
    StatementTimeout,
)
from dataflow_core.run.observing import SharedBy
from dataflow_core.run.transactions import current_transaction

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine
    from dataflow_core.run.plans import Plan

__all__ = ["ABOUT_ALL", "Batch", "Call", "Coalescer"]

Call = tuple[asyncio.Future[Any], Any]
"""A call that waits for its answer, and its value: a key, or the parameters of a row."""

ABOUT_ALL: Final = (
    ConnectionFailed,
    ConnectionLost,
    DiskFull,
    InstanceClosed,
    LockTimeout,
    NoRowReturned,
    PoolTimeout,
    ReadOnlyDatabase,
    StatementTimeout,
)
"""Errors that no single row is the reason of: whoever tries again alone only meets them again."""

_LATE_SHARE: Final = 0.05
"""How long a batch that waits for a connection is joined, of the time that it may wait."""
_LATE_SECONDS: Final = 0.1


@define(eq=False)
class Coalescer(ABC):
    """Lets the calls of one shape share statements.

    It serves one event loop at a time: where several use an instance, calls may go alone. For as
    many calls as ``pausing`` says each goes alone.
    """

    engine: Engine
    plan: Plan
    pausing: int = field(default=0, init=False)
    _turn: _Turn | None = field(default=None, init=False)

    def join(self, value: Any) -> Coroutine[Any, Any, Any] | None:
        """Wait for an answer together with others; ``None``: go alone."""
        if current_transaction(self.engine) is not None:
            return None
        if self.pausing:
            self.pausing -= 1
            return None
        loop = asyncio.get_running_loop()
        turn = self._turn
        if turn is None or turn.loop is not loop:
            turn = self._turn = _Turn(loop)
        batch = turn.batch
        if batch is None or not batch.takes_more(loop):
            if not turn.open:
                turn.open = True
                loop.call_soon(turn.end)
                return None
            if batch is not None:
                batch.start()
            batch = turn.batch = Batch(self)
        return batch.join(loop.create_future(), value)

    def close(self, batch: Batch) -> None:
        """Nobody joins a batch any more."""
        turn = self._turn
        if turn is not None and turn.batch is batch:
            turn.batch = None

    def expect_more(self) -> None:
        """Callers that were answered together may well ask together again: also the first."""
        turn = self._turn
        if turn is not None and turn.loop is asyncio.get_running_loop():
            turn.begin()

    def pause(self, calls: int) -> None:  # noqa: B027 - where sharing fails seldom, nothing
        """Note that so many calls could not share a statement."""

    @property
    def late_seconds(self) -> float:
        """How long a batch that waits is joined: nobody's waiting may end much too early."""
        limit = self.engine.settings.pool.timeout
        return _LATE_SECONDS if limit is None else min(_LATE_SECONDS, limit * _LATE_SHARE)

    @property
    @abstractmethod
    def most(self) -> int:
        """The most calls of one statement."""

    def fitting(self, values: Sequence[Any]) -> int:
        """How many of the values, from the first, go into one statement."""
        return self.most

    @abstractmethod
    def may_divide(self, error: Exception) -> bool:
        """Whether what failed together may be tried one by one."""

    @abstractmethod
    async def alone(self, value: Any) -> Any:
        """The answer of a single call."""

    @abstractmethod
    async def together(self, batch: Batch) -> tuple[list[Call], list[Any]]:
        """The calls that a batch gave to be sent, and the answer of each."""


@define(eq=False)
class _Turn:
    """The turn of an event loop that runs now. Who calls while it is ``open`` joins the batch."""

    loop: asyncio.AbstractEventLoop
    open: bool = False
    batch: Batch | None = None

    def begin(self) -> None:
        """Collect what is called until the end of the turn."""
        if not self.open:
            self.open = True
            self.loop.call_soon(self.end)

    def end(self) -> None:
        """Send what has been collected."""
        self.open = False
        if self.batch is not None:
            self.batch.start()


@define(eq=False)
class Batch:
    """The calls that share a statement."""

    coalescer: Coalescer
    calls: list[Call] = field(factory=list)
    _task: asyncio.Task[None] | None = None
    _until: float = 0.0
    _taken: bool = False
    _shared: SharedBy | None = None

    def takes_more(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether one more may join; once it waits for a connection, not for long."""
        if len(self.calls) >= self.coalescer.most:
            return False
        return self._task is None or loop.time() < self._until

    async def join(self, future: asyncio.Future[Any], value: Any) -> Any:
        """Wait for the answer of one call. Who is cancelled only leaves its own place."""
        self.calls.append((future, value))
        if self.coalescer.engine.observer is not None:
            if self._shared is None:
                self._shared = SharedBy()
            self._shared.add(future)
        try:
            return await future
        except asyncio.CancelledError:
            await self._left()
            raise

    async def _left(self) -> None:
        """Stop the statement if nobody waits for it any more, and see it end."""
        task = self._task
        if task is None or task.done() or self._waiting():
            return
        self.coalescer.close(self)
        task.cancel()
        while not task.done():
            # Also for who is cancelled once more: the connection has to be clean first.
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                continue

    def _waiting(self) -> list[Call]:
        """The calls whose answer somebody still waits for."""
        return [call for call in self.calls if not call[0].done()]

    def start(self) -> None:
        """Send it, unless that is under way or nobody waits any more."""
        if self._task is not None:
            return
        if all(call.done() for call, _ in self.calls):
            self.coalescer.close(self)
            return
        loop = asyncio.get_running_loop()
        self._until = loop.time() + self.coalescer.late_seconds
        # In a context of its own: the transaction of one caller is none of the others' business.
        context = Context() if self._shared is None else self._shared.context()
        task = self._task = loop.create_task(self._run(), context=context)
        _running.add(task)
        task.add_done_callback(_running.discard)

    def take(self) -> list[Call]:
        """The calls that still wait, as many as fit into a statement; nobody joins any more."""
        waiting = self._waiting()
        if not self._taken:
            self._taken = True
            self.coalescer.close(self)
            fitting = self.coalescer.fitting([value for _, value in waiting])
            if fitting < len(waiting):
                rest = Batch(self.coalescer, waiting[fitting:])
                if self._shared is not None:
                    rest._shared = self._shared.rest(rest.calls)
                rest.start()
                waiting = waiting[:fitting]
            self.calls = waiting
            if self._shared is not None:
                self._shared.narrow(waiting)
        return waiting

    async def _run(self) -> None:
        try:
            await self._answer()
        except Exception as error:
            for call, _ in self.take():
                call.set_exception(_own(error))
        finally:
            # Cancelled together with the loop, perhaps: nobody may be left waiting.
            self.coalescer.close(self)
            for call, _ in self.calls:
                call.cancel()
        if len(self.calls) > 1:
            self.coalescer.expect_more()

    async def _answer(self) -> None:
        try:
            calls, answers = await self.coalescer.together(self)
        except Exception as error:
            waiting = self.take()
            if len(waiting) < 2 or not self.coalescer.may_divide(error):
                raise
            self.coalescer.pause(len(waiting))
            await self._one_by_one(waiting)
            return
        for (call, _), answer in zip(calls, answers, strict=True):
            if not call.done():
                call.set_result(answer)

    async def _one_by_one(self, calls: Sequence[Call]) -> None:
        """Do for each caller what it asked for, in order, if it still waits."""
        for call, value in calls:
            if call.done():
                continue
            if self._shared is not None:
                self._shared.narrow([(call, value)])
            try:
                answer = await self.coalescer.alone(value)
            except Exception as error:
                if isinstance(error, ABOUT_ALL) and error.outcome != "unknown":
                    raise
                if not call.done():
                    call.set_exception(error)
            else:
                if not call.done():
                    call.set_result(answer)


_running: Final[set[asyncio.Task[None]]] = set()
"""The tasks of batches: an event loop alone does not keep them from being collected."""


def _own(error: Exception) -> Exception:
    """An error for one of several callers, who may add to it what the others should not see."""
    if not isinstance(error, DataFlowError):
        return error
    duplicate = copy(error)
    duplicate.__cause__ = error.__cause__
    return duplicate
