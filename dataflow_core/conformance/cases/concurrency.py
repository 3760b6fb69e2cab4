"""Many tasks at once over few connections."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core import AsyncLocalRuntime, WorkflowBuilder
from dataflow_core.conformance.registry import case
from dataflow_core.errors import UniqueViolation

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_CONCURRENCY: Final = "concurrency"


class Counter:
    """A number to count with."""

    id: int
    n: int = 0
    t: str = ""


@case("concurrency.increments", feature=_CONCURRENCY)
async def increments(session: Session) -> None:
    """A hundred increments at once are all counted."""
    model = session.model(Counter)
    await session.load(model, [{"id": 1}])
    await asyncio.gather(
        *(session.run(model, "Update", id=1, fields={"$inc": {"n": 1}}) for _ in range(100))
    )
    session.equal((await session.run(model, "Read", id=1))["n"], 100)
    session.equal(session.database.pool_in_use(), 0, "connections in use")


@case("concurrency.answers", feature=_CONCURRENCY)
async def answers(session: Session) -> None:
    """Two hundred reads at once each get their own answer."""
    model = session.model(Counter)
    await session.run(model, "BulkCreate", data=[{"id": n, "n": n * 7} for n in range(50)])

    async def read(number: int) -> None:
        found = await session.run(model, "Read", id=number % 50)
        session.equal((found["id"], found["n"]), (number % 50, number % 50 * 7))

    await asyncio.gather(*(read(number) for number in range(200)))


@case("concurrency.creates", feature=_CONCURRENCY)
async def creates(session: Session) -> None:
    """Creates at once get different keys."""
    model = session.model(Counter)
    made = await asyncio.gather(*(session.run(model, "Create", n=n) for n in range(60)))
    session.equal(len({row["id"] for row in made}), 60)
    session.equal(sorted(row["n"] for row in await session.rows(model)), list(range(60)))


@case("concurrency.same_key", feature=_CONCURRENCY)
async def same_key(session: Session) -> None:
    """Of several creates of one key one is done, the others are UniqueViolation."""
    model = session.model(Counter)
    await session.run(model, "Count", filter={})
    outcomes = await asyncio.gather(
        *(session.run(model, "Create", id=1, n=n) for n in range(10)), return_exceptions=True
    )
    failed = [one for one in outcomes if isinstance(one, BaseException)]
    session.equal(len(failed), 9)
    session.true(all(isinstance(one, UniqueViolation) for one in failed), f"they are {failed}")


@case("concurrency.upserts", feature=_CONCURRENCY, also=("write.upsert",))
async def upserts(session: Session) -> None:
    """Of several upserts of one new key exactly one inserts."""
    model = session.model(Counter)
    await session.run(model, "Count", filter={})
    made = await asyncio.gather(*(session.run(model, "Upsert", id=1, n=n) for n in range(10)))
    session.equal(sum(one["created"] for one in made), 1)
    session.equal(len(await session.rows(model)), 1)


@case("concurrency.transactions", feature=_CONCURRENCY, also=("transactions",))
async def transactions(session: Session) -> None:
    """Transactions at once that read and write the same row lose no update."""
    model = session.model(Counter)
    await session.load(model, [{"id": 1}, {"id": 2, "n": 100}])

    async def move(amount: int) -> None:
        async with session.db.transaction():
            await session.run(model, "Update", id=1, fields={"$inc": {"n": amount}})
            await asyncio.sleep(0)
            await session.run(model, "Update", id=2, fields={"$inc": {"n": -amount}})

    await asyncio.gather(*(move(amount) for amount in range(1, 11)))
    session.equal([row["n"] for row in await session.rows(model)], [55, 45])


@case("concurrency.readers_and_writer", feature=_CONCURRENCY)
async def readers_and_writer(session: Session) -> None:
    """Readers beside a bulk writer see all of its rows or none."""
    model = session.model(Counter)
    await session.run(model, "Count", filter={})
    seen: set[Any] = set()

    async def read() -> None:
        for _ in range(20):
            seen.add((await session.run(model, "Count", filter={}))["count"])
            await asyncio.sleep(0)

    data = [{"id": n} for n in range(2_000)]
    await asyncio.gather(session.run(model, "BulkCreate", data=data), read(), read())
    session.true(seen <= {0, 2_000}, f"readers saw {sorted(seen)} rows")


@case("concurrency.workflows", feature=_CONCURRENCY)
async def workflows(session: Session) -> None:
    """One workflow runs many times at once, each run with its own parameters and results."""
    model = session.model(Counter)
    await session.run(model, "Count", filter={})
    builder = WorkflowBuilder(session.db)
    builder.add_node("CounterCreateNode", "make", {"n": 0})
    builder.add_node("CounterUpdateNode", "change", {"fields": {"$inc": {"n": 1}}})
    builder.add_node("CounterReadNode", "read", {})
    builder.add_connection("make", "id", "change", "id")
    builder.add_connection("change", "id", "read", "id")
    workflow, runtime = builder.build(), AsyncLocalRuntime()
    run = partial(runtime.execute, workflow)
    finished = await asyncio.gather(*(run(parameters={"make": {"n": 10 * n}}) for n in range(20)))
    session.equal(
        [results["read"]["n"] for results, _ in finished], [10 * n + 1 for n in range(20)]
    )
    session.equal(len({run_id for _, run_id in finished}), 20, "run ids")
    session.equal(session.database.pool_in_use(), 0, "connections in use")
