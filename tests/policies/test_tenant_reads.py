"""Tenants: nothing but the rows of the tenant in force is read.

Run against mutants of the policy too (`tests/bars/test_tenant_mutations.py`): every line is needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from dataflow_core import DataFlow
from dataflow_core.errors import (
    RecordNotFound,
)
from tests.policies.boxes import (
    BOXES_OF_OTHERS,
    OTHERS,
    filled,
    looked_up,
    weights,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
WITHOUT_DATABASES = ("pgbouncer",)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def db(module_database_url: str) -> AsyncIterator[DataFlow]:
    """Two tenants with rows under the same natural keys; those of others weigh a hundred more."""
    async with filled(module_database_url) as db:
        yield db


@pytest.mark.parametrize(
    "filter",
    [
        {},
        {"weight": {"$gt": 0}},
        {"$or": [{"weight": {"$gt": 100}}, {"weight": {"$lt": 3}}]},
        {"$and": [{"weight": {"$gt": 0}}, {"code": {"$ne": "three"}}]},
        {"$not": {"weight": 50}},
        {"tenant_id": {"$in": ["acme", OTHERS]}},
        {"weight": {"$gt": 0}, "code": {"$in": ["one", "two"]}},
    ],
    ids=str,
)
async def test_a_filter_lets_no_other_rows_through(db: DataFlow, filter: dict[str, Any]) -> None:
    """Lists, counts and reads find rows of the tenant in force, whatever the filter says."""
    with db.tenant("acme"):
        rows = (await db.run("BoxListNode", filter=filter))["records"]
        assert [(row["code"], row["weight"]) for row in rows] == [("one", 1), ("two", 2)]
        assert (await db.run("BoxCountNode", filter=filter))["count"] == 2
        both = {"$and": [filter, {"code": "one"}]}
        assert (await db.run("BoxReadNode", filter=both))["weight"] == 1
        assert (await db.run("BoxListNode", filter={**both, "tenant_id": OTHERS}))["count"] == 0
        some = {"$and": [filter, {"code": "one"}, {"weight": 2}]}
        assert (await db.run("BoxCountNode", filter=some))["count"] == 0


async def test_keys_of_others_lead_nowhere(db: DataFlow) -> None:
    """Reading, updating and deleting by a key that others have finds nothing."""
    with db.tenant("acme"):
        with pytest.raises(RecordNotFound):
            await db.run("BoxReadNode", id=3)
        assert (await db.run("BoxUpdateNode", id=3, fields={"weight": 0}))["updated"] is False
        assert (await db.run("BoxDeleteNode", id=3))["deleted"] is False
        assert (await db.run("BoxBulkDeleteNode", ids=[3, 4]))["deleted"] == 0
        data = [{"id": 3, "weight": 0}, {"id": 4, "weight": 0}]
        assert (await db.run("BoxBulkUpdateNode", data=data))["matched"] == 0
        assert (await db.run("LabelReadNode", name="x"))["weight"] == 3
    assert await weights(db) == BOXES_OF_OTHERS


@pytest.mark.parametrize(
    ("node", "filter", "found"),
    [
        ("Label", {"box.weight": {"$gt": 100}}, 0),
        ("Label", {"box.weight": 1}, 2),
        ("Label", {"$not": {"box.weight": {"$gt": 100}}}, 2),
        ("Label", {"$or": [{"box.weight": {"$gt": 100}}, {"weight": 50}]}, 0),
        ("Label", {"$and": [{"box.weight": {"$gt": 100}}, {"weight": 3}]}, 0),
        ("Box", {"labels.weight": {"$gt": 100}}, 0),
        ("Box", {"boxes.weight": 2}, 1),
        ("Shelf", {"boxes.weight": {"$gt": 100}}, 0),
        ("Shelf", {"boxes.weight": {"$gt": 0}}, 1),
        ("Shelf", {"boxes.labels.weight": {"$gt": 100}}, 0),
        ("Shelf", {"$nor": [{"boxes.weight": {"$gt": 100}}]}, 1),
        ("Shelf", {"$or": [{"name": "t"}, {"boxes.weight": {"$gt": 100}}]}, 0),
        ("Shelf", {"$or": [{"name": "t"}, {"boxes.weight": 1}]}, 1),
        ("Shelf", {"$and": [{"name": "s"}, {"boxes.weight": {"$gt": 100}}]}, 0),
    ],
)
async def test_related_rows_of_others_are_not_asked(
    db: DataFlow, node: str, filter: dict[str, Any], found: int
) -> None:
    """A condition on related rows is about those of the tenant, from a shared model as well."""
    with db.tenant("acme"):
        assert (await db.run(f"{node}CountNode", filter=filter))["count"] == found


async def test_included_rows(db: DataFlow) -> None:
    """Rows that come with a shared row are those of the tenant."""
    with db.tenant("acme"):
        [shelf] = (await db.run("ShelfListNode", include=["boxes.labels"]))["records"]
    assert [box["weight"] for box in shelf["boxes"]] == [1]
    assert [label["weight"] for label in shelf["boxes"][0]["labels"]] == [3, 3]


async def test_lists_of_looked_up_rows(db: DataFlow) -> None:
    """Rows that are looked up and stay in a list are those of the tenant."""
    lookup = {"from": "Box", "localField": "id", "foreignField": "shelf_id", "as": "boxes"}
    with db.tenant("acme"):
        [shelf] = (await db.run("ShelfListNode", aggregate=[{"$lookup": lookup}]))["result"]
    assert [box["weight"] for box in shelf["boxes"]] == [1]


@pytest.mark.parametrize(
    ("node", "pipeline", "rows"),
    [
        ("Box", [{"$group": {"_id": None, "w": {"$sum": "$weight"}}}], [{"_id": None, "w": 3}]),
        ("Label", looked_up("slug", "Label", "slug"), [{"w": 3}, {"w": 3}]),
        ("Box", looked_up("code", "Box", "code"), [{"w": 1}, {"w": 2}]),
        ("Shelf", looked_up("id", "Box", "shelf_id"), [{"w": 1}]),
        ("Box", looked_up("id", "Label", "box_id", keep=True), [{"w": None}, {"w": 3}, {"w": 3}]),
        ("Box", [*looked_up("shelf_id", "Shelf", "id")[:2], {"$count": "n"}], [{"n": 1}]),
        (
            "Shelf",
            [
                {"$project": {"_id": 0, "id": 1}},
                {"$unionWith": {"coll": "Box", "pipeline": [{"$project": {"_id": 0, "id": 1}}]}},
                {"$count": "n"},
            ],
            [{"n": 3}],
        ),
        (
            "Shelf",
            [
                {"$project": {"_id": 0, "id": 1}},
                {
                    "$unionWith": {
                        "coll": "Box",
                        "pipeline": [
                            {"$match": {"labels.weight": {"$gt": 0}}},
                            {"$project": {"_id": 0, "id": 1}},
                        ],
                    }
                },
                {"$sort": {"id": 1}},
            ],
            [{"id": 1}, {"id": 1}],
        ),
        (
            "Box",
            [
                {"$project": {"_id": 0, "id": 1}},
                {
                    "$unionWith": {
                        "coll": "Shelf",
                        "pipeline": [
                            {"$match": {"boxes.weight": {"$gt": 100}}},
                            {"$project": {"_id": 0, "id": 1}},
                        ],
                    }
                },
                {"$count": "n"},
            ],
            [{"n": 2}],
        ),
        ("Shelf", [{"$match": {"boxes.weight": {"$gt": 100}}}, {"$count": "n"}], []),
        ("Shelf", [{"$match": {"boxes.weight": 1}}, {"$project": {"id": 1}}], [{"id": 1}]),
        (
            "Shelf",
            [
                {
                    "$facet": {
                        "none": [{"$match": {"boxes.weight": {"$gt": 100}}}, {"$count": "n"}],
                        "one": [{"$match": {"boxes.weight": 1}}, {"$count": "n"}],
                    }
                }
            ],
            [{"none": [], "one": [{"n": 1}]}],
        ),
        ("Box", [{"$facet": {"all": [{"$count": "n"}]}}], [{"all": [{"n": 2}]}]),
    ],
)
async def test_pipelines(
    db: DataFlow, node: str, pipeline: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> None:
    """Every model that stands in a pipeline is confined: first, looked up, united, in branches."""
    with db.tenant("acme"):
        found = (await db.run(f"{node}ListNode", aggregate=pipeline))["result"]
    assert found == rows
