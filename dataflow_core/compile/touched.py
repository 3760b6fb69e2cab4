"""Which models an operation reads beside its own, whose tables have to be there as well."""

from __future__ import annotations

from typing import Any

import attrs

from dataflow_core.filters.ast import Slot
from dataflow_core.operations import Operation
from dataflow_core.schema import Field, Model
from dataflow_core.types import FieldType

__all__ = ["models_touched"]

_NOTHING_INSIDE = (Field, FieldType, Slot)


def models_touched(operation: Operation) -> tuple[Model, ...]:
    """The models of an operation, its own first, each once."""
    found = {operation.model.declared: None}
    stack: list[Any] = [operation]
    while stack:
        node = stack.pop()
        if isinstance(node, Model):
            found.setdefault(node.declared)
        elif isinstance(node, tuple):
            stack.extend(reversed(node))
        elif attrs.has(type(node)) and not isinstance(node, _NOTHING_INSIDE):
            stack.extend(getattr(node, item.name) for item in attrs.fields(type(node)))
    return tuple(found)
