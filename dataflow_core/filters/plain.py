"""Filters of plain comparisons: read once, then known by their shape, so that only values are new.

Most filters of an application are few documents with ever new values. What is not plain, or has
anything wrong, is left to ``parse_filter``, which says what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import define, field

from dataflow_core.errors import DataFlowError
from dataflow_core.filters.ast import And, Compare, Membership, Predicate
from dataflow_core.filters.leaves import ROUNDING
from dataflow_core.filters.scope import Bindings
from dataflow_core.schema import Field
from dataflow_core.types import NEVER

__all__ = ["PlainFilters"]

_MOST_KEPT: Final = 256
_MOST_ITEMS: Final = 64
"""Longer lists cost more than reading the document does."""

_COMPARISONS: Final = frozenset(("$eq", "$gt", "$gte", "$lt", "$lte"))

Shape = tuple[Any, ...]
Check = Callable[[Any], Any]


@define(eq=False)
class PlainFilters:
    """The filters of one scope that only compare fields with values, by their shape."""

    _kept: dict[Shape, _Kept] = field(factory=dict)

    def known(self, document: Any, bindings: Bindings) -> Predicate | None:
        """The tree of a filter whose shape was kept, its values bound; ``None``: read it in full.

        Nothing is bound unless the whole filter is known and right.
        """
        apart = _taken_apart(document, len(bindings.values))
        if apart is None:
            return None
        shape, operands = apart
        kept = self._kept.get(shape)
        if kept is None:
            return None
        try:
            checked = [check(operand) for check, operand in zip(kept.checks, operands, strict=True)]
        except DataFlowError:
            return None
        limits = bindings.limits
        leaves, items = bindings.leaves + kept.leaves, bindings.list_values
        for value in checked:
            if value is NEVER:
                return None
            if type(value) is list:
                items += len(value)
        if leaves > limits.filter_leaves or items > limits.in_values:
            return None
        bindings.values += checked
        bindings.leaves, bindings.list_values = leaves, items
        return kept.predicate

    def keep(self, document: Any, first: int, predicate: Predicate, leaves: int) -> None:
        """Keep a filter that was read in full, if it is plain.

        ``first`` is the position of its first value, ``leaves`` how many conditions were counted.
        """
        apart = _taken_apart(document, first)
        if apart is None:
            return
        shape, operands = apart
        checks = []
        for position, leaf in enumerate(_leaves(predicate), first):
            if not isinstance(leaf, Compare | Membership) or leaf.slot.index != position:
                return
            target = leaf.target
            if not isinstance(target, Field) or leaf.slot.type is not target.type:
                return
            checks.append(_check(leaf, target))
        if len(checks) != len(operands):
            return
        if len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[shape] = _Kept(predicate, checks, leaves)


@define
class _Kept:
    """The tree of a filter, how its values are checked, how many conditions it has."""

    predicate: Predicate
    checks: list[Check]
    leaves: int


def _taken_apart(document: Any, first: int) -> tuple[Shape, list[Any]] | None:
    """The shape and the values of a filter that may be plain; ``None`` for any other."""
    if type(document) is not dict:
        return None
    shape: list[Any] = [first]
    operands: list[Any] = []
    for name, value in document.items():
        shape.append(name)
        if type(value) is not dict:
            shape.append(None)
            operands.append(value)
            continue
        shape.append(len(value))
        for key, operand in value.items():
            shape.append(key)
            if key == "$in":
                if type(operand) is not list or not 0 < len(operand) <= _MOST_ITEMS:
                    return None
                if None in operand:
                    return None
                shape.append((len(operand) - 1).bit_length())
                operands.append(operand)
            elif key == "$between":
                if type(operand) not in (list, tuple) or len(operand) != 2:
                    return None
                operands += operand
            elif key in _COMPARISONS:
                operands.append(operand)
            else:
                return None
    if None in operands:
        return None
    return tuple(shape), operands


def _leaves(predicate: Predicate) -> Iterator[Predicate]:
    """The conditions that must all hold, in the order of their values."""
    if isinstance(predicate, And):
        for item in predicate.items:
            yield from _leaves(item)
    else:
        yield predicate


def _check(leaf: Compare | Membership, target: Field) -> Check:
    """Checks a value of a condition. Where it refuses one, the parser says what is wrong."""
    operand = target.type.operand
    if isinstance(leaf, Compare):
        rounding = ROUNDING.get(leaf.operator, "exact")
        return lambda value: operand(value, "", rounding)

    def check_items(values: list[Any]) -> Any:
        checked = [operand(value, "") for value in values]
        return NEVER if any(value is NEVER for value in checked) else checked

    return check_items
