from __future__ import annotations

import asyncio

import pytest

from dataflow_core.conformance import Case, all_cases
from dataflow_core.conformance.outcome import claim_of, judged
from dataflow_core.conformance.runner import Probe, observe, probe
from dataflow_core.features import FEATURES, features_of

CASES = all_cases()
# `test_suite.py` runs it, in a file and in memory.
WITHOUT_DATABASES = ("sqlite",)


@pytest.fixture(scope="module")
def probed(module_database_url: str) -> Probe:
    """What the database says of itself."""
    return asyncio.run(probe(module_database_url))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("item", CASES, ids=[item.id for item in CASES])
async def test_case(item: Case, module_database_url: str, probed: Probe) -> None:
    """Each database does what its dialect declares, case by case."""
    seen = await observe(module_database_url, item)
    claim = claim_of(probed.dialect.features, item, probed.server.version)
    result = judged(item, claim, seen)
    text = f"{result.outcome}: {', '.join(result.notes)}\n{item.rule}\n{seen.explanation}"
    assert not result.outcome.bad, text


def test_no_gap_is_declared(probed: Probe) -> None:
    """Each feature of the core and standard tiers is declared as working."""
    declared = probed.dialect.features
    assert not FEATURES.keys() - declared.keys()
    wanted = {*features_of("core"), *features_of("standard")}
    assert not {name for name in wanted if declared[name].level != "full"}
