"""Stopping a statement: over a second connection, since the first one is waiting for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from attrs import frozen
from pymysql.err import MySQLError

from dataflow_core.errors import DataFlowError
from dataflow_mysql.protocol.failures import ConnectionGone, ServerError
from dataflow_mysql.protocol.login import Wire

__all__ = ["Stopping"]

_LOG = logging.getLogger("dataflow.mysql")
_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.02
_NO_SUCH_CONNECTION: Final = 1094


@frozen
class Stopping:
    """How the statement of one connection is stopped.

    Attributes:
        open: opens the second connection.
        whoami: the statement that tells which server it leads to.
        number: how the server calls the connection.
        identity: the server that the connection leads to.
    """

    open: Callable[[], Awaitable[Wire]]
    whoami: bytes
    number: int
    identity: tuple[Any, ...]

    async def stop(self, wire: Wire, limit: float) -> None:
        """Stop what runs; end the connection if it is lost. Never raises but when cancelled."""
        try:
            async with asyncio.timeout(limit):
                await self._stop(wire)
        except (DataFlowError, ServerError, ConnectionGone, MySQLError, OSError) as error:
            # TimeoutError is an OSError.
            _LOG.warning("a statement that was given up may go on at the server: %s", error)

    async def _stop(self, wire: Wire) -> None:
        side = await self.open()
        try:
            # Behind a balancer the second connection may lead to another server, where the number
            # is somebody else's.
            if (await side.query(self.whoami)).rows != [self.identity]:
                _LOG.warning("a statement goes on: its server could not be reached again")
                return
            pause = _FIRST_PAUSE
            while wire.busy:
                # Again and again: one that comes before the statement is forgotten by the server.
                await self._kill(side, f"KILL QUERY {self.number}")
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            if not wire.usable:
                await self._kill(side, f"KILL CONNECTION {self.number}")
        finally:
            await side.close()

    async def _kill(self, side: Wire, text: str) -> None:
        try:
            await side.query(text.encode())
        except ServerError as error:
            if error.number != _NO_SUCH_CONNECTION:
                raise
