"""aiosqlite in its fastest use: a held connection and one trip to its thread per statement."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import aiosqlite

from benchmarks.contestants.contract import Page, at_once
from benchmarks.data import Row

__all__ = ["RawSQLite"]

_FIELDS = "name, email, age, department, active, score, created_at"
_COLUMNS = f"id, {_FIELDS}"
_CREATE = f"INSERT INTO users ({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING {_COLUMNS}"
_READ = f"SELECT {_COLUMNS} FROM users WHERE id = ?"
_UPDATE = f"UPDATE users SET age = ? WHERE id = ? RETURNING {_COLUMNS}"
_PAGE = (
    f"SELECT {_COLUMNS} FROM users WHERE age BETWEEN ? AND ? AND department IN (?, ?, ?)"
    " ORDER BY created_at DESC LIMIT ?"
)
_EVERYTHING = f"SELECT {_COLUMNS} FROM users ORDER BY id LIMIT ?"
_CHANGES = ", ".join(f"{name} = excluded.{name}" for name in _FIELDS.split(", ") if name != "email")
_ON_CONFLICT = f" ON CONFLICT (email) DO UPDATE SET {_CHANGES}"
_BUSY_SECONDS = 60
_ROWS_AT_ONCE = 500
_moment = dt.datetime.fromisoformat


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
            "created_at": _moment(created_at),
        }
        for key, name, email, age, department, active, score, created_at in rows
    ]


def _returned(rows: Iterable[Any]) -> list[Row]:
    """As above; SQLite 3.40 gives a float without a fraction as an integer after RETURNING."""
    return [
        {
            "id": key,
            "name": name,
            "email": email,
            "age": age,
            "department": department,
            "active": active == 1,
            "score": score + 0.0,
            "created_at": _moment(created_at),
        }
        for key, name, email, age, department, active, score, created_at in rows
    ]


class RawSQLite:
    """Written by hand for this one table."""

    def __init__(self, name: str = "aiosqlite") -> None:
        self.name = name

    async def open(self, url: str, connections: int) -> None:
        file = url.removeprefix("sqlite:///")
        self._connection = await _connect(file)
        self._fetchall = self._connection.execute_fetchall
        self._free: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        for _ in range(connections if connections > 1 else 0):
            self._free.put_nowait(await _connect(file))

    async def close(self) -> None:
        await self._connection.close()
        while not self._free.empty():
            await self._free.get_nowait().close()

    async def ask(self, sql: str) -> Any:
        return next(iter(await self._fetchall(sql)))[0]

    def plain(self, answer: Any) -> Any:
        return answer

    async def create(self, rows: Sequence[Row]) -> list[Any]:
        fetchall = self._fetchall
        answers = []
        for row in rows:
            answers += _returned(await fetchall(_CREATE, _values(row)))
        return answers

    async def read(self, keys: Sequence[int]) -> list[Any]:
        fetchall = self._fetchall
        answers = []
        for key in keys:
            answers += _decoded(await fetchall(_READ, (key,)))
        return answers

    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Any]:
        fetchall = self._fetchall
        answers = []
        for key, age in changes:
            answers += _returned(await fetchall(_UPDATE, (age, key)))
        return answers

    async def page(self, pages: Sequence[Page]) -> list[list[Any]]:
        fetchall = self._fetchall
        answers = []
        for page in pages:
            values = (page.youngest, page.oldest, *page.departments, page.limit)
            answers.append(_decoded(await fetchall(_PAGE, values)))
        return answers

    async def everything(self, rows: int) -> list[Any]:
        return _decoded(await self._fetchall(_EVERYTHING, (rows,)))

    async def bulk_create(self, rows: Sequence[Row]) -> int:
        return await self._insert(rows, "")

    async def bulk_upsert(self, rows: Sequence[Row]) -> int:
        return await self._insert(rows, _ON_CONFLICT)

    async def _insert(self, rows: Sequence[Row], conflict: str) -> int:
        """One transaction; the thread stores 500 rows while the next 500 are made ready."""
        fetchall = self._fetchall
        await fetchall("BEGIN IMMEDIATE")
        writing: asyncio.Task[Iterable[sqlite3.Row]] | None = None
        for at in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[at : at + _ROWS_AT_ONCE]
            values = [
                value
                for row in part
                for value in (
                    row["name"],
                    row["email"],
                    row["age"],
                    row["department"],
                    row["active"],
                    row["score"],
                    row["created_at"].isoformat(" ", "microseconds"),
                )
            ]
            if writing is not None:
                await writing
            writing = asyncio.create_task(fetchall(_statement(len(part)) + conflict, values))
            # Lets the task put its statement into the queue of the thread.
            await asyncio.sleep(0)
        if writing is not None:
            await writing
        await fetchall("COMMIT")
        return len(rows)

    async def read_at_once(self, parts: Sequence[Sequence[int]]) -> list[list[Any]]:
        async def work(keys: Sequence[int]) -> list[Any]:
            answers = []
            for key in keys:
                connection = await self._free.get()
                try:
                    answers += _decoded(await connection.execute_fetchall(_READ, (key,)))
                finally:
                    self._free.put_nowait(connection)
            return answers

        return await at_once(work, parts)

    async def create_at_once(self, parts: Sequence[Sequence[Row]]) -> list[list[Any]]:
        async def work(rows: Sequence[Row]) -> list[Any]:
            answers = []
            for row in rows:
                connection = await self._free.get()
                try:
                    found = await connection.execute_fetchall(_CREATE, _values(row))
                finally:
                    self._free.put_nowait(connection)
                answers += _returned(found)
            return answers

        return await at_once(work, parts)


async def _connect(file: str) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(file, isolation_level=None, timeout=_BUSY_SECONDS)
    for name, value in (("journal_mode", "WAL"), ("synchronous", "FULL")):
        await connection.execute_fetchall(f"PRAGMA {name} = {value}")
    return connection


def _values(row: Row) -> tuple[Any, ...]:
    return (
        row["name"],
        row["email"],
        row["age"],
        row["department"],
        row["active"],
        row["score"],
        row["created_at"].isoformat(" ", "microseconds"),
    )


def _statement(rows: int) -> str:
    marks = ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * rows)
    return f"INSERT INTO users ({_FIELDS}) VALUES {marks}"
