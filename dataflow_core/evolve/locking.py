"""Nobody else changes tables meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import LockTimeout
from dataflow_core.run.session import Session

if TYPE_CHECKING:
    from dataflow_core.contract import Connection, Dialect

__all__ = ["locked"]

_CHANGING = ErrorSituation(writing=True)


@asynccontextmanager
async def locked(session: Session, dialect: Dialect, *, altering: bool) -> AsyncIterator[None]:
    """The lock of the dialect; and a transaction, where changes of a schema take part in one.

    In a transaction that is open already, what is done is part of that. ``altering``: tables that
    are there are changed.
    """
    if session.connection.in_transaction:
        async with _lock(session, dialect):
            yield
        return
    if not altering:
        async with _alone(session, dialect):
            yield
        return
    try:
        for sql in dialect.ddl.before_change:
            await session.execute(sql, (), _CHANGING)
        async with _alone(session, dialect):
            yield
    finally:
        # Should this not be reached in order, the session is made anew before anybody else has it.
        session.must_reset = session.must_reset or bool(dialect.ddl.after_change)
        if session.connection.usable:
            for sql in dialect.ddl.after_change:
                await session.execute(sql, (), _CHANGING)


@asynccontextmanager
async def _alone(session: Session, dialect: Dialect) -> AsyncIterator[None]:
    connection = session.connection
    if not (dialect.ddl.transactional and session.offers("transactions")):
        async with _lock(session, dialect):
            yield
        return
    await session.guarded(connection.begin(), _CHANGING)
    try:
        async with _lock(session, dialect):
            yield
        await session.guarded(connection.commit(), _CHANGING)
    except BaseException:
        if _open(connection):
            await session.guarded(connection.rollback(), _CHANGING)
        raise


def _open(connection: Connection) -> bool:
    return connection.usable and connection.in_transaction


@asynccontextmanager
async def _lock(session: Session, dialect: Dialect) -> AsyncIterator[None]:
    if dialect.ddl.lock is not None:
        rows = await session.fetch(dialect.ddl.lock, (), _CHANGING)
        if rows and rows[0][0] in (0, None):
            raise LockTimeout("another process is changing tables", outcome="not done")
    try:
        yield
    finally:
        if dialect.ddl.unlock is not None and session.connection.usable:
            await session.fetch(dialect.ddl.unlock, (), _CHANGING)
