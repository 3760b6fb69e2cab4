"""The driver: what is opened for a URL."""

from __future__ import annotations

import asyncio
import os
from typing import ClassVar

import aiosqlite

from dataflow_core.contract import Connection, Lane
from dataflow_core.errors import ConnectionFailed
from dataflow_sqlite.connection import SQLiteConnection, close_driver, thread_of
from dataflow_sqlite.location import Location
from dataflow_sqlite.opening import Opening

__all__ = ["SQLiteDriver"]


async def _connected(driver: aiosqlite.Connection) -> None:
    await driver


class SQLiteDriver:
    """One database: a file with one writer and several readers, or one connection in memory.

    A relative of SQLite replaces ``opening_class``, or ``opening`` if it has to give it more.
    """

    opening_class: ClassVar[type[Opening]] = Opening

    def __init__(self, location: Location) -> None:
        self.location = location
        self._kept: SQLiteConnection | None = None
        self._process = os.getpid()
        if location.path is None:
            self._lanes: tuple[Lane, ...] = (Lane("memory", size=1, shared=True),)
        elif location.read_only:
            self._lanes = (Lane("read", writes=False),)
        else:
            self._lanes = (Lane("read", writes=False), Lane("write", size=1))

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """Reading first: what only reads never waits for the one writer."""
        return self._lanes

    @property
    def description(self) -> str:
        """What is opened, for the log."""
        where = f"{self.opening_class.server}, {self.location}"
        return f"{where} (read-only)" if self.location.read_only else where

    async def connect(self, lane: Lane) -> Connection:
        """Open a connection of a lane, with every setting made."""
        if self.location.path is not None:
            return await self._open(read_only=not lane.writes)
        if self._process != os.getpid():
            raise ConnectionFailed("a database in memory does not survive a fork; open a file")
        if self._kept is None:
            self._kept = await self._open(read_only=False)
        elif not self._kept.usable:
            await self._kept.cancel()
        await self._kept.reset()
        return self._kept

    def opening(self, *, read_only: bool) -> Opening:
        """How the next connection is opened."""
        return self.opening_class(self.location, read_only)

    async def _open(self, *, read_only: bool) -> SQLiteConnection:
        opening = self.opening(read_only=read_only)
        driver = aiosqlite.Connection(opening.connect, iter_chunk_size=64)
        # A forgotten connection must not keep the process from ending.
        thread_of(driver).daemon = True
        connecting = asyncio.ensure_future(_connected(driver))
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            # Takes no longer than one attempt, and leaves no thread and no file behind.
            opening.abandoned = True
            await asyncio.wait({connecting})
            await close_driver(driver)
            raise
        if opening.failure is not None:
            await close_driver(driver)
            raise opening.failure
        return SQLiteConnection(driver, opening)

    async def caught_up(self, primary: Connection, replica: Connection) -> bool:
        """Always: no lane is delayed."""
        return True

    async def close(self) -> None:
        """Close what is in memory."""
        if self._kept is not None and self._process == os.getpid():
            await self._kept.really_close()
        self._kept = None
