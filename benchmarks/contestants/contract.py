"""What a contestant can do. Each method holds its own loop, so that nothing is added per call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import frozen

from benchmarks.data import Row

__all__ = ["Contestant", "Page"]


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

    async def open(self, database: str) -> None:
        """Connect to a database that has the table ``users``."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...

    async def settings(self) -> Mapping[str, Any]:
        """What decides about speed, read back from every connection that is open."""
        ...

    async def create(self, rows: Sequence[Row]) -> list[Row]:
        """Insert the rows one by one; each as it was stored."""
        ...

    async def read(self, keys: Sequence[int]) -> list[Row]:
        """The row of each key, read one by one."""
        ...

    async def update(self, changes: Sequence[tuple[int, int]]) -> list[Row]:
        """Set the age of the user with a key, one by one; each row as it is afterwards."""
        ...

    async def page(self, pages: Sequence[Page]) -> list[list[Row]]:
        """Each page, one after the other."""
        ...

    async def everything(self, rows: int) -> list[Row]:
        """The first ``rows`` users by key."""
        ...

    async def bulk_create(self, rows: Sequence[Row]) -> int:
        """Insert all rows or none; how many were inserted."""
        ...
