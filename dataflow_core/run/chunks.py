"""Rows on their way in: checked, encoded and cut into chunks, one row at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Final, Literal

from attrs import define, field

from dataflow_core.compile import RowWriter, WriterCache
from dataflow_core.errors import DataFlowError, InvalidType
from dataflow_core.naming_hints import quoted
from dataflow_core.schema import Field, Model

__all__ = [
    "BulkCounts",
    "BulkWrite",
    "Chunk",
    "Row",
    "Rows",
    "at_row",
    "checked_row",
    "chunks",
    "each_row",
]

Row = Mapping[str, Any]
Rows = Iterable[Row] | AsyncIterable[Row]
Progress = Callable[[int], object]


CHUNK_ROWS: Final = 500


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
    """How rows are written. ``atomic`` ``batch`` undoes a failed batch only and goes on."""

    batch_size: int = 1_000
    conflict: Literal["error", "skip"] = "error"
    returning_keys: bool = False
    atomic: Literal["all", "batch"] = "all"
    on_progress: Progress | None = None
    shared: Mapping[str, Any] = field(factory=dict)


@define(eq=False)
class Chunk:
    """Rows of one set of columns, as the driver's parameters; ``start``: the index of the first."""

    start: int
    writer: RowWriter
    rows: list[tuple[Any, ...]]

    @property
    def columns(self) -> tuple[Field, ...]:
        """The fields of the parameters."""
        return self.writer.columns


async def chunks(
    writers: WriterCache,
    model: Model,
    rows: Rows,
    write: BulkWrite,
    now: dt.datetime,
    *,
    by_keys: bool,
) -> AsyncIterator[Chunk]:
    """Rows checked and encoded, cut where the columns change or the batch is full.

    ``by_keys``: also where the given keys change, since they decide what an upsert changes.
    """
    chunk: Chunk | None = None
    index = 0
    # A batch is a unit only if it is written or undone by itself; else small chunks flow better.
    most = write.batch_size if write.atomic == "batch" else CHUNK_ROWS
    known = writers.writers
    async for row in each_row(rows):
        checked = checked_row(model, row, index)
        if write.shared:
            checked = {**write.shared, **checked}
        try:
            writer = known.get(tuple(checked)) or writers.writer(checked)
            parameters = writer.write(checked, now)
        except DataFlowError as error:
            raise at_row(error, index) from None
        if chunk is not None and (
            (writer is not chunk.writer and _differ(writer, chunk.writer, by_keys=by_keys))
            or len(chunk.rows) >= most
        ):
            yield chunk
            chunk = None
        if chunk is None:
            chunk = Chunk(index, writer, [])
        chunk.rows.append(parameters)
        index += 1
    if chunk is not None:
        yield chunk


def _differ(one: RowWriter, other: RowWriter, *, by_keys: bool) -> bool:
    """Whether the rows of two writers cannot go into one statement."""
    return one.columns != other.columns or (by_keys and one.given != other.given)


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
