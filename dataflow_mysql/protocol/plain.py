"""The plain way: the driver's own cursor. For a driver whose insides are not the known ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final

import aiomysql
from pymysql.constants import FIELD_TYPE
from pymysql.err import InterfaceError, MySQLError

from dataflow_mysql.protocol.failures import ConnectionGone, ServerError
from dataflow_mysql.protocol.packets import COLUMN_TYPES, Row, value_of
from dataflow_mysql.protocol.wire import Answer

__all__ = ["CONVERSIONS", "PlainWire", "server_error"]

_CLIENT_ERRORS: Final = range(2_000, 3_000)
_TEXTS: Final = (FIELD_TYPE.JSON, FIELD_TYPE.GEOMETRY)


def _conversion(kind: str) -> Callable[[str | bytes], Any]:
    def convert(value: str | bytes) -> Any:
        return value_of(kind, value.encode() if isinstance(value, str) else value)

    return convert


CONVERSIONS: Final[dict[int, Callable[[Any], Any]]] = {
    code: _conversion(kind) for code, kind in COLUMN_TYPES.items() if code not in _TEXTS
}
"""How the driver reads values, so that both ways give the same."""


def server_error(error: Exception) -> Exception:
    """What the driver raised as one of the two errors that this package raises."""
    if not isinstance(error, MySQLError):
        return error
    number = error.args[0] if error.args else 0
    if isinstance(error, InterfaceError) or not isinstance(number, int):
        return ConnectionGone("the connection is closed", sent=False)
    if number in _CLIENT_ERRORS:
        return ConnectionGone("the connection broke", sent=True)
    text = str(error.args[1]) if len(error.args) > 1 else ""
    return ServerError(number, text, getattr(error, "sqlstate", None) or "")


class _QuietCursor(aiomysql.Cursor):  # type: ignore[misc]  # the driver has no types
    """A cursor that does not ask for warnings after every statement."""

    async def _show_warnings(self, conn: Any) -> None:
        """Strict modes make errors of what matters."""


class _QuietStreamingCursor(aiomysql.SSCursor):  # type: ignore[misc]  # the driver has no types
    """The same, which leaves the rows with the server until they are asked for."""

    async def _show_warnings(self, conn: Any) -> None:
        """Strict modes make errors of what matters."""


class PlainWire:
    """A connection of the driver, behind the methods of ``PacketWire``."""

    moved = True

    def __init__(self, login: Any) -> None:
        self._login = login
        self.busy = False
        self.abandoned = False

    @property
    def status(self) -> int:
        """The server's status after the last statement without rows."""
        return int(self._login.server_status)

    @property
    def usable(self) -> bool:
        """Whether a statement can be sent."""
        return not self._login.closed

    async def query(self, text: bytes) -> Answer:
        """Send a statement and read what it gives."""
        self.busy = True
        try:
            cursor = await self._login.cursor(_QuietCursor)
            await cursor.execute(text.decode())
            names = tuple(column[0] for column in cursor.description or ())
            rows = list(await cursor.fetchall()) if names else []
            affected = cursor.rowcount
            await cursor.close()
        except Exception as error:
            raise server_error(error) from error
        except BaseException:
            # The driver closes the connection; the server may still be working for it.
            self.abandoned = True
            self._login.close()
            raise
        finally:
            self.busy = False
        return Answer(names, rows, len(rows) if names else affected)

    async def query_all(self, texts: Sequence[bytes]) -> list[Answer | ServerError]:
        """Send statements one after the other, those behind a failed one too; what each gave."""
        outcomes: list[Answer | ServerError] = []
        for text in texts:
            try:
                outcomes.append(await self.query(text))
            except ServerError as error:
                outcomes.append(error)
        return outcomes

    async def load(self, text: bytes, lines: bytes) -> int:
        """Nothing is loaded: the driver would read a file."""
        return 0

    async def stream(self, text: bytes, size: int) -> AsyncGenerator[list[Row], None]:
        """Send a statement; its rows, so many at a time. Closed early, it closes the connection."""
        self.busy, ended = True, False
        try:
            cursor = await self._login.cursor(_QuietStreamingCursor)
            await cursor.execute(text.decode())
            while rows := await cursor.fetchmany(size):
                yield list(rows)
            ended = True
            await cursor.close()
        except Exception as error:
            ended = True
            raise server_error(error) from error
        finally:
            self.busy = False
            if not ended:
                # The driver would read all that is left; the server may have much left to do.
                self.abandoned = True
                self._login.close()

    async def soon_over(self) -> None:
        """Nothing is ever under way."""

    async def ping(self) -> None:
        """Have the server answer."""
        try:
            await self._login.ping(reconnect=False)
        except Exception as error:
            raise server_error(error) from error

    async def reset(self, database: str) -> bool:
        """Not offered by the driver: False, and the connection has to be closed."""
        return False

    async def drained(self) -> None:
        """Nothing is ever under way: a statement that is given up closes the connection."""

    async def close(self) -> None:
        """Close; never raises."""
        self._login.close()

    def break_off(self) -> None:
        """Close at once."""
        self._login.close()
