"""Which types can meet: a source of values and where they go."""

from __future__ import annotations

from dataflow_core.types.base import FieldType
from dataflow_core.types.documents import Json
from dataflow_core.types.numbers import Decimal, Float, Integer
from dataflow_core.types.plain import Enumeration, Text, Uuid
from dataflow_core.types.times import Date, Time, Timestamp

__all__ = ["fits"]


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
