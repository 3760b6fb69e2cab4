"""Tables that others made become models, with what is usual in PostgreSQL alone."""

from __future__ import annotations

import asyncpg

from dataflow_core import DataFlow


async def test_tables_of_other_schemas_are_models(url: str) -> None:
    """No table answers for another one of its name; the URL may say which schema is meant."""
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
        assert result["registered_models"] == ["Member", "SalesMember", "Order"]
        assert result["errors"] == {}
        assert (await db.run("MemberCountNode"))["count"] == 1
        assert (await db.run("SalesMemberCountNode"))["count"] == 2
        member = db.nodes.SalesMember
        await member.create(id=3, name="d")
        await member.update(id=1, fields={"name": "B"})
        await member.bulk_create(data=[{"id": n, "name": "x"} for n in range(10, 400)])
        await member.bulk_upsert(data=[{"id": n, "name": "y"} for n in range(200, 600)])
        await member.delete(id=2)
        assert (await member.read(id=1))["name"] == "B"
        assert (await member.count(filter={"name": "y"}))["count"] == 400
        assert (await db.run("MemberCountNode"))["count"] == 1
    separator = "&" if "?" in url else "?"
    async with DataFlow(f"{url}{separator}search_path=sales", existing_schema_mode=True) as db:
        result = await db.aregister_schema_as_models(tables=["members", "orders"])
        assert result["errors"] == {}
        assert (await db.run("MemberCountNode"))["count"] == 592
