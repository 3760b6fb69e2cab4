"""aiomysql in its fastest use: a held connection, one conversion of times, LOAD DATA for many rows.

``conv`` without the driver's own conversion of times leaves them text, which ``fromisoformat``
reads several times as fast.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any
from urllib.parse import unquote, urlsplit

import aiomysql
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions

from benchmarks.contestants.contract import Page, at_once
from benchmarks.data import FIELDS, Row

__all__ = ["RawMySQL", "connection_arguments", "file_in_memory"]

_FIELDS = ", ".join(FIELDS)
_COLUMNS = f"id, {_FIELDS}"
_CREATE = f"INSERT INTO users ({_FIELDS}) VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING {_COLUMNS}"
_READ = f"SELECT {_COLUMNS} FROM users WHERE id = %s"
_UPDATE = f"UPDATE users SET age = %s WHERE id = %s; {_READ}"
_PAGE = (
    f"SELECT {_COLUMNS} FROM users WHERE age BETWEEN %s AND %s AND department IN (%s, %s, %s)"
    " ORDER BY created_at DESC LIMIT %s"
)
_EVERYTHING = f"SELECT {_COLUMNS} FROM users ORDER BY id LIMIT %s"
# Aria is quicker than InnoDB here, and what is in it need not survive.
_INCOMING = f"CREATE TEMPORARY TABLE incoming ENGINE=Aria AS SELECT {_FIELDS} FROM users LIMIT 0"
_UPSERT = (
    f"INSERT INTO users ({_FIELDS}) SELECT {_FIELDS} FROM incoming ON DUPLICATE KEY UPDATE "
    + ", ".join(f"{name} = VALUES({name})" for name in FIELDS if name != "email")
)
_CONVERSIONS = {key: value for key, value in conversions.items() if key != FIELD_TYPE.DATETIME}
_ROWS_AT_ONCE = 2_000
_SPECIAL = re.compile(r"[\\\t\n\r\0]")
_ESCAPES = {ord(char): "\\" + text for char, text in zip("\\\t\n\r\0", "\\tnr0", strict=True)}
_texts = itemgetter("name", "email", "department")
_values = itemgetter(*FIELDS)
_moment = dt.datetime.fromisoformat


def connection_arguments(url: str) -> dict[str, Any]:
    """What aiomysql takes for a URL."""
    parts = urlsplit(url)
    return {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "db": parts.path.lstrip("/"),
        "charset": "utf8mb4",
        "autocommit": True,
    }


@contextmanager
def file_in_memory(parts: Iterable[str]) -> Iterator[str]:
    """A file with these texts that needs no disk; its name."""
    descriptor = os.memfd_create("benchmark")
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            for part in parts:
                file.write(part.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _decoded(rows: Iterable[Any]) -> list[Row]:
    return [
        {
            "id": key,
            "name": name,
            "email": email,
            "age": age,
            "department": department,
            "active": active == 1,
            "score": score,
            "created_at": _moment(created_at + "+00:00"),
        }
        for key, name, email, age, department, active, score, created_at in rows
    ]


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    """The rows as LOAD DATA reads them; texts are looked at together, and escaped if need be."""
    for at in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[at : at + _ROWS_AT_ONCE]
        if _SPECIAL.search("".join(text for row in part for text in _texts(row))):
            part = [
                {
                    key: _escaped(value) if type(value) is str else value
                    for key, value in row.items()
                }
                for row in part
            ]
        yield "".join(
            [
                f"{name}\t{email}\t{age}\t{department}\t{active:d}\t{score!r}\t"
                f"{created_at.isoformat(' ', 'microseconds')[:26]}\n"
                for name, email, age, department, active, score, created_at in map(_values, part)
            ]
        )


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


class RawMySQL:
    """Written by hand for this one table."""

    def __init__(self, name: str = "aiomysql") -> None:
        self.name = name

    async def open(self, url: str, connections: int) -> None:
        arguments = {**connection_arguments(url), "conv": _CONVERSIONS, "local_infile": True}
        self._connection = await aiomysql.connect(**arguments)
        self._cursor = await self._connection.cursor()
        self._pool: Any = None
        if connections > 1:
            self._pool = await aiomysql.create_pool(
                minsize=connections, maxsize=connections, **arguments
            )

    async def close(self) -> None:
        await self._cursor.close()
        await self._connection.ensure_closed()
        if self._pool is not None:
            self._pool.close()
            await self._pool.wait_closed()

    async def ask(self, sql: str) -> Any:
        await self._cursor.execute(sql)
        return (await self._cursor.fetchall())[0][0]

    def plain(self, answer: Any) -> Any:
        return answer

    async def create(self, rows: Sequence[Row]) -> list[Any]:
        cursor = self._cursor
        answers = []
        for row in rows:
            await cursor.execute(_CREATE, _values(row))
            answers += _decoded(await cursor.fetchall())
        return answers

    async def read(self, keys: Sequence[int]) -> list[Any]:
        cursor = self._cursor
        answers = []
        for key in keys:
            await cursor.execute(_READ, (key,))
            answers += _decoded(await cursor.fetchall())
        return answers

    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Any]:
        """MariaDB has no UPDATE that gives rows back; two statements go in one message."""
        cursor = self._cursor
        answers = []
        for key, age in changes:
            await cursor.execute(_UPDATE, (age, key, key))
            await cursor.nextset()
            answers += _decoded(await cursor.fetchall())
        return answers

    async def page(self, pages: Sequence[Page]) -> list[list[Any]]:
        cursor = self._cursor
        answers = []
        for page in pages:
            values = (page.youngest, page.oldest, *page.departments, page.limit)
            await cursor.execute(_PAGE, values)
            answers.append(_decoded(await cursor.fetchall()))
        return answers

    async def everything(self, rows: int) -> list[Any]:
        await self._cursor.execute(_EVERYTHING, (rows,))
        return _decoded(await self._cursor.fetchall())

    async def bulk_create(self, rows: Sequence[Row]) -> int:
        return await self._load("users", rows)

    async def bulk_upsert(self, rows: Sequence[Row]) -> int:
        """The server counts a changed row twice, so the rows that were loaded are told."""
        cursor = self._cursor
        await cursor.execute(_INCOMING)
        loaded = await self._load("incoming", rows)
        await cursor.execute(_UPSERT)
        await cursor.execute("DROP TEMPORARY TABLE incoming")
        return loaded

    async def _load(self, table: str, rows: Sequence[Row]) -> int:
        with file_in_memory(_lines(rows)) as name:
            loaded = await self._cursor.execute(
                f"LOAD DATA LOCAL INFILE '{name}' INTO TABLE {table} CHARACTER SET utf8mb4"
                f" ({_FIELDS})"
            )
        return int(loaded)

    async def read_at_once(self, parts: Sequence[Sequence[int]]) -> list[list[Any]]:
        pool = self._pool

        async def work(keys: Sequence[int]) -> list[Any]:
            answers = []
            for key in keys:
                async with pool.acquire() as connection, connection.cursor() as cursor:
                    await cursor.execute(_READ, (key,))
                    answers += _decoded(await cursor.fetchall())
            return answers

        return await at_once(work, parts)

    async def create_at_once(self, parts: Sequence[Sequence[Row]]) -> list[list[Any]]:
        pool = self._pool

        async def work(rows: Sequence[Row]) -> list[Any]:
            answers = []
            for row in rows:
                async with pool.acquire() as connection, connection.cursor() as cursor:
                    await cursor.execute(_CREATE, _values(row))
                    answers += _decoded(await cursor.fetchall())
            return answers

        return await at_once(work, parts)
