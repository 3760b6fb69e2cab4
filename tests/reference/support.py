"""What the tests of the reference share: running a workflow, and tables that others made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from dataflow_core import LocalRuntime, WorkflowBuilder
from tests.schemas.plain import opened

KEY = {
    "sqlite": "INTEGER PRIMARY KEY",
    "postgres": "SERIAL PRIMARY KEY",
    "mysql": "INT AUTO_INCREMENT PRIMARY KEY",
}
"""A generated key, as the tables of others have it."""

MOMENT = {"sqlite": "TIMESTAMP", "postgres": "TIMESTAMP", "mysql": "DATETIME"}
"""A moment without a time zone."""


def ran(workflow: WorkflowBuilder) -> Mapping[str, dict[str, Any]]:
    """The results of a workflow, run as a program does it."""
    results, run_id = LocalRuntime().execute(workflow.build())
    assert run_id
    return results


def made_by_others(database: str, url: str, statements: Sequence[str]) -> None:
    """Run statements by the plain driver of a database."""

    async def run() -> None:
        plain = await opened(database, url)
        try:
            await plain.load([f"{statement};" for statement in statements], None)
        finally:
            await plain.close()

    asyncio.run(run())


def bike_rental(database: str, url: str) -> None:
    """The tables of a bike rental: stations, bikes of a station, trips of a bike."""
    key, moment = KEY[database], MOMENT[database]
    made_by_others(
        database,
        url,
        [
            f"CREATE TABLE stations (id {key}, title VARCHAR(80) NOT NULL UNIQUE,"
            " district VARCHAR(40) NOT NULL DEFAULT 'centre')",
            f"CREATE TABLE bikes (id {key}, frame VARCHAR(20) NOT NULL,"
            f" rentable BOOLEAN NOT NULL DEFAULT TRUE, bought {moment},"
            " station_id INT, FOREIGN KEY (station_id) REFERENCES stations (id))",
            f"CREATE TABLE trips (id {key}, bike_id INT NOT NULL, fare DECIMAL(8, 2),"
            " FOREIGN KEY (bike_id) REFERENCES bikes (id))",
            "INSERT INTO stations (title) VALUES ('Harbour'), ('Market')",
            "INSERT INTO stations (title, district) VALUES ('Mill', 'north')",
            "INSERT INTO bikes (frame, rentable, bought, station_id) VALUES"
            " ('red', TRUE, '2024-03-01 08:00:00', 1), ('blue', TRUE, '2024-05-02 09:30:00', 1),"
            " ('grey', FALSE, '2023-01-15 12:00:00', 3), ('green', TRUE, NULL, NULL)",
            "INSERT INTO trips (bike_id, fare) VALUES (1, 3.50), (1, 4.25), (2, 0.10), (2, NULL)",
        ],
    )
