"""Values as text and back: exact, and the same in every format that knows text only."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import decimal
import json
import re
from collections.abc import Callable
from typing import Any, Final

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

__all__ = [
    "EXPECTED",
    "base_type",
    "bytes_of",
    "json_of",
    "json_text",
    "reader_of",
    "text_of_bytes",
    "writer_of",
]

EXPECTED: Final[dict[type[FieldType], str]] = {
    Integer: "a whole number",
    Float: "a number",
    Decimal: "a decimal number",
    Boolean: "true or false",
    Text: "text",
    Binary: "bytes in base64",
    Timestamp: "a moment such as 2025-01-17T08:30:00+00:00",
    Date: "a day such as 2025-01-17",
    Time: "a time such as 08:30:00",
    Uuid: "a UUID",
    Json: "JSON",
}
"""What a cell of a type holds, for messages."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,40}")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?")
_LONGEST_NUMBER: Final = 2_000


def base_type(kind: FieldType) -> FieldType:
    """The type that a value has; of an enumeration, that of its values."""
    return kind.base if isinstance(kind, Enumeration) else kind


def _integer(text: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise ValueError
    return int(text)


def _number(text: str) -> str:
    if len(text) > _LONGEST_NUMBER or _NUMBER.fullmatch(text) is None:
        raise ValueError
    return text


def _float(text: str) -> float:
    return float(_number(text))


def _decimal(text: str) -> decimal.Decimal:
    return decimal.Decimal(_number(text))


def _boolean(text: str) -> bool:
    word = text.lower()
    if word not in ("true", "false"):
        raise ValueError
    return word == "true"


def bytes_of(text: str) -> bytes:
    """The bytes that a text in base64 stands for; ``ValueError`` for any other text."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError from None


def text_of_bytes(value: bytes) -> str:
    """Bytes in base64."""
    return base64.b64encode(value).decode("ascii")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False
)


def json_of(text: str) -> Any:
    """A JSON document; ``ValueError`` also for NaN and for one that is nested too deep."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def json_text(value: Any) -> str:
    """A JSON document as text, on one line."""
    return _ENCODER.encode(value)


_READERS: Final[dict[type[FieldType], Callable[[str], Any]]] = {
    Integer: _integer,
    Float: _float,
    Decimal: _decimal,
    Boolean: _boolean,
    Text: str,
    Binary: bytes_of,
    Timestamp: dt.datetime.fromisoformat,
    Date: dt.date.fromisoformat,
    Time: dt.time.fromisoformat,
    Uuid: str,
    Json: json_of,
}
_WRITERS: Final[dict[type[FieldType], Callable[[Any], str]]] = {
    Integer: str,
    Float: repr,
    Decimal: "{:f}".format,
    Boolean: lambda value: "true" if value else "false",
    Text: str,
    Binary: text_of_bytes,
    Timestamp: dt.datetime.isoformat,
    Date: dt.date.isoformat,
    Time: dt.time.isoformat,
    Uuid: str,
    Json: json_text,
}


def reader_of(kind: FieldType) -> Callable[[str], Any]:
    """What makes a value of a text; it raises ``ValueError``. The field checks the value."""
    return _READERS[type(base_type(kind))]


def writer_of(kind: FieldType) -> Callable[[Any], str]:
    """What makes a text of a value, from which ``reader_of`` makes the same value again."""
    return _WRITERS[type(base_type(kind))]
