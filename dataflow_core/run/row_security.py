"""Telling a database the tenant in force, where it keeps the rows of tenants apart by itself.

It is told within a transaction, for the rest of that and no longer, so nothing of it is left in the
session. A database without a model that asks for row security is told nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any, cast

from attrs import define

from dataflow_core.compile import RowSecurity
from dataflow_core.contract import Dialect, ErrorSituation, RowSecuringConnection
from dataflow_core.run.session import Rows, Session, or_again
from dataflow_core.schema import Model

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine
    from dataflow_core.run.plans import Plan
    from dataflow_core.run.scopes import TransactionScope

__all__ = ["TELLING", "Telling", "batches_of", "execute_alone", "fetch_alone"]

TELLING = ErrorSituation()
"""The situation of the statement that tells."""


@define(eq=False)
class Telling:
    """How one database is told; ``security`` is ``None`` where no model asks for it.

    ``tenant`` gives the tenant in force as text, empty where there is none.
    """

    security: RowSecurity | None = None
    tenant: Callable[[], str] = str

    def note(self, model: Model, dialect: Dialect) -> None:
        """Tell the tenant from now on, if a model asks for it."""
        if model.secured_by is None or self.security is not None:
            return
        context = model.by_name[model.secured_by].context
        assert context is not None
        self.tenant = context.text
        self.security = dialect.compiler.row_security


def _alone(engine: Engine, plan: Plan) -> TransactionScope:
    """A transaction of one statement, which is sent again where another one came in its way.

    So is, outside of transactions, what was prepared for a table that was changed since.
    """
    return engine.transaction(read_only=not plan.writes, retry=1)


async def fetch_alone(engine: Engine, plan: Plan, sql: str, parameters: Sequence[Any]) -> Rows:
    """Run one statement about secured rows in a transaction of its own; its rows."""

    async def once() -> Rows:
        async with _alone(engine, plan) as transaction:
            return await transaction.fetch(sql, parameters, plan.situation)

    return await or_again(once, plan.situation)


async def execute_alone(engine: Engine, plan: Plan, sql: str, parameters: Sequence[Any]) -> int:
    """Run one statement about secured rows in a transaction of its own; the number of rows."""

    async def once() -> int:
        async with _alone(engine, plan) as transaction:
            return await transaction.execute(sql, parameters, plan.situation)

    return await or_again(once, plan.situation)


def batches_of(
    engine: Engine,
    plan: Plan,
    session: Session,
    context: Context,
    parameters: Sequence[Any],
    size: int,
) -> AsyncGenerator[Rows, None]:
    """The rows of a plan's statement in batches, seen by the tenant of a context."""
    connection, sql, telling = session.connection, plan.statement.sql, engine.telling
    if not plan.secured or telling.security is None:
        return connection.stream(sql, parameters, size)
    tenant = context.run(telling.tenant)
    securing = cast(RowSecuringConnection, connection)
    return securing.stream_as(telling.security.tell, tenant, sql, parameters, size)
