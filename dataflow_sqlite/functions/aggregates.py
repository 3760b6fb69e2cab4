"""The SQL aggregates that SQLite lacks or does not compute exactly. They leave NULL out.

Over no row at all SQLite gives NULL without asking them; over rows of NULL they are asked.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

from dataflow_sqlite.functions.decimals import scaled, stored
from dataflow_sqlite.functions.results import FunctionErrors, ResultOutOfRange, in_float, in_int64

__all__ = ["AGGREGATES", "register_aggregates"]

_SUM_PRECISION: Final = 38


class _IntegerSum:
    """Exact; over NULL only 0."""

    def __init__(self) -> None:
        self.total = 0

    def step(self, value: int | None) -> None:
        if value is not None:
            self.total += value

    def finalize(self) -> int:
        return in_int64(self.total)


class _DecimalSum:
    """Exact, as a Decimal of 38 digits of the same scale; over NULL only 0."""

    def __init__(self) -> None:
        self.total = 0
        self.scale = 0

    def step(self, value: int | str | float | None, precision: int, scale: int) -> None:
        self.scale = scale
        if value is not None:
            self.total += scaled(value, precision, scale)

    def finalize(self) -> int | str | float:
        return stored(self.total, self.scale, _SUM_PRECISION, self.scale)


class _Numbers:
    """Collects numbers for what is computed at the end."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def step(self, value: float | None) -> None:
        if value is not None:
            self.values.append(float(value))

    def total(self) -> float:
        return _precise_sum(self.values)


class _FloatSum(_Numbers):
    """Rounded once; over NULL only 0.0."""

    def finalize(self) -> float:
        return in_float(self.total())


class _Average(_Numbers):
    """Over NULL only NULL."""

    def finalize(self) -> float | None:
        return in_float(self.total() / len(self.values)) if self.values else None


class _Deviation(_Numbers):
    """The standard deviation in two passes; ``spare`` rows are taken from the number of rows."""

    spare = 0

    def finalize(self) -> float | None:
        count = len(self.values) - self.spare
        if count < 1:
            return None
        mean = self.total() / len(self.values)
        squares = _precise_sum([(value - mean) * (value - mean) for value in self.values])
        return in_float(math.sqrt(squares / count))


class _SampleDeviation(_Deviation):
    """Of one row NULL."""

    spare = 1


class _Median(_Numbers):
    """The middle value, or the mean of the two in the middle."""

    def finalize(self) -> float | None:
        if not self.values:
            return None
        self.values.sort()
        middle = len(self.values) // 2
        if len(self.values) % 2:
            return self.values[middle]
        return in_float((self.values[middle - 1] + self.values[middle]) / 2)


class _Collect:
    """The stored values as a JSON array; bytes as hexadecimal text.

    In the order of ``rank``, if it is given, else in that of the rows.
    """

    def __init__(self) -> None:
        self.ranked: list[tuple[int, Any]] = []

    def step(self, value: Any, rank: int = 0) -> None:
        if value is not None:
            self.ranked.append((rank, value.hex() if isinstance(value, bytes) else value))

    def values(self) -> list[Any]:
        self.ranked.sort(key=itemgetter(0))
        return [value for _, value in self.ranked]

    def finalize(self) -> str:
        return json.dumps(self.values(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class _CollectSet(_Collect):
    """Each value once, sorted."""

    def values(self) -> list[Any]:
        return sorted({value for _, value in self.ranked})


def _precise_sum(values: list[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        raise ResultOutOfRange("the result exceeds a float") from None


AGGREGATES: Final[dict[str, tuple[int, type[Any]]]] = {
    "dataflow_int_sum": (1, _IntegerSum),
    "dataflow_decimal_sum": (3, _DecimalSum),
    "dataflow_float_sum": (1, _FloatSum),
    "dataflow_avg": (1, _Average),
    "dataflow_stddev_pop": (1, _Deviation),
    "dataflow_stddev_samp": (1, _SampleDeviation),
    "dataflow_median": (1, _Median),
    "dataflow_collect": (-1, _Collect),
    "dataflow_collect_set": (1, _CollectSet),
}
"""Name in SQL -> number of arguments (-1 is any), class."""


def register_aggregates(connection: sqlite3.Connection, errors: FunctionErrors) -> None:
    """Make every aggregate known to a connection."""
    for name, (count, kind) in AGGREGATES.items():
        connection.create_aggregate(name, count, _guarded(kind, errors))


def _guarded(kind: type[Any], errors: FunctionErrors) -> Callable[[], Any]:
    class Guarded(kind):  # type: ignore[misc]
        # `step` only collects: what can fail fails at the end.
        def finalize(self) -> Any:
            try:
                return super().finalize()
            except Exception as error:
                errors.keep(error)
                raise

    return Guarded
