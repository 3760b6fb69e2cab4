from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid

from dataflow_core import DataFlow, field
from tests.governance.shop import ADA, BOB, shop

WITHOUT_DATABASES = ("pgbouncer",)


async def test_all_rows_of_a_person(database_url: str) -> None:
    """Rows that lead to the person are theirs; products, and what others wrote, are not."""
    async with shop(database_url) as db:
        await db.run("CommentCreateNode", post_id=1, author_id=BOB, text="Bob's, below Ada's post")
        result = (await db.run("UserDataExportNode", user_id=ADA))["result"]
    ids = {model: [row["id"] for row in rows] for model, rows in result.items()}
    assert ids == {"User": [1], "Order": [1], "Item": [1, 2], "Post": [1], "Comment": [1]}
    assert result["User"] == [{"id": 1, "name": "Ada", "email": "ada@example.org", "boss_id": None}]


async def test_as_csv(database_url: str) -> None:
    """Each model is the text of a CSV file with a header; NULL is an empty cell."""
    async with shop(database_url) as db:
        exported = await db.run("UserDataExportNode", user_id=ADA, format="csv")
    assert exported["result"]["Item"] == ("id,order_id,product_id,note\n1,1,1,for 1\n2,1,2,\n")
    assert exported["counts"]["Item"] == 2


async def test_json_has_types_of_json_only(database_url: str) -> None:
    """What JSON has no type for is text, as in a file of JSON Lines."""
    async with DataFlow(database_url, enable_model_persistence=False) as db:

        @db.model
        class User:
            __dataflow__ = {"timestamps": False}

            id: uuid.UUID = field(primary_key=True)
            born: dt.date
            paid: decimal.Decimal
            seen: dt.datetime
            photo: bytes
            tags: list[str]

        key = uuid.UUID(int=7)
        await db.run(
            "UserCreateNode",
            id=key,
            born=dt.date(1815, 12, 10),
            paid=decimal.Decimal("1.5"),
            seen=dt.datetime(2025, 1, 2, tzinfo=dt.UTC),
            photo=b"\x00\xff",
            tags=["a"],
        )
        exported = await db.run("UserDataExportNode", user_id=str(key))
    assert json.loads(json.dumps(exported["result"])) == {
        "User": [
            {
                "id": str(key),
                "born": "1815-12-10",
                "paid": "1.5000",
                "seen": "2025-01-02T00:00:00+00:00",
                "photo": "AP8=",
                "tags": ["a"],
            }
        ]
    }


async def test_shared_rows_are_not_taken_along(database_url: str) -> None:
    """A row that names nobody and leads to two persons is theirs alone of neither."""

    class Gift:
        __dataflow__ = {"timestamps": False}

        order_id: int = field(references="Order.id")
        post_id: int | None = field(references="Post.id")

    async with shop(database_url, Gift) as db:
        data = [
            {"order_id": ADA, "post_id": ADA},
            {"order_id": ADA, "post_id": BOB},
            {"order_id": ADA, "post_id": None},
        ]
        await db.run("GiftBulkCreateNode", data=data)
        result = (await db.run("UserDataExportNode", user_id=ADA))["result"]
    assert [row["id"] for row in result["Gift"]] == [1, 3]


async def test_a_row_that_names_several_persons(database_url: str) -> None:
    """A row that names the person is theirs, whoever else it names."""

    class Message:
        __dataflow__ = {"timestamps": False}

        sender_id: int = field(references="User.id")
        receiver_id: int = field(references="User.id")

    async with shop(database_url, Message) as db:
        await db.run("MessageCreateNode", sender_id=BOB, receiver_id=ADA)
        exported = [(await db.run("UserDataExportNode", user_id=key)) for key in (ADA, BOB)]
    assert [one["counts"]["Message"] for one in exported] == [1, 1]


async def test_more_rows_than_a_list_gives(database_url: str) -> None:
    """Rows are read in batches, however few a list may give at once."""
    async with shop(database_url, max_rows=10) as db:
        posts = [{"author_id": ADA, "text": str(at), "answers_id": 1} for at in range(1_200)]
        await db.run("PostBulkCreateNode", data=posts)
        comments = [{"post_id": 3 + at, "author_id": None, "text": str(at)} for at in range(1_200)]
        await db.run("CommentBulkCreateNode", data=comments)
        exported = await db.run("UserDataExportNode", user_id=ADA)
    assert exported["counts"] == {"User": 1, "Order": 1, "Item": 2, "Post": 1_201, "Comment": 1_201}
    assert [row["id"] for row in exported["result"]["Post"]] == [1, *range(3, 1_203)]


async def test_a_key_of_several_fields(database_url: str) -> None:
    """The person's key may have several fields, given by name or in order."""
    async with DataFlow(database_url, enable_model_persistence=False) as db:

        @db.model
        class Member:
            __dataflow__ = {"timestamps": False, "primary_key": ["club", "number"]}

            club: str
            number: int
            name: str

        @db.model
        class Visit:
            __dataflow__ = {
                "timestamps": False,
                "foreign_keys": [
                    {
                        "columns": ["club", "number"],
                        "references": "members",
                        "target_columns": ["club", "number"],
                    }
                ],
            }

            club: str | None
            number: int | None

        members = [{"club": club, "number": 1, "name": club} for club in ("chess", "go")]
        await db.run("MemberBulkCreateNode", data=members)
        visits = [("chess", 1), ("go", 1), (None, 1), (None, None)]
        data = [{"club": club, "number": number} for club, number in visits]
        await db.run("VisitBulkCreateNode", data=data)
        given = {"club": "go", "number": 1}
        by_name = await db.run("UserDataExportNode", model="Member", user_id=given)
        in_order = await db.run("UserDataExportNode", model="Member", user_id=["go", 1])
    assert by_name == in_order
    assert by_name["result"] == {
        "Member": [{"club": "go", "number": 1, "name": "go"}],
        "Visit": [{"id": 2, "club": "go", "number": 1}],
    }


async def test_the_request_of_a_person(database_url: str) -> None:
    """The compliance node exports the same; its dry run gives the numbers of rows."""
    async with shop(database_url) as db:
        exported = await db.run("UserDataExportNode", user_id=ADA)
        asked = {"user_id": ADA, "request_type": "export"}
        answered = await db.run("GDPRComplianceNode", **asked)
        tried = await db.run("GDPRComplianceNode", **asked, dry_run=True)
    assert answered["result"] == exported["result"]
    assert tried["result"] == exported["counts"] == answered["counts"]
