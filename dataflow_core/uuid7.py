"""UUIDs of version 7 (RFC 9562): unique, and sorted by the time they were made."""

from __future__ import annotations

import os
import threading
import time
from uuid import UUID

__all__ = ["uuid7"]

_COUNTER_BITS = 42
_COUNTER_LIMIT = 1 << _COUNTER_BITS
_LOW_BITS = 32
_VERSION = 7 << 76
_VARIANT = 2 << 62

_lock = threading.Lock()
_millisecond = 0
_counter = 0


def uuid7() -> UUID:
    """Return a new UUID that is greater than every one this process made before.

    48 bits of milliseconds since 1970, 42 bits of a counter that starts at a random number in each
    millisecond, 32 random bits. A clock that is set back does not set the order back.
    """
    global _counter, _millisecond  # noqa: PLW0603 - the order holds for the whole process
    random = int.from_bytes(os.urandom(10), "big")
    now = time.time_ns() // 1_000_000
    with _lock:
        if now > _millisecond:
            _millisecond = now
            # The highest bit stays free, so that the counter has room to grow.
            _counter = random >> _LOW_BITS & (_COUNTER_LIMIT >> 1) - 1
        else:
            _counter += 1
            if _counter >= _COUNTER_LIMIT:
                _millisecond += 1
                _counter = 0
        millisecond, counter = _millisecond, _counter
    high, low = counter >> 30, counter & (1 << 30) - 1
    return UUID(
        int=(millisecond & (1 << 48) - 1) << 80
        | _VERSION
        | high << 64
        | _VARIANT
        | low << _LOW_BITS
        | random & (1 << _LOW_BITS) - 1
    )


def _after_fork() -> None:
    # The lock may have been held by a thread that the child does not have; and parent and child
    # must not go on counting from the same number.
    global _counter, _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _counter += int.from_bytes(os.urandom(4), "big") + 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
