"""A write and the select that reads what it wrote, sent at once where a connection can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dataflow_core.run.session import Rows, or_again
from dataflow_core.run.transactions import current_transaction

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine
    from dataflow_core.run.plans import Plan

__all__ = ["fetch_together"]


async def fetch_together(
    engine: Engine, plan: Plan, statements: Sequence[tuple[str, Sequence[Any]]]
) -> Rows | None:
    """Run statements that are a transaction of their own; the rows of the last one.

    ``None``: nothing was sent; they have to go through a transaction one by one.
    """
    if not engine.dialect.compiler.pipelines or current_transaction(engine) is not None:
        return None
    if plan.secured:
        # One by one in a transaction, which is where the database is told the tenant.
        return None

    async def once() -> Rows:
        session = await engine.borrow(writes=True)
        try:
            return await session.fetch_together(statements, plan.situation)
        finally:
            await engine.give_back(session)

    return await or_again(once, plan.situation)
