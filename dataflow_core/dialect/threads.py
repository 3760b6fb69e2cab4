"""An adapter that makes a blocking driver awaitable: every connection has a thread of its own."""

from __future__ import annotations

import abc
import asyncio
import logging
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from typing import Any, ClassVar, Final

from attrs import frozen

from dataflow_core.compile import LoadStatement
from dataflow_core.contract import Connection, Isolation, Lane, Server
from dataflow_core.dialect.paramstyles import Paramstyle, placed
from dataflow_core.dialect.worker import Worker
from dataflow_core.errors import UnsupportedFeature

__all__ = ["Answer", "SyncConnection", "SyncDriver"]

logger = logging.getLogger("dataflow")

_INTERRUPT_EVERY: Final = 0.01
_CANCEL_LIMIT: Final = 10.0


@frozen
class Answer:
    """What a statement gave.

    Attributes:
        rows: the rows, as tuples.
        names: the names of the columns; empty where nothing came back.
        count: how many rows the statement matched or wrote; -1 if the driver does not tell, and
            then the number of rows that came back is taken.
    """

    rows: Sequence[Sequence[Any]]
    names: tuple[str, ...]
    count: int


class SyncDriver(abc.ABC):
    """One database through a driver that blocks, such as any DB-API 2.0 module.

    A subclass needs ``open_connection`` and ``server``. Every method that takes ``raw``, the
    driver's own connection, runs in that connection's thread; only ``interrupt`` does not.
    """

    paramstyle: ClassVar[Paramstyle] = "qmark"
    """What the driver takes for placeholders. Compilers write ``$1``, which is translated."""
    survives_errors: ClassVar[bool] = False
    """Whether a violated constraint undoes the statement only, and the transaction goes on."""
    interruptible: ClassVar[bool] = False
    """Whether ``interrupt`` stops what runs; otherwise a cancelled connection is given up."""
    savepoints: ClassVar[bool] = True
    """Whether there are savepoints; without them a nested transaction is refused."""
    commit_sql: ClassVar[str] = "COMMIT"
    """Makes a transaction durable."""
    rollback_sql: ClassVar[str] = "ROLLBACK"
    """Undoes a transaction."""
    savepoint_sql: ClassVar[str] = 'SAVEPOINT "{name}"'
    """Sets a savepoint."""
    rollback_to_sql: ClassVar[str] = 'ROLLBACK TO SAVEPOINT "{name}"'
    """Undoes what was done since a savepoint, which stays."""
    release_sql: ClassVar[str] = 'RELEASE SAVEPOINT "{name}"'
    """Forgets a savepoint and keeps what was done since."""
    ping_sql: ClassVar[str] = "SELECT 1"
    """Fails if the connection is dead."""

    def __init__(self, description: str) -> None:
        self._description = description

    @property
    def description(self) -> str:
        """What is opened, for the log; no secrets."""
        return self._description

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The kinds of connection, in order of preference; by default one that does everything."""
        return (Lane("main"),)

    @abc.abstractmethod
    def open_connection(self, lane: Lane) -> Any:
        """Open a connection of the driver, with every setting made, and return it.

        A single statement outside of a transaction has to commit by itself (autocommit).
        """

    @abc.abstractmethod
    def server(self, raw: Any) -> Server:
        """Product and version of the server."""

    def close_connection(self, raw: Any) -> None:
        """Close a connection of the driver."""
        raw.close()

    def run(self, raw: Any, sql: str, parameters: Any) -> Answer:
        """Run one statement and read all that it gives.

        Parameters:
            raw: the driver's connection.
            sql: the text, with placeholders in ``paramstyle``.
            parameters: a sequence, or a dict if ``paramstyle`` has names.
        """
        cursor = raw.cursor()
        try:
            cursor.execute(sql, parameters)
            rows = cursor.fetchall() if cursor.description is not None else []
            names = tuple(column[0] for column in cursor.description or ())
            return Answer(rows, names, cursor.rowcount)
        finally:
            cursor.close()

    def load(self, raw: Any, statement: LoadStatement, rows: Sequence[Sequence[Any]]) -> int:
        """Put rows into a table; how many are there afterwards.

        Called only if the dialect's compiler gives a ``load``.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how to load rows")

    def stream(
        self, raw: Any, sql: str, parameters: Any, size: int
    ) -> Iterator[Sequence[Sequence[Any]]]:
        """Run one reading statement and give its rows in batches, each read when it is asked for.

        Parameters:
            raw: the driver's connection.
            sql: the text, with placeholders in ``paramstyle``.
            parameters: a sequence, or a dict if ``paramstyle`` has names.
            size: the most rows of a batch.
        """
        cursor = raw.cursor()
        try:
            cursor.execute(sql, parameters)
            while rows := cursor.fetchmany(size):
                yield rows
        finally:
            cursor.close()

    def begin_sql(self, isolation: Isolation | None, read_only: bool) -> Sequence[str]:
        """The statements that open a transaction.

        Raises:
            UnsupportedFeature: the database has no such isolation.
        """
        return ("BEGIN",)

    def interrupt(self, raw: Any) -> None:
        """Stop what runs on a connection; called from another thread, perhaps too late.

        Called only if ``interruptible``.
        """
        raise NotImplementedError(f"{type(self).__name__} is interruptible, but does not say how")

    def clean(self, raw: Any) -> bool:
        """Undo session state that a user's own SQL may have left; ``False``: open a new one."""
        return False

    async def connect(self, lane: Lane) -> Connection:
        """Open a connection of a lane, in a thread of its own."""
        worker = Worker(f"dataflow {self.description}")
        opened: list[Any] = []

        def open_it() -> Server:
            opened.append(self.open_connection(lane))
            return self.server(opened[0])

        def close_it() -> None:
            for raw in opened:
                self.close_connection(raw)

        try:
            server = await worker.submit(open_it)
        except BaseException:
            # Also where only the waiting was cancelled: what opens after all is closed again.
            worker.stop(close_it)
            raise
        return SyncConnection(self, opened[0], server, worker)

    async def caught_up(self, primary: Connection, replica: Connection) -> bool:
        """Whether the replica has all that the primary holds; always, as no lane is delayed."""
        return True

    async def close(self) -> None:
        """Release what belongs to the driver itself; every connection is closed before."""
        return


class SyncConnection:
    """A connection of a ``SyncDriver``: one trip to its thread for every statement."""

    def __init__(self, driver: SyncDriver, raw: Any, server: Server, worker: Worker) -> None:
        self._driver = driver
        self._raw = raw
        self._server = server
        self._worker = worker
        self._in_transaction = False
        self._interrupted = False
        self._usable = True
        self._streaming: Iterator[Sequence[Sequence[Any]]] | None = None

    @property
    def server(self) -> Server:
        """Product and version of the server."""
        return self._server

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction was begun and not ended."""
        return self._usable and self._in_transaction

    @property
    def usable(self) -> bool:
        """False once the connection must not be used again."""
        return self._usable

    @property
    def survives_errors(self) -> bool:
        """Whether a violated constraint undoes the statement only."""
        return self._driver.survives_errors

    async def _answer(self, sql: str, parameters: Sequence[Any]) -> Answer:
        driver, raw = self._driver, self._raw
        text, values = placed(sql, parameters, driver.paramstyle)
        return await self._worker.submit(lambda: driver.run(raw, text, values))

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Run one statement and return its rows."""
        return (await self._answer(sql, parameters)).rows

    async def fetch_named(
        self, sql: str, parameters: Sequence[Any]
    ) -> tuple[tuple[str, ...], Sequence[Sequence[Any]]]:
        """Run one statement and return the names of its columns and its rows."""
        answer = await self._answer(sql, parameters)
        return answer.names, answer.rows

    async def execute(self, sql: str, parameters: Sequence[Any]) -> int:
        """Run one statement and return the number of rows that it matched or wrote."""
        answer = await self._answer(sql, parameters)
        return answer.count if answer.count >= 0 else len(answer.rows)

    async def load(self, statement: LoadStatement, rows: Sequence[Sequence[Any]]) -> int:
        """Put rows into a table; the number of those that are there afterwards."""
        driver, raw = self._driver, self._raw
        return await self._worker.submit(lambda: driver.load(raw, statement, rows))

    async def stream(
        self, sql: str, parameters: Sequence[Any], size: int
    ) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        """Run one reading statement; its rows in batches: one trip to the thread for each."""
        driver = self._driver
        text, values = placed(sql, parameters, driver.paramstyle)
        batches = self._streaming = driver.stream(self._raw, text, values, size)
        while rows := await self._worker.submit(lambda: next(batches, None)):
            try:
                yield rows
            except GeneratorExit:
                await self._end_stream()
                raise
        await self._end_stream()

    async def _end_stream(self) -> None:
        """Let go of what a stream has open."""
        batches, self._streaming = self._streaming, None
        if isinstance(batches, Generator):
            await self._worker.submit(batches.close)

    async def begin(self, *, isolation: Isolation | None = None, read_only: bool = False) -> None:
        """Open a transaction."""
        statements = self._driver.begin_sql(isolation, read_only)
        # Noted before: a cancelled task cannot tell whether the statement was carried out.
        self._in_transaction, self._interrupted = True, False
        try:
            for sql in statements:
                await self._answer(sql, ())
        except Exception:
            self._in_transaction = False
            raise

    async def commit(self) -> None:
        """Make the transaction durable."""
        await self._answer(self._driver.commit_sql, ())
        self._in_transaction = False

    async def rollback(self) -> None:
        """Undo the transaction; where that fails the connection is given up, which undoes it too.

        Some databases undo it themselves when a statement is interrupted: that is no failure.
        """
        if not self._in_transaction:
            return
        self._in_transaction = False
        try:
            await self._answer(self._driver.rollback_sql, ())
        except Exception as error:
            self._usable = False
            if not self._interrupted:
                raise
            logger.debug("undoing on %s: %s", self._driver.description, error)

    async def savepoint(self, name: str) -> None:
        """Set a savepoint."""
        if not self._driver.savepoints:
            reason = "there are no savepoints"
            raise UnsupportedFeature(
                f"{self._server.name} offers no transaction inside another: {reason}",
                feature="transactions.savepoint",
                dialect=self._server.name,
                reason=reason,
            )
        await self._answer(self._driver.savepoint_sql.format(name=name), ())

    async def rollback_to(self, name: str) -> None:
        """Undo everything since the savepoint, which stays."""
        await self._answer(self._driver.rollback_to_sql.format(name=name), ())

    async def release(self, name: str) -> None:
        """Forget the savepoint and keep what was done since."""
        await self._answer(self._driver.release_sql.format(name=name), ())

    async def cancel(self) -> None:
        """Interrupt what runs and wait until the thread is idle, or give the connection up."""
        # Until the thread is known to be idle; stays so if this task is cancelled as well.
        self._usable, self._interrupted = False, True
        if not self._driver.interruptible:
            return
        idle = self._worker.submit(lambda: None)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CANCEL_LIMIT
        while not idle.done() and loop.time() < deadline:
            # Again and again: one that comes before the statement has begun stops nothing.
            self._driver.interrupt(self._raw)
            await asyncio.wait({idle}, timeout=_INTERRUPT_EVERY)
        if idle.done():
            await self._end_stream()
            self._usable = True

    async def reset(self) -> None:
        """Undo session state that a user's own SQL may have left."""
        if self._in_transaction:
            await self.rollback()
        driver, raw = self._driver, self._raw
        self._usable = await self._worker.submit(lambda: driver.clean(raw))

    async def ping(self) -> None:
        """Raise if the connection is dead."""
        await self._answer(self._driver.ping_sql, ())

    async def close(self) -> None:
        """Close, and wait for it where nothing runs any more."""
        was_usable, self._usable = self._usable, False
        driver, raw = self._driver, self._raw

        def close_it() -> None:
            try:
                driver.close_connection(raw)
            except Exception as error:
                logger.debug("closing %s: %s", driver.description, error)

        if not was_usable:
            # Something may still run there, perhaps for long.
            self._worker.stop(close_it)
            return
        await self._worker.submit(close_it)
        self._worker.stop()
