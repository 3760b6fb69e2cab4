"""Lists as streams: the same rows, read while they are asked for; rows through files."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import gc
import random
import tempfile
import uuid
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case, register
from dataflow_core.errors import (
    ConflictingParameters,
    InvalidCursor,
    InvalidFileContent,
    InvalidValue,
    StreamInTransaction,
    StreamNotReadable,
    UniqueViolation,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dataflow_core.conformance.session import Session
    from dataflow_core.schema import Model

_SINCE: Final = "0.3"
_PAGING: Final = "paging"
_COPIED: Final = "write.bulk_create"


class Streamed:
    """Rows to be streamed."""

    id: int
    n: int | None
    t: str | None


class Everything:
    """A field of every type."""

    id: int
    n: int | None
    f: float | None
    d: decimal.Decimal | None
    b: bool | None
    t: str | None
    raw: bytes | None
    m: dt.datetime | None
    day: dt.date | None
    clock: dt.time | None
    u: uuid.UUID | None
    j: dict | None  # type: ignore[type-arg]
    items: list | None  # type: ignore[type-arg]


_EVERYTHING: Final[list[dict[str, Any]]] = [
    {"id": 1},
    {
        "id": 2,
        "n": 2**63 - 1,
        "f": 1e-300,
        "d": decimal.Decimal("-99999999999999.9999"),
        "b": True,
        "t": "",
        "raw": b"",
        "m": dt.datetime(2024, 2, 29, 1, 2, 3, 456789, tzinfo=dt.UTC),
        "day": dt.date(1, 1, 1),
        "clock": dt.time(23, 59, 59, 999999),
        "u": uuid.UUID(int=2**128 - 1),
        "j": {"a": [1, None, 2.5, "é"]},
        "items": [],
    },
    {
        "id": 3,
        "n": -(2**63),
        "f": 0.1,
        "d": decimal.Decimal("0.0001"),
        "b": False,
        "t": 'he said: "a, b",\r\n and \u2028 \U0001f600 ',
        "raw": bytes(range(256)),
        "m": dt.datetime(1, 1, 2, tzinfo=dt.UTC),
        "day": dt.date(9999, 12, 31),
        "clock": dt.time(0, 0),
        "u": uuid.UUID(int=0),
        "j": {"": {"x": "\n"}},
        "items": [[], {}, "null"],
    },
]


async def _filled(session: Session, count: int = 2_500) -> Model:
    model = session.model(Streamed)
    data = ({"id": n, "n": (None, 1, 2)[n % 3], "t": f"text {n}"} for n in range(1, count + 1))
    await session.run(model, "BulkCreate", data=data)
    return model


async def _stream(session: Session, model: Model, **parameters: Any) -> Any:
    return (await session.run(model, "List", stream=True, **parameters))["records"]


async def _ids(stream: Any) -> list[int]:
    return [row["id"] async for row in stream]


def _as_listed(parameters: dict[str, Any]) -> Callable[[Session], Awaitable[None]]:
    async def check(session: Session) -> None:
        model = await _filled(session, 60)
        listed = (await session.run(model, "List", **parameters))["records"]
        stream = await _stream(session, model, batch_size=7, **parameters)
        session.equal([row async for row in stream], listed)

    return check


for _id, _parameters in (
    ("all", {}),
    ("sorted", {"order_by": ["-n", "t"]}),
    ("filtered", {"filter": {"n": {"$ne": 1}}, "order_by": ["t"]}),
    ("cut", {"limit": 20, "offset": 9, "order_by": ["-id"]}),
    ("none", {"limit": 0}),
    ("selected", {"select": ["t"], "order_by": ["-n"]}),
    ("distinct", {"select": ["n"], "distinct": True}),
    ("empty", {"filter": {"n": 99}}),
):
    register(
        f"streams.as_listed.{_id}",
        _as_listed(_parameters),
        feature="select.distinct" if _id == "distinct" else _PAGING,
        since=_SINCE,
        rule="A stream gives the rows that the list gives, in the same order.",
    )


@case("streams.every_type", feature=_PAGING, since=_SINCE)
async def every_type(session: Session) -> None:
    """A stream gives the same values as a list, whatever their type."""
    model = session.model(Everything)
    await session.load(model, _EVERYTHING)
    listed = await session.rows(model)
    for size in (1, 2, 100):
        stream = await _stream(session, model, batch_size=size)
        session.equal([row async for row in stream], listed, f"batches of {size}")


@case("streams.result", feature=_PAGING, since=_SINCE)
async def result(session: Session) -> None:
    """A stream has no count and no cursor, and is not cut at max_rows."""
    handle = session.another(max_rows=10)
    session.model(Streamed, on=handle)
    await handle.run("StreamedBulkCreateNode", data=[{"id": n} for n in range(25)])
    found = await handle.run("StreamedListNode", stream=True)
    session.equal(
        {name: found[name] for name in ("count", "limit", "offset", "next_cursor", "truncated")},
        {"count": None, "limit": None, "offset": 0, "next_cursor": None, "truncated": False},
    )
    session.true(found["records"] is found["result"], "records and result differ")
    session.equal(await _ids(found["records"]), list(range(25)))


@case("streams.batches", feature=_PAGING, since=_SINCE)
async def batches(session: Session) -> None:
    """The rows come in batches of at most batch_size, also after some were taken one by one."""
    model = await _filled(session, 100)
    stream = await _stream(session, model, batch_size=30)
    first = await anext(aiter(stream))
    found = [batch async for batch in stream.batches()]
    session.true(all(0 < len(batch) <= 30 for batch in found), "a batch is too large, or empty")
    ids = [first["id"], *(row["id"] for batch in found for row in batch)]
    session.equal(ids, list(range(1, 101)))


@case("streams.cursor", feature=_PAGING, since=_SINCE)
async def cursor(session: Session) -> None:
    """A stream goes on behind a cursor of the same list; another cursor is refused."""
    model = await _filled(session, 50)
    page = await session.run(model, "List", order_by=["-t"], limit=20)
    rest = await session.rows(model, order_by=["-t"], offset=20)
    stream = await _stream(session, model, order_by=["-t"], cursor=page["next_cursor"])
    session.equal([row async for row in stream], rest)
    call = partial(session.run, model, "List", stream=True, cursor=page["next_cursor"])
    await session.expect_error(InvalidCursor, call, sent=False)
    call = partial(
        session.run, model, "List", stream=True, order_by=["-t"], cursor=page["next_cursor"] + "A"
    )
    await session.expect_error(InvalidCursor, call, sent=False)


@case("streams.moment", feature=_PAGING, since=_SINCE)
async def moment(session: Session) -> None:
    """All rows are as they were when the list node ran, whatever is written meanwhile."""
    model = await _filled(session)
    stream = await _stream(session, model, select=["id", "n"], batch_size=100)
    await session.run(model, "Create", id=0, t="before the first")
    await session.run(model, "Create", id=9_999, t="behind the last")
    await session.run(model, "BulkUpdate", filter={"id": {"$gt": 1_000}}, fields={"n": 7})
    await session.run(model, "BulkDelete", filter={"id": {"$gt": 2_000}})
    session.equal(
        [row async for row in stream],
        [{"id": n, "n": (None, 1, 2)[n % 3]} for n in range(1, 2_501)],
    )


@case("streams.beside_writes", feature=_PAGING, since=_SINCE)
async def beside_writes(session: Session) -> None:
    """Each row may be changed while the stream is read."""
    model = await _filled(session, 120)
    async for row in await _stream(session, model, batch_size=10):
        await session.run(model, "Update", id=row["id"], fields={"n": row["id"]})
    session.equal([row["n"] for row in await session.rows(model)], list(range(1, 121)))


@case("streams.copied", feature=_COPIED, since=_SINCE)
async def copied(session: Session) -> None:
    """A stream of a table can be the data of a bulk node, of the same table too."""
    model = await _filled(session)
    stream = await _stream(session, model, select=["n", "t"], batch_size=300)
    done = await session.run(model, "BulkCreate", data=stream)
    session.equal(done["inserted"], 2_500)
    stream = await _stream(session, model, filter={"id": {"$lte": 1_000}})
    changed = ({**row, "t": "changed"} async for row in stream)
    done = await session.run(model, "BulkUpsert", data=changed)
    session.equal(done["updated"], 1_000)
    session.equal((await session.run(model, "Count", filter={"t": "changed"}))["count"], 1_000)
    session.equal((await session.run(model, "Count"))["count"], 5_000)
    session.equal(session.database.pool_in_use(), 0, "connections in use")


@case("streams.lazy", feature=_COPIED, since=_SINCE)
async def lazy(session: Session) -> None:
    """A stream that is begun by the bulk node that reads it works as well."""
    model = await _filled(session, 800)
    stream = session.db.nodes.Streamed.stream(select=["n"])
    doubled = ({"n": row["n"], "t": "copy"} async for row in stream)
    done = await session.run(model, "BulkCreate", data=doubled)
    session.equal(done["inserted"], 800)
    session.equal((await session.run(model, "Count"))["count"], 1_600)


@case("streams.transaction", feature="transactions", since=_SINCE)
async def transaction(session: Session) -> None:
    """Inside a transaction a stream is refused before any SQL; pages by cursor are the way."""
    model = await _filled(session, 20)
    outside = session.db.nodes.Streamed.stream()
    async with session.db.transaction():
        call = partial(session.run, model, "List", stream=True)
        await session.expect_error(StreamInTransaction, call, sent=False)
        await session.expect_error(StreamInTransaction, outside.open, sent=False)
        page = await session.run(model, "List", limit=12)
        page = await session.run(model, "List", limit=12, cursor=page["next_cursor"])
        session.equal([row["id"] for row in page["records"]], list(range(13, 21)))


@case("streams.refused", feature=_PAGING, since=_SINCE)
async def refused(session: Session) -> None:
    """What makes no sense of a stream is refused before any SQL."""
    model = await _filled(session, 5)
    for parameters in (
        {"stream": True, "count_only": True},
        {"stream": True, "aggregate": [{"$limit": 1}]},
        {"stream": True, "distinct": True, "cursor": "x"},
        {"batch_size": 10},
    ):
        call = partial(session.run, model, "List", **parameters)
        await session.expect_error(ConflictingParameters, call, sent=False)
    call = partial(session.run, model, "List", stream=True, batch_size=0)
    await session.expect_error(InvalidValue, call, sent=False)


@case("streams.once", feature=_PAGING, since=_SINCE)
async def once(session: Session) -> None:
    """A stream is read once; read again, or after it was closed, it fails, and is never empty."""
    model = await _filled(session, 30)
    stream = await _stream(session, model)
    session.equal(len(await _ids(stream)), 30)
    await session.expect_error(StreamNotReadable, partial(_ids, stream), sent=False)
    call = partial(session.run, model, "BulkCreate", data=stream)
    await session.expect_error(StreamNotReadable, call)
    async with await _stream(session, model, batch_size=5) as stream:
        await anext(aiter(stream))
    await session.expect_error(StreamNotReadable, partial(_ids, stream), sent=False)
    session.equal((await session.run(model, "Count"))["count"], 30)


@case("streams.connection", feature="concurrency", since=_SINCE)
async def connection(session: Session) -> None:
    """The connection goes back after the last row, on closing early, and when it is forgotten."""
    model = await _filled(session)
    used = session.database.pool_in_use
    await _ids(await _stream(session, model))
    session.equal(used(), 0, "connections in use after the last row")
    for _ in range(30):
        stream = await _stream(session, model, batch_size=50)
        await anext(aiter(stream))
        await stream.aclose()
        session.equal(used(), 0, "connections in use after closing early")
        session.equal((await session.run(model, "Read", id=7))["t"], "text 7")
    async for _ in await _stream(session, model, batch_size=50):
        break
    del stream
    for _ in range(100):
        gc.collect()
        await asyncio.sleep(0.02)
        if not used():
            break
    session.equal(used(), 0, "connections in use after it was forgotten")
    session.equal((await session.run(model, "Count"))["count"], 2_500)


@case("streams.several", feature="concurrency", since=_SINCE)
async def several(session: Session) -> None:
    """Several streams are read side by side, each gives its own rows."""
    model = await _filled(session, 900)
    streams = [
        await _stream(session, model, filter={"id": {"$lte": last}}, batch_size=40)
        for last in (300, 600, 900)
    ]
    found = await asyncio.gather(*map(_ids, streams))
    session.equal(found, [list(range(1, last + 1)) for last in (300, 600, 900)])


@case("streams.cancelled", feature="cancellation", since=_SINCE)
async def cancelled(session: Session) -> None:
    """Reading that is cancelled anywhere gives the connection back; the next answer is right."""
    model = await _filled(session)
    rng = random.Random(11)

    async def read() -> list[int]:
        stream = session.db.nodes.Streamed.stream(batch_size=20, order_by=["-t"])
        try:
            return await _ids(stream)
        finally:
            await stream.aclose()

    for _ in range(40):
        task = asyncio.ensure_future(read())
        await asyncio.sleep(rng.random() * 0.03)
        task.cancel()
        outcome: object = (await asyncio.gather(task, return_exceptions=True))[0]
        session.true(
            isinstance(outcome, asyncio.CancelledError) or len(outcome) == 2_500,  # type: ignore[arg-type]
            f"it ended with {outcome!r:.200}",
        )
        key = rng.randrange(1, 2_500)
        session.equal((await session.run(model, "Read", id=key))["id"], key)
        session.equal(session.database.pool_in_use(), 0, "connections in use")


def _file(ending: str) -> Callable[[Session], Awaitable[None]]:
    async def check(session: Session) -> None:
        model = session.model(Everything)
        await session.load(model, _EVERYTHING)
        before = await session.rows(model)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"rows.{ending}"
            done = await session.run(model, "Export", path=path)
            session.equal(done["rows"], 3)
            await session.run(model, "BulkDelete", filter={}, allow_all=True)
            done = await session.run(model, "Import", path=path)
            session.equal(done["inserted"], 3)
        session.equal(await session.rows(model), before)

    return check


for _ending in ("csv", "jsonl"):
    register(
        f"streams.files.{_ending}",
        _file(_ending),
        feature=_COPIED,
        since=_SINCE,
        rule="Rows written into a file and read from there are the same rows, whatever the type.",
    )


@case("streams.files.bad_line", feature=_COPIED, since=_SINCE)
async def bad_line(session: Session) -> None:
    """A line that cannot be stored is named by its number, and nothing of the file is stored."""
    model = session.model(Streamed)
    await session.load(model, [{"id": 3, "t": "there"}])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        call = partial(session.run, model, "Import", path=path)
        lines = ["id,n,t", *(f'{n},1,"two\nlines"' for n in range(10, 700))]
        path.write_text("\n".join([*lines, "1000,many,x"]))
        error = await session.expect_error(InvalidFileContent, call)
        session.equal(error.context["line"], 2 + 2 * 690)
        session.equal(error.context["column"], "n")
        path.write_text("\n".join([*lines, "3,1,x"]))
        error = await session.expect_error(UniqueViolation, call)
        session.equal(error.context["line"], 2 + 2 * 690)
    session.equal((await session.run(model, "Count"))["count"], 1)
