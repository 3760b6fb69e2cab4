from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.types import Date, Integer
from dataflow_postgres.dialect import PostgresDialect
from tests.postgres.support import column

MANY = 1_000


def sent(caplog: pytest.LogCaptureFixture, word: str) -> int:
    """How many statements with a word in them were logged."""
    return sum(word in record.getMessage() for record in caplog.records)


def declare(db: DataFlow) -> None:
    """A model with a unique text and a day."""

    @db.model
    class User:
        email: str = field(unique=True)
        age: int = 0
        born: dt.date | None = None


def users(count: int, **more: Any) -> list[dict[str, Any]]:
    """Rows of different mails."""
    return [{"email": f"u{n}", "age": n, **more} for n in range(count)]


@pytest.fixture
async def db(postgres_url: str, caplog: pytest.LogCaptureFixture) -> AsyncIterator[DataFlow]:
    """An instance that logs its statements."""
    caplog.set_level("INFO", "dataflow")
    async with DataFlow(postgres_url, echo=True) as instance:
        declare(instance)
        yield instance


async def test_the_first_and_the_last_day_are_stored_among_many(db: DataFlow) -> None:
    """Days that the driver would copy as infinite ones are stored as they are."""
    days = [dt.date.min, dt.date.max, dt.date(2024, 2, 29), None]
    data = [{**row, "born": days[n % 4]} for n, row in enumerate(users(MANY))]
    await db.nodes.User.bulk_create(data=data)
    rows = (await db.nodes.User.list(order_by=["age"], limit=MANY))["records"]
    assert [row["born"] for row in rows] == [row["born"] for row in data]


async def test_a_user_without_temporary_tables_upserts_all_the_same(
    db: DataFlow, caplog: pytest.LogCaptureFixture
) -> None:
    """Where temporary tables are not allowed another way is taken, in the same transaction."""
    await db.nodes.User.create(email="u1")
    name = db.url.database
    role = f"modest_{name}"
    for statement in (
        f"CREATE ROLE \"{role}\" LOGIN PASSWORD 'modest'",
        f'REVOKE TEMPORARY ON DATABASE "{name}" FROM PUBLIC',
        f'GRANT ALL ON ALL TABLES IN SCHEMA public TO "{role}"',
        f'GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO "{role}"',
    ):
        await db.run("SQLNode", sql=statement, fetch="none")
    try:
        url = f"postgresql://{role}:modest@{db.url.host}:{db.url.port}/{name}"
        async with DataFlow(url, auto_migrate=False) as modest:
            declare(modest)
            done = await modest.nodes.User.bulk_upsert(data=users(MANY), match_fields=["email"])
            assert (done["inserted"], done["updated"]) == (MANY - 1, 1)
    finally:
        for statement in (f'DROP OWNED BY "{role}"', f'DROP ROLE "{role}"'):
            await db.run("SQLNode", sql=statement, fetch="none")


def test_days_are_copied_as_days() -> None:
    """COPY takes each value as its column has it; a day is bound as text elsewhere."""
    load = PostgresDialect().compiler.load("t", [column("n", Integer()), column("d", Date())])
    assert load is not None
    assert load.encode is not None
    assert load.encode([(1, "2024-02-29")]) == [[1, dt.date(2024, 2, 29)]]
    assert load.text == 'COPY "t" ("n", "d") FROM STDIN (FORMAT binary)'
