"""Sort orders: ``["-created_at", "name"]`` and the like, parsed into keys.

The primary key, ascending, is always the last sort key: without it pages are not repeatable.
NULL sorts before every value ascending, after every value descending.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from dataflow_core.errors import InvalidOrder, LimitExceeded
from dataflow_core.limits import LIMITS, Limits
from dataflow_core.naming_hints import quoted
from dataflow_core.schema import Field, Model

__all__ = ["SortKey", "parse_order", "with_key"]


@frozen
class SortKey:
    """A field to sort by, and the direction."""

    field: Field
    descending: bool = False


def parse_order(order: Any, model: Model, limits: Limits = LIMITS) -> tuple[SortKey, ...]:
    """Parse ``order_by``: names (``-name`` descends) or ``{name: 1 | -1}``, in a list or alone.

    The result ends with the primary key. Raises ``UnknownField``, ``InvalidOrder`` or
    ``LimitExceeded``.
    """
    if order is None:
        order = ()
    if isinstance(order, str | Mapping):
        order = [order]
    if not isinstance(order, list | tuple):
        raise InvalidOrder(f"{model.name}: order_by is a list of field names, got {quoted(order)}")
    most = limits.order_keys
    # Counted before anything is read: there may be millions.
    counts = (len(item) if isinstance(item, Mapping) else 1 for item in order[: most + 1])
    if sum(counts) > most or len(order) > most:
        raise LimitExceeded(f"{model.name}: order_by has more than {most} keys", limit=most)
    keys = [key for item in order for key in _keys_of(item, model)]
    names = [key.field.name for key in keys]
    if len(set(names)) != len(names):
        raise InvalidOrder(f"{model.name}: order_by names a field twice: {names}")
    return with_key(keys, model)


def with_key(keys: list[SortKey] | tuple[SortKey, ...], model: Model) -> tuple[SortKey, ...]:
    """``keys`` followed by those fields of the primary key that they do not name."""
    named = {key.field.name for key in keys}
    rest = tuple(SortKey(field) for field in model.primary_key if field.name not in named)
    return (*keys, *rest)


def _keys_of(item: Any, model: Model) -> list[SortKey]:
    if isinstance(item, str):
        descending = item.startswith("-")
        name = item[1:] if item[:1] in ("-", "+") else item
        return [_key(name, descending, model)]
    if isinstance(item, Mapping):
        return [_key(name, _is_descending(way, model), model) for name, way in item.items()]
    raise InvalidOrder(
        f"{model.name}: an item of order_by is 'name', '-name' or {{name: 1 or -1}},"
        f" got {quoted(item)}"
    )


def _key(name: Any, descending: bool, model: Model) -> SortKey:
    field = model.field(name, "order_by")
    if not field.type.ordered:
        raise InvalidOrder(f"{model.name}.{field.name}: {field.type.name} has no order")
    return SortKey(field, descending)


def _is_descending(way: Any, model: Model) -> bool:
    if type(way) is int and way in (1, -1):
        return way == -1
    raise InvalidOrder(f"{model.name}: a direction in order_by is 1 or -1, got {quoted(way)}")
