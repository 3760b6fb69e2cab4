"""The demo's workflows: nodes, and what each waits for or takes from another."""

from __future__ import annotations

from typing import Any

from load import rows

from dataflow_core import DataFlow, Workflow, WorkflowBuilder

FAHRENHEIT_TO_CELSIUS = {"$divide": [{"$subtract": ["$temp", 32]}, 1.8]}
KILOMETRES_PER_MILE = 1.609344


def loading(db: DataFlow) -> Workflow:
    """Five bulk creates. Their rows are `deferred`: each run gives its own."""
    workflow = WorkflowBuilder(db)
    for node_id, model in (
        ("airlines", "Airline"),
        ("airports", "Airport"),
        ("planes", "Plane"),
        ("weather", "Weather"),
        ("flights", "Flight"),
    ):
        workflow.add_node(f"{model}BulkCreateNode", node_id, deferred=["data"])
    # What a foreign key points at comes first. `input` carries the order and no value.
    workflow.add_connection("airports", "result", "weather", "input")
    workflow.add_connection("airlines", "result", "flights", "input")
    workflow.add_connection("airports", "result", "flights", "input")
    return workflow.build()


def changing(db: DataFlow) -> Workflow:
    """Two bulk updates, with plain values and with update operators."""
    workflow = WorkflowBuilder(db)
    workflow.add_node(
        "FlightBulkUpdateNode",
        "mark_cancelled",
        {"filter": {"dep_time": None}, "fields": {"cancelled": True}},
    )
    workflow.add_node(
        "WeatherBulkUpdateNode",
        "to_metric_units",
        {
            "filter": {},
            "allow_all": True,
            "fields": {
                "temp": FAHRENHEIT_TO_CELSIUS,
                "$mul": {"wind_speed": KILOMETRES_PER_MILE},
            },
        },
    )
    return workflow.build()


def asking(db: DataFlow) -> Workflow:
    """Lists, counts and aggregations; all of them read, so they may run side by side."""
    workflow = WorkflowBuilder(db)
    workflow.add_node("AirlineListNode", "airlines")
    workflow.add_node(
        "FlightListNode",
        "worst_arrivals",
        {
            # None never is greater than anything: flights that did not arrive are left out.
            "filter": {"arr_delay": {"$gt": 0}},
            "order_by": ["-arr_delay"],
            "limit": 10,
        },
    )
    workflow.add_node(
        "FlightListNode",
        "by_carrier",
        {"aggregate": [_delays_by("$carrier"), {"$sort": {"mean_delay": -1}}]},
    )
    workflow.add_node(
        "FlightListNode",
        "by_hour",
        {"aggregate": [_delays_by("$hour"), {"$sort": {"_id": 1}}]},
    )
    weather = {
        "_id": "$origin",
        "hours": {"$count": {}},
        "mean_temp": {"$avg": "$temp"},
        "lowest_temp": {"$min": "$temp"},
        "strongest_wind": {"$max": "$wind_speed"},
    }
    workflow.add_node("WeatherListNode", "weather", {"aggregate": [{"$group": weather}]})
    return workflow.build()


def _delays_by(key: str) -> dict[str, Any]:
    """The stage that groups flights; `$avg` and `$max` leave out the delays that are None."""
    return {
        "$group": {
            "_id": key,
            "flights": {"$count": {}},
            "cancelled": {"$sum": {"$cond": ["$cancelled", 1, 0]}},
            "mean_delay": {"$avg": "$dep_delay"},
            "worst_delay": {"$max": "$dep_delay"},
        }
    }


def correcting(db: DataFlow) -> Workflow:
    """An upsert of the correction file, and what it changed.

    Nothing is connected here: nodes on one model run in the order in which they were added.
    """
    workflow = WorkflowBuilder(db)
    diverted = {"dep_time": {"$exists": True}, "arr_delay": None}
    workflow.add_node("FlightCountNode", "diverted_before", {"filter": diverted})
    workflow.add_node("FlightCountNode", "tailless_before", {"filter": {"tailnum": None}})
    workflow.add_node(
        "FlightBulkUpsertNode",
        "corrections",
        {"data": list(rows("corrections")), "match_fields": ["time_hour", "carrier", "flight"]},
    )
    workflow.add_node("FlightCountNode", "diverted_after", {"filter": diverted})
    workflow.add_node("FlightCountNode", "tailless_after", {"filter": {"tailnum": None}})
    return workflow.build()
