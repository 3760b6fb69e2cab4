"""The trees of expressions: what an aggregate computes, ``$expr`` compares, an update assigns.

Every node knows its type, so that a wrong combination is refused before any SQL and every database
computes with the same types. A NULL argument makes the result NULL, except where a function says
otherwise (``ifNull``, ``cond``, ``and``, ``concat`` as in MongoDB).
"""

from __future__ import annotations

from attrs import frozen

from dataflow_core.filters.ast import Slot
from dataflow_core.schema import Field
from dataflow_core.types import FieldType

__all__ = ["Call", "Expression", "FieldValue", "Literal", "Null"]


@frozen
class FieldValue:
    """The value of a field of the row at hand."""

    field: Field

    @property
    def type(self) -> FieldType:
        """The type of the value."""
        return self.field.type


@frozen
class Literal:
    """A bound value."""

    slot: Slot

    @property
    def type(self) -> FieldType:
        """The type of the value."""
        return self.slot.type


@frozen
class Null:
    """NULL of a type."""

    type: FieldType


@frozen
class Call:
    """A function of ``dataflow_core.expressions.functions`` applied to arguments."""

    function: str
    arguments: tuple[Expression, ...]
    type: FieldType


Expression = FieldValue | Literal | Null | Call
