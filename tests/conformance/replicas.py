"""A primary and a server that copies it, on each database that can: replaying can be held up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from dataflow_core.url import parse_url
from dataflow_mysql.server import _ask
from tests.mysql.replication import CopyingServer, LoggingServer, follow
from tests.postgres.servers import PrivateServer


class Pair(Protocol):
    """A primary and its replica."""

    primary_url: str
    replica_url: str

    def pause(self) -> None:
        """The replica shows nothing new from now on."""

    def resume(self) -> None:
        """It shows again what the primary has."""

    def kill_replica(self) -> None:
        """The replica is gone."""

    def restart_replica(self) -> None:
        """It is there again."""

    def stop(self) -> None:
        """Both are removed."""


class PostgresPair:
    """PostgreSQL with a standby."""

    def __init__(self) -> None:
        self.primary, self.replica = PrivateServer(), PrivateServer()
        self.primary.start()
        self.replica.copy(self.primary)
        self.primary_url, self.replica_url = self.primary.url(), self.replica.url()
        # A read may hold up what is replayed so long, and no longer.
        self.replica.sql("ALTER SYSTEM SET max_standby_streaming_delay = '50ms'")
        self.replica.sql("SELECT pg_reload_conf()")

    def pause(self) -> None:
        """Replay nothing."""
        self.replica.sql("SELECT pg_wal_replay_pause()")
        while self.replica.sql("SELECT pg_get_wal_replay_pause_state()") != "paused":
            self.primary.sql("SELECT pg_logical_emit_message(false, '', '')")

    def resume(self) -> None:
        """Replay."""
        self.replica.sql("SELECT pg_wal_replay_resume()")

    def kill_replica(self) -> None:
        """Kill it."""
        self.replica.process.kill()

    def restart_replica(self) -> None:
        """Start it with the same files."""
        self.replica.process.restart()

    def stop(self) -> None:
        """Remove both."""
        self.replica.process.close()
        self.primary.process.close()


class MariaPair:
    """MariaDB with a replica by global transaction ids."""

    def __init__(self) -> None:
        self.primary, self.replica = LoggingServer(private=True), CopyingServer(private=True)
        self.primary.start()
        self.replica.start()
        self.primary_url = self.primary.new_database()
        self.replica_url = asyncio.run(follow(self.primary, self.replica, self.primary_url))

    def _tell(self, statement: str) -> None:
        _ask(parse_url(self.replica_url), statement)

    def pause(self) -> None:
        """Replay nothing."""
        self._tell("STOP SLAVE SQL_THREAD")

    def resume(self) -> None:
        """Replay."""
        self._tell("START SLAVE")

    def kill_replica(self) -> None:
        """Kill it."""
        self.replica.kill()

    def restart_replica(self) -> None:
        """Start it with the same files."""
        self.replica.restart()
        self.resume()

    def stop(self) -> None:
        """Remove both."""
        self.replica.stop()
        self.primary.stop()


PAIRS: dict[str, Any] = {"postgres": PostgresPair, "mysql": MariaPair}


@asynccontextmanager
async def paused(pair: Pair) -> AsyncIterator[None]:
    """Within: the replica shows what it showed before."""
    await asyncio.to_thread(pair.pause)
    try:
        yield
    finally:
        await asyncio.to_thread(pair.resume)
