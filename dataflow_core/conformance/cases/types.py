"""What is written is read: every type, with the values that databases like to change."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from dataflow_core.conformance.registry import case, register
from dataflow_core.errors import InvalidType, InvalidValue, OutOfRange
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_D = decimal.Decimal
_EAST: Final = dt.timezone(dt.timedelta(hours=8))


class Colour(enum.Enum):
    """An enumeration of texts."""

    RED = "red"
    GREEN = "green"


class Level(enum.Enum):
    """An enumeration of ints."""

    LOW = 1
    HIGH = 2


class Types:
    """A field of every type."""

    id: int
    integer: int | None
    short: int | None = field(default=None, bits=32)
    number: float | None
    price: _D | None
    wide: _D | None = field(default=None, precision=38, scale=18)
    whole: _D | None = field(default=None, precision=38, scale=0)
    flag: bool | None
    text: str | None
    bounded: str | None = field(default=None, max_length=4)
    keyed: str | None = field(default=None, unique=True)
    blob: bytes | None
    moment: dt.datetime | None
    day: dt.date | None
    clock: dt.time | None
    token: uuid.UUID | None
    document: dict[str, Any] | None
    items: list[Any] | None
    numbers: list[int] | None
    words: list[str] | None
    colour: Colour | None
    level: Level | None
    word: Literal["yes", "no", ""] | None


def _utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type,misc]


def _round_trip(name: str, values: Sequence[Any]) -> Callable[[Session], Awaitable[None]]:
    """Each value is read as it was written: from create, read, list and after a bulk create."""
    pairs = [value if isinstance(value, tuple) else (value, value) for value in values]

    async def check(session: Session) -> None:
        model = session.model(Types)
        for number, (given, stored) in enumerate(pairs, 1):
            created = await session.run(model, "Create", values={"id": number, name: given})
            session.equal(created["result"][name], stored, f"created with {given!r}")
            found = await session.run(model, "Read", id=number)
            session.equal(found["result"][name], stored, f"read {given!r}")
        rows = await session.rows(model)
        session.equal([row[name] for row in rows], [stored for _, stored in pairs], "listed")
        await session.run(model, "BulkDelete", filter={}, allow_all=True)
        data = [{"id": number, name: given} for number, (given, _) in enumerate(pairs, 1)]
        await session.run(model, "BulkCreate", data=data)
        rows = await session.rows(model)
        session.equal([row[name] for row in rows], [stored for _, stored in pairs], "bulk created")

    return check


def _found(name: str, values: Sequence[Any]) -> Callable[[Session], Awaitable[None]]:
    """A filter for a value finds exactly the rows that hold it."""

    async def check(session: Session) -> None:
        model = session.model(Types)
        rows = [{"id": number, name: value} for number, value in enumerate(values, 1)]
        await session.run(model, "BulkCreate", data=rows)
        for number, value in enumerate(values, 1):
            await session.expect_list(model, {name: value}, [number])
            await session.expect_list(model, {name: {"$in": [value]}}, [number])

    return check


_ROUND_TRIPS: Final[tuple[tuple[str, str, str, tuple[Any, ...], str], ...]] = (
    ("integer", "types.integer", "integer", (0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)),
     "Whole numbers of 64 bits are exact."),
    ("integer.short", "types.integer", "short", (0, 2**31 - 1, -(2**31)),
     "Whole numbers of 32 bits are exact."),
    ("float", "types.float", "number",
     (0.0, 0.1, -2.5, 16777217.0, 1e22, 2.2250738585072014e-308, 1.7976931348623157e308),
     "Floats have double precision."),
    ("float.of_int", "types.float", "number", ((3, 3.0), (2**53, float(2**53))),
     "An int given for a float is read as the float."),
    ("decimal", "types.decimal", "price",
     (_D("0.0000"), _D("1.0050"), _D("-0.0001"), _D("99999999999999.9999"),
      _D("-99999999999999.9999")),
     "Decimals are exact."),
    ("decimal.of_int", "types.decimal", "price", ((3, _D(3)), (-7, _D(-7))),
     "An int given for a Decimal is read as the Decimal."),
    ("decimal.wide", "types.decimal.wide", "wide",
     (_D("12345678901234567890.123456789012345678"), _D("-0.000000000000000001"),
      _D("-99999999999999999999.999999999999999999")),
     "Decimals of 38 digits are exact."),
    ("decimal.whole", "types.decimal.wide", "whole", (_D(10**37), _D(-(10**38) + 1), _D(0)),
     "Decimals of 38 digits before the point are exact."),
    ("boolean", "types.boolean", "flag", (True, False, None), "True and False come back as bool."),
    ("text", "types.text", "text",
     ("", " ", "a", "a ", "á", "a\u0301", "ß", "😀", "\U0010ffff", "'; DROP TABLE x; --", "\\", "%",
      "line\nbreak\r\n\ttab", "NULL", "1e2", "x" * 5_000, None),
     "Text comes back code point by code point."),
    ("text.bounded", "types.text", "bounded", ("", "abc ", "ab  ", "😀😀😀😀", "ßßßß"),
     "The length of text counts code points, and trailing spaces stay."),
    ("binary", "types.binary", "blob", (b"", b"\x00\xff", bytes(range(256)), b"'\\", None),
     "Bytes come back byte by byte."),
    ("timestamp", "types.timestamp", "moment",
     (_utc(1970, 1, 1), _utc(2024, 2, 29, 12, 34, 56, 789012), _utc(1969, 12, 31, 23, 59, 59,
      999999),
      _utc(2038, 1, 19, 3, 14, 8), _utc(1, 1, 1, 0, 0, 0, 1), _utc(9999, 12, 31, 23, 59, 59,
      999998)),
     "Instants keep microseconds from the year 1 to 9999 and come back in UTC."),
    ("timestamp.zone", "types.timestamp", "moment",
     ((dt.datetime(2024, 1, 1, 12, 34, tzinfo=_EAST), _utc(2024, 1, 1, 4, 34)),
      (dt.datetime(2024, 1, 1, 0, 30, tzinfo=_EAST), _utc(2023, 12, 31, 16, 30))),
     "An aware datetime of another zone is the same instant in UTC."),
    ("timestamp.naive", "types.timestamp", "moment",
     ((dt.datetime(2024, 1, 1, 12, 34, 56, 7), _utc(2024, 1, 1, 12, 34, 56, 7)),
      ("2024-01-01T12:00:00", _utc(2024, 1, 1, 12)), ("2024-01-01T12:00:00+08:00", _utc(2024, 1, 1,
       4))),
     "A naive datetime means UTC, and ISO 8601 text is taken."),
    ("date", "types.date", "day",
     (dt.date(1, 1, 1), dt.date(2024, 2, 29), dt.date(9999, 12, 31), ("2024-05-01", dt.date(2024, 5,
      1))),
     "Days come back as dates."),
    ("time", "types.time", "clock",
     (dt.time(0, 0), dt.time(23, 59, 59, 999999), dt.time(12, 34, 56, 1)),
     "Times of day keep microseconds."),
    ("uuid", "types.uuid", "token",
     (uuid.UUID(int=0), uuid.UUID(int=2**128 - 1),
      ("8C0D5C2E-3F0E-4C55-9D0C-2F8A6F1F7A10", uuid.UUID("8c0d5c2e-3f0e-4c55-9d0c-2f8a6f1f7a10"))),
     "UUIDs come back as UUIDs."),
    ("json.object", "types.json", "document",
     ({}, {"a": 1, "b": [1, 2.5, "x", None, True, {"c": {}}]}, {"x y": 1, 'q"': 2, "it's": 3,
      "ключ": "😀"},
      {"big": 2**63 - 1, "small": -(2**63), "f": 0.1}, {"": "empty key", "$x": 1, "a.b": 2}, None),
     "Documents come back by value, special keys and 64-bit numbers included."),
    ("json.list", "types.json", "items",
     ([], [1, "1", True, None, 1.5, [], {}], [[1, 2], [3]], ["\n\\\"'"]),
     "Lists come back by value."),
    ("json.typed", "types.json", "numbers", ([], [1, 2, 2**63 - 1], None),
     "Typed lists come back by value."),
    ("enum", "types.enum", "colour", ((Colour.RED, "red"), ("green", "green"), None),
     "Enum members come back as their values."),
    ("enum.integer", "types.enum", "level", ((Level.LOW, 1), (2, 2), None),
     "Enum members of ints come back as ints."),
    ("enum.literal", "types.enum", "word", ("yes", "no", ""), "Literals come back as they are."),
)  # fmt: skip

for _id, _feature, _name, _values, _rule in _ROUND_TRIPS:
    register(f"types.{_id}.round_trip", _round_trip(_name, _values), feature=_feature, rule=_rule)

_LOOKALIKES: Final = (
    "a",
    "A",
    "á",
    "a\u0301",
    "a ",
    " a",
    "ａ",
    "ß",
    "ss",
    "😀",
    "😃",
    "",
    "i",
    "İ",
    "ı",
)
register(
    "types.text.distinct_values",
    _found("text", _LOOKALIKES),
    feature="types.text",
    rule="Text is equal by code point only: case, accents, trailing spaces and normal forms count.",
)
register(
    "types.text.distinct_keys",
    _found("keyed", _LOOKALIKES),
    feature="types.text",
    rule="A unique text field takes 'a', 'A', 'á' and 'a ' beside each other.",
)
register(
    "types.binary.distinct_values",
    _found("blob", (b"", b"\x00", b"a", b"A", b"a\x00", b"\xff")),
    feature="types.binary",
    rule="Bytes are equal byte by byte.",
)
register(
    "types.decimal.distinct_values",
    _found("wide", (_D("0.1"), _D("0.100000000000000001"), _D("12345678901234567890"), _D(-1))),
    feature="types.decimal.wide",
    rule="Decimals are compared exactly.",
)
register(
    "types.timestamp.distinct_values",
    _found("moment", (_utc(2024, 1, 1, 0, 0, 0, 1), _utc(2024, 1, 1, 0, 0, 0, 2), _utc(1, 1, 2))),
    feature="types.timestamp",
    rule="Instants a microsecond apart are different.",
)
register(
    "types.uuid.distinct_values",
    _found("token", (uuid.UUID(int=1), uuid.UUID(int=2))),
    feature="types.uuid",
    rule="A UUID is found by its value.",
)


@case("types.decimal.equal_numbers", feature="types.decimal")
async def equal_decimals(session: Session) -> None:
    """Decimals that differ only in trailing zeros are equal, and 0.1 + 0.2 is 0.3."""
    model = session.model(Types)
    await session.load(model, [{"id": 1, "price": _D("0.1")}, {"id": 2, "price": _D("0.3")}])
    await session.run(model, "Update", id=1, fields={"$inc": {"price": _D("0.2")}})
    await session.expect_list(model, {"price": _D("0.30")}, [1, 2])


_REFUSED: Final[tuple[tuple[str, str, str, Any, type[Any], str], ...]] = (
    ("integer.text", "types.integer", "integer", "1", InvalidType, "Text is no int."),
    ("integer.boolean", "types.integer", "integer", True, InvalidType, "True is no int."),
    ("integer.float", "types.integer", "integer", 1.0, InvalidType, "A float is no int."),
    ("integer.overflow", "types.integer", "integer", 2**63, InvalidValue,
     "2**63 does not fit 64 bits."),
    ("integer.short", "types.integer", "short", 2**31, InvalidValue, "2**31 does not fit 32 bits."),
    ("float.nan", "types.float", "number", float("nan"), InvalidValue, "NaN is refused."),
    ("float.infinity", "types.float", "number", float("inf"), InvalidValue, "Infinity is refused."),
    ("decimal.float", "types.decimal", "price", 0.1, InvalidType, "A float is no Decimal."),
    ("decimal.digits", "types.decimal", "price", _D("0.00001"), InvalidValue,
     "Digits behind the scale are refused, not rounded."),
    ("decimal.overflow", "types.decimal", "price", _D(10**14), InvalidValue,
     "A Decimal of too many whole digits is refused."),
    ("boolean.integer", "types.boolean", "flag", 1, InvalidType, "1 is no bool."),
    ("text.integer", "types.text", "text", 5, InvalidType, "An int is no text."),
    ("text.nul", "types.text", "text", "a\0b", InvalidValue, "NUL in text is refused."),
    ("text.surrogate", "types.text", "text", "\ud800", InvalidValue,
     "A lone surrogate is refused."),
    ("text.long", "types.text", "bounded", "abcde", InvalidValue,
     "Text that is too long is refused."),
    ("text.long_spaces", "types.text", "bounded", "abcd ", InvalidValue,
     "Text that is too long is refused even if only spaces hang over."),
    ("binary.text", "types.binary", "blob", "a", InvalidType, "Text is no bytes."),
    ("timestamp.first", "types.timestamp", "moment", dt.datetime.min, InvalidValue,
     "The first instant, which one database reads as minus infinity, is refused."),
    ("timestamp.word", "types.timestamp", "moment", "yesterday", InvalidValue,
     "Words are no instant."),
    ("date.never", "types.date", "day", "2024-02-30", InvalidValue,
     "The 30th of February is refused."),
    ("date.datetime", "types.date", "day", _utc(2024, 1, 1), InvalidType, "A datetime is no date."),
    ("time.zone", "types.time", "clock", dt.time(1, tzinfo=dt.UTC), InvalidValue,
     "A time of day has no zone."),
    ("uuid.text", "types.uuid", "token", "no uuid", InvalidValue,
     "Text that is no UUID is refused."),
    ("json.nan", "types.json", "items", [float("nan")], InvalidValue,
     "NaN inside JSON is refused."),
    ("json.big", "types.json", "items", [2**63], InvalidValue,
     "Ints over 64 bits in JSON are refused."),
    ("json.key", "types.json", "document", {1: 2}, InvalidType, "Keys of a document are text."),
    ("json.nul", "types.json", "items", ["a\0"], InvalidValue,
     "NUL in text inside JSON is refused."),
    ("json.item", "types.json", "numbers", [1, "2"], InvalidType,
     "Items of a typed list have its type."),
    ("enum.unknown", "types.enum", "colour", "blue", InvalidValue,
     "A value outside the set is refused."),
)  # fmt: skip


def _refused(name: str, value: Any, error: type[Any]) -> Callable[[Session], Awaitable[None]]:
    async def check(session: Session) -> None:
        model = session.model(Types)
        await session.load(model, [{"id": 1}])
        for kind, parameters in (
            ("Create", {"values": {"id": 2, name: value}}),
            ("Update", {"id": 1, "fields": {name: value}}),
        ):

            async def call(kind: str = kind, parameters: dict[str, Any] = parameters) -> Any:
                return await session.run(model, kind, **parameters)

            await session.expect_error(error, call, sent=False)
        bulk = partial(session.run, model, "BulkCreate", data=[{"id": 2}, {"id": 3, name: value}])
        await session.expect_error(error, bulk)
        session.equal(len(await session.rows(model)), 1, "rows afterwards")

    return check


for _id, _feature, _name, _value, _error, _rule in _REFUSED:
    register(f"types.{_id}.refused", _refused(_name, _value, _error), feature=_feature, rule=_rule)


@case("types.integer.sum_out_of_range", feature="types.integer")
async def sum_out_of_range(session: Session) -> None:
    """A sum that leaves 64 bits is OutOfRange on every database, never a float."""
    model = session.model(Types)
    await session.load(model, [{"id": 1, "integer": 2**63 - 1}])
    call = partial(session.run, model, "Update", id=1, fields={"$inc": {"integer": 1}})
    await session.expect_error(OutOfRange, call)
    session.equal((await session.rows(model))[0]["integer"], 2**63 - 1, "unchanged")


@case("types.default", feature="types.json")
async def defaults(session: Session) -> None:
    """Defaults are applied by the node, a mutable one anew for every row."""

    class Defaults:
        id: int
        number: int = 7
        text: str = "x"
        flag: bool = True
        price: _D = _D("1.5")
        items: list[Any] = field(default=[])

    model = session.model(Defaults)
    rows = await session.load(model, [{"id": 1}, {"id": 2, "items": [1], "text": ""}])
    first = {"id": 1, "number": 7, "text": "x", "flag": True, "price": _D("1.5"), "items": []}
    session.equal(rows[0], first)
    session.equal(rows[1], {**first, "id": 2, "items": [1], "text": ""})


@case("types.timestamps.managed", feature="types.timestamp")
async def managed_timestamps(session: Session) -> None:
    """created_at and updated_at are the client's clock in UTC, one instant for a call."""

    class Managed:
        __dataflow__ = {"timestamps": True}  # noqa: RUF012 - a model's options are read only
        id: int
        name: str

    model = session.model(Managed)
    await session.run(model, "BulkCreate", data=[{"id": n, "name": "x"} for n in (1, 2, 3)])
    rows = await session.rows(model)
    moments = {row[name] for row in rows for name in ("created_at", "updated_at")}
    session.equal(len(moments), 1, "different moments of one call")
    [moment] = moments
    session.equal(moment.utcoffset(), dt.timedelta(0), "zone")
    changed = await session.run(model, "Update", id=1, fields={"name": "y"})
    session.true(changed["updated_at"] > moment, "updated_at did not move with an update")
    session.equal(changed["created_at"], moment, "created_at after an update")
