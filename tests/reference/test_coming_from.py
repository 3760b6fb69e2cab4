"""What was a statement of SQL or a query of a mapper before, as the reference turns it round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dataflow_core import DataFlow, WorkflowBuilder
from tests.reference.support import ran

BREADS: list[dict[str, Any]] = [
    {"name": "rye", "grams": 900, "shop": "north"},
    {"name": "spelt", "grams": 750, "shop": "north"},
    {"name": "roll", "grams": 60, "shop": "north"},
    {"name": "baguette", "grams": 250, "shop": "south"},
    {"name": "wheat", "grams": 500, "shop": "lake"},
    {"name": "oat", "grams": 500, "shop": "lake"},
    {"name": "corn", "grams": 510, "shop": "lake"},
]


@pytest.fixture
def db(database_url: str) -> Iterator[DataFlow]:
    """An instance with the breads of a bakery, each made after the one before."""
    with DataFlow(database_url) as db:

        @db.model
        class Bread:
            name: str
            grams: int
            shop: str

        for bread in BREADS:
            db.run_sync("BreadCreateNode", **bread)
        yield db


def test_groups_instead_of_sql(db: DataFlow) -> None:
    """A filter and a pipeline do what WHERE, GROUP BY and ORDER BY do: the statement gives the
    same."""
    workflow = WorkflowBuilder()
    workflow.add_node(
        "BreadListNode",
        "shops",
        {
            "filter": {"grams": {"$gt": 100}},
            "aggregate": [
                {"$group": {"_id": "$shop", "kinds": {"$sum": 1}}},
                {"$sort": {"kinds": -1}},
            ],
        },
    )
    workflow.add_node(
        "SQLNode",
        "sql",
        {
            "sql": "SELECT shop AS _id, COUNT(*) AS kinds FROM breads WHERE grams > :least"
            " GROUP BY shop ORDER BY kinds DESC",
            "parameters": {"least": 100},
        },
    )
    results = ran(workflow)
    groups = [(row["_id"], row["kinds"]) for row in results["shops"]["result"]]
    assert groups == [("lake", 3), ("north", 2), ("south", 1)]
    assert results["sql"]["records"] == results["shops"]["records"]


def test_a_list_instead_of_a_query(db: DataFlow) -> None:
    """A filter, a sort and a limit do what the calls of a mapper do; the newest comes first."""
    workflow = WorkflowBuilder()
    workflow.add_node(
        "BreadListNode",
        "some",
        {
            "filter": {"grams": {"$gt": 100}, "shop": {"$in": ["north", "lake"]}},
            "order_by": ["-created_at"],
            "limit": 4,
        },
    )
    some = ran(workflow)["some"]
    assert [row["name"] for row in some["result"]] == ["corn", "oat", "wheat", "spelt"]
    assert (some["count"], some["limit"]) == (4, 4)
