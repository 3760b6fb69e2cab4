"""aiosqlite in its fastest use: a held connection and one trip to its thread per statement."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import aiosqlite

from benchmarks.contestants.contract import Page
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
_SETTINGS = ("journal_mode", "synchronous", "cache_size", "page_size", "wal_autocheckpoint")
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

    async def open(self, database: str) -> None:
        self._connection = await aiosqlite.connect(
            database.removeprefix("sqlite:///"), isolation_level=None
        )
        for name, value in (("journal_mode", "WAL"), ("synchronous", "FULL")):
            await self._connection.execute_fetchall(f"PRAGMA {name} = {value}")
        self._fetchall = self._connection.execute_fetchall

    async def close(self) -> None:
        await self._connection.close()

    async def settings(self) -> Mapping[str, Any]:
        return {name: next(iter(await self._fetchall(f"PRAGMA {name}")))[0] for name in _SETTINGS}

    async def create(self, rows: Sequence[Row]) -> list[Row]:
        fetchall = self._fetchall
        answers = []
        for row in rows:
            values = (
                row["name"],
                row["email"],
                row["age"],
                row["department"],
                row["active"],
                row["score"],
                row["created_at"].isoformat(" ", "microseconds"),
            )
            answers += _returned(await fetchall(_CREATE, values))
        return answers

    async def read(self, keys: Sequence[int]) -> list[Row]:
        fetchall = self._fetchall
        answers = []
        for key in keys:
            answers += _decoded(await fetchall(_READ, (key,)))
        return answers

    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Row]:
        fetchall = self._fetchall
        answers = []
        for key, age in changes:
            answers += _returned(await fetchall(_UPDATE, (age, key)))
        return answers

    async def page(self, pages: Sequence[Page]) -> list[list[Row]]:
        fetchall = self._fetchall
        answers = []
        for page in pages:
            values = (page.youngest, page.oldest, *page.departments, page.limit)
            answers.append(_decoded(await fetchall(_PAGE, values)))
        return answers

    async def everything(self, rows: int) -> list[Row]:
        return _decoded(await self._fetchall(_EVERYTHING, (rows,)))

    async def bulk_create(self, rows: Sequence[Row]) -> int:
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
            writing = asyncio.create_task(fetchall(_insert(len(part)), values))
            # Lets the task put its statement into the queue of the thread.
            await asyncio.sleep(0)
        if writing is not None:
            await writing
        await fetchall("COMMIT")
        return len(rows)


def _insert(rows: int) -> str:
    marks = ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * rows)
    return f"INSERT INTO users ({_FIELDS}) VALUES {marks}"
