"""How values travel and what a server calls them: codecs, column types, what tells servers apart.

The driver reads and writes every plain type by itself; only JSON, bools and UUIDs need a codec.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import Any, Final

from attrs import frozen

from dataflow_core.compile import PLAIN, Codec
from dataflow_core.dialect import BOOLEAN_AS_INTEGER, UUID_AS_TEXT
from dataflow_core.errors import InvalidValue, SchemaChangeRefused
from dataflow_core.filters import fold, upper
from dataflow_core.operations import AlterTable, ChangeType
from dataflow_core.types import (
    JSON_DEPTH,
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

__all__ = [
    "LONGEST_KEY",
    "MARIADB",
    "MYSQL",
    "OLD_MARIADB",
    "Casing",
    "Variant",
    "codec",
    "column_type",
    "keeps_values",
    "plain_type",
    "refuse_conversion",
]

LONGEST_KEY: Final = 3_072
"""The most bytes of an index."""

# Every letter that is kept is marked, before, by NUL, which no text holds, and a sign.
_FIRST_SIGN: Final = 0x21
_ASCII_BYTES: Final = 0x80


@frozen(slots=False)
class Casing:
    """How a server changes case, and where that is not the simple mapping of Unicode.

    Attributes:
        function: ``LOWER`` or ``UPPER``.
        collation: the one whose tables come nearest.
        differing: the letters, as ranges of code points in hexadecimal, that the server leaves or
            changes wrongly. More than those do no harm.
    """

    function: str
    collation: str
    differing: str

    @cached_property
    def _letters(self) -> tuple[list[tuple[str, str]], list[str]]:
        change: Callable[[str], str] = fold if self.function == "LOWER" else upper
        pairs, kept = [], []
        for letter in _characters(self.differing):
            changed = change(letter)
            if changed != letter:
                pairs.append((letter, changed))
            elif ord(letter) in _TWO_LETTERS:
                kept.append(letter)
        return pairs, kept

    def spelt(self, sql: str, collation: str) -> str:
        """The SQL of a text in that case; ``collation`` is that of the text and the result."""
        pairs, kept = self._letters
        marks = [f"CHAR(0,{_FIRST_SIGN + at} USING utf8mb4)" for at in range(len(kept))]
        for letter, changed in pairs:
            sql = f"REPLACE({sql},'{letter}','{changed}')"
        for letter, mark in zip(kept, marks, strict=True):
            sql = f"REPLACE({sql},'{letter}',{mark})"
        sql = f"{self.function}({sql} COLLATE {self.collation}) COLLATE {collation}"
        for letter, mark in zip(kept, marks, strict=True):
            sql = f"REPLACE({sql},{mark},'{letter}')"
        return sql


def _characters(ranges: str) -> Iterator[str]:
    for part in ranges.split():
        low, _, high = part.partition("-")
        yield from map(chr, range(int(low, 16), int(high or low, 16) + 1))


# Letters whose other case is two letters: servers give one of their own, Unicode's simple mapping
# none at all.
_IOTA: Final = "1f80-1f87 1f90-1f97 1fa0-1fa7 1fb3 1fc3 1ff3"
_TWO_LETTERS: Final = frozenset(map(ord, _characters(f"130 {_IOTA}")))

# Letters that are newer than the tables, or whose other case takes more bytes.
_NEWER_LOWER: Final = (
    "23a 23e 1c90-1cbf 2c2f a7b8-a7f5 10570-10595 16e40-16e5f 10d50-10d65 16ea0-16ebf"
)
_NEWER_UPPER: Final = (
    "19b 23f-240 250-252 25c 261 264-266 26a-26c 271 27d 282 287 29d-29e 10d0-10ff 1c8a 1d8e 2c5f"
    " a794 a7b9-a7f6 10597-105bc 10d70-10d85 16e60-16e7f 16ebb-16edf"
)
_OLD_LOWER: Final = (
    "37f 526-52e 10c7-10cd 13a0-13f5 2cf2 a660 a698-a7b6 104b0-104d3 10c80-10cb2 118a0-118bf"
    " 1e900-1e921"
)
_OLD_UPPER: Final = (
    "3f3 527-52f 13f8-13fd 1c80-1c88 2cf3 2d27 2d2d a661 a699-a7b7 ab53 ab70-abbf 104d8-104fb"
    " 10cc0-10cf2 118c0-118df 1e922-1e943"
)


@frozen
class Variant:
    """What tells one server from another.

    Attributes:
        collation: compares text by code point, trailing spaces included.
        lower, upper: how it changes case.
        regex: a condition over ``{subject}`` and ``{pattern}``.
        json_type: the type of a column that holds JSON.
        json_check: a condition over such a ``{column}``, where its type says less.
        json_depth: how deep documents may be nested.
        json_equal: a condition over two JSON values, ``{left}`` and ``{right}``.
        json_document: a text ``{text}`` as JSON.
        integers: what ``JSON_TYPE`` calls ints, and a further condition over the JSON ``{value}``.
        difference: of two ints, ``{left}`` and ``{right}``; an error if it does not fit.
        scale: the most digits after the point of a Decimal.
        stage: the engine that temporary tables are quickest with.
        invisible: what keeps a column out of ``SELECT *``, on versions that know it.
    """

    collation: str
    lower: Casing
    upper: Casing
    regex: str
    json_type: str
    json_check: str | None
    json_depth: int
    json_equal: str
    json_document: str
    integers: tuple[tuple[str, ...], str]
    difference: str
    scale: int
    stage: str
    invisible: str


def _mariadb(collation: str, lower: str, upper: str) -> Variant:
    return Variant(
        collation="utf8mb4_nopad_bin",
        lower=Casing("LOWER", collation, f"130 {lower}"),
        upper=Casing("UPPER", collation, f"{_IOTA} {upper}"),
        regex="{subject} REGEXP {pattern}",
        json_type="LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        json_check="JSON_VALID({column})",
        json_depth=31,
        json_equal="JSON_EQUALS({left}, {right})",
        json_document="{text}",
        # It takes 1e16 for an int.
        integers=(("INTEGER",), " AND LOCATE('e', LOWER({value})) = 0"),
        # 0 less the least int would be the least int. A Decimal divided so is an int that fits.
        difference="(({left} - CAST({right} AS DECIMAL(20,0))) DIV 1)",
        scale=38,
        stage="Aria TRANSACTIONAL=0",
        invisible="INVISIBLE",
    )


MARIADB: Final = _mariadb("utf8mb4_uca1400_nopad_as_cs", "", "")
"""MariaDB from 10.10."""
OLD_MARIADB: Final = _mariadb(
    "utf8mb4_unicode_520_nopad_ci",
    f"{_OLD_LOWER} {_NEWER_LOWER}",
    f"{_OLD_UPPER} {_NEWER_UPPER}",
)
"""MariaDB before that: its tables of letters are those of Unicode 5.2."""
MYSQL: Final = Variant(
    collation="utf8mb4_0900_bin",
    lower=Casing("LOWER", "utf8mb4_0900_bin", f"130 {_NEWER_LOWER}"),
    upper=Casing("UPPER", "utf8mb4_0900_bin", f"{_IOTA} {_NEWER_UPPER}"),
    regex="REGEXP_LIKE({subject}, {pattern}, 'c')",
    json_type="JSON",
    json_check=None,
    json_depth=JSON_DEPTH,
    json_equal="{left} = {right}",
    json_document="CAST({text} AS JSON)",
    integers=(("INTEGER", "UNSIGNED INTEGER"), ""),
    difference="({left} - {right})",
    scale=30,
    stage="InnoDB",
    invisible="/*!80023 INVISIBLE */",
)
"""MySQL from 8.0.19."""


# Codecs

_encode_json: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode
_CODECS: Final[dict[type[FieldType], Codec]] = {
    Boolean: BOOLEAN_AS_INTEGER,
    Uuid: UUID_AS_TEXT,
}


def codec(kind: FieldType, json_depth: int = JSON_DEPTH) -> Codec:
    """How values of a type travel to and from the driver."""
    kind = plain_type(kind)
    if isinstance(kind, Json):
        return _json_codec(kind.item, json_depth)
    return _CODECS.get(type(kind), PLAIN)


def _in_utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


# Aggregates collect values of every type into a list of JSON.
_ELEMENTS: Final[dict[type[FieldType], Callable[[Any], Any]]] = {
    Boolean: bool,
    Float: float,
    Decimal: decimal.Decimal,
    Binary: bytes.fromhex,
    Timestamp: _in_utc,
    Date: dt.date.fromisoformat,
    Time: dt.time.fromisoformat,
    Uuid: uuid.UUID,
}


@lru_cache(maxsize=256)
def _json_codec(item: FieldType | None, deepest: int) -> Codec:
    decode = None if item is None else _ELEMENTS.get(type(plain_type(item)))
    encode = _encode_json if deepest >= JSON_DEPTH else _shallow(deepest)
    if decode is None:
        return Codec(encode, json.loads, restore=json.loads)

    def decode_list(text: str) -> list[Any]:
        return [None if value is None else decode(value) for value in json.loads(text)]

    return Codec(encode, decode_list, restore=decode_list)


def _shallow(deepest: int) -> Callable[[Any], str]:
    """Encodes documents that are not nested deeper than the functions of the server read."""

    def encode(document: Any) -> str:
        text: str = _encode_json(document)
        # Each level has its bracket, so most documents need no closer look.
        if text.count("[") + text.count("{") > deepest and _depth(document) > deepest:
            raise InvalidValue(f"the server reads JSON that is nested at most {deepest} deep")
        return text

    return encode


def _depth(document: Any) -> int:
    deepest, stack = 0, [(document, 1)]
    while stack:
        value, depth = stack.pop()
        if isinstance(value, dict | list):
            deepest = max(deepest, depth)
            inner = value.values() if isinstance(value, dict) else value
            stack.extend((item, depth + 1) for item in inner)
    return deepest


# Columns


def plain_type(kind: FieldType) -> FieldType:
    """The type of the values: that of an enumeration is its base."""
    return kind.base if isinstance(kind, Enumeration) else kind


_NAMES: Final[dict[type[FieldType], str]] = {
    Float: "DOUBLE",
    Boolean: "TINYINT(1)",
    Binary: "LONGBLOB",
    Timestamp: "DATETIME(6)",
    Date: "DATE",
    Time: "TIME(6)",
    Uuid: "CHAR(36) CHARACTER SET ascii COLLATE ascii_bin",
}


def column_type(kind: FieldType, variant: Variant, size: int | None = None) -> str:
    """The type of a column.

    ``size``: for text and bytes that stand in the row, the characters or bytes of the column.
    """
    kind = plain_type(kind)
    if isinstance(kind, Integer):
        return "BIGINT" if kind.bits > 32 else "INT"
    if isinstance(kind, Decimal):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if isinstance(kind, Text):
        word = "LONGTEXT" if size is None else f"VARCHAR({size})"
        return f"{word} CHARACTER SET utf8mb4 COLLATE {variant.collation}"
    if isinstance(kind, Binary) and size is not None:
        return f"VARBINARY({size})"
    return variant.json_type if isinstance(kind, Json) else _NAMES[type(kind)]


def keeps_values(before: FieldType, after: FieldType) -> bool:
    """Whether a change of a type keeps every value, or fails where one does not fit."""
    before, after = plain_type(before), plain_type(after)
    if isinstance(before, Decimal) and isinstance(after, Decimal):
        # Digits after the point would be rounded without a word.
        return before.scale <= after.scale
    if type(before) is type(after):
        return True
    if isinstance(after, Text):
        return isinstance(before, Integer | Decimal | Uuid | Date)
    kinds = (type(before), type(after))
    return kinds in ((Integer, Decimal), (Date, Timestamp))


def refuse_conversion(operation: AlterTable, step: ChangeType) -> None:
    """``SchemaChangeRefused`` for a change of a type that would not keep the values."""
    before, after = step.before.type, step.field.type
    if before is not None and keeps_values(before, after):
        return
    name = step.before.native if before is None or before.storage else before.name
    raise SchemaChangeRefused(
        f"{operation.model.name}.{step.field.name}: the values of a column of type {name}"
        f" ({step.before.native}) are not made into {after.name}",
        model=operation.model.name,
        table=operation.before.name,
        field=step.field.name,
        before=step.before.native,
        after=after.name,
    )
