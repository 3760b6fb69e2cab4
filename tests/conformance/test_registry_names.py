"""The registry has one model of a name, whichever instance comes first."""

from __future__ import annotations

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import RegistryConflict

MESSAGE = r"Item is registered for the table 'first_items', by .+, and not for 'other_items'"


def opened(url: str, table: str, **settings: bool) -> DataFlow:
    """An instance whose model Item has this table."""
    db = DataFlow(url, **settings)

    @db.model(validation="off")
    class Item:
        __tablename__ = table
        name: str

    return db


def test_another_table_for_a_name_is_refused(database_url: str) -> None:
    """The error names the model, the table it is registered for and by whom; nothing is made."""
    with opened(database_url, "first_items") as first, opened(database_url, "other_items") as other:
        first.run_sync("ItemCreateNode", name="a")
        for use in (lambda: other.run_sync("ItemCreateNode", name="b"), other.migrate):
            with pytest.raises(RegistryConflict, match=MESSAGE):
                use()
        assert "other_items" not in first.discover_schema()


def test_the_first_goes_on(database_url: str) -> None:
    """What was refused leaves the registry, and the model that it has, as they were."""
    with opened(database_url, "first_items") as first, opened(database_url, "other_items") as other:
        first.run_sync("ItemCreateNode", name="a")
        with pytest.raises(RegistryConflict):
            other.run_sync("ItemListNode")
    with DataFlow(database_url, existing_schema_mode=True) as later:
        assert later.reconstruct_models_from_registry()["reconstructed_models"] == ["Item"]
        assert later.run_sync("ItemCountNode")["count"] == 1


def test_a_model_moves_once_its_table_is_gone(database_url: str) -> None:
    """A name is free for another table when that of the registry was dropped."""
    with opened(database_url, "first_items") as first:
        first.run_sync("ItemCreateNode", name="a")
        first.run_sync("SQLNode", sql="DROP TABLE first_items")
    with opened(database_url, "other_items") as other:
        assert other.run_sync("ItemCreateNode", name="b")["id"] == 1


def test_without_a_registry_there_is_no_conflict(database_url: str) -> None:
    """An instance that keeps no models makes its table."""
    with opened(database_url, "first_items") as first:
        first.run_sync("ItemCreateNode", name="a")
    with opened(database_url, "other_items", enable_model_persistence=False) as other:
        assert other.run_sync("ItemListNode")["count"] == 0
