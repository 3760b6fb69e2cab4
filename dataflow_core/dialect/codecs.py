"""Codecs for databases that lack a type: what is stored instead, so that it sorts as the values do.

Comparisons and indexes work on the stored form, so every one of them keeps the order of values.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from functools import lru_cache
from typing import Final

from dataflow_core.compile import Codec
from dataflow_core.types import Decimal

__all__ = [
    "BOOLEAN_AS_INTEGER",
    "DATE_AS_TEXT",
    "JSON_AS_TEXT",
    "SCALED_PRECISION",
    "TIMESTAMP_AS_TEXT",
    "TIMESTAMP_WITHOUT_ZONE",
    "TIME_AS_TEXT",
    "UUID_AS_TEXT",
    "decimal_as_integer",
    "decimal_from_scaled",
    "decimal_to_scaled",
]

SCALED_PRECISION: Final = 18
"""Decimals of so many digits fit a scaled integer of 64 bits."""

# Wide enough for every Decimal; the context of the caller's thread could round.
_EXACT: Final = decimal.Context(prec=100)
_scaleb: Final = _EXACT.scaleb


def decimal_from_scaled(number: int, precision: int) -> int | str:
    """The stored form of a Decimal of ``precision`` digits whose digits, unscaled, are ``number``.

    Wide ones become text of a fixed width that sorts as the numbers do: the sign first, negative
    ones with their digits complemented to nine.
    """
    if precision <= SCALED_PRECISION:
        return number
    if number >= 0:
        return "1" + str(number).zfill(precision)
    return "0" + str(_limit(precision) + number).zfill(precision)


def decimal_to_scaled(value: int | str, precision: int) -> int:
    """The inverse of ``decimal_from_scaled``."""
    if not isinstance(value, str):
        return value
    if value[0] == "1":
        return int(value[1:])
    return int(value[1:]) - _limit(precision)


def _limit(precision: int) -> int:
    limit: int = 10**precision - 1
    return limit


def decimal_as_integer(kind: Decimal) -> Codec:
    """Exact numbers as scaled integers; those of more than 18 digits as text that sorts."""
    return _decimal_codec(kind.precision, kind.scale)


@lru_cache(maxsize=1_024)
def _decimal_codec(precision: int, scale: int) -> Codec:
    if precision <= SCALED_PRECISION:

        def encode_scaled(value: decimal.Decimal) -> int:
            return int(_scaleb(value, scale))

        def decode_scaled(value: int) -> decimal.Decimal:
            return _scaleb(decimal.Decimal(value), -scale)

        return Codec(encode_scaled, decode_scaled, restore=decode_scaled)

    def encode_wide(value: decimal.Decimal) -> int | str:
        return decimal_from_scaled(int(_scaleb(value, scale)), precision)

    def decode_wide(value: str) -> decimal.Decimal:
        return _scaleb(decimal.Decimal(decimal_to_scaled(value, precision)), -scale)

    return Codec(encode_wide, decode_wide, restore=decode_wide)


def _encode_timestamp(value: dt.datetime) -> str:
    return value.isoformat(" ", "microseconds")


def _encode_time(value: dt.time) -> str:
    return value.isoformat("microseconds")


def _without_zone(value: dt.datetime) -> dt.datetime:
    return value.replace(tzinfo=None)


def _in_utc(value: dt.datetime) -> dt.datetime:
    return value.replace(tzinfo=dt.UTC)


_encode_json: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode


def _uuid_of(text: str) -> uuid.UUID:
    """The UUID of a text that was made of one: in half the time of one of somebody else's."""
    return uuid.UUID(int=int(text.replace("-", ""), 16))


TIMESTAMP_AS_TEXT: Final = Codec(
    _encode_timestamp,
    dt.datetime.fromisoformat,
    encode_source='value.isoformat(" ", "microseconds")',
    restore=dt.datetime.fromisoformat,
)
"""Instants as text in UTC."""
TIMESTAMP_WITHOUT_ZONE: Final = Codec(_without_zone, _in_utc, restore=_in_utc)
"""Instants as datetimes without a zone, in UTC, for a database that would convert the others."""
DATE_AS_TEXT: Final = Codec(dt.date.isoformat, dt.date.fromisoformat, restore=dt.date.fromisoformat)
"""Days as text."""
TIME_AS_TEXT: Final = Codec(_encode_time, dt.time.fromisoformat, restore=dt.time.fromisoformat)
"""Times of day as text."""
UUID_AS_TEXT: Final = Codec(str, uuid.UUID, restore=_uuid_of)
"""UUIDs as text."""
BOOLEAN_AS_INTEGER: Final = Codec(int, bool, "value == 1", "1 if value else 0", bool)
"""True and False as 1 and 0."""


JSON_AS_TEXT: Final = Codec(_encode_json, json.loads, restore=json.loads)
"""Documents and lists as text."""
