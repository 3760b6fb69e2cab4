"""Reading a result by and by, and waiting until a server has stopped."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final

import asyncpg

from dataflow_postgres.errors import DRIVER_ERRORS

__all__ = ["Streaming", "until_idle"]

_CANCELLED: Final = "57014"
_FAILED_TRANSACTION: Final = "25P02"


class Streaming:
    """One statement, read by a cursor.

    In a transaction of its own: there alone a cursor lives, and a pooler keeps to one server. The
    statement has no name, so nothing of it stays behind a pooler. ``note`` is told of errors.
    ``first`` is a statement and its one parameter, sent before in the same transaction.
    """

    def __init__(
        self,
        connection: Any,
        note: Callable[[Exception, str], None],
        first: tuple[str, str] | None = None,
    ) -> None:
        self._connection = connection
        self._note = note
        self._first = first
        self._transaction: Any = None

    async def batches(
        self, sql: str, parameters: Sequence[Any], size: int
    ) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        """The rows, so many at a time; each batch is one trip to the server."""
        connection = self._connection
        transaction = connection.transaction(isolation="read_committed", readonly=True)
        # Noted before: a cancelled task cannot tell whether it was begun.
        self._transaction = transaction
        try:
            await transaction.start()
            if self._first is not None:
                telling = await connection.prepare(self._first[0], name="")
                await telling.fetch(self._first[1])
            statement = await connection.prepare(sql, name="")
            cursor = await statement.cursor(*parameters)
            while rows := await cursor.fetch(size):
                yield rows
                if len(rows) < size:
                    break
        except DRIVER_ERRORS as error:
            self._note(error, sql)
            await self.end()
            raise
        except GeneratorExit:
            await self.end()
            raise
        await self.end()

    async def end(self) -> None:
        """End the transaction, which has written nothing."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None and not self._connection.is_closed():
            # Fails where it was not begun for sure; whoever cancelled then closes the connection.
            await transaction.rollback()


async def until_idle(connection: Any) -> None:
    """Come back when the server does nothing any more that was cancelled."""
    for _ in range(2):
        try:
            await connection.execute("SELECT 1")
        except asyncpg.PostgresError as error:
            if error.sqlstate == _CANCELLED:
                # The request to cancel was late and hit this one; it hits only once.
                continue
            if error.sqlstate != _FAILED_TRANSACTION:
                raise
        return
