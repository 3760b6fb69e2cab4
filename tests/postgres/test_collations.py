"""What is noted of the collations of columns that others made."""

from __future__ import annotations

import pytest

from dataflow_postgres.connection import PostgresConnection
from tests.postgres.conftest import Connect
from tests.postgres.schemas import table_of
from tests.postgres.servers import PrivateServer

NAMED = {"C": False, "POSIX": False, "ucs_basic": False, "C.utf8": False, "und-x-icu": True}


async def test_a_collation_is_noted_unless_it_is_that_of_code_points(
    connection: PostgresConnection,
) -> None:
    """Nothing surprises where texts sort by code point, whatever the collation is called."""
    body = ", ".join(f'"{name}" text COLLATE "{name}"' for name in NAMED)
    await connection.execute(f"CREATE TABLE things ({body})", ())
    table = await table_of(connection)
    noted = {column.name: "own collation" in " ".join(column.notes) for column in table.columns}
    assert noted == NAMED


@pytest.mark.parametrize(
    ("made", "note"),
    [
        ("LOCALE 'C'", None),
        ("LOCALE 'C.UTF-8'", None),
        ("LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'en'", "own collation, en"),
    ],
)
async def test_the_collation_of_a_database_is_noted(
    connect: Connect, server: PrivateServer, made: str, note: str | None
) -> None:
    """A column without a collation of its own has that of the database, whoever provides it."""
    server.sql(
        "DROP DATABASE IF EXISTS collated;"
        f"\nCREATE DATABASE collated ENCODING 'UTF8' {made} TEMPLATE template0;"
    )
    connection = await connect(server.url("collated"))
    await connection.execute("CREATE TABLE things (a text)", ())
    notes = (await table_of(connection)).by_name["a"].notes
    assert not notes if note is None else note in notes[0]
