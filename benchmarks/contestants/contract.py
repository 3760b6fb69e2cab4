"""What a contestant can do. Each method holds its own loop, so that nothing is added per call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from attrs import frozen

from benchmarks.data import Row

__all__ = ["CannotDo", "Contestant", "Page", "at_once"]

T = TypeVar("T")


class CannotDo(Exception):
    """A peer has no way to do this; with the reason, which stands in the report."""


@frozen
class Page:
    """The newest ``limit`` users of an age between two and of one of three departments."""

    youngest: int
    oldest: int
    departments: tuple[str, str, str]
    limit: int = 100


class Contestant(Protocol):
    """One way to use a database. ``name`` stands in the report."""

    name: str

    async def open(self, url: str, connections: int) -> None:
        """Connect to a database that has the table ``users``; so many connections at most."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...

    async def ask(self, sql: str) -> Any:
        """The first value that a statement gives, on a connection that is used."""
        ...

    def plain(self, answer: Any) -> Any:
        """An answer as dicts, to compare it; not timed: an ORM may give objects of its own."""
        ...

    async def create(self, rows: Sequence[Row]) -> list[Any]:
        """Insert the rows one by one; each as it was stored."""
        ...

    async def read(self, keys: Sequence[int]) -> list[Any]:
        """The row of each key, read one by one."""
        ...

    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Any]:
        """Set the age of the user with a key, one by one; each row as it is afterwards."""
        ...

    async def page(self, pages: Sequence[Page]) -> list[list[Any]]:
        """Each page, one after the other."""
        ...

    async def everything(self, rows: int) -> list[Any]:
        """The first ``rows`` users by key."""
        ...

    async def bulk_create(self, rows: Sequence[Row]) -> int:
        """Insert all rows or none; how many were inserted."""
        ...

    async def bulk_upsert(self, rows: Sequence[Row]) -> int:
        """Insert the rows, or change those with the same email, all or none; how many in all."""
        ...

    async def read_at_once(self, parts: Sequence[Sequence[int]]) -> list[list[Any]]:
        """A task for each part reads its keys one by one."""
        ...

    async def create_at_once(self, parts: Sequence[Sequence[Row]]) -> list[list[Any]]:
        """A task for each part inserts its rows one by one, each durable before the next."""
        ...


async def at_once(work: Callable[[T], Awaitable[list[Any]]], parts: Iterable[T]) -> list[list[Any]]:
    """The answers of one task for each part."""
    return list(await asyncio.gather(*map(work, parts)))
