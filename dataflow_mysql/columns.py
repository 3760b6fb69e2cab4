"""The columns of a table as field types: those of this project, and those that others made."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import evolve, field, frozen

from dataflow_core.compile import PLAIN, Codec
from dataflow_core.errors import InvalidValue
from dataflow_core.naming_hints import quoted
from dataflow_core.schema import MISSING
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
from dataflow_mysql.types import MARIADB, MYSQL, plain_type

__all__ = [
    "Found",
    "Rules",
    "constant",
    "found_type",
    "length_rule",
    "native_type",
    "storage_codec",
]

_WORDS: Final = re.compile(r"(\w+)\s*(?:\((.*)\))?\s*([\w ]*)", re.DOTALL)
_LISTED: Final = re.compile(r"'((?:[^']|'')*)'")
_OWN_COLLATIONS: Final = (MARIADB.collation, MYSQL.collation)
_TEXTS: Final = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
_BLOBS: Final = ("tinyblob", "blob", "mediumblob", "binary", "varbinary")
_UUID: Final = ("char", "36", "ascii_bin")
_DIGITS: Final = 38
_MICROSECONDS: Final = "6"


@frozen
class Rules:
    """What the checks of a column tell about its type.

    Attributes:
        flags: its values are 0 and 1.
        documents: its values are JSON.
        longest: the greatest length of its texts.
        checked: whether a check of this project tells the length, or that there is none.
        values: the only values that it may have.
    """

    flags: bool = False
    documents: bool = False
    longest: int | None = None
    checked: bool = False
    values: tuple[str, ...] | None = None


@frozen
class Found:
    """The field type of a column, or why there is none, and what may surprise."""

    type: FieldType | None = None
    problem: str | None = None
    notes: tuple[str, ...] = field(default=())


def native_type(declared: str, collation: str | None) -> str:
    """The type of a column in the words of the server, with what texts compare by."""
    declared = re.sub(
        r"\b(tinyint|smallint|mediumint|int|bigint|year)\((?!1\))\d+\)", r"\1", declared
    )
    if declared.startswith(("int(1)", "bigint(1)", "smallint(1)", "mediumint(1)")):
        declared = declared.replace("(1)", "", 1)
    return declared if collation is None else f"{declared} collate {collation}"


def found_type(
    declared: str, collation: str | None, rules: Rules, *, counter: bool = False
) -> Found:
    """The field type of a column.

    ``declared`` and ``collation`` are what the catalogue says; ``counter``: the server counts it.
    """
    parts = _WORDS.match(declared)
    assert parts is not None
    word, sizes, more = parts[1].lower(), parts[2] or "", parts[3].lower()
    found = _found(word, sizes, more, collation, rules, counter=counter)
    if rules.values is None or found.type is None or found.type.storage is not None:
        return found
    if isinstance(found.type, Integer):
        return evolve(found, type=Enumeration(tuple(map(int, rules.values)), found.type))
    return evolve(found, type=Enumeration(rules.values, found.type))


def _found(
    word: str, sizes: str, more: str, collation: str | None, rules: Rules, *, counter: bool
) -> Found:
    unsigned = "unsigned" in more
    if word in _INTEGERS:
        if word == "tinyint" and sizes == "1" and not unsigned and not counter:
            return _flag(rules)
        return _integer(word, unsigned=unsigned)
    if word in _TEXTS:
        return _text(word, sizes, str(collation), rules)
    if word == "decimal":
        return _decimal(sizes, unsigned=unsigned)
    if word in ("float", "double"):
        return _float(word, sizes, unsigned=unsigned)
    if word in ("datetime", "timestamp", "time"):
        return _moment(word, sizes)
    if word in ("enum", "set"):
        return _listed(word, sizes, collation)
    if word in _BLOBS:
        return _bytes(word, sizes)
    if word == "bit":
        return _bits(int(sizes or 1))
    if word in _WHOLE:
        return Found(_WHOLE[word], notes=_WHOLE_NOTES.get(word, ()))
    return Found(problem=f"no field type has the values of a column of type {word}")


_INTEGERS: Final = {"tinyint": 32, "smallint": 32, "mediumint": 32, "int": 32, "bigint": 64}
_WHOLE: Final[Mapping[str, FieldType]] = {
    "longblob": Binary(),
    "date": Date(),
    "json": Json(),
    "year": Integer(32, storage="year"),
    "uuid": Uuid(storage="uuid"),
    "inet4": Text(storage="inet4"),
    "inet6": Text(storage="inet6"),
}
_WHOLE_NOTES: Final[Mapping[str, tuple[str, ...]]] = {
    "year": ("holds the years 1901 to 2155, and 0",),
    "inet4": ("an address is read as text, and compares as an address",),
    "inet6": ("an address is read as text, and compares as an address",),
    "uuid": ("is sorted by the server's own order of UUIDs",),
}


def _flag(rules: Rules) -> Found:
    if rules.flags:
        return Found(Boolean())
    note = "may hold more numbers than 0 and 1, which are refused when they are read"
    return Found(Boolean(storage="tinyint(1)"), notes=(note,))


def _integer(word: str, *, unsigned: bool) -> Found:
    bits = _INTEGERS[word]
    if not unsigned:
        if word in ("int", "bigint"):
            return Found(Integer(bits))
        note = f"numbers beyond those of {word} are refused by the server"
        return Found(Integer(bits, storage=word), notes=(note,))
    notes = ["takes no negative numbers, not even as the result of a computation"]
    if word == "bigint":
        notes.append("numbers of more than 63 bits are refused when they are read")
    wide = 64 if word in ("int", "bigint") else 32
    return Found(Integer(wide, storage=f"{word} unsigned"), notes=tuple(notes))


def _bits(size: int) -> Found:
    if size == 1:
        return Found(Boolean(storage="bit"))
    bits = 32 if size <= 31 else 64
    return Found(Integer(bits, storage="bit"), notes=(f"holds {size} bits without a sign",))


def _decimal(sizes: str, *, unsigned: bool) -> Found:
    digits, _, after = sizes.partition(",")
    precision, scale = int(digits), int(after or 0)
    if precision > _DIGITS:
        return Found(problem=f"it has {precision} digits, and a Decimal at most {_DIGITS}")
    if not unsigned:
        return Found(Decimal(precision, scale))
    note = "takes no negative numbers, not even as the result of a computation"
    return Found(Decimal(precision, scale, storage="decimal unsigned"), notes=(note,))


def _float(word: str, sizes: str, *, unsigned: bool) -> Found:
    notes = []
    if word == "float":
        notes.append("keeps about 7 digits: what is read may differ from what was written")
    if sizes:
        notes.append(f"rounds to {sizes.partition(',')[2]} digits after the point")
    if unsigned:
        notes.append("takes no negative numbers")
    if not notes:
        return Found(Float())
    storage = f"{word}({sizes})" if sizes else word
    return Found(Float(storage=storage + (" unsigned" if unsigned else "")), notes=tuple(notes))


def _moment(word: str, sizes: str) -> Found:
    if sizes == _MICROSECONDS and word != "timestamp":
        return Found(Time() if word == "time" else Timestamp())
    notes = []
    if sizes != _MICROSECONDS:
        notes.append(f"keeps {sizes or 0} digits of a second and rounds the rest")
    if word == "timestamp":
        notes.append("holds the years 1970 to 2038")
    if word == "time":
        notes.append("a time that is not of one day is refused when it is read")
    storage = f"{word}({sizes})" if sizes else word
    kind: FieldType = Time(storage=storage) if word == "time" else Timestamp(storage=storage)
    return Found(kind, notes=tuple(notes))


def _listed(word: str, sizes: str, collation: str | None) -> Found:
    values = tuple(found[1].replace("''", "'") for found in _LISTED.finditer(sizes))
    compares = f"compares by its own collation, {collation}"
    if word == "enum":
        order = "is sorted in the order of its values"
        return Found(Enumeration(values, Text(), storage="enum"), notes=(order, compares))
    listed = f"a set of {', '.join(map(repr, values))}, read as text with commas between them"
    return Found(Text(storage="set"), notes=(listed, compares))


def _bytes(word: str, sizes: str) -> Found:
    if word == "varbinary":
        return Found(Binary(), notes=(f"takes at most {sizes} bytes",))
    notes = [f"takes as many bytes as a {word}"]
    if word == "binary":
        notes = [f"shorter values are filled up with zero bytes to {sizes or 1}"]
    return Found(Binary(storage=word), notes=tuple(notes))


def _text(word: str, sizes: str, collation: str, rules: Rules) -> Found:
    if (word, sizes, collation) == _UUID:
        return Found(Uuid())
    if word == "longtext" and rules.documents:
        own = collation == "utf8mb4_bin"
        return Found(Json(storage=None if own else f"longtext {collation}"))
    longest = rules.longest
    if longest is None and not rules.checked and sizes:
        longest = int(sizes)
    if collation in _OWN_COLLATIONS and word in ("varchar", "longtext"):
        return Found(Text(longest))
    notes = []
    if collation not in _OWN_COLLATIONS:
        notes.append(f"compares by its own collation, {collation}")
    if not collation.startswith("utf8mb4"):
        notes.append(f"takes the characters of {collation.partition('_')[0]} alone")
    if word == "char":
        notes.append("spaces at the end of a value are lost")
    if word.endswith("text") and word != "longtext":
        notes.append(f"takes as many bytes as a {word}")
    return Found(Text(longest, storage=f"{word} {collation}"), notes=tuple(notes))


def length_rule(kind: FieldType, size: int | None) -> str | None:
    """The rule of how long a text may be; ``None`` if there is no limit.

    ``<=`` tells the greatest length that was declared, ``<`` the room of the column.
    """
    if not isinstance(kind, Text):
        return None
    declared = None if kind.max_length is None else f"{{0}} <= {kind.max_length}"
    if size is None or (kind.max_length is not None and kind.max_length <= size):
        return declared
    room = f"{{0}} < {size}"
    return room if declared is None else f"{room} AND {declared}"


# Values of columns that others made


def _truth(value: Any) -> bool:
    if value in (0, 1):
        return bool(value)
    raise InvalidValue(f"a column of bools holds the number {quoted(value)}")


def _fitting(value: int) -> int:
    return Integer().check(value, "a column of unsigned numbers")


def _instant(value: Any) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value
    raise InvalidValue(f"a column of instants holds {quoted(value)}, which is no instant")


def _time_of_day(value: Any) -> dt.time:
    if isinstance(value, dt.time):
        return value
    raise InvalidValue(f"a column of times holds {quoted(str(value))}, which is no time of a day")


_STORED: Final[Mapping[str, Codec]] = {
    "tinyint(1)": Codec(int, _truth),
    "bigint unsigned": Codec(None, _fitting),
    "uuid": Codec(str, uuid.UUID),
}


def storage_codec(kind: FieldType) -> Codec | None:
    """How the values of a column travel that others made; ``None``: as those of this project."""
    storage = str(kind.storage)
    if storage == "bit":
        return Codec(int, _truth) if isinstance(kind, Boolean) else Codec(None, _fitting)
    if isinstance(kind, Boolean) or storage in _STORED:
        return _STORED.get(storage)
    if isinstance(kind, Timestamp):
        return Codec(None, _instant)
    if isinstance(kind, Time):
        return Codec(None, _time_of_day)
    return None if isinstance(kind, Json) else PLAIN


# Defaults


def _moment_of(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


_CONSTANTS: Final[Mapping[type[FieldType], Callable[[str], Any]]] = {
    Integer: int,
    Float: float,
    Decimal: decimal.Decimal,
    Boolean: lambda text: {"0": False, "1": True}[text],
    Text: str,
    Binary: str.encode,
    Timestamp: _moment_of,
    Date: dt.date.fromisoformat,
    Time: dt.time.fromisoformat,
    Uuid: uuid.UUID,
    Json: json.loads,
}


def constant(value: str | bytes | None, kind: FieldType | None) -> Any:
    """A constant default as a value of the type; ``MISSING`` where it is none of its values."""
    if value is None or kind is None:
        return MISSING
    plain = plain_type(kind)
    if isinstance(value, bytes):
        if isinstance(plain, Binary):
            return value
        value = value.decode(errors="replace")
    try:
        return kind.check(_CONSTANTS[type(plain)](value), "the default")
    except (ValueError, KeyError, decimal.InvalidOperation, InvalidValue):
        return MISSING
