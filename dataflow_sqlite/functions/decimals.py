"""Exact arithmetic on stored Decimals, as SQL functions.

Every operand is followed by its precision and scale, and the result's precision and scale come
last, all of them constants of the statement. An int operand has precision 0 and scale 0.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from typing import Any, Final

from dataflow_core.dialect import decimal_from_scaled, decimal_to_scaled
from dataflow_sqlite.functions.results import ResultOutOfRange, in_float

__all__ = ["AS_NUMBER", "DECIMAL_FUNCTIONS", "rescaled", "scaled", "stored"]

Stored = int | str | float
AS_NUMBER: Final = -1
"""In the place of a precision: the values are numbers of SQLite, in a column that others made."""


def scaled(value: Any, precision: int, scale: int) -> int:
    """The digits of a stored Decimal, without its point."""
    if precision != AS_NUMBER:
        return decimal_to_scaled(value, precision)
    return int(decimal.Decimal(str(value)).scaleb(scale, _EXACT).to_integral_value())


_EXACT: Final = decimal.Context(prec=400)


def rescaled(number: int, scale: int, wanted: int) -> int:
    """``number`` of one scale in another; what does not fit is rounded half away from zero."""
    factor: int = 10 ** abs(wanted - scale)
    if wanted >= scale:
        return number * factor
    rounded = (abs(number) + factor // 2) // factor
    return -rounded if number < 0 else rounded


def stored(number: int, scale: int, to_precision: int, to_scale: int) -> Stored:
    """The stored form of ``number`` (of ``scale``) as a Decimal of another precision and scale.

    Raises ``ResultOutOfRange`` if it has too many digits.
    """
    number = rescaled(number, scale, to_scale)
    if to_precision == AS_NUMBER:
        whole, rest = divmod(number, 10**to_scale)
        return in_float(number / 10**to_scale) if rest else whole
    if abs(number) >= 10**to_precision:
        raise ResultOutOfRange(f"the result exceeds a Decimal of {to_precision} digits")
    return decimal_from_scaled(number, to_precision)


def _recode(value: Stored, precision: int, scale: int, to_precision: int, to_scale: int) -> Stored:
    return stored(scaled(value, precision, scale), scale, to_precision, to_scale)


def _aligned(
    a: Stored, a_precision: int, a_scale: int, b: Stored, b_precision: int, b_scale: int
) -> tuple[int, int, int]:
    scale = max(a_scale, b_scale)
    left = rescaled(scaled(a, a_precision, a_scale), a_scale, scale)
    right = rescaled(scaled(b, b_precision, b_scale), b_scale, scale)
    return left, right, scale


def _add(a: Stored, ap: int, az: int, b: Stored, bp: int, bz: int, rp: int, rz: int) -> Stored:
    left, right, scale = _aligned(a, ap, az, b, bp, bz)
    return stored(left + right, scale, rp, rz)


def _subtract(a: Stored, ap: int, az: int, b: Stored, bp: int, bz: int, rp: int, rz: int) -> Stored:
    left, right, scale = _aligned(a, ap, az, b, bp, bz)
    return stored(left - right, scale, rp, rz)


def _multiply(a: Stored, ap: int, az: int, b: Stored, bp: int, bz: int, rp: int, rz: int) -> Stored:
    return stored(scaled(a, ap, az) * scaled(b, bp, bz), az + bz, rp, rz)


def _mod(
    a: Stored, ap: int, az: int, b: Stored, bp: int, bz: int, rp: int, rz: int
) -> Stored | None:
    left, right, scale = _aligned(a, ap, az, b, bp, bz)
    if right == 0:
        return None
    rest = abs(left) % abs(right)
    return stored(-rest if left < 0 else rest, scale, rp, rz)


def _compare(a: Stored, ap: int, az: int, b: Stored, bp: int, bz: int) -> int:
    left, right, _ = _aligned(a, ap, az, b, bp, bz)
    return (left > right) - (left < right)


def _absolute(value: Stored, precision: int, scale: int, rp: int, rz: int) -> Stored:
    return stored(abs(scaled(value, precision, scale)), scale, rp, rz)


def _ceil(value: Stored, precision: int, scale: int, rp: int, rz: int) -> Stored:
    return stored(-(-scaled(value, precision, scale) // 10**scale), 0, rp, rz)


def _floor(value: Stored, precision: int, scale: int, rp: int, rz: int) -> Stored:
    return stored(scaled(value, precision, scale) // 10**scale, 0, rp, rz)


def _to_float(value: Stored, precision: int, scale: int) -> float:
    # The division of two ints is rounded once, so this is the float nearest to the Decimal.
    return in_float(scaled(value, precision, scale) / 10**scale)


def _from_int(value: int, precision: int, scale: int) -> Stored:
    return stored(value, 0, precision, scale)


DECIMAL_FUNCTIONS: Final[dict[str, tuple[int, Callable[..., Any]]]] = {
    "dataflow_decimal_recode": (5, _recode),
    "dataflow_decimal_add": (8, _add),
    "dataflow_decimal_sub": (8, _subtract),
    "dataflow_decimal_mul": (8, _multiply),
    "dataflow_decimal_mod": (8, _mod),
    "dataflow_decimal_compare": (6, _compare),
    "dataflow_decimal_abs": (5, _absolute),
    "dataflow_decimal_ceil": (5, _ceil),
    "dataflow_decimal_floor": (5, _floor),
    "dataflow_decimal_to_float": (3, _to_float),
    "dataflow_int_to_decimal": (3, _from_int),
}
"""Name in SQL -> number of arguments, function."""
