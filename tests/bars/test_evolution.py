"""Models and their tables, there and back: random ones, many processes, and kills."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from dataflow_core import DataFlow
from dataflow_core.conformance.random_models import changed, random_model
from dataflow_core.operations import AlterTable
from dataflow_core.schema import Model

FULL = 200
SLICE = 12


def handle(url: str, model: Model) -> DataFlow:
    """A new instance that has the model."""
    db = DataFlow(url)
    db._registry.add_model(model)
    return db


async def planned(url: str, model: Model) -> list[str]:
    """The names of the steps that are left to do."""
    async with handle(url, model) as db:
        plan = await db.aplan()
    assert not any(change.problems for change in plan.changes), str(plan)
    altered = [change for change in plan.operations if isinstance(change, AlterTable)]
    assert len(altered) == len(plan.operations)
    return [type(step).__name__ for change in altered for step in change.steps]


@pytest.mark.bars
@pytest.mark.timeout(1_800)
async def test_a_table_is_what_its_model_says(
    database_url: str, seed: int, full_bars: bool
) -> None:
    """200 random models: made and read again, nothing differs; one thing changed, just the steps
    of the documentation differ; and these done, nothing."""
    kinds: Counter[str] = Counter()
    for number in range(FULL if full_bars else SLICE):
        rng = random.Random(seed * 1_000 + number)
        model = random_model(rng, f"Model{number}", f"table {number}")
        async with handle(database_url, model) as db:
            await db.amigrate()
        assert await planned(database_url, evolve(model)) == [], model
        change = changed(rng, model)
        assert await planned(database_url, change.model) == list(change.steps), (
            change.what,
            model,
        )
        async with handle(database_url, change.model) as db:
            plan = await db.amigrate(allow_data_loss=True)
        assert await planned(database_url, evolve(change.model)) == [], (change.what, str(plan))
        kinds[change.what] += 1
    print(f"{kinds.total()} models, changed in {len(kinds)} ways: {dict(kinds)}")


PROCESSES = 16
IN_ORDER = "every table is what its model says"
ROOT = Path(__file__).resolve().parents[2]


async def started(url: str, version: int, number: int) -> Process:
    """A program of a version, started."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bars.starting", url, str(version), str(number),
        cwd=ROOT, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip


async def ended(process: Process) -> dict[str, Any]:
    """What a program says at its end."""
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    found: dict[str, Any] = json.loads(output)
    return found


@pytest.mark.bars
@pytest.mark.timeout(600)
async def test_many_processes_start_at_once(database_url: str, full_bars: bool) -> None:
    """16 programs start at once on an empty database, and 16 with changed models on full tables:
    none fails, and every table is what its model says."""
    count = PROCESSES if full_bars else 4
    for version in (1, 2):
        programs = [await started(database_url, version, number) for number in range(count)]
        found = [await ended(program) for program in programs]
        assert {each["plan"] for each in found} == {IN_ORDER}
        assert max(each["owners"] for each in found) == count * version
    print(f"2 x {count} programs at once: no error, one schema")


@pytest.mark.bars
@pytest.mark.timeout(1_200)
async def test_a_start_that_is_killed_is_finished_by_the_next(
    database_url: str, seed: int, full_bars: bool
) -> None:
    """A program is killed at any moment of its start; the next one ends in order."""
    chance = random.Random(seed)
    kills = 0
    for number in range(40 if full_bars else 5):
        version = 1 if number < 3 else 2
        program = await started(database_url, version, number)
        with suppress(TimeoutError):
            await asyncio.wait_for(program.wait(), chance.uniform(0.1, 0.9))
        if program.returncode is None:
            program.kill()
            kills += 1
        await program.communicate()
        found = await ended(await started(database_url, version, 1_000 + number))
        assert found["plan"] == IN_ORDER
    print(f"{kills} programs killed while they started: the next one was in order each time")
