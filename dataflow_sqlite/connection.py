"""Connections to SQLite over aiosqlite: one trip to its thread per statement."""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import aiosqlite

from dataflow_core.contract import Isolation, Server
from dataflow_sqlite.functions.results import FunctionErrors
from dataflow_sqlite.opening import Opening, cleaning_script
from dataflow_sqlite.streaming import Streaming

__all__ = ["SQLiteConnection", "close_driver", "thread_of"]

T = TypeVar("T")
_LOG = logging.getLogger("dataflow.sqlite")
_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.05
_INTERRUPT_EVERY: Final = 0.01
_CANCEL_LIMIT: Final = 10.0
_CHECK_EVERY: Final = 0.05
# Triggers first, tables last: each is dropped before what it needs.
_LEFT: Final = (
    "SELECT type, name FROM (SELECT type, name FROM temp.sqlite_master"
    " WHERE type IN ('trigger', 'view', 'table') AND name NOT LIKE 'sqlite|_%' ESCAPE '|'"
    " ORDER BY type = 'table', type = 'view') UNION ALL"
    " SELECT 'database', name FROM pragma_database_list WHERE name NOT IN ('main', 'temp')"
)


def _is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection is in the way and the same statement may be tried again."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    if code == sqlite3.SQLITE_SCHEMA:
        # Tables were made while a long statement was read, more than once.
        return True
    # A snapshot that is too old stays so: only the whole transaction can be run again.
    return code & 0xFF == sqlite3.SQLITE_BUSY and code != sqlite3.SQLITE_BUSY_SNAPSHOT


def thread_of(driver: aiosqlite.Connection) -> threading.Thread:
    """The thread of a connection, which aiosqlite does not offer publicly."""
    thread: threading.Thread = getattr(driver, "_thread")  # noqa: B009
    return thread


async def close_driver(driver: aiosqlite.Connection) -> None:
    """Close, and wait until the thread has ended; whoever is cancelled meanwhile waits as well.

    The thread answers to this event loop, and an answer that comes after the loop's end would be
    raised in the thread.

    Raises:
        sqlite3.Error: SQLite refused to close.
    """
    stopped, thread, cancelled = driver.stop(), thread_of(driver), False
    assert stopped is not None  # there is a running loop
    while not stopped.done() and thread.is_alive():
        try:
            await asyncio.wait({stopped}, timeout=_CHECK_EVERY)
        except asyncio.CancelledError:
            cancelled = True
    if stopped.done():
        stopped.result()
    if cancelled:
        raise asyncio.CancelledError


class SQLiteConnection:
    """One connection. ``max_parameters`` is how many values one statement may bind."""

    def __init__(self, driver: aiosqlite.Connection, opening: Opening) -> None:
        self._driver = driver
        self._fetchall = driver.execute_fetchall
        self._opening = opening
        self._errors: FunctionErrors = opening.errors
        busy_timeout = opening.location.busy_timeout
        self._busy_timeout = math.inf if busy_timeout is None else busy_timeout
        self._in_memory = opening.location.path is None
        self._usable = True
        self._closed = False
        self._query_only = False
        self._streaming: Streaming | None = None
        self.max_parameters = opening.max_parameters

    @property
    def server(self) -> Server:
        """SQLite and its version."""
        return self._opening.server

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, as SQLite sees it."""
        return self._usable and self._driver.in_transaction

    @property
    def usable(self) -> bool:
        """False once the connection must not be used again."""
        return self._usable

    @property
    def survives_errors(self) -> bool:
        """A statement that violates a constraint undoes itself only."""
        return True

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Run one statement and return its rows."""
        try:
            return await self._fetchall(sql, parameters)  # type: ignore[return-value]
        except sqlite3.Error as error:
            if not _is_busy(error):
                self._explain(error)
                raise
        again = self._patiently(lambda: self._fetchall(sql, parameters), _FIRST_PAUSE)
        return await again  # type: ignore[return-value]

    async def fetch_named(
        self, sql: str, parameters: Sequence[Any]
    ) -> tuple[tuple[str, ...], Sequence[Sequence[Any]]]:
        """Run one statement and return the names of its columns and its rows."""
        return await self._patiently(lambda: self._named(sql, parameters))

    async def _named(
        self, sql: str, parameters: Sequence[Any]
    ) -> tuple[tuple[str, ...], Sequence[Sequence[Any]]]:
        cursor = await self._driver.execute(sql, parameters)
        rows = list(await cursor.fetchall())
        await cursor.close()
        return tuple(column[0] for column in cursor.description or ()), rows

    def stream(
        self, sql: str, parameters: Sequence[Any], size: int
    ) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        """Run one reading statement; its rows in batches, as they were when it began."""
        opened = partial(self._patiently, partial(self._driver.execute, sql, parameters))
        self._streaming = Streaming(opened, self._explain)
        return self._streaming.batches(size)

    async def _patiently(self, once: Callable[[], Awaitable[T]], pause: float = 0.0) -> T:
        """Try again until the other writer is gone; ``pause`` before the first time.

        Not left to SQLite's own busy timeout: it sleeps in the thread, where no cancellation
        reaches it, and would then still carry the statement out.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._busy_timeout
        while True:
            if pause:
                await asyncio.sleep(max(min(pause, deadline - loop.time()), 0))
            pause = min(pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
            try:
                return await once()
            except sqlite3.Error as error:
                if not _is_busy(error) or loop.time() >= deadline:
                    self._explain(error)
                    raise

    def _explain(self, error: sqlite3.Error) -> None:
        """Say why, if one of the Python functions failed."""
        reason = self._errors.take()
        if reason is not None:
            error.__cause__ = reason

    async def execute(self, sql: str, parameters: Sequence[Any]) -> int:
        """Run one statement and return the number of rows that it matched or wrote."""
        return await self._patiently(lambda: self._count(sql, parameters))

    async def _count(self, sql: str, parameters: Sequence[Any]) -> int:
        changes = self._driver.total_changes
        cursor = await self._driver.execute(sql, parameters)
        description: Any = cursor.description
        if description is not None:
            # The rows of RETURNING: the statement is only finished once they are read.
            rows = await cursor.fetchall()
            await cursor.close()
            return len(list(rows))
        if cursor.rowcount >= 0:
            return cursor.rowcount
        # Python counts only statements that begin with INSERT, UPDATE or DELETE, not with WITH.
        if self._driver.total_changes == changes:
            return 0
        return int(next(iter(await self.fetch("SELECT changes()", ())))[0])

    async def begin(self, *, isolation: Isolation | None = None, read_only: bool = False) -> None:
        """Open a transaction; every one is serializable, whatever ``isolation`` asks for."""
        if read_only and not self._opening.read_only:
            await self._restrict(True)
        await self.fetch("BEGIN" if read_only or self._opening.read_only else "BEGIN IMMEDIATE", ())

    async def commit(self) -> None:
        """Make the transaction durable."""
        await self.fetch("COMMIT", ())
        if self._query_only:
            await self._restrict(False)

    async def rollback(self) -> None:
        """Undo the transaction; harmless if SQLite already did, as it does on a full disk."""
        if self._driver.in_transaction:
            await self.fetch("ROLLBACK", ())
        if self._query_only:
            await self._restrict(False)

    async def _restrict(self, query_only: bool) -> None:
        """Refuse writes, or allow them again, on a connection that also writes."""
        changed = self._opening.state_changed
        # Noted before: a cancelled task cannot tell whether the statement was carried out.
        self._query_only = True
        await self.fetch(f"PRAGMA query_only = {'ON' if query_only else 'OFF'}", ())
        self._query_only = query_only
        self._opening.state_changed = changed

    async def savepoint(self, name: str) -> None:
        """Set a savepoint."""
        await self.fetch(f"SAVEPOINT {_quoted(name)}", ())

    async def rollback_to(self, name: str) -> None:
        """Undo everything since the savepoint, which stays."""
        await self.fetch(f"ROLLBACK TO {_quoted(name)}", ())

    async def release(self, name: str) -> None:
        """Forget the savepoint and keep what was done since."""
        await self.fetch(f"RELEASE {_quoted(name)}", ())

    async def cancel(self) -> None:
        """Interrupt what runs and wait until the thread is idle.

        What SQLite does with an open transaction shows in ``in_transaction`` afterwards: an
        interrupted write takes its whole transaction with it.
        """
        # Until the thread is known to be idle; stays so if this task is cancelled as well.
        self._usable = False
        idle = asyncio.ensure_future(self._pass_through())
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CANCEL_LIMIT
        while not idle.done() and loop.time() < deadline:
            # Again and again: a statement still in the queue would not notice an earlier one. One
            # that comes too late hits nothing: SQLite forgets it when the next statement starts.
            try:
                await self._driver.interrupt()
            except (sqlite3.Error, ValueError):
                break  # closed meanwhile, with the whole instance
            await asyncio.wait({idle}, timeout=_INTERRUPT_EVERY)
        await asyncio.wait({idle}, timeout=_INTERRUPT_EVERY)
        if not idle.done():
            return
        failure = idle.exception()
        if failure is not None:
            _LOG.debug("cancelling on %s: %s", self._opening.location, failure)
            return
        # As long as it is open, SQLite goes on interrupting.
        if self._streaming is not None:
            await self._streaming.end()
        self._errors.take()
        self._usable = True

    async def _pass_through(self) -> None:
        """Come back when everything queued before is done; without SQL, so never interrupted."""
        await self._driver.set_progress_handler(None, 0)  # type: ignore[arg-type]

    async def reset(self) -> None:
        """Undo session state that a user's own SQL may have left; without any it costs nothing."""
        if self._driver.in_transaction or self._query_only:
            await self.rollback()
        if not self._opening.state_changed:
            return
        if not self._in_memory:
            self._usable = False
            return
        # A database in memory is gone with its connection, so its state is made again.
        left = [(str(kind), str(name)) for kind, name in await self.fetch(_LEFT, ())]
        await self._driver.executescript(cleaning_script(self._opening.location, left))
        self._opening.state_changed = False

    async def ping(self) -> None:
        """Raise if the connection is dead."""
        await self.fetch("SELECT 1", ())

    async def close(self) -> None:
        """Close; a database in memory is only cleaned, and stays until its driver is closed."""
        if not self._in_memory:
            await self.really_close()
            return
        try:
            if not self._usable:
                await self.cancel()
            if self._usable:
                await self.reset()
        except (sqlite3.Error, ValueError) as error:
            # Connecting again tries again.
            _LOG.debug("cleaning %s: %s", self._opening.location, error)

    async def really_close(self) -> None:
        """Close; never raises for a connection that is already gone."""
        self._usable = False
        if self._closed:
            return
        self._closed = True
        try:
            await close_driver(self._driver)
        except sqlite3.Error as error:
            _LOG.debug("closing %s: %s", self._opening.location, error)


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
