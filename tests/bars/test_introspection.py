"""How long it takes to read the tables of others: by their number, not by statements."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.conformance.watched import Recording, WatchedDialect
from tests.schemas.plain import Plain, opened

# The plain driver makes the tables; the queries behind a pooler are the same.
WITHOUT_DATABASES = ("pgbouncer",)

FULL = 500
SLICE = 60
FEW = 10
SECONDS = 2.0
ROUNDS = 3


def script(number: int) -> str:
    """A table with a key, a unique column, two indexes, a check, a reference, and a moment."""
    before = max(number - 1, 0)
    return f"""
        CREATE TABLE made_{number} (
            id INT NOT NULL PRIMARY KEY,
            code VARCHAR(40) NOT NULL UNIQUE,
            title VARCHAR(200) NOT NULL DEFAULT 'none',
            price DECIMAL(10, 2) CHECK (price >= 0),
            weight DOUBLE PRECISION,
            note TEXT,
            active BOOLEAN NOT NULL DEFAULT TRUE,
            made TIMESTAMP NULL,
            day DATE,
            before_id INT,
            FOREIGN KEY (before_id) REFERENCES made_{before} (id)
        );
        CREATE INDEX made_{number}_title ON made_{number} (title, day);
        CREATE INDEX made_{number}_before ON made_{number} (before_id);
        INSERT INTO made_{number} (id, code, made, day)
            VALUES (1, 'a', '2024-01-02 03:04:05', '2024-01-02');
    """


async def make(plain: Plain, numbers: range) -> None:
    """Make the tables of these numbers."""
    await plain.load(["".join(map(script, numbers))], None)


async def statements(url: str) -> int:
    """How many statements a new instance sends to discover all tables."""
    recording = Recording(deque())
    async with DataFlow(url, existing_schema_mode=True) as db:
        engine: Any = db.engine()
        engine.dialect = WatchedDialect(engine.dialect, recording, {})
        await db.adiscover_schema()
    return len(recording.statements)


@pytest.mark.bars
@pytest.mark.timeout(600)
async def test_many_tables_are_discovered_at_once(
    database: SharedServer, database_url: str, full_bars: bool
) -> None:
    """As many statements for 60 tables as for 10; 500 tables in less than 2 seconds."""
    plain = await opened(database.name, database_url)
    try:
        await make(plain, range(FEW))
        few = await statements(database_url)
        await make(plain, range(FEW, SLICE))
        assert await statements(database_url) == few > 0
        if full_bars:
            await make(plain, range(SLICE, FULL))
    finally:
        await plain.close()
    count = FULL if full_bars else SLICE
    times = []
    for _ in range(ROUNDS):
        async with DataFlow(database_url, existing_schema_mode=True) as db:
            start = time.perf_counter()
            found = await db.adiscover_schema()
            times.append(time.perf_counter() - start)
            assert len(found) == count
            start = time.perf_counter()
            result = await db.aregister_schema_as_models()
            models = time.perf_counter() - start
            assert (result["success_count"], result["errors"]) == (count, {})
    print(
        f"{database.name}, {count} tables: discovered in {min(times):.2f}-{max(times):.2f} s"
        f" ({few} statements for {SLICE}), registered as models in {models:.2f} s"
    )
    assert not full_bars or max(times) < SECONDS
