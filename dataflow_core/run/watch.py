"""The time limit of statements: one timer for all that run on an event loop.

A timer for every statement would cost more than many a statement itself.
"""

from __future__ import annotations

import asyncio

from attrs import define, field

__all__ = ["Watch"]

_LOOKS_PER_LIMIT = 20
"""How often a limit is looked at while it lasts: a statement is stopped at most 5 % late."""


@define(eq=False)
class Watch:
    """Cancels tasks whose statement takes longer than ``limit`` seconds. Belongs to one loop."""

    limit: float
    _started: dict[asyncio.Task[object], float] = field(factory=dict)
    _expired: set[asyncio.Task[object]] = field(factory=set)
    _timer: asyncio.TimerHandle | None = None

    def start(self) -> asyncio.Task[object]:
        """The calling task begins a statement; it has to call ``end`` in any case."""
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        self._started[task] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self.limit / _LOOKS_PER_LIMIT, self._look, loop)
        return task

    def end(self, task: asyncio.Task[object]) -> None:
        """The statement is over."""
        self._started.pop(task, None)

    def stopped(self, task: asyncio.Task[object]) -> bool:
        """Whether a cancellation of the task comes from here and from nowhere else."""
        if task not in self._expired:
            return False
        self._expired.discard(task)
        # What follows is cleaning up, which has a limit of its own and is not cancelled again.
        self._started.pop(task, None)
        return task.uncancel() == 0

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        latest = loop.time() - self.limit
        for task, started in self._started.items():
            if started <= latest and task not in self._expired:
                self._expired.add(task)
                task.cancel()
        if self._started:
            self._timer = loop.call_later(self.limit / _LOOKS_PER_LIMIT, self._look, loop)
