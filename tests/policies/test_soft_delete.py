from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import (
    ForeignKeyViolation,
    InvalidModel,
    InvalidType,
    InvalidValue,
    ManagedField,
    RecordNotFound,
    UniqueViolation,
)
from tests.policies.models import Author, Book, Chapter, Shelf, registered

WITHOUT_DATABASES = ("pgbouncer",)
SOFT = {"soft_delete": True}


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[DataFlow]:
    """An author of two books, the first of two chapters."""
    async with registered(DataFlow(database_url), SOFT, Author, Book, Chapter) as db:
        await db.run("AuthorCreateNode", name="Ada", email="ada@example.com")
        for title in ("Notes", "Letters"):
            await db.run("BookCreateNode", author_id=1, title=title, pages=10)
        for title in ("A", "B"):
            await db.run("ChapterCreateNode", book_id=1, title=title)
        yield db


async def count(db: DataFlow, model: str, **parameters: Any) -> int:
    """How many rows there are."""
    found: int = (await db.run(f"{model}CountNode", **parameters))["count"]
    return found


async def test_a_deleted_row_is_not_seen(db: DataFlow) -> None:
    """Reads, lists, counts, pipelines and relations are about the rows that are not deleted."""
    deleted = await db.run("BookDeleteNode", id=1)
    assert (deleted["deleted"], deleted["title"], deleted["deleted_at"]) == (True, "Notes", None)
    with pytest.raises(RecordNotFound):
        await db.run("BookReadNode", id=1)
    assert [row["id"] for row in (await db.run("BookListNode"))["result"]] == [2]
    assert await count(db, "Book") == 1
    total = [{"$group": {"_id": None, "pages": {"$sum": "$pages"}}}]
    assert (await db.run("BookListNode", aggregate=total))["result"] == [{"_id": None, "pages": 10}]
    author = (await db.run("AuthorReadNode", id=1, include=["books"]))["result"]
    assert [book["id"] for book in author["books"]] == [2]
    assert await count(db, "Author", filter={"books.title": "Notes"}) == 0
    joined = [
        {
            "$lookup": {
                "from": "books", "localField": "id", "foreignField": "author_id", "as": "book",
            }
        },
        {"$unwind": "$book"},
    ]  # fmt: skip
    rows = (await db.run("AuthorListNode", aggregate=joined))["result"]
    assert [row["book"]["title"] for row in rows] == ["Letters"]


async def test_deleted_rows_are_seen_on_request(db: DataFlow) -> None:
    """`include_deleted` gives the deleted rows of the node's own model as well."""
    await db.run("BookDeleteNode", id=1)
    read = await db.run("BookReadNode", id=1, include_deleted=True)
    assert read["deleted_at"] is not None
    assert read["updated_at"] == read["created_at"]
    assert await count(db, "Book", include_deleted=True) == 2
    assert await count(db, "Book", include_deleted=False) == 1
    listed = await db.run(
        "BookListNode", include_deleted=True, filter={"deleted_at": {"$ne": None}}
    )
    assert [row["id"] for row in listed["result"]] == [1]
    assert [row["id"] async for row in db.nodes.Book.stream(include_deleted=True)] == [1, 2]
    assert [row["id"] async for row in db.nodes.Book.stream()] == [2]
    with pytest.raises(InvalidType):
        await db.run("BookCountNode", include_deleted="yes")


async def test_a_deleted_row_is_not_changed(db: DataFlow) -> None:
    """No update and no deletion is about a deleted row, by whatever way."""
    await db.run("BookDeleteNode", id=1)
    before = (await db.run("BookReadNode", id=1, include_deleted=True))["result"]
    assert (await db.run("BookUpdateNode", id=1, fields={"pages": 99}))["updated"] is False
    many = await db.run("BookBulkUpdateNode", filter={}, allow_all=True, fields={"pages": 99})
    assert many["matched"] == 1
    rows = [{"id": 1, "pages": 98}, {"id": 2, "pages": 98}]
    assert (await db.run("BookBulkUpdateNode", data=rows))["matched"] == 1
    assert (await db.run("BookDeleteNode", id=1, soft_delete=False))["deleted"] is False
    assert (await db.run("BookDeleteNode", id=1))["deleted"] is False
    assert (await db.run("BookBulkDeleteNode", ids=[1], soft_delete=False))["deleted"] == 0
    after = (await db.run("BookReadNode", id=1, include_deleted=True))["result"]
    assert after == before


async def test_an_upsert_does_not_change_a_deleted_row(db: DataFlow) -> None:
    """The key of a deleted row is taken: the upsert is refused, and nothing is stored."""
    await db.run("BookDeleteNode", id=1)
    row = {"id": 1, "author_id": 1, "title": "Other"}
    with pytest.raises(UniqueViolation):
        await db.run("BookUpsertNode", **row)
    with pytest.raises(UniqueViolation):
        await db.run("BookBulkUpsertNode", data=[{**row, "id": 2}, row])
    titles = (await db.run("BookListNode", include_deleted=True))["result"]
    assert [row["title"] for row in titles] == ["Notes", "Letters"]


async def test_unique_values_are_free_again(db: DataFlow) -> None:
    """What a deleted row has may be stored anew, matched by upserts, and then blocks restoring."""
    await db.run("AuthorDeleteNode", id=1)
    again = await db.run(
        "AuthorUpsertNode", match_fields=["email"], email="ada@example.com", name="Other"
    )
    assert (again["created"], again["id"]) == (True, 2)
    twice = await db.run(
        "AuthorBulkUpsertNode",
        match_fields=["email"],
        data=[{"email": "ada@example.com", "name": "New"}],
    )
    assert (twice["inserted"], twice["updated"]) == (0, 1)
    with pytest.raises(UniqueViolation):
        await db.run("AuthorCreateNode", name="Third", email="ada@example.com")
    with pytest.raises(UniqueViolation):
        await db.run("AuthorRestoreNode", id=1)
    names = (await db.run("AuthorListNode", include_deleted=True))["result"]
    assert [row["name"] for row in names] == ["Ada", "New"]


async def test_rows_are_deleted_and_restored_together(db: DataFlow) -> None:
    """What cascades goes with its row and comes back with it; what went before stays deleted."""
    await db.run("ChapterDeleteNode", id=2)
    await db.run("BookDeleteNode", id=2)
    await db.run("AuthorDeleteNode", id=1)
    assert [await count(db, name) for name in ("Author", "Book", "Chapter")] == [0, 0, 0]
    restored = await db.run("AuthorRestoreNode", author_id=1)
    assert (restored["restored"], restored["name"], restored["deleted_at"]) == (True, "Ada", None)
    assert [await count(db, name) for name in ("Author", "Book", "Chapter")] == [1, 1, 1]
    assert (await db.run("BookRestoreNode", id=2))["restored"] is True
    assert (await db.run("BookRestoreNode", id=2))["restored"] is False
    assert (await db.run("BookRestoreNode", filter={"title": "None"}))["result"] is None


async def test_many_rows_are_deleted_together(db: DataFlow) -> None:
    """A bulk deletion, by filter or keys, is followed like a single one, and is one moment."""
    await db.run("BookBulkCreateNode", data=[{"title": f"{at}"} for at in range(1200)], author_id=1)
    await db.run("ChapterBulkCreateNode", data=[{"book_id": 1200, "title": "last"}])
    done = await db.run("BookBulkDeleteNode", filter={"id": {"$gt": 2}})
    assert (done["matched"], done["deleted"]) == (1200, 1200)
    assert await count(db, "Chapter") == 2
    assert (await db.run("BookBulkDeleteNode", ids=[1, 2, 3]))["deleted"] == 2
    assert await count(db, "Chapter") == 0
    moments = [
        {"$group": {"_id": "$deleted_at", "n": {"$sum": 1}}},
        {"$sort": {"n": 1}},
    ]
    listed = await db.run("BookListNode", aggregate=moments, include_deleted=True)
    assert [row["n"] for row in listed["result"]] == [2, 1200]
    assert await count(db, "Author") == 1


async def test_a_row_for_good(db: DataFlow) -> None:
    """`soft_delete=False` removes the row, and the database what cascades."""
    gone = await db.run("AuthorDeleteNode", id=1, soft_delete=False)
    assert gone["deleted"] is True
    for name in ("Author", "Book", "Chapter"):
        assert await count(db, name, include_deleted=True) == 0
    with pytest.raises(InvalidType):
        await db.run("AuthorDeleteNode", id=1, soft_delete="no")


async def test_what_is_held_is_not_deleted(db: DataFlow) -> None:
    """A row that another one restricts is not deleted, nor is anything that would go before it."""
    registered(db, SOFT, Shelf)
    shelf = await db.run("ShelfCreateNode", book_id=1)
    for call in (
        db.run("BookDeleteNode", id=1),
        db.run("AuthorDeleteNode", id=1),
        db.run("BookBulkDeleteNode", allow_all=True, filter={}),
    ):
        with pytest.raises(ForeignKeyViolation):
            await call
    assert [await count(db, name) for name in ("Author", "Book", "Chapter")] == [1, 2, 2]
    await db.run("ShelfDeleteNode", id=shelf["id"])
    assert (await db.run("AuthorDeleteNode", id=1))["deleted"] is True


async def test_what_could_not_be_restored_is_refused(database_url: str) -> None:
    """A soft deletion that others would follow for good is refused before any SQL."""
    async with DataFlow(database_url) as db:
        registered(registered(db, SOFT, Author), {}, Book)
        await db.run("AuthorCreateNode", name="Ada")
        with pytest.raises(InvalidModel, match="soft_delete=False"):
            await db.run("AuthorDeleteNode", id=1)
        with pytest.raises(InvalidModel, match="soft_delete=False"):
            await db.run("AuthorBulkDeleteNode", ids=[1])
        assert (await db.run("AuthorDeleteNode", id=1, soft_delete=False))["deleted"] is True


async def test_the_moment_is_not_given(db: DataFlow) -> None:
    """No create, update or upsert sets `deleted_at`."""
    for node, parameters in (
        ("AuthorCreateNode", {"name": "x", "deleted_at": None}),
        ("AuthorUpdateNode", {"id": 1, "fields": {"deleted_at": None}}),
        ("AuthorBulkCreateNode", {"data": [{"name": "x", "deleted_at": None}]}),
        ("AuthorBulkUpdateNode", {"data": [{"id": 1, "deleted_at": None}]}),
        ("AuthorUpsertNode", {"id": 1, "name": "x", "deleted_at": None}),
    ):
        with pytest.raises(ManagedField, match="deleted_at"):
            await db.run(node, **parameters)
    data = [{"id": 1, "name": "x"}]
    with pytest.raises(InvalidValue, match="deleted_at"):
        await db.run("AuthorBulkUpsertNode", data=data, update_fields=["deleted_at"])


async def test_deletions_at_once_are_told_apart(db: DataFlow) -> None:
    """Each deletion has a moment of its own, so restoring one never restores another's rows."""
    await db.run("BookBulkCreateNode", data=[{"title": f"{at}"} for at in range(40)], author_id=1)
    await asyncio.gather(*(db.run("BookDeleteNode", id=at) for at in range(3, 43)))
    rows = (await db.run("BookListNode", include_deleted=True, filter={"id": {"$gt": 2}}))["result"]
    assert len({row["deleted_at"] for row in rows}) == 40


async def test_relations_lead_from_deleted_rows_too(db: DataFlow) -> None:
    """With `include_deleted` a model has the relations that it has without, to rows not deleted."""
    await db.run("BookDeleteNode", id=1)
    for deleted in (False, True):
        rows = await db.run("AuthorListNode", include=["books"], include_deleted=deleted)
        assert [[book["id"] for book in row["books"]] for row in rows["result"]] == [[2]]
        assert await count(db, "Author", filter={"books.id": 2}, include_deleted=deleted) == 1
        assert await count(db, "Author", filter={"books.id": 1}, include_deleted=deleted) == 0


async def test_related_rows_choose_what_is_deleted_and_restored(db: DataFlow) -> None:
    """Soft deletions and restores take conditions on related rows, like every other node."""
    assert (await db.run("BookDeleteNode", filter={"chapters.title": "A"}))["id"] == 1
    assert (await db.run("BookBulkDeleteNode", filter={"author.name": "Ada"}))["matched"] == 1
    assert (await db.run("BookRestoreNode", filter={"author.name": "Ada", "id": 1}))["restored"]
    done = await db.run("AuthorBulkDeleteNode", filter={"books.title": "Notes"})
    assert done["matched"] == 1
