"""One tenant cannot see, count, change or guess what another has."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pytest

from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.filters.ast import Predicate
from dataflow_core.operations import confine
from dataflow_core.schema import Model
from tests.bars.tenant_rounds import Rounds
from tests.bars.tenant_world import MARKED
from tests.policies.secured import secured_database

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


@pytest.mark.bars
@pytest.mark.timeout(7_200)
async def test_row_security_alone_makes_no_difference(
    postgres_server: SharedServer,
    seed: int,
    full_bars: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same where the core confines no statement to a tenant, and PostgreSQL does alone."""

    def scopes_only(model: Model) -> tuple[Predicate, ...]:
        return everything(model)[len(model.context_fields) :]

    everything = confine.confining
    monkeypatch.setattr(confine, "confining", scopes_only)
    wanted = FULL if full_bars else SLICE
    kinds: Counter[str] = Counter()
    while kinds.total() < wanted:
        async with (
            secured_database(postgres_server) as ours,
            secured_database(postgres_server) as only,
            DataFlow(ours.plain) as mixed,
            DataFlow(only.plain) as alone,
            DataFlow(ours.above) as above,
        ):
            rounds = Rounds(mixed, alone, tmp_path, seed + kinds.total(), kinds, above=above)
            await rounds.prepare()
            await rounds.run(min(RUN, wanted - kinds.total()))
    print(f"{kinds.total()} calls, 0 leaks: {dict(sorted(kinds.items()))}")
