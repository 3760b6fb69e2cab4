"""Running upserts: insert a row, or change the one with the same unique key."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final

from dataflow_core.compile import INSERTED, RowWriter
from dataflow_core.errors import (
    ConstraintViolation,
    LimitExceeded,
    MissingParameter,
    UniqueViolation,
)
from dataflow_core.operations import Upsert
from dataflow_core.run.bulk import Written, insert_chunk, keys_of, write_chunks
from dataflow_core.run.chunks import BulkCounts, BulkWrite, Chunk, Row, Rows, at_row
from dataflow_core.run.engine import Engine
from dataflow_core.run.explain import Explanation
from dataflow_core.run.inserts import Parameters, by_key, flat, parameters_of, select
from dataflow_core.run.loads import upsert_staged
from dataflow_core.run.matches import Match, filtered_fields, taken_over
from dataflow_core.run.plans import Plan
from dataflow_core.run.reads import only_row
from dataflow_core.run.transactions import Transaction
from dataflow_core.schema import Field, Index, Model

__all__ = ["WritePart", "match_keys", "upsert_many", "upsert_one", "write_rows"]

Known = Mapping[Parameters | None, dict[str, Any]]
"""Stored rows by the parameters of their ``match`` fields."""

WritePart = Callable[..., Coroutine[Any, Any, Written]]
"""Writes rows of different keys, as ``write_rows`` does."""

_ATTEMPTS: Final = 3
"""How often a single upsert looks for its row; each time, another one may have been quicker."""


async def upsert_many(
    engine: Engine,
    model: Model,
    rows: Rows,
    write: BulkWrite,
    now: dt.datetime,
    *,
    match: Match,
    updates: tuple[Field, ...] | None,
    match_given: bool = True,
    write_part: WritePart | None = None,
) -> BulkCounts:
    """Insert rows, or assign ``updates`` where a row with the same ``match`` fields is stored.

    ``updates`` ``None`` means: every field that the row gives. ``match_given`` demands the
    ``match`` fields of every row; else a row without them is new. ``write_part`` writes rows of
    different keys, and has them given back as stored.
    """

    returning = model.primary_key if write.returning_keys else ()
    if write_part is not None:
        returning = model.fields
    one_part = write_part or write_rows

    async def store(
        transaction: Transaction | Explanation, chunk: Chunk, counts: BulkCounts
    ) -> None:
        if match_given:
            _check_given(model, chunk, match.fields)
        match.check(model, chunk)
        plan = await _upsert_plan(engine, model, chunk.writer, match, updates, returning)
        for part in _without_repeats(chunk, match.fields, last_wins=updates is None):
            inserted = await upsert_staged(transaction, plan, part.rows)
            if inserted is not None:
                counts.inserted += inserted
                continue
            written = await one_part(transaction, plan, part, match.fields)
            counts.inserted += written.count
            if write.returning_keys:
                counts.keys += keys_of(model, written.rows)
        counts.updated = counts.processed + len(chunk.rows) - counts.inserted

    return await write_chunks(engine, model, rows, write, now, store, by_keys=updates is None)


def _check_given(model: Model, chunk: Chunk, match: tuple[Field, ...]) -> None:
    for item in match:
        if item.name not in chunk.writer.given and item.context is None:
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
    match: Match,
    updates: tuple[Field, ...] | None,
    write_part: WritePart | None = None,
) -> tuple[dict[str, Any], bool]:
    """Insert or update one row: the row as stored, and whether it was inserted."""
    await engine.prepare(model)
    writer = engine.writers(model).writer(row)
    chunk = Chunk(0, writer, [writer.write(row, now)])
    match.check_row(model, row)
    plan = await _upsert_plan(engine, model, writer, match, updates, model.fields)
    # Whoever comes second is refused its insert where a stored row is looked up before.
    one_part = write_part or write_rows
    attempts = _ATTEMPTS if plan.compiled.only_inserts and not engine.current_transaction() else 1
    while True:
        attempts -= 1
        try:
            async with engine.transaction(joins=True) as transaction:
                written = await one_part(transaction, plan, chunk, match.fields, again=False)
            return only_row(written.rows, model), written.count == 1
        except UniqueViolation:
            if not attempts:
                raise


async def write_rows(
    transaction: Transaction | Explanation,
    plan: Plan,
    chunk: Chunk,
    match: tuple[Field, ...],
    *,
    again: bool = True,
) -> Written:
    """Write rows of different keys: how many were inserted, and what came back of each."""
    compiled = plan.compiled
    if compiled.only_inserts:
        return await _change_or_insert(transaction, plan, chunk, match, again=again)
    if compiled.newest is not None and compiled.newer is not None:
        situation = plan.situation
        newest = await transaction.fetch(compiled.newest, (), situation)
        written = await insert_chunk(transaction, plan, chunk, count=False)
        newer = await transaction.fetch(compiled.newer, [*chain(*newest)], situation)
        return Written(sum(chain(*newer)), written.rows)
    if compiled.existing is None:
        written = await insert_chunk(transaction, plan, chunk, count=False)
        return Written(sum(row.pop(INSERTED) for row in written.rows), written.rows)
    keys = [key for key in match_keys(chunk, match) if key is not None]
    known = await select(transaction, plan, compiled.existing, keys)
    written = await insert_chunk(transaction, plan, chunk, count=False)
    return Written(len(chunk.rows) - len(known), written.rows)


async def _change_or_insert(
    transaction: Transaction | Explanation,
    plan: Plan,
    chunk: Chunk,
    match: tuple[Field, ...],
    *,
    again: bool,
) -> Written:
    """Insert the rows that are not stored, change the others: each by statements of its own.

    The result is that of writing one row after the other, which is what is done where a row takes
    a unique value that another one had. ``again``: where another transaction stores a row between
    the look and the insert, look again.
    """
    keys = match_keys(chunk, match)
    known = await _stored(transaction, plan, keys)
    if len(keys) > 1 and _takes_over(plan, chunk, keys, known):
        return await _one_by_one(transaction, plan, chunk, match)
    while True:
        savepoint = await transaction.savepoint() if again else None
        try:
            written = await _in_two_steps(transaction, plan, chunk, keys, known)
        except UniqueViolation:
            if savepoint is None:
                raise
            await transaction.roll_back_to(savepoint)
            if len(keys) > 1:
                return await _one_by_one(transaction, plan, chunk, match)
            seen, known = known.keys(), await _stored(transaction, plan, keys)
            if known.keys() == seen:
                raise
            continue
        if savepoint is not None:
            await transaction.release(savepoint)
        return written


async def _one_by_one(
    transaction: Transaction | Explanation, plan: Plan, chunk: Chunk, match: tuple[Field, ...]
) -> Written:
    """Write the rows of a chunk in their order."""
    written = Written()
    for at, row in enumerate(chunk.rows):
        single = Chunk(chunk.index(at), chunk.writer, [row])
        done = await _change_or_insert(transaction, plan, single, match, again=True)
        written.count += done.count
        written.rows += done.rows
    return written


def _takes_over(plan: Plan, chunk: Chunk, keys: Sequence[Parameters | None], known: Known) -> bool:
    """Whether a row has a unique value that another stored row of the chunk has at present."""
    statement = plan.compiled.existing
    assert statement is not None
    assert statement.returning is not None
    encoders = {column.name: column.codec.encode for column in statement.returning.columns}
    positions = {item.name: at for at, item in enumerate(chunk.columns)}
    if any(_enters(plan, index) for index in plan.model.partial_keys):
        return True
    # Values that two rows of a partial index's table may share are looked at no closer.
    partial = (index.columns for index in plan.model.partial_keys)
    for names in (*plan.model.unique_keys, *partial):
        if not positions.keys() >= set(names):
            continue
        owners = {}
        for key, row in known.items():
            values = [row[name] for name in names]
            if None not in values:
                encoded = [
                    row[name] if (encode := encoders[name]) is None else encode(row[name])
                    for name in names
                ]
                owners[tuple(encoded)] = key
        for key, given in zip(keys, chunk.rows, strict=True):
            if owners.get(tuple(given[positions[name]] for name in names), key) != key:
                return True
    return False


def _enters(plan: Plan, index: Index) -> bool:
    """Whether the rows that are changed may come into a partial index by it, or leave it."""
    assert isinstance(plan.operation, Upsert)
    changed = {item.name for item in plan.operation.updates}
    return not changed.isdisjoint(filtered_fields(plan.model, index))


async def _in_two_steps(
    transaction: Transaction | Explanation,
    plan: Plan,
    chunk: Chunk,
    keys: Sequence[Parameters | None],
    known: Known,
) -> Written:
    """Insert the rows that are not known, then change the others."""
    new = [at for at, key in enumerate(keys) if key not in known]
    part = Chunk(
        chunk.start,
        chunk.writer,
        [chunk.rows[at] for at in new],
        [chunk.index(at) for at in new],
    )
    written = await insert_chunk(transaction, plan, part, count=False)
    if isinstance(transaction, Explanation):
        await _change(transaction, plan, chunk, range(len(keys)))
        return written
    stored = [at for at, key in enumerate(keys) if key in known]
    await _change(transaction, plan, chunk, stored)
    if not written.rows and not _gives_rows(plan):
        return Written(len(new))
    after = await _stored(transaction, plan, [keys[at] for at in stored])
    inserted = dict(zip(new, written.rows, strict=False))
    rows = [inserted[at] if at in inserted else after[keys[at]] for at in range(len(keys))]
    return Written(len(new), rows)


def _gives_rows(plan: Plan) -> bool:
    operation = plan.operation
    return isinstance(operation, Upsert) and bool(operation.returning)


async def _change(
    transaction: Transaction | Explanation, plan: Plan, chunk: Chunk, positions: Sequence[int]
) -> None:
    """Change the stored rows."""
    statement = plan.compiled.changes
    if statement is None:
        return
    rows = parameters_of([chunk.rows[at] for at in positions], chunk.columns, statement.columns)
    for at in range(0, len(rows), statement.most_rows):
        part = rows[at : at + statement.most_rows]
        mark = await transaction.mark()
        try:
            await transaction.execute(statement.sql(len(part)), flat(part), plan.situation)
        except LimitExceeded:
            if len(part) == 1:
                raise
            await transaction.undo(mark)
            middle = at + len(part) // 2
            await _change(transaction, plan, chunk, positions[at:middle])
            await _change(transaction, plan, chunk, positions[middle : at + len(part)])
            continue
        except ConstraintViolation as error:
            if len(part) == 1:
                index = chunk.index(positions[at])
                error.index = index
                raise at_row(error, index) from None
            await transaction.undo(mark)
            for position in positions[at : at + len(part)]:
                await _change(transaction, plan, chunk, [position])
            raise
        if mark is not None:
            await transaction.release(mark)


async def _stored(
    transaction: Transaction | Explanation, plan: Plan, keys: Sequence[Parameters | None]
) -> Known:
    """The stored rows by the parameters of their ``match`` fields."""
    statement = plan.compiled.existing
    assert statement is not None
    wanted = [key for key in keys if key is not None]
    return dict(by_key(statement, await select(transaction, plan, statement, wanted)).items())


async def _upsert_plan(
    engine: Engine,
    model: Model,
    writer: RowWriter,
    match: Match,
    updates: tuple[Field, ...] | None,
    returning: tuple[Field, ...],
) -> Plan:
    changed = taken_over(model, writer, match.fields, updates)
    operation = Upsert(model, writer.columns, match.fields, changed, returning, match.among)
    return await engine.plan(operation)


def match_keys(chunk: Chunk, match: tuple[Field, ...]) -> list[Parameters | None]:
    """The parameters of the ``match`` fields of every row; ``None`` for one that is new.

    A NULL equals no other.
    """
    positions = _positions(chunk, match)
    if positions is None:
        return [None] * len(chunk.rows)
    keys = [tuple(row[at] for at in positions) for row in chunk.rows]
    return [None if None in key else key for key in keys]


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
    if positions is None or _all_differ(chunk.rows, positions):
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


def _all_differ(rows: Sequence[Parameters], positions: Sequence[int]) -> bool:
    """Whether no two rows have the same values there; what may be equal is looked at again."""
    keys = list(map(itemgetter(*positions), rows))
    return len(set(keys)) == len(keys)
