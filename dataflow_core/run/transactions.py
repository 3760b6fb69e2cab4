"""Transactions: one connection, statements in order, savepoints where they nest.

The states are the same on every database: an error of the database inside marks the transaction
failed, and nothing but leaving it is accepted then. A nested transaction is a savepoint, and
leaving that by an error brings the outer one back to where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import define, field

from dataflow_core.compile import LoadStatement
from dataflow_core.contract import Connection, Dialect, ErrorSituation, Isolation
from dataflow_core.errors import (
    ConflictingParameters,
    DataFlowError,
    TransactionFailed,
    UnsupportedFeature,
)
from dataflow_core.run.explain import Explanation
from dataflow_core.run.session import Rows, Session, or_again
from dataflow_core.run.sync_bridge import sync_bridge
from dataflow_core.run.table_keeper import TABLE_ERRORS, TableKeeper
from dataflow_core.schema import Model

if TYPE_CHECKING:
    from types import TracebackType

    from dataflow_core.run.engine import Engine

__all__ = ["Transaction", "TransactionScope", "current_transaction", "explaining"]

T = TypeVar("T")

_OF_TRANSACTION = ErrorSituation(writing=True)
_SAVEPOINT: Final = "transactions.savepoint"
_MOST_KEPT: Final = 1_000_000
"""The most values of statements that are kept to be sent again."""

_Sent = tuple[str, Sequence[Any], ErrorSituation]

_current: ContextVar[Mapping[Any, Transaction | Explanation]] = ContextVar("dataflow_transactions")


def current_transaction(engine: Engine) -> Transaction | Explanation | None:
    """The transaction in force on a database, in this task or one that started it."""
    found = _current.get(None)
    return None if found is None else found.get(engine)


@contextmanager
def explaining(engines: Iterable[Engine]) -> Iterator[Explanation]:
    """Within: nothing is sent to these databases, everything is written down."""
    explanation = Explanation()
    token = _current.set({**_current.get({}), **dict.fromkeys(engines, explanation)})
    try:
        yield explanation
    finally:
        _current.reset(token)


@define(eq=False)
class Transaction:
    """An open transaction. Its statements run one at a time, whichever task sends them.

    ``recovers`` tells whether it can go on after a statement that violated a constraint. Where it
    cannot, what it wrote is kept, so that it can be done again to find the row that was wrong.
    ``of_operation``: it was opened for one operation, such as a bulk write, and not by the user.
    """

    session: Session
    isolation: Isolation | None = None
    of_operation: bool = False
    failed: BaseException | None = None
    over: bool = False
    made_tables: list[Model] = field(factory=list)
    recovers: bool = True
    _wrote: bool = False
    _written: list[_Sent] | None = None
    _kept: int = 0
    _savepoints: int = 0
    _lock: asyncio.Lock = field(factory=asyncio.Lock)

    async def fetch(self, sql: str, parameters: Sequence[Any], situation: ErrorSituation) -> Rows:
        """Run a statement and return its rows."""
        return await self._in_turn(self.session.fetch, sql, parameters, situation)

    async def fetch_named(
        self, sql: str, parameters: Sequence[Any], situation: ErrorSituation
    ) -> tuple[tuple[str, ...], Rows]:
        """Run a statement and return the names of its columns and its rows."""
        return await self._in_turn(self.session.fetch_named, sql, parameters, situation)

    async def execute(self, sql: str, parameters: Sequence[Any], situation: ErrorSituation) -> int:
        """Run a statement and return the number of rows it matched or wrote."""
        return await self._in_turn(self.session.execute, sql, parameters, situation)

    async def load(
        self, statement: LoadStatement, rows: Sequence[Sequence[Any]], situation: ErrorSituation
    ) -> int:
        """Put rows into a table; how many are there afterwards. Only where there are savepoints."""
        async with self._lock:
            self._check()
            return await self._sent(self.session.load(statement, rows, situation), situation)

    async def _in_turn(
        self,
        send: Callable[[str, Sequence[Any], ErrorSituation], Awaitable[T]],
        sql: str,
        parameters: Sequence[Any],
        situation: ErrorSituation,
    ) -> T:
        """Send a statement when its turn comes; an error leaves the transaction failed."""
        async with self._lock:
            self._check()
            result = await self._sent(send(sql, parameters, situation), situation)
            if situation.writing and self._written is not None:
                self._keep(self._written, (sql, parameters, situation))
            return result

    async def _sent(self, work: Awaitable[T], situation: ErrorSituation) -> T:
        try:
            result = await work
        except BaseException as error:
            self.failed = error
            raise
        self._wrote = self._wrote or situation.writing
        return result

    def __attrs_post_init__(self) -> None:
        if not self.has_savepoints and not self.session.connection.survives_errors:
            self._give_up()

    @property
    def has_savepoints(self) -> bool:
        """Whether the dialect declares savepoints."""
        return self.session.offers(_SAVEPOINT)

    def _give_up(self) -> None:
        """There is no way back: keep what is written from now on, if nothing was before."""
        self.recovers = False
        self._written = None if self._wrote else []

    def _keep(self, written: list[_Sent], sent: _Sent) -> None:
        self._kept += len(sent[1])
        if self._kept > _MOST_KEPT:
            self._written = None
        else:
            written.append(sent)

    async def again(self) -> bool:
        """Undo everything and do it again but for what failed; False if that cannot be."""
        async with self._lock:
            written, session = self._written, self.session
            if written is None or self.made_tables or not session.connection.usable:
                return False
            await session.guarded(session.connection.rollback(), _OF_TRANSACTION)
            begin = session.connection.begin(isolation=self.isolation)
            await session.guarded(begin, _OF_TRANSACTION)
            for sql, parameters, situation in written:
                await session.fetch(sql, parameters, situation)
            self.failed = None
            return True

    async def prepare(self, tables: TableKeeper, model: Model, dialect: Dialect) -> None:
        """See to the table of a model within the transaction."""
        async with self._lock:
            self._check()
            try:
                self.made_tables += await tables.prepare(model, self.session, dialect)
            except TABLE_ERRORS:
                raise
            except BaseException as error:
                self.failed = error
                raise

    async def mark(self) -> str | None:
        """Where ``undo`` goes back to if the next statement violates a constraint.

        Without savepoints there may be no way back; ``recovers`` then is False.
        """
        if self.session.connection.survives_errors or not self.recovers:
            return None
        try:
            return await self._set_savepoint()
        except UnsupportedFeature:
            self._give_up()
            return None

    async def undo(self, mark: str | None) -> None:
        """Go on as if the statement that violated a constraint had not been sent.

        Where that cannot be, the transaction stays failed.
        """
        if not self.recovers:
            return
        if mark is None:
            self.failed = None
        else:
            await self.roll_back_to(mark)

    async def savepoint(self) -> str:
        """Set a savepoint of a name of its own and return the name."""
        self.session.need(_SAVEPOINT)
        return await self._set_savepoint()

    async def _set_savepoint(self) -> str:
        async with self._lock:
            self._check()
            self._savepoints += 1
            name = f"dataflow_{self._savepoints}"
            await self.session.guarded(self.session.connection.savepoint(name), _OF_TRANSACTION)
            return name

    async def release(self, name: str) -> None:
        """Keep what was done since the savepoint."""
        async with self._lock:
            self._check()
            await self.session.guarded(self.session.connection.release(name), _OF_TRANSACTION)

    async def roll_back_to(self, name: str) -> None:
        """Undo what was done since the savepoint; the transaction is as it was then."""
        async with self._lock:
            connection = self.session.connection
            if not connection.usable or not connection.in_transaction:
                return
            await self.session.guarded(connection.rollback_to(name), _OF_TRANSACTION)
            await self.session.guarded(connection.release(name), _OF_TRANSACTION)
            self.failed = None

    def _check(self) -> None:
        if self.over:
            raise TransactionFailed("the transaction is over; nothing more can run in it")
        if self.failed is not None:
            code = self.failed.code if isinstance(self.failed, DataFlowError) else ""
            raise TransactionFailed(
                f"an error inside the transaction{f' ({code})' if code else ''} left it to be"
                " rolled back; use a nested transaction for what may fail"
            ) from self.failed


@define(eq=False)
class TransactionScope:
    """``async with engine.transaction():`` opens a transaction, or a savepoint within one.

    ``with`` does the same for code that is not asynchronous.
    """

    engine: Engine
    isolation: Isolation | None = None
    read_only: bool = False
    joins: bool = False
    _transaction: Transaction | Explanation | None = None
    _savepoint: str | None = None
    _joined: bool = False
    _tables_before: int = 0
    _token: Any = None

    def __enter__(self) -> Transaction | Explanation:
        transaction = sync_bridge().run(self.__aenter__())
        if self._savepoint is None and not self._joined:
            # What the other thread has set is not seen in this one.
            self._token = _current.set({**_current.get({}), self.engine: transaction})
        return transaction

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
            self._token = None
        sync_bridge().run(self.__aexit__(kind, error, traceback))

    async def __aenter__(self) -> Transaction | Explanation:
        outer = current_transaction(self.engine)
        if outer is not None:
            if self.isolation is not None:
                raise ConflictingParameters(
                    "a nested transaction has the isolation of the one around it; drop isolation"
                )
            self._tables_before = len(outer.made_tables)
            self._joined = self.joins and not outer.has_savepoints
            if not self._joined:
                await self._nest(outer)
            self._transaction = outer
            return outer
        self._transaction = await self._begin()
        self._token = _current.set({**_current.get({}), self.engine: self._transaction})
        return self._transaction

    async def _nest(self, outer: Transaction | Explanation) -> None:
        try:
            self._savepoint = await outer.savepoint()
        except UnsupportedFeature:
            # Declared, and not there after all.
            if not self.joins:
                raise
            self._joined = True

    async def _begin(self) -> Transaction:
        self.engine.need("transactions")  # and once more when the version of the server is known
        await self.engine.prepare_all()
        # Nothing is done yet, so it is begun again where the connection had died in the pool.
        session = await or_again(self._opened, ErrorSituation())
        return Transaction(session, self.isolation, self.joins)

    async def _opened(self) -> Session:
        session = await self.engine.borrow(writes=not self.read_only)
        try:
            session.need("transactions")
            await session.guarded(self._open(session.connection), _OF_TRANSACTION)
        except BaseException as error:
            if isinstance(error, DataFlowError):
                # Whatever became of the begin, nothing was written yet.
                error.outcome = "not done"
            await self.engine.give_back(session)
            raise
        return session

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        transaction = self._transaction
        assert transaction is not None
        if self._joined:
            assert isinstance(transaction, Transaction)
            if error is not None and transaction.failed is None:
                transaction.failed = error
            return
        if self._savepoint is not None or isinstance(transaction, Explanation):
            await self._leave_savepoint(transaction, error)
            return
        if self._token is not None:
            _current.reset(self._token)
        transaction.over = True
        try:
            # Behind a statement that another task still has in flight.
            async with transaction._lock:
                await self._finish(transaction, error)
        finally:
            await self.engine.give_back(transaction.session)

    def _open(self, connection: Connection) -> Coroutine[Any, Any, None]:
        return connection.begin(isolation=self.isolation, read_only=self.read_only)

    def _end(self, connection: Connection) -> Coroutine[Any, Any, None]:
        return connection.commit()

    async def _leave_savepoint(
        self, transaction: Transaction | Explanation, error: BaseException | None
    ) -> None:
        assert self._savepoint is not None
        if error is not None:
            self._forget_tables(transaction, self._tables_before)
            await transaction.roll_back_to(self._savepoint)
        else:
            await transaction.release(self._savepoint)

    async def _finish(self, transaction: Transaction, error: BaseException | None) -> None:
        session, connection = transaction.session, transaction.session.connection
        if error is None and transaction.failed is None:
            try:
                await session.guarded(self._end(connection), _OF_TRANSACTION)
            except BaseException:
                self._forget_tables(transaction, 0)
                raise
            return
        self._forget_tables(transaction, 0)
        if connection.usable:
            await session.guarded(connection.rollback(), _OF_TRANSACTION)
        if error is None:
            raise TransactionFailed(
                "an error inside the transaction was caught, but the transaction could not go on;"
                " everything in it was rolled back",
                outcome="not done",
            ) from transaction.failed

    def _forget_tables(self, transaction: Transaction | Explanation, first: int) -> None:
        """What was made is undone: the tables have to be looked at again."""
        for model in transaction.made_tables[first:]:
            self.engine.forget(model)
        del transaction.made_tables[first:]
