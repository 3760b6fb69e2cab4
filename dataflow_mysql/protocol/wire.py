"""The fast way: statements written to the socket, answers read as their bytes arrive.

The driver connects, encrypts and logs in; then this protocol takes its place on the transport. An
answer that nobody waits for any more is still read to its end, so a cancelled statement leaves the
connection in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pymysql.constants import COMMAND, SERVER_STATUS

from dataflow_core.errors import DatabaseError, DataFlowError
from dataflow_mysql.protocol.failures import ConnectionGone, ServerError
from dataflow_mysql.protocol.packets import Row, done_of, error_of, number_at, row_of
from dataflow_mysql.protocol.shapes import Shape, shape_of

__all__ = ["CHARSET", "Answer", "PacketWire"]

CHARSET: Final = "utf8mb4"

_HEADER: Final = 4
_LONGEST: Final = 0xFFFFFF
_PIECE: Final = 1 << 18
"""How many bytes of lines travel in one packet."""
_RESET_CONNECTION: Final = 0x1F
_OK: Final = 0x00
_LOCAL_FILE: Final = 0xFB
_END: Final = 0xFE
_ERROR: Final = 0xFF
_LONGEST_END: Final = 9
_CLOSE_SECONDS: Final = 1.0

_FIRST, _COLUMNS, _ROWS = range(3)


class Answer(NamedTuple):
    """What a statement gave: names of columns and rows, or how many rows it matched or wrote."""

    names: tuple[str, ...]
    rows: list[Row]
    affected: int


class PacketWire(asyncio.Protocol):
    """One connection after its login. One statement at a time.

    ``tracked``: the server tells when a statement chooses another database. ``release`` lets the
    driver forget the connection.
    ``status`` is the server's, as it was after the last statement that it carried out; ``busy``
    while an answer is under way; ``moved`` once another database was chosen.
    """

    abandoned = False

    def __init__(
        self,
        transport: asyncio.Transport,
        status: int,
        *,
        tracked: bool,
        release: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._release = release
        self._tracked = tracked
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[Answer] | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._lost: str | None = None
        self._rest = bytearray()
        self._needed = 0
        self._partial = bytearray()
        self._state = _FIRST
        self._count = 0
        self._shape: Shape | None = None
        self._rows: list[Row] = []
        self._kept: Answer | None = None
        self._resetting = False
        self._failure: Exception | None = None
        self._offered: bytes | None = None
        self._warnings = 0
        self.status = status
        self.busy = False
        self.moved = False
        transport.set_protocol(self)

    # For the connection

    @property
    def usable(self) -> bool:
        """Whether a statement can be sent."""
        return self._lost is None and not self._transport.is_closing()

    async def query(self, text: bytes) -> Answer:
        """Send a statement and read what it gives."""
        return await self._command(COMMAND.COM_QUERY, text)

    async def load(self, text: bytes, lines: bytes) -> int:
        """Send a LOAD DATA, and the lines when the server asks for them; how many it took as given.

        What it takes for something else, or leaves out, it warns of: such lines do not count.
        """
        self._offered = lines
        try:
            answer = await self._command(COMMAND.COM_QUERY, text)
        finally:
            self._offered = None
        return max(0, answer.affected - self._warnings)

    async def ping(self) -> None:
        """Have the server answer."""
        await self._command(COMMAND.COM_PING, b"")

    async def reset(self, database: str) -> bool:
        """Have the server forget the session; all settings are the server's again."""
        self._resetting = True
        try:
            await self._command(_RESET_CONNECTION, b"")
            if self.moved or not self._tracked:
                await self._command(COMMAND.COM_INIT_DB, database.encode())
        finally:
            self._resetting = False
        self.moved = False
        return True

    async def drained(self) -> None:
        """Wait until the answer to a statement that was given up has been read."""
        if self.busy:
            waiter = self._waiter = self._loop.create_future()
            try:
                await asyncio.wait({waiter})
            finally:
                # What the answer was is of no interest any more.
                if not waiter.cancel():
                    waiter.exception()

    async def close(self) -> None:
        """Say goodbye if the connection is in order, and close; never raises."""
        polite = self.usable and not self.busy
        self._lose("the connection is closed")
        if self._loop is not asyncio.get_running_loop() and not self._loop.is_closed():
            # Its loop may be at work in another thread, and nobody else may touch the transport.
            self._loop.call_soon_threadsafe(self.break_off)
            return
        try:
            await self._close_transport(polite=polite)
        finally:
            # Also where whoever closes is cancelled: what has been said is said.
            self._release()

    async def _close_transport(self, *, polite: bool) -> None:
        if self._loop.is_closed():
            _close_without_loop(self._transport)
            return
        if polite:
            self._transport.write(b"\x01\x00\x00\x00" + bytes((COMMAND.COM_QUIT,)))
            self._transport.close()
            await asyncio.wait({self._closed}, timeout=_CLOSE_SECONDS)
        self._transport.abort()
        await asyncio.wait({self._closed}, timeout=_CLOSE_SECONDS)

    def break_off(self) -> None:
        """Close at once, whatever is under way."""
        self._lose("the connection was given up")
        self._transport.abort()
        self._release()

    def _command(self, command: int, payload: bytes) -> asyncio.Future[Answer]:
        if self._lost is not None or self._transport.is_closing():
            raise ConnectionGone(self._lost or "the connection is closed", sent=False)
        if self.busy:
            raise RuntimeError("a connection runs one statement at a time")
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        self._waiter = waiter
        self.busy = True
        self._state = _FIRST
        self._send(command, payload)
        return waiter

    def _send(self, command: int, payload: bytes) -> None:
        length = len(payload) + 1
        if length < _LONGEST:
            head = length.to_bytes(3, "little") + bytes((0, command))
            self._transport.write(head + payload)
        else:
            self._write_long(bytes((command,)) + payload)

    def _write_long(self, payload: bytes) -> None:
        for number, start in enumerate(range(0, len(payload) + 1, _LONGEST)):
            part = payload[start : start + _LONGEST]
            self._transport.write(len(part).to_bytes(3, "little") + bytes((number & 0xFF,)))
            self._transport.write(part)

    # From the transport

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed."""
        self._lose("the server closed the connection" if exc is None else "the connection broke")
        if not self._closed.done():
            self._closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Read what is complete, keep the rest."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest = bytearray()
        try:
            at = self._read(data)
        except Exception as error:
            # Nothing after a packet that cannot be read means anything.
            self._failure = error
            self._lose("the server sent what cannot be understood", error)
            self._transport.abort()
            return
        if at < len(data):
            self._rest += memoryview(data)[at:]
            self._needed -= at

    def _read(self, data: bytes) -> int:
        """Read the complete packets; the position of the first incomplete one."""
        at, size, text = 0, len(data), ""
        while size - at >= _HEADER:
            if self._state == _COLUMNS:
                start, at = at, self._end_of_columns(data, at)
                if at < 0:
                    return start
                self._shape = shape_of(data[start:at], self._count)
                self._rows = []
                self._state = _ROWS
                continue
            if self._state == _ROWS and not self._partial:
                text = text or data.decode("latin-1")
                at = self._read_rows(data, text, at)
                if size - at < _HEADER:
                    break
            length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            end = at + _HEADER + length
            if end > size:
                self._needed = end
                return at
            payload, at = data[at + _HEADER : end], end
            if length == _LONGEST or self._partial:
                self._partial += payload
                if length == _LONGEST:
                    continue
                payload, self._partial = bytes(self._partial), bytearray()
            self._packet(payload)
        self._needed = at + _HEADER
        return at

    def _end_of_columns(self, data: bytes, at: int) -> int:
        """Where the definitions and the packet behind them end; -1 if they are not complete."""
        size = len(data)
        for _ in range(self._count + 1):
            if size - at < _HEADER:
                self._needed = at + _HEADER
                return -1
            at += _HEADER + (data[at] | data[at + 1] << 8 | data[at + 2] << 16)
        if at > size:
            self._needed = at
            return -1
        return at

    def _read_rows(self, data: bytes, text: str, at: int) -> int:
        """Read rows until one is incomplete, or is none, or holds what its function cannot read."""
        assert self._shape is not None
        rows = self._rows
        before = len(rows)
        try:
            return self._shape.read(data, text, at, len(data), rows.append)
        except (ValueError, ArithmeticError):
            for _ in range(len(rows) - before):
                at += _HEADER + int.from_bytes(data[at : at + 3], "little")
            return at

    def _packet(self, payload: bytes) -> None:
        if not self.busy:
            # Before it closes, a server may say why.
            reason = error_of(payload) if payload[:1] == b"\xff" else "out of turn"
            self._lose(f"the server ended the connection: {reason}")
            self._transport.abort()
            return
        first = payload[0]
        if first == _ERROR:
            self._finish(error_of(payload))
        elif self._state == _ROWS:
            self._row(payload, first)
        elif first == _OK:
            done = done_of(payload)
            self.moved = self.moved or done.moved
            if done.charset not in (None, CHARSET) and not self._resetting:
                self._failure = _foreign(done.charset)
            self._warnings = done.warnings
            self._result_ended(done.status, Answer((), [], done.rows))
        elif first == _LOCAL_FILE:
            self._send_offered()
        else:
            self._count, _ = number_at(payload, 0)
            self._state = _COLUMNS

    def _send_offered(self) -> None:
        """Send the lines that a LOAD DATA is about; a server that asks for a file gets none."""
        lines, self._offered = self._offered, None
        if lines is None:
            raise DatabaseError("the server asked for a file of this machine", outcome="unknown")
        # Numbered behind the question, which answers packet 0; an empty one is the end.
        for number, start in enumerate(range(0, len(lines) + _PIECE, _PIECE), start=2):
            piece = lines[start : start + _PIECE]
            self._transport.write(len(piece).to_bytes(3, "little") + bytes((number & 0xFF,)))
            self._transport.write(piece)

    def _row(self, payload: bytes, first: int) -> None:
        assert self._shape is not None
        if first == _END and len(payload) < _LONGEST_END:
            status = int.from_bytes(payload[3:5], "little")
            answer = Answer(self._shape.names, self._rows, len(self._rows))
            self._result_ended(status, answer)
        else:
            self._rows.append(row_of(self._shape.kinds, payload))

    def _result_ended(self, status: int, answer: Answer) -> None:
        self.status = status
        # Of several results, the first one with columns is the statement's.
        if self._kept is None or (answer.names and not self._kept.names):
            self._kept = answer
        if status & SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS:
            self._state = _FIRST
            return
        kept, self._kept = self._kept, None
        self._finish(kept)

    def _finish(self, outcome: Answer | ServerError) -> None:
        """The answer is complete."""
        self.busy = False
        self._expect_answer()
        failure, self._failure = self._failure, None
        waiter, self._waiter = self._waiter, None
        if failure is not None:
            self._lose("the connection was given up", failure)
            self._transport.abort()
        if waiter is None or waiter.done():
            return
        if failure is not None:
            waiter.set_exception(failure)
        elif isinstance(outcome, ServerError):
            waiter.set_exception(outcome)
        else:
            waiter.set_result(outcome)

    def _expect_answer(self) -> None:
        """What comes next is the beginning of an answer."""
        self._rows, self._kept, self._shape = [], None, None
        self._state = _FIRST

    def _lose(self, reason: str, failure: Exception | None = None) -> None:
        """Nothing can be sent any more; whoever waits learns why."""
        if self._lost is None:
            self._lost = reason
        sent, self.busy = self.busy, False
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            gone = ConnectionGone(self._lost, sent=sent)
            if isinstance(failure, DataFlowError):
                waiter.set_exception(failure)
                return
            gone.__cause__ = failure
            waiter.set_exception(gone)


def _foreign(charset: str | None) -> DatabaseError:
    return DatabaseError(
        f"the statement made the connection speak {charset}; it has to speak {CHARSET}, so it is"
        " closed",
        outcome="unknown",
    )


def _close_without_loop(transport: Any) -> None:
    """Close a transport whose event loop has ended: there is nobody to carry a close out."""
    try:
        transport.abort()
    except RuntimeError:
        finish = getattr(transport, "_call_connection_lost", None)
        if finish is not None:
            finish(None)
