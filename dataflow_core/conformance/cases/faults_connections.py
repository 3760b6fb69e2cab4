"""Connections left in a state, handles closed in the middle, several event loops."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case
from dataflow_core.conformance.session import reached
from dataflow_core.errors import DataFlowError, UniqueViolation
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_CONCURRENCY: Final = "concurrency"

SETTINGS: Final = (
    "SET TIME ZONE 'Asia/Tokyo'",
    "SET time_zone = '+09:00'",
    "SET DateStyle TO 'SQL, DMY'",
    "SET search_path TO nowhere",
    "SET standard_conforming_strings = off",
    "SET bytea_output TO 'escape'",
    "SET extra_float_digits TO -10",
    "SET client_encoding TO 'LATIN1'",
    "SET NAMES latin1",
    "SET SESSION sql_mode = ''",
    "SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'",
    "SET autocommit = 0",
    "SET foreign_key_checks = 0",
    "SET unique_checks = 0",
    "SET default_transaction_read_only TO on",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET SESSION TRANSACTION READ ONLY",
    "SET sql_safe_updates = 1",
    "SET SESSION sql_select_limit = 1",
    "SET transform_null_equals TO on",
    "SET session_replication_role TO replica",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA query_only = ON",
    "PRAGMA ignore_check_constraints = ON",
    "PRAGMA case_sensitive_like = OFF",
    "PRAGMA recursive_triggers = ON",
    "PRAGMA reverse_unordered_selects = ON",
)
"""Settings of many databases; each database takes the ones that it knows."""


class Box:
    """What a setting of a session could spoil."""

    id: int
    at: dt.datetime | None = None
    day: dt.date | None = None
    text: str | None = field(default=None, unique=True)
    data: bytes | None = None
    total: float | None = None
    n: int | None = field(default=None, check={"$lt": 100})


_ROW: Final[dict[str, Any]] = {
    "at": dt.datetime(2024, 2, 3, 23, 30, 0, 5, tzinfo=dt.UTC),
    "day": dt.date(2024, 2, 3),
    "text": "a\\b 'ß' €😀",
    "data": b"\x00\xff\\'",
    "total": 0.1 + 0.2,
    "n": 1,
}


async def _sound(session: Session, model: Any, what: str) -> None:
    """Writing, reading, filters, constraints and transactions are as ever."""
    await session.run(model, "BulkDelete", filter={}, allow_all=True)
    row = {"id": 1, **_ROW}
    created = await session.run(model, "Create", values=row)
    session.equal(created["result"], row, f"created after {what}")
    await session.run(model, "BulkCreate", data=[{"id": 2, "n": 2}, {"id": 3, "n": 3}])
    session.equal(len(await session.rows(model)), 3, f"rows after {what}")
    for document in ({"at": row["at"]}, {"text": row["text"]}, {"data": row["data"]}):
        found = await session.rows(model, document)
        session.equal(found, [row], f"{document} after {what}")
    session.equal(len(await session.rows(model, {"text": {"$ne": "x"}})), 3, f"$ne after {what}")
    call = partial(session.run, model, "Create", id=4, text=row["text"])
    await session.expect_error(UniqueViolation, call, columns=("text",))
    await session.expect_error_of(DataFlowError, partial(session.run, model, "Create", id=4, n=100))
    await session.run(model, "BulkUpdate", filter={"n": {"$gt": 1}}, fields={"$inc": {"n": 1}})
    async with session.db.transaction():
        await session.run(model, "Update", id=2, fields={"n": 9})
    session.equal([one["n"] for one in await session.rows(model)], [1, 9, 4], f"after {what}")
    session.equal(session.database.pool_in_use(), 0, f"connections in use after {what}")


async def _as_far_as_taken(session: Session, sql: str) -> None:
    """Send a statement that the database may not know."""
    try:
        await session.db.run("SQLNode", sql=sql, fetch="none")
    except DataFlowError as error:
        session.last = ("SQLNode", {"sql": sql, "refused": error.message})


@case("faults.dirty.settings", feature=_CONCURRENCY, since="0.2")
async def dirty_settings(session: Session) -> None:
    """What the user's own SQL sets in a session reaches no later call."""
    model = session.model(Box)
    await session.run(model, "Count", filter={})
    for sql in SETTINGS:
        await _as_far_as_taken(session, sql)
        await _sound(session, model, sql)


@case("faults.dirty.transaction", feature=_CONCURRENCY, also=("transactions",), since="0.2")
async def dirty_transaction(session: Session) -> None:
    """A transaction that the user's own SQL leaves open is undone, and swallows no later call."""
    model = session.model(Box)
    await session.load(model, [{"id": 1}])
    table = session.database.quote(model.table)
    for begin in ("BEGIN", "START TRANSACTION", "BEGIN IMMEDIATE", "SAVEPOINT mine"):
        await _as_far_as_taken(session, begin)
        await session.db.run("SQLNode", sql=f"UPDATE {table} SET n = 5", fetch="none")
        await _as_far_as_taken(session, "ROLLBACK")
        session.equal([row["n"] for row in await session.rows(model)], [5], f"after {begin}")
        await _sound(session, model, begin)
        await session.run(model, "BulkDelete", filter={}, allow_all=True)
        await session.load(model, [{"id": 1}])


@case("faults.dirty.temporary", feature=_CONCURRENCY, since="0.2")
async def dirty_temporary(session: Session) -> None:
    """A temporary table that the user's own SQL makes never stands in for a model's table."""
    model = session.model(Box)
    await session.load(model, [{"id": 1, "n": 1}])
    table = session.database.quote(model.table)
    for sql in (
        f"CREATE TEMPORARY TABLE {table} (id integer)",
        f"CREATE TEMP VIEW {table} AS SELECT 1 AS id",
    ):
        await _as_far_as_taken(session, sql)
        for _ in range(3):
            rows = await session.rows(model, select=["id", "n"])
            session.equal(rows, [{"id": 1, "n": 1}], f"after {sql}")
    await _sound(session, model, "temporary tables")


@case("faults.closing", feature=_CONCURRENCY, since="0.2")
async def closing(session: Session) -> None:
    """Closing a handle under load ends every call, with its result or an error, and loses none."""
    model = session.model(Box)
    await session.run(model, "Count", filter={})
    for number in range(5):
        handle = await session.expendable_handle(model)
        await handle.run("BoxCountNode", filter={})
        same = await session.second_handle(model) is not None
        start = number * 1_000
        tasks = [
            asyncio.ensure_future(handle.run("BoxCreateNode", id=start + n)) for n in range(1, 41)
        ]
        await asyncio.sleep(0.002 * number)
        await asyncio.wait_for(handle.aclose(), 20)
        outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
        failed = [one for one in outcomes if isinstance(one, BaseException)]
        session.true(
            all(isinstance(one, DataFlowError) for one in failed), f"they ended with {failed[:3]}"
        )
        if same:
            kept = await session.rows(model, {"id": {"$between": [start, start + 999]}})
            done = {one["id"] for one in outcomes if not isinstance(one, BaseException)}
            session.true(done <= {row["id"] for row in kept}, "an acknowledged row is not there")
    await _sound(session, model, "closing other handles")


@case("faults.closing_transaction", feature="transactions", since="0.2")
async def closing_transaction(session: Session) -> None:
    """A transaction whose handle is closed in the middle is done in whole or not at all."""
    model = session.model(Box)
    await session.run(model, "Count", filter={})
    handle = await session.expendable_handle(model)
    await handle.run("BoxCountNode", filter={})
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        async with handle.transaction():
            await handle.run("BoxCreateNode", id=1)
            inside.set()
            await go_on.wait()
            await handle.run("BoxCreateNode", id=2)

    task = asyncio.ensure_future(work())
    await reached(inside, task)
    closing_it = asyncio.ensure_future(handle.aclose())
    await asyncio.sleep(0.02)
    go_on.set()
    outcome: object = (await asyncio.gather(task, return_exceptions=True))[0]
    await asyncio.wait_for(closing_it, 20)
    rows = [row["id"] for row in await session.rows(model)]
    if isinstance(outcome, BaseException):
        session.true(isinstance(outcome, DataFlowError), f"it ended with {outcome!r}")
        session.equal(rows, [])
    elif await session.second_handle(model) is not None:
        session.equal(rows, [1, 2])
    await _sound(session, model, "closing another handle")


@case("faults.two_loops", feature=_CONCURRENCY, since="0.2")
async def two_loops(session: Session) -> None:
    """One handle serves several event loops at the same time, each with its own answers."""
    model = session.model(Box)
    await session.run(model, "BulkCreate", data=[{"id": n, "n": n} for n in range(20)])

    async def work(offset: int) -> None:
        async def one(number: int) -> None:
            row = await session.db.run("BoxReadNode", id=number)
            session.equal((row["id"], row["n"]), (number, number))
            await session.db.run("BoxCreateNode", id=offset + number, n=number)

        await asyncio.gather(*(one(number) for number in range(20)))

    def in_a_thread(offset: int) -> None:
        asyncio.run(work(offset))

    await asyncio.gather(
        work(100), *(asyncio.to_thread(in_a_thread, 100 * number) for number in range(2, 5))
    )
    counted = await session.run(model, "Count", filter={"id": {"$gte": 100}})
    session.equal(counted["count"], 80)
    # The loops of the threads have ended; their connections are no burden to this one.
    await _sound(session, model, "other event loops")


@case("faults.loop_after_loop", feature=_CONCURRENCY, also=("transactions",), since="0.2")
async def loop_after_loop(session: Session) -> None:
    """A handle lives longer than an event loop, even one that ended in a transaction."""
    model = session.model(Box)
    await session.load(model, [{"id": 1, "n": 0}])

    async def add() -> None:
        async with session.db.transaction():
            await session.db.run("BoxUpdateNode", id=1, fields={"$inc": {"n": 1}})

    async def left_open() -> None:
        async with session.db.transaction():
            await session.db.run("BoxUpdateNode", id=1, fields={"n": 99})
            raise asyncio.CancelledError

    for number in range(1, 4):
        await asyncio.to_thread(asyncio.run, add())
        with suppress(asyncio.CancelledError):
            await asyncio.to_thread(asyncio.run, left_open())
        session.equal((await session.run(model, "Read", id=1))["n"], number)
    await _sound(session, model, "other event loops")
