"""Inserting rows and reading them back, whether or not the database gives back what it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from dataflow_core.compile import RowsStatement
from dataflow_core.errors import NoRowReturned
from dataflow_core.run.explain import Explanation
from dataflow_core.run.pipelines import fetch_together
from dataflow_core.run.plans import Plan
from dataflow_core.run.session import Session
from dataflow_core.run.transactions import Transaction
from dataflow_core.schema import Field, Model

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine

__all__ = [
    "Parameters",
    "by_key",
    "flat",
    "insert",
    "insert_one",
    "keys_in",
    "only_row",
    "parameters_of",
    "reads_back",
    "select",
]

T = TypeVar("T")

Parameters = tuple[Any, ...]
Row = dict[str, Any]


def flat(rows: Sequence[Parameters]) -> list[Any]:
    """The parameters of several rows, one after the other."""
    return list(chain.from_iterable(rows))


def reads_back(plan: Plan) -> bool:
    """Whether an insert needs a second statement to give back what it wrote."""
    return plan.compiled.written is not None or plan.compiled.generated is not None


def only_row(rows: Sequence[T], model: Model) -> T:
    """The row that a statement always returns; ``NoRowReturned`` where it did not."""
    if not rows:
        raise NoRowReturned(f"{model.name}: the database returned no row", outcome="unknown")
    return rows[0]


async def insert_one(engine: Engine, plan: Plan, row: Parameters) -> Row:
    """Insert one row; the row as stored."""
    rows = plan.compiled.rows
    assert rows is not None
    if rows.returning is not None:
        stored = await engine.fetch(plan, rows.sql(1), row)
        return only_row(rows.returning.decode(stored), plan.model)
    reading = plan.compiled.generated or plan.compiled.written
    assert reading is not None
    assert reading.returning is not None
    [key] = parameters_of([row], rows.columns, reading.columns)
    both = await fetch_together(engine, plan, [(rows.sql(1), row), (reading.sql(1), key)])
    if both is not None:
        return only_row(reading.returning.decode(both), plan.model)
    async with engine.together() as transaction:
        return only_row(await insert(transaction, plan, [row]), plan.model)


async def insert(
    transaction: Transaction | Explanation | Session, plan: Plan, rows: Sequence[Parameters]
) -> list[Row]:
    """Insert rows by one statement; what the operation asked to have back, row by row."""
    compiled = plan.compiled
    statement = compiled.rows
    assert statement is not None
    stored = await transaction.fetch(statement.sql(len(rows)), flat(rows), plan.situation)
    if statement.returning is not None:
        return statement.returning.decode(stored)
    if compiled.generated is not None:
        reading = compiled.generated
        assert reading.returning is not None
        found = await transaction.fetch(reading.sql(len(rows)), (), plan.situation)
        return reading.returning.decode(found)
    if compiled.written is not None:
        keys = parameters_of(rows, statement.columns, compiled.written.columns)
        known = by_key(compiled.written, await select(transaction, plan, compiled.written, keys))
        return [known[key] for key in keys if key in known]
    return []


def parameters_of(
    rows: Sequence[Parameters], columns: Sequence[Field], wanted: Sequence[Field]
) -> list[Parameters]:
    """Of every row of parameters, those of some of its columns."""
    positions = [columns.index(item) for item in wanted]
    return [tuple(row[at] for at in positions) for row in rows]


def by_key(statement: RowsStatement, rows: Sequence[Row]) -> dict[Parameters, Row]:
    """Rows that a statement found, by the parameters that it found them by."""
    return dict(zip(keys_in(statement, rows), rows, strict=True))


def keys_in(statement: RowsStatement, rows: Sequence[Row]) -> list[Parameters]:
    """The parameters by which a statement finds each of these rows."""
    assert statement.returning is not None
    encoders = {column.name: column.codec.encode for column in statement.returning.columns}
    keys = [(item.name, encoders[item.name]) for item in statement.columns]
    return [
        tuple(
            row[name] if encode is None or row[name] is None else encode(row[name])
            for name, encode in keys
        )
        for row in rows
    ]


async def select(
    transaction: Transaction | Explanation | Session,
    plan: Plan,
    statement: RowsStatement,
    keys: Sequence[Parameters],
) -> list[Row]:
    """The rows that a statement finds by their keys, by as many statements as it takes."""
    assert statement.returning is not None
    found: list[Row] = []
    for at in range(0, len(keys), statement.most_rows):
        part = keys[at : at + statement.most_rows]
        rows = await transaction.fetch(statement.sql(len(part)), flat(part), plan.situation)
        found += statement.returning.decode(rows)
    return found
