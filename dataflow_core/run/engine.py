"""The engine: one database of one instance. The only place that takes connections."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

from dataflow_core.compile import WriterCache
from dataflow_core.contract import (
    Connection,
    ConnectOptions,
    Dialect,
    Driver,
    ErrorSituation,
    Isolation,
    Lane,
)
from dataflow_core.errors import (
    ConnectionFailed,
    DataFlowError,
    InstanceClosed,
    ReadOnlyDatabase,
)
from dataflow_core.operations import Aggregate, Count, Delete, DeleteMany, Find, Operation
from dataflow_core.run.explain import Explanation
from dataflow_core.run.plans import Plan, ShapeCache
from dataflow_core.run.pool import Pool, PoolLimits, PoolStatistics
from dataflow_core.run.session import Rows, Session, StatementEvent
from dataflow_core.run.tables import TABLE_ERRORS, Tables
from dataflow_core.run.transactions import Transaction, TransactionScope, current_transaction
from dataflow_core.run.watch import Watch
from dataflow_core.schema import Model
from dataflow_core.url import DatabaseURL

__all__ = ["Engine", "EngineSettings"]

logger = logging.getLogger("dataflow")

_READS = (Find, Count, Aggregate)


@define(frozen=True)
class EngineSettings:
    """What an engine needs to know of the instance's settings."""

    connect: ConnectOptions
    pool: PoolLimits
    may_create_tables: bool = True


@define(eq=False)
class _LoopPools:
    """The pools of one event loop, one for each lane."""

    loop: asyncio.AbstractEventLoop
    lanes: dict[Lane, Pool]
    reading: Pool
    writing: Pool | None


@define(eq=False)
class Engine:
    """One database: its driver, pools, plans and tables."""

    name: str
    url: DatabaseURL
    dialect: Dialect
    settings: EngineSettings
    models: Callable[[], Iterable[Model]]
    observer: StatementEvent | None = None
    cache: ShapeCache = field(factory=ShapeCache)
    _driver: Driver | None = None
    _adapted: bool = False
    _pools: dict[int, _LoopPools] = field(factory=dict)
    _current: _LoopPools | None = None
    _writers: dict[Model, WriterCache] = field(factory=dict)
    _tables: Tables | None = None
    _closing: set[asyncio.Task[None]] = field(factory=set)
    _exclusive: threading.Lock = field(factory=threading.Lock)
    _process: int = field(factory=os.getpid)
    _inherited: list[dict[int, _LoopPools]] = field(factory=list)
    _announced: bool = False
    _closed: bool = False

    # Plans

    async def plan(self, operation: Operation) -> Plan:
        """The plan of an operation; on the first call of a shape it is compiled."""
        found = self.cache.get(operation)
        if found is not None:
            return found
        if isinstance(current_transaction(self), Explanation):
            return self._compile(operation)
        await self.prepare(operation.model)
        return self.cache.add(operation, self._compile)

    def _compile(self, operation: Operation) -> Plan:
        writes = not isinstance(operation, _READS)
        deleting = isinstance(operation, Delete | DeleteMany)
        situation = ErrorSituation(operation.model, writing=writes, deleting=deleting)
        return Plan(operation, self.dialect.compiler.compile(operation), writes, situation)

    def writers(self, model: Model) -> WriterCache:
        """The row writers of a model."""
        found = self._writers.get(model)
        if found is None:
            found = self._writers[model] = WriterCache(model, self.dialect.compiler.codec)
        return found

    # Tables

    @property
    def tables(self) -> Tables:
        """What is known of the tables."""
        if self._tables is None:
            self._tables = Tables(self.models, self.settings.may_create_tables)
        return self._tables

    async def prepare(self, model: Model) -> None:
        """See to the table of a model, once."""
        if model in self.tables.ready:
            return
        transaction = current_transaction(self)
        if isinstance(transaction, Explanation):
            return
        if transaction is not None:
            await transaction.prepare(self.tables, model, self.dialect)
            return
        writable = self.writable
        session = await self.borrow(writes=self.tables.may_create and writable)
        try:
            await self.tables.prepare(model, session, self.dialect, writable=writable)
        finally:
            await self.give_back(session)

    async def prepare_all(self) -> None:
        """See to the tables of all models, so that a transaction has no need to.

        A table that is missing or does not fit is reported when it is used.
        """
        for model in self.tables.pending():
            try:
                await self.prepare(model)
            except TABLE_ERRORS as error:
                logger.debug("not prepared: %s", error.message)

    def forget(self, model: Model) -> None:
        """The table of a model was rolled back: look again at the next use."""
        self.tables.ready.discard(model)
        self.cache.forget(model)

    # Running

    def current_transaction(self) -> Transaction | Explanation | None:
        """The transaction in force, if there is one."""
        return current_transaction(self)

    def transaction(
        self, *, isolation: Isolation | None = None, read_only: bool = False
    ) -> TransactionScope:
        """``async with``: a transaction, or a savepoint within the one in force."""
        return TransactionScope(self, isolation, read_only)

    async def fetch(self, plan: Plan, sql: str, parameters: Sequence[Any]) -> Rows:
        """Run one statement of a plan and return its rows."""
        transaction = current_transaction(self)
        if transaction is not None:
            return await transaction.fetch(sql, parameters, plan.situation)
        pool = self._pool(plan.writes)
        connection = pool.take() or await pool.acquire()
        try:
            return await self._session(connection, pool).fetch(sql, parameters, plan.situation)
        finally:
            if not pool.take_back(connection):
                await pool.discard(connection)

    async def execute(self, plan: Plan, sql: str, parameters: Sequence[Any]) -> int:
        """Run one statement of a plan and return the number of rows."""
        async with self.borrowed(writes=plan.writes) as runner:
            return await runner.execute(sql, parameters, plan.situation)

    @asynccontextmanager
    async def borrowed(
        self, *, writes: bool, reset: bool = False
    ) -> AsyncIterator[Session | Transaction | Explanation]:
        """A connection for several statements; that of the transaction in force, if there is one.

        ``reset`` undoes, afterwards, what the statements may have left in the session.
        """
        transaction = current_transaction(self)
        if transaction is not None:
            yield transaction
            return
        session = await self.borrow(writes=writes)
        try:
            yield session
            if reset:
                await session.connection.reset()
        finally:
            await self.give_back(session)

    @property
    def writable(self) -> bool:
        """Whether the database is open for writing."""
        return any(lane.writes for lane in self.driver.lanes)

    async def borrow(self, *, writes: bool) -> Session:
        """Take a connection out of the pool."""
        pool = self._pool(writes)
        return self._session(pool.take() or await pool.acquire(), pool)

    async def give_back(self, session: Session) -> None:
        """Put a connection back, or close it if it is not as it should be."""
        connection, pool = session.connection, session.pool
        assert pool is not None
        if connection.in_transaction or not pool.take_back(connection):
            await pool.discard(connection)

    def _session(self, connection: Connection, pool: Pool) -> Session:
        return Session(connection, self.dialect, pool.watch, self.observer, pool)

    # Connections

    @property
    def driver(self) -> Driver:
        """The driver; made at first use, which touches neither disk nor network."""
        if self._driver is None:
            self._driver = self.dialect.open(self.url, self.settings.connect)
        return self._driver

    def _pool(self, writes: bool) -> Pool:
        pools = self._current
        if pools is None or pools.loop is not asyncio.get_running_loop():
            pools = self._loop_pools()
        if not writes:
            return pools.reading
        if pools.writing is None:
            raise ReadOnlyDatabase(
                f"{self.driver.description} is open for reading only", outcome="not done"
            )
        return pools.writing

    def _loop_pools(self) -> _LoopPools:
        """The pools of the running loop. Connections of another loop or process are left alone."""
        if self._closed:
            raise InstanceClosed("this instance is closed", database=self.name)
        if self._process != os.getpid():
            # Kept, because collecting would close them; the driver knows what survives a fork.
            self._inherited.append(self._pools)
            self._process, self._pools, self._exclusive = os.getpid(), {}, threading.Lock()
        loop = asyncio.get_running_loop()
        self._close_abandoned(loop)
        found = self._pools.get(id(loop))
        if found is None or found.loop is not loop:
            found = self._pools[id(loop)] = self._open_pools(loop)
        self._current = found
        return found

    def _close_abandoned(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the connections of loops that have ended, as that of an earlier asyncio.run."""
        for key in [key for key, pools in self._pools.items() if pools.loop.is_closed()]:
            for pool in self._pools.pop(key).lanes.values():
                closing = loop.create_task(pool.close())
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    def _open_pools(self, loop: asyncio.AbstractEventLoop) -> _LoopPools:
        limit = self.settings.connect.command_timeout
        watch = None if limit is None else Watch(limit)
        lanes = {
            lane: Pool(
                self._connector(lane),
                self._limits(lane),
                self._exclusive if lane.shared else None,
                watch,
            )
            for lane in self.driver.lanes
        }
        if not self._announced:
            self._announced = True
            logger.info("opened %s", self.driver.description)
        reading = next(pool for lane, pool in lanes.items() if lane.reads)
        writing = next((pool for lane, pool in lanes.items() if lane.writes), None)
        return _LoopPools(loop, lanes, reading, writing)

    def _limits(self, lane: Lane) -> PoolLimits:
        limits = self.settings.pool
        if lane.size is None:
            return limits
        return PoolLimits(lane.size, 0, limits.timeout, limits.recycle, limits.ping_after)

    def _connector(self, lane: Lane) -> Callable[[], Any]:
        async def connect() -> Connection:
            limit = self.settings.connect.connect_timeout
            try:
                async with asyncio.timeout(limit):
                    connection = await self.driver.connect(lane)
            except DataFlowError:
                raise
            except TimeoutError as error:
                raise ConnectionFailed(
                    f"{self.driver.description} did not answer within {limit} s", outcome="not done"
                ) from error
            except Exception as error:
                raise (self.dialect.translate_error(error, ErrorSituation()) or error) from error
            if not self._adapted:
                self.dialect, self._adapted = self.dialect.adapt(connection.server), True
            return connection

        return connect

    def statistics(self) -> dict[str, PoolStatistics]:
        """The pools of the running loop by lane; of all loops together where none runs."""
        result: dict[str, PoolStatistics] = {}
        for pools in list(self._pools.values()):
            for lane, pool in pools.lanes.items():
                now, before = pool.statistics, result.get(lane.name)
                if before is not None:
                    now = PoolStatistics(
                        before.used + now.used,
                        before.idle + now.idle,
                        before.waiting + now.waiting,
                        before.max + now.max,
                    )
                result[lane.name] = now
        return result

    async def close(self) -> None:
        """Close every connection; borrowed ones are closed when they come back."""
        self._closed = True
        self._current = None
        for pools in list(self._pools.values()):
            for pool in pools.lanes.values():
                await pool.close()
        self._pools.clear()
        loop = asyncio.get_running_loop()
        if closing := [task for task in self._closing if task.get_loop() is loop]:
            await asyncio.wait(closing)
        if self._driver is not None:
            await self._driver.close()
