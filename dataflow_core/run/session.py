"""Using a connection: with a time limit, errors made uniform, clean after a cancellation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from attrs import define

from dataflow_core.contract import Connection, Dialect, ErrorSituation
from dataflow_core.errors import DataFlowError, StatementTimeout
from dataflow_core.run.pool import Pool

__all__ = ["Session", "StatementEvent"]

logger = logging.getLogger("dataflow.sql")

T = TypeVar("T")
Rows = Sequence[Sequence[Any]]
StatementEvent = Callable[[str, int], None]
"""Called with the text of every statement and the number of its parameters."""


@define(eq=False)
class Session:
    """A connection in use by one operation or transaction.

    ``observer`` is told of every statement, if there is one. ``pool`` is where the connection goes
    back to.
    """

    connection: Connection
    dialect: Dialect
    timeout: float | None
    observer: StatementEvent | None = None
    pool: Pool | None = None

    async def fetch(self, sql: str, parameters: Sequence[Any], situation: ErrorSituation) -> Rows:
        """Run a statement and return its rows."""
        if self.observer is not None:
            self.observer(sql, len(parameters))
        return await self.guarded(self.connection.fetch(sql, parameters), situation)

    async def fetch_named(
        self, sql: str, parameters: Sequence[Any], situation: ErrorSituation
    ) -> tuple[tuple[str, ...], Rows]:
        """Run a statement and return the names of its columns and its rows."""
        if self.observer is not None:
            self.observer(sql, len(parameters))
        return await self.guarded(self.connection.fetch_named(sql, parameters), situation)

    async def execute(self, sql: str, parameters: Sequence[Any], situation: ErrorSituation) -> int:
        """Run a statement and return the number of rows it matched or wrote."""
        if self.observer is not None:
            self.observer(sql, len(parameters))
        return await self.guarded(self.connection.execute(sql, parameters), situation)

    async def guarded(self, work: Coroutine[Any, Any, T], situation: ErrorSituation) -> T:
        """Await the driver. What it leaves running when cancelled or too slow is stopped first."""
        try:
            async with asyncio.timeout(self.timeout) as limit:
                return await work
        except TimeoutError as error:
            if not limit.expired():
                raise self.translated(error, situation) from error
            await self.stop()
            raise StatementTimeout(
                f"the statement took longer than {self.timeout:g} s and was stopped",
                timeout=self.timeout,
                outcome="not done" if self.connection.usable else "unknown",
            ) from None
        except asyncio.CancelledError:
            await self.stop()
            raise
        except Exception as error:
            raise self.translated(error, situation) from error

    async def stop(self) -> None:
        """Stop what runs on the connection; a second cancellation does not interrupt that."""
        cleaning = asyncio.ensure_future(self.connection.cancel())
        while not cleaning.done():
            try:
                await asyncio.shield(cleaning)
            except asyncio.CancelledError:
                continue
            except Exception:  # the connection then says itself that it is not usable
                logger.warning("a connection could not be cleaned and is discarded", exc_info=True)

    def translated(self, error: Exception, situation: ErrorSituation) -> Exception:
        """The uniform error for what a driver raised; what is not the driver's stays as it is."""
        if isinstance(error, DataFlowError):
            return error
        return self.dialect.translate_error(error, situation) or error
