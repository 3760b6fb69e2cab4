"""Tables that others made become models, with what is usual in MySQL alone."""

from __future__ import annotations

from pathlib import Path

from dataflow_core import DataFlow
from tests.mysql.support import connected, driver_of


async def test_tables_may_use_one_name_for_their_indexes(mysql_url: str, tmp_path: Path) -> None:
    """Names of indexes are by table here: discovery, the registry and read-only imports take them.

    An import that may have to make the tables refuses them: other databases know each name once.
    """
    connection = await connected(driver_of(mysql_url))
    for table in ("authors", "books"):
        await connection.fetch(
            f"CREATE TABLE {table} (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20),"
            " INDEX by_name (name))",
            (),
        )
    await connection.close()
    path = tmp_path / "models.json"
    async with DataFlow(mysql_url) as db:
        result = await db.aregister_schema_as_models(tables=["authors", "books"])
        assert result["errors"] == {}
        assert result["registered_models"] == ["Author", "Book"]
        assert db.export_models(path) == 2
    async with DataFlow(mysql_url) as db:
        result = await db.areconstruct_models_from_registry()
        assert set(result["reconstructed_models"]) >= {"Author", "Book"}
        assert (await db.run("BookCountNode"))["count"] == 0
    async with DataFlow(mysql_url, existing_schema_mode=True) as db:
        assert db.import_models(path)["errors"] == {}
    async with DataFlow(mysql_url) as db:
        errors = db.import_models(path)["errors"]
        assert errors == {"Book": "Book: Author has an index called 'by_name' already"}
