"""A table of others with a required column that no field type fits: its rows, but no new ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dataflow_core import DataFlow, WorkflowBuilder
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.errors import UnknownNode
from dataflow_core.schema.definition import definition_of, model_of

PLACES = {
    "sqlite": "place NOT NULL",  # Of no declared type, with values of several kinds.
    "postgres": "place point NOT NULL",
    "mysql": "place POINT NOT NULL",
}
VALUES = {
    "sqlite": ("1", "'one'"),
    "postgres": ("point(1, 1)", "point(2, 2)"),
    "mysql": ("POINT(1, 1)", "POINT(2, 2)"),
}


@pytest.fixture
def db(database: SharedServer, database_url: str) -> Iterator[DataFlow]:
    """An instance with the table of others as a model."""
    kind = "postgres" if database.name == "pgbouncer" else database.name
    with DataFlow(database_url, existing_schema_mode=True) as db:
        db.run_sync(
            "SQLNode",
            sql=f"CREATE TABLE shops (id BIGINT PRIMARY KEY, n BIGINT, {PLACES[kind]})",
        )
        for number, value in enumerate(VALUES[kind]):
            db.run_sync("SQLNode", sql=f"INSERT INTO shops VALUES ({number}, {number}, {value})")
        assert db.register_schema_as_models(tables=["shops"])["errors"] == {}
        yield db


def test_rows_that_are_there_are_read_and_changed(db: DataFlow) -> None:
    """Update, delete, read, list and count work; so do the many-row forms of them."""
    assert db.run_sync("ShopUpdateNode", id=0, fields={"n": 5})["n"] == 5
    assert db.run_sync("ShopBulkUpdateNode", data=[{"id": 1, "n": 7}])["matched"] == 1
    assert db.run_sync("ShopReadNode", id=1)["n"] == 7
    assert db.run_sync("ShopDeleteNode", id=0)["deleted"]
    assert [row["n"] for row in db.run_sync("ShopListNode")["records"]] == [7]
    assert db.run_sync("ShopBulkDeleteNode", ids=[1])["deleted"] == 1
    assert db.run_sync("ShopCountNode")["count"] == 0


@pytest.mark.parametrize("kind", ["Create", "Upsert", "BulkCreate", "BulkUpsert", "Import"])
def test_what_could_add_a_row_is_refused_with_the_reason(db: DataFlow, kind: str) -> None:
    """A node that may add rows is not there, and the error says why, whoever asks."""
    name = f"Shop{kind}Node"
    workflow = WorkflowBuilder(db)
    workflow.add_node(name, "it", {})
    for ask in (lambda: db.run_sync(name), workflow.build):
        with pytest.raises(UnknownNode, match="no rows are added to Shop: place needs a value"):
            ask()


def test_methods_that_could_add_a_row_say_why_they_do_not(db: DataFlow) -> None:
    """The methods of the model's handle refuse as the nodes do."""
    shop = db.nodes.Shop
    for call in (shop.create, shop.upsert, shop.bulk_create, shop.bulk_upsert):
        with pytest.raises(UnknownNode, match="place needs a value"):
            _ = call(n=1)


def test_the_reason_survives_the_definition(db: DataFlow) -> None:
    """A model that comes back from its definition refuses the same."""
    model = db._registry.model("Shop")
    assert model_of(definition_of(model)).no_new_rows == model.no_new_rows != ""
