"""Running a statement in the user's own SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import TransactionFailed
from dataflow_core.run.engine import Engine
from dataflow_core.run.explain import Explanation
from dataflow_core.run.transactions import Transaction

__all__ = ["run_sql"]

_OWN = ErrorSituation(writing=True)


async def run_sql(
    engine: Engine, sql: str, parameters: Sequence[Any], *, rows: bool
) -> tuple[list[dict[str, Any]], int]:
    """Run one statement: its rows as dicts, or, without ``rows``, how many it wrote.

    The connection is reset afterwards, so that no session state reaches the next borrower. Raises
    ``TransactionFailed`` for what would end the transaction in force; nothing is sent then.
    """
    transaction = engine.current_transaction()
    if transaction is not None and engine.dialect.ends_transaction(sql):
        raise TransactionFailed(
            f"this statement would commit the transaction that it is in, as {engine.dialect.name}"
            " does for most that change a schema; send it outside of transactions",
            outcome="not done",
        )
    async with engine.borrowed(writes=engine.writable, reset=True) as runner:
        if not rows:
            written = await runner.execute(sql, parameters, _OWN)
            _check_open(transaction)
            return [], written
        names, fetched = await runner.fetch_named(sql, parameters, _OWN)
        _check_open(transaction)
        return [dict(zip(names, row, strict=True)) for row in fetched], len(fetched)


def _check_open(transaction: Transaction | Explanation | None) -> None:
    """Notice that a statement has ended the transaction that it was in, as a procedure may."""
    if isinstance(transaction, Transaction):
        # It may have said another tenant itself.
        transaction.told = None
    if isinstance(transaction, Transaction) and not transaction.session.connection.in_transaction:
        error = TransactionFailed(
            "the statement has ended the transaction that it was in: what was done in it before is"
            " committed, and the rest of the transaction is refused",
            outcome="done",
        )
        transaction.failed = error
        raise error
