"""Files of SQLite."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from benchmarks.databases.contract import DatabaseMaker, StoredRow

__all__ = ["SQLitePlace"]


class SQLitePlace:
    """Each database is a file."""

    name: ClassVar[str] = "sqlite"
    title: ClassVar[str] = "SQLite"
    drivers: ClassVar[tuple[str, ...]] = ("aiosqlite",)
    session: ClassVar[Mapping[str, Any]] = {
        "PRAGMA journal_mode": "wal",
        # FULL
        "PRAGMA synchronous": 2,
        "PRAGMA cache_size": None,
        "PRAGMA page_size": None,
        "PRAGMA wal_autocheckpoint": None,
    }

    def __init__(self, server: DatabaseMaker) -> None:
        self._server = server

    @property
    def product(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def new(self) -> str:
        return self._server.new_database()

    def drop(self, url: str) -> None:
        self._server.drop_database(url)

    def settings(self) -> Mapping[str, str]:
        return {"journal_mode": "wal", "synchronous": "FULL"}

    async def stored(self, url: str, columns: str, order: str) -> list[StoredRow]:
        with _connected(url) as connection:
            return connection.execute(f"SELECT {columns} FROM users ORDER BY {order}").fetchall()

    def normal(self, row: StoredRow) -> StoredRow:
        moment = dt.datetime.fromisoformat(row[-1])
        return *row[:-1], moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)

    async def loosen(self, url: str) -> None:
        """The same table without checks: each library has a text of its own for a moment."""
        with _connected(url) as connection:
            connection.executescript(
                "ALTER TABLE users RENAME TO checked;"
                "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,"
                " email VARCHAR(768) NOT NULL, age BIGINT NOT NULL, department TEXT NOT NULL,"
                " active BOOLEAN NOT NULL, score DOUBLE NOT NULL, created_at DATETIME NOT NULL,"
                " UNIQUE (email));"
                "INSERT INTO users SELECT * FROM checked; DROP TABLE checked; VACUUM;"
            )

    async def keep(self, url: str) -> None:
        with _connected(url) as connection:
            connection.executescript(
                "CREATE TABLE kept AS SELECT * FROM users;"
                "CREATE TABLE kept_keys AS SELECT * FROM sqlite_sequence;"
            )
        await self.settle(url)

    async def restore(self, url: str) -> None:
        with _connected(url) as connection:
            connection.executescript(
                "BEGIN; DELETE FROM users; DELETE FROM sqlite_sequence;"
                "INSERT INTO users SELECT * FROM kept; DELETE FROM sqlite_sequence;"
                "INSERT INTO sqlite_sequence SELECT * FROM kept_keys; COMMIT;"
            )
        await self.settle(url)

    async def settle(self, url: str) -> None:
        """Bring the log back into the file."""
        with _connected(url) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def _connected(url: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()
