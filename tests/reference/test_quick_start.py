"""The first steps of the reference: a model, its nodes, a workflow; text as keys."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from dataflow_core import DataFlow, LocalRuntime, WorkflowBuilder
from dataflow_core.errors import (
    ModelNotInstantiable,
    NodeExecutionError,
    RecordNotFound,
)
from tests.reference.support import ran

NINE = {
    f"Telescope{kind}Node"
    for kind in (
        *("Create", "Read", "Update", "Delete", "List"),
        *("BulkCreate", "BulkUpdate", "BulkDelete", "BulkUpsert"),
    )
}


def test_a_model_makes_nine_nodes(database_url: str) -> None:
    """A class with annotations is enough: nine nodes, and a create gives the stored row."""
    with DataFlow(database_url) as db:

        @db.model
        class Telescope:
            name: str
            site: str
            mirror: float = 1.0
            in_use: bool = True

        assert set(db.node_names()) >= NINE
        workflow = WorkflowBuilder()
        workflow.add_node("TelescopeCreateNode", "first", {"name": "Lund", "site": "Sweden"})
        first = ran(workflow)["first"]
        row = first["result"]
        assert (row["id"], row["name"], row["site"]) == (1, "Lund", "Sweden")
        assert (row["mirror"], row["in_use"]) == (1.0, True)
        assert row["created_at"] == row["updated_at"]
        assert row["created_at"].utcoffset() == dt.timedelta(0)
        assert {name: first[name] for name in row} == row
        assert first["created"] is True


def test_a_workflow_creates_and_lists(database_url: str) -> None:
    """Nodes of one workflow run in the order in which they were added: a list has the row that was
    made before it, and not what its filter leaves out."""
    with DataFlow(database_url) as db:

        @db.model
        class Observation:
            star: str
            magnitude: float
            nights: int
            observer: str
            clear: bool = True

        workflow = WorkflowBuilder()
        for node_id, star, nights in (("long", "Vega", 30), ("short", "Mira", 2)):
            workflow.add_node(
                "ObservationCreateNode",
                node_id,
                {"star": star, "magnitude": 0.03, "nights": nights, "observer": "Caroline"},
            )
        workflow.add_node(
            "ObservationListNode", "many", {"filter": {"nights": {"$gt": 7}}, "limit": 5}
        )
        results = ran(workflow)
        many = results["many"]
        assert many["result"] == [results["long"]["result"]]
        assert many["records"] == many["result"]
        assert (many["count"], many["limit"], many["offset"]) == (1, 5, 0)
        assert (many["next_cursor"], many["truncated"]) == (None, False)


def test_no_url_is_needed() -> None:
    """Without a URL there is a database in memory, of this instance alone."""
    with DataFlow() as db, DataFlow() as other:

        @db.model
        @other.model
        class Lens:
            glass: str

        assert db.run_sync("LensCreateNode", glass="crown")["id"] == 1
        assert db.run_sync("LensCountNode")["count"] == 1
        assert other.run_sync("LensCountNode")["count"] == 0


def test_models_are_not_instantiated(database_url: str) -> None:
    """Calling the class of a model is refused, with the node that makes a row."""
    with DataFlow(database_url) as db:

        @db.model
        class Dome:
            place: str

        with pytest.raises(ModelNotInstantiable, match="DomeCreateNode") as caught:
            Dome(place="hill")  # type: ignore[call-arg]
        assert caught.value.code.startswith("DF-")
        workflow = WorkflowBuilder()
        workflow.add_node("DomeCreateNode", "dome", {"place": "hill"})
        assert ran(workflow)["dome"]["place"] == "hill"


@pytest.mark.parametrize("key", ["plate-0017", "17", "017", "Ångström 5 %", "a" * 100])
def test_keys_of_text_stay_text(database_url: str, key: str) -> None:
    """A key of text is never made a number, and finds its row by `id` and by `filter`."""
    with DataFlow(database_url) as db:

        @db.model
        class Plate:
            id: str
            sky: str
            state: str = "stored"

        workflow = WorkflowBuilder()
        workflow.add_node("PlateCreateNode", "made", {"id": key, "sky": "north"})
        workflow.add_node("PlateReadNode", "by_key", {"id": key})
        workflow.add_node(
            "PlateReadNode", "by_filter", {"filter": {"id": key}, "raise_on_not_found": True}
        )
        results = ran(workflow)
        assert results["made"]["id"] == key
        for node_id in ("by_key", "by_filter"):
            assert results[node_id]["result"] == results["made"]["result"]
            assert (results[node_id]["found"], results[node_id]["state"]) == (True, "stored")


def test_a_row_that_is_not_there(database_url: str) -> None:
    """Reading what nobody wrote raises, or says so where that is asked for; what finished before
    stays readable."""
    with DataFlow(database_url) as db:

        @db.model
        class Comet:
            id: str
            year: int = 1758

        def reading(**parameters: Any) -> WorkflowBuilder:
            workflow = WorkflowBuilder()
            workflow.add_node("CometCreateNode", "made")
            workflow.add_node("CometReadNode", "read", {"id": "halley", **parameters})
            return workflow

        with pytest.raises(NodeExecutionError) as caught:
            LocalRuntime().execute(reading().build())
        assert isinstance(caught.value.__cause__, RecordNotFound)
        assert (caught.value.node_id, caught.value.node_type) == ("read", "CometReadNode")
        assert caught.value.results["made"]["year"] == 1758
        assert len(caught.value.results["made"]["id"]) == 36
        read = ran(reading(raise_on_not_found=False))["read"]
        assert (read["found"], read["result"]) == (False, None)
