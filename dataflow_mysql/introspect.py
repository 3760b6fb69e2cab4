"""What the database tells about its tables."""

from __future__ import annotations

from collections.abc import Sequence

from dataflow_core.contract import Connection
from dataflow_core.schema.tables import Column, Table

__all__ = ["read_tables"]


async def read_tables(connection: Connection, names: Sequence[str] | None) -> Sequence[Table]:
    """The tables and views of these names, or of all."""
    found = []
    for name in names or ():
        columns = await _table_columns(connection, name)
        if columns:
            found.append(Table(name, columns=tuple(Column(column, "") for column in columns)))
    return found


async def _table_columns(connection: Connection, table: str) -> Sequence[str]:
    """The column names of a table or view, in order; empty if there is no such table."""
    rows = await connection.fetch(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position",
        (table,),
    )
    return [str(row[0]) for row in rows]
