"""Many rows go by COPY or LOAD DATA, where a database has one of them, and few do not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.errors import UniqueViolation

WITHOUT_DATABASES = ("sqlite",)

MANY = 1_000
LOADS = {"postgres": "COPY", "pgbouncer": "COPY", "mysql": "LOAD DATA"}
DROPS = {"postgres": 1, "pgbouncer": 1, "mysql": 2}
"""MySQL also drops one that may have been left over before."""


def users(count: int, **more: Any) -> list[dict[str, Any]]:
    """Rows of different mails."""
    return [{"email": f"u{n}", "age": n, **more} for n in range(count)]


@pytest.fixture
async def db(database_url: str, caplog: pytest.LogCaptureFixture) -> AsyncIterator[DataFlow]:
    """An instance that logs its statements."""
    caplog.set_level("INFO", "dataflow")
    async with DataFlow(database_url, echo=True) as instance:

        @instance.model
        class User:
            email: str = field(unique=True)
            age: int = 0

        yield instance


def sent(caplog: pytest.LogCaptureFixture, word: str) -> int:
    """How many statements with a word in them were logged."""
    told = [record.getMessage() for record in caplog.records]
    return sum(word in text and "dataflow_models" not in text for text in told)


async def test_many_rows_are_loaded(
    database: SharedServer, db: DataFlow, caplog: pytest.LogCaptureFixture
) -> None:
    """Many rows come the database's own way, few by INSERT."""
    load = LOADS[database.name]
    await db.nodes.User.bulk_create(data=users(MANY))
    assert sent(caplog, load) == 1
    assert not sent(caplog, "INSERT")
    await db.nodes.User.bulk_create(data=[{"email": "one more"}])
    assert sent(caplog, load) == sent(caplog, "INSERT") == 1


async def test_many_rows_are_upserted_from_a_temporary_table(
    database: SharedServer, db: DataFlow, caplog: pytest.LogCaptureFixture
) -> None:
    """Many rows are upserted by one statement; nothing is left of their table."""
    await db.nodes.User.bulk_create(data=users(MANY // 2))
    caplog.clear()
    done = await db.nodes.User.bulk_upsert(data=users(MANY, age=7), match_fields=["email"])
    assert (done["inserted"], done["updated"]) == (MANY // 2, MANY // 2)
    assert (sent(caplog, LOADS[database.name]), sent(caplog, "INSERT INTO")) == (1, 1)
    assert sent(caplog, "CREATE TEMPORARY") == 1
    assert sent(caplog, "DROP T") == DROPS[database.name]
    assert (await db.nodes.User.count(filter={"age": 7}))["count"] == MANY


async def test_a_row_that_cannot_be_loaded_is_named(
    database: SharedServer, db: DataFlow, caplog: pytest.LogCaptureFixture
) -> None:
    """What was loaded beside it is undone, and the row is found."""
    await db.nodes.User.create(email="u700")
    with pytest.raises(UniqueViolation) as caught:
        await db.nodes.User.bulk_create(data=users(MANY))
    assert caught.value.context["index"] == 700
    assert sent(caplog, LOADS[database.name]) == 1
    assert (await db.nodes.User.count(filter={}))["count"] == 1
