"""asyncpg in its fastest use: a held connection, kept statements, binary COPY for many rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

import asyncpg

from benchmarks.contestants.contract import Page, at_once
from benchmarks.data import FIELDS, Row

__all__ = ["RawPostgres"]

_FIELDS = ", ".join(FIELDS)
_COLUMNS = f"id, {_FIELDS}"
_CREATE = f"INSERT INTO users ({_FIELDS}) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {_COLUMNS}"
_READ = f"SELECT {_COLUMNS} FROM users WHERE id = $1"
_UPDATE = f"UPDATE users SET age = $1 WHERE id = $2 RETURNING {_COLUMNS}"
_PAGE = (
    f"SELECT {_COLUMNS} FROM users WHERE age BETWEEN $1 AND $2 AND department IN ($3, $4, $5)"
    " ORDER BY created_at DESC LIMIT $6"
)
_EVERYTHING = f"SELECT {_COLUMNS} FROM users ORDER BY id LIMIT $1"
_INCOMING = (
    f"CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS SELECT {_FIELDS} FROM users WITH NO DATA"
)
_UPSERT = (
    f"INSERT INTO users ({_FIELDS}) SELECT {_FIELDS} FROM incoming"
    " ON CONFLICT (email) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in FIELDS if name != "email")
)
_values = itemgetter(*FIELDS)


def _decoded(rows: Iterable[Any]) -> list[Row]:
    """Twice as quick as ``dict(record)``."""
    return [
        {
            "id": key,
            "name": name,
            "email": email,
            "age": age,
            "department": department,
            "active": active,
            "score": score,
            "created_at": created_at,
        }
        for key, name, email, age, department, active, score, created_at in rows
    ]


class RawPostgres:
    """Written by hand for this one table."""

    def __init__(self, name: str = "asyncpg") -> None:
        self.name = name

    async def open(self, url: str, connections: int) -> None:
        self._connection = await asyncpg.connect(url)
        self._create = await self._connection.prepare(_CREATE)
        self._read = await self._connection.prepare(_READ)
        self._update = await self._connection.prepare(_UPDATE)
        self._page = await self._connection.prepare(_PAGE)
        self._everything = await self._connection.prepare(_EVERYTHING)
        self._pool = None
        if connections > 1:
            self._pool = await asyncpg.create_pool(url, min_size=connections, max_size=connections)

    async def close(self) -> None:
        await self._connection.close()
        if self._pool is not None:
            await self._pool.close()

    async def ask(self, sql: str) -> Any:
        return await self._connection.fetchval(sql)

    def plain(self, answer: Any) -> Any:
        return answer

    async def create(self, rows: Sequence[Row]) -> list[Any]:
        fetch = self._create.fetchrow
        return _decoded([await fetch(*_values(row)) for row in rows])

    async def read(self, keys: Sequence[int]) -> list[Any]:
        fetch = self._read.fetchrow
        return _decoded([await fetch(key) for key in keys])

    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Any]:
        fetch = self._update.fetchrow
        return _decoded([await fetch(age, key) for key, age in changes])

    async def page(self, pages: Sequence[Page]) -> list[list[Any]]:
        fetch = self._page.fetch
        answers = []
        for page in pages:
            found = await fetch(page.youngest, page.oldest, *page.departments, page.limit)
            answers.append(_decoded(found))
        return answers

    async def everything(self, rows: int) -> list[Any]:
        return _decoded(await self._everything.fetch(rows))

    async def bulk_create(self, rows: Sequence[Row]) -> int:
        done = await self._connection.copy_records_to_table(
            "users", records=map(_values, rows), columns=FIELDS
        )
        return int(done.removeprefix("COPY "))

    async def bulk_upsert(self, rows: Sequence[Row]) -> int:
        connection = self._connection
        async with connection.transaction():
            await connection.execute(_INCOMING)
            await connection.copy_records_to_table(
                "incoming", records=map(_values, rows), columns=FIELDS
            )
            done = await connection.execute(_UPSERT)
        return int(done.removeprefix("INSERT 0 "))

    async def read_at_once(self, parts: Sequence[Sequence[int]]) -> list[list[Any]]:
        pool = self._pool
        assert pool is not None

        async def work(keys: Sequence[int]) -> list[Any]:
            fetch = pool.fetchrow
            return _decoded([await fetch(_READ, key) for key in keys])

        return await at_once(work, parts)

    async def create_at_once(self, parts: Sequence[Sequence[Row]]) -> list[list[Any]]:
        pool = self._pool
        assert pool is not None

        async def work(rows: Sequence[Row]) -> list[Any]:
            fetch = pool.fetchrow
            return _decoded([await fetch(_CREATE, *_values(row)) for row in rows])

        return await at_once(work, parts)
