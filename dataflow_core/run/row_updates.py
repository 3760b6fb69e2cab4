"""Changing many rows, each by its key and to values of its own: many by one statement."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field

from dataflow_core.compile import RowsStatement
from dataflow_core.errors import (
    ConstraintViolation,
    DataFlowError,
    InvalidUpdate,
    LimitExceeded,
    ManagedField,
    MissingParameter,
)
from dataflow_core.operations import UpdateRows
from dataflow_core.run.chunks import Row, Rows, at_row, checked_row, each_row
from dataflow_core.run.engine import Engine
from dataflow_core.run.explain import Explanation
from dataflow_core.run.inserts import Parameters, flat
from dataflow_core.run.matches import filtered_fields
from dataflow_core.run.plans import Plan
from dataflow_core.run.transactions import Transaction
from dataflow_core.schema import Field, Model

__all__ = ["update_rows"]


async def update_rows(
    engine: Engine, model: Model, rows: Rows, now: dt.datetime, *, first: int = 0
) -> int:
    """Set, in the row with the key that each item gives, the other fields that it gives.

    Returns how many rows were found, one after the other; all or none are changed. ``first`` is
    the index of the first one.
    """
    engine.need("write.bulk_update")
    await engine.prepare(model)
    changes: dict[tuple[str, ...], _Change] = {}
    collected: _Collected | None = None
    matched = 0
    async with engine.transaction(joins=True) as transaction:
        index = first
        async for row in each_row(rows):
            try:
                checked = checked_row(model, row, index)
                names = tuple(checked)
                change = changes.get(names) or await _change(engine, model, names)
                changes[names] = change
                parameters = change.parameters(checked, now)
            except DataFlowError as error:
                if collected is not None:
                    # What is wrong with the rows before counts first.
                    await collected.send(transaction)
                raise at_row(error, index) from error.__cause__
            key = parameters[: change.key_length]
            if collected is None or not collected.takes(change, key):
                if collected is not None:
                    matched += await collected.send(transaction)
                collected = _Collected(change)
            collected.rows[key] = (index, parameters)
            index += 1
        if collected is not None:
            matched += await collected.send(transaction)
    return matched


@define
class _Change:
    """The change of one set of fields; the first ``key_length`` cells are the key.

    ``alone``: where a row may take a unique value that another gives up, they change in order.
    """

    plan: Plan
    statement: RowsStatement
    cells: list[tuple[str | None, Callable[[Any], Any]]]
    alone: bool
    key_length: int

    def parameters(self, row: Row, now: dt.datetime) -> Parameters:
        """The values of a row, checked and encoded; the key first."""
        return tuple([make(now if name is None else row[name]) for name, make in self.cells])


@define
class _Collected:
    """Rows with different keys and the same fields, to be changed by one statement."""

    change: _Change
    rows: dict[Parameters, tuple[int, Parameters]] = field(factory=dict)

    def takes(self, change: _Change, key: Parameters) -> bool:
        """Whether another row goes into the same statement."""
        most = 1 if change.alone else change.statement.most_rows
        return change is self.change and len(self.rows) < most and key not in self.rows

    async def send(self, transaction: Transaction | Explanation) -> int:
        """Change the rows; how many were there."""
        rows = list(self.rows.values())
        mark = await transaction.mark()
        try:
            matched = await self._sent(transaction, [parameters for _, parameters in rows])
        except LimitExceeded:
            if len(rows) == 1:
                raise
            await transaction.undo(mark)
            return sum([await self._sent(transaction, [one], index) for index, one in rows])
        except ConstraintViolation as error:
            await transaction.undo(mark)
            if transaction.recovers or await transaction.again():
                # One by one, which of them it is shows.
                for index, parameters in rows:
                    await self._sent(transaction, [parameters], index)
            raise error from error.__cause__
        if mark is not None:
            await transaction.release(mark)
        return matched

    async def _sent(
        self,
        transaction: Transaction | Explanation,
        rows: Sequence[Parameters],
        index: int | None = None,
    ) -> int:
        sql, situation = self.change.statement.sql(len(rows)), self.change.plan.situation
        try:
            return await transaction.execute(sql, flat(rows), situation)
        except ConstraintViolation as error:
            if index is not None:
                error.index = index
                raise at_row(error, index) from None
            raise


async def _change(engine: Engine, model: Model, names: tuple[str, ...]) -> _Change:
    """How rows that give these fields are changed; refuses what says no row, or nothing new."""
    keys = tuple(dict.fromkeys((*model.primary_key, *model.context_fields)))
    columns = [item for name in names if (item := model.field(name, "the row")) not in keys]
    _check(model, names, columns)
    columns += [item for item in model.fields if item.managed == "updated"]
    plan = await engine.plan(UpdateRows(model, keys, tuple(columns)))
    statement = plan.compiled.rows
    assert statement is not None
    unique = {name for key in model.unique_keys for name in key}
    for index in model.partial_keys:
        unique.update(index.columns, filtered_fields(model, index))
    return _Change(
        plan,
        statement,
        [_cell(engine, model, item, given=item.name in names) for item in statement.columns],
        not unique.isdisjoint(item.name for item in columns),
        len(keys),
    )


def _check(model: Model, names: Sequence[str], columns: Sequence[Field]) -> None:
    for key in model.given_key:
        if key.name not in names:
            raise MissingParameter(
                f"{model.name}: {key.name} is missing, the key", parameter=key.name
            )
    for item in columns:
        if item.protected:
            raise ManagedField(f"{model.name}.{item.name} {item.protected}", field=item.name)
        if item.managed == "updated":
            raise ManagedField(f"{model.name}.{item.name} is set by every update", field=item.name)
    if not columns:
        raise InvalidUpdate(f"{model.name}: only the key is given, nothing to change")


def _cell(
    engine: Engine, model: Model, item: Field, *, given: bool
) -> tuple[str | None, Callable[[Any], Any]]:
    """Where a value comes from, and how it is checked and encoded."""
    encode, where = engine.dialect.compiler.codec(item.type).encode, f"{model.name}.{item.name}"
    check, nullable, context = item.type.check, item.nullable, item.context

    def make(value: Any) -> Any:
        if value is None and nullable:
            return None
        value = check(value, where)
        if context is not None:
            value = context.check(value)
        return value if encode is None else encode(value)

    def found(_: Any) -> Any:
        assert context is not None
        value = context.read()
        return value if encode is None else encode(value)

    if context is not None and not given:
        return None, found
    return (None if item.managed == "updated" else item.name), make
