"""Running upserts: insert a row, or change the one with the same unique key."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from dataflow_core.compile import RowWriter
from dataflow_core.errors import MissingParameter
from dataflow_core.operations import Upsert
from dataflow_core.run.bulk import flat, insert_chunk, write_chunks
from dataflow_core.run.chunks import BulkCounts, BulkWrite, Chunk, Row, Rows, at_row
from dataflow_core.run.engine import Engine
from dataflow_core.run.explain import Explanation
from dataflow_core.run.plans import Plan
from dataflow_core.run.reads import only_row
from dataflow_core.run.transactions import Transaction
from dataflow_core.schema import Field, Model

__all__ = ["upsert_many", "upsert_one"]


async def upsert_many(
    engine: Engine,
    model: Model,
    rows: Rows,
    write: BulkWrite,
    now: dt.datetime,
    *,
    match: tuple[Field, ...],
    updates: tuple[Field, ...] | None,
    match_given: bool = True,
) -> BulkCounts:
    """Insert rows, or assign ``updates`` where a row with the same ``match`` fields is stored.

    ``updates`` ``None`` means: every field that the row gives. ``match_given`` demands the
    ``match`` fields of every row; else a row without them is new.
    """

    returning = model.primary_key if write.returning_keys else ()

    async def store(
        transaction: Transaction | Explanation, chunk: Chunk, counts: BulkCounts
    ) -> None:
        if match_given:
            _check_given(model, chunk, match)
        plan = await _upsert_plan(engine, model, chunk.writer, match, updates, returning)
        for part in _without_repeats(chunk, match, last_wins=updates is None):
            known = await _count_existing(transaction, plan, _match_keys(part, match))
            await insert_chunk(transaction, plan, part, counts, count=False)
            counts.inserted += len(part.rows) - known
        counts.updated = counts.processed + len(chunk.rows) - counts.inserted

    return await write_chunks(engine, model, rows, write, now, store, by_keys=updates is None)


def _check_given(model: Model, chunk: Chunk, match: tuple[Field, ...]) -> None:
    for item in match:
        if item.name not in chunk.writer.given:
            error = MissingParameter(
                f"{model.name}: {item.name} is missing, by which rows are matched",
                parameter=item.name,
            )
            raise at_row(error, chunk.start)


async def upsert_one(
    engine: Engine,
    model: Model,
    row: Row,
    now: dt.datetime,
    *,
    match: tuple[Field, ...],
    updates: tuple[Field, ...] | None,
) -> tuple[dict[str, Any], bool]:
    """Insert or update one row: the row as stored, and whether it was inserted."""
    await engine.prepare(model)
    writer = engine.writers(model).writer(row)
    chunk = Chunk(0, writer, [writer.write(row, now)])
    plan = await _upsert_plan(engine, model, writer, match, updates, model.fields)
    statement = plan.compiled.rows
    assert statement is not None
    assert statement.returning is not None
    async with engine.transaction() as transaction:
        known = await _count_existing(transaction, plan, _match_keys(chunk, match))
        rows = await transaction.fetch(statement.sql(1), chunk.rows[0], plan.situation)
    return only_row(statement.returning.decode(rows), model), not known


async def _upsert_plan(
    engine: Engine,
    model: Model,
    writer: RowWriter,
    match: tuple[Field, ...],
    updates: tuple[Field, ...] | None,
    returning: tuple[Field, ...],
) -> Plan:
    changed = _updates(model, writer, match, updates)
    return await engine.plan(Upsert(model, writer.columns, match, changed, returning))


def _match_keys(chunk: Chunk, match: tuple[Field, ...]) -> list[tuple[Any, ...]]:
    """The stored values of the ``match`` fields of every row; a NULL equals no other."""
    positions = _positions(chunk, match)
    if positions is None:
        return []
    keys = [tuple(row[at] for at in positions) for row in chunk.rows]
    return [key for key in keys if None not in key]


def _positions(chunk: Chunk, match: tuple[Field, ...]) -> list[int] | None:
    """Where the ``match`` fields are; ``None`` if the database makes one: the rows are new."""
    if not all(item in chunk.columns for item in match):
        return None
    return [chunk.columns.index(item) for item in match]


def _without_repeats(chunk: Chunk, match: tuple[Field, ...], *, last_wins: bool) -> list[Chunk]:
    """The rows of a chunk, cut so that no statement holds a key twice, which one database refuses.

    Where every given field is overwritten, only the last row of a key is sent; else all in turn.
    """
    positions = _positions(chunk, match)
    if positions is None:
        return [chunk]
    parts: list[dict[Any, tuple[int, tuple[Any, ...]]]] = [{}]
    for number, row in enumerate(chunk.rows):
        key = tuple(row[at] for at in positions)
        if None in key:
            parts[-1][number] = (chunk.index(number), row)
            continue
        if key in parts[-1]:
            if last_wins:
                del parts[-1][key]
            else:
                parts.append({})
        parts[-1][key] = (chunk.index(number), row)
    return [
        Chunk(
            chunk.start,
            chunk.writer,
            [row for _, row in part.values()],
            [index for index, _ in part.values()],
        )
        for part in parts
    ]


def _updates(
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
            and not item.primary_key
        )
    return updates + tuple(item for item in model.fields if item.managed == "updated")


async def _count_existing(
    transaction: Transaction | Explanation, plan: Plan, keys: Sequence[tuple[Any, ...]]
) -> int:
    """How many of the keys are stored already."""
    statement = plan.compiled.existing
    assert statement is not None
    known = 0
    for at in range(0, len(keys), statement.most_rows):
        part = keys[at : at + statement.most_rows]
        rows = await transaction.fetch(statement.sql(len(part)), flat(part), plan.situation)
        known += len(rows)
    return known
