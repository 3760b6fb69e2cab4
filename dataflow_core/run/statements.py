"""Running a statement in the user's own SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dataflow_core.contract import ErrorSituation
from dataflow_core.run.engine import Engine

__all__ = ["run_sql"]

_OWN = ErrorSituation(writing=True)


async def run_sql(
    engine: Engine, sql: str, parameters: Sequence[Any], *, rows: bool
) -> tuple[list[dict[str, Any]], int]:
    """Run one statement: its rows as dicts, or, without ``rows``, how many it wrote.

    The connection is reset afterwards, so that no session state reaches the next borrower.
    """
    async with engine.borrowed(writes=engine.writable, reset=True) as runner:
        if not rows:
            return [], await runner.execute(sql, parameters, _OWN)
        names, fetched = await runner.fetch_named(sql, parameters, _OWN)
        return [dict(zip(names, row, strict=True)) for row in fetched], len(fetched)
