"""Running what reads: find, count, aggregate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dataflow_core.operations import Aggregate, Count, Find
from dataflow_core.run.engine import Engine
from dataflow_core.run.inserts import only_row

__all__ = ["aggregate", "count", "find", "only_row"]

Row = dict[str, Any]


async def find(
    engine: Engine, operation: Find, values: Sequence[Any], *, coalesce: bool = True
) -> list[Row]:
    """The rows, as dicts of the model's Python values.

    A read by the key may share a statement with others, unless ``coalesce`` is False.
    """
    plan = engine.cache.get(operation) or await engine.plan(operation)
    if coalesce and plan.coalescer is not None:
        shared = plan.coalescer.join(values[0])
        if shared is not None:
            row = await shared
            return [] if row is None else [row]
    statement = plan.statement
    return statement.decode(await engine.fetch(plan, statement.sql, statement.bind(values)))


async def count(engine: Engine, operation: Count, values: Sequence[Any]) -> int:
    """The number of rows."""
    plan = await engine.plan(operation)
    rows = await engine.fetch(plan, plan.statement.sql, plan.statement.bind(values))
    return int(only_row(rows, operation.model)[0])


async def aggregate(engine: Engine, operation: Aggregate, values: Sequence[Any]) -> list[Row]:
    """The rows of a pipeline; of a facet, one row with the rows of each branch."""
    plan = await engine.plan(operation)
    branches = plan.compiled.branches
    if not branches:
        statement = plan.statement
        return statement.decode(await engine.fetch(plan, statement.sql, statement.bind(values)))
    result: Row = {}
    # One transaction, so that every branch sees the same rows.
    async with engine.snapshot() as transaction:
        for name, statement in branches:
            rows = await transaction.fetch(statement.sql, statement.bind(values), plan.situation)
            result[name] = statement.decode(rows)
    return [result]
