"""Databases of a MariaDB or MySQL server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final

import aiomysql

from benchmarks.contestants.raw_mysql import connection_arguments
from benchmarks.databases.contract import DatabaseMaker, StoredRow

__all__ = ["MySQLPlace"]

_SETTINGS: Final = (
    *("innodb_flush_log_at_trx_commit", "innodb_doublewrite", "innodb_buffer_pool_size"),
    *("sync_binlog", "log_bin", "local_infile", "max_allowed_packet", "max_connections"),
)


class MySQLPlace:
    """A private server with the defaults, so that each commit waits for the disk."""

    name: ClassVar[str] = "mysql"
    title: ClassVar[str] = "MariaDB"
    drivers: ClassVar[tuple[str, ...]] = ("aiomysql", "PyMySQL")
    session: ClassVar[Mapping[str, Any]] = {
        "SELECT @@unique_checks": 1,
        "SELECT @@foreign_key_checks": 1,
        "SELECT @@autocommit": 1,
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
        async with _connected(url) as cursor:
            await cursor.execute(f"SELECT {columns} FROM users ORDER BY {order}")
            return list(await cursor.fetchall())

    def normal(self, row: StoredRow) -> StoredRow:
        return row

    async def loosen(self, url: str) -> None:
        """Nothing: drivers here have one form of a value."""

    async def keep(self, url: str) -> None:
        async with _connected(url) as cursor:
            await cursor.execute("CREATE TABLE kept LIKE users")
            await cursor.execute("INSERT INTO kept SELECT * FROM users")
            await cursor.execute("ANALYZE TABLE users")

    async def restore(self, url: str) -> None:
        async with _connected(url) as cursor:
            await cursor.execute("TRUNCATE TABLE users")
            await cursor.execute("INSERT INTO users SELECT * FROM kept")

    async def settle(self, url: str) -> None:
        """Pages are written when the server wants to, as they are in use."""


async def _settings(url: str) -> dict[str, str]:
    async with _connected(url) as cursor:
        await cursor.execute(f"SELECT {', '.join('@@' + name for name in _SETTINGS)}")
        (values,) = await cursor.fetchall()
        return dict(zip(_SETTINGS, map(str, values), strict=True))


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    connection = await aiomysql.connect(**connection_arguments(url))
    try:
        async with connection.cursor() as cursor:
            # A contestant that left a transaction open is told, not waited for.
            await cursor.execute("SET lock_wait_timeout = 20")
            yield cursor
    finally:
        await connection.ensure_closed()
