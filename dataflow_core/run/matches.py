"""What is unique among some rows only: how upserts match by it, and which fields it reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any

import attrs

from dataflow_core.compile import RowWriter
from dataflow_core.errors import InvalidValue
from dataflow_core.filters.ast import EVERYTHING, And, IsNull, Predicate, walk
from dataflow_core.filters.parse import parse_filter
from dataflow_core.filters.scope import Bindings, Scope
from dataflow_core.run.chunks import Chunk, at_row
from dataflow_core.schema import MISSING, Field, Index, Model

__all__ = ["Match", "filtered_fields", "match_among", "taken_over"]


@attrs.frozen
class Match:
    """The unique key by which an upsert finds stored rows.

    Attributes:
        fields: those of the key.
        among: the filter, without values, that rows pass in which it is unique.
        unset: the fields that this filter wants to be None.
    """

    fields: tuple[Field, ...]
    among: Predicate = EVERYTHING
    unset: tuple[Field, ...] = ()

    def check(self, model: Model, chunk: Chunk) -> None:
        """Refuse rows that are not among those in which the key is unique, with ``InvalidValue``.

        No index would keep such a row from being stored once more.
        """
        for item in self.unset:
            values = map(itemgetter(chunk.columns.index(item)), chunk.rows)
            position = next((at for at, value in enumerate(values) if value is not None), None)
            if position is not None:
                raise at_row(self._refusal(model, item), chunk.index(position))

    def check_row(self, model: Model, row: Mapping[str, Any]) -> None:
        """Refuse one row of fields, as ``check`` does."""
        for item in self.unset:
            default = None if item.default is MISSING else item.default_value()
            if row.get(item.name, default) is not None:
                raise self._refusal(model, item)

    def _refusal(self, model: Model, unset: Field) -> InvalidValue:
        names = ", ".join(field.name for field in self.fields)
        return InvalidValue(
            f"{model.name}: rows are matched by {names} where {unset.name} is None, and the new row"
            f" has a value there",
            parameter=unset.name,
        )


def match_among(model: Model, index: Index) -> Match | None:
    """How rows are matched by a partial unique index; ``None`` where a new row may not be in it.

    All that its filter may say is that fields are None which a row can leave out.
    """
    predicate = _filter(model, index)
    items = [item for item in walk(predicate) if not isinstance(item, And)]
    unset = tuple(
        item.target
        for item in items
        if isinstance(item, IsNull) and isinstance(item.target, Field) and _left_out(item.target)
    )
    if len(unset) != len(items):
        return None
    return Match(tuple(model.by_name[name] for name in index.columns), predicate, unset)


def _left_out(field: Field) -> bool:
    """Whether a row that does not give a field has None there, unless the client has a default."""
    return field.nullable and field.generated is None and field.managed is None


def filtered_fields(model: Model, index: Index) -> set[str]:
    """The names of the fields that the filter of a partial index is about."""
    return {item.name for item in _fields_in((_filter(model, index),))}


def _filter(model: Model, index: Index) -> Predicate:
    assert index.where is not None
    return parse_filter(index.where, Scope.of(model), Bindings())


def _fields_in(nodes: Iterable[Any]) -> Iterator[Field]:
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if isinstance(node, Field):
            yield node
        elif isinstance(node, tuple):
            stack.extend(node)
        elif attrs.has(type(node)):
            stack.extend(getattr(node, item.name) for item in attrs.fields(type(node)))


def taken_over(
    model: Model,
    writer: RowWriter,
    match: tuple[Field, ...],
    updates: tuple[Field, ...] | None,
) -> tuple[Field, ...]:
    """What an existing row takes over: what was asked for, and the moment of the update."""
    if updates is None:
        updates = tuple(
            item
            for item in writer.columns
            if item.name in writer.given
            and item not in match
            and item.managed is None
            and item.context is None
            and not item.primary_key
        )
    return updates + tuple(item for item in model.fields if item.managed == "updated")
