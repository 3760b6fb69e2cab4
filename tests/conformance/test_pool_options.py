from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.errors import PoolTimeout
from dataflow_core.run import pool as pool_module
from tests.limits import at_most

# A pooler hides which connection of the server is used; SQLite has no server that could tell.
WITHOUT_DATABASES = ("sqlite", "pgbouncer")

_SESSION = {"postgresql": "SELECT pg_backend_pid() AS id", "mysql": "SELECT CONNECTION_ID() AS id"}


class Clock:
    """The pool's time, which a test can move on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        """The time, as much ahead as the test says."""
        return time.monotonic() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that all pools of the test read."""
    clock = Clock()
    monkeypatch.setattr(pool_module, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


async def session_of(db: DataFlow) -> int:
    """How the server calls the session that a statement runs in."""
    result = await db.run("SQLNode", sql=_SESSION[db.url.scheme], fetch="one")
    return int(result["result"]["id"])


async def count_pings(db: DataFlow, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets an entry whenever a connection of this kind asks whether it is alive."""
    engine = db.engine()
    session = await engine.borrow(writes=False)
    kind: Any = type(session.connection)
    await engine.give_back(session)
    ping, pings = kind.ping, []

    async def counted(connection: Any) -> None:
        pings.append(1)
        await ping(connection)

    monkeypatch.setattr(kind, "ping", counted)
    return pings


async def test_size_and_overflow(database: SharedServer, database_url: str) -> None:
    """`pool_size` and `max_overflow` together are the most sessions at the server; the next caller
    gets `PoolTimeout` after `pool_timeout`, and only `pool_size` sessions are kept."""
    async with DataFlow(database_url, pool_size=1, max_overflow=2, pool_timeout=0.2) as db:
        async with AsyncExitStack() as stack:
            contexts = [asyncio.Event() for _ in range(3)]
            tasks = [asyncio.ensure_future(_hold(db, context)) for context in contexts]
            stack.push_async_callback(_end, contexts, tasks)
            await _until(lambda: database.connections(database_url) == 3)
            started = time.monotonic()
            with pytest.raises(PoolTimeout) as caught:
                async with db.transaction():
                    pass
            assert 0.15 < time.monotonic() - started < at_most(2)
            assert caught.value.context["used"] == 3
        assert len({task.result() for task in tasks}) == 3
        await _until(lambda: database.connections(database_url) == 1)
        assert await session_of(db) in {task.result() for task in tasks}


async def _hold(db: DataFlow, may_end: asyncio.Event) -> int:
    """Have a transaction open; returns which session it ran in."""
    async with db.transaction():
        session = await session_of(db)
        await may_end.wait()
    return session


async def _end(events: list[asyncio.Event], tasks: Sequence[asyncio.Future[int]]) -> None:
    for event in events:
        event.set()
    await asyncio.gather(*tasks)


async def _until(condition: Any) -> None:
    """Wait, at most five seconds, for what the server shows."""
    for _ in range(100):
        if await asyncio.to_thread(condition):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the server never showed it")


async def test_recycle(database_url: str) -> None:
    """A session is used again until it is `pool_recycle` old; then another one takes its place."""
    async with DataFlow(database_url, pool_recycle=0.3) as db:
        first = await session_of(db)
        assert await session_of(db) == first
        await asyncio.sleep(0.35)
        assert await session_of(db) != first


async def test_recycle_as_it_is_by_default(database_url: str, clock: Clock) -> None:
    """Without the option a session is replaced after an hour."""
    async with DataFlow(database_url) as db:
        first = await session_of(db)
        clock.ahead = 3_590
        assert await session_of(db) == first
        clock.ahead = 3_601
        assert await session_of(db) != first


async def test_a_ping_before_use(
    database_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `pool_pre_ping` a connection that was idle for 30 seconds is tried before it is used;
    one that was used meanwhile is not, and without the option none is."""
    async with DataFlow(database_url, pool_pre_ping=True) as db, DataFlow(database_url) as trusting:
        pings = await count_pings(db, monkeypatch)
        sessions = [await session_of(db), await session_of(trusting)]
        for ahead, expected in ((29, 0), (58, 0), (89, 1), (90, 1), (121, 2)):
            clock.ahead = ahead
            assert await session_of(db) == sessions[0]
            assert len(pings) == expected, f"{ahead} s later"
        assert await session_of(trusting) == sessions[1]
        assert len(pings) == 2


async def test_a_ping_finds_what_died(
    database: SharedServer, database_url: str, clock: Clock
) -> None:
    """A session that the server ended unseen is replaced before a write is sent over it."""
    async with DataFlow(database_url, pool_pre_ping=True, pool_size=2) as db:

        @db.model
        class Note:
            text: str

        await db.run("NoteCreateNode", text="first")
        for number in range(5):
            # Not in a thread: the event loop has no chance to see the end of the connection.
            assert database.kill_connections(database_url) > 0
            clock.ahead += 31
            await db.run("NoteCreateNode", text=str(number))
        assert (await db.run("NoteCountNode"))["count"] == 6
