"""Filters for many keys at once, whose shape changes little with their number."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

from dataflow_core.filters.ast import And, Compare, Membership, Or, Predicate
from dataflow_core.filters.scope import Bindings
from dataflow_core.limits import Limits
from dataflow_core.schema import Field

__all__ = ["key_predicate"]


def key_predicate(
    fields: tuple[Field, ...], keys: Sequence[tuple[Any, ...]], limits: Limits
) -> tuple[Predicate, Bindings]:
    """The rows whose ``fields`` have one of these combinations of values, and the values bound."""
    bindings = Bindings(limits=limits)
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
