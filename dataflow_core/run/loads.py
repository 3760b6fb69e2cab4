"""Writing many rows at once, by the quickest way that the database has.

That way tells little about what went wrong, so it is only a try: unless every row was written, it
is undone, and the caller writes the same rows by statements that name the row that is at fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeVar

from dataflow_core.compile import LoadStatement
from dataflow_core.errors import (
    DataFlowError,
    DiskFull,
    ReadOnlyDatabase,
    StatementTimeout,
    TransactionFailed,
    UnsupportedFeature,
)
from dataflow_core.run.explain import Explanation
from dataflow_core.run.transactions import Transaction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dataflow_core.run.inserts import Parameters
    from dataflow_core.run.plans import Plan

__all__ = ["load_rows", "tried", "upsert_staged"]

T = TypeVar("T")

_NO_OTHER_WAY: Final = (DiskFull, ReadOnlyDatabase, StatementTimeout, TransactionFailed)


async def load_rows(
    transaction: Transaction | Explanation, plan: Plan, rows: Sequence[Parameters]
) -> bool:
    """Insert rows; False if that is no quicker, or not all of them could be, and none is there."""
    statement = plan.compiled.load
    if statement is None or len(rows) < statement.least_rows:
        return False

    async def insert(transaction: Transaction) -> bool | None:
        return await _load(transaction, plan, statement, rows) or None

    return await tried(transaction, insert) is not None


async def upsert_staged(
    transaction: Transaction | Explanation, plan: Plan, rows: Sequence[Parameters]
) -> int | None:
    """Upsert rows with different keys; how many were new, ``None`` if nothing was done."""
    staged = plan.compiled.staged
    if staged is None or len(rows) < staged.load.least_rows:
        return None

    async def upsert(transaction: Transaction) -> int | None:
        situation = plan.situation
        for sql in staged.create:
            await transaction.execute(sql, (), situation)
        if not await _load(transaction, plan, staged.load, rows):
            return None
        for sql in staged.writes:
            await transaction.execute(sql, (), situation)
        ((inserted, written),) = await transaction.fetch(staged.counts, (), situation)
        await transaction.execute(staged.drop, (), situation)
        return int(inserted) if written == len(rows) else None

    done = False
    try:
        inserted = await tried(transaction, upsert)
        done = inserted is not None
        return inserted
    finally:
        if not done and isinstance(transaction, Transaction):
            # The temporary table may still be there: it goes with the state of the session.
            transaction.session.must_reset = True


async def _load(
    transaction: Transaction, plan: Plan, statement: LoadStatement, rows: Sequence[Parameters]
) -> bool:
    stored = await transaction.load(statement, rows, plan.situation)
    if stored != len(rows):
        return False
    if statement.counter is not None:
        [place] = (at for at, item in enumerate(statement.columns) if item.generated == "database")
        greatest = max(map(itemgetter(place), rows))
        await transaction.fetch(statement.counter, (greatest,), plan.situation)
    return True


async def tried(
    transaction: Transaction | Explanation, work: Callable[[Transaction], Awaitable[T]]
) -> T | None:
    """Do something whole or not at all; ``None`` if it failed, and may be done another way."""
    if isinstance(transaction, Explanation) or not transaction.recovers:
        return None
    try:
        savepoint = await transaction.savepoint()
    except UnsupportedFeature:
        return None
    try:
        result = await work(transaction)
    except DataFlowError as error:
        if error.retryable or isinstance(error, _NO_OTHER_WAY):
            raise
        result = None
    if result is None:
        await transaction.roll_back_to(savepoint)
        return None
    await transaction.release(savepoint)
    return result
