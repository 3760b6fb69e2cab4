"""One tenant cannot see, count, change or guess what another has."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pytest

from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer
from tests.bars.tenant_rounds import Rounds
from tests.bars.tenant_world import MARKED

WITHOUT_DATABASES = ("pgbouncer",)
FULL = 50_000
SLICE = 150
RUN = 1_000
"""Calls on one database; then the next seed starts with a new one."""


@pytest.mark.bars
@pytest.mark.timeout(7_200)
async def test_other_tenants_make_no_difference(
    database: SharedServer,
    seed: int,
    full_bars: bool,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """50,000 random calls of one tenant give what they give where no other tenant exists."""
    caplog.set_level(logging.INFO)
    wanted = FULL if full_bars else SLICE
    kinds: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    while kinds.total() < wanted:
        urls = [database.new_database(), database.new_database()]
        mixed, alone = (DataFlow(url) for url in urls)
        rounds = Rounds(mixed, alone, tmp_path, seed + kinds.total(), kinds, errors)
        try:
            await rounds.prepare()
            await rounds.run(min(RUN, wanted - kinds.total()))
        finally:
            await mixed.aclose()
            await alone.aclose()
            for url in urls:
                database.drop_database(url)
        told = MARKED.search(caplog.text)
        assert told is None, caplog.text[told.start() - 500 :]
        caplog.clear()
    print(f"{kinds.total()} calls, 0 leaks; errors on both sides: {errors.total()}")
    print(f"calls: {dict(sorted(kinds.items()))}; errors: {dict(errors)}")
