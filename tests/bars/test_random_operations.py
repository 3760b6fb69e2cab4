from __future__ import annotations

from pathlib import Path

import pytest

from dataflow_core.conformance import Difference, Session, run_random_operations

FULL = 20_000
SLICE = 300
RUN = 1_000
"""Operations of one table; then the next seed starts with a new one."""


@pytest.mark.bars
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("place", ["file", "memory"])
async def test_random_operations_equal_the_evaluator(
    place: str, seed: int, full_bars: bool, tmp_path: Path
) -> None:
    """20,000 random operations give what the evaluator gives, and leave the same rows."""
    url = ":memory:" if place == "memory" else f"sqlite:///{tmp_path / 'random.db'}"
    done = 0
    wanted = FULL if full_bars else SLICE
    if full_bars and place == "memory":
        wanted = FULL // 10
    while done < wanted:
        session = Session(url)
        try:
            report = await run_random_operations(
                session, seed=seed + done, count=min(RUN, wanted - done)
            )
        finally:
            await session.close()
        done += sum(report.operations.values())
    assert done == wanted


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
