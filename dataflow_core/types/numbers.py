"""Whole numbers, floats, exact decimals."""

from __future__ import annotations

import decimal
import enum
import math
from typing import Any, ClassVar, Final

from attrs import frozen

from dataflow_core.errors import InvalidValue
from dataflow_core.types.base import NEVER, FieldType, out_of_range

__all__ = ["INT64", "MAX_PRECISION", "Decimal", "Float", "Integer", "refuse_not_finite"]

MAX_PRECISION: Final = 38
_BOUNDS: Final = {32: 2**31 - 1, 64: 2**63 - 1}
_MOST_DIGITS: Final = 40


@frozen
class Integer(FieldType):
    """A whole number of 64 bits, or of 32."""

    name: ClassVar[str] = "int"
    numeric: ClassVar[bool] = True
    bits: int = 64

    @property
    def low(self) -> int:
        """The least value that fits."""
        return -_BOUNDS[self.bits] - 1

    @property
    def high(self) -> int:
        """The greatest value that fits."""
        return _BOUNDS[self.bits]

    def check(self, value: Any, where: str) -> int:
        if type(value) is not int:
            value = self._plain(value, where)
        bound = _BOUNDS[self.bits]
        if not -bound <= value <= bound and value != -bound - 1:
            raise out_of_range(where, f"an int of {self.bits} bits")
        number: int = value
        return number

    def _plain(self, value: Any, where: str) -> int:
        """The int behind an enum member or a subclass; a bool is none."""
        if isinstance(value, enum.Enum) and not isinstance(value, int):
            value = value.value
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.refuse(value, where)
        return int(value)

    def operand(self, value: Any, where: str, rounding: str = "exact") -> Any:
        if isinstance(value, float | decimal.Decimal):
            refuse_not_finite(value, where)
            # Written out as an int, a Decimal of a huge exponent would fill the memory.
            if isinstance(value, decimal.Decimal) and value.adjusted() > _MOST_DIGITS:
                raise out_of_range(where, "an int of 64 bits")
            if value != int(value):
                if rounding == "exact":
                    return NEVER
                value = math.floor(value) if rounding == "down" else math.ceil(value)
            value = int(value)
        # A 32-bit column is still compared with any number of 64 bits.
        return INT64.check(value, where)


INT64: Final = Integer()


@frozen
class Float(FieldType):
    """A double-precision number; NaN and the infinities are refused."""

    name: ClassVar[str] = "float"
    numeric: ClassVar[bool] = True

    def check(self, value: Any, where: str) -> float:
        if isinstance(value, float):
            refuse_not_finite(value, where)
            return float(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return _exact_float(value, where)
        raise self.refuse(value, where)

    def operand(self, value: Any, where: str, rounding: str = "exact") -> Any:
        if isinstance(value, decimal.Decimal):
            refuse_not_finite(value, where)
            return _exact_float(value, where)
        return self.check(value, where)


@frozen
class Decimal(FieldType):
    """An exact number of ``precision`` digits, ``scale`` of them after the point."""

    name: ClassVar[str] = "Decimal"
    numeric: ClassVar[bool] = True
    precision: int = 18
    scale: int = 4

    def check(self, value: Any, where: str) -> decimal.Decimal:
        if isinstance(value, bool) or not isinstance(value, decimal.Decimal | int):
            raise self.refuse(value, where, "Decimal or int")
        refuse_not_finite(value, where)
        number = self._number(value, where)
        fitted = self._quantized(number, decimal.ROUND_DOWN)
        if fitted != number:
            raise InvalidValue(
                f"{where}: has more than {self.scale} digits after the point",
                where=where,
                expected=f"at most {self.scale} digits after the point",
            )
        return fitted

    def operand(self, value: Any, where: str, rounding: str = "exact") -> Any:
        if isinstance(value, bool) or not isinstance(value, decimal.Decimal | int | float):
            raise self.refuse(value, where, "Decimal, int or float")
        refuse_not_finite(value, where)
        number = self._number(value, where)
        way = decimal.ROUND_CEILING if rounding == "up" else decimal.ROUND_FLOOR
        fitted = self._quantized(number, way)
        if rounding == "exact" and fitted != number:
            if isinstance(value, float):
                raise InvalidValue(
                    f"{where}: the float {value!r} is not exactly a Decimal of scale {self.scale};"
                    f" write Decimal({str(value)!r})",
                    where=where,
                )
            return NEVER
        return fitted

    def _quantized(self, number: decimal.Decimal, rounding: str) -> decimal.Decimal:
        return number.quantize(
            decimal.Decimal(1).scaleb(-self.scale), rounding=rounding, context=_WIDE
        )

    def _number(self, value: decimal.Decimal | float, where: str) -> decimal.Decimal:
        """The value as a Decimal, if it is not too large."""
        whole = self.precision - self.scale
        # To turn a huge int into a Decimal takes quadratic time.
        huge = isinstance(value, int) and value.bit_length() > 4 * _MOST_DIGITS
        number = decimal.Decimal(0 if huge else value)
        if huge or (number and number.adjusted() >= whole):
            raise out_of_range(where, f"a Decimal of {whole} whole digits")
        return number


_WIDE: Final = decimal.Context(prec=2000, Emin=-999999, Emax=999999)


def refuse_not_finite(value: float | decimal.Decimal, where: str) -> None:
    """Raise ``InvalidValue`` for NaN and infinity."""
    # A Decimal has its own word for it: as a float it overflows, and a signalling NaN raises.
    if isinstance(value, int):
        return
    finite = value.is_finite() if isinstance(value, decimal.Decimal) else math.isfinite(value)
    if finite:
        return
    raise InvalidValue(f"{where}: NaN and infinity are not stored", where=where)


def _exact_float(value: int | decimal.Decimal, where: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise out_of_range(where, "a float")
    if number != value:
        raise InvalidValue(
            f"{where}: this number is not exactly a float; give the float that is meant",
            where=where,
        )
    return number
