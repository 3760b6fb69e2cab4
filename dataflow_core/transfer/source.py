"""Reading a file in a thread of its own, as fast as the rows are taken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from dataflow_core.dialect.worker import Worker
from dataflow_core.errors import DataFlowError, FileNotUsable
from dataflow_core.transfer.columns import Columns
from dataflow_core.transfer.formats import Format, FormatReader
from dataflow_core.transfer.target import in_any_case

__all__ = ["Source"]

Row = dict[str, Any]


class Source:
    """A file to be read: ``open``, ``rows``, ``close``."""

    def __init__(self, path: Path, form: Format, columns: Columns) -> None:
        self.path = path
        self._format = form
        self._columns = columns
        self._reader: FormatReader | None = None
        self._batches: Iterator[list[Row]] = iter(())
        self._worker = Worker(f"dataflow import {path.name}")

    async def open(self) -> None:
        """Open the file and check the names of its columns."""

        def begin() -> None:
            if self.path.is_dir():
                raise FileNotUsable(f"{self.path} cannot be read: it is a folder", path=self.path)
            self._reader = self._format.reader(self.path, self._columns)
            self._batches = self._reader.batches()

        await self._worker.submit(begin)

    async def rows(self) -> AsyncIterator[Row]:
        """The rows, by names of fields; the next part is read when one is through."""
        while batch := await self._worker.submit(lambda: next(self._batches, None)):
            for row in batch:
                yield row

    async def located(self, error: DataFlowError) -> DataFlowError:
        """An error about the row of an index, as one about the line that the row is from."""
        index, reader = error.context.get("index"), self._reader
        if not isinstance(index, int) or reader is None:
            return error
        position = await in_any_case(
            self._worker.submit(lambda: next(islice(reader.positions(), index, None), None))
        )
        if position is not None:
            said = error.message.removeprefix(f"row {index}: ")
            error.message = f"{self.path.name}, {reader.position} {position}: {said}"
            error.context[reader.position] = position
            error.context["path"] = str(self.path)
            error.args = (error.message,)
        return error

    async def close(self) -> None:
        """Close the file."""
        await in_any_case(self._worker.submit(self._close))
        self._worker.stop()

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
