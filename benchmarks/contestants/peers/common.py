"""What the peers share: their answers as dicts, and tasks that each call one method."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from attrs import frozen

from benchmarks.contestants.contract import Page, at_once
from benchmarks.data import FIELDS, Row

__all__ = ["BUSY_SECONDS", "CHANGED", "NAMES", "ROWS_AT_ONCE", "Peer", "Server", "in_parts"]

NAMES: Final = ("id", *FIELDS)
CHANGED: Final = tuple(name for name in FIELDS if name != "email")
"""What an upsert by email changes."""

BUSY_SECONDS: Final = 60
"""How long SQLite waits for another writer: the drivers' five seconds are too few for 50 tasks."""

ROWS_AT_ONCE: Final = 2_000
"""Rows of one statement, for peers that leave that to the caller."""


@frozen
class Server:
    """What a URL says."""

    kind: str
    host: str
    port: int
    user: str
    password: str
    database: str

    @classmethod
    def of(cls, url: str) -> Server:
        """The parts of the URL of a test database; of a file, its path is the database."""
        parts = urlsplit(url)
        kind = {"postgresql": "postgres"}.get(parts.scheme, parts.scheme)
        database = parts.path[1:] if kind != "sqlite" else url.removeprefix("sqlite:///")
        return cls(
            kind,
            parts.hostname or "",
            parts.port or 0,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            database,
        )


class Peer(ABC):
    """A contestant that uses a library as it is documented."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def ask(self, sql: str) -> Any:
        """Not asked of a peer: it connects as it does by itself."""
        raise NotImplementedError

    def plain(self, answer: Any) -> Any:
        """Objects as dicts. Let pass, in their favour: a moment without a zone is meant as UTC, and
        after RETURNING a float may be an integer (SQLite 3.40), a moment a text (Piccolo).
        """
        if isinstance(answer, list):
            return [self.plain(item) for item in answer]
        if isinstance(answer, int):
            return answer
        if isinstance(answer, Mapping):
            return {name: _mended(name, answer[name]) for name in NAMES}
        return {name: _mended(name, getattr(answer, name)) for name in NAMES}

    async def read_at_once(self, parts: Sequence[Sequence[int]]) -> list[list[Any]]:
        """A task for each part reads its keys one by one."""
        return await at_once(self.read, parts)

    async def create_at_once(self, parts: Sequence[Sequence[Row]]) -> list[list[Any]]:
        """A task for each part inserts its rows one by one."""
        return await at_once(self.create, parts)

    @abstractmethod
    async def open(self, url: str, connections: int) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def create(self, rows: Sequence[Row]) -> list[Any]: ...

    @abstractmethod
    async def read(self, keys: Sequence[int]) -> list[Any]: ...

    @abstractmethod
    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Any]: ...

    @abstractmethod
    async def page(self, pages: Sequence[Page]) -> list[list[Any]]: ...

    @abstractmethod
    async def everything(self, rows: int) -> list[Any]: ...

    @abstractmethod
    async def bulk_create(self, rows: Sequence[Row]) -> int: ...

    @abstractmethod
    async def bulk_upsert(self, rows: Sequence[Row]) -> int: ...


def in_parts(rows: Sequence[Row], size: int = ROWS_AT_ONCE) -> list[Sequence[Row]]:
    """The rows in parts of a size."""
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def _mended(name: str, value: Any) -> Any:
    if name == "score" and type(value) is int:
        return float(value)
    if name == "created_at" and isinstance(value, str):
        value = dt.datetime.fromisoformat(value)
    if not isinstance(value, dt.datetime):
        return value
    # The zone of a library is of another type, though it is UTC.
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
