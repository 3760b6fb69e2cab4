"""Types against types: which are the same in a table, and what a change can do to stored values."""

from __future__ import annotations

from attrs import evolve

from dataflow_core.operations import Safety
from dataflow_core.types import (
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Integer,
    Json,
    Text,
    Timestamp,
    Uuid,
)

__all__ = ["alike", "change_safety", "converts", "same_type"]

_DIGITS = {32: 10, 64: 19}
"""The digits of the greatest int of so many bits."""


def same_type(stored: FieldType, wanted: FieldType) -> bool:
    """Whether a column of one type is just what the other asks for."""
    if isinstance(stored, Json) and isinstance(wanted, Json):
        # What a document looks like is looked at by the client.
        return True
    return evolve(stored, storage=None) == wanted


def alike(stored: FieldType, wanted: FieldType) -> bool:
    """Whether the values of a column are of the Python type that a field has."""
    return type(_plain(stored)) is type(_plain(wanted))


def change_safety(stored: FieldType, wanted: FieldType) -> Safety:
    """``additive`` where every stored value stays what it is; else ``lossy``."""
    return "additive" if _keeps_all(stored, wanted) else "lossy"


def converts(stored: FieldType, wanted: FieldType) -> bool:
    """Whether every database makes the values of a column into those of another type.

    A value that does not fit makes it fail; none is changed without a word.
    """
    before, after = _plain(stored), _plain(wanted)
    if isinstance(before, Decimal) and isinstance(after, Decimal):
        # Digits behind the point would be rounded.
        return before.scale <= after.scale
    if isinstance(after, Text):
        return isinstance(before, Text | Integer | Decimal | Date | Uuid)
    kinds = (type(before), type(after))
    return kinds[0] is kinds[1] or kinds in ((Integer, Decimal), (Date, Timestamp))


def _keeps_all(stored: FieldType, wanted: FieldType) -> bool:
    if isinstance(stored, Enumeration):
        if isinstance(wanted, Enumeration):
            return _keeps_all(stored.base, wanted.base) and set(stored.values) <= set(wanted.values)
        return _keeps_all(stored.base, wanted)
    if isinstance(wanted, Enumeration):
        return False
    if isinstance(stored, Integer) and isinstance(wanted, Integer):
        return stored.bits <= wanted.bits
    if isinstance(stored, Integer) and isinstance(wanted, Decimal):
        return wanted.precision - wanted.scale >= _DIGITS[stored.bits]
    if isinstance(stored, Text) and isinstance(wanted, Text):
        if wanted.max_length is None:
            return True
        return stored.max_length is not None and stored.max_length <= wanted.max_length
    if isinstance(stored, Decimal) and isinstance(wanted, Decimal):
        whole = stored.precision - stored.scale <= wanted.precision - wanted.scale
        return whole and stored.scale <= wanted.scale
    if isinstance(stored, Date) and isinstance(wanted, Timestamp):
        return True
    return same_type(stored, wanted)


def _plain(kind: FieldType) -> FieldType:
    return kind.base if isinstance(kind, Enumeration) else kind
