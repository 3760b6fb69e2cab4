"""Doing a transaction again that the database ended for another one's sake."""

from __future__ import annotations

import asyncio
import random
import weakref
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from attrs import define, field

from dataflow_core.errors import (
    Deadlock,
    InvalidType,
    InvalidValue,
    LockTimeout,
    SerializationFailure,
)
from dataflow_core.naming_hints import quoted

__all__ = ["RETRIES", "Turnstile", "check_retry", "may_begin_again", "repeated"]

T = TypeVar("T")

RETRIES: Final = 4
"""How often a unit that can be done again is, after the first time."""

_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0
_LONGEST_WAIT: Final = 2.0


def check_retry(retry: object) -> None:
    """Refuse what is no number of times. Raises ``InvalidType``, ``InvalidValue``."""
    if not isinstance(retry, int) or isinstance(retry, bool):
        raise InvalidType(
            f"retry is how often a transaction is done again, a whole number, not {quoted(retry)}",
            parameter="retry",
        )
    if retry < 0:
        raise InvalidValue(f"retry is 0 or more, not {retry}", parameter="retry")


def may_begin_again(error: BaseException | None) -> bool:
    """Whether a transaction that ended by an error was undone, and may succeed when it is redone.

    That is so after a deadlock, a serialization failure or a wait for a lock that took too long.
    """
    if not isinstance(error, Deadlock | SerializationFailure | LockTimeout):
        return False
    return error.outcome in (None, "not done")


async def repeated(work: Callable[[], Awaitable[T]], turnstile: Turnstile) -> T:
    """Do something that is a transaction of its own; again where the database ended it."""
    for attempt in range(1, RETRIES + 1):
        try:
            return await work()
        except (Deadlock, SerializationFailure) as error:
            if not may_begin_again(error):
                raise
        turn = await turnstile.turn(attempt)
        if turn is not None:
            turn.release()
    return await work()


@define(eq=False)
class Turnstile:
    """Lets those through one after the other that were ended already: they would only meet again.

    Others are not held up, and nobody waits for ever, since whoever is before may be waiting for
    what is behind. One for every event loop; other processes have turnstiles of their own, so
    everybody also waits a time at random, which grows with the attempts.
    """

    _locks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = field(
        factory=weakref.WeakKeyDictionary
    )

    async def turn(self, attempt: int) -> asyncio.Lock | None:
        """Wait for the turn of an attempt, 1 being the first one after a failure.

        Returns what is to be released afterwards; ``None``: it took too long and goes without.
        """
        longest = min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE)
        await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - no secret
        lock = self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        try:
            async with asyncio.timeout(_LONGEST_WAIT):
                await lock.acquire()
        except TimeoutError:
            return None
        return lock
