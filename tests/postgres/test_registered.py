"""Tables that others made become models, with what is usual in PostgreSQL alone."""

from __future__ import annotations

import asyncpg

from dataflow_core import DataFlow


async def test_two_schemas_may_have_tables_of_one_name(url: str) -> None:
    """A table is told by its schema too: both become models, each with its own rows."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        "CREATE SCHEMA sales;"
        "CREATE TABLE members (id int PRIMARY KEY, name text);"
        "CREATE TABLE sales.members (id int PRIMARY KEY, name text);"
        "CREATE INDEX by_name ON members (name);"
        "CREATE INDEX by_name ON sales.members (name);"
        "INSERT INTO members VALUES (1, 'a');"
        "INSERT INTO sales.members VALUES (1, 'b'), (2, 'c')"
    )
    await connection.close()
    async with DataFlow(url, existing_schema_mode=True) as db:
        print(list(await db.adiscover_schema()))
        result = await db.aregister_schema_as_models(tables=["members", "sales.members"])
        assert result["errors"] == {}
        print(result["registered_models"], [(m.name, m.schema, m.table) for m in db._registry.models_of("primary")], db.explain("SalesMemberCountNode"))
        counts = [
            (await getattr(db.nodes, name).count())["count"] for name in result["registered_models"]
        ]
        assert counts == [1, 2]
