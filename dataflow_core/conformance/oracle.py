"""What the nodes do, in plain Python over a dict of rows: the suite's oracle.

Filters, updates and pipelines are the evaluators of the language; this adds what the nodes make of
them: keys, order, pages, constraints. No database takes part.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field

from dataflow_core.aggregate.evaluate import run
from dataflow_core.aggregate.parse import parse_pipeline
from dataflow_core.errors import (
    DataFlowError,
    MissingParameter,
    MultipleRecordsMatched,
    UniqueViolation,
)
from dataflow_core.expressions.parse import parse_test
from dataflow_core.filters.evaluate import matches
from dataflow_core.filters.parse import parse_filter
from dataflow_core.filters.scope import Bindings, Scope
from dataflow_core.order import parse_order
from dataflow_core.schema import Model
from dataflow_core.schema.relation_names import Relations
from dataflow_core.updates.evaluate import apply
from dataflow_core.updates.parse import parse_update

__all__ = ["Oracle", "stored_row"]

Row = dict[str, Any]
_NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def stored_row(model: Model, given: Mapping[str, Any]) -> Row:
    """A row as it is stored: values checked, defaults applied, the rest NULL.

    Raises:
        MissingParameter: a required field is not given, a generated key included.
        InvalidType, InvalidValue: a value is not accepted.
    """
    row: Row = {}
    for item in model.fields:
        where = f"{model.name}.{item.name}"
        if item.name in given:
            value = given[item.name]
            row[item.name] = (
                None if value is None and item.nullable else item.type.check(value, where)
            )
        elif item.required or item.generated:
            raise MissingParameter(f"{where} is missing", parameter=item.name)
        else:
            value = item.default_value() if item.has_default else None
            row[item.name] = value
    return row


@define(eq=False)
class Oracle:
    """The rows of a model by key, and what each operation answers.

    Every writing method checks everything before it changes anything. ``others`` are the oracles of
    other models by name, for ``$unionWith``. ``errors`` are the kinds of what was wrong in the
    latest update that failed: which row comes first is not promised.
    """

    model: Model
    rows: dict[tuple[Any, ...], Row] = field(factory=dict)
    others: dict[str, Oracle] = field(factory=dict)
    errors: tuple[type[DataFlowError], ...] = ()

    def key(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """The primary key of a row."""
        return tuple(row[name] for name in self.model.key_names)

    def load(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows as they are given to a create node."""
        for given in rows:
            row = stored_row(self.model, given)
            self.rows[self.key(row)] = row

    def all_rows(self) -> list[Row]:
        """The rows in the order of the key."""
        return _sorted(self.rows.values(), [(name, False) for name in self.model.key_names])

    # Reading

    def matching(self, document: Any) -> list[Row]:
        """The rows that a filter lets through, in the order of the key."""
        bindings = Bindings()
        scope = Scope.of(self.model, self.relations)
        predicate = parse_filter(document, scope, bindings, expression=parse_test)
        return [
            row for row in self.all_rows() if matches(predicate, row, bindings.values, self.rows_of)
        ]

    @property
    def relations(self) -> Relations:
        """The relations among the models of all oracles."""
        return Relations(lambda: (self.model, *(other.model for other in self.others.values())))

    def rows_of(self, model: Model) -> list[Row]:
        """The rows of this model or one of the others."""
        oracles = (self, *self.others.values())
        return next(oracle.all_rows() for oracle in oracles if oracle.model is model)

    def find(
        self,
        document: Any = None,
        *,
        order_by: Any = None,
        limit: int | None = None,
        offset: int = 0,
        select: Sequence[str] | None = None,
        distinct: bool = False,
    ) -> list[Row]:
        """What the list node answers."""
        keys = parse_order(order_by, self.model)
        order = [(key.field.name, key.descending) for key in keys]
        if distinct:
            # Distinct rows are sorted by all their columns, as far as nothing else is asked for.
            names = [item.name for item in self.model.fields] if select is None else list(select)
            asked = [pair for pair in order if pair[0] in names]
            named = [name for name, _ in asked]
            order = asked + [(name, False) for name in names if name not in named]
        rows = _sorted(self.matching(document or {}), order)
        if select is not None:
            rows = [{name: row[name] for name in select} for row in rows]
        if distinct:
            rows = _distinct(rows)
        return rows[offset:] if limit is None else rows[offset : offset + limit]

    def aggregate(self, pipeline: Any, document: Any = None, *, eager: bool = True) -> list[Row]:
        """What a pipeline gives over the rows that a filter lets through.

        ``eager`` False: without the errors of computed fields that nothing reads.
        """
        bindings = Bindings()
        tables = {self.model.table: self.all_rows()}

        def lookup(name: str) -> Model:
            other = self.others[name]
            tables[other.model.table] = other.all_rows()
            return other.model

        tables |= {other.model.table: other.all_rows() for other in self.others.values()}
        parsed = parse_pipeline(
            pipeline, self.model, bindings, lookup=lookup, relations=self.relations
        )
        rows = self.matching(document or {})
        return run(
            parsed,
            rows,
            bindings.values,
            self.model.key_names,
            lambda table: tables[table],
            eager=eager,
            rows_of=self.rows_of,
        )

    # Writing

    def create(self, given: Iterable[Mapping[str, Any]], *, skip: bool = False) -> int:
        """Insert rows; the number inserted. A taken unique key is an error, or is skipped."""
        after = dict(self.rows)
        inserted = 0
        for item in given:
            row = stored_row(self.model, item)
            if self.conflict(row, after.values()) is None:
                after[self.key(row)] = row
                inserted += 1
            elif not skip:
                raise UniqueViolation(f"{self.model.name}: a unique key exists")
        self.rows = after
        return inserted

    def conflict(self, row: Row, rows: Iterable[Row]) -> Row | None:
        """A row that shares a unique key with this one; NULL equals nothing."""
        for other in rows:
            for names in self.model.unique_keys:
                values = [row[name] for name in names]
                if None not in values and values == [other[name] for name in names]:
                    return other
        return None

    def update(self, document: Any, fields: Any, *, one: bool) -> list[Row]:
        """Change the rows that match; the rows as they then are."""
        bindings = Bindings()
        update = parse_update(fields, self.model, bindings, now=_NOW)
        found = self.matching(document)
        if one and len(found) > 1:
            raise MultipleRecordsMatched(f"{self.model.name}: more than one row matches")
        changed, errors = {}, []
        for row in found:
            try:
                changed[self.key(row)] = apply(update.assignments, row, bindings.values)
            except DataFlowError as error:
                errors.append(error)
        before = self.rows
        try:
            self._replace(changed)
        except DataFlowError as error:
            errors.append(error)
        if errors:
            self.rows, self.errors = before, tuple(map(type, errors))
            raise errors[0]
        return list(changed.values())

    def update_rows(self, data: Iterable[Mapping[str, Any]]) -> int:
        """Set fields of the rows with the keys given; the number of matches."""
        changed: dict[tuple[Any, ...], Row] = {}
        matched = 0
        for given in data:
            key = self.key(given)
            row = changed.get(key, self.rows.get(key))
            if row is not None:
                matched += 1
                checked = stored_row(self.model, {**self._required(row), **given})
                changed[key] = {**row, **{name: checked[name] for name in given}}
        self._replace(changed)
        return matched

    def _required(self, row: Row) -> Row:
        return {
            item.name: row[item.name]
            for item in self.model.fields
            if item.required or item.generated
        }

    def _replace(self, changed: Mapping[tuple[Any, ...], Row]) -> None:
        after = {**self.rows, **changed}
        for key, row in changed.items():
            others = (other for at, other in after.items() if at != key)
            if self.conflict(row, others) is not None:
                raise UniqueViolation(f"{self.model.name}: a unique key exists")
        self.rows = after

    def delete(self, document: Any, *, one: bool) -> list[Row]:
        """Remove the rows that match; the rows as they were."""
        found = self.matching(document)
        if one and len(found) > 1:
            raise MultipleRecordsMatched(f"{self.model.name}: more than one row matches")
        for row in found:
            del self.rows[self.key(row)]
        return found

    def upsert(
        self,
        data: Iterable[Mapping[str, Any]],
        match: Sequence[str],
        updates: Sequence[str] | None = None,
    ) -> tuple[int, int]:
        """Insert rows, or change those that share the ``match`` fields: how many of each.

        A key that comes again in ``data`` counts as an update. Where a row takes over everything
        given, only the last one of a key is looked at.
        """
        rows = [(given, stored_row(self.model, given)) for given in data]
        sent = rows if updates is not None else _last_of_each(rows, match)
        after, inserted = dict(self.rows), 0
        for given, row in sent:
            values = [row[name] for name in match]
            old = next(
                (one for one in after.values() if values == [one[name] for name in match]), None
            )
            if old is None:
                new = row
                inserted += 1
            else:
                names = updates if updates is not None else _updated(self.model, given, match)
                new = {**old, **{name: row[name] for name in names}}
            rest = [other for other in after.values() if other is not old]
            if self.conflict(new, rest) is not None:
                raise UniqueViolation(f"{self.model.name}: a unique key exists")
            after[self.key(new)] = new
        self.rows = after
        return inserted, len(rows) - inserted


def _last_of_each(
    rows: list[tuple[Mapping[str, Any], Row]], match: Sequence[str]
) -> list[tuple[Mapping[str, Any], Row]]:
    last: dict[Any, tuple[Mapping[str, Any], Row]] = {}
    for given, row in rows:
        key = tuple(row[name] for name in match)
        last.pop(key, None)
        last[key] = (given, row)
    return list(last.values())


def _updated(model: Model, given: Mapping[str, Any], match: Sequence[str]) -> list[str]:
    """What a stored row takes over: every field that the row gives, but for keys."""
    return [name for name in given if name not in match and name not in model.key_names]


def _sorted(rows: Iterable[Row], order: Sequence[tuple[str, bool]]) -> list[Row]:
    """NULL first ascending, last descending."""
    result = list(rows)
    for name, descending in reversed(order):
        result.sort(
            key=lambda row: (
                (row[name] is not None, row[name]) if row[name] is not None else (False,)
            ),
            reverse=descending,
        )
    return result


def _distinct(rows: Sequence[Row]) -> list[Row]:
    seen: list[Row] = []
    for row in rows:
        if row not in seen:
            seen.append(row)
    return seen
