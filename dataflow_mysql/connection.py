"""Connections to MySQL and MariaDB."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pymysql.constants import SERVER_STATUS

from dataflow_core.compile import LoadStatement
from dataflow_core.contract import Isolation, Server
from dataflow_core.errors import LimitExceeded, TransactionFailed
from dataflow_mysql.location import MySQLLocation
from dataflow_mysql.opening import Opened
from dataflow_mysql.protocol.failures import ConnectionGone, ServerError
from dataflow_mysql.protocol.literals import Statement, statement
from dataflow_mysql.protocol.login import Wire
from dataflow_mysql.protocol.wire import Answer

if TYPE_CHECKING:
    from dataflow_mysql.driver import MySQLDriver

__all__ = ["MySQLConnection"]

_LOG = logging.getLogger("dataflow.mysql")
_IN_TRANSACTION: Final = SERVER_STATUS.SERVER_STATUS_IN_TRANS
_PLAIN_BACKSLASH: Final = SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES
_INTERRUPTED: Final = 1317
_STOPPED: Final = (1053, 1317, 1927, 3169)
_NO_SUCH_XA: Final = 1397
# How often, and after how many seconds, it is asked whether a closed connection was noticed.
_UNTIL_LEFT: Final = 100
_LEAVING_SECONDS: Final = 0.02
_SHORTEST_GRACE: Final = 0.2
_LONGEST_GRACE: Final = 2.0
_GRACE_SHARE: Final = 0.05
# What the server undoes with the transaction if the connection breaks.
_UNDONE_WITH_TRANSACTION: Final = frozenset(
    ("SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "SAVEPOINT", "RELEASE", "ROLLBACK")
)
# What commits the open transaction, whatever else it does.
_ENDS_TRANSACTION: Final = frozenset(
    (
        *("ALTER", "ANALYZE", "BEGIN", "CACHE", "CHECK", "COMMIT", "CREATE", "DROP", "FLUSH"),
        *("GRANT", "INSTALL", "LOCK", "OPTIMIZE", "RENAME", "REPAIR", "RESET", "REVOKE", "START"),
        *("TRUNCATE", "UNINSTALL", "UNLOCK", "XA"),
    )
)
_ISOLATION: Final[dict[Isolation, str]] = {
    "repeatable read": "REPEATABLE READ",
    "serializable": "SERIALIZABLE",
}


def _ends_transaction(words: tuple[str, ...]) -> bool:
    if not words:
        return False
    second = words[1] if len(words) > 1 else ""
    if words[0] in ("CREATE", "DROP"):
        return second != "TEMPORARY"
    if words[0] == "ROLLBACK":
        return second not in ("TO", "WORK")
    return words[0] in _ENDS_TRANSACTION or words == ("SET", "AUTOCOMMIT")


class MySQLConnection:
    """One connection."""

    def __init__(self, opened: Opened, driver: MySQLDriver, location: MySQLLocation) -> None:
        self._opened = opened
        self._wire = opened.wire
        self._driver = driver
        self._location = location
        self._largest = opened.largest_statement
        self._set_for_next = False
        self._spoilt = False
        self._prepared_as: str | None = None

    @property
    def server(self) -> Server:
        """MySQL or MariaDB, its version, and what it is set to."""
        return self._opened.server

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, as the server sees it."""
        return self.usable and bool(self._wire.status & _IN_TRANSACTION)

    @property
    def usable(self) -> bool:
        """False once the connection must not be used again."""
        return self._wire.usable and not self._spoilt

    @property
    def survives_errors(self) -> bool:
        """A statement that violates a constraint undoes itself only."""
        return True

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Run one statement and return its rows."""
        return (await self._run(sql, parameters)).rows

    async def fetch_named(
        self, sql: str, parameters: Sequence[Any]
    ) -> tuple[tuple[str, ...], Sequence[Sequence[Any]]]:
        """Run one statement and return the names of its columns and its rows."""
        answer = await self._run(sql, parameters)
        return answer.names, answer.rows

    async def execute(self, sql: str, parameters: Sequence[Any]) -> int:
        """Run one statement and return the number of rows that it matched or wrote."""
        return (await self._run(sql, parameters)).affected

    async def fetch_together(
        self, statements: Sequence[tuple[str, Sequence[Any]]]
    ) -> Sequence[Sequence[Any]]:
        """Run statements in a transaction of their own, in one trip; the rows of the last."""
        texts = [self._filled(sql, parameters)[1] for sql, parameters in statements]
        outcomes = await self._wire.query_all([b"START TRANSACTION", *texts, b"COMMIT"])
        for outcome in outcomes[:-1]:
            if isinstance(outcome, ServerError):
                # It undid itself; only the first of the statements writes.
                raise outcome
        self._committed(outcomes[-1])
        answer = outcomes[-2]
        assert isinstance(answer, Answer)
        return answer.rows

    async def load(self, statement: LoadStatement, rows: Sequence[Sequence[Any]]) -> int:
        """Load rows into a table; how many are there as they were given."""
        assert statement.encode is not None
        try:
            return await self._wire.load(statement.text.encode(), statement.encode(rows))
        except ServerError:
            await self._look(self._wire)
            raise
        except ConnectionGone as error:
            error.undone = True
            raise

    async def _run(self, sql: str, parameters: Sequence[Any]) -> Answer:
        cut, text = self._filled(sql, parameters)
        if not self._wire.status & _IN_TRANSACTION:
            return await self._wire.query(text)
        return await self._run_in_transaction(cut, text)

    def _filled(self, sql: str, parameters: Sequence[Any]) -> tuple[Statement, bytes]:
        """A statement, and its text with the values in it."""
        plain = bool(self._wire.status & _PLAIN_BACKSLASH)
        cut = statement(sql, plain)
        text = cut.filled(parameters, no_backslash_escapes=plain).encode()
        if len(text) > self._largest:
            raise LimitExceeded(
                f"the statement has {len(text)} bytes, and the server takes {self._largest}"
                " (max_allowed_packet)",
                outcome="not done",
            )
        return cut, text

    async def stream(
        self, sql: str, parameters: Sequence[Any], size: int
    ) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        """Run one reading statement; its rows in batches, unbuffered."""
        batches = self._wire.stream(self._filled(sql, parameters)[1], size)
        try:
            async for rows in batches:
                yield rows
        except GeneratorExit:
            await batches.aclose()
            await self._wire.soon_over()
            await self.cancel()
            raise
        finally:
            await batches.aclose()

    async def _run_in_transaction(self, cut: Statement, text: bytes) -> Answer:
        """A statement that must neither end the transaction nor hide that the server ended it."""
        if _ends_transaction(cut.words):
            raise TransactionFailed(
                f"{' '.join(cut.words)} would commit the open transaction; run it outside",
                outcome="not done",
            )
        wire = self._wire
        try:
            answer = await wire.query(text)
        except ServerError:
            # The error does not tell whether the transaction is still there.
            await self._look(wire)
            raise
        except ConnectionGone as error:
            error.undone = bool(cut.words) and cut.words[0] in _UNDONE_WITH_TRANSACTION
            raise
        if not wire.status & _IN_TRANSACTION:
            raise TransactionFailed(
                "the statement ended the transaction that it was run in", outcome="unknown"
            )
        return answer

    async def _look(self, wire: Wire) -> None:
        """Have the server tell its status."""
        try:
            await wire.ping()
        except (ServerError, ConnectionGone):
            wire.break_off()

    async def _control(self, text: str) -> None:
        """A statement that writes nothing by itself."""
        try:
            await self._wire.query(text.encode())
        except ConnectionGone as error:
            error.undone = True
            raise

    async def begin(self, *, isolation: Isolation | None = None, read_only: bool = False) -> None:
        """Open a transaction."""
        level = None if isolation is None else _ISOLATION.get(isolation)
        if level is not None:
            self._set_for_next = True
            await self._control(f"SET TRANSACTION ISOLATION LEVEL {level}")
        await self._control("START TRANSACTION READ ONLY" if read_only else "START TRANSACTION")
        self._set_for_next = False

    async def commit(self) -> None:
        """Make the transaction durable."""
        if self.usable and not self.in_transaction:
            raise TransactionFailed("the server ended the transaction before", outcome="unknown")
        [outcome] = await self._wire.query_all([b"COMMIT"])
        self._committed(outcome)

    def _committed(self, outcome: Answer | ServerError) -> None:
        """Raise what a COMMIT failed by."""
        if not isinstance(outcome, ServerError):
            return
        if outcome.number in _STOPPED:
            # Whether it was stopped before or after the point of no return is not told.
            self._wire.break_off()
            raise ConnectionGone("the commit was stopped", sent=True) from outcome
        raise outcome

    async def rollback(self) -> None:
        """Undo the transaction; harmless if the server already did."""
        name, self._prepared_as = self._prepared_as, None
        if name is not None and self.usable:
            with suppress(ServerError):  # it says that the server has given the transaction up
                await self._control(f"XA END '{name}'")
            await self._control(f"XA ROLLBACK '{name}'")
        elif self.in_transaction:
            await self._control("ROLLBACK")

    async def begin_two_phase(self, name: str) -> None:
        """Open a transaction that can be prepared."""
        await self._control(f"XA START '{name}'")
        self._prepared_as = name

    async def prepare(self) -> None:
        """Prepare the transaction, and leave the connection, to which many servers still tie it."""
        name, self._prepared_as = self._prepared_as, None
        await self._control(f"XA END '{name}'")
        try:
            await self._wire.query(f"XA PREPARE '{name}'".encode())
        finally:
            await self.close()

    async def commit_prepared(self, name: str) -> None:
        """Make a prepared transaction durable; nothing where there is none."""
        await self._end_prepared("COMMIT", name)

    async def rollback_prepared(self, name: str) -> None:
        """Undo a prepared transaction; nothing where there is none."""
        await self._end_prepared("ROLLBACK", name)

    async def _end_prepared(self, how: str, name: str) -> None:
        for _ in range(_UNTIL_LEFT):
            try:
                await self._wire.query(f"XA {how} '{name}'".encode())
                return
            except ServerError as error:
                if error.number != _NO_SUCH_XA:
                    raise
            if name not in await self.list_prepared():
                return
            # The connection that prepared it was closed, and the server has yet to notice.
            await asyncio.sleep(_LEAVING_SECONDS)
        raise ConnectionGone(f"{name} is still tied to the connection that prepared it", sent=False)

    async def list_prepared(self) -> Sequence[str]:
        """The names of the prepared transactions of the server."""
        answer = await self._wire.query(b"XA RECOVER")
        return [
            name.decode(errors="replace") if isinstance(name := row[-1], bytes) else str(name)
            for row in answer.rows
        ]

    async def savepoint(self, name: str) -> None:
        """Set a savepoint."""
        await self._control(f"SAVEPOINT {_quoted(name)}")

    async def rollback_to(self, name: str) -> None:
        """Undo everything since the savepoint, which stays."""
        await self._control(f"ROLLBACK TO SAVEPOINT {_quoted(name)}")

    async def release(self, name: str) -> None:
        """Forget the savepoint and keep what was done since."""
        await self._control(f"RELEASE SAVEPOINT {_quoted(name)}")

    async def cancel(self) -> None:
        """Have the server stop what runs, and read what it still says about it.

        Where that takes too long the connection is closed, and the statement is stopped behind it.
        """
        wire = self._wire
        try:
            async with asyncio.timeout(self._grace):
                if wire.busy or wire.abandoned:
                    stopping = self._driver.stop(self._opened, self._location)
                    await wire.drained()
                    await asyncio.shield(stopping)
                    await self._flush()
                if self._set_for_next:
                    await self.reset()
        except (ServerError, ConnectionGone, TimeoutError) as error:
            _LOG.debug("a connection is closed after a statement was given up: %s", error)
            wire.break_off()
        except BaseException:
            wire.break_off()
            raise

    @property
    def _grace(self) -> float:
        limit = self._location.command_timeout
        if limit is None:
            return _LONGEST_GRACE
        return max(_SHORTEST_GRACE, min(_LONGEST_GRACE, limit * _GRACE_SHARE))

    async def _flush(self) -> None:
        """Let a late order to stop hit a statement that does nothing; see what the status is."""
        for last in (False, False, True):
            try:
                await self._wire.query(b"DO 0")
            except ServerError as error:
                if last or error.number != _INTERRUPTED:
                    raise
            else:
                return

    async def reset(self) -> None:
        """Undo session state that a user's own SQL may have left: two trips to the server."""
        wire = self._wire
        if not self.usable:
            return
        # Until the settings are made again; stays so if this is cancelled.
        self._spoilt = True
        if await wire.reset(self._location.database):
            await wire.query(self._opened.settings)
            self._spoilt = False
            self._set_for_next = False

    async def ping(self) -> None:
        """Raise if the connection is dead."""
        await self._wire.ping()

    async def close(self) -> None:
        """Close; never raises for a connection that is already gone."""
        self._spoilt = True
        await self._wire.close()


def _quoted(name: str) -> str:
    escaped = name.replace("`", "``")
    return f"`{escaped}`"
