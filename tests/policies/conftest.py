"""A role that row security holds for, and an instance of it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer
from tests.policies.secured import Database, with_models


@pytest.fixture
async def place(postgres_server: SharedServer) -> AsyncIterator[Database]:
    """A database with a role that is no superuser."""
    url = postgres_server.new_database()
    role = f"dataflow_{secrets.token_hex(6)}"
    above = await asyncpg.connect(url)
    await above.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    await above.execute(f"GRANT ALL ON SCHEMA public TO {role}")
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    yield Database(url, parts._replace(netloc=f"{role}:secret@{host}").geturl(), role)
    await above.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")
    await above.close()
    postgres_server.drop_database(url)


@pytest.fixture
async def db(place: Database) -> AsyncIterator[DataFlow]:
    """An instance of the plain role, with three orders of each of the tenants a and b."""
    async with with_models(place.plain) as made:
        for tenant in "ab":
            with made.tenant(tenant):
                customer = await made.run("CustomerCreateNode", name=f"of {tenant}")
                for number in range(3):
                    await made.run(
                        "OrderCreateNode",
                        customer_id=customer["id"],
                        title=f"{tenant}{number}",
                        total=number,
                    )
        yield made
