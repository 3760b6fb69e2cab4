"""Plans for tables that others made."""

from __future__ import annotations

from dataflow_core import DataFlow


def test_no_automatic_timestamps_are_added_to_tables_of_others(database_url: str) -> None:
    """Neither the plan nor a migration adds columns that the first use would do without."""
    with DataFlow(database_url) as db:
        db.run_sync("SQLNode", sql="CREATE TABLE makers (id INT PRIMARY KEY, n INT)")

        @db.model(validation="off")
        class Maker:
            id: int
            n: int | None = None
            added: int | None = None

        assert str(db.plan()).splitlines()[1:] == ["  - add the column 'added' (int)"]
        db.migrate()
        columns = [item["name"] for item in db.discover_schema()["makers"]["columns"]]
        assert columns == ["id", "n", "added"]
        assert not db.plan()
        assert db.run_sync("MakerCreateNode", id=1, added=2)["added"] == 2
