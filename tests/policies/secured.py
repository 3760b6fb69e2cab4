"""Models whose rows the database keeps apart, and roles that it does so for."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
from attrs import frozen

from dataflow_core import DataFlow, field
from dataflow_core.conformance.servers import SharedServer

__all__ = [
    "MANY",
    "SECURED",
    "Database",
    "secured_database",
    "stored",
    "titles",
    "with_models",
]

SECURED: Final = {"multi_tenant": {"row_security": True}, "timestamps": False}
"""The options of the models."""
MANY: Final = 2_500
"""Rows that are written in more than one way."""


@frozen
class Database:
    """A database: the URL of its superuser, and that of a role that owns what it makes."""

    above: str
    plain: str
    role: str


@asynccontextmanager
async def secured_database(server: SharedServer) -> AsyncIterator[Database]:
    """A new database with a role that is no superuser."""
    url = server.new_database()
    role = f"dataflow_{secrets.token_hex(6)}"
    above = await asyncpg.connect(url)
    await above.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    await above.execute(f"GRANT ALL ON SCHEMA public TO {role}")
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    try:
        yield Database(url, parts._replace(netloc=f"{role}:secret@{host}").geturl(), role)
        await above.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
    finally:
        await above.close()
        server.drop_database(url)


def with_models(url: str, options: dict[str, Any] = SECURED, **arguments: Any) -> DataFlow:
    """An instance with customers and orders."""
    db = DataFlow(url, **arguments)

    class Customer:
        id: int
        name: str = field(max_length=40)
        __dataflow__ = options

    class Order:
        id: int
        customer_id: int = field(references="Customer.id")
        title: str = field(max_length=40)
        total: int = 0
        __dataflow__ = {**options, "indexes": [{"fields": ["title"], "unique": True}]}

    db.model(Customer)
    db.model(Order)
    return db


async def stored(place: Database, tenant: str) -> list[tuple[Any, ...]]:
    """The orders of a tenant, as the superuser sees them."""
    above = await asyncpg.connect(place.above)
    rows = await above.fetch("SELECT * FROM orders WHERE tenant_id = $1 ORDER BY id", tenant)
    await above.close()
    return [tuple(row) for row in rows]


async def titles(db: DataFlow, **parameters: Any) -> list[str]:
    """The titles of the orders that are seen, in the order of their ids."""
    rows = (await db.run("OrderListNode", order_by=["id"], **parameters))["records"]
    return [row["title"] for row in rows]
