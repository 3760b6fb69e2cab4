"""What the results of the SQL functions have to fit into, and why one failed."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["FunctionErrors", "ResultOutOfRange", "in_float", "in_int64"]

_INT64_LOW: Final = -(2**63)
_INT64_HIGH: Final = 2**63 - 1


class ResultOutOfRange(ArithmeticError):
    """A computed number does not fit its type. The message holds no value."""


class FunctionErrors:
    """Why the last function of a connection failed: SQLite itself only says that one did."""

    def __init__(self) -> None:
        self._last: Exception | None = None

    def keep(self, error: Exception) -> None:
        """Remember the reason."""
        self._last = error

    def take(self) -> Exception | None:
        """The reason, if there is one; it is forgotten."""
        error, self._last = self._last, None
        return error


def in_int64(number: int) -> int:
    """Return ``number`` if it fits 64 bits; ``ResultOutOfRange`` otherwise."""
    if not _INT64_LOW <= number <= _INT64_HIGH:
        raise ResultOutOfRange("the result exceeds an int of 64 bits")
    return number


def in_float(number: float) -> float:
    """Return ``number`` if it is finite; ``ResultOutOfRange`` otherwise."""
    if not math.isfinite(number):
        raise ResultOutOfRange("the result exceeds a float")
    return number
