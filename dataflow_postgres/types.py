"""How values travel: the codec of every field type, and the types of columns and parameters."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import re
import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from dataflow_core.compile import PLAIN, Codec
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
from dataflow_postgres.columns import storage_of

__all__ = ["bound_type", "codec", "column_type", "element_type", "json_text"]

_encode_json: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode
# Texts are matched as a whole, so that nothing inside of one is taken for a number.
_LARGE_FLOAT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?e\+[0-9]+')


def json_text(document: Any) -> str:
    """A document as JSON whose floats jsonb keeps as floats.

    jsonb writes out ``1e+22`` as an int. With its digits and ``.0`` it stays the very same float.
    """
    text: str = _encode_json(document)
    return _LARGE_FLOAT.sub(_written_out, text) if "e+" in text else text


def _written_out(found: re.Match[str]) -> str:
    text = found[0]
    return text if text[0] == '"' else f"{int(float(text))}.0"


_new: Final = object.__new__
_set: Final = object.__setattr__
_UNKNOWN: Final = uuid.SafeUUID.unknown


def _plain_uuid(value: Any) -> uuid.UUID:
    """A UUID of the standard library; the driver gives objects of its own class."""
    # The constructor takes three times as long to check what is known to be right.
    result = _new(uuid.UUID)
    _set(result, "int", value.int)
    _set(result, "is_safe", _UNKNOWN)
    return result


_JSON: Final = Codec(json_text, json.loads, restore=json.loads)
_CODECS: Final[dict[type[FieldType], Codec]] = {
    Integer: PLAIN,
    Float: PLAIN,
    Decimal: PLAIN,
    Boolean: PLAIN,
    Text: PLAIN,
    Binary: PLAIN,
    Timestamp: PLAIN,
    # The driver sends the first and the last day as infinite ones.
    Date: Codec(dt.date.isoformat, restore=dt.date.fromisoformat),
    Time: PLAIN,
    Uuid: Codec(decode=_plain_uuid),
}


def codec(kind: FieldType) -> Codec:
    """How values of a type travel to and from the driver."""
    if isinstance(kind, Enumeration):
        return codec(kind.base)
    storage = storage_of(kind)
    if storage is not None and storage.codec is not None:
        return storage.codec
    if isinstance(kind, Json):
        return _JSON if kind.item is None else _list_codec(kind.item)
    return _CODECS[type(kind)]


def _decimals(text: str) -> Any:
    return json.loads(text, parse_float=decimal.Decimal, parse_int=decimal.Decimal)


def _in_utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


# Aggregates collect values of every type into a list of JSON.
_ELEMENTS: Final[dict[type[FieldType], Callable[[str], Any]]] = {
    Binary: bytes.fromhex,
    Timestamp: _in_utc,
    Date: dt.date.fromisoformat,
    Time: dt.time.fromisoformat,
    Uuid: uuid.UUID,
}


@lru_cache(maxsize=256)
def _list_codec(item: FieldType) -> Codec:
    kind = item.base if isinstance(item, Enumeration) else item
    if isinstance(kind, Decimal):
        return Codec(json_text, _decimals, restore=_decimals)
    decode = _ELEMENTS.get(type(kind))
    if decode is None:
        return _JSON

    def decode_list(text: str) -> list[Any]:
        return [None if value is None else decode(value) for value in json.loads(text)]

    return Codec(json_text, decode_list, restore=decode_list)


_NAMES: Final[dict[type[FieldType], str]] = {
    Integer: "bigint",
    Float: "double precision",
    Decimal: "numeric",
    Boolean: "boolean",
    Text: "text",
    Binary: "bytea",
    Timestamp: "timestamptz",
    Date: "date",
    Time: "time",
    Uuid: "uuid",
    Json: "jsonb",
}


def element_type(kind: FieldType) -> str:
    """The type of a stored value of a field type. Ints have 64 bits, whatever their column has."""
    plain = kind.base if isinstance(kind, Enumeration) else kind
    storage = storage_of(plain)
    return _NAMES[type(plain)] if storage is None else storage.wanted


def bound_type(kind: FieldType) -> str:
    """The type that the driver is told for a bound value of a field type."""
    storage = storage_of(kind.base if isinstance(kind, Enumeration) else kind)
    if storage is not None:
        return storage.bound
    name = element_type(kind)
    return "text" if name == "date" else name


def column_type(kind: FieldType) -> str:
    """The type of a column. Texts compare by code point, whatever the database does.

    A text with a greatest length has a check for it: ``varchar`` cuts spaces off without a word.
    """
    if isinstance(kind, Enumeration):
        return column_type(kind.base)
    if isinstance(kind, Integer) and kind.bits <= 32:
        return "integer"
    if isinstance(kind, Decimal):
        return f"numeric({kind.precision}, {kind.scale})"
    if isinstance(kind, Text):
        return 'text COLLATE "C"'
    return _NAMES[type(kind)]
