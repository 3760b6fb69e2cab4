"""Health and performance in the reference: asked for as nodes of a workflow, with real figures."""

from __future__ import annotations

from pathlib import Path

from dataflow_core import DataFlow, WorkflowBuilder
from tests.reference.support import ran


def harbour(url: str) -> DataFlow:
    """An instance with the ships of a harbour."""
    db = DataFlow(url)

    @db.model
    class Ship:
        name: str
        flag: str
        berthed: bool = True

    flags = ("NO", "SE", "DK")
    data = [{"name": f"ship {at}", "flag": flags[at % 3]} for at in range(30)]
    db.run_sync("ShipBulkCreateNode", data=data)
    return db


def test_a_slow_query_is_monitored(database_url: str) -> None:
    """The monitor is added first and has the figures of the list that was added after it."""
    with harbour(database_url) as db:
        workflow = WorkflowBuilder(db)
        workflow.add_node(
            "PerformanceMonitorNode",
            "watch",
            {"operation": "ships_by_flag", "track_metrics": True},
        )
        workflow.add_node(
            "ShipListNode",
            "by_flag",
            {
                "filter": {"berthed": True},
                "aggregate": [{"$group": {"_id": "$flag", "ships": {"$sum": 1}}}],
            },
        )
        results = ran(workflow)
    assert [row["ships"] for row in results["by_flag"]["records"]] == [10, 10, 10]
    metrics = results["watch"]["metrics"]
    assert metrics == results["watch"]["result"]["metrics"]
    assert results["watch"]["operation"] == "ships_by_flag"
    assert {name: metrics["by_flag"][name] for name in ("type", "calls", "rows")} == {
        "type": "ShipListNode",
        "calls": 1,
        "rows": 3,
    }
    assert metrics["by_flag"]["statements"] == metrics["workflow"]["statements"] == 1
    seconds = metrics["by_flag"]["seconds"]
    assert 0 < seconds["p50"] <= seconds["p95"] <= seconds["max"]


def test_a_workflow_checks_the_health(database_url: str) -> None:
    """All checks at once: a database that answers, a cache that nobody set up, measured figures."""
    with harbour(database_url) as db:
        workflow = WorkflowBuilder(db)
        workflow.add_node(
            "HealthCheckNode",
            "pulse",
            {"check_database": True, "check_cache": True, "check_connections": True},
        )
        pulse = ran(workflow)["pulse"]["result"]
    assert pulse["status"] == "healthy"
    assert pulse["database"] == "connected"
    assert pulse["cache"] == "not configured"
    assert 0 < pulse["queries_per_second"] < 1_000_000
    assert pulse["connections"]["used"] + pulse["connections"]["idle"] > 0
    assert pulse["latency_ms"] > 0


def test_a_database_that_is_not_there_is_unhealthy(tmp_path: Path) -> None:
    """The check itself succeeds, and says why the database does not answer."""
    with DataFlow(f"sqlite:///{tmp_path}/missing/harbour.db") as db:
        pulse = db.run_sync("HealthCheckNode")
    assert pulse["status"] == "unhealthy"
    assert "missing" in pulse["database"]
