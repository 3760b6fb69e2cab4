"""Reads from a replica: when they may go there, and what happens if it is not there."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import define, field

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import (
    ConnectionFailed,
    ConnectionLost,
    DatabaseError,
    Deadlock,
    SerializationFailure,
    TableMissing,
)

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine

__all__ = ["Replica", "caught_up"]

logger = logging.getLogger("dataflow")

T = TypeVar("T")

_PAUSE_SECONDS: Final = 5.0
"""How long a replica that could not be reached is left alone."""
_LOOK_SECONDS: Final = 0.05
"""How long a replica that is behind is not asked again."""


@define(eq=False)
class Replica:
    """Decides, read by read, whether the replica has what this instance wrote.

    After a write it is left alone for ``sticky_seconds``; with ``wait`` it is asked instead, and
    used as soon as it has ``caught_up``. What others wrote may arrive late, as with every replica.
    """

    caught_up: Callable[[], Awaitable[bool]]
    sticky_seconds: float
    wait: bool
    clock: Callable[[], float] = time.monotonic
    _writing: int = 0
    _writes: int = 0
    _seen: int = 0
    _written: float = field(default=float("-inf"))
    _not_before: float = field(default=float("-inf"))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Within it something may be written: until it ends, nobody can say what reads must see."""
        self._writing += 1
        try:
            yield
        finally:
            self._writing -= 1
            self._writes += 1
            self._written = self.clock()

    async def read(
        self, replica: Callable[[], Awaitable[T]], primary: Callable[[], Awaitable[T]]
    ) -> T:
        """Do a read on the replica, or on the primary if the replica cannot answer it."""
        if await self._may_serve():
            try:
                return await replica()
            except (ConnectionFailed, ConnectionLost) as error:
                self._rest(error)
            except (SerializationFailure, Deadlock, TableMissing) as error:
                # What it had to replay came in the way of this read, or did not come yet.
                logger.debug("a read goes to the primary: %s", error.message)
        return await primary()

    async def _may_serve(self) -> bool:
        now = self.clock()
        if self._writing or now < self._not_before:
            return False
        if not self.wait:
            return now - self._written >= self.sticky_seconds
        if self._seen == self._writes:
            return True
        return await self._has_caught_up()

    async def _has_caught_up(self) -> bool:
        writes = self._writes
        try:
            caught_up = await self.caught_up()
        except DatabaseError as error:
            self._rest(error)
            return False
        if caught_up:
            self._seen = writes
        else:
            self._not_before = self.clock() + _LOOK_SECONDS
        return caught_up

    def _rest(self, error: DatabaseError) -> None:
        self._not_before = self.clock() + _PAUSE_SECONDS
        logger.warning("the replica is not used for %g s: %s", _PAUSE_SECONDS, error.message)


async def caught_up(engine: Engine) -> bool:
    """Whether the replica of a database has what the primary has."""
    pools = engine.pools.of_this_loop()
    assert pools.writing is not None
    assert pools.delayed is not None
    ahead = await engine.take(pools.writing)
    try:
        behind = await engine.take(pools.delayed)
        try:
            asking = engine.driver.caught_up(ahead.connection, behind.connection)
            return await behind.guarded(asking, ErrorSituation())
        finally:
            await engine.give_back(behind)
    finally:
        await engine.give_back(ahead)
