"""Writing rows whose changes are recorded: as they were before, as they are afterwards.

Everything happens in one transaction. Rows are read and locked before they change; what changes
many does so in batches by the primary key, so that memory does not grow with their number.
Recorders write too, and may meet where the callers never would: a call of its own is made again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from attrs import define, evolve

from dataflow_core.filters.ast import Always, And, Compare, Predicate, Related, Slot, walk
from dataflow_core.filters.keys import after as behind
from dataflow_core.filters.keys import key_predicate
from dataflow_core.filters.scope import Bindings
from dataflow_core.limits import LIMITS
from dataflow_core.operations import (
    Delete,
    DeleteMany,
    Find,
    Update,
    UpdateMany,
)
from dataflow_core.order import with_key
from dataflow_core.run import writes
from dataflow_core.run.cascades import taken_along
from dataflow_core.run.engine import Engine
from dataflow_core.run.explain import Explanation
from dataflow_core.run.own_transactions import again_where_alone
from dataflow_core.run.reads import find
from dataflow_core.run.recorders import Recorders, failing
from dataflow_core.run.rows_by_key import rows_by_key
from dataflow_core.schema import Model
from dataflow_core.types import Integer

__all__ = ["PAGE_ROWS", "RecordedChanges"]

Row = dict[str, Any]

PAGE_ROWS: Final = 500
"""How many rows are read, changed and told of at a time."""


@define(eq=False)
class RecordedChanges:
    """Changes of single rows, and of all that pass a filter."""

    recorders: Recorders

    @again_where_alone
    async def create(
        self,
        engine: Engine,
        model: Model,
        row: Mapping[str, Any],
        now: dt.datetime,
        *,
        coalesce: bool = True,
    ) -> Row:
        """Insert one row and return it as stored; it shares no statement."""
        await engine.prepare(model)
        async with engine.together():
            stored = await writes.create(engine, model, row, now, coalesce=False)
            await self.recorders.record(engine, model, "insert", after=[stored])
        return stored

    @again_where_alone
    async def update(self, engine: Engine, operation: Update, values: Sequence[Any]) -> Row | None:
        """Change the one row that matches; ``None`` if there is none."""
        model = operation.model
        await engine.prepare(model)
        async with engine.together() as transaction:
            before = await self._only(engine, operation, values)
            if isinstance(transaction, Explanation):
                return await writes.update(engine, operation, values)
            if before is None:
                return None
            by_key = evolve(operation, filter=_key(model, len(values)), unique=True)
            after = await writes.update(engine, by_key, [*values, *_key_of(model, before)])
            with failing(transaction):
                assert after is not None
                await self.recorders.record(engine, model, "update", before=[before], after=[after])
        return after

    @again_where_alone
    async def delete(self, engine: Engine, operation: Delete, values: Sequence[Any]) -> Row | None:
        """Remove the one row that matches and return it as it was; ``None`` if there is none."""
        model = operation.model
        await engine.prepare(model)
        async with engine.together() as transaction:
            before = await self._only(engine, operation, values)
            if isinstance(transaction, Explanation):
                return await writes.delete(engine, operation, values)
            if before is None:
                return None
            await self._note_deletion(engine, model, [before])
            by_key = Delete(model, _key(model, 0), unique=True)
            with failing(transaction):
                return await writes.delete(engine, by_key, _key_of(model, before))

    async def _only(
        self, engine: Engine, operation: Update | Delete, values: Sequence[Any]
    ) -> Row | None:
        """The row that is to be changed, locked; ``MultipleRecordsMatched``."""
        model, limit = operation.model, Slot(len(values), Integer())
        search = Find(model, model.fields, operation.filter, limit=limit, lock=True)
        found = await find(engine, search, [*values, 2], coalesce=False)
        if len(found) > 1:
            raise writes.several(operation)
        return found[0] if found else None

    async def _note_deletion(self, engine: Engine, model: Model, rows: Sequence[Row]) -> None:
        """Tell of rows that are about to be deleted, and of what the database does besides."""
        for taken in await taken_along(engine, model, rows):
            if self.recorders.of(taken.model):
                await self.recorders.record(
                    engine, taken.model, taken.kind, before=taken.before, after=taken.after
                )
        if self.recorders.of(model):
            await self.recorders.record(engine, model, "delete", before=rows)

    @again_where_alone
    async def update_many(
        self, engine: Engine, operation: UpdateMany, values: Sequence[Any]
    ) -> int:
        """Change all rows that match; the number of matches."""
        model, matched = operation.model, 0
        await engine.prepare(model)
        async with engine.transaction(joins=True) as transaction:
            if isinstance(transaction, Explanation):
                return await writes.update_many(engine, operation, values)
            async for before in self._pages(engine, model, operation.filter, values):
                keys = [tuple(_key_of(model, row)) for row in before]
                predicate, bindings = key_predicate(model.primary_key, keys, LIMITS, values)
                page = evolve(operation, filter=predicate)
                await writes.update_many(engine, page, bindings.values)
                after = await rows_by_key(engine, model, keys)
                await self.recorders.record(
                    engine, model, "update", before=before, after=[after[key] for key in keys]
                )
                matched += len(before)
        return matched

    @again_where_alone
    async def delete_many(
        self, engine: Engine, operation: DeleteMany, values: Sequence[Any]
    ) -> int:
        """Remove all rows that match; the number of matches."""
        model, matched = operation.model, 0
        await engine.prepare(model)
        async with engine.transaction(joins=True) as transaction:
            if isinstance(transaction, Explanation):
                return await writes.delete_many(engine, operation, values)
            async for before in self._pages(engine, model, operation.filter, values):
                await self._note_deletion(engine, model, before)
                keys = [tuple(_key_of(model, row)) for row in before]
                predicate, bindings = key_predicate(model.primary_key, keys, LIMITS)
                await writes.delete_many(engine, DeleteMany(model, predicate), bindings.values)
                matched += len(before)
        return matched

    async def _pages(
        self, engine: Engine, model: Model, predicate: Predicate, values: Sequence[Any]
    ) -> AsyncIterator[list[Row]]:
        """The rows that match, locked, page by page."""
        if any(isinstance(node, Related) for node in walk(predicate)):
            # Changing some of them may change which others match: all are those of before.
            async for page in self._pages_of_keys(engine, model, predicate, values):
                yield page
            return
        keys, last = with_key((), model), None
        while True:
            bindings = Bindings(list(values))
            rest = predicate if last is None else _both(predicate, behind(keys, last, bindings))
            limit = bindings.slot(PAGE_ROWS, Integer())
            search = Find(model, model.fields, rest, order=keys, limit=limit, lock=True)
            rows = await find(engine, search, bindings.values, coalesce=False)
            if rows:
                yield rows
            if len(rows) < PAGE_ROWS:
                return
            last = _key_of(model, rows[-1])

    async def _pages_of_keys(
        self, engine: Engine, model: Model, predicate: Predicate, values: Sequence[Any]
    ) -> AsyncIterator[list[Row]]:
        search = Find(model, model.primary_key, predicate, order=with_key((), model), lock=True)
        found = await find(engine, search, list(values), coalesce=False)
        keys = [tuple(_key_of(model, row)) for row in found]
        for at in range(0, len(keys), PAGE_ROWS):
            rows = await rows_by_key(engine, model, keys[at : at + PAGE_ROWS])
            # Cascades of an earlier page may have removed some.
            if rows:
                yield list(rows.values())


def _both(one: Predicate, other: Predicate) -> Predicate:
    return other if one == Always(True) else And((one, other))


def _key(model: Model, first: int) -> Predicate:
    """The row with a key whose values are bound from ``first`` on."""
    items = tuple(
        Compare(item, "eq", Slot(first + at, item.type))
        for at, item in enumerate(model.primary_key)
    )
    return items[0] if len(items) == 1 else And(items)


def _key_of(model: Model, row: Mapping[str, Any]) -> list[Any]:
    return [row[name] for name in model.key_names]
