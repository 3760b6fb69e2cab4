from __future__ import annotations

from pathlib import Path

import pytest

from dataflow_core.conformance import Case, Outcome, all_cases, run
from dataflow_core.conformance.outcome import claim_of, judged
from dataflow_core.conformance.runner import observe
from dataflow_core.features import FEATURES, features_of
from dataflow_sqlite.dialect import load

CASES = all_cases()
UNTESTED = {"connection.read_replica", "connection.tls"}
LACKING = {"schema.partitions", "schema.row_security", "transactions.two_phase"}


@pytest.fixture(params=["file", pytest.param("memory", marks=pytest.mark.one_python)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, in a file and in memory."""
    return ":memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'suite.db'}"


@pytest.mark.timeout(90)
@pytest.mark.parametrize("item", CASES, ids=[item.id for item in CASES])
async def test_case(item: Case, url: str) -> None:
    """SQLite does what it declares, case by case, and refuses the few things that it cannot do."""
    seen = await observe(url, item)
    result = judged(item, claim_of(load().features, item, None), seen)
    expected = Outcome.DECLINED if item.feature in LACKING else Outcome.PASS
    assert result.outcome is expected, f"{item.rule}\n{seen.explanation}"


def test_every_feature_has_a_case() -> None:
    """Each feature of the core and standard tiers has a case of its own."""
    tested = {item.feature for item in CASES}
    assert set(FEATURES) - tested == UNTESTED
    assert not UNTESTED & {*features_of("core"), *features_of("standard")}


def test_the_suite_is_not_small() -> None:
    """The suite holds more than six hundred cases, each with a rule."""
    assert len(CASES) > 600
    assert all(item.rule.endswith(".") for item in CASES)


async def test_a_run_leaves_no_table(tmp_path: Path) -> None:
    """A run drops every table that it made."""
    import sqlite3

    path = tmp_path / "run.db"
    report = await run(f"sqlite:///{path}", topics=["constraints", "identifiers"])
    assert report.passed
    with sqlite3.connect(path) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
        assert names.fetchall() == []
    connection.close()
