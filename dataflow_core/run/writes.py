"""Running what changes single rows, or all rows that pass a filter."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from dataflow_core.compile import RowWriter
from dataflow_core.errors import MultipleRecordsMatched
from dataflow_core.filters.ast import Slot
from dataflow_core.operations import (
    Create,
    Delete,
    DeleteMany,
    Find,
    Operation,
    Update,
    UpdateMany,
    UpdateRows,
)
from dataflow_core.order import with_key
from dataflow_core.run.engine import Engine
from dataflow_core.run.explain import Explanation
from dataflow_core.run.inserts import insert_one
from dataflow_core.run.pipelines import fetch_together
from dataflow_core.run.plans import Plan
from dataflow_core.run.transactions import Transaction
from dataflow_core.schema import Model
from dataflow_core.types import Integer
from dataflow_core.updates.ast import Assignment, JsonChange
from dataflow_core.updates.evaluate import apply

__all__ = ["create", "delete", "delete_many", "several", "update", "update_many"]

Row = dict[str, Any]


async def create(
    engine: Engine,
    model: Model,
    row: Mapping[str, Any],
    now: dt.datetime,
    *,
    coalesce: bool = True,
) -> Row:
    """Insert one row and return it as stored. The values are checked before any SQL.

    It may share a statement with others, unless ``coalesce`` is False.
    """
    writer = engine.writers(model).writer(row)
    parameters = writer.write(row, now)
    plan = await _create_plan(engine, model, writer)
    if coalesce and plan.coalescer is not None:
        shared = plan.coalescer.join(parameters)
        if shared is not None:
            stored: Row = await shared
            return stored
    return await insert_one(engine, plan, parameters)


async def _create_plan(engine: Engine, model: Model, writer: RowWriter) -> Plan:
    operation = writer.operation
    if operation is None:
        operation = writer.operation = Create(model, writer.columns)
    return engine.cache.get(operation) or await engine.plan(operation)


async def update(engine: Engine, operation: Update, values: Sequence[Any]) -> Row | None:
    """Change the one row that matches; ``None`` if there is none.

    Raises ``MultipleRecordsMatched``, and changes nothing, if there are more.
    """
    if has_json_changes(operation.assignments):
        rows = await _rewrite(engine, operation, values, most=2)
        return rows[0] if rows else None
    return await _change_one(engine, operation, values)


async def delete(engine: Engine, operation: Delete, values: Sequence[Any]) -> Row | None:
    """Remove the one row that matches and return it as it was; ``None`` if there is none."""
    return await _change_one(engine, operation, values)


async def _change_one(
    engine: Engine, operation: Update | Delete, values: Sequence[Any]
) -> Row | None:
    plan = await engine.plan(operation)
    statement = plan.statement
    stored = plan.compiled.stored
    if stored is not None and plan.compiled.found is None:
        sent = ((one.sql, one.bind(values)) for one in (statement, stored))
        both = await fetch_together(engine, plan, list(sent))
        if both is not None:
            return next(iter(stored.decode(both)), None)
    if not statement.columns:
        whole = engine.together() if operation.unique else engine.transaction(joins=True)
        async with whole as transaction:
            return await _change_found(transaction, plan, values)
    if operation.unique:
        rows = await engine.fetch(plan, statement.sql, statement.bind(values))
    else:
        async with engine.transaction(joins=True) as transaction:
            rows = await transaction.fetch(statement.sql, statement.bind(values), plan.situation)
            if len(rows) > 1:
                raise several(operation)
    return statement.decode(rows)[0] if rows else None


async def _change_found(
    transaction: Transaction | Explanation, plan: Plan, values: Sequence[Any]
) -> Row | None:
    """Change one row where the statement that does it gives nothing back."""
    compiled, statement, situation = plan.compiled, plan.statement, plan.situation
    before: Row | None = None
    if compiled.found is not None:
        found = await transaction.fetch(compiled.found.sql, compiled.found.bind(values), situation)
        if len(found) > 1:
            raise several(plan.operation)
        before = next(iter(compiled.found.decode(found)), None)
        if isinstance(transaction, Explanation):
            await _explain_change(transaction, plan, values)
        if before is None:
            return None
        values = [*values, *(before[name] for name in plan.model.key_names)]
    matched = await transaction.execute(statement.sql, statement.bind(values), situation)
    if compiled.stored is None:
        return before
    if not matched and not isinstance(transaction, Explanation):
        return None
    stored = await transaction.fetch(compiled.stored.sql, compiled.stored.bind(values), situation)
    return next(iter(compiled.stored.decode(stored)), None)


async def _explain_change(transaction: Explanation, plan: Plan, values: Sequence[Any]) -> None:
    """Write down what would follow if a row had been found; its key is not known."""
    for statement in (plan.compiled.statement, plan.compiled.stored):
        if statement is not None:
            parameters = [
                None if item.index < 0 and item.read is None else item.value(values)
                for item in statement.parameters
            ]
            await transaction.fetch(statement.sql, parameters, plan.situation)


async def update_many(engine: Engine, operation: UpdateMany, values: Sequence[Any]) -> int:
    """Change all rows that match; the number of matches."""
    if has_json_changes(operation.assignments):
        return len(await _rewrite(engine, operation, values, most=None))
    plan = await engine.plan(operation)
    return await engine.execute(plan, plan.statement.sql, plan.statement.bind(values))


async def delete_many(engine: Engine, operation: DeleteMany, values: Sequence[Any]) -> int:
    """Remove all rows that match; the number of matches."""
    plan = await engine.plan(operation)
    return await engine.execute(plan, plan.statement.sql, plan.statement.bind(values))


def has_json_changes(assignments: Sequence[Assignment]) -> bool:
    """Whether an update changes the inside of a JSON document."""
    return any(isinstance(item.change, JsonChange) for item in assignments)


async def _rewrite(
    engine: Engine, operation: Update | UpdateMany, values: Sequence[Any], *, most: int | None
) -> list[Row]:
    """Changes inside JSON: read the rows, change them in Python, write them, in one transaction.

    The same on every database by construction, since it is the definition of the operators itself.
    """
    model = operation.model
    engine.need("updates.json", *(["write.bulk_update"] if most is None else []))
    find = Find(model, model.fields, operation.filter, order=with_key((), model), lock=True)
    values = list(values)
    if most is not None:
        find = evolve(find, limit=Slot(len(values), Integer()))
        values.append(most)
    changed = tuple(dict.fromkeys(item.field for item in operation.assignments))
    reading = await engine.plan(find)
    writing = await engine.plan(UpdateRows(model, model.primary_key, changed))
    rows_statement = writing.compiled.rows
    assert rows_statement is not None
    codecs = [engine.dialect.compiler.codec(item.type).encode for item in rows_statement.columns]
    async with engine.transaction(joins=True) as transaction:
        statement = reading.statement
        stored = statement.decode(
            await transaction.fetch(statement.sql, statement.bind(values), reading.situation)
        )
        if most is not None and len(stored) >= most:
            raise several(operation)
        result = [apply(operation.assignments, row, values) for row in stored]
        for row in result:
            parameters = [
                row[item.name]
                if encode is None or row[item.name] is None
                else encode(row[item.name])
                for item, encode in zip(rows_statement.columns, codecs, strict=True)
            ]
            await transaction.execute(rows_statement.sql(1), parameters, writing.situation)
    return result


def several(operation: Operation) -> MultipleRecordsMatched:
    """The refusal of a change of one row whose filter lets more through."""
    name = operation.model.name
    return MultipleRecordsMatched(
        f"{name}: more than one row matches the filter, and nothing was changed;"
        f" {name}Bulk nodes change many",
        model=name,
        outcome="not done",
    )
