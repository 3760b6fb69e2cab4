"""A role that row security holds for, and an instance of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dataflow_core import DataFlow
from dataflow_core.conformance.servers import SharedServer
from tests.policies.secured import Database, secured_database, with_models


@pytest.fixture
async def place(postgres_server: SharedServer) -> AsyncIterator[Database]:
    """A database with a role that is no superuser."""
    async with secured_database(postgres_server) as found:
        yield found


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
