"""An order with its items and figures about both, as the examples of production have it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from dataflow_core import DataFlow, WorkflowBuilder
from tests.reference.support import ran


@pytest.fixture
def db(database_url: str) -> Iterator[DataFlow]:
    """An instance with the models of a seed shop."""
    with DataFlow(database_url) as db:

        @db.model
        class Basket:
            buyer: int
            total: float
            state: str = "open"

        @db.model
        class BasketLine:
            basket_id: int
            seed: int
            packets: int
            price: float

        yield db


def order(buyer: int, lines: list[dict[str, Any]], total: float) -> WorkflowBuilder:
    """An order in one workflow: the basket, its lines, then the basket's total."""
    workflow = WorkflowBuilder()
    workflow.add_node("BasketCreateNode", "basket", {"buyer": buyer, "total": 0})
    workflow.add_node("BasketLineBulkCreateNode", "lines", {"data": lines})
    workflow.add_node("BasketUpdateNode", "total", {"fields": {"total": total, "state": "paid"}})
    workflow.add_connection("basket", "id", "lines", "basket_id")
    workflow.add_connection("basket", "id", "total", "basket_id")
    workflow.add_connection("lines", "result", "total", "input")
    return workflow


def test_a_key_is_handed_on(db: DataFlow) -> None:
    """The key of a new row goes into every row of a bulk create and finds the row to update;
    `input` carries the order only."""
    db.run_sync("BasketCreateNode", buyer=1, total=5.5)
    lines = [{"seed": 1, "packets": 2, "price": 1.5}, {"seed": 2, "packets": 1, "price": 2.25}]
    results = ran(order(2, lines, 5.25))
    assert results["basket"]["id"] == 2
    assert (results["lines"]["inserted"], results["lines"]["success"]) == (2, True)
    total = results["total"]
    assert (total["id"], total["total"], total["state"], total["updated"]) == (
        2,
        5.25,
        "paid",
        True,
    )
    kept = db.run_sync("BasketLineListNode", filter={"basket_id": 2})["records"]
    assert [(row["seed"], row["packets"], row["price"]) for row in kept] == [
        (1, 2, 1.5),
        (2, 1, 2.25),
    ]
    assert db.run_sync("BasketReadNode", id=1)["state"] == "open"


def test_figures(db: DataFlow) -> None:
    """A moment given as text is a moment; groups are summed, sorted and cut."""
    before = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    for seeds in ((1, 2), (2, 3), (2,)):
        lines = [{"seed": seed, "packets": seed, "price": 1.0} for seed in seeds]
        ran(order(9, lines, 1.0))
    workflow = WorkflowBuilder()
    for node_id, moment in (("today", before), ("later", before + dt.timedelta(days=1))):
        workflow.add_node(
            "BasketListNode",
            node_id,
            {"filter": {"created_at": {"$gte": moment.isoformat()}, "state": "paid"}},
        )
    workflow.add_node(
        "BasketLineListNode",
        "best",
        {
            "aggregate": [
                {"$group": {"_id": "$seed", "sold": {"$sum": "$packets"}}},
                {"$sort": {"sold": -1}},
                {"$limit": 2},
            ]
        },
    )
    results = ran(workflow)
    assert len(results["today"]["result"]) == 3
    assert results["later"]["result"] == []
    assert results["best"]["result"] == [{"_id": 2, "sold": 6}, {"_id": 3, "sold": 3}]
