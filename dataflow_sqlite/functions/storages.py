"""How values are kept in columns that others made: a codec for every way.

Each reads what it can, in whatever form it is, and refuses the rest with a clear error; it writes
the one form that the column has, so that comparisons of the stored values are right.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import re
import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from dataflow_core.compile import Codec
from dataflow_core.errors import InvalidValue
from dataflow_core.naming_hints import quoted
from dataflow_core.types import FieldType

__all__ = ["BOOLEAN_PAIRS", "instant_form", "storage_codec"]

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_JULIAN_EPOCH: Final = 2440587.5
_DAY: Final = 86_400

Read = Callable[[Any], Any]


def _unreadable(value: Any, expected: str) -> InvalidValue:
    return InvalidValue(
        f"the stored value {quoted(value)} cannot be read as {expected}", expected=expected
    )


def _reading(expected: str, read: Read) -> Read:
    """A function that reads a stored value, or says clearly that it is none."""

    def decode(value: Any) -> Any:
        try:
            return read(value)
        except (ValueError, TypeError, OverflowError, ArithmeticError):
            raise _unreadable(value, expected) from None

    return decode


def _read_integer(value: Any) -> int:
    number = int(value)
    if not isinstance(value, str) and number != value:
        raise ValueError(value)
    return number


def _read_float(value: Any) -> float:
    if isinstance(value, bytes):
        raise TypeError(value)
    return float(value)


def _read_text(value: Any) -> str:
    if value is None:
        raise TypeError(value)
    return value.decode() if isinstance(value, bytes) else str(value)


def _read_bytes(value: Any) -> bytes:
    if value is None:
        raise TypeError(value)
    return value if isinstance(value, bytes) else str(value).encode()


def _number_codec(kind: Any) -> Codec:
    """Decimals as numbers of SQLite: whole ones as ints, others as the nearest float."""
    unit = decimal.Decimal(1).scaleb(-kind.scale)
    wide = decimal.Context(prec=400)

    def read(value: Any) -> decimal.Decimal:
        number = decimal.Decimal(value if isinstance(value, int) else str(value))
        if not number.is_finite():
            raise ValueError(value)
        # The float nearest to 0.1 is written "0.1"; the sum of floats may have a digit too many.
        return number.quantize(unit, rounding=decimal.ROUND_HALF_EVEN, context=wide)

    def encode(value: decimal.Decimal) -> int | float:
        whole = int(value)
        return whole if whole == value and abs(whole) < 2**63 else float(value)

    return Codec(encode, _reading("a number", read))


BOOLEAN_PAIRS: Final = (
    "t/f",
    "T/F",
    "true/false",
    "True/False",
    "TRUE/FALSE",
    "y/n",
    "Y/N",
    "yes/no",
)


def _boolean_codec(form: str) -> Codec:
    true, _, false = form.partition("/")
    words = {true: True, false: False} if form else {}

    def read(value: Any) -> bool:
        if value in (0, 1):
            return bool(value)
        if isinstance(value, str) and value in words:
            return words[value]
        raise ValueError(value)

    def encode(value: bool) -> Any:
        return (true if value else false) if form else int(value)

    return Codec(encode, _reading("true or false", read))


_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:(?P<sep>[ T])\d\d:\d\d(?::\d\d(?:\.(?P<digits>\d{1,6}))?)?"
    r"(?P<zone>Z|\+00:00)?)?"
)
_SECONDS_AT: Final = 16
_TIMESPECS: Final = {0: "seconds", 3: "milliseconds"}


def _read_instant(value: Any) -> dt.datetime:
    instant = dt.datetime.fromisoformat(value)
    return instant.replace(tzinfo=dt.UTC) if instant.tzinfo is None else instant.astimezone(dt.UTC)


def instant_form(value: Any) -> str | None:
    """How a text writes an instant, as ``_text_codec`` takes it; ``None`` if in no way known."""
    found = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    if found["sep"] is None:
        return "day"
    if len(value) == _SECONDS_AT:
        return f"{found['sep']}minutes"
    return f"{found['sep']}{len(found['digits'] or '')}{found['zone'] or ''}"


def _text_codec(form: str) -> Codec:
    """Instants as text in one form; what does not fit its digits is written with more of them."""
    separator = form[0] if form[0] in " T" else " "
    digits = int(form[1]) if form[1].isdigit() else 0
    zone = form[2:] if form[1].isdigit() else ""

    def encode(value: dt.datetime) -> str:
        plain = value.replace(tzinfo=None)
        if form == "day" and plain.time() == dt.time():
            return plain.date().isoformat()
        if form.endswith("minutes") and not (plain.second or plain.microsecond):
            return plain.isoformat(separator, "minutes")
        spec = _TIMESPECS.get(digits, "microseconds")
        exact = not plain.microsecond % (1_000 if digits == 3 else 1_000_000)
        text = plain.isoformat(separator, spec if exact else "microseconds")
        if digits and digits < 6 and digits != 3:
            kept = text.rstrip("0")
            text = kept.ljust(text.index(".") + 1 + digits, "0")
        return text + zone

    return Codec(encode, _reading("a datetime", _read_instant))


def _seconds_codec(per_second: int) -> Codec:
    def read(value: Any) -> dt.datetime:
        number = decimal.Decimal(str(value)) / per_second
        return _EPOCH + dt.timedelta(microseconds=int(number * 1_000_000))

    def encode(value: dt.datetime) -> int | float:
        micros = (value - _EPOCH) // dt.timedelta(microseconds=1) * per_second
        whole, rest = divmod(micros, 1_000_000)
        return micros / 1_000_000 if rest else whole

    return Codec(encode, _reading("a datetime", read))


def _read_julian(value: Any) -> dt.datetime:
    # SQLite itself keeps such instants to the millisecond.
    milliseconds = round((float(value) - _JULIAN_EPOCH) * _DAY * 1_000)
    return _EPOCH + dt.timedelta(milliseconds=milliseconds)


def _encode_julian(value: dt.datetime) -> float:
    return (value - _EPOCH) / dt.timedelta(days=1) + _JULIAN_EPOCH


def _read_day(value: Any) -> dt.date:
    instant = _read_instant(value)
    if instant.time() != dt.time():
        raise ValueError(value)
    return instant.date()


def _read_clock(value: Any) -> dt.time:
    clock = dt.time.fromisoformat(value)
    if clock.tzinfo is not None:
        raise ValueError(value)
    return clock


def _clock_codec(form: str) -> Codec:
    def encode(value: dt.time) -> str:
        if form == "minutes" and not (value.second or value.microsecond):
            return value.isoformat("minutes")
        return value.isoformat("microseconds" if form == "6" or value.microsecond else "seconds")

    return Codec(encode, _reading("a time of day", _read_clock))


def _read_uuid(value: Any) -> uuid.UUID:
    return uuid.UUID(bytes=value) if isinstance(value, bytes) else uuid.UUID(value)


_UUIDS: Final[dict[str, Callable[[uuid.UUID], Any]]] = {
    "text": str,
    "upper": lambda value: str(value).upper(),
    "hex": lambda value: value.hex,
    "bytes": lambda value: value.bytes,
}
_JSON_ENCODE: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode
_STORAGES: Final[dict[str, Callable[[Any, str], Codec]]] = {
    "integer": lambda kind, form: Codec(decode=_reading("a whole number", _read_integer)),
    "real": lambda kind, form: Codec(decode=_reading("a number", _read_float)),
    "number": lambda kind, form: _number_codec(kind),
    "text": lambda kind, form: Codec(decode=_reading("text", _read_text)),
    "bytes": lambda kind, form: Codec(decode=_reading("bytes", _read_bytes)),
    "boolean": lambda kind, form: _boolean_codec(form),
    "instant": lambda kind, form: _text_codec(form),
    "unix": lambda kind, form: _seconds_codec(1),
    "milliseconds": lambda kind, form: _seconds_codec(1_000),
    "julian": lambda kind, form: Codec(_encode_julian, _reading("a datetime", _read_julian)),
    "day": lambda kind, form: Codec(dt.date.isoformat, _reading("a date", _read_day)),
    "clock": lambda kind, form: _clock_codec(form),
    "uuid": lambda kind, form: Codec(_UUIDS[form], _reading("a UUID", _read_uuid)),
    "json": lambda kind, form: Codec(_JSON_ENCODE, _reading("JSON", json.loads)),
}


@lru_cache(maxsize=1_024)
def storage_codec(kind: FieldType) -> Codec:
    """The codec of a type whose ``storage`` this module gave."""
    word, _, form = (kind.storage or "").partition(":")
    make = _STORAGES.get(word)
    if make is None:
        raise InvalidValue(
            f"SQLite keeps no values as {quoted(kind.storage)}", expected="a storage"
        )
    return make(kind, form)
