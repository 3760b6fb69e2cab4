"""Streams on real files and in memory: lifecycle, both faces, refusals."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from dataflow_core import AsyncLocalRuntime, DataFlow, LocalRuntime
from dataflow_core.errors import (
    BlockingCallRefused,
    ConflictingParameters,
    InvalidType,
    InvalidValue,
    NodeExecutionError,
    StatementTimeout,
    StreamInTransaction,
    StreamNotReadable,
    TableMissing,
    UnknownField,
    UnknownParameter,
)
from tests.sqlite.shop import idle
from tests.sqlite.support import SLOW

COUNT = 300


class Item:
    """Rows to be streamed; `n` repeats."""

    n: int
    t: str = ""
    __dataflow__ = {"timestamps": False}


class Copy:
    """A second table, for another database."""

    n: int
    t: str = ""
    __dataflow__ = {"timestamps": False, "database": "other"}


@pytest.fixture(params=["memory", "file"])
def items(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """An instance with rows; nothing is borrowed at the end."""
    memory = request.param == "memory"
    url = ":memory:" if memory else f"sqlite:///{tmp_path / 'items.db'}"
    with DataFlow(url, other_db=":memory:") as db:
        db.model(Item)
        db.model(Copy)
        rows = [{"n": number % 3, "t": f"t{number}"} for number in range(COUNT)]
        db.run_sync("ItemBulkCreateNode", data=rows)
        yield db
        assert idle(db)


async def used(db: DataFlow) -> int:
    """Connections out of the pools, once those that nobody refers to have come back."""
    for _ in range(100):
        gc.collect()
        found = sum(lane.used for lanes in db.pool_stats().values() for lane in lanes.values())
        if not found:
            return 0
        await asyncio.sleep(0.01)
    return found


def test_a_plain_loop(items):
    """``for`` reads a stream without a loop of one's own, some rows at a time."""
    stream = items.nodes.Item.stream(filter={"n": 1}, order_by=["-id"], select=["id"], batch_size=7)
    assert "is new" in repr(stream)
    first = next(stream)
    assert first == {"id": COUNT - 1}
    assert "being read" in repr(stream)
    assert [row["id"] for row in stream] == list(range(COUNT - 4, 0, -3))
    assert "read to its end" in repr(stream)


def test_plain_batches_and_with(items):
    """``with`` closes a stream early; batches are lists of at most ``batch_size`` rows."""
    with items.nodes.Item.stream(batch_size=100) as stream:
        assert [len(batch) for batch in stream.batches()] == [100, 100, 100]
    with items.nodes.Item.stream(batch_size=100) as stream:
        assert next(stream)["id"] == 1
    with pytest.raises(StreamNotReadable, match="closed"):
        next(stream)
    with pytest.raises(StreamNotReadable, match="closed"):
        stream.batches()
    stream.close()


def test_a_stream_of_a_run_is_read_with_for(items):
    """What a synchronous run gives is read on by a plain loop."""
    found = items.run_sync("ItemListNode", stream=True, limit=5)
    assert [row["n"] for row in found["records"]] == [0, 1, 2, 0, 1]
    assert (found["count"], found["limit"], found["truncated"]) == (None, 5, False)


def test_a_workflow_copies_into_another_database(items):
    """A stream is the data of a bulk node, also of another database; a second reader is refused."""
    workflow = items.workflow()
    workflow.add_node("ItemListNode", "list", {"stream": True, "select": ["n", "t"]})
    workflow.add_node("CopyBulkCreateNode", "copy", {"batch_size": 50})
    workflow.add_connection("list", "records", "copy", "data")
    results, _ = LocalRuntime().execute(workflow.build())
    assert results["copy"]["inserted"] == COUNT
    assert items.run_sync("CopyCountNode")["count"] == COUNT
    workflow.add_node("ItemBulkCreateNode", "again")
    workflow.add_connection("list", "records", "again", "data")
    with pytest.raises(NodeExecutionError) as caught:
        LocalRuntime().execute(workflow.build())
    assert isinstance(caught.value.cause, StreamNotReadable)


async def test_a_list_reads_at_its_turn(items):
    """A stream shows the rows of the moment in which its node ran, not those of later nodes."""
    workflow = items.workflow()
    workflow.add_node("ItemListNode", "list", {"stream": True, "batch_size": 10})
    workflow.add_node("ItemBulkDeleteNode", "drop", {"filter": {}, "allow_all": True})
    workflow.add_connection("list", "count", "drop", "input")
    results, _ = await AsyncLocalRuntime().execute(workflow.build())
    assert len([row async for row in results["list"]["records"]]) == COUNT
    assert (await items.nodes.Item.count())["count"] == 0


def test_a_workflow_in_a_transaction_refuses(items):
    """With ``transaction=True`` a stream is refused, and the error says the way out."""
    workflow = items.workflow()
    workflow.add_node("ItemListNode", "list", {"stream": True})
    with pytest.raises(NodeExecutionError, match="limit and cursor") as caught:
        LocalRuntime().execute(workflow.build(), transaction=True)
    assert caught.value.cause_code == "DF-519"


def test_a_plain_transaction_refuses(items):
    """Inside ``with db.transaction()`` a stream is refused, also one that was made before it."""
    before = items.nodes.Item.stream()
    with items.transaction():
        with pytest.raises(StreamInTransaction):
            items.nodes.Item.stream()
        with pytest.raises(StreamInTransaction):
            next(before)
        # Another database is not in the transaction.
        assert list(items.nodes.Copy.stream()) == []
    # It was refused before it began, so it is as good as new.
    assert len(list(before)) == COUNT


async def test_writes_beside_a_stream(items):
    """Rows can be changed and deleted while the stream is read, in memory too."""
    nodes = items.nodes.Item
    async for row in nodes.stream(batch_size=10):
        if row["id"] % 2:
            await nodes.delete(id=row["id"])
        else:
            await nodes.update(id=row["id"], fields={"t": "seen"})
    assert (await nodes.count(filter={"t": "seen"}))["count"] == COUNT // 2
    assert (await nodes.count())["count"] == COUNT // 2


async def test_the_input_is_read_as_it_is_needed(items):
    """A bulk node asks a stream for no more than the rows of a few chunks ahead."""
    taken = 0

    async def counted() -> Any:
        nonlocal taken
        async for row in items.nodes.Item.stream(select=["n"], batch_size=10):
            taken += 1
            yield row
            if taken == COUNT:
                for number in range(5_000):
                    taken += 1
                    yield {"n": number}

    ahead: list[int] = []
    done = await items.nodes.Item.bulk_create(
        data=counted(), on_progress=lambda rows: ahead.append(taken - rows)
    )
    assert done["inserted"] == taken == COUNT + 5_000
    assert max(ahead) <= 4_000


async def test_two_tasks_share_a_stream(items):
    """Tasks that take rows of one stream by ``anext`` get every row once."""
    stream = items.nodes.Item.stream(batch_size=3)
    found: list[int] = []

    async def read() -> None:
        while (row := await anext(stream, None)) is not None:
            found.append(row["id"])
            await asyncio.sleep(0)

    await asyncio.gather(*(read() for _ in range(5)))
    with pytest.raises(StreamNotReadable):
        aiter(stream)
    assert sorted(found) == list(range(1, COUNT + 1))


async def test_two_loops_over_a_stream(items):
    """A second loop over a stream is refused, instead of sharing the rows with the first."""
    stream = items.nodes.Item.stream(batch_size=3)
    rows = aiter(stream)
    assert (await anext(rows))["id"] == 1
    with pytest.raises(StreamNotReadable, match="something else reads"):
        aiter(stream)
    with pytest.raises(StreamNotReadable, match="something else reads"):
        iter(stream)
    assert len([row async for row in rows]) == COUNT - 1


async def test_forgotten_streams(items):
    """A stream that nobody refers to any more gives its connection back."""
    for _ in range(3):
        async for _row in items.nodes.Item.stream(batch_size=5):
            break
        await anext(items.nodes.Item.stream(batch_size=5))
    assert await used(items) == 0


def test_a_forgotten_plain_stream(items):
    """The same for streams that were read by a plain loop."""
    for _row in items.nodes.Item.stream(batch_size=5):
        break
    assert asyncio.run(used(items)) == 0


async def test_another_loop_is_refused(items, tmp_path):
    """A stream that was begun on one loop is not read on another; closing works from anywhere."""
    stream = items.nodes.Item.stream(batch_size=5)
    await anext(stream)
    for _ in range(4):
        next(stream)
    with pytest.raises(StreamNotReadable, match="another event loop"):
        await asyncio.to_thread(next, stream)
    closing = asyncio.to_thread(stream.close)
    await closing
    assert await used(items) == 0


async def test_refusals_come_before_any_sql(items):
    """What is wrong with the parameters is said when the stream is made."""
    stream = items.nodes.Item.stream
    with pytest.raises(UnknownField):
        stream(filter={"nn": 1})
    with pytest.raises(UnknownParameter) as caught:
        stream(filer={})
    assert caught.value.suggestion == "filter"
    with pytest.raises(UnknownParameter):
        stream(aggregate=[])
    with pytest.raises(InvalidValue):
        stream(batch_size=0)
    with pytest.raises(InvalidType):
        stream(batch_size="5")
    with pytest.raises(ConflictingParameters, match="stream=True only"):
        await items.nodes.Item.list(batch_size=5)
    with pytest.raises(ConflictingParameters, match="count_only"):
        await items.nodes.Item.list(stream=True, count_only=True)
    with pytest.raises(InvalidType):
        await items.nodes.Item.list(stream=1)
    with pytest.raises(UnknownParameter):
        await items.nodes.Item.count(stream=True)
    with pytest.raises(UnknownField):
        await items.nodes.Item.bulk_create(data=[], stream=True)


async def test_a_failed_stream_says_so(items):
    """A stream that could not begin raises, gives its connection back, and then is not empty."""
    stream = items.nodes.Item.stream()
    await items.run("SQLNode", sql="ALTER TABLE items RENAME TO gone", fetch="none")
    with pytest.raises(TableMissing):
        await anext(stream)
    with pytest.raises(StreamNotReadable, match="failed \\(TableMissing\\)"):
        [row async for row in stream]
    assert await used(items) == 0


async def test_an_explanation_reads_nothing(items):
    """``explain`` shows the statement of a stream."""
    (statement,) = await asyncio.to_thread(
        items.explain, "ItemListNode", stream=True, filter={"n": 1}
    )
    assert statement.sql.startswith("SELECT") and "LIMIT" not in statement.sql


async def test_the_bridge_refuses_to_wait_for_itself(items):
    """A plain loop inside a node would wait for its own thread, and is refused."""

    @items.node("LoopNode")
    async def loop(context: Any) -> dict[str, Any]:
        return {"rows": list(items.nodes.Item.stream())}

    with pytest.raises(BlockingCallRefused):
        await asyncio.to_thread(items.run_sync, "LoopNode")


async def test_a_slow_stream_is_timed_out(tmp_path):
    """The time limit holds for each batch, and the connection is clean afterwards."""
    url = f"sqlite:///{tmp_path / 'slow.db'}"
    async with DataFlow(url, command_timeout=0.3) as db:
        db.model(Item)
        await db.nodes.Item.bulk_create(data=({"n": n} for n in range(3)))
        await db.nodes.Item.list()
        engine = db.engine()

        async def read(sql: str) -> None:
            from dataflow_core.run.streams import _Reading

            plan = await engine.plan(db.nodes.Item.stream()._operation)
            reading = _Reading(engine, plan, 10)
            session = reading.session = await engine.borrow(writes=False)
            reading.batches = session.connection.stream(sql, (), 10)
            await reading.next()

        with pytest.raises(StatementTimeout):
            await read(SLOW)
        assert idle(db)
        assert (await db.nodes.Item.count())["count"] == 3


async def test_a_connection_survives_streams(writer):
    """Closed early, or cancelled, a stream leaves nothing open on the connection."""
    await writer.fetch("CREATE TABLE t (n)", ())
    await writer.fetch("INSERT INTO t WITH RECURSIVE c(n) AS"
                       " (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000)"
                       " SELECT n FROM c", ())  # fmt: skip
    for size, after in ((1, 3), (100, 1), (6_000, 1)):
        batches = writer.stream("SELECT n FROM t ORDER BY n", (), size)
        for _ in range(after):
            await anext(batches)
        await batches.aclose()
        # A table that is still read could not be dropped or altered.
        await writer.fetch("ALTER TABLE t RENAME TO s", ())
        await writer.fetch("ALTER TABLE s RENAME TO t", ())
    batches = writer.stream(SLOW, (), 5)
    task = asyncio.ensure_future(anext(batches))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await writer.cancel()
    assert writer.usable
    assert (await writer.fetch("SELECT count(*) FROM t", ())) == [(5_000,)]
    with pytest.raises(sqlite3.OperationalError):
        await anext(writer.stream("SELECT x FROM t", (), 5))
    assert writer.usable and not writer.in_transaction
