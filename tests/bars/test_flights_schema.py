"""The flights' tables, gaps included, found by another program and asked through relations."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dataflow_core import DataFlow
from examples.flights.load import rows
from examples.flights.models import register

ROOT = Path(__file__).resolve().parents[2]
LOADED = {
    "Airline": "airlines",
    "Airport": "airports",
    "Plane": "planes",
    "Weather": "weather",
    "Flight": "flights",
}


async def explored(url: str, source: str) -> dict[str, Any]:
    """What another program finds."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bars.exploring", url, source,
        cwd=ROOT, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    found: dict[str, Any] = json.loads(output)
    return found


def computed() -> dict[str, Any]:
    """The same figures, from the files by plain Python."""
    tables = {table: list(rows(table)) for table in LOADED.values()}
    planes = {row["tailnum"]: row for row in tables["planes"]}
    airports = {row["faa"] for row in tables["airports"]}
    names = {row["carrier"]: row["name"] for row in tables["airlines"]}
    flights = tables["flights"]
    seats: Counter[str] = Counter()
    for row in flights:
        if row["tailnum"] in planes:
            plane = planes[row["tailnum"]]
            seats[plane["manufacturer"]] += plane["seats"]
    having = [planes.get(row["tailnum"]) for row in flights]
    return {
        "counts": {table: len(found) for table, found in tables.items()},
        "errors": {},
        "airlines": sorted({names[row["carrier"]] for row in flights if row["distance"] > 2500}),
        "jetblue": sum(names[row["carrier"]] == "JetBlue Airways" for row in flights),
        "boeing": sum(plane is not None and plane["manufacturer"] == "BOEING" for plane in having),
        "no plane": having.count(None),
        "old or unknown": sum(
            plane is None or plane["year"] is None or plane["year"] < 2000 for plane in having
        ),
        "no destination": sum(row["dest"] not in airports for row in flights),
        "seats": dict(seats),
    }


@pytest.mark.bars
@pytest.mark.timeout(300)
async def test_flights_are_found_by_another_program(database_url: str) -> None:
    """Loaded with their references, discovered or taken from the registry by another process, and
    asked through relations, the flights give the figures that the files give."""
    async with DataFlow(database_url) as db:
        register(db)
        for model, table in LOADED.items():
            await db.run(f"{model}BulkCreateNode", data=rows(table))
    expected = computed()
    assert expected["no plane"] > 0
    assert expected["no destination"] > 0
    assert await explored(database_url, "registry") == expected
    told = ("counts", "errors", "airlines", "jetblue")
    assert await explored(database_url, "tables") == {name: expected[name] for name in told}
