"""Writing many given rows whose changes are recorded: bulk create, upserts, updates by key."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from attrs import define

from dataflow_core.compile import RowWriter
from dataflow_core.compile.codegen import make_values
from dataflow_core.contract import RowChanges
from dataflow_core.errors import DataFlowError, TransactionFailed
from dataflow_core.filters.ast import EVERYTHING
from dataflow_core.operations import CreateMany, Upsert
from dataflow_core.run import row_updates, upserts
from dataflow_core.run.bulk import Written, insert_chunk, keys_of, write_chunks
from dataflow_core.run.chunks import BulkCounts, BulkWrite, Chunk, Rows, each_row
from dataflow_core.run.engine import Engine
from dataflow_core.run.explain import Explanation
from dataflow_core.run.inserts import Parameters
from dataflow_core.run.loads import tried
from dataflow_core.run.matches import Match
from dataflow_core.run.own_transactions import again_where_alone
from dataflow_core.run.plans import Plan
from dataflow_core.run.recorded import PAGE_ROWS, RecordedChanges
from dataflow_core.run.rows_by_key import rows_by_key, rows_by_parameters
from dataflow_core.run.transactions import Transaction
from dataflow_core.schema import Field, Model

__all__ = ["RecordedWriting"]

_MANY: Final = 100
"""From how many rows on keys are asked for before."""
_ATTEMPTS: Final = 5
"""How often rows are looked for that others insert between the look and the upsert."""


@define(eq=False)
class RecordedWriting(RecordedChanges):
    """Everything that writes rows of a model, with its changes told to the model's recorders."""

    @again_where_alone
    async def create_many(
        self, engine: Engine, model: Model, rows: Rows, write: BulkWrite, now: dt.datetime
    ) -> BulkCounts:
        """Insert rows. A bad row names its index, and nothing is stored (or nothing of its batch).

        What was sent is what is stored, so only what the database makes is read back, unless rows
        are left out.
        """

        async def store(
            transaction: Transaction | Explanation, chunk: Chunk, counts: BulkCounts
        ) -> None:
            if write.conflict == "error":
                chunk = await _with_keys(engine, transaction, model, chunk)
            whole = write.conflict == "skip" or not _is_known(engine, model, chunk.columns)
            made = tuple(item for item in model.primary_key if item not in chunk.columns)
            operation = CreateMany(
                model,
                chunk.columns,
                write.conflict,
                returning_keys=not whole and bool(made),
                returning_rows=whole,
            )
            plan = await engine.plan(operation)
            written = await insert_chunk(transaction, plan, chunk, count=False)
            counts.inserted += written.count
            counts.skipped += len(chunk.rows) - written.count
            if isinstance(transaction, Explanation):
                return
            if whole:
                await self.recorders.record(engine, model, "insert", after=written.rows)
                keys = keys_of(model, written.rows) if write.returning_keys else []
            else:
                sent = _sent(engine, model, chunk, made, written.rows)
                await self.recorders.tell(engine, sent)
                keys = _keys(sent) if write.returning_keys else []
            counts.keys += keys

        return await write_chunks(engine, model, rows, write, now, store)

    @again_where_alone
    async def upsert_many(
        self,
        engine: Engine,
        model: Model,
        rows: Rows,
        write: BulkWrite,
        now: dt.datetime,
        *,
        match: Match,
        updates: tuple[Field, ...] | None,
        match_given: bool = True,
    ) -> BulkCounts:
        """Insert rows, or assign ``updates`` where a row with the same ``match`` is stored."""
        return await upserts.upsert_many(
            engine,
            model,
            rows,
            write,
            now,
            match=match,
            updates=updates,
            match_given=match_given,
            write_part=self._part_of(engine),
        )

    @again_where_alone
    async def upsert_one(
        self,
        engine: Engine,
        model: Model,
        row: Mapping[str, Any],
        now: dt.datetime,
        *,
        match: Match,
        updates: tuple[Field, ...] | None,
    ) -> tuple[dict[str, Any], bool]:
        """Insert or update one row: the row as stored, and whether it was inserted."""
        return await upserts.upsert_one(
            engine, model, row, now, match=match, updates=updates, write_part=self._part_of(engine)
        )

    def _part_of(self, engine: Engine) -> upserts.WritePart:
        async def write_part(
            transaction: Transaction | Explanation,
            plan: Plan,
            chunk: Chunk,
            match: tuple[Field, ...],
            *,
            again: bool = True,
        ) -> Written:
            return await self._upsert(engine, transaction, plan, chunk, match, again=again)

        return write_part

    async def _upsert(
        self,
        engine: Engine,
        transaction: Transaction | Explanation,
        plan: Plan,
        chunk: Chunk,
        match: tuple[Field, ...],
        *,
        again: bool,
    ) -> Written:
        """Write rows of different keys, which are looked up before."""
        model, keys = plan.model, upserts.match_keys(chunk, match)
        asked = [key for key in keys if key is not None]
        among = plan.operation.among if isinstance(plan.operation, Upsert) else EVERYTHING
        for _ in range(_ATTEMPTS):
            before = await rows_by_parameters(engine, model, match, asked, among)
            savepoint = await transaction.savepoint() if transaction.has_savepoints else None
            written = await upserts.write_rows(transaction, plan, chunk, match, again=again)
            if isinstance(transaction, Explanation):
                return written
            if written.count == len(chunk.rows) - len(before):
                if savepoint is not None:
                    await transaction.release(savepoint)
                await self._tell_of_upsert(engine, model, before, written.rows)
                return written
            if savepoint is None:
                break
            # Somebody stored a row between the look and the write: it can be seen and locked now.
            await transaction.roll_back_to(savepoint)
        error = TransactionFailed(
            f"{model.name}: others store the same rows all the time, so what they were before"
            " cannot be told",
            outcome="not done",
        )
        if isinstance(transaction, Transaction) and transaction.failed is None:
            transaction.failed = error
        raise error

    async def _tell_of_upsert(
        self,
        engine: Engine,
        model: Model,
        before: Mapping[Parameters, Mapping[str, Any]],
        rows: Sequence[dict[str, Any]],
    ) -> None:
        stored = {_key(model, row): row for row in before.values()}
        new = [row for row in rows if _key(model, row) not in stored]
        changed = [row for row in rows if _key(model, row) in stored]
        old = [stored[_key(model, row)] for row in changed]
        await self.recorders.record(engine, model, "update", before=old, after=changed)
        await self.recorders.record(engine, model, "insert", after=new)

    @again_where_alone
    async def update_rows(self, engine: Engine, model: Model, rows: Rows, now: dt.datetime) -> int:
        """Set, in the row with the key that each item gives, the other fields that it gives."""
        matched = index = 0
        await engine.prepare(model)
        async with engine.transaction(joins=True) as transaction:
            async for part, keys in _parts(model, rows):
                before = await rows_by_key(engine, model, keys)
                matched += await row_updates.update_rows(engine, model, part, now, first=index)
                index += len(part)
                if isinstance(transaction, Explanation):
                    continue
                after = await rows_by_key(engine, model, list(before))
                await self.recorders.record(
                    engine,
                    model,
                    "update",
                    before=list(before.values()),
                    after=[after[key] for key in before],
                )
        return matched


async def _with_keys(
    engine: Engine, transaction: Transaction | Explanation, model: Model, chunk: Chunk
) -> Chunk:
    """The chunk with keys that the database has given before, where it can: none comes back then.

    So many rows may go by a quicker way than INSERT.
    """
    made = [item for item in model.primary_key if item not in chunk.columns]
    if not made or len(chunk.rows) < _MANY or len(model.primary_key) > 1:
        return chunk
    plan = await engine.plan(CreateMany(model, chunk.columns))
    sql = plan.compiled.reserve
    if sql is None or isinstance(transaction, Explanation):
        return chunk
    count, situation = (len(chunk.rows),), plan.situation
    # Who may insert need not be allowed to count; the keys then come back of the insert.
    keys = await tried(transaction, lambda alone: alone.fetch(sql, count, situation))
    if keys is None or len(keys) != len(chunk.rows) or not isinstance(keys[-1][0], int):
        return chunk
    at, columns, writer = model.fields.index(made[0]), chunk.columns, chunk.writer
    rows = [(*row[:at], key, *row[at:]) for row, (key,) in zip(chunk.rows, keys, strict=True)]
    with_key = RowWriter(
        (*columns[:at], made[0], *columns[at:]), writer.given, writer.write, writer.write_many
    )
    return Chunk(chunk.start, with_key, rows, chunk.indexes)


def _is_known(engine: Engine, model: Model, columns: tuple[Field, ...]) -> bool:
    """Whether what is stored is known from what is sent, but for a key that the database makes."""
    codec = engine.dialect.compiler.codec
    return all(
        item.type.storage is None and codec(item.type).restores
        if item in columns
        else item.primary_key
        for item in model.fields
    )


def _sent(
    engine: Engine,
    model: Model,
    chunk: Chunk,
    made: tuple[Field, ...],
    keys: Sequence[Mapping[str, Any]],
) -> RowChanges:
    """Rows as they were sent, with the keys that the database has made."""
    columns = chunk.columns
    rows: Sequence[tuple[Any, ...]] = chunk.rows
    codecs = [engine.dialect.compiler.codec(item.type) for item in columns]
    if any(codec.restore is not None for codec in codecs):
        rows = make_values(codecs)(rows)
    names = tuple(item.name for item in columns)
    if made:
        [key] = made
        at, name = model.fields.index(key), key.name
        rows = [(*row[:at], back[name], *row[at:]) for row, back in zip(rows, keys, strict=True)]
        names = (*names[:at], name, *names[at:])
    return RowChanges(model, "insert", names, None, rows)


def _keys(changes: RowChanges) -> list[Any]:
    assert changes.after is not None
    names = [item.name for item in changes.model.given_key]
    places = [changes.names.index(name) for name in names]
    if len(places) == 1:
        return [row[places[0]] for row in changes.after]
    return [
        {name: row[at] for name, at in zip(names, places, strict=True)} for row in changes.after
    ]


def _key(model: Model, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in model.key_names)


async def _parts(
    model: Model, rows: Rows
) -> AsyncIterator[tuple[list[Any], list[tuple[Any, ...]]]]:
    """The rows in parts without a key twice, with the keys; what is no row has none."""
    part: list[Any] = []
    keys: dict[tuple[Any, ...], None] = {}
    async for row in each_row(rows):
        key = _given_key(model, row)
        if len(part) >= PAGE_ROWS or key in keys:
            yield part, list(keys)
            part, keys = [], {}
        part.append(row)
        if key is not None:
            keys[key] = None
    if part:
        yield part, list(keys)


def _given_key(model: Model, row: Any) -> tuple[Any, ...] | None:
    """The key of a row; ``None`` where it is refused when the row is written."""
    if not isinstance(row, Mapping) or any(item.name not in row for item in model.given_key):
        return None
    try:
        return tuple(
            item.context.read()
            if item.context is not None and item.name not in row
            else item.type.check(row[item.name], f"{model.name}.{item.name}")
            for item in model.primary_key
        )
    except DataFlowError:
        return None
