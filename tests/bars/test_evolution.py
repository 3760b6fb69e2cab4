"""Models and their tables, there and back: random ones, many processes, and kills."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from attrs import evolve

from dataflow_core import DataFlow
from dataflow_core.conformance.random_models import changed, random_model
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
    return [type(step).__name__ for change in plan.operations for step in change.steps]


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
