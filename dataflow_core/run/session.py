"""Using a connection: with a time limit, errors made uniform, clean after a cancellation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from time import perf_counter
from typing import Any, TypeVar, cast

from attrs import define

from dataflow_core.compile import LoadStatement
from dataflow_core.compile.needs import offers, require
from dataflow_core.contract import (
    Connection,
    Dialect,
    ErrorSituation,
    LoadingConnection,
    PipeliningConnection,
)
from dataflow_core.errors import (
    ConnectionLost,
    ConstraintViolation,
    DataFlowError,
    StatementTimeout,
)
from dataflow_core.run.observing import DatabaseObservers, WatchedStatement
from dataflow_core.run.pool import Pool
from dataflow_core.run.violations import made_alike
from dataflow_core.run.watch import Watch

__all__ = ["Session", "may_repeat", "or_again"]

logger = logging.getLogger("dataflow.sql")

T = TypeVar("T")
Rows = Sequence[Sequence[Any]]


def may_repeat(error: ConnectionLost, situation: ErrorSituation) -> bool:
    """Whether what failed because its connection was gone may be done again over another one.

    A connection may die in the pool, and nobody has to hear of that: a read is sent once more. A
    write is only if it certainly was not done, so that it never runs twice.
    """
    return not situation.writing or error.outcome == "not done"


async def or_again(work: Callable[[], Awaitable[T]], situation: ErrorSituation) -> T:
    """Do something over a connection; once more if that was gone and nothing is done twice."""
    try:
        return await work()
    except ConnectionLost as error:
        if not may_repeat(error, situation):
            raise
    return await work()


@define(eq=False)
class Session:
    """A connection in use by one operation or transaction.

    ``watch`` is the time limit; ``observer`` is told of every statement, where there is one.
    ``pool`` is where the connection goes back to; ``writing`` ends when it does. ``must_reset``:
    before, what a user's own statements may have left in the session is undone.
    """

    connection: Connection
    dialect: Dialect
    watch: Watch | None = None
    observer: DatabaseObservers | None = None
    pool: Pool | None = None
    writing: AbstractContextManager[None] | None = None
    must_reset: bool = False

    def offers(self, feature: str) -> bool:
        """Whether the dialect declares a feature for the server at the other end."""
        return offers(self.dialect.features, feature, self.connection.server.version)

    def need(self, *features: str, place: str = "") -> None:
        """``UnsupportedFeature`` for what is declared off for the server at the other end."""
        require(
            self.dialect.features,
            features,
            dialect=self.dialect.name,
            version=self.connection.server.version,
            place=place,
        )

    # Plain functions that give the coroutine of ``guarded``: one layer less for every statement.

    def fetch(
        self, sql: str, parameters: Sequence[Any], situation: ErrorSituation
    ) -> Coroutine[Any, Any, Rows]:
        """Run a statement and return its rows."""
        work = self.guarded(self.connection.fetch(sql, parameters), situation)
        if self.observer is None:
            return work
        count, name = len(parameters), self.dialect.name
        return self.observer.answered(work, len, sql, count, situation, name)

    def fetch_named(
        self, sql: str, parameters: Sequence[Any], situation: ErrorSituation
    ) -> Coroutine[Any, Any, tuple[tuple[str, ...], Rows]]:
        """Run a statement and return the names of its columns and its rows."""
        work = self.guarded(self.connection.fetch_named(sql, parameters), situation)
        if self.observer is None:
            return work
        count, name = len(parameters), self.dialect.name
        return self.observer.answered(work, _rows_of_named, sql, count, situation, name)

    def execute(
        self, sql: str, parameters: Sequence[Any], situation: ErrorSituation
    ) -> Coroutine[Any, Any, int]:
        """Run a statement and return the number of rows it matched or wrote."""
        work = self.guarded(self.connection.execute(sql, parameters), situation)
        if self.observer is None:
            return work
        count, name = len(parameters), self.dialect.name
        return self.observer.answered(work, _rows_of_number, sql, count, situation, name)

    def fetch_together(
        self, statements: Sequence[tuple[str, Sequence[Any]]], situation: ErrorSituation
    ) -> Coroutine[Any, Any, Rows]:
        """Run statements in a transaction of their own; the rows of the last one."""
        connection = cast(PipeliningConnection, self.connection)
        work = self.guarded(connection.fetch_together(statements), situation)
        if self.observer is None:
            return work
        return self.observer.answered_together(work, statements, situation, self.dialect.name)

    def load(
        self, statement: LoadStatement, rows: Sequence[Sequence[Any]], situation: ErrorSituation
    ) -> Coroutine[Any, Any, int]:
        """Put rows into a table; how many are there afterwards."""
        connection = cast(LoadingConnection, self.connection)
        work = self.guarded(connection.load(statement, rows), situation)
        if self.observer is None:
            return work
        text, count, name = statement.text, len(rows) * len(statement.columns), self.dialect.name
        return self.observer.answered(work, lambda _: len(rows), text, count, situation, name)

    def control(
        self, name: str, work: Coroutine[Any, Any, T], situation: ErrorSituation
    ) -> Coroutine[Any, Any, T]:
        """Await what begins or ends a transaction, which observers know by name."""
        work = self.guarded(work, situation)
        if self.observer is None:
            return work
        return self.observer.answered(work, None, name, 0, situation, self.dialect.name)

    def watched(
        self, sql: str, parameters: int, situation: ErrorSituation
    ) -> WatchedStatement | None:
        """Tell the observers, if there are any, that a stream begins."""
        if self.observer is None:
            return None
        return self.observer.begin(sql, parameters, situation, self.dialect.name)

    def part_of(
        self,
        watched: WatchedStatement | None,
        work: Coroutine[Any, Any, Rows],
        situation: ErrorSituation,
    ) -> Coroutine[Any, Any, Rows]:
        """Await the next rows of a stream."""
        work = self.guarded(work, situation)
        return work if watched is None else watched.part(work)

    @staticmethod
    def end_of(watched: WatchedStatement | None) -> None:
        """Tell the observers, if there are any, that a stream was left."""
        if watched is not None:
            watched.end()

    async def ping(self) -> float:
        """Wait for an answer of the database; how many seconds it took."""
        began = perf_counter()
        await self.guarded(self.connection.ping(), ErrorSituation())
        return perf_counter() - began

    async def guarded(self, work: Coroutine[Any, Any, T], situation: ErrorSituation) -> T:
        """Await the driver. What it leaves running when cancelled or too slow is stopped first."""
        task = None if self.watch is None else self.watch.start()
        try:
            return await work
        except asyncio.CancelledError:
            timed_out = task is not None and self.watch is not None and self.watch.stopped(task)
            await self.stop()
            if timed_out:
                raise self._timed_out(situation) from None
            raise
        except Exception as error:
            translated = self.translated(error, situation)
            if translated is error:
                raise
            raise translated from error
        finally:
            if task is not None and self.watch is not None:
                self.watch.end(task)

    def _timed_out(self, situation: ErrorSituation) -> StatementTimeout:
        """A write that commits by itself may have been carried out at the very last moment."""
        limit = 0.0 if self.watch is None else self.watch.limit
        connection = self.connection
        undone = connection.usable and connection.in_transaction
        return StatementTimeout(
            f"the statement took longer than {limit:g} s and was stopped",
            timeout=limit,
            outcome="unknown" if situation.writing and not undone else "not done",
        )

    async def stop(self) -> None:
        """Stop what runs on the connection; a cancellation meanwhile is raised afterwards."""
        cleaning = asyncio.ensure_future(self.connection.cancel())
        cancelled = False
        while not cleaning.done():
            try:
                await asyncio.wait({cleaning})
            except asyncio.CancelledError:
                cancelled = True
        error = None if cleaning.cancelled() else cleaning.exception()
        if error is not None:  # the connection then says itself that it is not usable
            logger.warning("a connection could not be cleaned and is discarded", exc_info=error)
        if cancelled:
            raise asyncio.CancelledError

    def translated(self, error: Exception, situation: ErrorSituation) -> Exception:
        """The uniform error for what a driver raised; what is not the driver's stays as it is."""
        if isinstance(error, DataFlowError):
            return error
        found = self.dialect.translate_error(error, situation)
        if isinstance(found, ConstraintViolation):
            return made_alike(found, situation)
        return found or error


def _rows_of_named(answer: tuple[tuple[str, ...], Rows]) -> int:
    return len(answer[1])


def _rows_of_number(answer: int) -> int:
    return answer
