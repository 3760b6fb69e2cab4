"""Streams: rows read by and by, over a connection that is kept until the last one."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from dataflow_core.errors import StreamInTransaction, StreamNotReadable
from dataflow_core.operations import Find
from dataflow_core.run.explain import Explanation
from dataflow_core.run.observing import WatchedStatement
from dataflow_core.run.plans import Plan
from dataflow_core.run.row_security import batches_of
from dataflow_core.run.session import Rows, Session
from dataflow_core.run.sync_bridge import sync_bridge
from dataflow_core.run.table_keeper import ModelAdapted
from dataflow_core.run.transactions import Transaction

if TYPE_CHECKING:
    from types import TracebackType

    from dataflow_core.run.engine import Engine

__all__ = ["BATCH_ROWS", "RowBatches", "RowStream", "refuse_in_transaction"]
logger = logging.getLogger("dataflow")

Row = dict[str, Any]

BATCH_ROWS: Final = 1_000
"""How many rows of a stream are fetched at a time, where nothing else is said."""

_ending: Final[set[asyncio.Task[None]]] = set()
"""What closes streams that nobody refers to any more: the loop itself would forget it."""


def refuse_in_transaction(engine: Engine, node: str) -> None:
    """Raise ``StreamInTransaction`` within a transaction of the user's own."""
    transaction = engine.current_transaction()
    if isinstance(transaction, Transaction) and not transaction.of_operation:
        raise StreamInTransaction(
            f"{node}: a stream keeps a connection of its own and does not run inside a transaction;"
            " ask for it outside, or page through the rows with limit and cursor"
        )


@define(eq=False)
class _Reading:
    """What a stream reads from: batches as the driver gives them, over one connection.

    ``waiting`` are batches that were read already: of a database of which there is only one
    connection all of them, so that others can use it meanwhile.
    """

    engine: Engine
    plan: Plan
    size: int
    loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)
    session: Session | None = None
    batches: AsyncGenerator[Rows, None] | None = None
    waiting: list[Rows] = field(factory=list)
    watched: WatchedStatement | None = None

    async def begin(self, values: Sequence[Any], context: Context) -> None:
        """Send the statement and read the first batch, so that its errors come from here."""
        plan, statement = self.plan, self.plan.statement
        parameters = context.run(statement.bind, values)
        transaction = self.engine.current_transaction()
        if isinstance(transaction, Explanation) or _has_the_only_connection(transaction):
            assert transaction is not None
            rows = await transaction.fetch(statement.sql, parameters, plan.situation)
            self.waiting = [rows[at : at + self.size] for at in range(0, len(rows), self.size)]
            self.waiting.reverse()
            return

        async def use(session: Session) -> None:
            self.watched = session.watched(statement.sql, len(parameters), plan.situation)
            self.session = session
            self.batches = batches_of(self.engine, plan, session, context, parameters, self.size)
            first = await self._fetch()
            self.waiting = [first] if first else []
            if session.pool is not None and session.pool.exclusive is not None:
                while first and (rows := await self._fetch()):
                    self.waiting.append(rows)
                self.waiting.reverse()

        await self.engine.reading(use)

    async def next(self) -> list[Row]:
        """The next rows; none after the last."""
        rows = self.waiting.pop() if self.waiting else await self._fetch()
        return self.plan.statement.decode(rows) if rows else []

    async def _fetch(self) -> Rows:
        """The driver's next batch; after the last, and after an error, the connection is free."""
        session = self.session
        if session is None or self.batches is None:
            return ()
        rows: Rows = ()
        try:
            rows = await session.part_of(self.watched, _next_of(self.batches), self.plan.situation)
        finally:
            if not rows:
                self.session = self.batches = None
                await self.engine.give_back(session)
        return rows

    async def end(self) -> None:
        """Stop the statement and give the connection back; a cancellation is raised afterwards."""
        self.waiting.clear()
        ending, cancelled = asyncio.ensure_future(self._end()), False
        while not ending.done():
            try:
                await asyncio.wait({ending})
            except asyncio.CancelledError:
                cancelled = True
        ending.result()
        if cancelled:
            raise asyncio.CancelledError

    async def _end(self) -> None:
        session, batches = self.session, self.batches
        self.session = self.batches = None
        if session is None or batches is None:
            return
        session.end_of(self.watched)
        try:
            await session.guarded(_closed(batches), self.plan.situation)
        except Exception as error:
            # What was asked for is done; a connection that is not clean says so itself.
            logger.debug("a stream was not closed in order: %s", error)
        finally:
            await self.engine.give_back(session)


def _has_the_only_connection(transaction: Any) -> bool:
    """Whether a transaction has the one connection of its database: then it is read there."""
    if not isinstance(transaction, Transaction):
        return False
    pool = transaction.session.pool
    return pool is not None and pool.exclusive is not None


async def _next_of(batches: AsyncGenerator[Rows, None]) -> Rows:
    async for rows in batches:
        return rows
    return ()


async def _closed(batches: AsyncGenerator[Rows, None]) -> None:
    await batches.aclose()


def _abandon(reading: _Reading) -> None:
    """Nobody refers to a stream any more: close it on its loop. Called by the garbage collector."""
    if reading.session is None or reading.loop.is_closed():
        return

    def begin() -> None:
        task = reading.loop.create_task(reading.end())
        _ending.add(task)
        task.add_done_callback(_ending.discard)

    reading.loop.call_soon_threadsafe(begin)


class RowStream:
    """Rows of a model as dicts, read from the database while they are asked for, once.

    ``async for row in stream``, or ``for row in stream`` in code that is not asynchronous, once; by
    ``anext`` or ``next``, as often as there are rows. All are as they were when the first one was
    asked for. The connection is given back after the last, by ``aclose`` (``close``), on leaving
    ``async with`` (``with``), and when nothing refers to the stream any more.
    """

    def __init__(
        self, engine: Engine, operation: Find, values: Sequence[Any], size: int, node: str
    ) -> None:
        self._engine = engine
        self._operation = operation
        self._values = tuple(values)
        self._size = size
        self._node = node
        self._context = copy_context()
        self._rows: deque[Row] = deque()
        self._reading: _Reading | None = None
        self._over: str | None = None
        self._claimed = False
        self.again: Callable[[], RowStream] | None = None
        """The same rows asked for anew, of the models of the moment."""
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        state = self._over or ("is new" if self._reading is None else "is being read")
        return f"<rows of {self._operation.model.name}: {state}>"

    async def open(self) -> None:
        """Send the statement, so that its errors come now; otherwise that is at the first row."""
        async with self._lock:
            await self._open()

    async def _open(self) -> _Reading:
        reading = self._reading
        if reading is not None:
            if reading.loop is not asyncio.get_running_loop():
                raise StreamNotReadable(
                    f"{self._node}: the stream was begun on another event loop, to which its"
                    " connection belongs"
                )
            return reading
        refuse_in_transaction(self._engine, self._node)
        plan = await self._plan()
        reading = self._reading = _Reading(self._engine, plan, self._size)
        weakref.finalize(self, _abandon, reading).atexit = False
        try:
            await reading.begin(self._values, self._context)
        except BaseException as error:
            self._fail(error)
            raise
        return reading

    async def _plan(self) -> Plan:
        """The plan; of what is asked for anew where a table turns out to be otherwise."""
        while True:
            try:
                return await self._engine.plan(self._operation)
            except ModelAdapted:
                if self.again is None:
                    raise
                other = self.again()
                self._operation, self._values = other._operation, other._values

    def _fail(self, error: BaseException) -> None:
        stopped = isinstance(error, asyncio.CancelledError)
        self._over = "was cancelled" if stopped else f"failed ({type(error).__name__})"

    def _check(self) -> None:
        if self._over is not None:
            raise StreamNotReadable(
                f"{self._node}: the stream {self._over}; a stream is read once, ask for another"
            )

    async def _refill(self) -> bool:
        """Have rows to give; False after the last one."""
        async with self._lock:
            if self._rows or self._over == _READ:
                return bool(self._rows)
            self._check()
            reading = await self._open()
            try:
                self._rows.extend(await reading.next())
            except BaseException as error:
                self._fail(error)
                raise
            if not self._rows:
                self._over = _READ
            return bool(self._rows)

    def batches(self) -> RowBatches:
        """The same rows as lists, each of at most ``batch_size``; ``async for`` or ``for``."""
        self._check()
        return RowBatches(self)

    def _taken(self) -> list[Row]:
        rows = list(self._rows)
        self._rows.clear()
        return rows

    def _claim(self) -> None:
        """Refuse a second reader: each would get a part of the rows, without knowing."""
        self._check()
        if self._claimed:
            raise StreamNotReadable(
                f"{self._node}: something else reads the stream already; a stream is read once,"
                " ask for another"
            )
        self._claimed = True

    def __aiter__(self) -> AsyncIterator[Row]:
        self._claim()
        return _AsyncRows(self)

    async def __anext__(self) -> Row:
        while not self._rows:
            if not await self._refill():
                raise StopAsyncIteration
        return self._rows.popleft()

    def __iter__(self) -> Iterator[Row]:
        self._claim()
        return _Rows(self)

    def __next__(self) -> Row:
        while not self._rows:
            if not sync_bridge().run(self._refill()):
                raise StopIteration
        return self._rows.popleft()

    async def aclose(self) -> None:
        """Stop reading and give the connection back; harmless at any time."""
        reading = self._reading
        if self._over is None:
            self._over = "was closed"
        self._rows.clear()
        if reading is None or reading.session is None or reading.loop.is_closed():
            return
        if reading.loop is not asyncio.get_running_loop():
            there = asyncio.run_coroutine_threadsafe(self.aclose(), reading.loop)
            await asyncio.wrap_future(there)
            return
        async with self._lock:
            await reading.end()

    def close(self) -> None:
        """``aclose`` for code that is not asynchronous."""
        sync_bridge().run(self.aclose())

    async def __aenter__(self) -> RowStream:
        self._check()
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __enter__(self) -> RowStream:
        self._check()
        sync_bridge().run(self.open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


_READ: Final = "was read to its end"


class _AsyncRows:
    """The one ``async for`` over a stream."""

    def __init__(self, stream: RowStream) -> None:
        self._stream = stream

    def __aiter__(self) -> _AsyncRows:
        return self

    def __anext__(self) -> Coroutine[Any, Any, Row]:
        return self._stream.__anext__()


class _Rows:
    """The one ``for`` over a stream."""

    def __init__(self, stream: RowStream) -> None:
        self._stream = stream

    def __iter__(self) -> _Rows:
        return self

    def __next__(self) -> Row:
        return next(self._stream)


class RowBatches:
    """The rows of a stream in lists."""

    def __init__(self, stream: RowStream) -> None:
        self._stream = stream

    def __aiter__(self) -> RowBatches:
        return self

    async def __anext__(self) -> list[Row]:
        if not self._stream._rows and not await self._stream._refill():
            raise StopAsyncIteration
        return self._stream._taken()

    def __iter__(self) -> RowBatches:
        return self

    def __next__(self) -> list[Row]:
        if not self._stream._rows and not sync_bridge().run(self._stream._refill()):
            raise StopIteration
        return self._stream._taken()
