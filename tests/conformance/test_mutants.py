"""A dialect that lies is caught: one thing wrong at a time, each found by the cases about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataflow_core.conformance import Outcome
from tests.conformance.mutants.claims import CLAIMS
from tests.conformance.mutants.connected import CONNECTED
from tests.conformance.mutants.mutant import Mutant, run_mutant
from tests.conformance.mutants.spelled import SPELLED
from tests.conformance.mutants.stored import STORED
from tests.conformance.mutants.tables import TABLES

MUTANTS = (*CLAIMS, *SPELLED, *STORED, *TABLES, *CONNECTED)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
async def test_a_lie_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    """Every mutant fails each case that is about its lie, with the outcome that names the lie."""
    place = f"sqlite:///{tmp_path / 'mutant.db'}" if mutant.file else ":memory:"
    report = await run_mutant(mutant, place)
    outcomes = {
        result.case.id: result.outcome
        for result in report.results
        if result.case.id in mutant.caught
    }
    assert outcomes == dict.fromkeys(mutant.caught, mutant.outcome)
    assert not report.passed
    for result in report.bad:
        explanation = result.notes or result.observation.explanation
        assert explanation, f"{result.case.id} does not say what is wrong"


@pytest.mark.timeout(120)
async def test_the_truth_is_not_caught() -> None:
    """Without a lie, the same dialect passes every case that catches a mutant."""
    cases = tuple(dict.fromkeys(name for mutant in MUTANTS for name in mutant.caught))
    report = await run_mutant(Mutant("tells the truth", cases))
    assert {result.outcome for result in report.results} == {Outcome.PASS}


def test_there_are_mutants_of_every_kind() -> None:
    """More than a hundred lies, each named once; claims and results of every topic that has any."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) > 100
    assert {mutant.outcome for mutant in MUTANTS} == {
        Outcome.FAIL,
        Outcome.STALE_CLAIM,
        Outcome.BROKEN_CLAIM,
        Outcome.UNDECLARED,
    }
    topics = {name.partition(".")[0] for mutant in MUTANTS for name in mutant.caught}
    assert topics >= {
        *("types", "filters", "order", "paging", "select", "updates", "aggregates", "expressions"),
        *("upsert", "bulk", "constraints", "transactions", "isolation", "zones", "ddl", "faults"),
        *("cancellation", "identifiers"),
    }
