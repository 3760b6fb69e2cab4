"""Cancelled and timed-out calls stop, leave no half-done work, and give their connections back."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case
from dataflow_core.conformance.session import cancelled, expect_cancelled
from dataflow_core.errors import StatementTimeout

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_CANCEL: Final = "cancellation"


class Heap:
    """Rows to compute over."""

    id: int
    n: int | None
    t: str | None


_SLOW: Final[list[dict[str, Any]]] = [
    # Hundreds of thousands of rows, sorted, joined and grouped: seconds on any database.
    *({"$unionWith": "Heap"} for _ in range(16)),
    {
        "$group": {
            "_id": {"$concat": ["$t", {"$toLower": "$t"}]},
            "v": {"$stdDevPop": "$n"},
            "w": {"$push": "$t"},
        }
    },
    {"$sort": {"v": 1}},
    {"$limit": 1},
]


async def _heap(session: Session) -> Any:
    model = session.model(Heap)
    data = ({"id": n, "n": n % 1_000, "t": f"text {n} " + "x" * 50} for n in range(20_000))
    await session.run(model, "BulkCreate", data=data)
    return model


@case("cancellation.query", feature=_CANCEL)
async def query(session: Session) -> None:
    """A cancelled query ends soon as CancelledError, and its connection goes back."""
    model = await _heap(session)
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(session.run(model, "List", aggregate=_SLOW))
    await asyncio.sleep(0.1)
    if task.done():
        task.result()
        raise AssertionError("the query is too quick to be cancelled")
    started = loop.time()
    task.cancel()
    await expect_cancelled(session, task)
    session.true(loop.time() - started < 2, "cancelling took two seconds")
    session.equal(session.database.pool_in_use(), 0, "connections in use")
    session.equal((await session.run(model, "Count", filter={}))["count"], 20_000)


@case("cancellation.timeout", feature=_CANCEL)
async def timeout(session: Session) -> None:
    """A statement that takes longer than command_timeout is StatementTimeout, and work goes on."""
    # The statements of the bulk create are far below the limit, the query is far above it.
    handle = session.another(command_timeout=0.5)
    session.model(Heap, on=handle)
    data = ({"id": n, "n": n, "t": f"text {n} " + "x" * 50} for n in range(20_000))
    await handle.run("HeapBulkCreateNode", data=data)
    slow = partial(handle.run, "HeapListNode", aggregate=_SLOW)
    await session.expect_error(StatementTimeout, slow)
    counted = await handle.run("HeapCountNode", filter={})
    session.equal(counted["count"], 20_000)
    stats = handle.pool_stats()["primary"]
    session.equal(sum(lane.used for lane in stats.values()), 0, "connections in use")


@case("cancellation.write", feature=_CANCEL)
async def write(session: Session) -> None:
    """A bulk create that is cancelled anywhere leaves all of its rows or none."""
    model = session.model(Heap)
    await session.run(model, "Count", filter={})
    for number in range(12):
        data = [{"id": n, "n": number} for n in range(3_000)]
        await cancelled(session.run(model, "BulkCreate", data=data), 0.002 * number)
        count = (await session.run(model, "Count", filter={}))["count"]
        session.true(count in (0, 3_000), f"{count} of 3000 rows are there")
        await session.run(model, "BulkDelete", filter={}, allow_all=True)
    session.equal(session.database.pool_in_use(), 0, "connections in use")


@case("cancellation.random", feature=_CANCEL)
async def at_random(session: Session) -> None:
    """After many calls cancelled at random every answer is right and no connection is out."""
    model = session.model(Heap)
    await session.run(model, "BulkCreate", data=[{"id": n, "n": 0} for n in range(50)])
    rng = random.Random(7)
    done = 0
    for _ in range(80):
        key = rng.randrange(50)
        task = asyncio.ensure_future(
            session.run(model, "Update", id=key, fields={"$inc": {"n": 1}})
        )
        await asyncio.sleep(rng.random() * 0.003)
        task.cancel()
        outcome: object = (await asyncio.gather(task, return_exceptions=True))[0]
        done += not isinstance(outcome, BaseException)
        found = await session.run(model, "Read", id=key)
        session.equal(found["id"], key, "an answer to another question")
    summed = await session.run(
        model, "List", aggregate=[{"$group": {"_id": None, "n": {"$sum": "$n"}}}]
    )
    total = summed["result"][0]["n"]
    session.true(done <= total <= 80, f"{total} increments of {done} acknowledged ones")
    session.equal(session.database.pool_in_use(), 0, "connections in use")
