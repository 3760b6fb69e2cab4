"""Tables that others made become models, with what is usual in PostgreSQL alone."""

from __future__ import annotations

import asyncpg

from dataflow_core import DataFlow


async def test_a_table_of_another_schema_is_refused(url: str) -> None:
    """No table answers for another one of its name; the URL says which schema is meant."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        "CREATE SCHEMA sales;"
        "CREATE TABLE members (id int PRIMARY KEY, name text);"
        "CREATE TABLE sales.members (id int PRIMARY KEY, name text);"
        "CREATE TABLE sales.orders (id int PRIMARY KEY, name text);"
        "INSERT INTO members VALUES (1, 'a');"
        "INSERT INTO sales.members VALUES (1, 'b'), (2, 'c')"
    )
    await connection.close()
    async with DataFlow(url, existing_schema_mode=True) as db:
        assert set(await db.adiscover_schema()) == {"members", "sales.members", "sales.orders"}
        result = await db.aregister_schema_as_models()
        assert result["registered_models"] == ["Member"]
        assert set(result["errors"]) == {"sales.members", "sales.orders"}
        assert "is in the schema 'sales'" in result["errors"]["sales.orders"]
        assert (await db.run("MemberCountNode"))["count"] == 1
    separator = "&" if "?" in url else "?"
    async with DataFlow(f"{url}{separator}search_path=sales", existing_schema_mode=True) as db:
        result = await db.aregister_schema_as_models(tables=["members", "orders"])
        assert result["errors"] == {}
        assert (await db.run("MemberCountNode"))["count"] == 2
