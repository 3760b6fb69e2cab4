"""Running what writes many rows: streamed in chunks, all or nothing, memory that does not grow."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

from attrs import define, field

from dataflow_core.errors import (
    ConstraintViolation,
    DataFlowError,
    InstanceClosed,
    LimitExceeded,
    UniqueViolation,
)
from dataflow_core.operations import CreateMany
from dataflow_core.run.chunks import (
    BulkCounts,
    BulkWrite,
    Chunk,
    Rows,
    at_row,
    batches,
    chunks,
)
from dataflow_core.run.engine import Engine
from dataflow_core.run.explain import Explanation
from dataflow_core.run.inserts import Parameters, flat, insert, reads_back
from dataflow_core.run.loads import load_rows
from dataflow_core.run.plans import Plan
from dataflow_core.run.transactions import Transaction
from dataflow_core.schema import Field, Model

__all__ = ["Written", "create_many", "insert_chunk", "keys_of", "write_chunks"]


async def create_many(
    engine: Engine, model: Model, rows: Rows, write: BulkWrite, now: dt.datetime
) -> BulkCounts:
    """Insert rows. A bad row names its index, and nothing is stored (or nothing of its batch)."""

    def operation(columns: tuple[Field, ...]) -> CreateMany:
        return CreateMany(model, columns, write.conflict, write.returning_keys)

    async def store(
        transaction: Transaction | Explanation, chunk: Chunk, counts: BulkCounts
    ) -> None:
        plan = await engine.plan(operation(chunk.columns))
        written = await insert_chunk(transaction, plan, chunk, count=write.conflict == "skip")
        counts.keys += keys_of(plan.model, written.rows)
        counts.inserted += written.count
        counts.skipped += len(chunk.rows) - written.count

    return await write_chunks(engine, model, rows, write, now, store)


_BATCH_ROWS: Final = 1_000

Store = Callable[[Transaction | Explanation, Chunk, BulkCounts], Coroutine[Any, Any, None]]
"""Writes a chunk and counts what it did."""


async def write_chunks(
    engine: Engine,
    model: Model,
    rows: Rows,
    write: BulkWrite,
    now: dt.datetime,
    store: Store,
    *,
    by_keys: bool = False,
) -> BulkCounts:
    """Send the rows in chunks: in one transaction, or in one for every batch."""
    await engine.prepare(model)
    counts = BulkCounts()
    size = write.batch_size or engine.dialect.compiler.rows_at_once
    if write.atomic == "batch":
        async for batch in batches(rows, write.batch_size or _BATCH_ROWS):
            start = counts.processed
            arriving = chunks(
                engine.writers(model), model, batch, write, now, size, by_keys=by_keys, index=start
            )
            await _store_batch(engine, arriving, counts, store, [start, start + len(batch)])
            await _progress(counts, len(batch), write)
        return counts
    arriving = chunks(engine.writers(model), model, rows, write, now, size, by_keys=by_keys)
    async with engine.transaction(joins=True) as transaction:
        writing: asyncio.Task[None] | None = None
        try:
            async for chunk in arriving:
                # The database writes one chunk while the next is checked and encoded.
                if writing is not None:
                    await writing
                writing = asyncio.create_task(_store(transaction, chunk, counts, store, write))
                await asyncio.sleep(0)
            if writing is not None:
                await writing
        except BaseException as error:
            if writing is not None:
                await _end(writing, error)
            raise
    return counts


async def _end(writing: asyncio.Task[None], error: BaseException) -> None:
    """End what is being written; where it fails too, its rows came first, so its error counts."""
    if not isinstance(error, Exception):
        writing.cancel()
    await asyncio.wait([writing])
    if not writing.cancelled() and (earlier := writing.exception()) not in (None, error):
        assert earlier is not None
        raise earlier from None


async def _store(
    transaction: Transaction | Explanation,
    chunk: Chunk,
    counts: BulkCounts,
    store: Store,
    write: BulkWrite,
) -> None:
    await store(transaction, chunk, counts)
    await _progress(counts, len(chunk.rows), write)


async def _store_batch(
    engine: Engine,
    arriving: AsyncIterator[Chunk],
    counts: BulkCounts,
    store: Store,
    rows: list[int],
) -> None:
    """Write one batch, or note that it was undone. ``rows``: where it begins and ends."""
    tried = BulkCounts()
    try:
        async with engine.transaction(joins=True) as transaction:
            async for chunk in arriving:
                await store(transaction, chunk, tried)
                tried.processed += len(chunk.rows)
    except InstanceClosed:
        raise
    except DataFlowError as error:
        counts.failed.append({"rows": rows, "error": error.to_dict()})
        return
    counts.inserted += tried.inserted
    counts.updated += tried.updated
    counts.skipped += tried.skipped
    counts.keys += tried.keys


async def _progress(counts: BulkCounts, rows: int, write: BulkWrite) -> None:
    counts.processed += rows
    if write.on_progress is not None:
        told = write.on_progress(counts.processed)
        if isinstance(told, Awaitable):
            await told


@define
class Written:
    """What a chunk did: how many rows were written, and what came back of each."""

    count: int = 0
    rows: list[dict[str, Any]] = field(factory=list)


async def insert_chunk(
    transaction: Transaction | Explanation, plan: Plan, chunk: Chunk, *, count: bool
) -> Written:
    """Insert the rows of a chunk. ``count``: rows may be left out, so ask how many were written."""
    statement = plan.compiled.rows
    assert statement is not None
    written = Written()
    if await load_rows(transaction, plan, chunk.rows):
        written.count = len(chunk.rows)
        return written
    for at in range(0, len(chunk.rows), statement.most_rows):
        end = min(at + statement.most_rows, len(chunk.rows))
        await _insert_part(transaction, plan, chunk, range(at, end), written, count=count)
    return written


async def _insert_part(
    transaction: Transaction | Explanation,
    plan: Plan,
    chunk: Chunk,
    place: range,
    written: Written,
    *,
    count: bool,
) -> None:
    """Insert some rows of a chunk by one statement; by several where that would be too long."""
    statement, at, part = plan.compiled.rows, place.start, chunk.rows[place.start : place.stop]
    assert statement is not None
    mark = await transaction.mark()
    try:
        if statement.returning is not None or reads_back(plan):
            rows = await insert(transaction, plan, part)
            written.rows += rows
            written.count += len(rows)
        elif count and plan.compiled.skips:
            written.count += await transaction.execute(
                statement.sql(len(part)), flat(part), plan.situation
            )
        else:
            await insert(transaction, plan, part)
            written.count += len(part)
    except LimitExceeded:
        if len(part) == 1:
            raise
        await transaction.undo(mark)
        for half in (place[: len(part) // 2], place[len(part) // 2 :]):
            await _insert_part(transaction, plan, chunk, half, written, count=count)
    except ConstraintViolation as error:
        await transaction.undo(mark)
        if not transaction.recovers:
            if await transaction.again():
                raise await _with_index(transaction, plan, chunk, at, part, error) from None
            raise
        if plan.compiled.skips or not isinstance(error, UniqueViolation):
            raise await _with_index(transaction, plan, chunk, at, part, error) from None
        await _insert_each(transaction, plan, chunk, at, part, written)
    else:
        if mark is not None:
            await transaction.release(mark)


async def _insert_each(
    transaction: Transaction | Explanation,
    plan: Plan,
    chunk: Chunk,
    at: int,
    rows: Sequence[Parameters],
    written: Written,
) -> None:
    """Insert rows one by one and leave out those whose unique key is stored already."""
    for offset, row in enumerate(rows):
        mark = await transaction.mark()
        try:
            written.rows += await insert(transaction, plan, [row])
            written.count += 1
        except UniqueViolation:
            await transaction.undo(mark)
            continue
        except ConstraintViolation as error:
            error.index = chunk.index(at + offset)
            raise at_row(error, error.index) from None
        if mark is not None:
            await transaction.release(mark)


def keys_of(model: Model, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The keys of rows: plain values, or dicts where the key has several fields."""
    names = [item.name for item in model.given_key]
    if len(names) == 1:
        return [row[names[0]] for row in rows]
    return [{name: row[name] for name in names} for row in rows]


async def _with_index(
    transaction: Transaction | Explanation,
    plan: Plan,
    chunk: Chunk,
    at: int,
    rows: Sequence[Parameters],
    error: ConstraintViolation,
) -> DataFlowError:
    """The error of the first row that fails by itself: the rows are sent again, one by one."""
    statement = plan.compiled.rows
    assert statement is not None
    for offset, row in enumerate(rows):
        try:
            await transaction.fetch(statement.sql(1), row, plan.situation)
        except ConstraintViolation as single:
            single.index = chunk.index(at + offset)
            return at_row(single, single.index)
    return error
