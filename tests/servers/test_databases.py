from __future__ import annotations

import asyncio

import pytest

from dataflow_core.conformance.servers import ServerUnavailable, SharedServer


def test_each_database_is_new(database: SharedServer) -> None:
    """Each call makes another database, and what was made can be removed."""
    first, second = database.new_database(), database.new_database()
    assert first != second
    database.drop_database(first)
    database.drop_database(second)


def test_a_shared_server_is_not_killed(postgres_server: SharedServer) -> None:
    """The server that other tests use refuses to be killed or started again."""
    with pytest.raises(ServerUnavailable, match="private"):
        postgres_server.kill()
    with pytest.raises(ServerUnavailable, match="private"):
        postgres_server.restart()


async def test_the_pooler_hides_the_connection(pgbouncer_url: str) -> None:
    """Two transactions of one client may run on two connections of the server."""
    import asyncpg

    first = await asyncpg.connect(pgbouncer_url, statement_cache_size=0)
    second = await asyncpg.connect(pgbouncer_url, statement_cache_size=0)
    try:
        numbers = set()
        for _ in range(20):
            async with first.transaction():
                numbers.add(await first.fetchval("SELECT pg_backend_pid()"))
            async with second.transaction():
                numbers.add(await second.fetchval("SELECT pg_backend_pid()"))
        assert len(numbers) < 3
    finally:
        await asyncio.gather(first.close(), second.close())
