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


@frozen
class Integer(FieldType):
    """A whole number of 64 bits, or of 32."""

    name: ClassVar[str] = "int"
    numeric: ClassVar[bool] = True
    bits: int = 64

    @property
    def low(self) -> int:
        """The least value that fits."""
        return -int(2 ** (self.bits - 1))

    @property
    def high(self) -> int:
        """The greatest value that fits."""
        return int(2 ** (self.bits - 1) - 1)

    def check(self, value: Any, where: str) -> int:
        if isinstance(value, enum.Enum) and not isinstance(value, int):
            value = value.value
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.refuse(value, where)
        number = int(value)
        if not self.low <= number <= self.high:
            raise out_of_range(where, f"an int of {self.bits} bits")
        return number

    def operand(self, value: Any, where: str, rounding: str = "exact") -> Any:
        if isinstance(value, float | decimal.Decimal):
            refuse_not_finite(value, where)
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
        number = decimal.Decimal(value)
        refuse_not_finite(number, where)
        self._refuse_too_large(number, where)
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
        number = decimal.Decimal(value)
        self._refuse_too_large(number, where)
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

    def _refuse_too_large(self, number: decimal.Decimal, where: str) -> None:
        if number and number.adjusted() >= self.precision - self.scale:
            raise out_of_range(where, f"a Decimal of {self.precision - self.scale} whole digits")


_WIDE: Final = decimal.Context(prec=2000, Emin=-999999, Emax=999999)


def refuse_not_finite(value: float | decimal.Decimal, where: str) -> None:
    """Raise ``InvalidValue`` for NaN and infinity."""
    if isinstance(value, int) or math.isfinite(value):
        return
    raise InvalidValue(f"{where}: NaN and infinity are not stored", where=where)


def _exact_float(value: int | decimal.Decimal, where: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        raise out_of_range(where, "a float") from None
    if number != value:
        raise InvalidValue(
            f"{where}: this number is not exactly a float; give the float that is meant",
            where=where,
        )
    return number
