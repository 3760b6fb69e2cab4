"""What the database tells about its tables and about its log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from dataflow_core.contract import Connection
from dataflow_core.schema.tables import Column, Table

__all__ = ["LogPosition", "replayed_position", "read_tables", "written_position"]

# The table that the name alone means: the first on the search path. A composite type, an index or
# a sequence of that name is none.
_COLUMNS: Final = """
SELECT a.attname::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
WHERE c.oid = pg_catalog.to_regclass(pg_catalog.quote_ident($1::text))
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""


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
    return [str(row[0]) for row in await connection.fetch(_COLUMNS, (table,))]


_WRITTEN: Final = (
    "SELECT pg_catalog.pg_current_wal_insert_lsn()::text,"
    " (pg_catalog.pg_control_system()).system_identifier"
)
_REPLAYED: Final = (
    "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()"
    " ELSE pg_catalog.pg_current_wal_insert_lsn() END::text,"
    " (pg_catalog.pg_control_system()).system_identifier"
)
_PAGE: Final = 8192
_PAGE_HEADERS: Final = (24, 40)


@frozen
class LogPosition:
    """How far a server is: a place in the log of the system that replicas are copies of."""

    system: int
    place: int


async def written_position(primary: Connection) -> LogPosition:
    """Up to where a primary has written."""
    return await _position(primary, _WRITTEN)


async def replayed_position(replica: Connection) -> LogPosition:
    """Up to where a replica has carried out what it received."""
    return await _position(replica, _REPLAYED)


async def _position(connection: Connection, sql: str) -> LogPosition:
    ((text, system),) = await connection.fetch(sql, ())
    high, _, low = str(text).partition("/")
    place = (int(high, 16) << 32) + int(low, 16)
    if place % _PAGE in _PAGE_HEADERS:
        # Nothing is written behind the header of a page; a replica stops before the header.
        place -= place % _PAGE
    return LogPosition(int(system), place)
