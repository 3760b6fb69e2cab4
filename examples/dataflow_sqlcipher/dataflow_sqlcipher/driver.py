"""Opening encrypted files: SQLite's own opening, on the driver of SQLCipher."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar

from sqlcipher3 import dbapi2  # type: ignore[import-untyped]

from dataflow_core.contract import Server
from dataflow_core.errors import ConnectionFailed, CorruptDatabase, DataFlowError
from dataflow_sqlite.driver import SQLiteDriver
from dataflow_sqlite.location import Location
from dataflow_sqlite.opening import Opening

__all__ = ["SQLCipherDriver"]

# SQLCipher tells the family of a broken constraint only; the message tells which one it was.
_CONSTRAINTS = {
    "UNIQUE": sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    "NOT NULL": sqlite3.SQLITE_CONSTRAINT_NOTNULL,
    "CHECK": sqlite3.SQLITE_CONSTRAINT_CHECK,
    "FOREIGN KEY": sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
}
_MOST_PARAMETERS = 32_766
_ROUNDS = 256_000


def _as_sqlite(error: Exception) -> sqlite3.Error:
    """The error that the module ``sqlite3`` would have raised."""
    kind = getattr(sqlite3, type(error).__name__, sqlite3.DatabaseError)
    same: sqlite3.Error = kind(*error.args)
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        code = _CONSTRAINTS.get(str(error).partition(" constraint failed")[0], code)
        same.sqlite_errorcode = code
        same.sqlite_errorname = getattr(error, "sqlite_errorname", "")
    return same


def _translating(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def translated(*arguments: Any, **settings: Any) -> Any:
        try:
            return method(*arguments, **settings)
        except dbapi2.Error as error:
            raise _as_sqlite(error) from None

    return translated


class _Cursor(dbapi2.Cursor):  # type: ignore[misc]
    """A cursor that raises what SQLite's raises."""

    execute = _translating(dbapi2.Cursor.execute)
    fetchone = _translating(dbapi2.Cursor.fetchone)
    fetchall = _translating(dbapi2.Cursor.fetchall)


class _Connection(dbapi2.Connection):  # type: ignore[misc]
    """A connection that behaves like one of the module ``sqlite3``."""

    executescript = _translating(dbapi2.Connection.executescript)
    close = _translating(dbapi2.Connection.close)

    def cursor(self, factory: type[_Cursor] = _Cursor) -> _Cursor:
        """A cursor that raises what SQLite's raises."""
        made: _Cursor = super().cursor(factory)
        return made

    def execute(self, sql: str, parameters: Any = ()) -> _Cursor:
        """Run one statement."""
        cursor = self.cursor()
        cursor.execute(sql, parameters)
        return cursor

    def getlimit(self, category: int) -> int:
        """SQLCipher does not tell; this is what it is built with."""
        return _MOST_PARAMETERS


class _Key:
    """The key of a file. Deriving it takes long on purpose, so that it is done once."""

    def __init__(self, text: str, path: Path) -> None:
        self._text = text
        self._path = path
        self._derived = ""
        self._deriving = threading.Lock()

    def pragma(self) -> str:
        """The statement that gives the key."""
        with self._deriving:
            salt = b""
            if not self._derived and self._path.exists():
                with self._path.open("rb") as file:
                    salt = file.read(16)
            if len(salt) == 16:
                key = hashlib.pbkdf2_hmac("sha512", self._text.encode(), salt, _ROUNDS, 32)
                self._derived = (key + salt).hex()
        if self._derived:
            return f"PRAGMA key = \"x'{self._derived}'\""
        return "PRAGMA key = '" + self._text.replace("'", "''") + "'"


class _Opening(Opening):
    server: ClassVar[Server] = Server("SQLCipher", dbapi2.sqlite_version_info)

    def __init__(self, location: Location, read_only: bool, key: _Key) -> None:
        super().__init__(location, read_only)
        self._key = key

    def open_connection(self, name: str, **settings: Any) -> sqlite3.Connection:
        """Open a file; nothing can be read before the key is given."""
        made: Any = dbapi2.connect(name, factory=_Connection, **settings)
        made.execute(self._key.pragma())
        connection: sqlite3.Connection = made
        return connection

    def failed(self, error: sqlite3.Error) -> DataFlowError:
        """A wrong key looks like a file that is none."""
        found = super().failed(error)
        if isinstance(found, CorruptDatabase):
            return ConnectionFailed(f"{self.location} is no database, or the key is wrong")
        return found


class SQLCipherDriver(SQLiteDriver):
    """One encrypted file with one writer and several readers."""

    opening_class = _Opening

    def __init__(self, location: Location, path: Path, key: str) -> None:
        super().__init__(location)
        self._key = _Key(key, path)

    def opening(self, *, read_only: bool) -> Opening:
        """How the next connection is opened."""
        return _Opening(self.location, read_only, self._key)
