"""The engine: one database of one instance. The only place that takes connections."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from attrs import define, field

from dataflow_core.compile import WriterCache
from dataflow_core.compile.needs import needed, require
from dataflow_core.compile.touched import models_touched
from dataflow_core.contract import (
    Connection,
    Dialect,
    Driver,
    ErrorSituation,
    Isolation,
    Lane,
    Observer,
)
from dataflow_core.errors import (
    ConnectionFailed,
    ConnectionLost,
    DataFlowError,
    InstanceClosed,
    ReadOnlyDatabase,
)
from dataflow_core.features import Version
from dataflow_core.operations import Operation
from dataflow_core.run.coalescers import coalescer
from dataflow_core.run.engine_settings import EngineSettings
from dataflow_core.run.explain import Explanation
from dataflow_core.run.loops import Pools
from dataflow_core.run.observing import DatabaseObservers, with_observer
from dataflow_core.run.plans import Plan, ShapeCache
from dataflow_core.run.pool import Pool, PoolStatistics
from dataflow_core.run.replicas import Replica, caught_up
from dataflow_core.run.retries import Turnstile, repeated
from dataflow_core.run.row_security import Telling, execute_alone, fetch_alone
from dataflow_core.run.scopes import TransactionScope
from dataflow_core.run.session import Rows, Session, may_repeat, or_again
from dataflow_core.run.table_keeper import TABLE_ERRORS, TableKeeper
from dataflow_core.run.transactions import Transaction, current_transaction
from dataflow_core.schema import Model
from dataflow_core.url import DatabaseURL

__all__ = ["Engine"]

logger = logging.getLogger("dataflow")

T = TypeVar("T")


@define(eq=False)
class Engine:
    """One database: its driver, pools, plans and tables."""

    name: str
    url: DatabaseURL
    dialect: Dialect
    settings: EngineSettings
    tables: TableKeeper
    observer: DatabaseObservers | None = None
    cache: ShapeCache = field(factory=ShapeCache)
    replica: Replica | None = None
    turnstile: Turnstile = field(factory=Turnstile)
    _driver: Driver | None = None
    server_version: Version | None = None
    telling: Telling = field(factory=Telling)
    _pools: Pools | None = None
    _closed: bool = False
    _writers: dict[Model, WriterCache] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        if self.settings.connect.replica is not None:
            settings = self.settings
            ask = partial(caught_up, self)
            self.replica = Replica(ask, settings.sticky_seconds, settings.replica_wait)

    # Plans

    async def plan(self, operation: Operation) -> Plan:
        """The plan of an operation; on the first call of a shape it is compiled."""
        found = self.cache.get(operation)
        if found is not None:
            return found
        # Before anything is sent; again by ``_compile``, when the server's version is known.
        self.need(*needed(operation))
        if isinstance(current_transaction(self), Explanation):
            return self._compile(operation)
        for model in models_touched(operation):
            self.telling.note(model, self.dialect)
            await self.prepare(model)
        return self.cache.add(operation, self._compile)

    def _compile(self, operation: Operation) -> Plan:
        self.need(*needed(operation))
        plan = Plan.of(operation, self.dialect.compiler)
        if self.settings.coalesce:
            plan.coalescer = coalescer(self, plan)
        return plan

    def need(self, *features: str) -> None:
        """``UnsupportedFeature`` for a feature that the dialect declares off for this server."""
        claims, name = self.dialect.features, self.dialect.name
        require(claims, features, dialect=name, version=self.server_version)

    def writers(self, model: Model) -> WriterCache:
        """The row writers of a model."""
        if model not in self._writers:
            self._writers[model] = WriterCache(model, self.dialect.compiler.codec)
        return self._writers[model]

    # Tables

    async def prepare(self, model: Model) -> None:
        """See to the table of a model, once."""
        model = model.declared
        if model in self.tables.ready:
            return
        transaction = current_transaction(self)
        if isinstance(transaction, Explanation):
            return
        if transaction is not None and self.dialect.ddl.transactional:
            await transaction.prepare(self.tables, model, self.dialect)
            return
        see_to = partial(or_again, partial(self._see_to, model), ErrorSituation())
        await repeated(see_to, self.turnstile)

    async def _see_to(self, model: Model) -> None:
        writable = self.writable
        session = await self.borrow(writes=self.tables.writes and writable)
        try:
            await self.tables.prepare(model, session, self.dialect, writable=writable)
        finally:
            await self.give_back(session)

    async def prepare_all(self) -> None:
        """See to the tables of all models; what is wrong with one is reported when it is used."""
        for model in self.tables.pending():
            try:
                await self.prepare(model)
            except TABLE_ERRORS as error:
                logger.debug("not prepared: %s", error)

    def forget(self, model: Model) -> None:
        """The table of a model was rolled back: look again at the next use."""
        self.tables.ready.discard(model)
        self.cache.forget(model)

    # Running

    def current_transaction(self) -> Transaction | Explanation | None:
        """The transaction in force, if there is one."""
        return current_transaction(self)

    def transaction(
        self,
        *,
        isolation: Isolation | None = None,
        read_only: bool = False,
        joins: bool = False,
        retry: int = 0,
        statement_savepoints: bool = False,
    ) -> TransactionScope:
        """``async with``: a transaction, or a savepoint within the one in force.

        ``joins``: where there are no savepoints, be part of the one in force, and fail it as a
        whole, instead of refusing.
        """
        return TransactionScope(self, isolation, read_only, joins, retry, statement_savepoints)

    @asynccontextmanager
    async def together(self) -> AsyncIterator[Transaction | Explanation]:
        """A transaction for the statements of one operation: that in force, or one of its own.

        Unlike ``transaction`` without a savepoint: what fails inside fails the transaction in
        force, as it does where one statement does it all.
        """
        transaction = current_transaction(self)
        if transaction is not None and not getattr(transaction, "statement_savepoints", False):
            yield transaction
            return
        async with self.transaction() as alone:
            yield alone

    def snapshot(self) -> TransactionScope:
        """``async with``: reads that see one state; within a transaction, that of its isolation."""
        alone = current_transaction(self) is None
        return TransactionScope(self, "repeatable read" if alone else None, read_only=alone)

    def fetch(self, plan: Plan, sql: str, parameters: Sequence[Any]) -> Coroutine[Any, Any, Rows]:
        """Run one statement of a plan and return its rows; to be awaited at once."""
        transaction = current_transaction(self)
        if transaction is not None:
            return transaction.fetch(sql, parameters, plan.situation)
        if plan.secured:
            return fetch_alone(self, plan, sql, parameters)
        if self.replica is not None:
            return self._fetch_beside_replica(self.replica, plan, sql, parameters)
        return self._fetch(self._pool(plan.writes), plan, sql, parameters)

    async def _fetch(self, pool: Pool, plan: Plan, sql: str, parameters: Sequence[Any]) -> Rows:
        connection = pool.take() or await pool.acquire()
        try:
            return await self._session(connection, pool).fetch(sql, parameters, plan.situation)
        except ConnectionLost as error:
            if not may_repeat(error, plan.situation):
                raise
        finally:
            if not pool.take_back(connection):
                await pool.discard(connection)
        async with self.borrowed(writes=plan.writes) as runner:
            return await runner.fetch(sql, parameters, plan.situation)

    async def _fetch_beside_replica(
        self, replica: Replica, plan: Plan, sql: str, parameters: Sequence[Any]
    ) -> Rows:
        """Run a statement where there is a replica: what reads may go there."""
        pool = self._pool(plan.writes)
        if plan.writes:
            with replica.writing():
                return await self._fetch(pool, plan, sql, parameters)
        delayed = self.pools.of_this_loop().delayed
        assert delayed is not None
        return await replica.read(
            lambda: self._fetch(delayed, plan, sql, parameters),
            lambda: self._fetch(pool, plan, sql, parameters),
        )

    async def reading(self, use: Callable[[Session], Awaitable[T]]) -> T:
        """Begin a read over a connection that its reader keeps; of the replica where it may be."""

        async def once(pool: Pool) -> T:
            return await use(await self.take(pool))

        primary, delayed = self._pool(False), self.pools.of_this_loop().delayed
        again = partial(or_again, partial(once, primary), ErrorSituation())
        if self.replica is not None and delayed is not None:
            return await self.replica.read(partial(once, delayed), again)
        return await again()

    async def execute(self, plan: Plan, sql: str, parameters: Sequence[Any]) -> int:
        """Run one statement of a plan and return the number of rows."""

        async def once() -> int:
            async with self.borrowed(writes=plan.writes) as runner:
                return await runner.execute(sql, parameters, plan.situation)

        if current_transaction(self) is not None:
            return await once()
        if plan.secured:
            return await execute_alone(self, plan, sql, parameters)
        return await or_again(once, plan.situation)

    @asynccontextmanager
    async def borrowed(
        self, *, writes: bool, reset: bool = False
    ) -> AsyncIterator[Session | Transaction | Explanation]:
        """A connection for several statements; that of the transaction in force, if there is one.

        ``reset`` undoes, afterwards, what the statements may have left in the session.
        """
        transaction = current_transaction(self)
        if transaction is not None:
            if reset and isinstance(transaction, Transaction):
                transaction.session.must_reset = True
            yield transaction
            return
        session = await self.borrow(writes=writes)
        session.must_reset = reset
        try:
            yield session
        finally:
            await self.give_back(session)

    @property
    def writable(self) -> bool:
        """Whether the database is open for writing."""
        return any(lane.writes for lane in self.driver.lanes)

    async def borrow(self, *, writes: bool) -> Session:
        """Take a connection out of the pool."""
        session = await self.take(self._pool(writes))
        if writes and self.replica is not None:
            session.writing = self.replica.writing()
            session.writing.__enter__()
        return session

    async def take(self, pool: Pool) -> Session:
        """Take a connection out of a pool."""
        return self._session(pool.take() or await pool.acquire(), pool)

    async def give_back(self, session: Session) -> None:
        """Put a connection back, or close it if it is not as it should be."""
        connection, pool = session.connection, session.pool
        if session.writing is not None:
            session.writing.__exit__(None, None, None)
        assert pool is not None
        if session.must_reset and connection.usable:
            try:
                await session.guarded(connection.reset(), ErrorSituation())
            except DataFlowError as error:
                # What was asked for is done; nobody gets what could not be cleaned.
                logger.debug("a session could not be reset: %s", error.message)
                await pool.discard(connection)
                return
            except BaseException:
                await pool.discard(connection)
                raise
        if connection.in_transaction or not pool.take_back(connection):
            await pool.discard(connection)

    def _session(self, connection: Connection, pool: Pool) -> Session:
        return Session(connection, self.dialect, pool.watch, self.observer, pool)

    def observe(self, observer: Observer) -> None:
        """Tell one more observer of the statements from now on."""
        self.observer = with_observer(self.observer, observer, self.name)

    async def ping(self) -> float:
        """Wait for an answer of the database; how many seconds it took."""
        async with self.borrowed(writes=False) as runner:
            return await runner.ping()

    # Connections

    @property
    def driver(self) -> Driver:
        """The driver; made at first use, which touches neither disk nor network."""
        if self._driver is None:
            self._driver = self.dialect.open(self.url, self.settings.connect)
        return self._driver

    def _pool(self, writes: bool) -> Pool:
        pools = (self._pools or self.pools).of_this_loop()
        if not writes:
            return pools.reading
        if pools.writing is None:
            raise ReadOnlyDatabase(
                f"{self.driver.description} is open for reading only", outcome="not done"
            )
        return pools.writing

    @property
    def pools(self) -> Pools:
        """The pools of every event loop that uses the database."""
        if self._pools is None:
            if self._closed:
                raise InstanceClosed("this instance is closed", database=self.name)
            settings = self.settings
            told = (settings.connect, settings.pool, self._connect, self.observer)
            self._pools = Pools(self.name, self.driver, *told)
        return self._pools

    async def _connect(self, lane: Lane) -> Connection:
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
            translated = self.dialect.translate_error(error, ErrorSituation())
            if translated is None:
                raise
            raise translated from error
        if self.server_version is None:
            self.server_version = connection.server.version
            self.dialect = self.dialect.adapt(connection.server)
        return connection

    def statistics(self) -> dict[str, PoolStatistics]:
        """The pools of the running loop by lane; of all loops together where none runs."""
        return {} if self._pools is None else self._pools.statistics()

    async def close(self) -> None:
        """Close every connection; borrowed ones are closed when they come back."""
        self._closed = True
        if self._pools is not None:
            await self._pools.close()
        if self._driver is not None:
            await self._driver.close()
