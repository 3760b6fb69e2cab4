"""Filters about keys: rows with one of many keys, rows that sort behind one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

from dataflow_core.filters.ast import Always, And, Compare, IsNull, Membership, Not, Or, Predicate
from dataflow_core.filters.scope import Bindings
from dataflow_core.limits import Limits
from dataflow_core.order import SortKey
from dataflow_core.schema import Field

__all__ = ["after", "key_predicate"]


def key_predicate(
    fields: tuple[Field, ...],
    keys: Sequence[tuple[Any, ...]],
    limits: Limits,
    values: Sequence[Any] = (),
) -> tuple[Predicate, Bindings]:
    """The rows whose ``fields`` have one of these combinations of values, and the values bound.

    The shape changes little with the number of keys. ``values`` are those bound before.
    """
    bindings = Bindings(list(values), limits=limits)
    if len(fields) == 1:
        slot = bindings.list_slot([key[0] for key in keys], fields[0].type)
        return Membership(fields[0], slot), bindings
    # Filled up to a power of two by the last one, so that there are few statements.
    missing = (1 << (len(keys) - 1).bit_length()) - len(keys)
    branches = tuple(
        And(
            tuple(
                Compare(item, "eq", bindings.slot(value, item.type))
                for item, value in zip(fields, key, strict=True)
            )
        )
        for key in (*keys, *repeat(keys[-1], missing))
    )
    return (Or(branches) if len(branches) > 1 else branches[0]), bindings


def after(keys: Sequence[SortKey], values: Sequence[Any], bindings: Bindings) -> Predicate:
    """The rows that sort behind the one with these values."""
    branches: list[Predicate] = []
    equal: list[Predicate] = []
    for key, value in zip(keys, values, strict=True):
        behind = _behind(key, value, bindings)
        if behind != Always(False):
            branches.append(And((*equal, behind)) if equal else behind)
        equal.append(_equal(key, value, bindings))
    return Or(tuple(branches)) if branches else Always(False)


def _behind(key: SortKey, value: Any, bindings: Bindings) -> Predicate:
    """NULL is first ascending and last descending."""
    field = key.field
    if value is None:
        return Always(False) if key.descending else Not(IsNull(field))
    compared = Compare(field, "lt" if key.descending else "gt", bindings.slot(value, field.type))
    if key.descending and field.nullable:
        return Or((compared, IsNull(field)))
    return compared


def _equal(key: SortKey, value: Any, bindings: Bindings) -> Predicate:
    if value is None:
        return IsNull(key.field)
    return Compare(key.field, "eq", bindings.slot(value, key.field.type))
