"""What pipelines mean, in plain Python. This is the definition; databases are compared with it.

A row carries its key beside its values: the primary key, after a group its ``_id``. Keys order the
rows wherever nothing else does, so that the result is repeatable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import frozen

from dataflow_core.aggregate.accumulate import accumulate
from dataflow_core.aggregate.ast import (
    Accumulator,
    Computed,
    CountRows,
    Facet,
    Group,
    Join,
    Limit,
    Lookup,
    Match,
    Pipeline,
    Project,
    Sample,
    Skip,
    Sort,
    Stage,
    UnionWith,
)
from dataflow_core.expressions.ast import Expression
from dataflow_core.expressions.evaluate import evaluate
from dataflow_core.filters.evaluate import RowsOf, matches
from dataflow_core.order import SortKey
from dataflow_core.schema import Field

__all__ = ["Source", "assemble", "run", "sorted_rows"]

Row = Mapping[str, Any]
Values = Sequence[Any]
Source = Callable[[str], Iterable[Row]]
"""Gives the rows of a table."""

_Item = TypeVar("_Item")


def run(
    pipeline: Pipeline,
    rows: Iterable[Row],
    values: Values,
    key_names: Sequence[str],
    source: Source | None = None,
    *,
    eager: bool = True,
    rows_of: RowsOf | None = None,
) -> list[dict[str, Any]]:
    """The documents that a pipeline gives.

    Rows flow in the order of their key until a ``Sort``; groups come in the order of ``_id``, NULL
    first. A sample takes the first rows: only their number is promised.

    Parameters:
        pipeline: the stages.
        rows: the rows that it starts with, in any order.
        values: the bound values, by the index of their slots.
        key_names: the fields of the primary key.
        source: gives the rows of the tables that stages name.
        eager: whether every field is computed; else a field that nothing reads is not, as a
            database is free to do.
        rows_of: gives the rows that relations lead to.

    Raises:
        OutOfRange: a computed number does not fit its type.
    """
    flow = _Flow(values, source, eager, rows_of)
    flowing = flow.through(pipeline, _keyed(rows, key_names))
    documents = [
        assemble(row.values, pipeline.fields) if pipeline.fields else dict(row.values)
        for row in flowing
    ]
    for lookup in pipeline.lookups:
        for document, row in zip(documents, flowing, strict=True):
            document[lookup.name] = [dict(other.values) for other in flow.found(lookup, row)]
    return documents


def assemble(row: Row, fields: Sequence[Field]) -> dict[str, Any]:
    """A document of the values of ``fields``: ``_id.<name>`` are put together under ``_id``.

    So are those of a joined row; one without any value is ``None``.
    """
    document: dict[str, Any] = {}
    nested: set[str] = set()
    for field in fields:
        head, dot, member = field.name.partition(".")
        if dot:
            document.setdefault(head, {})[member] = row.get(field.name)
            nested.add(head)
        else:
            document[head] = row.get(field.name)
    for head in nested - {"_id"}:
        if all(value is None for value in document[head].values()):
            document[head] = None
    return document


def sorted_rows(rows: Iterable[Row], keys: Sequence[SortKey]) -> list[Row]:
    """Rows in an order: NULL before every value ascending, after every value descending."""
    return _ordered(rows, keys, lambda row: row)


@frozen
class _Keyed:
    """A row, and what orders it where nothing else does."""

    values: Row
    key: tuple[Any, ...]


def _itself(value: Any) -> Any:
    return value


class _Unread(dict[str, Any]):
    """A row whose fields are computed when they are read."""

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field."""
        compute = super().get(name)
        return default if compute is None else compute()


@frozen
class _Flow:
    values: Values
    source: Source | None
    eager: bool
    rows_of: RowsOf | None = None

    def through(self, pipeline: Pipeline, rows: list[_Keyed]) -> list[_Keyed]:
        for stage in pipeline.stages:
            rows = self.after(stage, rows)
        return rows

    def after(self, stage: Stage, rows: list[_Keyed]) -> list[_Keyed]:
        """The rows that come out of a stage."""
        if isinstance(stage, Match):
            return [row for row in rows if self.passes(stage, row)]
        if isinstance(stage, Group):
            return self.groups(stage, rows)
        if isinstance(stage, Project):
            return [_Keyed(self.computed(stage.columns, row), row.key) for row in rows]
        if isinstance(stage, Sort):
            return _sorted(rows, stage.keys)
        if isinstance(stage, Limit | Sample):
            return rows[: self.values[stage.slot.index]]
        if isinstance(stage, Skip):
            return rows[self.values[stage.slot.index] :]
        if isinstance(stage, CountRows):
            return [_Keyed({stage.field.name: len(rows)}, ())] if rows else []
        if isinstance(stage, UnionWith):
            return self.union(stage, rows)
        if isinstance(stage, Join):
            return self.joined(stage, rows)
        return [_Keyed(self.facets(stage, rows), ())]

    def passes(self, stage: Match, row: _Keyed) -> bool:
        return matches(stage.predicate, row.values, self.values, self.rows_of)

    def found(self, lookup: Lookup, row: _Keyed) -> list[_Keyed]:
        """The rows of another model that are looked up for a row, by their key."""
        if self.source is None:
            raise ValueError(f"no source for the rows of {lookup.model.table}")
        wanted = [row.values.get(item.name) for item in lookup.local]
        if None in wanted and not lookup.nulls:
            return []
        others = _keyed(self.source(lookup.model.table), lookup.model.key_names)
        names = [item.name for item in lookup.foreign]
        return [other for other in others if [other.values.get(name) for name in names] == wanted]

    def joined(self, stage: Join, rows: list[_Keyed]) -> list[_Keyed]:
        result = []
        for row in rows:
            before = {item.name: row.values.get(item.name) for item in stage.before}
            found = self.found(stage.lookup, row)
            if not found and stage.outer:
                absent = tuple(_rank(None) for _ in stage.lookup.model.primary_key)
                result.append(_Keyed(before, (*row.key, *absent)))
            for other in found:
                fields = zip(stage.made, stage.lookup.model.fields, strict=True)
                made = {field.name: other.values.get(item.name) for field, item in fields}
                result.append(_Keyed({**before, **made}, (*row.key, *other.key)))
        return result

    def value(self, expression: Expression | None, row: _Keyed) -> Any:
        return None if expression is None else evaluate(expression, row.values, self.values)

    def made(self, makers: Mapping[str, Callable[[], Any]]) -> Row:
        return {name: make() for name, make in makers.items()} if self.eager else _Unread(makers)

    def computed(self, columns: Sequence[Computed], row: _Keyed) -> Row:
        return self.made(
            {column.field.name: partial(self.value, column.expression, row) for column in columns}
        )

    def accumulated(self, item: Accumulator, group: list[_Keyed]) -> Any:
        inputs = [self.value(item.expression, row) for row in group]
        return accumulate(item.function, inputs, item.field.type, item.field.name)

    def groups(self, stage: Group, rows: list[_Keyed]) -> list[_Keyed]:
        members: dict[tuple[Any, ...], list[_Keyed]] = {}
        for row in rows:
            key = tuple(self.value(column.expression, row) for column in stage.keys)
            members.setdefault(key, []).append(row)
        names = [column.field.name for column in stage.keys]
        result = []
        for key, group in members.items():
            makers = {name: partial(_itself, part) for name, part in zip(names, key, strict=True)}
            for item in stage.accumulators:
                makers[item.field.name] = partial(self.accumulated, item, group)
            result.append(_Keyed(self.made(makers), tuple(map(_rank, key))))
        return sorted(result, key=lambda row: row.key)

    def union(self, stage: UnionWith, rows: list[_Keyed]) -> list[_Keyed]:
        if self.source is None:
            raise ValueError(f"no source for the rows of {stage.table}")
        key_names = [field.name for field in stage.pipeline.source if field.primary_key]
        others = self.through(stage.pipeline, _keyed(self.source(stage.table), key_names))
        return [
            *(_Keyed(row.values, (0, row.key)) for row in rows),
            *(_Keyed(row.values, (1, row.key)) for row in others),
        ]

    def facets(self, stage: Facet, rows: list[_Keyed]) -> dict[str, Any]:
        return {
            name: [
                assemble(row.values, pipeline.fields) for row in self.through(pipeline, list(rows))
            ]
            for name, pipeline in stage.branches
        }


def _keyed(rows: Iterable[Row], key_names: Sequence[str]) -> list[_Keyed]:
    keyed = [_Keyed(row, tuple(_rank(row.get(name)) for name in key_names)) for row in rows]
    return sorted(keyed, key=lambda row: row.key)


def _sorted(rows: list[_Keyed], keys: Sequence[SortKey]) -> list[_Keyed]:
    """Sorted by ``keys``; equal ones by the key of the rows, whatever their order was."""
    by_key = sorted(rows, key=lambda row: row.key)
    return _ordered(by_key, keys, lambda row: row.values)


def _ordered(
    items: Iterable[_Item], keys: Sequence[SortKey], row_of: Callable[[_Item], Row]
) -> list[_Item]:
    result = list(items)
    # Sorting is stable: the last key first.
    for key in reversed(keys):
        ranks = partial(_rank_of, key.field.name, row_of)
        result.sort(key=ranks, reverse=key.descending)
    return result


def _rank_of(name: str, row_of: Callable[[_Item], Row], item: _Item) -> tuple[bool, Any]:
    return _rank(row_of(item).get(name))


def _rank(value: Any) -> tuple[bool, Any]:
    return (value is not None, 0 if value is None else value)
