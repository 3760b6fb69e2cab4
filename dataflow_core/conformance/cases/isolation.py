"""What transactions see of each other, and that nobody's change is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case
from dataflow_core.errors import DatabaseError, Deadlock, SerializationFailure

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_TX: Final = "transactions"
_TASKS: Final = 8
_A_MOMENT: Final = 0.05
_GIVE_UP: Final = 0.3
_NOT_SERIALISED: Final = (SerializationFailure, Deadlock)


class Account:
    """Rows that several write."""

    id: int
    n: int = 0
    status: str = "open"
    owner: int | None = None
    doc: dict[str, Any] | None = None
    marks: list[int] | None = None


class Undo(Exception):
    """Leaves a transaction on purpose."""


async def _retried(work: Callable[[], Awaitable[Any]], attempts: int = 100) -> Any:
    """Run a transaction again while the database cannot serialise it."""
    for attempt in range(attempts):
        try:
            return await work()
        except _NOT_SERIALISED:
            await asyncio.sleep(0.001 * (attempt % 10))
    raise AssertionError(f"not serialised in {attempts} attempts")


@case("isolation.own_writes", feature=_TX, since="0.2")
async def own_writes(session: Session) -> None:
    """A transaction sees what it has written itself, by every kind of read."""
    model = session.model(Account)
    await session.load(model, [{"id": 1, "n": 1}, {"id": 2, "n": 2}])
    async with session.db.transaction():
        await session.run(model, "Create", id=3, n=3)
        await session.run(model, "Update", id=1, fields={"$inc": {"n": 10}})
        await session.run(model, "BulkDelete", filter={"id": 2})
        session.equal((await session.run(model, "Read", id=1))["n"], 11)
        session.equal((await session.run(model, "Count", filter={}))["count"], 2)
        rows = await session.rows(model, {"n": {"$gt": 0}}, select=["id", "n"])
        session.equal(rows, [{"id": 1, "n": 11}, {"id": 3, "n": 3}])
        total = [{"$group": {"_id": None, "n": {"$sum": "$n"}}}]
        found = await session.run(model, "List", aggregate=total)
        session.equal(found["result"], [{"_id": None, "n": 14}])


@case("isolation.undone", feature=_TX, since="0.2")
async def undone(session: Session) -> None:
    """What a transaction writes and undoes is never seen by anybody else."""
    model = session.model(Account)
    await session.load(model, [{"id": 1, "n": 1}])
    seen: set[Any] = set()

    async def write() -> None:
        async with session.db.transaction():
            await session.run(model, "Update", id=1, fields={"n": 99})
            await session.run(model, "Create", id=2, n=99)
            await asyncio.sleep(0.001)
            raise Undo

    async def read() -> None:
        for _ in range(25):
            seen.update(row["n"] for row in await session.rows(model))
            await asyncio.sleep(0)

    async def write_often() -> None:
        for _ in range(10):
            try:
                await write()
            except Undo:
                await asyncio.sleep(0)

    await asyncio.gather(write_often(), read(), read())
    session.equal(seen, {1}, "the values seen")


@case("isolation.other_handle", feature=_TX, since="0.2")
async def other_handle(session: Session) -> None:
    """Another handle sees a transaction's work when it is committed, and not before."""
    model = session.model(Account)
    await session.load(model, [{"id": 1, "n": 1}])
    other = await session.second_handle(model)

    async def seen() -> Any:
        node, handle = "AccountReadNode", other or session.db
        return (await handle.run(node, id=1))["n"]

    early = None
    async with session.db.transaction():
        await session.run(model, "Update", id=1, fields={"n": 2})
        if other is not None:
            early = asyncio.ensure_future(seen())
            # A database may let the reader wait until the transaction is over.
            done, _ = await asyncio.wait({early}, timeout=_GIVE_UP)
            session.true(not done or early.result() == 1, "it was seen before it was committed")
    if early is not None:
        await early
    session.equal(await seen(), 2, "after the commit")


@case("isolation.acknowledged", feature="concurrency", since="0.2")
async def acknowledged(session: Session) -> None:
    """What a call has answered is seen by every read that begins afterwards, whoever reads."""
    model = session.model(Account)
    await session.load(model, [{"id": 1}])
    other = await session.second_handle(model) or session.db
    for number in range(1, 26):
        await session.run(model, "Update", id=1, fields={"n": number})
        found = await asyncio.gather(
            *(handle.run("AccountReadNode", id=1) for handle in (other, session.db, other))
        )
        session.equal([row["n"] for row in found], [number] * 3)


@case("isolation.totals", feature=_TX, since="0.2")
async def totals(session: Session) -> None:
    """A statement sees all of another's transaction or nothing: moved amounts keep their sum."""
    model = session.model(Account)
    await session.load(model, [{"id": 1, "n": 50}, {"id": 2, "n": 50}])
    total = [{"$group": {"_id": None, "n": {"$sum": "$n"}}}]
    seen: set[Any] = set()

    async def move(amount: int) -> None:
        async with session.db.transaction():
            await session.run(model, "Update", id=1, fields={"$inc": {"n": amount}})
            await asyncio.sleep(0)
            await session.run(model, "Update", id=2, fields={"$inc": {"n": -amount}})

    async def read() -> None:
        for _ in range(20):
            seen.add((await session.run(model, "List", aggregate=total))["result"][0]["n"])
            await asyncio.sleep(0)

    await asyncio.gather(read(), read(), *(move(amount) for amount in range(1, 11)))
    session.equal(seen, {100}, "the sums seen")


@case("isolation.repeatable_read", feature=_TX, since="0.2")
async def repeatable_read(session: Session) -> None:
    """In a repeatable read transaction a row reads the same, whatever others commit meanwhile."""
    model = session.model(Account)
    await session.load(model, [{"id": 1, "n": 1}])

    async def write() -> None:
        await session.run(model, "Update", id=1, fields={"n": 2})
        await session.run(model, "Create", id=2)

    async with session.db.transaction(isolation="repeatable read", read_only=True):
        before = await session.rows(model, select=["id", "n"])
        # Outside of the transaction: a task of its own that does not inherit it.
        writing = _outside(write)
        await asyncio.wait({writing}, timeout=_GIVE_UP)
        session.equal(await session.rows(model, select=["id", "n"]), before, "read again")
    await writing
    after = await session.rows(model, select=["id", "n"])
    session.equal(after, [{"id": 1, "n": 2}, {"id": 2, "n": 0}])


def _outside(work: Callable[[], Any]) -> asyncio.Task[Any]:
    """Start work as a task without the context of this one, so outside of its transaction."""
    return asyncio.get_running_loop().create_task(work(), context=Context())


@case("isolation.serializable.write_skew", feature=_TX, since="0.2")
async def write_skew(session: Session) -> None:
    """Serializable transactions that read what the other writes are not both carried out."""
    model = session.model(Account)
    await session.load(model, [{"id": 1, "status": "on"}, {"id": 2, "status": "on"}])

    async def leave(key: int) -> None:
        async with session.db.transaction(isolation="serializable"):
            on = await session.run(model, "Count", filter={"status": "on"})
            await asyncio.sleep(_A_MOMENT)
            if on["count"] == 2:
                await session.run(model, "Update", id=key, fields={"status": "off"})

    outcomes = await asyncio.gather(leave(1), leave(2), return_exceptions=True)
    _only_not_serialised(session, outcomes)
    on = await session.run(model, "Count", filter={"status": "on"})
    session.equal(on["count"], 1, "rows that are still on")


@case("isolation.serializable.phantom", feature=_TX, since="0.2")
async def phantom(session: Session) -> None:
    """Of serializable transactions that each insert what they found missing, one inserts."""
    model = session.model(Account)
    await session.run(model, "Count", filter={})

    async def claim(key: int) -> None:
        async with session.db.transaction(isolation="serializable"):
            there = await session.run(model, "Count", filter={"n": 7})
            await asyncio.sleep(_A_MOMENT)
            if there["count"] == 0:
                await session.run(model, "Create", id=key, n=7)

    outcomes = await asyncio.gather(*(claim(key) for key in range(1, 4)), return_exceptions=True)
    _only_not_serialised(session, outcomes)
    await _retried(partial(claim, 9))
    there = await session.run(model, "Count", filter={"n": 7})
    session.equal(there["count"], 1, "rows inserted")


@case("isolation.serializable.retried", feature=_TX, since="0.2")
async def retried(session: Session) -> None:
    """Serializable transactions that read, compute and write lose nothing when they are retried."""
    model = session.model(Account)
    await session.load(model, [{"id": 1}])

    async def add() -> None:
        async with session.db.transaction(isolation="serializable"):
            found = await session.run(model, "Read", id=1)
            await asyncio.sleep(0)
            await session.run(model, "Update", id=1, fields={"n": found["n"] + 1})

    await asyncio.gather(*(_retried(add) for _ in range(_TASKS)))
    session.equal((await session.run(model, "Read", id=1))["n"], _TASKS)


def _only_not_serialised(session: Session, outcomes: Sequence[Any]) -> None:
    """What failed says that it can be run again, and that it was not done."""
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            session.true(isinstance(outcome, _NOT_SERIALISED), f"it failed with {outcome!r}")
            done = outcome.outcome if isinstance(outcome, DatabaseError) else None
            session.equal(done, "not done", "the outcome of what failed")


@case("isolation.lost_update.inc", feature="concurrency", since="0.2")
async def lost_increments(session: Session) -> None:
    """Increments of eight tasks on the same rows are all counted, one by one and in bulk."""
    model = session.model(Account)
    await session.load(model, [{"id": key} for key in range(1, 5)])

    async def work() -> None:
        for number in range(10):
            key = number % 4 + 1
            await _retried(partial(session.run, model, "Update", id=key, fields=_INC))
            await _retried(partial(session.run, model, "BulkUpdate", filter=_ALL, fields=_INC))

    await asyncio.gather(*(work() for _ in range(_TASKS)))
    numbers = [row["n"] for row in await session.rows(model)]
    session.equal(sum(numbers), _TASKS * 10 * 5)
    session.equal(numbers, [104, 104, 96, 96])


_INC: Final = {"$inc": {"n": 1}}
_ALL: Final = {"id": {"$gt": 0}}


@case("isolation.lost_update.computed", feature="concurrency", since="0.2")
async def lost_computed(session: Session) -> None:
    """Updates computed from the old row by eight tasks each start from the last one's result."""
    model = session.model(Account)
    await session.load(model, [{"id": 1}])

    async def work() -> None:
        for _ in range(10):
            fields = {"n": {"$add": [{"$multiply": ["$n", 1]}, 1]}}
            await _retried(partial(session.run, model, "Update", id=1, fields=fields))

    await asyncio.gather(*(work() for _ in range(_TASKS)))
    session.equal((await session.run(model, "Read", id=1))["n"], _TASKS * 10)


@case(
    "isolation.lost_update.json_members", feature="concurrency", also=("updates.json",), since="0.2"
)
async def lost_members(session: Session) -> None:
    """Members that eight tasks set in one JSON document are all there."""
    model = session.model(Account)
    await session.load(model, [{"id": 1, "doc": {"start": True}}])

    async def work(task: int) -> None:
        for number in range(5):
            fields = {"$set": {f"doc.k{task}_{number}": task}}
            await _retried(partial(session.run, model, "Update", id=1, fields=fields))

    await asyncio.gather(*(work(task) for task in range(_TASKS)))
    doc = (await session.run(model, "Read", id=1))["doc"]
    expected = {f"k{task}_{number}": task for task in range(_TASKS) for number in range(5)}
    session.equal(doc, {"start": True, **expected})


@case("isolation.lost_update.json_list", feature="concurrency", also=("updates.json",), since="0.2")
async def lost_elements(session: Session) -> None:
    """Elements that eight tasks push to one JSON list are all there, those of a task in order."""
    model = session.model(Account)
    await session.load(model, [{"id": 1, "marks": []}])

    async def work(task: int) -> None:
        for number in range(5):
            fields = {"$push": {"marks": task * 10 + number}}
            await _retried(partial(session.run, model, "Update", id=1, fields=fields))

    await asyncio.gather(*(work(task) for task in range(_TASKS)))
    marks = (await session.run(model, "Read", id=1))["marks"]
    session.equal(sorted(marks), [task * 10 + n for task in range(_TASKS) for n in range(5)])
    for task in range(_TASKS):
        own = [mark for mark in marks if mark // 10 == task]
        session.equal(own, sorted(own), f"the marks of task {task}")


@case("isolation.claim.one", feature="concurrency", since="0.2")
async def claim_one(session: Session) -> None:
    """Of eight tasks that update a row where it is open, one does: each row is claimed once."""
    model = session.model(Account)
    await session.load(model, [{"id": key} for key in range(1, 13)])
    claimed: list[tuple[int, int]] = []

    async def work(task: int) -> None:
        for key in range(1, 13):
            done = await _retried(partial(_claim, session, model, key, task))
            if done["updated"]:
                claimed.append((key, task))

    await asyncio.gather(*(work(task) for task in range(_TASKS)))
    session.equal(sorted(key for key, _ in claimed), list(range(1, 13)), "the rows claimed")
    owners = [(row["id"], row["owner"]) for row in await session.rows(model)]
    session.equal(owners, sorted(claimed), "the owners stored")


@case("isolation.claim.bulk", feature="concurrency", also=("write.bulk_update",), since="0.2")
async def claim_bulk(session: Session) -> None:
    """Of eight tasks that update all open rows at once, each row counts for exactly one."""
    model = session.model(Account)
    await session.load(model, [{"id": key} for key in range(1, 13)])
    counts = await asyncio.gather(
        *(
            _retried(
                partial(
                    session.run,
                    model,
                    "BulkUpdate",
                    filter={"status": "open"},
                    fields={"status": "taken", "owner": task},
                )
            )
            for task in range(_TASKS)
        )
    )
    session.equal(sum(one["matched"] for one in counts), 12, "rows updated")
    owners: dict[int, int] = {}
    for row in await session.rows(model):
        owners[row["owner"]] = owners.get(row["owner"], 0) + 1
    told = {task: one["matched"] for task, one in enumerate(counts) if one["matched"]}
    session.equal(owners, told, "rows of each owner")


async def _claim(session: Session, model: Any, key: int, task: int) -> Any:
    return await session.run(
        model,
        "Update",
        filter={"id": key, "status": "open"},
        fields={"status": "taken", "owner": task},
    )
