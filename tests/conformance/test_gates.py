"""Core refuses what a dialect declares off, before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.compile.needs import ELSEWHERE
from dataflow_core.conformance.registry import all_cases
from dataflow_core.conformance.runner import observe
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.features import FEATURES, Feature
from tests.conformance.test_runner import LyingDialect, plugin

UNGATED = {
    name
    for name, place in ELSEWHERE.items()
    if place.startswith("nothing to refuse") or name.startswith("connection.")
}


def lying(feature: Feature, name: str) -> dict[str, Any]:
    """What opens a dialect that offers all but a feature."""
    return {"plugins": [("lying", plugin(LyingDialect({name: feature})))]}


@pytest.mark.parametrize("name", sorted(FEATURES.keys() - UNGATED))
async def test_a_feature_that_is_off_is_refused(name: str) -> None:
    """For each feature: one of its cases is refused in its name, and that call sends no SQL."""
    options = lying(Feature("unsupported", "not here"), name)
    for item in all_cases():
        if item.feature == name:
            seen = await observe("lying://host/db", item, options)
            if seen.refused == name:
                assert not seen.sent
                assert "not here" in seen.explanation
                return
    raise AssertionError("no case was refused")


@pytest.mark.parametrize(("oldest", "offered"), [((3,), True), ((99,), False)])
async def test_a_claim_depends_on_the_server(oldest: tuple[int, ...], offered: bool) -> None:
    """What a newer server only can do is refused on an older one, and sent to a newer one."""
    feature = Feature("full", "a later one", server=lambda version: version >= oldest)
    for name in ("select.distinct", "types.text", "transactions"):
        async with DataFlow("lying://host/db", **lying(feature, name)) as db:

            @db.model
            class Book:
                title: str

            async def work() -> None:
                async with db.transaction():
                    await db.run("BookListNode", select=["title"], distinct=True)

            if offered:
                await work()
            else:
                with pytest.raises(UnsupportedFeature, match="a later one"):
                    await work()
