"""Conditions on fields of other models: each leaf holds if any related row makes it hold."""

from __future__ import annotations

from dataflow_core.filters.ast import Always, And, IsNull, Not, Or, Predicate, Related
from dataflow_core.schema.relation_names import Relation

__all__ = ["across"]


def across(relation: Relation, item: Predicate) -> Predicate:
    """A tree about the target of a relation as one about its source.

    A row without related rows is as one whose field is absent: null holds of it, nothing else does,
    and a negation is the complement.
    """
    if isinstance(item, Always):
        return item
    if isinstance(item, Not):
        return Not(across(relation, item.item))
    if isinstance(item, And | Or):
        return type(item)(tuple(across(relation, part) for part in item.items))
    if isinstance(item, IsNull):
        return Or((Not(Related(relation, Always(True))), Related(relation, item)))
    return Related(relation, item)
