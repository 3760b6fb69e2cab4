"""The generated nodes as the reference shows them: single rows, lists, many rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dataflow_core import DataFlow, WorkflowBuilder, field
from dataflow_core.errors import (
    FilterRequired,
    MultipleRecordsMatched,
    NodeExecutionError,
)
from tests.reference.support import ran


@pytest.fixture
def db(database_url: str) -> Iterator[DataFlow]:
    """An instance with the staff of a theatre."""
    with DataFlow(database_url) as db:

        @db.model(validation="off")
        class Player:
            name: str
            mail: str | None = field(default=None, unique=True)
            age: int = 0
            troupe: str = ""
            standing: str = "engaged"

        yield db


def test_single_rows(db: DataFlow) -> None:
    """Create, read, update and delete in one workflow: each gives the row, and what it did."""
    workflow = WorkflowBuilder()
    workflow.add_node("PlayerCreateNode", "made", {"name": "Thalia", "age": 30, "troupe": "west"})
    workflow.add_node("PlayerReadNode", "read", {"id": 1})
    workflow.add_node("PlayerUpdateNode", "changed", {"filter": {"id": 1}, "fields": {"age": 31}})
    workflow.add_node("PlayerDeleteNode", "gone", {"filter": {"id": 1}})
    workflow.add_node("PlayerDeleteNode", "again", {"filter": {"id": 1}})
    workflow.add_node("PlayerUpdateNode", "late", {"id": 1, "fields": {"age": 32}})
    results = ran(workflow)
    made, read, changed = (results[name]["result"] for name in ("made", "read", "changed"))
    assert read == made
    assert (made["mail"], made["standing"]) == (None, "engaged")
    assert changed == made | {"age": 31, "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > made["updated_at"]
    assert results["changed"]["updated"] is True
    assert (results["gone"]["result"], results["gone"]["deleted"]) == (changed, True)
    assert results["again"]["deleted"] is False
    assert results["late"]["updated"] is False


def test_an_update_of_one_row_hits_one(db: DataFlow) -> None:
    """An update whose filter fits several rows, or that has none, is refused and changes none."""
    db.run_sync("PlayerBulkCreateNode", data=[{"name": "a", "age": 5}, {"name": "b", "age": 5}])
    with pytest.raises(MultipleRecordsMatched):
        db.run_sync("PlayerUpdateNode", filter={"age": 5}, fields={"age": 6})
    with pytest.raises(FilterRequired):
        db.run_sync("PlayerUpdateNode", fields={"age": 6})
    assert db.run_sync("PlayerCountNode", filter={"age": 5})["count"] == 2


def test_a_list_with_conditions(db: DataFlow) -> None:
    """Ranges, patterns, sets and inequality in one filter; sorted backwards by the moment of
    making, page by page, the key last."""
    rows = [
        {"name": "Jonas", "age": 40, "troupe": "west"},
        {"name": "Jo", "age": 41, "troupe": "east"},
        {"name": "jonathan", "age": 42, "troupe": "west"},
        {"name": "Jon", "age": 65, "troupe": "west"},
        {"name": "Jona", "age": 18, "troupe": "west"},
        {"name": "Joan", "age": 43, "troupe": "south"},
        {"name": "Mara Jo", "age": 44, "troupe": "west"},
        {"name": "Josef", "age": 45, "troupe": "east", "standing": "left"},
    ]
    for row in rows:
        db.run_sync("PlayerCreateNode", **row)
    conditions = {
        "age": {"$gt": 18, "$lt": 65},
        "name": {"$regex": "^Jo"},
        "troupe": {"$in": ["west", "east"]},
        "standing": {"$ne": "left"},
    }
    workflow = WorkflowBuilder()
    page: dict[str, Any] = {"filter": conditions, "order_by": ["-created_at"]}
    workflow.add_node("PlayerListNode", "page", {**page, "limit": 10, "offset": 0})
    workflow.add_node("PlayerListNode", "second", {**page, "limit": 1, "offset": 1})
    workflow.add_node("PlayerListNode", "number", {"filter": conditions, "count_only": True})
    results = ran(workflow)
    assert [row["name"] for row in results["page"]["result"]] == ["Jo", "Jonas"]
    assert [row["name"] for row in results["second"]["result"]] == ["Jonas"]
    assert results["second"]["offset"] == 1
    assert results["number"]["count"] == 2


def test_many_rows(db: DataFlow) -> None:
    """Bulk nodes count what they did; operators add to what each row holds, and rows are matched
    by a unique field."""
    workflow = WorkflowBuilder()
    workflow.add_node(
        "PlayerBulkCreateNode",
        "made",
        {
            "data": [
                {"name": "Ida", "mail": "ida@stage.example", "age": 20, "troupe": "west"},
                {"name": "Ole", "mail": "ole@stage.example", "age": 50, "troupe": "east"},
                {"name": "Pia", "age": 33, "troupe": "west", "standing": "left"},
            ],
            "batch_size": 2,
        },
    )
    workflow.add_node(
        "PlayerBulkUpdateNode",
        "older",
        {"filter": {"troupe": "west"}, "fields": {"$inc": {"age": 1}}},
    )
    workflow.add_node("PlayerBulkDeleteNode", "left", {"filter": {"standing": "left"}})
    workflow.add_node(
        "PlayerBulkUpsertNode",
        "matched",
        {
            "data": [
                {"mail": "ida@stage.example", "name": "Ida B."},
                {"mail": "new@stage.example", "name": "Una"},
            ],
            "match_fields": ["mail"],
        },
    )
    workflow.add_node("PlayerListNode", "all", {"order_by": ["name"]})
    results = ran(workflow)
    assert results["made"]["result"] == {"processed": 3, "inserted": 3, "skipped": 0}
    assert results["older"]["result"] == {"matched": 2}
    assert results["left"]["result"] == {"matched": 1, "deleted": 1}
    assert results["matched"]["result"] == {"processed": 2, "inserted": 1, "updated": 1}
    assert all(results[name]["success"] for name in ("made", "older", "left", "matched"))
    kept = [(row["name"], row["age"], row["troupe"]) for row in results["all"]["records"]]
    assert kept == [("Ida B.", 21, "west"), ("Ole", 50, "east"), ("Una", 0, "")]


def test_soft_deletes_need_their_policy(db: DataFlow) -> None:
    """`soft_delete=True` on a model without that policy is refused and deletes nothing."""
    db.run_sync("PlayerCreateNode", name="Ida", standing="left")
    workflow = WorkflowBuilder()
    workflow.add_node(
        "PlayerBulkDeleteNode", "left", {"filter": {"standing": "left"}, "soft_delete": True}
    )
    with pytest.raises(NodeExecutionError, match="soft_delete"):
        ran(workflow)
    assert db.run_sync("PlayerCountNode")["count"] == 1
