"""Opening and leaving transactions, and doing them again."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from attrs import define

from dataflow_core.contract import Connection, ErrorSituation, Isolation
from dataflow_core.errors import (
    ConflictingParameters,
    DataFlowError,
    TransactionFailed,
    TransactionSpansDatabases,
    UnsupportedFeature,
)
from dataflow_core.naming_hints import quoted
from dataflow_core.run.explain import Explanation
from dataflow_core.run.kept import Kept
from dataflow_core.run.retries import may_begin_again
from dataflow_core.run.session import Session, or_again
from dataflow_core.run.sync_bridge import sync_bridge
from dataflow_core.run.transactions import (
    OF_TRANSACTION,
    Transaction,
    current_transaction,
    transactions,
)

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType

    from dataflow_core.run.engine import Engine

__all__ = ["TransactionScope", "check_alone"]


def check_alone(engine: Engine) -> None:
    """Refuse a write beside a transaction on another database of the same instance.

    It would not be part of that transaction, and stay if that is undone. Raises
    ``TransactionSpansDatabases``; nothing was sent.
    """
    found = transactions.get(None)
    if not found or engine in found:
        return
    for other, transaction in found.items():
        if other.settings.instance is engine.settings.instance and not transaction.over:
            raise TransactionSpansDatabases(
                f"the transaction in force is on the database {quoted(other.name)}, and cannot hold"
                f" a write to {quoted(engine.name)}: open one there as well, with"
                f" db.transaction({quoted(engine.name)}), or write before or after it",
                databases=[other.name, engine.name],
            )


@define(eq=False)
class TransactionScope:
    """``async with engine.transaction():`` opens a transaction, or a savepoint within one.

    ``with`` does the same for code that is not asynchronous. ``async for attempt in`` it, and
    ``for``, gives attempts, each to be entered: the block is run again, ``retry`` times at most,
    where the database ended it for another one's sake. Entered itself it cannot run the block
    again, and sends the same statements again, as long as the answers are the same.
    """

    engine: Engine
    isolation: Isolation | None = None
    read_only: bool = False
    joins: bool = False
    retry: int = 0
    statement_savepoints: bool = False
    _transaction: Transaction | Explanation | None = None
    _savepoint: str | None = None
    _joined: bool = False
    _tables_before: int = 0
    _token: Any = None

    def __enter__(self) -> Transaction | Explanation:
        transaction = sync_bridge().run(self.__aenter__())
        self.take_over(transaction)
        return transaction

    def take_over(self, transaction: Transaction | Explanation) -> None:
        """Put in force here what another thread has opened: what that has set is not seen here."""
        if self._savepoint is None and not self._joined:
            self._token = transactions.set({**transactions.get({}), self.engine: transaction})

    def let_go(self) -> None:
        """Let another thread leave what it has opened."""
        if self._token is not None:
            transactions.reset(self._token)
            self._token = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.let_go()
        sync_bridge().run(self.__aexit__(kind, error, traceback))

    async def __aenter__(self) -> Transaction | Explanation:
        outer = current_transaction(self.engine)
        if outer is not None:
            self._check_nested(outer)
            self._tables_before = len(outer.made_tables)
            self._joined = self.joins and not outer.has_savepoints
            if not self._joined:
                await self._nest(outer)
            self._transaction = outer
            return outer
        self._transaction = await self._begin()
        self._token = transactions.set({**transactions.get({}), self.engine: self._transaction})
        return self._transaction

    def _check_nested(self, outer: Transaction | Explanation) -> None:
        """Refuse what only a transaction that is not within another can have."""
        if isinstance(outer, Explanation):
            # What stands in for a transaction decides on nothing.
            return
        asked = {
            "isolation": self.isolation is not None,
            "retry": self.retry > 0,
            "statement_savepoints": self.statement_savepoints,
            "read_only": self.read_only and not getattr(outer, "read_only", True),
        }
        for name, wanted in asked.items():
            if wanted:
                raise ConflictingParameters(
                    f"a nested transaction is part of the one around it, which decides on {name};"
                    f" give {name} there",
                    parameter=name,
                )

    def __aiter__(self) -> AsyncIterator[TransactionAttempt]:
        return self._attempts()

    async def _attempts(self) -> AsyncIterator[TransactionAttempt]:
        for attempt in self:
            yield attempt

    def __iter__(self) -> Iterator[TransactionAttempt]:
        outer = current_transaction(self.engine)
        if outer is not None:
            self._check_nested(outer)
        for number in range(self.retry + 1):
            last, handled = number == self.retry, sys.exc_info()[1]
            attempt = TransactionAttempt(self._single(), number, last, handled)
            yield attempt
            if attempt.succeeded is None:
                raise TransactionFailed(
                    "an attempt at a transaction was not entered: inside `async for attempt in"
                    " db.transaction(...)` write `async with attempt:`",
                    outcome="not done",
                )
            if attempt.succeeded:
                return

    def _single(self) -> TransactionScope:
        """A scope for one attempt."""
        return TransactionScope(
            self.engine,
            self.isolation,
            self.read_only,
            self.joins,
            statement_savepoints=self.statement_savepoints,
        )

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
        return Transaction(
            session,
            self.isolation,
            self.joins,
            self.read_only,
            self.statement_savepoints,
            self.engine.turnstile,
            self.retry,
            self.engine.telling,
        )

    async def _opened(self) -> Session:
        session = await self.engine.borrow(writes=not self.read_only)
        try:
            session.need("transactions")
            await session.control("BEGIN", self._open(session.connection), OF_TRANSACTION)
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
        failure = None
        if error is None and transaction.failed is None and transaction.kept is not None:
            failure = await self._failure_before_commit(transaction, transaction.kept)
        if self._token is not None:
            transactions.reset(self._token)
        transaction.over = True
        try:
            # Behind a statement that another task still has in flight.
            async with transaction._lock:
                await self._finish(transaction, error or failure)
        finally:
            transaction.end_turn()
            await self.engine.give_back(transaction.session)
        if failure is not None:
            raise failure

    async def _failure_before_commit(
        self, transaction: Transaction, kept: Kept
    ) -> BaseException | None:
        """Do what there is to do before the commit; what came of it, if it failed."""
        # Where the block was not asynchronous, the transaction is not in force here.
        token = transactions.set({**transactions.get({}), self.engine: transaction})
        try:
            await kept.before_commit()
        except BaseException as failure:
            return failure
        finally:
            transactions.reset(token)
        return None

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
                await transaction.repeating(
                    lambda: session.control("COMMIT", self._end(connection), OF_TRANSACTION)
                )
            except BaseException:
                self._forget_tables(transaction, 0)
                raise
            return
        self._forget_tables(transaction, 0)
        if connection.usable:
            await session.control("ROLLBACK", connection.rollback(), OF_TRANSACTION)
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


@define(eq=False)
class TransactionAttempt:
    """One attempt at a transaction, to be entered; ``succeeded`` ``None``: it was not.

    An error that leaves it is kept if the database ended the transaction for another one's sake and
    there is a further attempt. ``handled`` is the error that the caller was handling before.
    """

    scope: TransactionScope
    number: int
    last: bool
    handled: BaseException | None = None
    succeeded: bool | None = None
    _turn: asyncio.Lock | None = None

    async def __aenter__(self) -> Transaction | Explanation:
        self.succeeded = False
        if self.number:
            self._turn = await self.scope.engine.turnstile.turn(self.number)
        try:
            return await self.scope.__aenter__()
        except BaseException:
            self._release()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        try:
            await self.scope.__aexit__(kind, error, traceback)
        except Exception as failure:
            if not self._goes_on(failure):
                raise
            return True
        finally:
            self._release()
        if error is None:
            self.succeeded = True
        return self._goes_on(error)

    def __enter__(self) -> Transaction | Explanation:
        transaction = sync_bridge().run(self.__aenter__())
        self.scope.take_over(transaction)
        return transaction

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self.scope.let_go()
        return sync_bridge().run(self.__aexit__(kind, error, traceback))

    def _goes_on(self, error: BaseException | None) -> bool:
        """Whether there is a further attempt, and the error lets it."""
        if self.last or not isinstance(error, Exception):
            return False
        return _was_ended(error, self.handled)

    def _release(self) -> None:
        if self._turn is not None:
            self._turn.release()
            self._turn = None


def _was_ended(error: BaseException | None, handled: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that the database ended the transaction.

    Not what the caller was handling before, which every error comes from, and not where nobody
    knows whether it was done.
    """
    seen: set[int] = set()
    while error is not None and error is not handled and id(error) not in seen:
        if may_begin_again(error):
            return True
        if isinstance(error, DataFlowError) and error.outcome in ("done", "unknown"):
            return False
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
