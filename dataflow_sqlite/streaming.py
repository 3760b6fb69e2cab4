"""Reading a result by and by: one trip to the thread for every batch."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import aiosqlite

__all__ = ["Streaming"]


class Streaming:
    """One statement, read from its cursor. ``explain`` is told of errors."""

    def __init__(
        self,
        execute: Callable[[], Awaitable[aiosqlite.Cursor]],
        explain: Callable[[sqlite3.Error], None],
    ) -> None:
        self._execute = execute
        self._explain = explain
        self._cursor: aiosqlite.Cursor | None = None

    async def batches(self, size: int) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        """The rows, so many at a time, as they were when the statement began."""
        try:
            cursor = self._cursor = await self._execute()
            while rows := await cursor.fetchmany(size):
                yield rows  # type: ignore[misc]  # a list, says the driver's own code
        except sqlite3.Error as error:
            self._explain(error)
            await self.end()
            raise
        except GeneratorExit:
            await self.end()
            raise
        await self.end()

    async def end(self) -> None:
        """Let go of the rows that have not been read."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            await cursor.close()
