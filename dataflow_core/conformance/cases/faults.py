"""Things go wrong in the middle: rows, callers, handles; what is stored is all or nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case
from dataflow_core.conformance.session import cancelled, expect_cancelled, reached
from dataflow_core.errors import DataFlowError, InvalidType, UniqueViolation
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_BULK: Final = "write.bulk_create"
_CANCEL: Final = "cancellation"
_ROWS: Final = 2_500
"""More than any dialect sends in one statement."""


class Entry:
    """Rows of a bulk write."""

    id: int
    n: int = 0
    code: str | None = field(default=None, unique=True)


class Broken(Exception):
    """What a caller's own code raises."""


def _rows(changed: dict[int, dict[str, Any]] | None = None) -> Iterator[dict[str, Any]]:
    for number in range(_ROWS):
        yield {"id": number + 1, "n": 1, "code": f"c{number}", **(changed or {}).get(number, {})}


async def _sums(session: Session, model: Any) -> tuple[int, int]:
    """How many rows there are, and the sum of their numbers."""
    group: dict[str, Any] = {"_id": None, "n": {"$sum": "$n"}, "rows": {"$count": {}}}
    total: list[Any] = [{"$group": group}]
    found = (await session.run(model, "List", aggregate=total))["result"]
    return (found[0]["rows"], found[0]["n"]) if found else (0, 0)


def _nothing_out(session: Session) -> None:
    session.equal(session.database.pool_in_use(), 0, "connections in use")


@case("faults.bad_row", feature=_BULK, since="0.2")
async def bad_row(session: Session) -> None:
    """A bad row anywhere in a bulk create names its index, and no row is stored."""
    model = session.model(Entry)
    await session.run(model, "Count", filter={})
    for index in (0, 1, 499, 500, 999, 1_000, _ROWS - 1):
        for error, bad in ((InvalidType, {"n": "x"}), (UniqueViolation, {"code": "same"})):
            changed = {index: bad}
            if error is UniqueViolation:
                changed[index - 1 if index else 1] = bad
            call = partial(session.run, model, "BulkCreate", data=_rows(changed))
            raised: Any = await session.expect_error(error, call)
            what = f"the index of the bad row, {error.__name__}"
            session.equal(raised.context["index"], max(changed), what)
            session.equal(await _sums(session, model), (0, 0), f"stored, row {index}")
    _nothing_out(session)


@case("faults.bad_batch", feature=_BULK, since="0.2")
async def bad_batch(session: Session) -> None:
    """With atomic="batch" a bad row costs its own batch, and the result says which."""
    model = session.model(Entry)
    for bad in ({"n": "x"}, {"code": "c0"}):
        data = _rows({1_234: bad})
        result = await session.run(model, "BulkCreate", data=data, batch_size=500, atomic="batch")
        session.equal((result["success"], result["inserted"]), (False, _ROWS - 500))
        session.equal([one["rows"] for one in result["failed"]], [[1_000, 1_500]])
        session.equal(await _sums(session, model), (_ROWS - 500, _ROWS - 500))
        await session.run(model, "BulkDelete", filter={}, allow_all=True)
    _nothing_out(session)


def _writes() -> Iterator[tuple[str, Callable[[Any], dict[str, Any]]]]:
    yield "BulkCreate", lambda rows: {"data": ({**row, "id": row["id"] + 5_000} for row in rows)}
    yield "BulkCreate", lambda rows: {"data": rows, "conflict": "skip"}
    yield "BulkUpsert", lambda rows: {"data": rows}
    yield "BulkUpdate", lambda rows: {"data": ({"id": row["id"], "n": 5} for row in rows)}


@case("faults.generator", feature=_BULK, also=("write.upsert", "write.bulk_update"), since="0.2")
async def generator(session: Session) -> None:
    """What the caller's own generator raises comes out as it is, and nothing is stored."""
    model = session.model(Entry)
    await session.load(model, [{"id": 1}, {"id": 2, "n": 7}])
    before = await session.rows(model)

    def plain(after: int) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(_rows()):
            if number == after:
                raise Broken("in the middle")
            yield row

    async def slow(after: int) -> AsyncIterator[dict[str, Any]]:
        for row in plain(after):
            await asyncio.sleep(0)
            yield row

    for kind, parameters in _writes():
        for after in (0, 700, 2_499):
            await _breaks(session, model, kind, parameters(plain(after)))
            session.equal(await session.rows(model), before, f"{kind} after {after} rows")
    for after in (0, 700):
        await _breaks(session, model, "BulkCreate", {"data": slow(after)})
        session.equal(await session.rows(model), before, f"asynchronously after {after} rows")
    _nothing_out(session)


async def _breaks(session: Session, model: Any, kind: str, parameters: dict[str, Any]) -> None:
    try:
        await session.run(model, kind, **parameters)
    except Broken:
        return
    raise AssertionError(f"{kind} did not raise what its rows raised")


@case("faults.progress", feature=_BULK, since="0.2")
async def progress(session: Session) -> None:
    """What on_progress raises comes out as it is, and nothing is stored."""
    model = session.model(Entry)
    await session.run(model, "Count", filter={})

    def stop(done: int) -> None:
        if done > 500:
            raise Broken(f"after {done}")

    await _breaks(
        session, model, "BulkCreate", {"data": _rows(), "on_progress": stop, "batch_size": 500}
    )
    session.equal(await _sums(session, model), (0, 0))
    _nothing_out(session)


@case(
    "faults.cancelled_bulk",
    feature=_CANCEL,
    also=("write.upsert", "write.bulk_update", "write.bulk_delete"),
    since="0.2",
)
async def cancelled_bulk(session: Session) -> None:
    """A bulk update, upsert or delete that is cancelled anywhere is done in whole or not at all."""
    model = session.model(Entry)
    await session.run(model, "BulkCreate", data=_rows())
    rng = random.Random(3)
    everything = {"filter": {}, "allow_all": True}
    for number in range(8):
        upserted = ({**row, "n": number} for row in _rows())
        changed = ({"id": row["id"], "n": number} for row in _rows())
        for kind, parameters in (
            ("BulkUpdate", {**everything, "fields": {"n": number}}),
            ("BulkUpdate", {"data": changed}),
            ("BulkUpsert", {"data": upserted}),
            ("BulkDelete", everything),
        ):
            await cancelled(session.run(model, kind, **parameters), rng.random() * 0.03)
            count, total = await _sums(session, model)
            session.true(
                count in (0, _ROWS) and (not count or total % count == 0),
                f"{kind}: {count} rows with the sum {total}",
            )
            if not count:
                await session.run(model, "BulkCreate", data=_rows())
    _nothing_out(session)


@case("faults.cancelled_commit", feature=_CANCEL, also=("transactions",), since="0.2")
async def cancelled_commit(session: Session) -> None:
    """A transaction that is cancelled anywhere, in its commit too, is there in whole or not."""
    model = session.model(Entry)
    await session.load(model, [{"id": 1}, {"id": 2}])
    acknowledged = 0

    async def work() -> None:
        async with session.db.transaction():
            await session.run(model, "Update", id=1, fields={"$inc": {"n": 1}})
            await session.run(model, "Update", id=2, fields={"$inc": {"n": 1}})

    started = asyncio.get_running_loop().time()
    await work()
    acknowledged += 1
    took = asyncio.get_running_loop().time() - started
    for number in range(60):
        task = asyncio.ensure_future(work())
        # From before it begins to well after it has ended, most often around the end.
        await asyncio.sleep(took * number / 40)
        task.cancel()
        outcome: object = (await asyncio.gather(task, return_exceptions=True))[0]
        if not isinstance(outcome, BaseException):
            acknowledged += 1
        else:
            session.true(isinstance(outcome, asyncio.CancelledError), f"it ended with {outcome!r}")
    one, two = [row["n"] for row in await session.rows(model)]
    session.equal(one, two, "the two rows")
    session.true(acknowledged <= one <= 61, f"{one} transactions, {acknowledged} acknowledged")
    _nothing_out(session)


@case("faults.cancelled_savepoint", feature=_CANCEL, also=("transactions.savepoint",), since="0.2")
async def cancelled_savepoint(session: Session) -> None:
    """A cancellation inside a nested transaction undoes the outer one as well."""
    model = session.model(Entry)
    await session.run(model, "Count", filter={})
    inside = asyncio.Event()

    async def work() -> None:
        async with session.db.transaction():
            await session.run(model, "Create", id=1)
            async with session.nested():
                await session.run(model, "Create", id=2)
                inside.set()
                await asyncio.sleep(60)

    task = asyncio.ensure_future(work())
    await reached(inside, task)
    task.cancel()
    await expect_cancelled(session, task)
    session.equal(await session.rows(model), [])
    await session.run(model, "Create", id=1)
    _nothing_out(session)


@case("faults.errors_then_work", feature="constraints.errors", since="0.2")
async def errors_then_work(session: Session) -> None:
    """After every kind of error the next call works, in a transaction of its own and without."""
    model = session.model(Entry)
    await session.load(model, [{"id": 1, "code": "a"}])
    failing: list[Callable[[], Any]] = [
        partial(session.run, model, "Create", id=1),
        partial(session.run, model, "Create", id=2, code="a"),
        partial(session.run, model, "Update", id=1, fields={"$inc": {"n": 2**63 - 1}}),
        partial(session.run, model, "BulkCreate", data=[{"id": 2}, {"id": 2}]),
        partial(session.db.run, "SQLNode", sql="SELECT no_such_column FROM no_such_table"),
        partial(session.db.run, "SQLNode", sql="this is no SQL"),
    ]
    for number, call in enumerate(failing):
        await session.run(model, "Update", id=1, fields={"n": 1})
        await session.expect_error_of(DataFlowError, call)
        session.equal((await session.run(model, "Read", id=1))["n"], 1, f"after error {number}")

        async def inside(call: Callable[[], Any] = call) -> None:
            async with session.db.transaction():
                await session.run(model, "Update", id=1, fields={"n": 5})
                await call()

        await session.expect_error_of(DataFlowError, inside)
        session.equal((await session.run(model, "Read", id=1))["n"], 1, f"undone, error {number}")
    _nothing_out(session)
