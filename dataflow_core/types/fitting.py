"""Which types can meet, and the type that a bare value has."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import Any, Final

from dataflow_core.types.base import FieldType
from dataflow_core.types.documents import Json
from dataflow_core.types.numbers import MAX_PRECISION, Decimal, Float, Integer
from dataflow_core.types.plain import Binary, Boolean, Enumeration, Text, Uuid
from dataflow_core.types.times import Date, Time, Timestamp

__all__ = ["fits", "type_of"]

_OF_VALUES: Final[tuple[tuple[type, FieldType], ...]] = (
    (bool, Boolean()),
    (int, Integer()),
    (float, Float()),
    (str, Text()),
    (bytes, Binary()),
    (dt.datetime, Timestamp()),
    (dt.date, Date()),
    (dt.time, Time()),
    (uuid.UUID, Uuid()),
    (dict, Json()),
    (list, Json()),
)


def fits(source: FieldType, target: FieldType) -> bool:
    """Whether some value of ``source`` is accepted where ``target`` is expected."""
    source, target = _base(source), _base(target)
    if isinstance(source, Json) or isinstance(target, Json):
        return type(source) is type(target) or Json in (type(source), type(target))
    if type(source) is type(target):
        return True
    if isinstance(source, Integer):
        return isinstance(target, Float | Decimal)
    return isinstance(source, Text) and isinstance(target, Timestamp | Date | Time | Uuid)


def _base(kind: FieldType) -> FieldType:
    return kind.base if isinstance(kind, Enumeration) else kind


def type_of(value: Any) -> FieldType | None:
    """The type of a value that comes without a field; ``None`` if no type takes it."""
    if isinstance(value, decimal.Decimal):
        exponent = value.as_tuple().exponent
        digits = -exponent if isinstance(exponent, int) else 0
        return Decimal(MAX_PRECISION, min(max(digits, 0), MAX_PRECISION))
    return next((kind for python, kind in _OF_VALUES if isinstance(value, python)), None)
