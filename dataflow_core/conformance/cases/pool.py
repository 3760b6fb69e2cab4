"""The pool of connections: never more than allowed, fair, refusing in time, whole afterwards."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case
from dataflow_core.conformance.session import reached
from dataflow_core.errors import (
    DataFlowError,
    InstanceClosed,
    PoolTimeout,
    RecordNotFound,
    UniqueViolation,
)

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_POOL: Final = "concurrency"


class Item:
    """A number."""

    id: int
    n: int = 0


async def _handle(session: Session, **options: Any) -> Any:
    """A handle with a pool of its own kind, whose table is there."""
    handle = session.another(**options)
    session.model(Item, on=handle)
    await handle.run("ItemCreateNode", id=1)
    return handle


def _stats(handle: Any) -> list[Any]:
    return list(handle.pool_stats()["primary"].values())


def _all_back(session: Session, handle: Any) -> None:
    for lane in _stats(handle):
        session.equal((lane.used, lane.waiting), (0, 0), "connections used, callers waiting")


@asynccontextmanager
async def _held(handle: Any) -> AsyncIterator[None]:
    """Within: another task has a transaction open that has written."""
    holding, may_end = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with handle.transaction():
            await handle.run("ItemUpdateNode", id=1, fields={"$inc": {"n": 1}})
            holding.set()
            await may_end.wait()

    holder = asyncio.ensure_future(hold())
    try:
        await reached(holding, holder)
        yield
    finally:
        may_end.set()
        await holder


@case("pool.exhausted", feature=_POOL, also=("transactions",), since="0.2")
async def exhausted(session: Session) -> None:
    """Where no connection becomes free in time a call is PoolTimeout, and later calls work."""
    # One connection may write, and it is in use.
    handle = await _handle(session, pool_size=1, max_overflow=0, pool_timeout=0.2)
    loop = asyncio.get_running_loop()
    async with _held(handle):
        started = loop.time()
        error = await session.expect_error(PoolTimeout, partial(handle.run, "ItemCreateNode", id=2))
        took = loop.time() - started
    session.true(0.15 <= took < 2, f"it was refused after {took:.2f} s")
    told = {name: error.context[name] for name in ("timeout", "used", "waiting")}
    session.equal(told, {"timeout": 0.2, "used": 1, "waiting": 0})
    await handle.run("ItemCreateNode", id=2)
    session.equal((await handle.run("ItemReadNode", id=1))["n"], 1)
    _all_back(session, handle)


@case("pool.waits", feature=_POOL, also=("transactions",), since="0.2")
async def waits(session: Session) -> None:
    """Many more callers than connections all get their turn, and never more are open than may."""
    handle = await _handle(session, pool_size=2, max_overflow=1, pool_timeout=30)
    most: dict[str, int] = {}

    async def work(number: int) -> None:
        async with handle.transaction():
            await handle.run("ItemUpdateNode", id=1, fields={"$inc": {"n": 1}})
            for name, lane in handle.pool_stats()["primary"].items():
                most[name] = max(most.get(name, 0), lane.used + lane.idle)
                session.true(lane.used + lane.idle <= lane.max, f"{name}: {lane}, task {number}")
            await asyncio.sleep(0)

    await asyncio.gather(*(work(number) for number in range(40)))
    session.equal((await handle.run("ItemReadNode", id=1))["n"], 40)
    _all_back(session, handle)


@case("pool.fair", feature=_POOL, also=("transactions",), since="0.2")
async def fair(session: Session) -> None:
    """Callers that wait for a connection are served in the order in which they came."""
    handle = await _handle(session, pool_size=1, max_overflow=0, pool_timeout=30)
    order: list[int] = []

    async def work(number: int) -> None:
        async with handle.transaction():
            order.append(number)
            await handle.run("ItemUpdateNode", id=1, fields={"$inc": {"n": 1}})

    tasks = []
    async with _held(handle):
        for number in range(10):
            tasks.append(asyncio.ensure_future(work(number)))
            await _until_waiting(handle, number + 1)
    await asyncio.gather(*tasks)
    session.equal(order, list(range(10)), "the order of service")
    _all_back(session, handle)


def _waiting(handle: Any) -> int:
    return sum(lane.waiting for lane in _stats(handle))


async def _until_waiting(handle: Any, expected: int) -> None:
    """Wait until so many callers stand in the queue."""
    for _ in range(1_000):
        if _waiting(handle) >= expected:
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"{_waiting(handle)} callers wait, and not {expected}")


@case("pool.cancelled_waiters", feature=_POOL, also=("transactions",), since="0.2")
async def cancelled_waiters(session: Session) -> None:
    """A caller that is cancelled while it waits leaves the queue; those behind it are served."""
    handle = await _handle(session, pool_size=1, max_overflow=0, pool_timeout=30)

    async def work() -> None:
        async with handle.transaction():
            await handle.run("ItemUpdateNode", id=1, fields={"$inc": {"n": 1}})

    tasks = []
    async with _held(handle):
        for number in range(8):
            tasks.append(asyncio.ensure_future(work()))
            await _until_waiting(handle, number + 1)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks[::2], return_exceptions=True)
        session.equal(_waiting(handle), 4, "callers that still wait")
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    cancelled = [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes]
    session.equal(cancelled, [True, False] * 4)
    session.equal((await handle.run("ItemReadNode", id=1))["n"], 5)
    _all_back(session, handle)


@case("pool.after_cancellations", feature=_POOL, also=("cancellation",), since="0.2")
async def after_cancellations(session: Session) -> None:
    """After many cancellations, of waiting and of running calls, the whole pool is there again."""
    handle = await _handle(session, pool_size=2, max_overflow=1, pool_timeout=30)
    rng = random.Random(11)

    async def work() -> None:
        async with handle.transaction():
            await handle.run("ItemUpdateNode", id=1, fields={"$inc": {"n": 1}})
            await asyncio.sleep(rng.random() * 0.002)

    for _ in range(15):
        tasks = [asyncio.ensure_future(work()) for _ in range(8)]
        await asyncio.sleep(rng.random() * 0.01)
        for task in tasks:
            if rng.random() < 0.7:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    _all_back(session, handle)
    before = (await handle.run("ItemReadNode", id=1))["n"]
    await asyncio.gather(*(work() for _ in range(12)))
    session.equal((await handle.run("ItemReadNode", id=1))["n"], before + 12)
    _all_back(session, handle)


@case("pool.full_use", feature=_POOL, also=("transactions",), since="0.2")
async def full_use(session: Session) -> None:
    """As many reading transactions as the pool has connections are open at the same time."""
    handle = await _handle(session, pool_size=2, max_overflow=2, pool_timeout=5)
    # What the lane of readers has is what the dialect gives; the statistics say how many.
    async with handle.transaction(read_only=True):
        await handle.run("ItemReadNode", id=1)
        lane = next(lane for lane in _stats(handle) if lane.used)
    inside, together = 0, asyncio.Event()

    async def read() -> None:
        nonlocal inside
        async with handle.transaction(read_only=True):
            await handle.run("ItemReadNode", id=1)
            inside += 1
            if inside == lane.max:
                together.set()
            await asyncio.wait_for(together.wait(), 10)

    await asyncio.gather(*(read() for _ in range(lane.max)))
    session.equal(inside, lane.max)
    _all_back(session, handle)
    for after in _stats(handle):
        session.true(after.idle <= after.max, f"{after} after the rush")


@case("pool.overflow", feature=_POOL, since="0.2")
async def overflow(session: Session) -> None:
    """Connections beyond pool_size are closed again when nobody needs them."""
    handle = await _handle(session, pool_size=1, max_overflow=3, pool_timeout=30)
    await asyncio.gather(*(handle.run("ItemReadNode", id=1) for _ in range(30)))
    for name, lane in handle.pool_stats()["primary"].items():
        session.true(lane.idle <= max(1, lane.max - 3), f"{name}: {lane} after the rush")
    _all_back(session, handle)


@case("pool.errors", feature=_POOL, since="0.2")
async def errors(session: Session) -> None:
    """Calls that fail, before SQL or in the database, give their connection back."""
    handle = await _handle(session, pool_size=1, max_overflow=0, pool_timeout=5)
    failing = (
        (UniqueViolation, partial(handle.run, "ItemCreateNode", id=1)),
        (RecordNotFound, partial(handle.run, "ItemReadNode", id=99)),
        (DataFlowError, partial(handle.run, "ItemCreateNode", id="x")),
        (DataFlowError, partial(handle.run, "SQLNode", sql="SELECT FROM WHERE")),
        (UniqueViolation, partial(handle.run, "ItemBulkCreateNode", data=[{"id": 2}, {"id": 1}])),
    )
    for kind, call in failing * 5:
        await session.expect_error_of(kind, call)
    session.equal((await handle.run("ItemCountNode", filter={}))["count"], 1)
    _all_back(session, handle)


@case("pool.closed", feature=_POOL, since="0.2")
async def closed(session: Session) -> None:
    """A closed handle refuses with InstanceClosed, twice closed too, and leaves others alone."""
    model = session.model(Item)
    await session.load(model, [{"id": 1}])
    handle = await session.expendable_handle(model)
    await handle.run("ItemCountNode", filter={})
    await handle.aclose()
    await handle.aclose()
    await session.expect_error(InstanceClosed, partial(handle.run, "ItemReadNode", id=1))
    for lane in _stats(handle):
        session.equal((lane.used, lane.idle, lane.waiting), (0, 0, 0))
    session.equal((await session.run(model, "Read", id=1))["id"], 1)
