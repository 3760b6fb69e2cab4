"""All or nothing over several operations, and savepoints."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from dataflow_core import AsyncLocalRuntime, WorkflowBuilder
from dataflow_core.conformance.registry import case
from dataflow_core.conformance.session import reached
from dataflow_core.errors import (
    DataFlowError,
    NodeExecutionError,
    TransactionFailed,
    UniqueViolation,
)

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_TX = "transactions"
_SAVE = "transactions.savepoint"


class Entry:
    """A number."""

    id: int
    n: int | None


class Undo(Exception):
    """Leaves a transaction on purpose."""


async def _leaves_by(kind: type[BaseException], work: Any) -> None:
    try:
        await work
    except kind:
        return
    raise AssertionError(f"{kind.__name__} did not leave the block")


async def _ids(session: Session, model: Any) -> list[Any]:
    return [row["id"] for row in await session.rows(model)]


@case("transactions.commit", feature=_TX)
async def commit(session: Session) -> None:
    """What a transaction did is there after it, and visible inside."""
    model = session.model(Entry)
    async with session.db.transaction():
        await session.load(model, [{"id": 1}, {"id": 2}])
        session.equal(await _ids(session, model), [1, 2], "inside")
        await session.run(model, "Delete", id=1)
    session.equal(await _ids(session, model), [2], "afterwards")


@case("transactions.rollback", feature=_TX)
async def rollback(session: Session) -> None:
    """An exception that leaves the block undoes every operation, bulk ones too."""
    model = session.model(Entry)
    await session.load(model, [{"id": 1, "n": 1}, {"id": 2, "n": 2}])

    async def work() -> None:
        async with session.db.transaction():
            await session.run(model, "Create", id=3)
            await session.run(model, "Update", id=1, fields={"n": 9})
            await session.run(model, "Delete", id=2)
            await session.run(model, "BulkCreate", data=[{"id": n} for n in range(10, 20)])
            await session.run(model, "BulkUpsert", data=[{"id": 1, "n": 8}])
            raise Undo

    await _leaves_by(Undo, work())
    session.equal(await session.rows(model), [{"id": 1, "n": 1}, {"id": 2, "n": 2}])


@case("transactions.rollback.cancelled", feature=_TX)
async def rollback_cancelled(session: Session) -> None:
    """A cancelled transaction is undone, and its connection is free again."""
    model = session.model(Entry)
    await session.run(model, "Count", filter={})
    inside = asyncio.Event()

    async def work() -> None:
        async with session.db.transaction():
            await session.run(model, "Create", id=1)
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.ensure_future(work())
    await reached(inside, task)
    task.cancel()
    await _leaves_by(asyncio.CancelledError, task)
    session.equal(await _ids(session, model), [])
    await session.run(model, "Create", id=2)
    session.equal(session.database.pool_in_use(), 0, "connections in use")


@case("transactions.failed", feature=_TX)
async def failed(session: Session) -> None:
    """After an error of the database inside, the transaction goes no further and is undone."""
    model = session.model(Entry)
    await session.load(model, [{"id": 1}])

    async def work() -> None:
        async with session.db.transaction():
            await session.run(model, "Create", id=2)
            await session.expect_error(UniqueViolation, partial(session.run, model, "Create", id=1))
            await session.expect_error(
                TransactionFailed, partial(session.run, model, "Create", id=3)
            )

    await session.expect_error(TransactionFailed, work, outcome="not done")
    session.equal(await _ids(session, model), [1])


@case("transactions.refusal_is_no_failure", feature=_TX)
async def refusal_is_no_failure(session: Session) -> None:
    """A call that was refused before any SQL does not end the transaction."""
    model = session.model(Entry)
    async with session.db.transaction():
        await session.run(model, "Create", id=1)
        await session.expect_error_of(
            DataFlowError, partial(session.run, model, "Create", id=2, n="x")
        )
        await session.run(model, "Create", id=3)
    session.equal(await _ids(session, model), [1, 3])


@case("transactions.isolation", feature=_TX)
async def isolation(session: Session) -> None:
    """What a transaction has not committed is not seen outside of it."""
    model = session.model(Entry)
    await session.load(model, [{"id": 1, "n": 1}])
    seen_while_open: list[Any] = []
    written, seen = asyncio.Event(), asyncio.Event()
    is_open = False

    async def write() -> None:
        nonlocal is_open
        async with session.db.transaction():
            await session.run(model, "Update", id=1, fields={"n": 2})
            is_open = True
            written.set()
            # A database may let the reader wait until the transaction is over.
            await asyncio.wait([asyncio.ensure_future(seen.wait())], timeout=0.5)
            is_open = False

    async def read() -> None:
        await written.wait()
        found = await session.run(model, "Read", id=1)
        if is_open:
            seen_while_open.append(found["n"])
        seen.set()

    await asyncio.gather(write(), read())
    session.true(
        seen_while_open in ([], [1]), f"the reader saw {seen_while_open}, which was not committed"
    )
    session.equal((await session.run(model, "Read", id=1))["n"], 2)


@case("transactions.read_only", feature=_TX)
async def read_only(session: Session) -> None:
    """A read-only transaction reads, and refuses to write."""
    model = session.model(Entry)
    await session.load(model, [{"id": 1}])
    async with session.db.transaction(read_only=True):
        session.equal(await _ids(session, model), [1])

    async def write() -> None:
        async with session.db.transaction(read_only=True):
            await session.run(model, "Create", id=2)

    await session.expect_error_of(DataFlowError, write)
    session.equal(await _ids(session, model), [1])
    await session.run(model, "Create", id=3)


@case("transactions.workflow", feature=_TX)
async def workflow(session: Session) -> None:
    """A workflow run with transaction=True leaves nothing when a node fails."""
    model = session.model(Entry)
    await session.load(model, [{"id": 1}])
    builder = WorkflowBuilder(session.db)
    builder.add_node("EntryCreateNode", "first", {"id": 2})
    builder.add_node("EntryCreateNode", "second", {"id": 1})
    builder.add_connection("first", "result", "second", "input")
    runtime = AsyncLocalRuntime()
    run = partial(runtime.execute, builder.build(), transaction=True)
    error = await session.expect_error_of(NodeExecutionError, run)
    session.true(isinstance(error.__cause__, UniqueViolation), f"the cause is {error.__cause__!r}")
    session.equal(await _ids(session, model), [1])
    await session.expect_error_of(NodeExecutionError, partial(runtime.execute, builder.build()))
    session.equal(await _ids(session, model), [1, 2], "without a transaction the first node stays")


@case("transactions.order", feature=_TX)
async def order_of_nodes(session: Session) -> None:
    """Nodes that are not connected have the effect of running in the order they were added."""
    model = session.model(Entry)
    builder = WorkflowBuilder(session.db)
    builder.add_node("EntryCreateNode", "create", {"id": 1, "n": 0})
    for number in range(1, 6):
        builder.add_node(
            "EntryUpdateNode", f"update_{number}", {"id": 1, "fields": {"$set": {"n": number}}}
        )
    builder.add_node("EntryListNode", "list", {})
    results, _ = await AsyncLocalRuntime().execute(builder.build())
    session.equal(results["list"]["records"], [{"id": 1, "n": 5}])
    session.equal(await session.rows(model), [{"id": 1, "n": 5}])


@case("transactions.savepoint.rollback", feature=_SAVE)
async def savepoint_rollback(session: Session) -> None:
    """A nested transaction that fails is undone alone, after an error of the database too."""
    model = session.model(Entry)

    async def inner() -> None:
        async with session.db.transaction():
            await session.run(model, "Create", id=2)
            await session.run(model, "Create", id=1)

    async with session.db.transaction():
        await session.run(model, "Create", id=1)
        await session.expect_error(UniqueViolation, inner)
        await session.run(model, "Create", id=3)
    session.equal(await _ids(session, model), [1, 3])


@case("transactions.savepoint.nested", feature=_SAVE)
async def savepoint_nested(session: Session) -> None:
    """Savepoints nest: each is undone or kept by itself, and all go with the outermost."""
    model = session.model(Entry)

    async def level(depth: int, fail_at: int) -> None:
        async with session.nested():
            await session.run(model, "Create", id=depth)
            if depth < 4:
                try:
                    await level(depth + 1, fail_at)
                except Undo:
                    await session.run(model, "Create", id=100 + depth)
            if depth == fail_at:
                raise Undo

    async with session.db.transaction():
        await level(1, 3)
    session.equal(await _ids(session, model), [1, 2, 102])
    await session.run(model, "BulkDelete", filter={}, allow_all=True)

    async def everything() -> None:
        async with session.db.transaction():
            await level(1, 99)
            raise Undo

    await _leaves_by(Undo, everything())
    session.equal(await _ids(session, model), [])


@case("transactions.savepoint.many", feature=_SAVE)
async def many_savepoints(session: Session) -> None:
    """Many savepoints one after the other."""
    model = session.model(Entry)

    async def attempt(number: int) -> None:
        async with session.nested():
            await session.run(model, "Create", id=number)
            if number % 3 == 0:
                raise Undo

    async with session.db.transaction():
        for number in range(1, 31):
            try:
                await attempt(number)
            except Undo:
                continue
    session.equal(await _ids(session, model), [n for n in range(1, 31) if n % 3])
