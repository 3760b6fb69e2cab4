"""How values are stored: the codec of every field type, and the declared names of columns.

The text forms sort as their values do, so that comparisons and indexes work on what is stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from dataflow_core.compile import PLAIN, Codec
from dataflow_core.dialect import (
    BOOLEAN_AS_INTEGER,
    DATE_AS_TEXT,
    JSON_AS_TEXT,
    SCALED_PRECISION,
    TIME_AS_TEXT,
    TIMESTAMP_AS_TEXT,
    UUID_AS_TEXT,
    decimal_as_integer,
)
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
from dataflow_sqlite.functions.storages import storage_codec

__all__ = [
    "AUTOMATIC_KEY",
    "codec",
    "declared_type",
    "field_type",
]

AUTOMATIC_KEY: Final = "INTEGER"
"""The declared type of a key that the database counts: exactly this word makes it the row's id."""

# SQLite keeps 1.0 as an integer and, after an upsert, returns it as one.
_FLOAT: Final = Codec(decode=float, decode_source="value + 0.0")


_CODECS: Final[dict[type[FieldType], Codec]] = {
    Integer: PLAIN,
    Float: _FLOAT,
    Text: PLAIN,
    Binary: PLAIN,
    Boolean: BOOLEAN_AS_INTEGER,
    Timestamp: TIMESTAMP_AS_TEXT,
    Date: DATE_AS_TEXT,
    Time: TIME_AS_TEXT,
    Uuid: UUID_AS_TEXT,
    Json: JSON_AS_TEXT,
}


def codec(kind: FieldType) -> Codec:
    """How values of a type travel to and from the driver."""
    if kind.storage is not None:
        return storage_codec(kind)
    if isinstance(kind, Enumeration):
        return codec(kind.base)
    if isinstance(kind, Decimal):
        return decimal_as_integer(kind)
    if isinstance(kind, Json) and kind.item is not None:
        return _list_codec(kind.item)
    return _CODECS[type(kind)]


@lru_cache(maxsize=256)
def _list_codec(item: FieldType) -> Codec:
    """A list of typed elements; those that an aggregate collected are in their stored form."""
    decode = bytes.fromhex if isinstance(item, Binary) else codec(item).decode
    if decode is None or isinstance(item, Float):
        return JSON_AS_TEXT

    def decode_list(text: str) -> list[Any]:
        return [None if value is None else decode(value) for value in json.loads(text)]

    return Codec(JSON_AS_TEXT.encode, decode_list, restore=decode_list)


# One name for each type, both ways. SQLite derives a column's affinity from words inside the name:
# none of these may turn a stored value into another one (text that looks like a number, above all).
_ITEM_NAMES: Final[dict[FieldType, str]] = {
    Integer(): "LONG",
    Float(): "DOUBLE",
    Text(): "STRING",
    Boolean(): "BOOLEAN",
}
_NAMES: Final[dict[FieldType, str]] = {
    Integer(): "BIGINT",
    Integer(32): "INT",
    Float(): "DOUBLE",
    Boolean(): "BOOLEAN",
    Text(): "TEXT",
    Binary(): "BLOB",
    Timestamp(): "DATETIMETEXT",
    Date(): "DATETEXT",
    Time(): "TIMETEXT",
    Uuid(): "UUIDTEXT",
    Json("any"): "JSONTEXT",
    Json("object"): "JSONTEXT OBJECT",
    Json("array"): "JSONTEXT LIST",
    **{Json("array", item): f"JSONTEXT LIST OF {name}" for item, name in _ITEM_NAMES.items()},
}
_TYPES: Final = {name: kind for kind, name in _NAMES.items()} | {AUTOMATIC_KEY: Integer()}

_SIZED: Final = re.compile(r"([A-Z ]+?) *\( *(\d{1,9})(?: *, *(\d{1,9}))? *\)")
_SIZED_TYPES: Final[dict[tuple[str, int], Callable[..., FieldType]]] = {
    ("VARCHAR", 1): Text,
    ("DECIMAL", 2): Decimal,
    ("DECIMALTEXT", 2): Decimal,
}


def declared_type(kind: FieldType) -> str:
    """The declared type of a column for a field type."""
    if isinstance(kind, Enumeration):
        return declared_type(kind.base)
    if isinstance(kind, Decimal):
        # NUMERIC affinity would turn the digits of a wide one into a float.
        word = "DECIMAL" if kind.precision <= SCALED_PRECISION else "DECIMALTEXT"
        return f"{word}({kind.precision},{kind.scale})"
    if isinstance(kind, Text) and kind.max_length is not None:
        return f"VARCHAR({kind.max_length})"
    return _NAMES[kind]


def field_type(declared: str) -> FieldType | None:
    """The field type of a column that this dialect declared; ``None`` if it did not.

    An enumeration comes back as the type of its values: the values themselves are in a check.
    """
    word = " ".join(declared.upper().split())
    plain = _TYPES.get(word)
    if plain is not None:
        return plain
    sized = _SIZED.fullmatch(word)
    if sized is None:
        return None
    sizes: list[Any] = [int(size) for size in sized.groups()[1:] if size is not None]
    make = _SIZED_TYPES.get((sized[1], len(sizes)))
    if make is None:
        return None
    kind = make(*sizes)
    return kind if declared_type(kind).partition("(")[0] == sized[1] else None
