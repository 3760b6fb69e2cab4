"""What stands in the place of personal values that cannot be NULL."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from typing import Any

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.errors import InvalidValue

WITHOUT_DATABASES = ("pgbouncer",)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
PERSONAL: dict[str, tuple[Any, Any, Any]] = {
    "text": (str, "Ada", "erased"),
    "short": (str, "Ad", ""),
    "whole": (int, 36, 0),
    "real": (float, 1.5, 0.0),
    "exact": (decimal.Decimal, decimal.Decimal(9), decimal.Decimal(0)),
    "yes": (bool, True, False),
    "raw": (bytes, b"ada", b""),
    "moment": (dt.datetime, EPOCH.replace(year=2025), EPOCH),
    "day": (dt.date, dt.date(1815, 12, 10), dt.date(1970, 1, 1)),
    "hour": (dt.time, dt.time(8, 30), dt.time(0)),
    "code": (uuid.UUID, uuid.UUID(int=7), uuid.UUID(int=0)),
    "document": (dict, {"name": "Ada"}, {}),
    "names": (list[str], ["Ada"], []),
    "colour": (Colour, "blue", "red"),
    "given": (int, 36, 18),
}  # fmt: skip


async def test_a_neutral_value_of_every_type(database_url: str) -> None:
    """A field that is not nullable gets its default, else a plain value of its type."""
    body: dict[str, Any] = {"__annotations__": {}, "__module__": __name__}
    for name, (kind, _, _) in PERSONAL.items():
        body["__annotations__"][name] = kind
        body[name] = field(personal=True, max_length=2 if name == "short" else None)
    body["given"] = field(18, personal=True)
    async with DataFlow(database_url, enable_model_persistence=False) as db:
        db.model(type("User", (), body))
        await db.run(
            "UserCreateNode", values={name: value for name, (_, value, _) in PERSONAL.items()}
        )
        await db.run("UserDataAnonymizeNode", user_id=1)
        row = (await db.run("UserReadNode", id=1))["result"]
    assert {name: row[name] for name in PERSONAL} == {
        name: new for name, (_, _, new) in PERSONAL.items()
    }


async def test_unique_values_stay_unique(database_url: str) -> None:
    """Rows that may not share a value get one each, again and again, also where few are left."""
    async with DataFlow(database_url, enable_model_persistence=False) as db:

        @db.model
        class User:
            name: str

        @db.model
        class Alias:
            user_id: int = field(references="User.id")
            name: str = field(unique=True, personal=True)
            number: int = field(unique=True, personal=True, check={"$gte": 1})
            mail: str = field(unique=True, personal=True, check={"$like": "%_@_%"})
            letter: str = field(unique=True, personal=True, max_length=2)
            colour: Colour | None = field(unique=True, personal=True)

        await db.run("UserCreateNode", name="Ada")
        data = [
            {
                "user_id": 1,
                "name": f"n{at}",
                "number": 1 + at,
                "mail": f"m{at}@x",
                "letter": f"{at}",
            }
            for at in range(20)
        ]
        data[0]["colour"] = "red"
        await db.run("AliasBulkCreateNode", data=data)
        given = data
        for _ in range(2):
            await db.run("UserDataAnonymizeNode", user_id=1)
            rows = (await db.run("AliasListNode"))["records"]
            for name in ("name", "number", "mail", "letter"):
                values = {row[name] for row in rows}
                assert len(values) == 20
                assert not values & {row[name] for row in given}
            assert {row["colour"] for row in rows} == {None}
            given = rows


async def test_checks_stay_true(database_url: str) -> None:
    """Values pass the checks of the table, those of several fields too."""
    async with DataFlow(database_url, enable_model_persistence=False) as db:

        @db.model
        class User:
            __dataflow__ = {
                "checks": {
                    "adult_or_guarded": {"$or": [{"age": {"$gte": 18}}, {"guardian": {"$ne": ""}}]},
                    "known": {"town": {"$in": ["Paris", "Rome"]}},
                }
            }

            age: int = field(personal=True, check={"$between": [0, 150]})
            guardian: str = field(personal=True, check={"$ne": "erased"})
            town: str = field(personal=True)

        await db.run("UserCreateNode", age=9, guardian="Byron", town="Rome")
        await db.run("UserDataAnonymizeNode", user_id=1)
        row = await db.run("UserReadNode", id=1)
    assert row["guardian"] != "Byron"
    assert row["age"] != 9
    assert row["town"] == "Paris"


class OnlyOne:
    name: str = field(personal=True, check={"$regex": "^[A-Z]{3}-[0-9]{4}$"})


class Used:
    yes: bool = field(personal=True, unique=True)


class Key:
    id: str = field(personal=True, primary_key=True)


REFUSED: list[tuple[type, list[dict[str, Any]], str]] = [
    (OnlyOne, [{"name": "ADA-0001"}], "no value for name"),
    (Used, [{"yes": True}, {"yes": False}], "no value for yes"),
    (Key, [{"id": "ada"}], "User.id is personal and .part of. the key"),
]


@pytest.mark.parametrize(("model", "data", "message"), REFUSED)
async def test_no_value_is_left(
    database_url: str, model: type, data: list[dict[str, Any]], message: str
) -> None:
    """Where no value fits, that is refused, by the dry run too, and nothing is changed."""
    async with DataFlow(database_url, enable_model_persistence=False, validation="off") as db:
        db.model(type("User", (model,), {"__module__": __name__}))
        await db.run("UserBulkCreateNode", data=data)
        before = (await db.run("UserListNode"))["records"]
        for dry_run in (True, False):
            with pytest.raises(InvalidValue, match=message):
                await db.run("UserDataAnonymizeNode", user_id=before[0]["id"], dry_run=dry_run)
        assert (await db.run("UserListNode"))["records"] == before
        # Deleting needs no value.
        await db.run("GDPRComplianceNode", user_id=before[0]["id"], request_type="delete")
        assert (await db.run("UserListNode"))["records"] == before[1:]


async def test_a_personal_reference(database_url: str) -> None:
    """A reference that is personal becomes NULL; where it cannot, that is refused."""
    async with DataFlow(database_url, enable_model_persistence=False) as db:

        @db.model
        class Town:
            name: str

        @db.model
        class User:
            born_id: int | None = field(references="Town.id", personal=True)

        @db.model
        class Address:
            user_id: int = field(references="User.id")
            town_id: int = field(references="Town.id", personal=True)

        await db.run("TownCreateNode", name="London")
        await db.run("UserBulkCreateNode", data=[{"born_id": 1}, {"born_id": 1}])
        await db.run("AddressCreateNode", user_id=2, town_id=1)
        await db.run("UserDataAnonymizeNode", user_id=1)
        with pytest.raises(InvalidValue, match="Address: there is no value for town_id"):
            await db.run("UserDataAnonymizeNode", user_id=2)
        born = [row["born_id"] for row in (await db.run("UserListNode"))["records"]]
    assert born == [None, 1]


async def test_a_personal_value_that_others_refer_to(database_url: str) -> None:
    """A value that rows of another model repeat as a reference cannot be erased: refused."""
    async with DataFlow(database_url, enable_model_persistence=False) as db:

        @db.model
        class User:
            email: str = field(unique=True, personal=True)

        @db.model
        class Letter:
            email: str = field(references="User.email")

        await db.run("UserCreateNode", email="ada@example.org")
        await db.run("LetterCreateNode", email="ada@example.org")
        with pytest.raises(InvalidValue, match="Letter refers to it"):
            await db.run("UserDataAnonymizeNode", user_id=1)
        result = await db.run("GDPRComplianceNode", user_id=1, request_type="delete")
    assert result["result"]["Letter"]["deleted"] == result["result"]["User"]["deleted"] == 1
