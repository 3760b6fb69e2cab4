"""The driver: what is opened for a URL."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from dataflow_core.contract import Connection, Lane
from dataflow_postgres.connection import ABANDON_SECONDS, PostgresConnection
from dataflow_postgres.introspect import replayed_position, written_position
from dataflow_postgres.location import PostgresLocation
from dataflow_postgres.opening import (
    ClosingWithLoop,
    Opening,
    given_up,
    is_behind_pooler,
)

__all__ = ["PostgresDriver"]


class PostgresDriver:
    """One database of a server, and its replica if there is one."""

    def __init__(self, location: PostgresLocation) -> None:
        self._location = location
        self._openings = {"primary": Opening(location)}
        self._lanes: tuple[Lane, ...] = (Lane("primary"),)
        if location.replica is not None:
            self._openings["replica"] = Opening(location.replica)
            self._lanes = (Lane("replica", writes=False, delayed=True), *self._lanes)
        self._poolers: set[PostgresLocation] = set()
        self._abandoned: set[asyncio.Task[None]] = set()
        self._closing = ClosingWithLoop()

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The replica first, where there is one."""
        return self._lanes

    @property
    def description(self) -> str:
        """What is opened, for the log."""
        replica = self._location.replica
        return f"PostgreSQL, {self._location}" + (f", replica {replica}" if replica else "")

    async def connect(self, lane: Lane) -> Connection:
        """Open a connection of a lane, with every setting made."""
        opening = self._openings[lane.name]
        await self._closing.begin()
        connecting = asyncio.get_running_loop().create_task(opening.connect())
        try:
            made = await asyncio.shield(connecting)
        except asyncio.CancelledError:
            self.abandon(given_up(connecting, ABANDON_SECONDS))
            raise
        connection = PostgresConnection(made, self, opening.location)
        self._closing.add(connection)
        return connection

    def is_pooled(self, location: PostgresLocation, connection: Any) -> bool:
        """Whether a pooler is in between: as the user says, or as is found out."""
        if location.pooler is not None:
            return location.pooler
        if is_behind_pooler(connection):
            self._poolers.add(location)
        return location in self._poolers

    def may_find_pooler(self, location: PostgresLocation) -> bool:
        """Whether a pooler explains that a prepared statement is not known; then it is noted."""
        if location.pooler is None:
            self._poolers.add(location)
        return location.pooler is not False

    async def caught_up(self, primary: Connection, replica: Connection) -> bool:
        """Whether the replica has replayed all that the primary has written by now."""
        written = await written_position(primary)
        replayed = await replayed_position(replica)
        return written.system == replayed.system and replayed.place >= written.place

    def abandon(self, work: Coroutine[Any, Any, None]) -> None:
        """Let a connection end in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)

    async def close(self) -> None:
        """Wait for what ends in the background."""
        loop = asyncio.get_running_loop()
        if tasks := [task for task in self._abandoned if task.get_loop() is loop]:
            await asyncio.wait(tasks)
