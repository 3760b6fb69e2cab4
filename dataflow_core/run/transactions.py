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
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import define, field

from dataflow_core.compile import LoadStatement, RowSecurity
from dataflow_core.contract import Dialect, ErrorSituation, Isolation
from dataflow_core.errors import (
    DataFlowError,
    TransactionFailed,
    UnsupportedFeature,
)
from dataflow_core.run.explain import Explanation
from dataflow_core.run.journal import Journal
from dataflow_core.run.kept import Kept
from dataflow_core.run.retries import Turnstile, may_begin_again
from dataflow_core.run.row_security import TELLING, Telling
from dataflow_core.run.session import Rows, Session
from dataflow_core.run.table_keeper import TABLE_ERRORS, TableKeeper
from dataflow_core.schema import Model

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine

__all__ = [
    "OF_TRANSACTION",
    "Transaction",
    "current_transaction",
    "explaining",
    "is_explaining",
    "transactions",
]

T = TypeVar("T")

OF_TRANSACTION = ErrorSituation(writing=True)
_SAVEPOINT: Final = "transactions.savepoint"
transactions: ContextVar[Mapping[Any, Transaction | Explanation]]
transactions = ContextVar("dataflow_transactions")
"""The transactions in force, by engine."""


def current_transaction(engine: Engine) -> Transaction | Explanation | None:
    """The transaction in force on a database, in this task or one that started it."""
    found = transactions.get(None)
    return None if found is None else found.get(engine)


def is_explaining() -> bool:
    """Whether statements are written down at present, and not sent."""
    found = transactions.get(None)
    return found is not None and any(isinstance(one, Explanation) for one in found.values())


@contextmanager
def explaining(engines: Iterable[Engine]) -> Iterator[Explanation]:
    """Within: nothing is sent to these databases, everything is written down."""
    explanation = Explanation()
    token = transactions.set({**transactions.get({}), **dict.fromkeys(engines, explanation)})
    try:
        yield explanation
    finally:
        transactions.reset(token)


@define(eq=False)
class Transaction:
    """An open transaction. Its statements run one at a time, whichever task sends them.

    ``recovers`` tells whether it can go on after a statement that violated a constraint. Where it
    cannot, what it wrote is kept, so that it can be done again to find the row that was wrong.
    ``of_operation``: it was opened for one operation, such as a bulk write, and not by the user.
    ``statement_savepoints``: what a statement does that fails is undone, and the transaction goes
    on. ``turnstile`` and ``retries``: where the database ends it for another one's sake, it is done
    again so often, as long as the answers are those that the caller has seen. ``kept``: what there
    is to do before the commit. ``telling``: how the database is told the tenant in force; ``told``
    is the last one, ``None`` where that is unknown.
    """

    session: Session
    isolation: Isolation | None = None
    of_operation: bool = False
    read_only: bool = False
    statement_savepoints: bool = False
    turnstile: Turnstile | None = None
    retries: int = 0
    telling: Telling = field(factory=Telling)
    told: str | None = None
    failed: BaseException | None = None
    over: bool = False
    made_tables: list[Model] = field(factory=list)
    recovers: bool = True
    kept: Kept | None = None
    _wrote: bool = False
    _journal: Journal | None = None
    _turn: asyncio.Lock | None = None
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
            if self.telling.security is not None:
                await self._tell(self.telling.security)
            if self._journal is not None:
                self._journal.lose()
            return await self._sent(self.session.load(statement, rows, situation), situation)

    async def ping(self) -> float:
        """Wait for an answer of the database; how many seconds it took."""
        async with self._lock:
            self._check()
            return await self._sent(self.session.ping(), ErrorSituation())

    async def _in_turn(
        self,
        send: Callable[[str, Sequence[Any], ErrorSituation], Coroutine[Any, Any, T]],
        sql: str,
        parameters: Sequence[Any],
        situation: ErrorSituation,
    ) -> T:
        """Send a statement when its turn comes; an error leaves the transaction failed."""
        async with self._lock:
            self._check()
            if self.telling.security is not None:
                await self._tell(self.telling.security)
            if self.statement_savepoints:
                if self._journal is not None:
                    # What failed may have been passed over, so the same would not come of it again.
                    self._journal.lose()
                return await self._saved(send(sql, parameters, situation), situation)
            if self._journal is None:
                return await self._sent(send(sql, parameters, situation), situation)
            again = partial(send, sql, parameters, situation)
            result = await self.repeating(lambda: self._sent(again(), situation))
            self._journal.keep(again, result, len(parameters), writing=situation.writing)
            return result

    async def _tell(self, security: RowSecurity) -> None:
        """Tell the tenant in force, unless it is the one that was told last."""
        tenant = self.telling.tenant()
        if tenant != self.told:
            self.told = None
            send = partial(self.session.fetch, security.tell, (tenant,), TELLING)
            answer = await self._sent(send(), TELLING)
            if self._journal is not None:
                # Kept like a write: what follows is not the same without it.
                self._journal.keep(send, answer, 1, writing=True)
            self.told = tenant

    async def _sent(self, work: Awaitable[T], situation: ErrorSituation) -> T:
        try:
            result = await work
        except BaseException as error:
            self.failed = error
            raise
        self._wrote = self._wrote or situation.writing
        return result

    async def _saved(self, work: Coroutine[Any, Any, T], situation: ErrorSituation) -> T:
        """Send a statement within a savepoint of its own."""
        connection, name = self.session.connection, "dataflow_statement"
        try:
            await self._sent(self._at_savepoint(connection.savepoint(name)), OF_TRANSACTION)
        except BaseException:
            work.close()
            raise
        try:
            result = await self._sent(work, situation)
        except DataFlowError:
            # What ends the whole transaction leaves none to go back in.
            if connection.usable and connection.in_transaction:
                await self._at_savepoint(connection.rollback_to(name))
                self.failed = None
            raise
        await self._sent(self._at_savepoint(connection.release(name)), OF_TRANSACTION)
        return result

    def _at_savepoint(self, work: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
        return self.session.guarded(work, OF_TRANSACTION)

    async def repeating(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something; where the database ends the transaction for it, all of it again.

        Raises what ended it if the answers are other ones by then, or it is ended too often.
        """
        attempt, first = 0, None
        while True:
            try:
                if first is not None:
                    await self._do_again(attempt, first)
                return await work()
            except Exception as error:
                attempt += 1
                if not self._may_repeat(error, attempt):
                    raise
                first = first or error

    def _may_repeat(self, error: Exception, attempt: int) -> bool:
        """Whether an error is one after which everything can be sent again."""
        journal = self._journal
        if journal is None or not journal.answers:
            return False
        if not may_begin_again(error):
            # The caller sees it, and may decide by it.
            journal.lose()
        usable = not journal.lost and not self.made_tables and self.session.connection.usable
        return usable and attempt <= self.retries

    async def _do_again(self, attempt: int, first: Exception) -> None:
        """Begin again and send everything again; raises ``first`` if the answers differ."""
        journal, turnstile = self._journal, self.turnstile
        assert journal is not None
        assert turnstile is not None
        if self.session.connection.in_transaction:
            await self._roll_back()
        if self._turn is None:
            self._turn = await turnstile.turn(attempt)
        await self._begin()
        if not await journal.send_again():
            journal.lose()
            raise first
        self.failed = None

    def end_turn(self) -> None:
        """Let the next one through that was ended."""
        if self._turn is not None:
            self._turn.release()
            self._turn = None

    async def _begin(self) -> None:
        self.told = None
        begin = self.session.connection.begin(isolation=self.isolation, read_only=self.read_only)
        await self.session.control("BEGIN", begin, OF_TRANSACTION)

    async def _roll_back(self) -> None:
        rollback = self.session.connection.rollback()
        await self.session.control("ROLLBACK", rollback, OF_TRANSACTION)

    def __attrs_post_init__(self) -> None:
        if self.retries:
            self._journal = Journal(answers=True)
        if not self.has_savepoints and not self.session.connection.survives_errors:
            self._give_up()

    @property
    def has_savepoints(self) -> bool:
        """Whether the dialect declares savepoints."""
        return self.session.offers(_SAVEPOINT)

    def _give_up(self) -> None:
        """There is no way back: keep what is written from now on, if nothing was before."""
        self.recovers, self.told = False, None
        if self._journal is None:
            self._journal = None if self._wrote else Journal()

    async def again(self) -> bool:
        """Undo everything and do it again but for what failed; False if that cannot be."""
        async with self._lock:
            journal, session = self._journal, self.session
            if journal is None or journal.lost or self.made_tables:
                return False
            if not session.connection.usable:
                return False
            await self._roll_back()
            await self._begin()
            if not await journal.send_again():
                return False
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
            await self._send_noted("savepoint", name)
            if self.kept is not None:
                self.kept.note_savepoint(name)
            return name

    async def release(self, name: str) -> None:
        """Keep what was done since the savepoint."""
        async with self._lock:
            self._check()
            await self._send_noted("release", name)

    async def roll_back_to(self, name: str) -> None:
        """Undo what was done since the savepoint; the transaction is as it was then."""
        async with self._lock:
            connection = self.session.connection
            if not connection.usable or not connection.in_transaction:
                return
            if self.kept is not None:
                self.kept.roll_back_to(name)
            self.told = None
            await self._send_noted("rollback_to", name)
            await self._send_noted("release", name)
            self.failed = None

    async def _send_noted(self, method: str, name: str) -> None:
        """Set, release or go back to a savepoint, and keep that."""
        connection = self.session.connection

        async def send() -> None:
            await self.session.guarded(getattr(connection, method)(name), OF_TRANSACTION)

        await send()
        if self._journal is not None:
            self._journal.keep(send, None, 0, writing=False)

    def _check(self) -> None:
        if self.over:
            raise TransactionFailed("the transaction is over; nothing more can run in it")
        if self.failed is not None:
            code = self.failed.code if isinstance(self.failed, DataFlowError) else ""
            raise TransactionFailed(
                f"an error inside the transaction{f' ({code})' if code else ''} left it to be"
                " rolled back; use a nested transaction for what may fail"
            ) from self.failed
