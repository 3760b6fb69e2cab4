from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.contract import Ended, StatementRun
from dataflow_core.errors import (
    Deadlock,
    InvalidOption,
    LockTimeout,
    SerializationFailure,
    UniqueViolation,
)
from dataflow_monitoring import Conflict, statistics
from dataflow_monitoring.monitor import Monitor
from tests.monitoring.people import fill, instance

WITHOUT_DATABASES = ("pgbouncer", "sqlite")
ON_SQLITE_TOO = ("sqlite", "postgres", "mysql")


async def change(db: DataFlow, key: int) -> None:
    """Change one row."""
    await db.run("PersonUpdateNode", id=key, fields={"$inc": {"age": 1}})


async def test_a_deadlock_is_counted_and_named(database_url: str) -> None:
    """Two transactions that lock two rows in opposite order: kind, database, table, how often."""
    async with instance(database_url) as db:
        await fill(db)
        both = asyncio.Barrier(2)
        ended: list[Exception] = []

        async def work(first: int, second: int) -> None:
            try:
                async with db.transaction():
                    await change(db, first)
                    await both.wait()
                    await change(db, second)
            except (Deadlock, SerializationFailure, LockTimeout) as error:
                ended.append(error)

        await asyncio.gather(work(1, 2), work(2, 1))
        found = statistics(db)
    assert [type(error) for error in ended] == [Deadlock]
    assert found.conflicts == (Conflict("Deadlock", "primary", "persons", 1),)
    assert found.failures == {"Deadlock": 1}


async def test_a_serialization_failure_is_counted(database_url: str) -> None:
    """Of transactions that cannot be put in an order, the one that was ended is counted."""
    async with instance(database_url) as db:
        await fill(db)
        both = asyncio.Barrier(2)
        ended: list[Exception] = []

        async def move(source: int, target: int) -> None:
            try:
                async with db.transaction(isolation="serializable"):
                    await db.run("PersonReadNode", id=source)
                    await both.wait()
                    await change(db, target)
            except (Deadlock, SerializationFailure) as error:
                ended.append(error)

        await asyncio.gather(move(1, 2), move(2, 1))
        found = statistics(db)
    [error] = ended
    [conflict] = found.conflicts
    # Where readers lock, the database finds a deadlock. A commit is of no table.
    assert (conflict.kind, conflict.count) == (type(error).__name__, 1)
    assert conflict.table in ("persons", None)


async def test_a_lost_connection_is_counted_though_nobody_noticed(
    database: SharedServer, database_url: str
) -> None:
    """A read is repeated over another connection; what happened is seen here."""
    async with instance(database_url) as db:
        await fill(db)
        await db.run("PersonReadNode", id=1)
        before = statistics(db)
        # Noticed only when the connection is used: the loop has no time to hear of it before.
        database.kill_connections(database_url)
        assert (await db.run("PersonReadNode", id=1))["found"]
        found = statistics(db)
    assert before.conflicts == ()
    assert found.connections_closed > before.connections_closed
    assert {one.kind for one in found.conflicts} <= {"ConnectionLost"}
    assert found.connections_opened > before.connections_opened


@pytest.mark.parametrize("name", ON_SQLITE_TOO)
async def test_lock_and_pool_timeouts_are_counted(
    name: str, request: pytest.FixtureRequest, tmp_path: Any
) -> None:
    """Waiting in vain for a connection is a conflict of the database, of no table."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    if name != "sqlite":
        url = request.getfixturevalue(f"{name}_url")
    async with instance(url, pool_size=1, max_overflow=0, pool_timeout=0.1) as db:
        await fill(db)
        done = asyncio.Event()

        async def hold() -> None:
            async with db.transaction():
                await done.wait()

        holder = asyncio.create_task(hold())
        await asyncio.sleep(0.05)
        with suppress(Exception):
            await change(db, 1)
        done.set()
        await holder
        found = statistics(db)
    assert found.conflicts == (Conflict("PoolTimeout", "primary", None, 1),)


async def test_slow_statements_are_listed() -> None:
    """One that is slow is there with its text, and how often and how long it was slow."""
    async with instance(slow_statement_seconds=0.02) as db:
        slow = (
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < :last)"
            " SELECT count(*) AS c FROM n"
        )
        for last in (400_000, 500_000):
            await db.run("SQLNode", sql=slow, parameters={"last": last})
        found = statistics(db)
        assert statistics(db, slowest=0).slow_statements == ()
    [one] = [one for one in found.slow_statements if one.sql.startswith("WITH RECURSIVE")]
    assert (one.database, one.count) == ("primary", 2)
    assert one.seconds_max < one.seconds_total < 2 * one.seconds_max


def test_the_threshold_counts_and_the_shape() -> None:
    """What took less is not slow; lists of different lengths are one shape, with total and max."""
    monitor = Monitor(0.5)
    for marks, seconds in (("?, ?", 0.5), ("?, ?, ?", 1.0), ("?, ?", 0.49)):
        statement = StatementRun("primary", "x", f"SELECT a IN ({marks})", table="b")
        monitor.statement_ended(statement, Ended(seconds))
    [(key, slow)] = monitor.slow.items()
    assert key == ("primary", "SELECT a IN (?, ...)")
    assert (slow.table, slow.count, slow.seconds, slow.longest) == ("b", 2, 1.5, 1.0)
    assert monitor.statements == 3


def test_the_list_of_slow_statements_has_an_end() -> None:
    """Of more shapes than are kept, those that took the least time are forgotten."""
    monitor = Monitor(0.1)
    for number in range(1_100):
        statement = StatementRun("primary", "x", f"SELECT a{number}")
        monitor.statement_ended(statement, Ended(1.0 + number))
    assert len(monitor.slow) == 1_000
    assert ("primary", "SELECT a1099") in monitor.slow
    assert ("primary", "SELECT a50") not in monitor.slow


async def test_failures_are_counted_by_class() -> None:
    """An error that is no conflict is a failure only."""
    async with instance() as db:
        await fill(db)
        for _ in range(2):
            with pytest.raises(UniqueViolation):
                await db.nodes.Person.create(name="p1")
        found = statistics(db)
    assert found.failures == {"UniqueViolation": 2}
    assert found.conflicts == ()
    assert found.queries_per_second == pytest.approx(found.statements / found.seconds)


@pytest.mark.parametrize("seconds", [0, -1, "1"])
def test_a_wrong_threshold_is_refused(seconds: Any) -> None:
    """It is a number of seconds greater than 0."""
    with pytest.raises(InvalidOption, match="slow_statement_seconds"):
        DataFlow(slow_statement_seconds=seconds)
