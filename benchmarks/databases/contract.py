"""What the harness does to a database beside the contestants: make, fill, empty and look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

__all__ = ["DatabaseMaker", "Place", "StoredRow"]

StoredRow = tuple[Any, ...]


class DatabaseMaker(Protocol):
    """What is asked of a test server, shared or not."""

    @property
    def name(self) -> str:
        """What options call it."""
        ...

    @property
    def description(self) -> str:
        """Product, version, and where it comes from."""
        ...

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        ...

    def drop_database(self, url: str) -> None:
        """Remove it."""
        ...


class Place(Protocol):
    """The databases of one kind, on one server.

    ``session``: statements that tell what decides about speed on a connection, and must give ours
    and the hand-written code the same, with what they must give (``None``: anything).
    """

    name: ClassVar[str]
    title: ClassVar[str]
    drivers: ClassVar[tuple[str, ...]]
    session: ClassVar[Mapping[str, Any]]

    def __init__(self, server: DatabaseMaker) -> None: ...

    @property
    def product(self) -> str:
        """Product and version."""
        ...

    def new(self) -> str:
        """The URL of a new database."""
        ...

    def drop(self, url: str) -> None:
        """Remove it."""
        ...

    def settings(self) -> Mapping[str, str]:
        """What the server is set to, as far as it decides about speed."""
        ...

    async def stored(self, url: str, columns: str, order: str) -> list[StoredRow]:
        """The rows of the table ``users``."""
        ...

    def normal(self, row: StoredRow) -> StoredRow:
        """A stored row whose last value is a moment: the same whoever has written it."""
        ...

    async def loosen(self, url: str) -> None:
        """Take away what only DataFlow's table demands: peers have other forms of values."""
        ...

    async def keep(self, url: str) -> None:
        """Put the rows of ``users`` aside, for ``restore``; and see to it that plans are good."""
        ...

    async def restore(self, url: str) -> None:
        """Bring back what was kept, and start the keys anew, so that every slice finds the same."""
        ...

    async def settle(self, url: str) -> None:
        """After writes: so that no slice pays for what another has written."""
        ...
