"""The trees of updates: which field changes how. Values are bound through slots.

Every assignment reads the row as it was before the update, whatever the order.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from dataflow_core.expressions.ast import Expression
from dataflow_core.filters.ast import Predicate, Slot
from dataflow_core.schema import Field

__all__ = [
    "AddToSet",
    "Assignment",
    "AtLeast",
    "AtMost",
    "BitChange",
    "Change",
    "Clear",
    "Compute",
    "Increment",
    "JsonChange",
    "MoveFrom",
    "Multiply",
    "Pop",
    "Pull",
    "PullAll",
    "Push",
    "SetMember",
    "SetTo",
    "UnsetMember",
]


@frozen
class SetTo:
    """The bound value (``$set``, a plain field, ``$currentDate``)."""

    slot: Slot


@frozen
class Clear:
    """NULL (``$unset``, or a plain ``None``)."""


@frozen
class Increment:
    """Plus the bound amount; NULL becomes the amount (``$inc``)."""

    slot: Slot


@frozen
class Multiply:
    """Times the bound factor; NULL becomes 0 (``$mul``)."""

    slot: Slot


@frozen
class AtMost:
    """The lesser of the value and the bound one; NULL becomes it (``$min``)."""

    slot: Slot


@frozen
class AtLeast:
    """The greater of the value and the bound one; NULL becomes it (``$max``)."""

    slot: Slot


@frozen
class MoveFrom:
    """The value of ``source``, unless that is NULL: then nothing changes (``$rename``)."""

    source: Field


@frozen
class BitChange:
    """A bitwise operation with the bound mask; NULL counts as 0 (``$bit``)."""

    operator: Literal["and", "or", "xor"]
    slot: Slot


@frozen
class Compute:
    """The value of an expression over the old row."""

    expression: Expression


@frozen
class SetMember:
    """Set the member at ``steps`` of a JSON document (dotted ``$set``)."""

    steps: tuple[str | int, ...]
    slot: Slot


@frozen
class UnsetMember:
    """Remove the member at ``steps`` of a JSON document (dotted ``$unset``)."""

    steps: tuple[str | int, ...]


@frozen
class Push:
    """Append to the array at ``steps``: ``$push``, ``$each``, ``$position``, ``$slice``, ``$sort``.

    ``items`` binds a list. ``sort`` is 1, -1, or 0 for none.
    """

    steps: tuple[str | int, ...]
    items: Slot
    position: Slot | None = None
    slice: Slot | None = None
    sort: int = 0


@frozen
class AddToSet:
    """Append those of the bound list that the array does not hold yet (``$addToSet``)."""

    steps: tuple[str | int, ...]
    items: Slot


@frozen
class Pull:
    """Remove the elements that meet a condition over scalars (``$pull``)."""

    steps: tuple[str | int, ...]
    condition: Predicate


@frozen
class PullAll:
    """Remove the elements equal to one of the bound list (``$pullAll``)."""

    steps: tuple[str | int, ...]
    items: Slot


@frozen
class Pop:
    """Remove the last element, or the first (``$pop``)."""

    steps: tuple[str | int, ...]
    first: bool


JsonChange = SetMember | UnsetMember | Push | AddToSet | Pull | PullAll | Pop
"""Changes inside a JSON document.

They read the row, change it in Python and write it, in one transaction.
"""

Change = (
    SetTo
    | Clear
    | Increment
    | Multiply
    | AtMost
    | AtLeast
    | MoveFrom
    | BitChange
    | Compute
    | JsonChange
)


@frozen
class Assignment:
    """One field and its change. Several JSON changes may name one field, in order."""

    field: Field
    change: Change
