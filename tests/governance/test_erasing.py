from __future__ import annotations

from typing import Any

import pytest

from dataflow_core import AsyncLocalRuntime, DataFlow, WorkflowBuilder, field
from dataflow_core.contract import Observer, StatementRun, hookimpl
from dataflow_core.errors import ForeignKeyViolation
from tests.governance.shop import ADA, BOB, done, everything, rows, shop

WITHOUT_DATABASES = ("pgbouncer",)


async def test_personal_fields_are_erased(database_url: str) -> None:
    """Anonymising empties personal fields, or neutralises those that cannot be; nothing goes."""
    async with shop(database_url) as db:
        result = await db.run("UserDataAnonymizeNode", user_id=ADA)
        users = await rows(db, "User")
        addresses = [row["address"] for row in await rows(db, "Order")]
        notes = [row["note"] for row in await rows(db, "Item")]
    assert result["result"] == {
        "User": done(anonymized=1),
        "Order": done(anonymized=1),
        "Item": done(anonymized=2),
        "Post": done(anonymized=1),
        "Comment": done(anonymized=1),
    }
    assert users[0] == {"id": 1, "name": "erased", "email": None, "boss_id": None}
    assert users[1]["name"] == "Bob"
    assert addresses == ["erased", "2 High Street"]
    assert notes == [None, None, "for 2", None]


async def test_what_leads_to_the_person_is_deleted(database_url: str) -> None:
    """With ``cascade_delete`` the person's own row is all that stays, anonymised."""
    async with shop(database_url) as db:
        before = await everything(db)
        result = await db.run(
            "UserDataAnonymizeNode", user_id=ADA, cascade_delete=True, retention_policy="strict"
        )
        after = await everything(db)
    assert result["result"] == {
        "User": done(anonymized=1),
        "Order": done(deleted=1),
        "Item": done(deleted=2),
        "Post": done(deleted=1),
        "Comment": done(deleted=1),
    }
    for model in ("Order", "Item", "Post", "Comment"):
        half = len(before[model]) // 2
        assert after[model] == before[model][half:]
    assert after["Product"] == before["Product"]


async def test_what_a_law_keeps_stays(database_url: str) -> None:
    """``standard`` keeps rows with a value that is to be kept, and says why; ``strict``: none."""
    async with shop(database_url) as db:
        await db.run("UserUpdateNode", id=BOB, fields={"boss_id": None})
        given = {"user_id": ADA, "request_type": "delete"}
        strict = await db.run(
            "GDPRComplianceNode", **given, retention_policy="strict", dry_run=True
        )
        standard = await db.run("GDPRComplianceNode", **given)
        orders = await rows(db, "Order")
    assert strict["result"]["Order"] == strict["result"]["User"] == done(deleted=1)
    assert strict["retained"] == []
    assert standard["result"]["Item"] == done(deleted=2)
    assert standard["result"]["Order"] == standard["result"]["User"] == done(anonymized=1)
    assert standard["retained"] == [
        {"model": "Order", "field": "total", "reason": "tax law", "rows": 1}
    ]
    assert orders[0] == {"id": 1, "user_id": 1, "address": "erased", "total": 50}


@pytest.mark.parametrize(("policy", "left"), [("standard", "Ada"), ("strict", "erased")])
async def test_a_personal_field_that_a_law_keeps(database_url: str, policy: str, left: str) -> None:
    """``retain`` keeps the value of a personal field, unless the policy is ``strict``."""
    async with DataFlow(database_url, enable_model_persistence=False) as db:

        @db.model
        class User:
            name: str = field(personal=True, retain="a contract")
            town: str | None = field(personal=True)

        await db.run("UserCreateNode", name="Ada", town="London")
        await db.run("UserDataAnonymizeNode", user_id=1, retention_policy=policy)
        row = await db.run("UserReadNode", id=1)
    assert (row["name"], row["town"]) == (left, None)


async def test_rows_to_which_others_refer_stay(database_url: str) -> None:
    """What others refer to is anonymised, and theirs is as it was; what is above it stays, too."""
    async with shop(database_url) as db:
        await db.run("CommentCreateNode", post_id=1, author_id=BOB, text="Bob's")
        result = await db.run(
            "GDPRComplianceNode", user_id=ADA, request_type="delete", retention_policy="strict"
        )
        comments = await rows(db, "Comment")
        boss = (await db.run("UserReadNode", id=BOB))["boss_id"]
    assert result["result"]["Post"] == result["result"]["User"] == done(anonymized=1)
    assert {entry["model"]: entry["rows"] for entry in result["retained"]} == {"User": 1, "Post": 1}
    assert [row["text"] for row in comments] == ["below 2", "Bob's"]
    assert boss == ADA


async def test_circles_are_opened(database_url: str) -> None:
    """Rows that refer to each other or to themselves go where a reference may be NULL."""
    async with shop(database_url) as db:
        await db.run("UserUpdateNode", id=BOB, fields={"boss_id": BOB})
        await db.run("UserUpdateNode", id=ADA, fields={"boss_id": ADA})
        await db.run("PostCreateNode", author_id=ADA, text="two", answers_id=1)
        await db.run("PostUpdateNode", id=1, fields={"answers_id": 3})
        result = await db.run(
            "GDPRComplianceNode", user_id=ADA, request_type="delete", retention_policy="strict"
        )
        left = [row["id"] for row in await rows(db, "Post")]
        bob = await db.run("UserReadNode", id=BOB)
    assert result["result"]["Post"] == done(deleted=2)
    assert result["result"]["User"] == done(deleted=1)
    assert (left, bob["boss_id"]) == ([2], BOB)


async def test_own_references_to_what_goes_are_cleared(database_url: str) -> None:
    """A row that stays no longer refers to one of the person's that goes, where it may be NULL."""

    class Profile:
        __dataflow__ = {"timestamps": False}

        user_id: int = field(references="User.id")
        picture_id: int | None = field(references="Picture.id")
        badge: str = field(retain="a contract")

    class Picture:
        __dataflow__ = {"timestamps": False}

        user_id: int = field(references="User.id")

    async with shop(database_url, Profile, Picture) as db:
        await db.run("PictureCreateNode", user_id=ADA)
        await db.run("ProfileCreateNode", user_id=ADA, picture_id=1, badge="gold")
        result = await db.run("UserDataAnonymizeNode", user_id=ADA, cascade_delete=True)
        profile = await db.run("ProfileReadNode", id=1)
    assert result["result"]["Picture"] == done(deleted=1)
    assert result["result"]["Profile"] == done(kept=1)
    assert (profile["picture_id"], profile["badge"]) == (None, "gold")


async def test_a_dry_run_changes_nothing(database_url: str) -> None:
    """It counts what would be done."""
    async with shop(database_url) as db:
        before = await everything(db)
        given: dict[str, Any] = {"user_id": ADA, "cascade_delete": True}
        tried = await db.run("UserDataAnonymizeNode", **given, dry_run=True)
        assert await everything(db) == before
        result = await db.run("UserDataAnonymizeNode", **given)
    assert (tried["result"], tried["retained"]) == (result["result"], result["retained"])
    assert (tried["dry_run"], result["dry_run"]) == (True, False)


async def test_all_or_nothing(database_url: str) -> None:
    """Where a table that no model knows keeps a row, everything stays as it was."""
    async with shop(database_url) as db:
        sql = "CREATE TABLE hidden (user_id {} REFERENCES users (id))"
        kind = "BIGINT NOT NULL" if not db.url.scheme.startswith("sqlite") else "INTEGER"
        if db.url.scheme.startswith("mysql"):
            sql = "CREATE TABLE hidden (user_id {}, FOREIGN KEY (user_id) REFERENCES users (id))"
        await db.run("SQLNode", sql=sql.format(kind), fetch="none")
        await db.run("SQLNode", sql="INSERT INTO hidden VALUES (1)", fetch="none")
        await db.run("UserUpdateNode", id=BOB, fields={"boss_id": None})
        before = await everything(db)
        with pytest.raises(ForeignKeyViolation):
            await db.run(
                "GDPRComplianceNode", user_id=ADA, request_type="delete", retention_policy="strict"
            )
        assert await everything(db) == before


async def test_within_a_transaction(database_url: str) -> None:
    """Erasing is part of the transaction around it, and undone with it."""
    async with shop(database_url) as db:
        before = await everything(db)
        workflow = WorkflowBuilder(db)
        workflow.add_node("UserDataAnonymizeNode", "erase", {"user_id": ADA})
        workflow.add_node("UserReadNode", "fails", {"id": 99})
        runtime = AsyncLocalRuntime()
        with pytest.raises(Exception, match="no User matches"):
            await runtime.execute(workflow.build(), transaction=True)
        assert await everything(db) == before


class Tables(Observer):
    """Remembers the tables that statements are about."""

    def __init__(self) -> None:
        self.seen: set[str | None] = set()

    @hookimpl
    def dataflow_observer(self, databases: Any, settings: Any) -> Observer:
        return self

    def statement_began(self, statement: StatementRun) -> None:
        self.seen.add(statement.table)


async def test_shared_models_are_not_looked_at(database_url: str) -> None:
    """No statement is about a model that has no way to the person."""
    tables = Tables()
    async with shop(database_url, plugins=[("tables", tables)]) as db:
        tables.seen.clear()
        await db.run("GDPRComplianceNode", user_id=ADA, request_type="delete")
    assert "items" in tables.seen
    assert "products" not in tables.seen
