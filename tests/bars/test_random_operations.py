from __future__ import annotations

from collections import Counter

import pytest

from dataflow_core.conformance import Difference, Session, run_random_operations
from dataflow_core.conformance.servers import SharedServer

FULL = 20_000
FEWER = 2_000
"""Where the same code talks to a database that others are compared with."""
COMPARED = ("sqlite", "postgres", "mysql")
"""On the others, versions that are reported only and the pooler, fewer are run."""
SLICE = 300
RUN = 1_000
"""Operations of one table; then the next seed starts with a new one."""


async def compare(url: str, seed: int, wanted: int) -> None:
    """Run so many operations; print how many of each kind, and how many were errors."""
    kinds: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    while sum(kinds.values()) < wanted:
        done = sum(kinds.values())
        session = Session(url)
        try:
            report = await run_random_operations(
                session, seed=seed + done, count=min(RUN, wanted - done)
            )
        finally:
            await session.close()
        kinds.update(report.operations)
        errors.update(report.errors)
    assert sum(kinds.values()) == wanted
    print(f"{wanted} random operations, 0 differences; errors on both sides: {errors.total()}")
    print(f"operations: {dict(kinds)}; errors: {dict(errors)}")


@pytest.mark.bars
@pytest.mark.timeout(3_600)
async def test_random_operations_equal_the_evaluator(
    database: SharedServer, database_url: str, seed: int, full_bars: bool
) -> None:
    """20,000 random operations give what the evaluator gives, and leave the same rows."""
    full = FULL if database.name in COMPARED else FEWER
    await compare(database_url, seed, full if full_bars else SLICE)


@pytest.mark.bars
@pytest.mark.timeout(3_600)
async def test_random_operations_with_every_bulk_write_loaded(
    database: SharedServer,
    database_url: str,
    seed: int,
    full_bars: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same where even a single row of a bulk write goes by COPY, LOAD DATA or a temporary
    table: how many rows there are changes nothing."""
    for dialect in ("postgres", "mysql"):
        monkeypatch.setattr(f"dataflow_{dialect}.bulk._LEAST_ROWS", 1)
    full = FULL if database.name in COMPARED else FEWER
    await compare(database_url, seed, full if full_bars else SLICE)


@pytest.mark.bars
@pytest.mark.timeout(1_800)
async def test_random_operations_in_memory(seed: int, full_bars: bool) -> None:
    """In memory, where every call has the one connection, the results are the same too."""
    await compare(":memory:", seed, FEWER if full_bars else SLICE)


async def test_a_difference_is_found(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that sorts nulls last is caught, with seed, operation and statement."""
    from dataflow_sqlite.compiler import SQLiteCompiler

    def nulls_last(self: SQLiteCompiler, sql: str, *, descending: bool, nullable: bool) -> str:
        return f"{sql} {'DESC NULLS FIRST' if descending else 'ASC NULLS LAST'}"

    monkeypatch.setattr(SQLiteCompiler, "order_item", nulls_last)
    session = Session(":memory:")
    try:
        with pytest.raises(Difference) as caught:
            await run_random_operations(session, seed=seed, count=500)
    finally:
        await session.close()
    text = str(caught.value)
    assert f"seed {seed}, operation " in text
    assert "statement: " in text
    assert "ORDER BY" in text


async def test_a_seed_repeats(seed: int) -> None:
    """The same seed makes the same operations and the same errors."""
    reports = []
    for _ in range(2):
        session = Session(":memory:")
        try:
            reports.append(await run_random_operations(session, seed=seed, count=150))
        finally:
            await session.close()
    assert reports[0] == reports[1]
