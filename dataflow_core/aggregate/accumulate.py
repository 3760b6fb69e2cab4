"""What accumulators mean, in plain Python: one value of the values of a group."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Final

from dataflow_core.expressions.numbers import EXACT, fitted
from dataflow_core.types import Decimal, FieldType, Float

__all__ = ["accumulate"]

_FLOAT: Final = Float()


def accumulate(function: str, items: Sequence[Any], kind: FieldType, where: str) -> Any:
    """The value of an accumulator.

    Parameters:
        function: its name, as in an ``Accumulator``.
        items: the values of its expression in the order of the rows, NULL included.
        kind: the type of the result.
        where: the field that is made, for messages.

    Raises:
        OutOfRange: a sum or a deviation does not fit its type.
    """
    if function == "count":
        return len(items)
    if function in ("first", "last"):
        return items[0 if function == "first" else -1]
    known = [item for item in items if item is not None]
    if function == "push":
        return known
    if function == "addToSet":
        # In order, so that the result is the same everywhere; MongoDB promises no order.
        return sorted(set(known))
    if function == "sum":
        return _sum(known, kind, where)
    return _OF_SOME[function](known, where) if known else None


def _sum(items: list[Any], kind: FieldType, where: str) -> Any:
    """The exact sum, rounded once for floats; 0 of nothing. Only the result has to fit."""
    if isinstance(kind, Float):
        return fitted(sum(map(Fraction, items)), kind, where)
    total: Any = 0
    for item in items:
        total = EXACT.add(total, item) if isinstance(kind, Decimal) else total + item
    return fitted(total, kind, where)


def _average(items: list[Any], where: str) -> float:
    return float(_mean(items))


def _mean(items: list[Any]) -> Fraction:
    return sum(map(Fraction, items), Fraction()) / len(items)


def _spread(items: list[Any], degrees: int, where: str) -> float | None:
    """The standard deviation; ``None`` where there are no degrees of freedom."""
    if not degrees:
        return None
    mean = _mean(items)
    squares = sum((Fraction(item) - mean) ** 2 for item in items) / degrees
    return math.sqrt(fitted(squares, _FLOAT, where))


def _median(items: list[Any], where: str) -> float:
    """The middle value; of an even number, the mean of the two in the middle."""
    ordered = sorted(items)
    half = len(ordered) // 2
    return float(
        _mean(ordered[half : half + 1] if len(ordered) % 2 else ordered[half - 1 : half + 1])
    )


_OF_SOME: Final[dict[str, Callable[[list[Any], str], Any]]] = {
    "avg": _average,
    "min": lambda items, where: min(items),
    "max": lambda items, where: max(items),
    "stdDevPop": lambda items, where: _spread(items, len(items), where),
    "stdDevSamp": lambda items, where: _spread(items, len(items) - 1, where),
    "median": _median,
}
