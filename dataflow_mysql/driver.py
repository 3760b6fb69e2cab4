"""The driver: what is opened for a URL."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from dataflow_core.contract import Connection, Lane
from dataflow_mysql.connection import MySQLConnection
from dataflow_mysql.location import MySQLLocation
from dataflow_mysql.opening import IDENTITY, Opened, open_connection
from dataflow_mysql.protocol.login import Wire, log_in, tls_context, wire_of
from dataflow_mysql.protocol.stopping import Stopping

__all__ = ["MySQLDriver"]

_USUAL_LIMIT: Final = 10.0


class MySQLDriver:
    """One database, and its replica if there is one.

    ``fast`` False has the driver's own cursors read the rows.
    """

    def __init__(self, location: MySQLLocation, *, fast: bool = True) -> None:
        self._location = location
        self._fast = fast
        self._contexts: dict[MySQLLocation, ssl.SSLContext | None] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        primary = Lane("primary")
        if location.replica is None:
            self._lanes: tuple[Lane, ...] = (primary,)
        else:
            self._lanes = (Lane("replica", writes=False, delayed=True), primary)

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The replica first, if there is one: what only reads goes there."""
        return self._lanes

    @property
    def description(self) -> str:
        """What is opened, for the log."""
        replica = self._location.replica
        copied = "" if replica is None else f", reading from {replica}"
        return f"MySQL or MariaDB at {self._location}{copied}"

    async def connect(self, lane: Lane) -> Connection:
        """Open a connection of a lane, with every setting made.

        Raises:
            ConnectionFailed: the server cannot be reached, lets this user not in, or is too old.
            InvalidOption: the collation is unknown, or a file holds no certificate.
        """
        location = self._location
        if lane.delayed and location.replica is not None:
            location = location.replica
        opened = await open_connection(
            location, self._context(location), read_only=not lane.writes, fast=self._fast
        )
        return MySQLConnection(opened, self, location)

    def _context(self, location: MySQLLocation) -> ssl.SSLContext | None:
        if location not in self._contexts:
            self._contexts[location] = tls_context(location)
        return self._contexts[location]

    async def caught_up(self, primary: Connection, replica: Connection) -> bool:
        """Whether the replica has all that the primary holds; False where that cannot be told."""
        maria = primary.server.name == "MariaDB"
        if maria != (replica.server.name == "MariaDB"):
            return False
        position = "@@gtid_binlog_pos" if maria else "@@GLOBAL.gtid_executed"
        ((held,),) = await primary.fetch(f"SELECT {position}", ())
        if not held:
            return False
        question = (
            "SELECT MASTER_GTID_WAIT(?, 0) = 0"
            if maria
            else "SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed)"
        )
        ((answer,),) = await replica.fetch(question, (held,))
        return bool(answer == 1)

    def stop(self, opened: Opened, location: MySQLLocation) -> asyncio.Task[None]:
        """Stop the statement of a connection, or end it at the server if it is closed here."""

        async def side() -> Wire:
            return wire_of(await log_in(location, self._context(location)))

        stopping = Stopping(side, IDENTITY.encode(), opened.number, opened.identity)
        limit = location.connect_timeout or _USUAL_LIMIT
        task = asyncio.ensure_future(stopping.stop(opened.wire, limit))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
        return task

    async def close(self) -> None:
        """Wait for statements that are still being stopped."""
        loop = asyncio.get_running_loop()
        tasks = [task for task in self._stopping if task.get_loop() is loop]
        if tasks:
            await asyncio.wait(tasks)
