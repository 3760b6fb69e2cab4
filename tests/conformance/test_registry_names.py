"""A name that the registry has for one table is not given to another that is discovered."""

from __future__ import annotations

from dataflow_core import DataFlow


def test_a_discovered_table_does_not_take_a_registered_name(database_url: str) -> None:
    """The conflict names both tables and who came first; what is registered stays."""
    with DataFlow(database_url) as first:

        @first.model(validation="off")
        class Item:
            __tablename__ = "first_items"
            name: str

        first.run_sync("ItemCreateNode", name="a")
        first.run_sync("SQLNode", sql="CREATE TABLE items (id INT PRIMARY KEY)")
    with DataFlow(database_url, existing_schema_mode=True) as other:
        found = other.register_schema_as_models(tables=["items"])
        reason = found["errors"]["items"]
        assert reason.startswith("Item is registered for the table 'first_items', by ")
        assert reason.endswith(", and not for 'items'")
    with DataFlow(database_url, existing_schema_mode=True) as later:
        assert later.reconstruct_models_from_registry()["reconstructed_models"] == ["Item"]
        assert later.run_sync("ItemCountNode")["count"] == 1


def test_two_programs_with_one_name_for_two_tables_are_told_apart(database_url: str) -> None:
    """Each goes on with its own table; whoever reconstructs gets one of them, and the reason why
    the other is none."""
    for table in ("first_items", "second_items", "first_items"):
        with DataFlow(database_url) as db:

            class Item:
                __tablename__ = table
                name: str

            db.model(validation="off")(Item)
            db.run_sync("ItemCreateNode", name=table)
    with DataFlow(database_url, existing_schema_mode=True) as later:
        found = later.reconstruct_models_from_registry()
        assert found["reconstructed_models"] == ["Item"]
        assert found["error_count"] == 1
        reason = found["errors"]["first_items"]
        assert reason.startswith("Item is registered for the table 'second_items', by ")
        assert later.run_sync("ItemCountNode")["count"] == 1
