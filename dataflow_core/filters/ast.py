"""The trees of the filter language. Values are not in them: a ``Slot`` says where a value is bound.

A tree without its values is the *shape* of a filter: hashable, and the key of the statement cache.
Every leaf is two-valued: it is true only of rows whose field is present and fits; so ``Not`` is the
plain complement and includes the rows where the field is NULL, as in a MongoDB document without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

from attrs import frozen

from dataflow_core.schema import Field
from dataflow_core.schema.relation_names import Relation
from dataflow_core.types import FieldType

__all__ = [
    "EVERYTHING",
    "Always",
    "And",
    "ArraySize",
    "Bits",
    "Comparison",
    "Compare",
    "Contains",
    "ElementMatch",
    "ExpressionTest",
    "IsNull",
    "JsonPath",
    "Membership",
    "Modulo",
    "Not",
    "Or",
    "Pattern",
    "PatternKind",
    "Predicate",
    "Related",
    "Slot",
    "Target",
    "walk",
]

Comparison = Literal["eq", "gt", "gte", "lt", "lte"]
PatternKind = Literal["prefix", "suffix", "contains", "like", "regex"]


@frozen(cache_hash=True)
class Slot:
    """The place of a bound value: its position in the operation's values and its type.

    ``length`` is 0 for a single value; for a list it is the class of its length (a power of two),
    which a dialect may need in its statement. ``read`` gives the value where it is not among those
    of the operation but belongs to the shape, or to the context of the call.
    """

    index: int
    type: FieldType
    length: int = 0
    read: Callable[[], Any] | None = None


@frozen
class JsonPath:
    """A place inside the JSON document of a field: member names and array positions."""

    field: Field
    steps: tuple[str | int, ...]


Target = Field | JsonPath
"""What a leaf looks at.

A leaf on a JSON place is also true if an array there holds a fitting element.
"""


@frozen
class Always:
    """True or false of every row."""

    value: bool


EVERYTHING: Final = Always(True)
"""The filter that every row passes."""


@frozen(cache_hash=True)
class And:
    """All of ``items``."""

    items: tuple[Predicate, ...]


@frozen(cache_hash=True)
class Or:
    """Any of ``items``."""

    items: tuple[Predicate, ...]


@frozen(cache_hash=True)
class Not:
    """The complement of ``item``: NULL rows included."""

    item: Predicate


@frozen(cache_hash=True)
class Compare:
    """``target`` compared with a value that is not null."""

    target: Target
    operator: Comparison
    slot: Slot


@frozen(cache_hash=True)
class Membership:
    """``target`` is one of the values of a list, which holds no null and is not empty."""

    target: Target
    slot: Slot


@frozen
class IsNull:
    """``target`` is NULL; for a JSON place: missing or JSON null."""

    target: Target


@frozen(cache_hash=True)
class Pattern:
    """``target`` is text that fits.

    ``prefix``, ``suffix`` and ``contains`` bind the literal text; ``like`` binds a pattern with
    ``%`` and ``_`` and the escape character ``|``; ``regex`` binds a pattern of the portable
    subset. ``ignore_case`` folds case.
    """

    target: Target
    kind: PatternKind
    slot: Slot
    ignore_case: bool = False


@frozen
class Modulo:
    """``target`` divided by ``divisor`` leaves ``remainder`` (with the sign of the dividend)."""

    target: Field
    divisor: Slot
    remainder: Slot


@frozen
class Bits:
    """Bits of an int field: ``all_set``, ``any_set``, ``all_clear``, ``any_clear`` of a mask."""

    target: Field
    kind: Literal["all_set", "any_set", "all_clear", "any_clear"]
    mask: Slot


@frozen
class Contains:
    """The JSON array at ``target`` holds the scalar value (``$all`` is an ``And`` of these)."""

    target: JsonPath
    slot: Slot


@frozen
class ArraySize:
    """The JSON value at ``target`` is an array of so many elements."""

    target: JsonPath
    slot: Slot


@frozen
class ElementMatch:
    """One and the same scalar element of the array at ``target`` meets every condition.

    Each condition is a leaf (or ``Not``, ``And``, ``Or`` of leaves) whose target is the element,
    written as ``JsonPath(field, ())`` of ``target`` extended by no step.
    """

    target: JsonPath
    condition: Predicate


@frozen
class ExpressionTest:
    """An expression over fields is true (``$expr``)."""

    expression: Any


@frozen(cache_hash=True)
class Related:
    """There is a row at the other end of ``relation`` for which ``item`` holds.

    ``item`` is about the fields of the relation's target.
    """

    relation: Relation
    item: Predicate


Leaf = (
    Compare
    | Membership
    | IsNull
    | Pattern
    | Modulo
    | Bits
    | Contains
    | ArraySize
    | ElementMatch
    | ExpressionTest
    | Related
)
Predicate = Always | And | Or | Not | Leaf


def walk(predicate: Predicate) -> Iterator[Predicate]:
    """Every node of a tree, without recursion."""
    stack: list[Predicate] = [predicate]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, And | Or):
            stack.extend(node.items)
        elif isinstance(node, Not | Related):
            stack.append(node.item)
