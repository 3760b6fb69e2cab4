"""A model with a field of every type, and values for them that databases like to get wrong."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import Any, Final, Literal

from dataflow_core.schema.declare import field
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)

__all__ = ["CODES", "DOCUMENTS", "EXTREMES", "TEXTS", "Everything", "values_of"]


class Everything:
    """Every field type; ``code`` is a second unique key, ``amount`` and ``title`` are required.

    ``number``, ``extreme`` and ``wide`` hold values near the limits of their types.
    """

    id: int
    code: str = field(unique=True, max_length=60)
    amount: int = field(default=0, bits=32)
    title: str = field(default="")
    number: int | None
    small: int | None = field(default=None, bits=32)
    total: float | None
    extreme: float | None
    text: str | None
    other: str | None
    label: str | None = field(default=None, max_length=8)
    flag: bool | None
    blob: bytes | None
    price: decimal.Decimal | None
    wide: decimal.Decimal | None = field(default=None, precision=38, scale=18)
    moment: dt.datetime | None
    day: dt.date | None
    clock: dt.time | None
    token: uuid.UUID | None
    doc: dict[str, Any] | None
    numbers: list[int] | None
    words: list[str] | None
    kind: Literal["red", "green", "Ünder score"] | None


TEXTS: Final = (
    "",
    " ",
    "a",
    "A",
    "á",
    "a\u0301",
    "a ",
    " a",
    "b",
    "ab",
    "aB",
    "abab",
    "ß",
    "ss",
    "SS",
    "İ",
    "ａ",
    "Σας",
    "😀",
    "😃",
    "\U0010ffff",
    "%",
    "_",
    "|",
    "a%b",
    "a_b",
    "a|b",
    "'",
    '"',
    "`",
    "\\",
    'O\'Brien \\ "x"',
    "'; DROP TABLE users; --",
    '" OR 1=1 --',
    "$amount",
    '{"a": 1}',
    "null",
    "NULL",
    "0",
    "1",
    "01",
    "1.0",
    "1e2",
    "true",
    "line\nbreak",
    "\n",
    "\ttab",
    "?1 %s $1 :name",
    "zebra",
    "Zebra",
)
CODES: Final = (*TEXTS, *(f"code {number}" for number in range(60)))
_INTEGERS: Final = (0, 1, -1, 2, 3, 7, 10, 42, -5, 2**31, -(2**31) - 1, 2**53 + 1)
_LIMITS: Final = (2**63 - 1, -(2**63))
_SMALL: Final = (0, 1, -1, 2, 3, 5, 7, 10, -8, 2**31 - 1, -(2**31))
_FLOATS: Final = (0.0, 1.0, -1.0, 2.0, 0.5, 2.5, 0.1, -3.75, 1e-7, 123456.75, -98765.5, 3e8)
EXTREMES: Final = (
    0.0,
    1.5,
    -2.5,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    -1.7976931348623157e308,
    9007199254740992.0,
    1e22,
)
_BLOBS: Final = (b"", b"\x00", b"\x00\xff", b"a", b"A", b"ab", b"'", bytes(range(256)))
_PRICES: Final = tuple(
    map(
        decimal.Decimal,
        (
            "0",
            "1",
            "-1",
            "0.5",
            "2.5",
            "-0.0001",
            "12.3456",
            "1.10",
            "99999999999999.9999",
            "-99999999999999.9999",
        ),
    )
)
_WIDE: Final = tuple(
    map(
        decimal.Decimal,
        (
            "0",
            "1",
            "0.1",
            "1.5",
            "0.000000000000000001",
            "-0.000000000000000001",
            "123456789012345678.123456789012345678",
            "-123456789012345678.123456789012345678",
        ),
    )
)
_EAST: Final = dt.timezone(dt.timedelta(hours=8))
_MOMENTS: Final = (
    dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
    dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
    dt.datetime(2024, 2, 29, 12, 34, 56, 789012, tzinfo=dt.UTC),
    dt.datetime(2024, 2, 29, 12, 34, 56, 789013, tzinfo=dt.UTC),
    dt.datetime(2024, 2, 29, 20, 34, 56, 789012, tzinfo=_EAST),
    dt.datetime(2024, 12, 29, 0, 0, 0),
    dt.datetime(2038, 1, 19, 3, 14, 8, tzinfo=dt.UTC),
    # Not in the year 1: the start of its first month is the one instant that is never stored.
    dt.datetime(2, 3, 4, 0, 0, 0, 1, tzinfo=dt.UTC),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999998, tzinfo=dt.UTC),
)
_DAYS: Final = (
    dt.date(1970, 1, 1),
    dt.date(2024, 2, 29),
    dt.date(2024, 12, 29),
    dt.date(2000, 1, 1),
    dt.date(1, 1, 1),
    dt.date(9999, 12, 31),
)
_CLOCKS: Final = (
    dt.time(0, 0),
    dt.time(8, 30),
    dt.time(12, 34, 56, 1),
    dt.time(23, 59, 59, 999999),
)
_TOKENS: Final = (
    uuid.UUID(int=0),
    uuid.UUID("8c0d5c2e-3f0e-4c55-9d0c-2f8a6f1f7a10"),
    uuid.UUID("8C0D5C2E-3F0E-4C55-9D0C-2F8A6F1F7A11"),
    uuid.UUID(int=2**128 - 1),
)
DOCUMENTS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"a": 1},
    {"a": 2},
    {"a": 1.5},
    {"a": "1"},
    {"a": "x"},
    {"a": True},
    {"a": False},
    {"a": None},
    {"a": {"b": 1}},
    {"a": {"b": "x", "c": [1, 2]}},
    {"a": [1, 2, 3]},
    {"a": [1, "1", True, None]},
    {"a": []},
    {"a": [[1], [2, 3]]},
    {"a": [{"b": 1}, {"b": 2}]},
    {"list": ["x", "y", "x"]},
    {"list": ["X", "á", "😀", "a%b"]},
    {"list": [1.5, 2, 2**53 + 1, -(2**63), 2**63 - 1]},
    {"x y": 1, 'quo"te': 2, "it's": 3, "ключ": "значение", "%": 4},
    {"a": "\n\\ \" ' %", "b": {"a": [{}]}},
    {"0": "zero", "a": {"0": "nought"}},
)
_NUMBER_LISTS: Final[tuple[list[int], ...]] = (
    [],
    [0],
    [1],
    [1, 2, 3],
    [3, 1, 2, 2],
    [2**53 + 1, -1],
    [10, 10],
)
_WORD_LISTS: Final[tuple[list[str], ...]] = (
    [],
    [""],
    ["a"],
    ["a", "A", "á"],
    ["x", "y", "x"],
    ["%", "a b", "😀"],
)

_POOLS: Final[dict[type[FieldType], tuple[Any, ...]]] = {
    Float: _FLOATS,
    Text: TEXTS,
    Boolean: (True, False),
    Binary: _BLOBS,
    Timestamp: _MOMENTS,
    Date: _DAYS,
    Time: _CLOCKS,
    Uuid: _TOKENS,
}


def values_of(name: str, kind: FieldType) -> tuple[Any, ...]:
    """Values for a field: all of them are accepted by its type."""
    if name in ("number", "id"):
        return (*_INTEGERS, *_LIMITS)
    if name == "extreme":
        return EXTREMES
    if name == "code":
        return CODES
    if isinstance(kind, Integer):
        return _SMALL if kind.bits == 32 else _INTEGERS
    if isinstance(kind, Decimal):
        return (
            _WIDE
            if kind.scale == 18
            else tuple(
                value for value in _PRICES if kind.scale >= 4 or value == value.to_integral_value()
            )
        )
    if isinstance(kind, Enumeration):
        return kind.values
    if isinstance(kind, Text) and kind.max_length is not None:
        return tuple(text for text in TEXTS if len(text) <= kind.max_length)
    if isinstance(kind, Json):
        return _json_values(kind)
    return _POOLS[type(kind)]


def _json_values(kind: Json) -> tuple[Any, ...]:
    if kind.shape == "array":
        return _WORD_LISTS if isinstance(kind.item, Text) else _NUMBER_LISTS
    return DOCUMENTS
