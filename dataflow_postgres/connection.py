"""Connections to PostgreSQL over asyncpg: one round trip per statement once it is prepared."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from dataflow_core.compile import LoadStatement
from dataflow_core.contract import Isolation, Server
from dataflow_core.errors import DatabaseError, TransactionFailed, UnsupportedFeature
from dataflow_postgres.bulk import copied
from dataflow_postgres.errors import DRIVER_ERRORS, note_lost, was_lost
from dataflow_postgres.location import PostgresLocation
from dataflow_postgres.opening import (
    leaves_no_trace,
    reset_script,
    server_of,
)
from dataflow_postgres.streaming import Streaming, until_idle

if TYPE_CHECKING:
    from dataflow_postgres.driver import PostgresDriver

__all__ = ["ABANDON_SECONDS", "PostgresConnection"]

_LOG = logging.getLogger("dataflow.postgres")
_CACHED_STATEMENTS: Final = 256
# Longer texts are those of one bulk call; kept, they would fill the server's memory.
_LONGEST_CACHED: Final = 32_768
_CLOSE_SECONDS: Final = 1.5
# How long a cancelled statement may take to stop, of the time that it was allowed, in seconds.
_STOP_SHARE: Final = 0.05
_STOP_SECONDS: Final = (0.05, 1.0)
# How long the server is asked in the background before the connection is cut.
ABANDON_SECONDS: Final = 1.5
_UNKNOWN_STATEMENT: Final = "26000"
_ROWS: Final = re.compile(r"\d+\Z", re.ASCII)
_COMMITS: Final = re.compile(r"\b(?:commit|end|prepare|call|do)\b", re.IGNORECASE)
_COPY_HERE: Final = re.compile(r"\b(?:from\s+stdin|to\s+stdout)\b", re.IGNORECASE)
_PREPARES: Final = re.compile(r"prepare|deallocate|discard", re.IGNORECASE)
_REPEATED: Final = frozenset(("select", "insert", "update", "delete", "with", "values", "merge"))
_UNDONE: Final = _REPEATED | {"copy"}
_WORD: Final = re.compile(r"\s*\(*\s*([A-Za-z]+)")


class PostgresConnection:
    """One connection. Statements are prepared under names that no other process uses.

    Behind a pooler each statement may reach another server, so none is kept there.
    """

    def __init__(self, connection: Any, driver: PostgresDriver, location: PostgresLocation) -> None:
        self._connection = connection
        self._driver = driver
        self._location = location
        self._pooled = driver.is_pooled(location, connection)
        size = location.statement_cache_size
        self._kept = (0 if self._pooled else _CACHED_STATEMENTS) if size is None else size
        self._statements: dict[str, Any] = {}
        self._prefix = f"dataflow_{secrets.token_hex(6)}_"
        self._numbered = 0
        self._server = server_of(connection)
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        shortest, longest = _STOP_SECONDS
        share = (location.command_timeout or longest / _STOP_SHARE) * _STOP_SHARE
        self._stop_limit = min(max(share, shortest), longest)
        self._usable = True
        self._began = False
        self._prepared_as: str | None = None
        self._stopping = False
        self._leaves_state = False
        self._prepared_by_sql = False
        self._streaming: Streaming | None = None

    @property
    def server(self) -> Server:
        """PostgreSQL and its version."""
        return self._server

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, as the server said last."""
        connection = self._connection
        return not connection.is_closed() and bool(connection.is_in_transaction())

    @property
    def usable(self) -> bool:
        """False once the connection must not be used again, also when the server closed it."""
        return self._usable and not self._connection.is_closed()

    @property
    def survives_errors(self) -> bool:
        """Any error leaves the transaction to be rolled back."""
        return False

    # Statements

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Run one statement and return its rows."""
        # As short as it can be: this is every read and most writes.
        try:
            statement = self._statements.get(sql)
            if statement is None:
                statement = await self._prepare(sql)
            rows: Sequence[Sequence[Any]] = await statement.fetch(*parameters)
        except DRIVER_ERRORS as error:
            if not self._may_repeat(error, sql):
                raise
            _, rows = await self._run(sql, parameters)
        return rows

    async def fetch_named(
        self, sql: str, parameters: Sequence[Any]
    ) -> tuple[tuple[str, ...], Sequence[Sequence[Any]]]:
        """Run one statement and return the names of its columns and its rows."""
        self._watch(sql)
        statement, rows = await self._run(sql, parameters)
        return tuple(column.name for column in statement.get_attributes()), rows

    async def execute(self, sql: str, parameters: Sequence[Any]) -> int:
        """Run one statement and return the number of rows that it matched or wrote."""
        self._watch(sql)
        statement, _ = await self._run(sql, parameters)
        found = _ROWS.search(statement.get_statusmsg() or "")
        return 0 if found is None else int(found[0])

    async def load(self, statement: LoadStatement, rows: Sequence[Sequence[Any]]) -> int:
        """Copy rows into a table; all of them are there afterwards."""
        status = await self._noted(copied(self._connection, statement, rows), "COPY")
        found = _ROWS.search(status)
        return 0 if found is None else int(found[0])

    def stream(
        self, sql: str, parameters: Sequence[Any], size: int
    ) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        """Run one reading statement; its rows in batches, by a cursor."""
        self._streaming = Streaming(self._connection, self._note)
        return self._streaming.batches(sql, parameters, size)

    def stream_as(
        self, tell: str, tenant: str, sql: str, parameters: Sequence[Any], size: int
    ) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        """``stream``, after the tenant is told in the transaction of the cursor."""
        self._streaming = Streaming(self._connection, self._note, (tell, tenant))
        return self._streaming.batches(sql, parameters, size)

    async def _run(self, sql: str, parameters: Sequence[Any]) -> tuple[Any, Any]:
        """Run one statement; the statement itself, which knows more, and the rows."""
        try:
            statement = self._statements.get(sql) or await self._prepare(sql)
            return statement, await statement.fetch(*parameters)
        except DRIVER_ERRORS as error:
            if not self._may_repeat(error, sql):
                raise
        statement = await self._noted(self._prepare(sql), sql)
        return statement, await self._noted(statement.fetch(*parameters), sql)

    async def _prepare(self, sql: str) -> Any:
        found = _WORD.match(sql)
        word = "" if found is None else found[1].lower()
        if word == "copy" and _COPY_HERE.search(sql):
            raise DatabaseError("COPY over the connection is no statement", outcome="not done")
        if not self._kept or word not in _REPEATED or len(sql) > _LONGEST_CACHED:
            return await self._connection.prepare(sql, name="")
        self._numbered += 1
        statement = await self._connection.prepare(sql, name=f"{self._prefix}{self._numbered}")
        if len(self._statements) >= self._kept:
            # The driver closes on the server what nothing refers to.
            del self._statements[next(iter(self._statements))]
        self._statements[sql] = statement
        return statement

    def _may_repeat(self, error: Exception, sql: str) -> bool:
        """Whether a prepared statement got stale before it did anything, so that it is run again.

        Not within a transaction, which the error has ended.
        """
        stale = isinstance(error, asyncpg.InvalidCachedStatementError)
        unknown = getattr(error, "sqlstate", None) == _UNKNOWN_STATEMENT
        if not stale and not unknown:
            self._note(error, sql)
            return False
        if unknown and not self._prepared_by_sql and self._driver.may_find_pooler(self._location):
            self._pooled = True
            if self._location.statement_cache_size is None:
                self._kept = 0
        self._statements.clear()
        return not self.in_transaction

    async def _noted(self, work: Coroutine[Any, Any, Any], sql: str) -> Any:
        try:
            return await work
        except DRIVER_ERRORS as error:
            self._note(error, sql)
            raise

    def _note(self, error: Exception, sql: str) -> None:
        """If the connection broke, note what that means for a write."""
        closed = self._connection.is_closed()
        if not was_lost(error) and (not closed or isinstance(error, asyncpg.PostgresError)):
            return
        self._usable = False
        # Refused by the driver itself, or undone by the server as every open transaction is.
        unsent, word = isinstance(error, asyncpg.InterfaceError), _WORD.match(sql)
        plain = word is not None and word[1].lower() in _UNDONE
        undone = self._began and (plain or _COMMITS.search(sql) is None)
        note_lost(error, nothing_done=unsent or undone)

    def _watch(self, sql: str) -> None:
        """Note whether a user's own statement may leave something in the session."""
        if not leaves_no_trace(sql):
            self._leaves_state = True
            self._prepared_by_sql = self._prepared_by_sql or _PREPARES.search(sql) is not None

    # Transactions: plain statements, one round trip each

    async def begin(self, *, isolation: Isolation | None = None, read_only: bool = False) -> None:
        """Open a transaction; without ``isolation`` it is read committed, whatever is set."""
        level = (isolation or "read committed").upper()
        await self._command(f"BEGIN ISOLATION LEVEL {level}{' READ ONLY' if read_only else ''}")
        self._began = True

    async def commit(self) -> None:
        """Make the transaction durable. ``TransactionFailed`` where an error had ended it."""
        status = await self._command("COMMIT")
        self._began = False
        if status != "COMMIT":
            raise TransactionFailed(
                "an earlier error had ended the transaction; the server rolled it back",
                outcome="not done",
            )

    async def rollback(self) -> None:
        """Undo the transaction; nothing where there is none."""
        if self.in_transaction:
            await self._command("ROLLBACK")
        self._began = False

    async def savepoint(self, name: str) -> None:
        """Set a savepoint."""
        await self._command(f"SAVEPOINT {name}")

    async def rollback_to(self, name: str) -> None:
        """Undo everything since the savepoint, which stays."""
        await self._command(f"ROLLBACK TO {name}")

    async def release(self, name: str) -> None:
        """Forget the savepoint and keep what was done since."""
        await self._command(f"RELEASE {name}")

    async def begin_two_phase(self, name: str) -> None:
        """Open a transaction that can be prepared; refused where the server prepares none."""
        [(most,)] = await self.fetch("SHOW max_prepared_transactions", ())
        if int(most) == 0:
            raise UnsupportedFeature(
                "the server prepares no transactions: its setting max_prepared_transactions is 0",
                feature="transactions.two_phase",
                dialect="postgres",
                reason="max_prepared_transactions is 0",
            )
        await self.begin()
        self._prepared_as = name

    async def prepare(self) -> None:
        """Prepare the transaction. ``TransactionFailed`` where an error had ended it."""
        name, self._prepared_as = self._prepared_as, None
        status = await self._command(f"PREPARE TRANSACTION '{name}'")
        self._began = False
        if status != "PREPARE TRANSACTION":
            raise TransactionFailed(
                "an earlier error had ended the transaction; the server rolled it back",
                outcome="not done",
            )

    async def commit_prepared(self, name: str) -> None:
        """Make a prepared transaction durable; nothing where there is none."""
        await self._end_prepared(f"COMMIT PREPARED '{name}'")

    async def rollback_prepared(self, name: str) -> None:
        """Undo a prepared transaction; nothing where there is none."""
        await self._end_prepared(f"ROLLBACK PREPARED '{name}'")

    async def _end_prepared(self, sql: str) -> None:
        with suppress(asyncpg.UndefinedObjectError):
            await self._command(sql)

    async def list_prepared(self) -> Sequence[str]:
        """The names of the prepared transactions of the database."""
        rows = await self.fetch(
            "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()", ()
        )
        return [row[0] for row in rows]

    async def _command(self, sql: str) -> str:
        status: str = await self._noted(self._connection.execute(sql), sql)
        return status

    # The state of the connection

    async def cancel(self) -> None:
        """Wait until what was cancelled has stopped; the driver has asked the server to.

        Whoever does not hear from the server in time gets an unusable connection: the statement is
        then stopped in the background, and nobody waits.
        """
        self._usable = False
        self._stopping = True
        try:
            async with asyncio.timeout(self._stop_limit):
                await until_idle(self._connection)
                if self._streaming is not None:
                    await self._streaming.end()
        except TimeoutError:
            return
        except DRIVER_ERRORS as error:
            _LOG.debug("cancelling on %s: %s", self._location, type(error).__name__)
            return
        self._stopping = False
        self._usable = True

    async def reset(self) -> None:
        """Undo what a user's own SQL may have left in the session; without any it costs nothing.

        Behind a pooler it is undone on the server that answers now, most likely the same.
        """
        if self.in_transaction:
            await self.rollback()
        if not self._leaves_state:
            return
        prepared = self._prepared_by_sql and not self._pooled
        await self._command(reset_script(self._location, pooled=self._pooled, prepared=prepared))
        if prepared:
            self._statements.clear()
        self._leaves_state = self._prepared_by_sql = False

    async def ping(self) -> None:
        """Raise if the connection is dead."""
        await self._command("SELECT 1")

    async def close(self) -> None:
        """Close; never raises for a connection that is already gone, nor waits for long."""
        self._usable = False
        self._statements.clear()
        connection = self._connection
        if self._process != os.getpid() or connection.is_closed():
            return
        if self._loop.is_closed():
            self._cut()
        elif self._loop is not asyncio.get_running_loop():
            # Its loop may be at work in another thread, and nobody else may touch the connection.
            self._loop.call_soon_threadsafe(self._cut)
        elif self._stopping:
            self._driver.abandon(self._abandoned())
        else:
            try:
                await connection.close(timeout=_CLOSE_SECONDS)
            except DRIVER_ERRORS as error:
                _LOG.debug("closing %s: %s", self._location, type(error).__name__)

    async def _abandoned(self) -> None:
        """Let the request to cancel reach the server before the connection is cut."""
        try:
            async with asyncio.timeout(ABANDON_SECONDS):
                await until_idle(self._connection)
        except DRIVER_ERRORS as error:
            _LOG.debug("abandoning %s: %s", self._location, type(error).__name__)
        finally:
            self._cut()

    def _cut(self) -> None:
        try:
            self._connection.terminate()
        except RuntimeError as error:
            # Its event loop has ended; the goodbye was sent.
            _LOG.debug("closing %s: %s", self._location, error)
