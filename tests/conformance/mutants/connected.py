"""Dialects whose connections do something else than they are told, and whose errors say less."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import (
    CheckViolation,
    ConstraintViolation,
    DatabaseError,
    DataFlowError,
    ForeignKeyViolation,
    NotNullViolation,
    UniqueViolation,
)
from tests.conformance.mutants.mutant import Mutant, MutantConnection

__all__ = ["CONNECTED"]


def rows_changed(change: Callable[[str, list[Any]], list[Any]]) -> type[MutantConnection]:
    """A connection that gives other rows."""

    class Changed(MutantConnection):
        async def fetch(self, sql: str, parameters: Any) -> Any:
            return change(sql, list(await self.inner.fetch(sql, parameters)))

    return Changed


def counts_changed(word: str, change: Callable[[int], int]) -> type[MutantConnection]:
    """A connection that counts otherwise what statements of a kind do."""

    class Counted(MutantConnection):
        async def execute(self, sql: str, parameters: Any) -> int:
            count: int = await self.inner.execute(sql, parameters)
            return change(count) if sql.startswith(word) else count

    return Counted


def _reversed(word: str) -> Callable[[str, list[Any]], list[Any]]:
    return lambda sql, rows: rows[::-1] if sql.startswith(word) else rows


def _twice(sql: str, rows: list[Any]) -> list[Any]:
    return rows + rows[-1:] if sql.startswith("SELECT") and len(rows) > 1 else rows


def _at_most_fifty(sql: str, rows: list[Any]) -> list[Any]:
    return rows[:50] if sql.startswith("SELECT") else rows


class KeepsAtRollback(MutantConnection):
    """Commits instead of rolling back."""

    async def rollback(self) -> None:
        if self.inner.in_transaction:
            await self.inner.commit()
        await self.inner.rollback()


class LosesAtCommit(MutantConnection):
    """Rolls back instead of committing."""

    async def commit(self) -> None:
        await self.inner.rollback()


class IgnoresSavepoints(MutantConnection):
    """Has savepoints that lead nowhere."""

    async def rollback_to(self, name: str) -> None:
        return None


class ForgetsReadOnly(MutantConnection):
    """Writes where it was to read only."""

    async def begin(self, *, isolation: Any = None, read_only: bool = False) -> None:
        await self.inner.begin(isolation=isolation, read_only=False)


class BeginsNothing(MutantConnection):
    """Commits every statement by itself."""

    async def begin(self, *, isolation: Any = None, read_only: bool = False) -> None:
        return None

    async def commit(self) -> None:
        return None

    async def savepoint(self, name: str) -> None:
        return None

    rollback_to = release = savepoint


class SwallowsCancellation(MutantConnection):
    """Makes an error of its own of a cancellation."""

    async def fetch(self, sql: str, parameters: Any) -> Any:
        try:
            return await self.inner.fetch(sql, parameters)
        except asyncio.CancelledError:
            await self.inner.cancel()
            raise sqlite3.OperationalError("lost connection during query") from None


class CancelsLate(MutantConnection):
    """Leaves what was cancelled running for a while."""

    async def cancel(self) -> None:
        later = asyncio.get_running_loop()
        later.call_later(3, lambda: later.create_task(self.inner.cancel()))


class ResetsNothing(MutantConnection):
    """Leaves what the user's own SQL has set."""

    async def reset(self) -> None:
        return None

    async def close(self) -> None:
        return None


def _remade(kind: type[ConstraintViolation], error: ConstraintViolation, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "table": error.table,
        "constraint": error.constraint,
        "columns": error.columns,
    }
    if isinstance(error, ForeignKeyViolation):
        given["side"] = error.side
    return kind(error.message, **{**given, **changes})


def errors_changed(
    kind: type[DataFlowError], change: Callable[[Any], DataFlowError | None]
) -> Callable[[DataFlowError, ErrorSituation], DataFlowError | None]:
    """Errors of a kind that are something else."""
    return lambda error, situation: change(error) if isinstance(error, kind) else error


_OTHER_SIDE: Final = {"child": "parent", "parent": "child"}

CONNECTED: Final = (
    Mutant(
        "generated keys come back in another order",
        ("bulk.key.generated",),
        connection=rows_changed(_reversed("INSERT")),
    ),
    Mutant(
        "rows come back in another order",
        ("order.of_n", "paging.default_order"),
        connection=rows_changed(_reversed("SELECT")),
    ),
    Mutant("the last row comes twice", ("paging.default_order",), connection=rows_changed(_twice)),
    Mutant(
        "only fifty rows come back", ("paging.many_rows",), connection=rows_changed(_at_most_fifty)
    ),
    Mutant(
        "a delete counts one more",
        ("bulk.delete.filter",),
        connection=counts_changed("DELETE", lambda count: count + 1),
    ),
    Mutant(
        "an update counts only whether there was any",
        ("bulk.update.filter",),
        connection=counts_changed("UPDATE", lambda count: min(count, 1)),
    ),
    Mutant(
        "an update that found nothing says that it did",
        ("bulk.update.filter",),
        connection=counts_changed("UPDATE", lambda count: count or 1),
    ),
    Mutant(
        "a rollback keeps the rows",
        ("transactions.rollback", "bulk.create.all_or_nothing"),
        connection=KeepsAtRollback,
    ),
    Mutant("a commit loses the rows", ("transactions.commit",), connection=LosesAtCommit),
    Mutant(
        "a savepoint is ignored", ("transactions.savepoint.rollback",), connection=IgnoresSavepoints
    ),
    Mutant(
        "a transaction that only reads writes",
        ("transactions.read_only",),
        connection=ForgetsReadOnly,
    ),
    Mutant(
        "every statement commits by itself",
        ("transactions.rollback", "faults.bad_row"),
        connection=BeginsNothing,
    ),
    Mutant(
        "others see what is not committed",
        ("isolation.undone",),
        connection=BeginsNothing,
        file=True,
    ),
    Mutant("a cancellation is swallowed", ("cancellation.query",), connection=SwallowsCancellation),
    Mutant("what was cancelled goes on", ("cancellation.next_call",), connection=CancelsLate),
    Mutant(
        "a session is not reset",
        ("faults.dirty.settings", "faults.dirty.temporary"),
        connection=ResetsNothing,
    ),
    Mutant(
        "a unique violation names no columns",
        ("constraints.unique.field",),
        translate=errors_changed(
            UniqueViolation, lambda error: _remade(UniqueViolation, error, columns=())
        ),
    ),
    Mutant(
        "a unique violation names no table",
        ("ddl.index.names", "bulk.update.unique_afterwards"),
        translate=errors_changed(
            UniqueViolation, lambda error: _remade(UniqueViolation, error, table=None)
        ),
    ),
    Mutant(
        "a unique violation is any error",
        ("constraints.unique.key",),
        translate=errors_changed(
            UniqueViolation, lambda error: DatabaseError(error.message, outcome="not done")
        ),
    ),
    Mutant(
        "a unique violation is a check",
        ("constraints.unique.several",),
        translate=errors_changed(UniqueViolation, lambda error: _remade(CheckViolation, error)),
    ),
    Mutant(
        "a violation does not say that nothing was done",
        ("constraints.unique.key",),
        translate=errors_changed(
            ConstraintViolation, lambda error: _remade(type(error), error, outcome=None)
        ),
    ),
    Mutant(
        "a broken reference names the other side",
        ("constraints.foreign_key.child", "constraints.foreign_key.parent"),
        translate=errors_changed(
            ForeignKeyViolation,
            lambda error: _remade(ForeignKeyViolation, error, side=_OTHER_SIDE[error.side]),
        ),
    ),
    Mutant(
        "a missing value names no column",
        ("constraints.not_null",),
        translate=errors_changed(
            NotNullViolation, lambda error: _remade(NotNullViolation, error, columns=())
        ),
    ),
    Mutant(
        "a check names no constraint",
        ("constraints.check.model",),
        translate=errors_changed(
            CheckViolation, lambda error: _remade(CheckViolation, error, constraint=None)
        ),
    ),
    Mutant(
        "the driver's errors come out",
        ("constraints.unique.key", "constraints.not_null"),
        translate=errors_changed(ConstraintViolation, lambda error: None),
    ),
)
