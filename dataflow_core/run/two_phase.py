"""Transactions that are prepared under a name, and ended by whoever knows it.

Of two databases, one promises first that it can commit (``prepared_transaction``). Whether it does
is then decided by what became of the other one; a crash between changes only who carries that out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from attrs import define

from dataflow_core.contract import Connection, ErrorSituation, TwoPhaseConnection
from dataflow_core.errors import ConflictingParameters, InvalidValue
from dataflow_core.naming_hints import quoted
from dataflow_core.run.scopes import TransactionScope
from dataflow_core.run.session import Session, or_again
from dataflow_core.run.transactions import Transaction, current_transaction

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine
    from dataflow_core.run.explain import Explanation

__all__ = [
    "TWO_PHASE",
    "commit_prepared",
    "list_prepared",
    "prepared_transaction",
    "roll_back_prepared",
]

TWO_PHASE: Final = "transactions.two_phase"
"""The feature that a dialect declares for it."""

_NAME: Final = re.compile(r"[A-Za-z0-9_:-]{1,60}")
_ENDING: Final = ErrorSituation(writing=True)

T = TypeVar("T")


@define(eq=False)
class _PreparedScope(TransactionScope):
    """A transaction that is prepared, and not committed, when it is left without an error."""

    name: str = ""

    async def __aenter__(self) -> Transaction | Explanation:
        self.engine.need(TWO_PHASE)
        if current_transaction(self.engine) is not None:
            raise ConflictingParameters("a transaction within another one cannot be prepared")
        return await super().__aenter__()

    def _open(self, connection: Connection) -> Coroutine[Any, Any, None]:
        return cast(TwoPhaseConnection, connection).begin_two_phase(self.name)

    def _end(self, connection: Connection) -> Coroutine[Any, Any, None]:
        return cast(TwoPhaseConnection, connection).prepare()


def prepared_transaction(engine: Engine, name: str) -> TransactionScope:
    """``async with``: a transaction that is prepared under a name when the block is left.

    An error that leaves the block undoes it. Once prepared it holds its locks until
    ``commit_prepared`` or ``roll_back_prepared``, over whatever connection, after whatever crash.

    Raises:
        InvalidValue: no name of at most 60 letters, digits, ``_``, ``-`` and ``:``.
        UnsupportedFeature: the database, or how its server is set up, does not offer it.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidValue(
            f"the name of a prepared transaction is at most 60 letters, digits, _ - and :, got"
            f" {quoted(name)}"
        )
    return _PreparedScope(engine, name=name)


async def commit_prepared(engine: Engine, name: str) -> None:
    """Commit what was prepared under a name; nothing where nothing is, as it was committed."""
    await _over(engine, lambda connection: connection.commit_prepared(name))


async def roll_back_prepared(engine: Engine, name: str) -> None:
    """Undo what was prepared under a name; nothing where nothing is."""
    await _over(engine, lambda connection: connection.rollback_prepared(name))


async def list_prepared(engine: Engine) -> list[str]:
    """The names of what is prepared; on some servers of all their databases."""
    return list(await _over(engine, lambda connection: connection.list_prepared()))


async def _over(engine: Engine, work: Callable[[TwoPhaseConnection], Coroutine[Any, Any, T]]) -> T:
    """Do something over a connection that is in no transaction; again if that was gone."""
    engine.need(TWO_PHASE)

    async def once() -> T:
        session: Session = await engine.borrow(writes=True)
        try:
            connection = cast(TwoPhaseConnection, session.connection)
            return await session.guarded(work(connection), _ENDING)
        finally:
            await engine.give_back(session)

    # Ending what has ended does nothing, so it may be done twice.
    return await or_again(once, ErrorSituation())
