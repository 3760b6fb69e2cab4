"""Rows on their way in: checked, encoded and cut into chunks, one row at a time."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final, Literal

from attrs import define, field

from dataflow_core.compile import RowWriter, WriterCache
from dataflow_core.errors import ConflictingParameters, DataFlowError, InvalidType
from dataflow_core.naming_hints import quoted
from dataflow_core.schema import Field, Model

__all__ = [
    "BulkCounts",
    "BulkWrite",
    "Chunk",
    "Row",
    "Rows",
    "at_row",
    "batches",
    "checked_row",
    "chunks",
    "each_row",
]

Row = Mapping[str, Any]
Rows = Iterable[Row] | AsyncIterable[Row]
Progress = Callable[[int], object]


_ROWS_AT_ONCE: Final = 500
"""How many rows are checked and encoded before others have a turn."""
_FIRST_ROWS: Final = 2_000
_HEAVY: Final = 8_000_000
"""So many bytes are sent on, though there could be more rows: memory must not grow with them."""


@define
class BulkCounts:
    """What a bulk write did. ``keys`` on request; ``failed`` lists batches that were undone."""

    processed: int = 0
    inserted: int = 0
    updated: int = 0
    skipped: int = 0
    keys: list[Any] = field(factory=list)
    failed: list[dict[str, Any]] = field(factory=list)


@define(frozen=True)
class BulkWrite:
    """How rows are written. ``atomic`` ``batch`` undoes a failed batch only and goes on.

    ``batch_size`` ``None`` leaves it to the dialect how many rows are made ready at a time.
    """

    batch_size: int | None = None
    conflict: Literal["error", "skip"] = "error"
    returning_keys: bool = False
    atomic: Literal["all", "batch"] = "all"
    on_progress: Progress | None = None
    shared: Mapping[str, Any] = field(factory=dict)


@define(eq=False)
class Chunk:
    """Rows of one set of columns, as the driver's parameters; ``start``: the index of the first.

    ``indexes`` has the index of every row where they do not simply follow each other.
    """

    start: int
    writer: RowWriter
    rows: list[tuple[Any, ...]]
    indexes: list[int] | None = None

    @property
    def columns(self) -> tuple[Field, ...]:
        """The fields of the parameters."""
        return self.writer.columns

    def index(self, position: int) -> int:
        """The index, among all rows of the call, of the row at a position."""
        return self.start + position if self.indexes is None else self.indexes[position]


async def chunks(
    writers: WriterCache,
    model: Model,
    rows: Rows,
    write: BulkWrite,
    now: dt.datetime,
    most: int,
    *,
    by_keys: bool,
    index: int = 0,
) -> AsyncIterator[Chunk]:
    """Rows checked and encoded, cut where the columns change or there are ``most`` of them.

    The first chunks are smaller, so that the database soon has something to do.

    ``by_keys``: also where the given keys change, since they decide what an upsert changes.
    ``index`` is that of the first row.
    """
    chunk: Chunk | None = None
    size = min(_FIRST_ROWS, most)
    known = writers.writers
    async for piece in batches(rows, _ROWS_AT_ONCE):
        # What was sent before goes on its way meanwhile.
        await asyncio.sleep(0)
        if chunk is not None and _weight(chunk) > _HEAVY:
            yield chunk
            chunk = None
        position = 0
        while position < len(piece):
            if chunk is not None and not write.shared:
                alike = _write_alike(chunk, piece, position, size, now)
                position, index = position + alike, index + alike
                if position == len(piece):
                    break
            row = checked_row(model, piece[position], index)
            if write.shared:
                row = _with_shared(write.shared, row, model, index)
            try:
                writer = known.get(tuple(row)) or writers.writer(row)
                parameters = writer.write(row, now)
            except DataFlowError as error:
                raise at_row(error, index) from None
            if chunk is not None and (
                (writer is not chunk.writer and _differ(writer, chunk.writer, by_keys=by_keys))
                or len(chunk.rows) >= size
            ):
                yield chunk
                chunk, size = None, min(2 * size, most)
            if chunk is None:
                chunk = Chunk(index, writer, [])
            chunk.rows.append(parameters)
            position, index = position + 1, index + 1
    if chunk is not None:
        yield chunk


def _weight(chunk: Chunk) -> int:
    """About how many bytes the texts of a chunk have, if all rows are like the last."""
    texts = (value for value in chunk.rows[-1] if isinstance(value, str | bytes))
    return sum(map(len, texts)) * len(chunk.rows)


def _write_alike(
    chunk: Chunk, piece: Sequence[Any], position: int, size: int, now: dt.datetime
) -> int:
    """Add the rows that have the keys of the chunk's and nothing wrong; how many they are."""
    before = len(chunk.rows)
    rows = piece[position : position + size - before]
    # Whatever it is, it comes again, and with its index, when the row is written by itself.
    with suppress(KeyError, DataFlowError):
        chunk.writer.write_many(rows, now, chunk.rows)
    return len(chunk.rows) - before


def _differ(one: RowWriter, other: RowWriter, *, by_keys: bool) -> bool:
    """Whether the rows of two writers cannot go into one statement."""
    return one.columns != other.columns or (by_keys and one.given != other.given)


def _with_shared(shared: Row, row: Row, model: Model, index: int) -> Row:
    twice = shared.keys() & row.keys()
    if twice:
        error = ConflictingParameters(f"{model.name}: {min(twice)} is given for all rows, and here")
        raise at_row(error, index)
    return {**shared, **row}


async def batches(rows: Rows, size: int) -> AsyncIterator[list[Any]]:
    """The rows, not yet checked, so many at a time."""
    if not isinstance(rows, AsyncIterable):
        arriving = iter(rows)
        while batch := list(islice(arriving, size)):
            yield batch
        return
    batch = []
    async for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


async def each_row(rows: Rows) -> AsyncIterator[Any]:
    """The rows of an iterable of either kind."""
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row


def checked_row(model: Model, row: Any, index: int) -> Row:
    """The row, if it is a dict."""
    if not isinstance(row, Mapping):
        raise InvalidType(f"{model.name}: row {index} is a dict, got {quoted(row)}", index=index)
    return row


def at_row(error: DataFlowError, index: int) -> DataFlowError:
    """The same error, with the row that it is about."""
    error.message = f"row {index}: {error.message}"
    error.context["index"] = index
    error.args = (error.message,)
    return error
