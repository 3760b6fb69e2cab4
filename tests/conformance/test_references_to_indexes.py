"""References that lead to a unique index of several columns, in the model's own table too."""

from __future__ import annotations

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import ForeignKeyViolation

WITHOUT_DATABASES = ("pgbouncer",)


async def test_a_reference_to_an_index_of_the_own_table(database_url: str) -> None:
    """The table is made with the reference, which holds, and there is nothing left to change."""
    async with DataFlow(database_url) as db:

        @db.model
        class Folder:
            __dataflow__ = {
                "unique": [["owner", "path"]],
                "foreign_keys": [
                    {
                        "columns": ["owner", "within"],
                        "references": "folders",
                        "target_columns": ["owner", "path"],
                    }
                ],
            }

            owner: int
            path: str
            within: str | None

        await db.run("FolderCreateNode", owner=1, path="/", within=None)
        await db.run("FolderCreateNode", owner=1, path="/a", within="/")
        with pytest.raises(ForeignKeyViolation):
            await db.run("FolderCreateNode", owner=2, path="/a", within="/")
        assert not (await db.aplan()).changes
    async with DataFlow(database_url) as later:
        later.model(type("Folder", (Folder,), {"__module__": __name__}))
        assert (await later.run("FolderCountNode"))["count"] == 2
