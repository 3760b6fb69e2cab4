"""The nodes about one row: create, read, update, delete, upsert."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import (
    ConflictingParameters,
    ForeignKeyViolation,
    MultipleRecordsMatched,
    RecordNotFound,
    UniqueViolation,
)
from tests.sqlite.shop import Colour, people, watch

HOSTILE = [
    "'; DROP TABLE users; --",
    '"; DELETE FROM users; --',
    "' OR '1'='1",
    "?1 :name %s $1 {}",
    "\\'\\\\",
    "a\r\n\tb",
    "\U0001f600 ß \u0301",
    "NULL",
    "",
    " ",
    "%_*[",
]


async def test_create_gives_the_stored_row(db):
    """The row with key, defaults and timestamps, under ``result`` and spread; ``created``."""
    before = dt.datetime.now(dt.UTC)
    created = await db.nodes.User.create(name="Ada", email="a@b")
    row = created["result"]
    assert created == {**row, "result": row, "created": True}
    assert {name: row[name] for name in ("id", "name", "email", "age", "status", "active")} == {
        "id": 1, "name": "Ada", "email": "a@b", "age": 0, "status": "active", "active": True,
    }  # fmt: skip
    assert row["created_at"] == row["updated_at"]
    assert row["created_at"].tzinfo is dt.UTC
    assert before <= row["created_at"] <= dt.datetime.now(dt.UTC)
    assert (await db.nodes.User.read(id=1))["result"] == row


async def test_a_created_at_that_is_given_is_kept(db):
    """``created_at`` may be given; every update sets ``updated_at`` and leaves ``created_at``."""
    moment = dt.datetime(2001, 2, 3, 4, 5, 6, 7, tzinfo=dt.UTC)
    created = await db.nodes.User.create(name="Ada", created_at=moment)
    assert created["created_at"] == moment
    updated = await db.nodes.User.update(id=created["id"], fields={"age": 1})
    assert updated["created_at"] == moment
    assert updated["updated_at"] > created["updated_at"]


async def test_values_come_back_as_they_were_written(db):
    """Every type: what was written is what is read, in the model's Python types."""
    values: dict[str, Any] = {
        "whole": 2**63 - 1,
        "short": -(2**31),
        "real": 0.1,
        "text": "ß\U0001f600",
        "flag": True,
        "raw": b"\x00\xff",
        "money": Decimal("-12345678901234.5678"),
        "moment": dt.datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
        "day": dt.date(1, 1, 1),
        "clock": dt.time(23, 59, 59, 999999),
        "token": uuid.UUID(int=2**128 - 1),
        "document": {"a": [1, 2.5, None, {"b": "c"}]},
        "many": [3, 1, 2],
        "choice": "b",
        "colour": Colour.BLUE,
    }
    created = await db.nodes.Everything.create(**values)
    assert isinstance(created["id"], uuid.UUID)
    assert created["id"].version == 7
    read = await db.nodes.Everything.read(id=created["id"])
    expected = {**values, "colour": "blue"}
    for source in (created, read):
        assert {name: source[name] for name in values} == expected
        assert all(type(source[name]) is type(expected[name]) for name in values)
    empty = await db.nodes.Everything.create()
    assert all(empty[name] is None for name in values)


@pytest.mark.parametrize("text", HOSTILE)
async def test_text_that_looks_like_sql_is_only_text(db, text):
    """Such text is stored unchanged and found by every way of asking."""
    created = await db.nodes.User.create(name=text, department=text)
    assert created["name"] == text
    assert (await db.nodes.User.list(filter={"name": text}))["count"] == 1
    assert (await db.nodes.User.list(filter={"name": {"$in": [text]}}))["count"] == 1
    assert (await db.nodes.User.list(filter={"name": {"$contains": text}}))["count"] == 1
    updated = await db.nodes.User.update(filter={"name": text}, fields={"status": text})
    assert updated["status"] == text
    assert (await db.nodes.User.delete(filter={"status": text}))["name"] == text
    assert (await db.nodes.User.count())["count"] == 0


async def test_read_by_key_alias_or_filter(db):
    """The key by its name, ``<model>_id``, or a filter; ``select`` cuts the columns."""
    [first, second] = await people(db, 2)
    nodes = db.nodes.User
    assert (await nodes.read(id=second))["name"] == "u1"
    assert (await nodes.read(user_id=first))["name"] == "u0"
    found = await nodes.read(filter={"age": 1}, select=["name", "id"])
    assert found == {
        "name": "u1", "id": second, "result": {"name": "u1", "id": second}, "found": True,
    }  # fmt: skip
    with pytest.raises(ConflictingParameters):
        await nodes.read(id=1, user_id=1)
    with pytest.raises(ConflictingParameters):
        await nodes.read(id=1, filter={"age": 1})


async def test_a_row_that_is_not_there(db):
    """Reading it raises ``RecordNotFound``, or says so with ``raise_on_not_found=False``."""
    nodes = db.nodes.User
    with pytest.raises(RecordNotFound) as caught:
        await nodes.read(id=5)
    assert caught.value.code == "DF-701"
    assert await nodes.read(id=5, raise_on_not_found=False) == {"found": False, "result": None}
    assert await nodes.update(id=5, fields={"age": 1}) == {"updated": False, "result": None}
    assert await nodes.delete(id=5) == {"deleted": False, "result": None}


@pytest.mark.parametrize("kind", ["read", "update", "delete"])
async def test_several_matches_change_nothing(db, kind):
    """A filter that fits several rows is refused by nodes about one, and nothing changes."""
    await people(db, 3)
    before = (await db.nodes.User.list())["records"]
    parameters: dict[str, Any] = {"filter": {"age": {"$gte": 1}}}
    if kind == "update":
        parameters["fields"] = {"name": "changed"}
    with pytest.raises(MultipleRecordsMatched) as caught:
        await getattr(db.nodes.User, kind)(**parameters)
    assert caught.value.code == "DF-702"
    assert (await db.nodes.User.list())["records"] == before


async def test_several_matches_of_a_json_update_change_nothing(db):
    """Updates inside JSON are refused alike where several rows match."""
    [user] = await people(db, 1)
    for _ in range(2):
        await db.nodes.Order.create(user_id=user, items=[1])
    with pytest.raises(MultipleRecordsMatched):
        await db.nodes.Order.update(filter={"user_id": user}, fields={"$push": {"items": 2}})
    assert [row["items"] for row in (await db.nodes.Order.list())["records"]] == [[1], [1]]


async def test_update_mixes_values_and_operators(db):
    """Plain values and operators in one ``fields``; the row after it, and ``updated``."""
    [user] = await people(db, 1)
    updated = await db.nodes.User.update(user_id=user, fields={"name": "Ada", "$inc": {"age": 7}})
    assert (updated["name"], updated["age"], updated["updated"]) == ("Ada", 7, True)
    order = await db.nodes.Order.create(user_id=user, items=[1])
    changed = await db.nodes.Order.update(
        order_id=order["id"], fields={"$push": {"items": 2}, "total": Decimal("1.5")}
    )
    assert (changed["items"], changed["total"]) == ([1, 2], Decimal("1.5"))


async def test_delete_gives_the_row_as_it_was(db):
    """The deleted row, and ``deleted: True``; a second time False."""
    [user] = await people(db, 1)
    row = (await db.nodes.User.read(id=user))["result"]
    assert await db.nodes.User.delete(user_id=user) == {**row, "result": row, "deleted": True}
    assert (await db.nodes.User.delete(user_id=user))["deleted"] is False


async def test_a_key_of_several_fields(db):
    """All fields of the key, by their names."""
    nodes = db.nodes.Tag
    for name in ("a", "b"):
        await nodes.create(scope="s", name=name, weight=1)
    assert (await nodes.read(scope="s", name="b"))["weight"] == 1
    assert (await nodes.update(scope="s", name="b", fields={"weight": 2}))["weight"] == 2
    assert (await nodes.delete(scope="s", name="a"))["deleted"] is True
    assert (await nodes.count())["count"] == 1


async def test_values_hold_fields_of_any_name(db):
    """``values={...}`` gives fields like parameters do; a field given twice is refused."""
    created = await db.nodes.User.create(values={"name": "Ada", "age": 3}, status="new")
    assert (created["name"], created["age"], created["status"]) == ("Ada", 3, "new")
    with pytest.raises(ConflictingParameters, match="name"):
        await db.nodes.User.create(values={"name": "Ada"}, name="Bob")


async def test_fields_that_are_named_like_outputs():
    """They are written with ``values`` and read under ``result``; outputs stay what they are."""
    async with DataFlow(validation="off") as db:

        @db.model
        class Job:
            result: str
            created: str
            values: int = 0
            self: int = 0

        created = await db.nodes.Job.create(
            values={"result": "r", "created": "c", "values": 5, "self": 6}
        )
        assert created["created"] is True
        assert created["result"]["result"] == "r"
        assert created["result"]["created"] == "c"
        assert created["result"]["values"] == 5
        plain = await db.nodes.Job.create(result="r", created="c", self=7)
        assert plain["result"]["self"] == 7
        assert Job is not None


async def test_a_violated_rule_names_table_and_columns(db):
    """Unique values and foreign keys: the error knows columns, and that nothing was done."""
    await db.nodes.User.create(name="Ada", email="e")
    with pytest.raises(UniqueViolation) as unique:
        await db.nodes.User.create(name="Bob", email="e")
    assert (unique.value.table, unique.value.columns) == ("users", ("email",))
    assert unique.value.outcome == "not done"
    with pytest.raises(ForeignKeyViolation):
        await db.nodes.Order.create(user_id=99)
    assert (await db.nodes.User.count())["count"] == 1


async def test_upsert_of_one_row(db):
    """Insert or update by a unique key; ``update_fields`` narrows what a stored row takes over."""
    nodes = db.nodes.User
    made = await nodes.upsert(email="e", name="Ada", age=1, match_fields=["email"])
    assert made["created"] is True
    again = await nodes.upsert(
        email="e", name="Bob", age=2, match_fields=["email"], update_fields=["age"]
    )
    assert (again["created"], again["id"], again["name"], again["age"]) == (
        False, made["id"], "Ada", 2,
    )  # fmt: skip
    counted = await nodes.upsert(
        email="e", name="New", match_fields=["email"], fields={"$inc": {"age": 10}}
    )
    assert (counted["age"], counted["name"], counted["created"]) == (12, "Ada", False)
    fresh = await nodes.upsert(
        email="f", name="New", match_fields=["email"], fields={"$inc": {"age": 10}}
    )
    assert (fresh["name"], fresh["created"]) == ("New", True)


async def test_reads_by_key_are_one_statement(db):
    """A create, a read, an update and a delete by key are one statement each."""
    [user] = await people(db, 1)
    nodes = db.nodes.User
    await nodes.read(id=user)
    sent = watch(db)
    await nodes.create(name="Ada")
    await nodes.read(id=user)
    await nodes.update(id=user, fields={"age": 4})
    await nodes.delete(id=user)
    assert [text.split()[0] for text in sent] == ["INSERT", "SELECT", "UPDATE", "DELETE"]
