"""The fast way for results that are read by and by: nothing more comes in than was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

from pymysql.constants import COMMAND

from dataflow_mysql.protocol.packets import Row
from dataflow_mysql.protocol.pipeline import PipelineWire
from dataflow_mysql.protocol.wire import Answer

__all__ = ["StreamingWire"]

_DRAIN_SECONDS: Final = 0.02


class StreamingWire(PipelineWire):
    """One connection that also gives the rows of an answer while they arrive.

    While enough of them wait, the socket is not read, and the server stops sending.
    """

    _most: int | None = None
    _arrived: asyncio.Future[None] | None = None
    _dropping = False

    async def stream(self, text: bytes, size: int) -> AsyncGenerator[list[Row], None]:
        """Send a statement; its rows, so many at a time.

        Closed early, what is still under way is dropped as it arrives; ``busy`` says if there is.
        """
        ended = self._command(COMMAND.COM_QUERY, text)
        self._most = size
        try:
            rest: list[Row] = []
            while not ended.done():
                await self._wait(ended, size)
                if ended.done():
                    break
                rest += self._rows
                self._rows = []
                whole = len(rest) - len(rest) % size
                for at in range(0, whole, size):
                    yield rest[at : at + size]
                del rest[:whole]
            rest += (await ended).rows
            for at in range(0, len(rest), size):
                yield rest[at : at + size]
        finally:
            self._most = None
            self._give_up(ended)

    async def _wait(self, ended: asyncio.Future[Answer], size: int) -> None:
        """Let rows in until there are enough, or no more of them."""
        if len(self._rows) < size:
            self._arrived = self._loop.create_future()
            self._transport.resume_reading()
            either: set[asyncio.Future[Any]] = {ended, self._arrived}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._arrived = None

    def _give_up(self, ended: asyncio.Future[Answer]) -> None:
        if not ended.done():
            self._dropping = True
            ended.cancel()
        elif not ended.cancelled():
            # Whoever stopped reading does not want to know why the rest would have failed.
            ended.exception()
        self._transport.resume_reading()

    async def soon_over(self) -> None:
        """Wait a moment for what was given up: it may be little."""
        if self.busy:
            waiter = self._waiter = self._loop.create_future()
            await asyncio.wait({waiter}, timeout=_DRAIN_SECONDS)
            if not waiter.cancel():
                waiter.exception()

    def data_received(self, data: bytes) -> None:
        """Read what is complete; stop reading once enough rows wait."""
        super().data_received(data)
        if self._most is not None:
            if len(self._rows) >= self._most:
                self._transport.pause_reading()
                if self._arrived is not None and not self._arrived.done():
                    self._arrived.set_result(None)
        elif self._dropping:
            self._rows.clear()
            self._dropping = self.busy
