"""What the database tells about its tables."""

from __future__ import annotations

from collections.abc import Sequence

from dataflow_core.contract import Connection

__all__ = ["table_columns"]


async def table_columns(connection: Connection, table: str) -> Sequence[str]:
    """The column names of a table or view, in order; empty if there is no such table."""
    rows = await connection.fetch(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position",
        (table,),
    )
    return [str(row[0]) for row in rows]
