"""Databases of a PostgreSQL server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final

import asyncpg

from benchmarks.databases.contract import DatabaseMaker, StoredRow

__all__ = ["PostgresPlace"]

_SETTINGS: Final = (
    *("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size"),
    *("work_mem", "jit", "max_connections"),
)


class PostgresPlace:
    """A private server with the defaults of initdb, so with fsync."""

    name: ClassVar[str] = "postgres"
    title: ClassVar[str] = "PostgreSQL"
    drivers: ClassVar[tuple[str, ...]] = ("asyncpg",)
    session: ClassVar[Mapping[str, Any]] = {
        "SHOW synchronous_commit": None,
        "SHOW work_mem": None,
    }

    def __init__(self, server: DatabaseMaker) -> None:
        self._server = server

    @property
    def product(self) -> str:
        return self._server.description.partition(",")[0]

    def new(self) -> str:
        return self._server.new_database()

    def drop(self, url: str) -> None:
        self._server.drop_database(url)

    def settings(self) -> Mapping[str, str]:
        url = self.new()
        try:
            return asyncio.run(_settings(url))
        finally:
            self.drop(url)

    async def stored(self, url: str, columns: str, order: str) -> list[StoredRow]:
        async with _connected(url) as connection:
            rows = await connection.fetch(f"SELECT {columns} FROM users ORDER BY {order}")
            return [tuple(row) for row in rows]

    def normal(self, row: StoredRow) -> StoredRow:
        return row

    async def loosen(self, url: str) -> None:
        """Nothing: drivers here have one form of a value."""

    async def keep(self, url: str) -> None:
        async with _connected(url) as connection:
            await connection.execute("CREATE TABLE kept AS SELECT * FROM users")
            await connection.execute("VACUUM ANALYZE users")

    async def restore(self, url: str) -> None:
        async with _connected(url) as connection:
            await connection.execute("TRUNCATE users RESTART IDENTITY")
            columns = await connection.fetchval(
                "SELECT string_agg(column_name, ', ') FROM information_schema.columns"
                " WHERE table_name = 'users'"
            )
            await connection.execute(f"INSERT INTO users ({columns}) SELECT {columns} FROM kept")
            await connection.execute(
                "SELECT setval(pg_get_serial_sequence('users', 'id'), max(id)) FROM kept"
                " HAVING max(id) > 0"
            )

    async def settle(self, url: str) -> None:
        """Checkpoints come when the server wants them, as they do in use."""


async def _settings(url: str) -> dict[str, str]:
    async with _connected(url) as connection:
        return {name: str(await connection.fetchval(f"SHOW {name}")) for name in _SETTINGS}


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
