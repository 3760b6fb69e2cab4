from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import (
    ConflictingParameters,
    Deadlock,
    InvalidType,
    ManagedField,
    SerializationFailure,
    VersionConflict,
    VersionRequired,
)
from tests.policies.models import Author, registered

WITHOUT_DATABASES = ("pgbouncer",)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[DataFlow]:
    """An instance with two authors."""
    async with registered(DataFlow(database_url), {"versioned": True}, Author) as db:
        await db.run("AuthorBulkCreateNode", data=[{"name": "Ada"}, {"name": "Bob"}])
        yield db


async def versions(db: DataFlow) -> list[tuple[str, int, int]]:
    """Names, visits and versions of all rows."""
    rows = (await db.run("AuthorListNode"))["result"]
    return [(row["name"], row["visits"], row["version"]) for row in rows]


async def test_every_update_counts(db: DataFlow) -> None:
    """A row begins with version 1, and each way of changing it counts one more."""
    created = await db.run("AuthorCreateNode", name="Cyd", email="c")
    assert created["version"] == 1
    changed = await db.run("AuthorUpdateNode", id=3, fields={"name": "C"}, version=1)
    assert changed["version"] == 2
    assert (await db.run("AuthorUpdateNode", id=3, fields={"$inc": {"visits": 1}}))["version"] == 3
    await db.run("AuthorBulkUpdateNode", filter={"id": 3}, fields={"$inc": {"visits": 1}})
    await db.run("AuthorBulkUpdateNode", filter={"id": 3}, fields={"name": "D"}, version=4)
    await db.run("AuthorBulkUpdateNode", data=[{"id": 3, "name": "E", "version": 5}])
    await db.run("AuthorUpsertNode", match_fields=["email"], email="c", name="F")
    await db.run("AuthorBulkUpsertNode", match_fields=["email"], data=[{"email": "c", "name": "G"}])
    await db.run("AuthorBulkCreateNode", conflict="update", data=[{"email": "c", "name": "H"}])
    assert (await versions(db))[2] == ("H", 2, 9)


async def test_a_stale_version_changes_nothing(db: DataFlow) -> None:
    """A version that the row does not have any more is a conflict that tells both."""
    await db.run("AuthorUpdateNode", id=1, fields={"name": "A"}, version=1)
    before = await versions(db)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("AuthorUpdateNode", {"id": 1, "fields": {"name": "B"}}),
        ("AuthorUpdateNode", {"author_id": 1, "fields": {"$inc": {"visits": 1}}}),
        ("AuthorUpdateNode", {"filter": {"name": "A"}, "fields": {"name": "B"}}),
        ("AuthorDeleteNode", {"id": 1}),
        ("AuthorDeleteNode", {"filter": {"name": "A"}}),
        ("AuthorBulkUpdateNode", {"filter": {"id": {"$lt": 3}}, "fields": {"name": "B"}}),
        ("AuthorBulkDeleteNode", {"filter": {"id": {"$lt": 3}}}),
        ("AuthorBulkDeleteNode", {"ids": [1, 2]}),
    ]
    for node, parameters in calls:
        with pytest.raises(VersionConflict) as caught:
            await db.run(node, **parameters, version=1)
        assert (caught.value.context["expected"], caught.value.context["actual"]) == (1, 2)
        assert caught.value.outcome == "not done"
    data = [{"id": 2, "name": "B", "version": 1}, {"id": 1, "name": "B", "version": 1}]
    with pytest.raises(VersionConflict):
        await db.run("AuthorBulkUpdateNode", data=data)
    assert await versions(db) == before


async def test_a_version_is_demanded(db: DataFlow) -> None:
    """Plain values without a version are refused; operators that compute are not."""
    before = await versions(db)
    for fields in ({"name": "x"}, {"$set": {"name": "x"}}, {"$inc": {"visits": 1}, "name": "x"}):
        with pytest.raises(VersionRequired):
            await db.run("AuthorUpdateNode", id=1, fields=fields)
        with pytest.raises(VersionRequired):
            await db.run("AuthorBulkUpdateNode", filter={"id": 1}, fields=fields)
    with pytest.raises(VersionRequired, match="row 1"):
        data = [{"id": 1, "name": "x", "version": 1}, {"id": 2, "name": "x"}]
        await db.run("AuthorBulkUpdateNode", data=data)
    assert await versions(db) == before
    assert (await db.run("AuthorDeleteNode", id=1))["deleted"] is True


async def test_the_version_is_not_given(db: DataFlow) -> None:
    """The counter is nobody's to set."""
    for node, parameters in (
        ("AuthorCreateNode", {"values": {"name": "x", "version": 7}}),
        ("AuthorUpdateNode", {"id": 1, "fields": {"version": 7}, "version": 1}),
        ("AuthorUpdateNode", {"id": 1, "fields": {"$inc": {"version": 7}}}),
        ("AuthorBulkCreateNode", {"data": [{"name": "x", "version": 7}]}),
    ):
        with pytest.raises(ManagedField):
            await db.run(node, **parameters)


async def test_rows_of_one_call_follow_each_other(db: DataFlow) -> None:
    """A key that comes twice has the version that the first change gave it."""
    data = [
        {"id": 1, "name": "A", "version": 1},
        {"id": 1, "name": "B", "version": 2},
        {"id": 9, "name": "nobody", "version": 1},
    ]
    assert (await db.run("AuthorBulkUpdateNode", data=data))["matched"] == 2
    assert (await versions(db))[0] == ("B", 0, 3)
    with pytest.raises(VersionConflict):
        await db.run(
            "AuthorBulkUpdateNode", data=[{**data[0], "version": 3}, {**data[0], "version": 3}]
        )


async def test_a_row_that_is_not_there_is_no_conflict(db: DataFlow) -> None:
    """Where no row has the key, nothing is updated or deleted, and that is said."""
    assert (await db.run("AuthorUpdateNode", id=9, fields={"name": "x"}, version=1))[
        "updated"
    ] is False
    assert (await db.run("AuthorDeleteNode", id=9, version=1))["deleted"] is False


@pytest.mark.timeout(120)
async def test_no_update_is_lost(db: DataFlow) -> None:
    """Sixteen writers that read, add one and write with the version: every one counts once."""

    async def add(times: int) -> None:
        for _ in range(times):
            while True:
                row = (await db.run("AuthorReadNode", id=1))["result"]
                fields = {"visits": row["visits"] + 1}
                try:
                    await db.run("AuthorUpdateNode", id=1, fields=fields, version=row["version"])
                except VersionConflict:
                    continue
                break

    await asyncio.gather(*(add(5) for _ in range(16)))
    assert (await versions(db))[0] == ("Ada", 80, 81)


@pytest.mark.timeout(120)
async def test_no_update_is_lost_in_bulk(db: DataFlow) -> None:
    """Writers of many rows, by versions and by operators at once: each adds one to every row."""

    async def add_by_versions(times: int) -> None:
        for _ in range(times):
            while True:
                rows = (await db.run("AuthorListNode"))["result"]
                data = [
                    {"id": row["id"], "visits": row["visits"] + 1, "version": row["version"]}
                    for row in rows
                ]
                try:
                    await db.run("AuthorBulkUpdateNode", data=data)
                except (VersionConflict, Deadlock, SerializationFailure):
                    continue
                break

    async def add_by_operator(times: int) -> None:
        for _ in range(times):
            fields = {"$inc": {"visits": 1}}
            await db.run("AuthorBulkUpdateNode", filter={}, allow_all=True, fields=fields)

    writers = [add_by_versions(3) for _ in range(6)] + [add_by_operator(3) for _ in range(6)]
    await asyncio.gather(*writers)
    assert await versions(db) == [("Ada", 36, 37), ("Bob", 36, 37)]


async def test_columns_that_are_added_begin_with_one(database_url: str) -> None:
    """A table that was there before gets the column, and its rows version 1."""
    async with registered(DataFlow(database_url), {}, Author) as before:
        await before.run("AuthorCreateNode", name="old")
    async with registered(DataFlow(database_url), {"versioned": True}, Author) as db:
        assert await versions(db) == [("old", 0, 1)]
        done = await db.run("AuthorUpdateNode", id=1, fields={"name": "new"}, version=1)
        assert done["version"] == 2


async def test_a_version_beside_data_is_refused(db: DataFlow) -> None:
    """Rows of `data` hold their versions, so one beside them would be left unread."""
    rows = [{"id": 1, "name": "A", "version": 1}]
    with pytest.raises(ConflictingParameters, match="each row of data has its own version"):
        await db.run("AuthorBulkUpdateNode", data=rows, version=9)
    assert (await versions(db))[0] == ("Ada", 0, 1)


async def test_data_that_holds_no_rows_is_refused(db: DataFlow) -> None:
    """As on a model without versions."""
    with pytest.raises(InvalidType):
        await db.run("AuthorBulkUpdateNode", data=5)
