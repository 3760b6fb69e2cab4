"""What updates mean, in plain Python. This is the definition; databases are compared with it.

Every assignment reads the row as it was, whatever the order; only the JSON changes of one field
build upon each other. NULL is an absent field of a document.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dataflow_core.errors import NotNullViolation, ValueTooLong
from dataflow_core.expressions.evaluate import evaluate
from dataflow_core.expressions.numbers import EXACT, fitted
from dataflow_core.schema import Field
from dataflow_core.types import Decimal, Text
from dataflow_core.updates.ast import (
    Assignment,
    AtLeast,
    AtMost,
    BitChange,
    Clear,
    Compute,
    Increment,
    JsonChange,
    MoveFrom,
    Multiply,
    SetTo,
)
from dataflow_core.updates.evaluate_json import changed_document

__all__ = ["apply"]

Row = Mapping[str, Any]
Values = Sequence[Any]

_FieldChange = (
    SetTo | Clear | Increment | Multiply | AtMost | AtLeast | MoveFrom | BitChange | Compute
)


def apply(assignments: Sequence[Assignment], row: Row, values: Values) -> dict[str, Any]:
    """The row as it is after an update; the given one stays as it is.

    Parameters:
        assignments: the fields and their changes.
        row: canonical values by field name.
        values: the bound values, by the index of their slots.

    Raises:
        OutOfRange: a result does not fit the number type of its field.
        ValueTooLong: a computed text does not fit its field.
        NotNullViolation: a computed value is NULL, and the field takes none.
        InvalidUpdate: an array operator meets something that is no array, or a path leads through
            something that holds no members.
        InvalidType, InvalidValue: the changed JSON document is none that its field takes.
    """
    result = dict(row)
    documents: dict[str, Field] = {}
    for assignment in assignments:
        field, change = assignment.field, assignment.change
        if isinstance(change, JsonChange):
            document = result.get(field.name)
            result[field.name] = changed_document(document, change, values, field.name)
            documents[field.name] = field
        else:
            result[field.name] = _changed(field, change, row, values)
    for name, field in documents.items():
        if result[name] is not None:
            field.type.check(result[name], name)
    return result


def _changed(field: Field, change: _FieldChange, row: Row, values: Values) -> Any:
    old = row.get(field.name)
    if isinstance(change, Clear):
        return None
    if isinstance(change, Compute):
        return _stored(evaluate(change.expression, row, values), field)
    if isinstance(change, MoveFrom):
        moved = row.get(change.source.name)
        return old if moved is None else moved
    operand = values[change.slot.index]
    if isinstance(change, SetTo):
        return operand
    if isinstance(change, BitChange):
        return _BITS[change.operator](old or 0, operand)
    if isinstance(change, Multiply):
        return fitted(0, field.type, field.name) if old is None else _product(old, operand, field)
    if old is None:
        return operand
    if isinstance(change, Increment):
        return _sum(old, operand, field)
    return min(old, operand) if isinstance(change, AtMost) else max(old, operand)


_BITS: Final[dict[str, Callable[[int, int], int]]] = {
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
}


def _sum(old: Any, amount: Any, field: Field) -> Any:
    total = EXACT.add(old, amount) if isinstance(field.type, Decimal) else old + amount
    return fitted(total, field.type, field.name)


def _product(old: Any, factor: Any, field: Field) -> Any:
    product = EXACT.multiply(old, factor) if isinstance(field.type, Decimal) else old * factor
    return fitted(product, field.type, field.name)


def _stored(value: Any, field: Field) -> Any:
    """A computed value as its field stores it."""
    if value is None:
        if not field.nullable:
            raise NotNullViolation(
                f"{field.name}: the computed value is NULL", columns=[field.name]
            )
        return None
    if field.type.numeric:
        return fitted(value, field.type, field.name)
    longest = field.type.max_length if isinstance(field.type, Text) else None
    if longest is not None and len(value) > longest:
        raise ValueTooLong(
            f"{field.name}: the computed text has {len(value)} characters, at most {longest} fit",
            columns=[field.name],
        )
    return value
