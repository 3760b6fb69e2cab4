"""Running what writes many rows: streamed in chunks, all or nothing, memory that does not grow."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from attrs import define, field

from dataflow_core.compile import RowsStatement, RowWriter, WriterCache
from dataflow_core.errors import ConstraintViolation, DataFlowError, InvalidType
from dataflow_core.naming_hints import quoted
from dataflow_core.operations import CreateMany, UpdateRows, Upsert
from dataflow_core.run.engine import Engine
from dataflow_core.run.explain import Explanation
from dataflow_core.run.plans import Plan
from dataflow_core.run.reads import only_row
from dataflow_core.run.transactions import Transaction
from dataflow_core.schema import Field, Model

__all__ = [
    "BulkCounts",
    "BulkWrite",
    "create_many",
    "update_rows",
    "upsert_many",
    "upsert_one",
]

Row = Mapping[str, Any]
Rows = Iterable[Row] | AsyncIterable[Row]
Progress = Callable[[int], object]


@define
class BulkCounts:
    """What a bulk write did. ``keys`` only on request; ``failed`` lists batches that were undone."""

    processed: int = 0
    inserted: int = 0
    updated: int = 0
    skipped: int = 0
    keys: list[Any] = field(factory=list)
    failed: list[dict[str, Any]] = field(factory=list)


@define(frozen=True)
class BulkWrite:
    """How rows are written. ``atomic`` ``batch`` undoes a failed batch only and goes on."""

    batch_size: int = 1_000
    conflict: Literal["error", "skip"] = "error"
    returning_keys: bool = False
    atomic: Literal["all", "batch"] = "all"
    on_progress: Progress | None = None
    shared: Mapping[str, Any] = field(factory=dict)


@define(eq=False)
class _Chunk:
    """Rows of one set of columns, as the driver's parameters; ``start`` is the index of the first."""

    start: int
    writer: RowWriter
    rows: list[tuple[Any, ...]]

    @property
    def columns(self) -> tuple[Field, ...]:
        """The fields of the parameters."""
        return self.writer.columns


async def create_many(
    engine: Engine, model: Model, rows: Rows, write: BulkWrite, now: dt.datetime
) -> BulkCounts:
    """Insert rows. A bad row names its index, and nothing is stored (or nothing of its batch)."""

    def operation(columns: tuple[Field, ...]) -> CreateMany:
        return CreateMany(model, columns, write.conflict, write.returning_keys)

    async def store(
        transaction: Transaction | Explanation, chunk: _Chunk, counts: BulkCounts
    ) -> None:
        plan = await engine.plan(operation(chunk.columns))
        inserted = await _insert(transaction, plan, chunk, counts, count=write.conflict == "skip")
        counts.inserted += inserted
        counts.skipped += len(chunk.rows) - inserted

    return await _write(engine, model, rows, write, now, store)


async def upsert_many(
    engine: Engine,
    model: Model,
    rows: Rows,
    write: BulkWrite,
    now: dt.datetime,
    *,
    match: tuple[Field, ...],
    updates: tuple[Field, ...] | None,
) -> BulkCounts:
    """Insert rows, or assign ``updates`` where a row with the same ``match`` fields is stored.

    ``updates`` ``None`` means: every field that the row gives.
    """

    returning = model.primary_key if write.returning_keys else ()

    async def store(
        transaction: Transaction | Explanation, chunk: _Chunk, counts: BulkCounts
    ) -> None:
        plan = await _upsert_plan(engine, model, chunk.writer, match, updates, returning)
        for part in _without_repeats(chunk, match, last_wins=updates is None):
            known = await _count_existing(transaction, plan, _match_keys(part, match))
            await _insert(transaction, plan, part, counts, count=False)
            counts.inserted += len(part.rows) - known
        counts.updated = counts.processed + len(chunk.rows) - counts.inserted

    return await _write(engine, model, rows, write, now, store, by_keys=updates is None)


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
    chunk = _Chunk(0, writer, [writer.write(row, now)])
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


def _match_keys(chunk: _Chunk, match: tuple[Field, ...]) -> list[tuple[Any, ...]]:
    """The stored values of the ``match`` fields of every row; a NULL equals no other."""
    positions = [chunk.columns.index(item) for item in match]
    keys = [tuple(row[at] for at in positions) for row in chunk.rows]
    return [key for key in keys if None not in key]


def _without_repeats(chunk: _Chunk, match: tuple[Field, ...], *, last_wins: bool) -> list[_Chunk]:
    """The rows of a chunk, cut so that no statement holds a key twice, which one database refuses.

    Where every given field is overwritten, only the last row of a key is sent; else one after the other.
    """
    positions = [chunk.columns.index(item) for item in match]
    parts: list[dict[Any, tuple[Any, ...]]] = [{}]
    for number, row in enumerate(chunk.rows):
        key = tuple(row[at] for at in positions)
        if None in key:
            parts[-1][number] = row
            continue
        if key in parts[-1]:
            if last_wins:
                del parts[-1][key]
            else:
                parts.append({})
        parts[-1][key] = row
    return [_Chunk(chunk.start, chunk.writer, list(part.values())) for part in parts]


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


async def update_rows(engine: Engine, model: Model, rows: Rows, now: dt.datetime) -> int:
    """Set, in the row with the key that each item gives, the other fields that it gives."""
    matched = 0
    index = 0
    async with engine.transaction() as transaction:
        async for row in _each(rows):
            matched += await _update_row(
                engine, transaction, model, _checked(model, row, index), now
            )
            index += 1
    return matched


async def _update_row(
    engine: Engine, transaction: Transaction | Explanation, model: Model, row: Row, now: dt.datetime
) -> int:
    columns = [model.field(name, "the row") for name in row if name not in model.key_names]
    values = {
        item.name: _value(model, item, row[item.name]) for item in (*columns, *model.primary_key)
    }
    for item in model.fields:
        if item.managed == "updated":
            columns.append(item)
            values[item.name] = now
    plan = await engine.plan(UpdateRows(model, model.primary_key, tuple(columns)))
    statement = plan.compiled.rows
    assert statement is not None
    codec = engine.dialect.compiler.codec
    parameters = []
    for item in statement.columns:
        encode, value = codec(item.type).encode, values[item.name]
        parameters.append(value if encode is None or value is None else encode(value))
    return await transaction.execute(statement.sql(1), parameters, plan.situation)


def _value(model: Model, item: Field, value: Any) -> Any:
    where = f"{model.name}.{item.name}"
    if value is None and item.nullable:
        return None
    return item.type.check(value, where)


Store = Callable[[Transaction | Explanation, _Chunk, BulkCounts], Any]


async def _write(
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
    chunks = _chunks(engine.writers(model), model, rows, write, now, by_keys=by_keys)
    if write.atomic == "batch":
        async for chunk in chunks:
            await _store_batch(engine, chunk, counts, store, write)
        return counts
    async with engine.transaction() as transaction:
        async for chunk in chunks:
            await store(transaction, chunk, counts)
            _progress(counts, chunk, write)
    return counts


async def _store_batch(
    engine: Engine, chunk: _Chunk, counts: BulkCounts, store: Store, write: BulkWrite
) -> None:
    tried = BulkCounts()
    try:
        async with engine.transaction() as transaction:
            await store(transaction, chunk, tried)
    except DataFlowError as error:
        end = chunk.start + len(chunk.rows)
        counts.failed.append({"rows": [chunk.start, end], "error": error.to_dict()})
        counts.processed += len(chunk.rows)
        return
    counts.inserted += tried.inserted
    counts.updated += tried.updated
    counts.skipped += tried.skipped
    counts.keys += tried.keys
    _progress(counts, chunk, write)


def _progress(counts: BulkCounts, chunk: _Chunk, write: BulkWrite) -> None:
    counts.processed += len(chunk.rows)
    if write.on_progress is not None:
        write.on_progress(counts.processed)


async def _chunks(
    writers: WriterCache,
    model: Model,
    rows: Rows,
    write: BulkWrite,
    now: dt.datetime,
    *,
    by_keys: bool,
) -> AsyncIterator[_Chunk]:
    """Rows checked and encoded, cut where the columns change or the batch is full.

    ``by_keys``: also where the given keys change, since they decide what an upsert changes.
    """
    chunk: _Chunk | None = None
    index = 0
    known = writers.writers
    async for row in _each(rows):
        checked = _checked(model, row, index)
        if write.shared:
            checked = {**write.shared, **checked}
        try:
            writer = known.get(tuple(checked)) or writers.writer(checked)
            parameters = writer.write(checked, now)
        except DataFlowError as error:
            raise _at_row(error, index) from None
        if chunk is not None and (
            (writer is not chunk.writer and (by_keys or writer.columns != chunk.columns))
            or len(chunk.rows) >= write.batch_size
        ):
            yield chunk
            chunk = None
        if chunk is None:
            chunk = _Chunk(index, writer, [])
        chunk.rows.append(parameters)
        index += 1
    if chunk is not None:
        yield chunk


async def _each(rows: Rows) -> AsyncIterator[Any]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row


def _checked(model: Model, row: Any, index: int) -> Row:
    if not isinstance(row, Mapping):
        raise InvalidType(f"{model.name}: row {index} is a dict, got {quoted(row)}", index=index)
    return row


def _at_row(error: DataFlowError, index: int) -> DataFlowError:
    """The same error, with the row that it is about."""
    error.message = f"row {index}: {error.message}"
    error.context["index"] = index
    error.args = (error.message,)
    return error


async def _insert(
    transaction: Transaction | Explanation,
    plan: Plan,
    chunk: _Chunk,
    counts: BulkCounts,
    *,
    count: bool,
) -> int:
    """Insert the rows of a chunk; the number of rows that the database wrote."""
    statement = plan.compiled.rows
    assert statement is not None
    written = 0
    for at in range(0, len(chunk.rows), statement.most_rows):
        part = chunk.rows[at : at + statement.most_rows]
        sql, flat = statement.sql(len(part)), _flat(part)
        name = await transaction.savepoint()
        try:
            if statement.returning is not None:
                rows = await transaction.fetch(sql, flat, plan.situation)
                counts.keys += _keys(statement, rows)
                written += len(rows)
            elif count:
                written += await transaction.execute(sql, flat, plan.situation)
            else:
                await transaction.fetch(sql, flat, plan.situation)
                written += len(part)
        except ConstraintViolation as error:
            await transaction.roll_back_to(name)
            raise await _with_index(transaction, plan, statement, part, chunk.start + at, error)
        await transaction.release(name)
    return written


def _flat(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [value for row in rows for value in row]


def _keys(statement: RowsStatement, rows: Sequence[Sequence[Any]]) -> list[Any]:
    assert statement.returning is not None
    decoded = statement.returning.decode(rows)
    if len(statement.returning.columns) == 1:
        return [value for row in decoded for value in row.values()]
    return list(decoded)


async def _with_index(
    transaction: Transaction | Explanation,
    plan: Plan,
    statement: RowsStatement,
    rows: Sequence[tuple[Any, ...]],
    start: int,
    error: ConstraintViolation,
) -> DataFlowError:
    """The error of the first row that fails by itself: the rows are sent again, one by one."""
    for offset, row in enumerate(rows):
        try:
            await transaction.fetch(statement.sql(1), row, plan.situation)
        except ConstraintViolation as single:
            single.index = start + offset
            return _at_row(single, start + offset)
    return error


async def _count_existing(
    transaction: Transaction | Explanation, plan: Plan, keys: Sequence[tuple[Any, ...]]
) -> int:
    """How many of the keys are stored already."""
    statement = plan.compiled.existing
    assert statement is not None
    known = 0
    for at in range(0, len(keys), statement.most_rows):
        part = keys[at : at + statement.most_rows]
        rows = await transaction.fetch(statement.sql(len(part)), _flat(part), plan.situation)
        known += len(rows)
    return known
