"""Field types: what a column may hold, and the one place where a Python value is checked.

``FieldType.check`` takes what a user gave and returns the canonical value, or refuses it. The only
conversions are int to float or Decimal, ISO 8601 text to date, time and datetime, text to UUID, an
enum member to its value; a naive datetime means UTC. Nothing else is ever rewritten.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import uuid
from typing import Any, ClassVar, Final

from attrs import frozen

from dataflow_core.errors import InvalidType, InvalidValue
from dataflow_core.naming_hints import quoted

__all__ = [
    "NEVER",
    "Binary",
    "Boolean",
    "Date",
    "Decimal",
    "Enumeration",
    "FieldType",
    "Float",
    "Integer",
    "Json",
    "Text",
    "Time",
    "Timestamp",
    "Uuid",
    "check_text",
    "fits",
]

INT64_LOW: Final = -(2**63)
INT64_HIGH: Final = 2**63 - 1
JSON_DEPTH: Final = 64
MAX_PRECISION: Final = 38


class _Never:
    """An operand that no stored value can equal, such as 1.5 for a column of integers."""

    def __repr__(self) -> str:
        return "NEVER"


NEVER: Final = _Never()


@frozen
class FieldType:
    """What a column may hold.

    ``check(value, where)`` returns the canonical value or raises ``InvalidType`` or
    ``InvalidValue``; ``where`` names the place, such as ``User.age``. ``None`` is never passed in:
    nullability belongs to the field.
    """

    name: ClassVar[str] = "value"
    ordered: ClassVar[bool] = True
    numeric: ClassVar[bool] = False

    def check(self, value: Any, where: str) -> Any:
        """Return the canonical form of ``value`` or refuse it."""
        raise NotImplementedError

    def operand(self, value: Any, where: str, rounding: str = "exact") -> Any:
        """Return ``value`` as something this type can be compared with.

        Numbers of different kinds may be compared: ``rounding`` (``exact``, ``down``, ``up``) says
        where a number between two storable ones goes; ``exact`` gives ``NEVER`` for it.
        """
        return self.check(value, where)

    def refuse(self, value: Any, where: str, expected: str | None = None) -> InvalidType:
        """The error for a value of a wrong kind."""
        return InvalidType(
            f"{where}: expected {expected or self.name}, got {type(value).__name__} {quoted(value)}",
            where=where,
            expected=expected or self.name,
            got=type(value).__name__,
        )


@frozen
class Integer(FieldType):
    """A whole number of 64 bits, or of 32."""

    name: ClassVar[str] = "int"
    numeric: ClassVar[bool] = True
    bits: int = 64

    @property
    def low(self) -> int:
        """The least value that fits."""
        return -(2 ** (self.bits - 1))

    @property
    def high(self) -> int:
        """The greatest value that fits."""
        return 2 ** (self.bits - 1) - 1

    def check(self, value: Any, where: str) -> int:
        if isinstance(value, enum.Enum) and not isinstance(value, int):
            value = value.value
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.refuse(value, where)
        value = int(value)
        if not self.low <= value <= self.high:
            raise _out_of_range(where, f"an int of {self.bits} bits")
        return value

    def operand(self, value: Any, where: str, rounding: str = "exact") -> Any:
        if isinstance(value, float | decimal.Decimal):
            _refuse_not_finite(value, where)
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
            _refuse_not_finite(value, where)
            return float(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return _exact_float(value, where)
        raise self.refuse(value, where)

    def operand(self, value: Any, where: str, rounding: str = "exact") -> Any:
        if isinstance(value, decimal.Decimal):
            _refuse_not_finite(value, where)
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
        _refuse_not_finite(number, where)
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
        _refuse_not_finite(value, where)
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
            raise _out_of_range(where, f"a Decimal of {self.precision - self.scale} whole digits")


_WIDE: Final = decimal.Context(prec=2000, Emin=-999999, Emax=999999)


@frozen
class Boolean(FieldType):
    """True or False; never 0 or 1."""

    name: ClassVar[str] = "bool"

    def check(self, value: Any, where: str) -> bool:
        if value is True or value is False:
            return value
        raise self.refuse(value, where)


@frozen
class Text(FieldType):
    """Text, compared by code point. ``max_length`` counts code points; ``None`` is unbounded."""

    name: ClassVar[str] = "str"
    max_length: int | None = None

    def check(self, value: Any, where: str) -> str:
        text = self.operand(value, where)
        if self.max_length is not None and len(text) > self.max_length:
            raise InvalidValue(
                f"{where}: has {len(text)} characters, at most {self.max_length} fit",
                where=where,
                expected=f"at most {self.max_length} characters",
            )
        return text

    def operand(self, value: Any, where: str, rounding: str = "exact") -> str:
        if isinstance(value, enum.Enum):
            value = value.value
        if not isinstance(value, str):
            raise self.refuse(value, where)
        return check_text(value, where)


@frozen
class Binary(FieldType):
    """Bytes."""

    name: ClassVar[str] = "bytes"

    def check(self, value: Any, where: str) -> bytes:
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        raise self.refuse(value, where)


@frozen
class Timestamp(FieldType):
    """An instant, in microseconds, as an aware datetime in UTC."""

    name: ClassVar[str] = "datetime"

    def check(self, value: Any, where: str) -> dt.datetime:
        if isinstance(value, str):
            value = _parsed(dt.datetime.fromisoformat, value, where, "2025-01-17T08:30:00")
        if not isinstance(value, dt.datetime):
            raise self.refuse(value, where, "datetime or ISO 8601 text")
        if getattr(value, "nanosecond", 0):
            raise InvalidValue(f"{where}: nanoseconds would be lost", where=where)
        try:
            if value.tzinfo is None:
                value = value.replace(tzinfo=dt.UTC, fold=0)
            else:
                value = value.astimezone(dt.UTC)
        except OverflowError:
            raise _out_of_range(where, "a datetime of the years 1 to 9999 in UTC") from None
        if value in (_FIRST_INSTANT, _LAST_INSTANT):
            raise _out_of_range(where, "a datetime after the first and before the last instant")
        return value if type(value) is dt.datetime else _plain_datetime(value)


_FIRST_INSTANT: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
_LAST_INSTANT: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


@frozen
class Date(FieldType):
    """A day."""

    name: ClassVar[str] = "date"

    def check(self, value: Any, where: str) -> dt.date:
        if isinstance(value, str):
            value = _parsed(dt.date.fromisoformat, value, where, "2025-01-17")
        if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
            raise self.refuse(value, where, "date or ISO 8601 text")
        return value


@frozen
class Time(FieldType):
    """A time of day without a zone, in microseconds."""

    name: ClassVar[str] = "time"

    def check(self, value: Any, where: str) -> dt.time:
        if isinstance(value, str):
            value = _parsed(dt.time.fromisoformat, value, where, "08:30:00")
        if not isinstance(value, dt.time):
            raise self.refuse(value, where, "time or ISO 8601 text")
        if value.tzinfo is not None:
            raise InvalidValue(f"{where}: a time of day has no zone", where=where)
        return value.replace(fold=0)


@frozen
class Uuid(FieldType):
    """A UUID."""

    name: ClassVar[str] = "UUID"

    def check(self, value: Any, where: str) -> uuid.UUID:
        if isinstance(value, uuid.UUID):
            return value
        if isinstance(value, str):
            return _parsed(uuid.UUID, value, where, "8c0d5c2e-3f0e-4c55-9d0c-2f8a6f1f7a10")
        raise self.refuse(value, where, "UUID or its text")


@frozen
class Json(FieldType):
    """A JSON document. ``shape`` is ``object``, ``array`` or ``any``; ``item`` types its elements."""

    name: ClassVar[str] = "JSON"
    ordered: ClassVar[bool] = False
    shape: str = "any"
    item: FieldType | None = None

    def check(self, value: Any, where: str) -> Any:
        expected = {"object": dict, "array": list}.get(self.shape)
        if expected is not None and not isinstance(value, expected):
            raise self.refuse(value, where, expected.__name__)
        _check_json(value, where)
        if self.item is not None:
            for index, item in enumerate(value):
                if self.item.check(item, f"{where}[{index}]") != item:
                    raise self.item.refuse(item, f"{where}[{index}]")
        return value


@frozen
class Enumeration(FieldType):
    """One of a closed set of values of the type ``base``."""

    name: ClassVar[str] = "enum"
    values: tuple[Any, ...] = ()
    base: FieldType = Text()

    def check(self, value: Any, where: str) -> Any:
        plain = self.base.check(value, where)
        if plain not in self.values:
            raise InvalidValue(
                f"{where}: {quoted(plain)} is not one of {', '.join(map(repr, self.values))}",
                where=where,
                expected=list(self.values),
            )
        return plain

    def operand(self, value: Any, where: str, rounding: str = "exact") -> Any:
        return self.base.operand(value, where, rounding)


def check_text(value: str, where: str) -> str:
    """Return ``value`` as a plain ``str``; refuse NUL and lone surrogates, which not every database stores."""
    if "\0" in value:
        raise InvalidValue(f"{where}: text must not contain NUL", where=where)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidValue(f"{where}: text holds a lone surrogate", where=where) from None
    return value if type(value) is str else str.__str__(value)


def fits(source: FieldType, target: FieldType) -> bool:
    """Whether some value of ``source`` is accepted where ``target`` is expected."""
    source, target = _base(source), _base(target)
    if isinstance(source, Json) or isinstance(target, Json):
        return type(source) is type(target) or Json in (type(source), type(target))
    if type(source) is type(target):
        return True
    if isinstance(source, Integer):
        return isinstance(target, Float | Decimal)
    return isinstance(source, Text) and isinstance(target, Timestamp | Date | Time | Uuid)


def _base(kind: FieldType) -> FieldType:
    return kind.base if isinstance(kind, Enumeration) else kind


def _out_of_range(where: str, expected: str) -> InvalidValue:
    return InvalidValue(
        f"{where}: out of range, expected {expected}", where=where, expected=expected
    )


def _refuse_not_finite(value: float | decimal.Decimal, where: str) -> None:
    if isinstance(value, int) or math.isfinite(value):
        return
    raise InvalidValue(f"{where}: NaN and infinity are not stored", where=where)


def _exact_float(value: int | decimal.Decimal, where: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        raise _out_of_range(where, "a float") from None
    if number != value:
        raise InvalidValue(
            f"{where}: this number is not exactly a float; give the float that is meant",
            where=where,
        )
    return number


def _parsed(parse: Any, text: str, where: str, example: str) -> Any:
    if len(text) > 64:
        raise InvalidValue(f"{where}: {quoted(text)} is not like {example!r}", where=where)
    try:
        return parse(text)
    except ValueError:
        raise InvalidValue(
            f"{where}: {quoted(text)} is not like {example!r}", where=where, expected=example
        ) from None


def _plain_datetime(value: dt.datetime) -> dt.datetime:
    return dt.datetime.combine(value.date(), value.time(), tzinfo=dt.UTC)


def _check_json(document: Any, where: str) -> None:
    """Refuse what not every database stores as JSON; an explicit stack, so depth cannot overflow."""
    stack: list[tuple[Any, int]] = [(document, 0)]
    while stack:
        value, depth = stack.pop()
        if value is None or value is True or value is False:
            continue
        kind = type(value)
        if kind is str:
            check_text(value, where)
        elif kind is int:
            INT64.check(value, where)
        elif kind is float:
            _refuse_not_finite(value, where)
        elif kind is dict or kind is list:
            if depth >= JSON_DEPTH:
                raise InvalidValue(f"{where}: JSON is nested deeper than {JSON_DEPTH}", where=where)
            if kind is dict:
                for key in value:
                    if type(key) is not str:
                        raise InvalidType(
                            f"{where}: JSON keys are text, got {quoted(key)}", where=where
                        )
                    check_text(key, where)
                stack.extend((item, depth + 1) for item in value.values())
            else:
                stack.extend((item, depth + 1) for item in value)
        else:
            raise InvalidType(
                f"{where}: {kind.__name__} {quoted(value)} is no JSON value", where=where
            )
