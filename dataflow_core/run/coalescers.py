"""What is coalesced: reads by the primary key, and creates of single rows."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.compile import RowsStatement
from dataflow_core.errors import DataFlowError, NoRowReturned
from dataflow_core.filters.ast import Compare, Membership, Slot
from dataflow_core.operations import Create, Find
from dataflow_core.run.coalescing import ABOUT_ALL, Batch, Call, Coalescer
from dataflow_core.run.inserts import insert, insert_one
from dataflow_core.run.session import or_again
from dataflow_core.schema import Field
from dataflow_core.types import Binary, Enumeration, Json, Text

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine
    from dataflow_core.run.plans import Plan

__all__ = ["coalescer"]

Row = dict[str, Any]

_MOST_KEYS: Final = 500
"""The most keys of one statement that reads."""
_MOST_LENGTH: Final = 1_000_000
"""The most characters and bytes, in fields without a bound, of one statement that writes."""
_LONG: Final = (str, bytes)
_PAUSE: Final = 4
"""After creates that could not share a statement, so many times as many go alone."""


def coalescer(engine: Engine, plan: Plan) -> Coalescer | None:
    """What lets the calls of a plan share statements; ``None``: each goes alone."""
    operation = plan.operation
    # What calls share has one context.
    if not operation.model.coalesce or operation.model.context_fields:
        return None
    if isinstance(operation, Create):
        rows = plan.compiled.rows
        return None if rows is None or rows.most_rows < 2 else Creates(engine, plan, rows)
    if isinstance(operation, Find):
        key = _only_key(operation)
        return None if key is None else Reads(engine, plan, key)
    return None


def _only_key(operation: Find) -> Field | None:
    """The primary key, of one field, if a read finds its row by that and does nothing else."""
    keys = operation.model.primary_key
    if len(keys) != 1 or isinstance(keys[0].type, Json):
        return None
    by_key = Compare(keys[0], "eq", Slot(0, keys[0].type))
    plain = Find(operation.model, operation.columns, by_key)
    return keys[0] if operation == plain else None


class Reads(Coalescer):
    """Reads of rows by the primary key: one list of keys for all."""

    def __init__(self, engine: Engine, plan: Plan, key: Field) -> None:
        super().__init__(engine, plan)
        operation = plan.operation
        assert isinstance(operation, Find)
        self._key = key
        self._hidden = key not in operation.columns
        columns = (*operation.columns, key) if self._hidden else operation.columns
        # A list is of the class of its length: some databases have it in their statement.
        self._finds = [
            Find(operation.model, columns, Membership(key, Slot(0, key.type, 1 << power)))
            for power in range((_MOST_KEYS - 1).bit_length() + 1)
        ]
        kind = key.type.base if isinstance(key.type, Enumeration) else key.type
        self._may_differ = isinstance(kind, Text | Binary)

    @property
    def most(self) -> int:
        """So many that the way to the database no longer counts."""
        return _MOST_KEYS

    def may_divide(self, error: Exception) -> bool:
        """Reading once more does no harm, where anything may come of it."""
        return not isinstance(error, ABOUT_ALL)

    async def alone(self, value: Any) -> Row | None:
        """The row of one key."""
        statement = self.plan.statement
        rows = await self.engine.fetch(self.plan, statement.sql, statement.bind((value,)))
        return statement.decode(rows)[0] if rows else None

    async def together(self, batch: Batch) -> tuple[list[Call], list[Any]]:
        """The row of each key; a key that is asked for twice gives two rows."""
        calls = batch.take()
        if len(calls) < 2:
            return calls, [await self.alone(key) for _, key in calls]
        keys = list(dict.fromkeys([key for _, key in calls]))
        found = await self._find(keys)
        if len(keys) == len(calls):
            return calls, [found.get(key) for key in keys]
        given: set[Any] = set()
        answers: list[Any] = []
        for _, key in calls:
            row = found.get(key)
            answers.append(deepcopy(row) if key in given else row)
            given.add(key)
        return calls, answers

    async def _find(self, keys: list[Any]) -> dict[Any, Row | None]:
        operation, engine, name = self._finds[(len(keys) - 1).bit_length()], self.engine, self._key
        plan = engine.cache.get(operation) or await engine.plan(operation)
        statement = plan.statement
        rows = await engine.fetch(plan, statement.sql, statement.bind((keys,)))
        found: dict[Any, Row | None] = {row[name.name]: row for row in statement.decode(rows)}
        if self._hidden:
            for row in found.values():
                assert row is not None
                del row[name.name]
        if self._may_differ:
            # A table that was not made here may compare texts otherwise: its word counts.
            for key in keys:
                if key not in found:
                    found[key] = await self.alone(key)
        return found


class Creates(Coalescer):
    """Creates of single rows with the same columns: one statement and one commit for all."""

    def __init__(self, engine: Engine, plan: Plan, rows: RowsStatement) -> None:
        super().__init__(engine, plan)
        self._rows = rows
        self._unbounded = [at for at, item in enumerate(self._rows.columns) if _may_be_long(item)]

    def pause(self, calls: int) -> None:
        """Where rows are refused again and again, sharing costs more than it saves."""
        self.pausing = _PAUSE * calls

    @property
    def most(self) -> int:
        """As many rows as the compiler puts into one statement."""
        return self._rows.most_rows

    def fitting(self, values: Sequence[Any]) -> int:
        """Rows with long texts are few: there is an end to what a server takes at once."""
        values, length = values[: self.most], 0
        for at in self._unbounded:
            column = [row[at] for row in values]
            length += sum([len(item) for item in column if isinstance(item, _LONG)])
        if length <= _MOST_LENGTH:
            return self.most
        length = 0
        for count, row in enumerate(values):
            length += sum(len(row[at]) for at in self._unbounded if isinstance(row[at], _LONG))
            if length > _MOST_LENGTH:
                return max(count, 1)
        return self.most

    def may_divide(self, error: Exception) -> bool:
        """Only where it is certain that no row was stored: nothing is ever sent twice."""
        return (
            isinstance(error, DataFlowError)
            and error.outcome == "not done"
            and not isinstance(error, ABOUT_ALL)
        )

    async def alone(self, value: Any) -> Row:
        """The row of one call, as stored."""
        return await insert_one(self.engine, self.plan, value)

    async def together(self, batch: Batch) -> tuple[list[Call], list[Any]]:
        """The rows as stored. They are counted when there is a connection to write them on."""
        engine, plan, returning = self.engine, self.plan, self._rows.returning is not None

        async def once() -> tuple[list[Call], list[Any]]:
            taken = engine.borrowed(writes=True) if returning else engine.together()
            async with taken as runner:
                calls = batch.take()
                stored = await insert(runner, plan, [row for _, row in calls]) if calls else []
            if len(stored) != len(calls):
                raise NoRowReturned(
                    f"{plan.model.name}: {len(stored)} of {len(calls)} rows came back",
                    outcome="unknown",
                )
            return calls, stored

        return await (or_again(once, plan.situation) if returning else once())


def _may_be_long(item: Field) -> bool:
    if isinstance(item.type, Text):
        return item.type.max_length is None
    return isinstance(item.type, Binary | Json)
