"""From a Python annotation to a field type."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import types
import typing
import uuid
from typing import Any, Final

from attrs import evolve

from dataflow_core.errors import UnsupportedType
from dataflow_core.naming_hints import quoted
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

__all__ = ["SUPPORTED", "field_type"]

_PLAIN: Final[dict[Any, FieldType]] = {
    int: Integer(),
    float: Float(),
    str: Text(),
    bool: Boolean(),
    bytes: Binary(),
    decimal.Decimal: Decimal(),
    dt.datetime: Timestamp(),
    dt.date: Date(),
    dt.time: Time(),
    uuid.UUID: Uuid(),
    dict: Json("object"),
    list: Json("array"),
    Any: Json("any"),
}

SUPPORTED: Final = (
    "int, float, str, bool, bytes, Decimal, datetime, date, time, UUID, dict, list, list[T], "
    "Optional[T], T | None, Literal[...], enum.Enum classes"
)

_ITEMS: Final = (Integer, Float, Text, Boolean)


def field_type(annotation: Any, where: str) -> tuple[FieldType, bool]:
    """The type of an annotation, and whether it admits ``None``. Raises ``UnsupportedType``."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return field_type(typing.get_args(annotation)[0], where)
    if origin is typing.Union or origin is types.UnionType:
        members = typing.get_args(annotation)
        rest = [member for member in members if member is not type(None)]
        if len(rest) == 1 and len(rest) < len(members):
            return field_type(rest[0], where)[0], True
        raise _unsupported(annotation, where)
    if origin is typing.Literal:
        return _enumeration(typing.get_args(annotation), annotation, where)
    if origin is list:
        arguments = typing.get_args(annotation)
        if not arguments:
            return Json("array"), False
        item, nullable = field_type(arguments[0], where)
        if isinstance(item, Json):
            return Json("array"), False
        if nullable or not isinstance(item, _ITEMS):
            raise _unsupported(annotation, where)
        return Json("array", item), False
    if origin is dict:
        return Json("object"), False
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _enumeration(tuple(member.value for member in annotation), annotation, where)
    try:
        return _PLAIN[annotation], False
    except (KeyError, TypeError):
        raise _unsupported(annotation, where) from None


def sized(
    kind: FieldType,
    where: str,
    *,
    bits: int | None = None,
    max_length: int | None = None,
    precision: int | None = None,
    scale: int | None = None,
) -> FieldType:
    """The type with the sizes that ``field(...)`` gave; a size that the type has not is refused."""
    given = {
        name: value
        for name, value in (
            ("bits", bits),
            ("max_length", max_length),
            ("precision", precision),
            ("scale", scale),
        )
        if value is not None
    }
    for name, value in given.items():
        if name not in _SIZES.get(type(kind), {}):
            raise UnsupportedType(f"{where}: {kind.name} has no {name}")
        low, high = _SIZES[type(kind)][name]
        if type(value) is not int or not low <= value <= high:
            raise UnsupportedType(f"{where}: {name} is a number from {low} to {high}")
    if given.get("bits") not in (None, 32, 64):
        raise UnsupportedType(f"{where}: bits is 32 or 64")
    sizes: dict[str, Any] = dict(given)
    result = evolve(kind, **sizes)
    if isinstance(result, Decimal) and result.scale > result.precision:
        raise UnsupportedType(f"{where}: scale {result.scale} exceeds precision {result.precision}")
    return result


_SIZES: Final[dict[type[FieldType], dict[str, tuple[int, int]]]] = {
    Integer: {"bits": (32, 64)},
    Text: {"max_length": (1, 65_535)},
    Decimal: {"precision": (1, 38), "scale": (0, 38)},
}


def _enumeration(values: tuple[Any, ...], annotation: Any, where: str) -> tuple[FieldType, bool]:
    nullable = None in values
    values = tuple(value for value in values if value is not None)
    for python_type, base in ((str, Text()), (int, Integer())):
        if values and all(type(value) is python_type for value in values):
            checked = tuple(base.check(value, where) for value in values)
            return Enumeration(checked, base), nullable
    if values and all(isinstance(value, enum.Enum) for value in values):
        return _enumeration(tuple(value.value for value in values), annotation, where)
    raise _unsupported(annotation, where)


def _unsupported(annotation: Any, where: str) -> UnsupportedType:
    return UnsupportedType(
        f"{where}: the annotation {quoted(annotation)} is not supported; supported are {SUPPORTED}",
        where=where,
    )
