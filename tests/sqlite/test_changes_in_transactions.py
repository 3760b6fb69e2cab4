"""A table that has to be made anew, inside a transaction that began before its model was known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.errors import SchemaChangeRefused


def declare(db: DataFlow, after: bool) -> None:
    """A team, whose name becomes required."""
    if after:

        class Team:
            name: str

    else:

        class Team:  # type: ignore[no-redef]
            name: str | None = None

    db.model(validation="off")(Team)


def declare_players(db: DataFlow) -> None:
    """What refers to teams."""

    @db.model(validation="off")
    class Player:
        team_id: int | None = field(None, references="Team.id")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with a team and a player of it."""
    url = f"sqlite:///{tmp_path}/league.db"
    with DataFlow(url) as db:
        declare(db, after=False)
        declare_players(db)
        team = db.run_sync("TeamCreateNode", name="red")
        db.run_sync("PlayerCreateNode", team_id=team["id"])
    return url


async def refused(db: DataFlow) -> SchemaChangeRefused:
    """The error of the first use inside a transaction."""
    with pytest.raises(SchemaChangeRefused) as caught:
        async with db.transaction():
            await db.run("SQLNode", sql="SELECT 1 AS one")
            declare(db, after=True)
            await db.run("TeamListNode")
    return caught.value


async def test_the_refusal_says_why_and_what_to_do(url: str) -> None:
    """It names the table, the reason, and the two ways out."""
    async with DataFlow(url) as db:
        error = await refused(db)
    for words in ("refer to the table teams", "not enforced", "use its model", "db.migrate()"):
        assert words in error.message


async def test_nothing_is_changed_by_the_refusal(url: str) -> None:
    """The table is what it was, its rows too, and outside the change is made."""
    async with DataFlow(url) as db:
        before = await db.adiscover_schema()
        await refused(db)
        assert await db.adiscover_schema() == before
        listed: Any = await db.run("TeamListNode")
        assert [row["name"] for row in listed["records"]] == ["red"]
        columns = (await db.adiscover_schema())["teams"]["columns"]
        assert not next(item for item in columns if item["name"] == "name")["nullable"]


async def test_a_model_that_is_known_before_is_changed_before(url: str) -> None:
    """A transaction begins with the tables of all models as they should be."""
    async with DataFlow(url) as db:
        declare(db, after=True)
        async with db.transaction():
            assert (await db.run("TeamCreateNode", name="blue"))["name"] == "blue"
