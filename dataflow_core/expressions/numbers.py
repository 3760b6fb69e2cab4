"""Numbers that have to fit: exact inside, checked against the type of the result."""

from __future__ import annotations

import decimal
import math
from typing import Any, Final

from dataflow_core.errors import OutOfRange
from dataflow_core.types import Decimal, FieldType, Float, Integer

__all__ = ["EXACT", "as_operand", "fitted", "remainder"]

EXACT: Final = decimal.Context(
    prec=4000, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX, rounding=decimal.ROUND_HALF_UP
)
"""Wide enough for every sum and product of Decimals; nothing is rounded but by ``fitted``."""


def fitted(number: Any, kind: FieldType, where: str) -> Any:
    """``number`` as a value of the numeric type ``kind``.

    A Decimal with more digits after the point than the type has is rounded, halves away from zero.

    Raises:
        OutOfRange: the number is too large for the type.
    """
    if isinstance(kind, Float):
        try:
            number = float(number)
        except OverflowError:
            raise _too_large(where, "a float") from None
        if not math.isfinite(number):
            raise _too_large(where, "a float")
        return number
    if isinstance(kind, Decimal):
        rounded = EXACT.quantize(decimal.Decimal(number), decimal.Decimal(1).scaleb(-kind.scale))
        if rounded and rounded.adjusted() >= kind.precision - kind.scale:
            raise _too_large(where, f"a Decimal of {kind.precision - kind.scale} whole digits")
        return rounded
    if isinstance(kind, Integer):
        if not kind.low <= number <= kind.high:
            raise _too_large(where, f"an int of {kind.bits} bits")
        return number
    return number


def as_operand(number: Any, kind: FieldType) -> Any:
    """``number`` as it takes part in a computation whose result is of the type ``kind``."""
    if isinstance(kind, Float):
        return float(number)
    return decimal.Decimal(number) if isinstance(kind, Decimal) else number


def remainder(dividend: Any, divisor: Any) -> Any:
    """What a division leaves, with the sign of the dividend: -7 by 3 leaves -1."""
    if isinstance(dividend, float):
        return math.fmod(dividend, divisor)
    if isinstance(dividend, decimal.Decimal):
        return EXACT.remainder(dividend, divisor)
    rest = abs(dividend) % abs(divisor)
    return -rest if dividend < 0 else rest


def _too_large(where: str, expected: str) -> OutOfRange:
    return OutOfRange(f"{where}: the result does not fit {expected}", expected=expected)
