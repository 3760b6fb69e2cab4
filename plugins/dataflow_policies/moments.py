"""Moments by which the deletions of a process are told apart."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Final

__all__ = ["next_moment"]


class _Clock:
    """Now, in UTC, but later than every moment that was given before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = dt.datetime.min.replace(tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        with self._lock:
            self._last = max(dt.datetime.now(dt.UTC), self._last + dt.timedelta(microseconds=1))
            return self._last


next_moment: Final = _Clock()
"""A moment that no other deletion of this process has."""
