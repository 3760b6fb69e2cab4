from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.errors import RecordNotFound
from tests.conformance.replicas import PAIRS, Pair, paused

# No server copies SQLite, and a pooler changes nothing in where a read goes.
WITHOUT_DATABASES = ("sqlite", "pgbouncer")
pytestmark = pytest.mark.timeout(90)
NUMBERS = itertools.count()

Open = Callable[..., DataFlow]


@pytest.fixture(scope="module")
def pair(database: SharedServer) -> Iterator[Pair]:
    """A primary and its replica."""
    pair = PAIRS[database.name]()
    yield pair
    pair.stop()


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Makes instances with one model, whose table is the test's own; they are closed at the end."""
    instances: list[DataFlow] = []
    table = f"notes_{next(NUMBERS)}"

    def make(url: str, **options: Any) -> DataFlow:
        db = DataFlow(url, **options)

        @db.model
        class Note:
            __dataflow__ = {"timestamps": False, "table": table}
            id: int

        instances.append(db)
        return db

    yield make
    for db in instances:
        await db.aclose()


@pytest.fixture
async def aside(pair: Pair, opened: Open) -> DataFlow:
    """Another program, which writes to the primary; the replica has the table and a row."""
    db = opened(pair.primary_url)
    await db.run("NoteCreateNode", id=1)
    await shown(opened(pair.replica_url, existing_schema_mode=True), 1)
    return db


async def has(db: DataFlow, key: int) -> bool:
    """Whether a read finds a row."""
    try:
        await db.run("NoteReadNode", id=key)
    except RecordNotFound:
        return False
    return True


async def shown(db: DataFlow, key: int) -> None:
    """Wait until a read finds a row."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            if await has(db, key):
                return
        except Exception as error:  # the table is not there yet
            logging.getLogger("test").debug("%r", error)
        await asyncio.sleep(0.02)
    raise AssertionError("the replica never showed it")


async def test_reads_go_to_the_replica(pair: Pair, aside: DataFlow, opened: Open) -> None:
    """Reads outside of transactions see what the replica has, all others what the primary has."""
    db = opened(pair.primary_url, read_replica=pair.replica_url, replica_sticky_seconds=0)
    assert await has(db, 1)
    async with paused(pair):
        await aside.run("NoteCreateNode", id=2)
        assert not await has(db, 2)
        assert (await db.run("NoteCountNode"))["count"] == 1
        assert len((await db.run("NoteListNode"))["records"]) == 1
        async with db.transaction():
            assert await has(db, 2)
        async with db.transaction(read_only=True):
            assert (await db.run("NoteCountNode"))["count"] == 2
        assert not await has(db, 2)
    await shown(db, 2)


async def test_after_a_write_reads_stick_to_the_primary(
    pair: Pair, aside: DataFlow, opened: Open
) -> None:
    """For `replica_sticky_seconds` after a write of this instance its reads go to the primary."""
    db = opened(pair.primary_url, read_replica=pair.replica_url, replica_sticky_seconds=1.5)
    policy = db.engine().replica
    assert policy is not None
    now = time.monotonic()
    policy.clock = lambda: now
    async with paused(pair):
        for key, write in ((2, _create), (3, _create_in_transaction)):
            await write(db, key)
            assert await has(db, key)
            now += 1.4
            assert await has(db, key)
            now += 0.2
            assert not await has(db, key)


async def test_the_first_use_of_a_model_may_be_a_write(
    pair: Pair, aside: DataFlow, opened: Open
) -> None:
    """The first use of a model may make its table, so it counts as a write; not where the schema
    is never changed."""
    options = {"read_replica": pair.replica_url}
    careful = opened(pair.primary_url, existing_schema_mode=True, **options)
    making = opened(pair.primary_url, **options)
    async with paused(pair):
        await _create(aside, 2)
        assert not await has(careful, 2)
        assert await has(making, 2)


async def _create(db: DataFlow, key: int) -> None:
    await db.run("NoteCreateNode", id=key)


async def _create_in_transaction(db: DataFlow, key: int) -> None:
    async with db.transaction():
        await db.run("NoteCreateNode", id=key)


async def test_waiting_for_the_replica(pair: Pair, aside: DataFlow, opened: Open) -> None:
    """With `replica_wait` reads go to the primary until the replica has what was written, however
    long that is, and to the replica from then on."""
    db = opened(pair.primary_url, read_replica=pair.replica_url, replica_wait=True)
    async with paused(pair):
        await _create(db, 2)
        assert await has(db, 2)
        await asyncio.sleep(0.3)
        assert await has(db, 2)
    replica = opened(pair.replica_url, existing_schema_mode=True)
    await shown(replica, 2)
    # It is asked whether it has caught up at most every 50 ms.
    await asyncio.sleep(0.1)
    assert await has(db, 2)
    async with paused(pair):
        await _create(aside, 3)
        assert not await has(db, 3)
    await shown(db, 3)


async def test_a_replica_that_dies(
    pair: Pair, aside: DataFlow, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the replica is gone, or was never there, no read fails: the primary answers, and a
    warning says so. Later the replica is used again."""
    options = {"read_replica": pair.replica_url, "replica_sticky_seconds": 0}
    db = opened(pair.primary_url, **options)
    assert await has(db, 1)
    await asyncio.to_thread(pair.kill_replica)
    try:
        await _create(aside, 2)
        assert await has(db, 2)
        late = opened(pair.primary_url, **options)
        assert await has(late, 2)
        told = [record for record in caplog.records if "the replica is not used" in record.message]
        assert len(told) == 2
    finally:
        await asyncio.to_thread(pair.restart_replica)
    await shown(opened(pair.replica_url, existing_schema_mode=True), 2)
    policy = db.engine().replica
    assert policy is not None
    # Five seconds later.
    policy.clock = lambda: time.monotonic() + 6
    async with paused(pair):
        await _create(aside, 3)
        assert not await has(db, 3)


async def test_a_read_in_the_way_of_what_is_replayed(pair: Pair, opened: Open) -> None:
    """A read that the replica ends because it holds up what is to be replayed is answered by the
    primary; MariaDB lets such a read go on."""
    db = opened(pair.primary_url, read_replica=pair.replica_url, existing_schema_mode=True)

    @db.model
    class Slow:
        __dataflow__ = {"timestamps": False, "table": "slow"}
        id: int

    aside = opened(pair.primary_url)
    pause = "pg_sleep(1)" if aside.url.scheme == "postgresql" else "(SELECT SLEEP(1) AS s) AS t"
    for text in (
        "CREATE TABLE base (id bigint NOT NULL PRIMARY KEY)",
        "INSERT INTO base VALUES (1)",
        f"CREATE VIEW slow AS SELECT base.id FROM base, {pause}",
    ):
        await aside.run("SQLNode", sql=text, fetch="none")
    replica = opened(pair.replica_url, existing_schema_mode=True)
    replica.model(Slow)
    for _ in range(200):
        try:
            await replica.run("SlowListNode")
            break
        except Exception as error:  # not there yet
            logging.getLogger("test").debug("%r", error)
            await asyncio.sleep(0.02)
    reading = asyncio.ensure_future(db.run("SlowListNode"))
    await asyncio.sleep(0.4)
    await aside.run("SQLNode", sql="ALTER TABLE base ADD COLUMN more bigint", fetch="none")
    assert (await reading)["records"] == [{"id": 1}]
