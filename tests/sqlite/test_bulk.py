"""Creating, changing and deleting many rows."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from dataflow_core.errors import (
    ConflictingParameters,
    DataFlowError,
    InvalidType,
    MissingParameter,
    UniqueViolation,
)
from tests.sqlite.shop import people


def rows(number: int, **fields: Any) -> list[dict[str, Any]]:
    """So many rows of users."""
    return [{"name": f"u{at}", "age": at, **fields} for at in range(number)]


async def names(db: Any) -> list[str]:
    """The names that are stored, in order of their keys."""
    return [row["name"] for row in (await db.nodes.User.list())["records"]]


async def test_counts_of_a_bulk_create(db):
    """``processed``, ``inserted``, ``skipped`` and ``success``, at the top and under ``result``."""
    result = await db.nodes.User.bulk_create(data=rows(1_234))
    counts = {"processed": 1_234, "inserted": 1_234, "skipped": 0}
    assert result == {"result": counts, **counts, "success": True}
    assert (await db.nodes.User.bulk_create(data=[]))["inserted"] == 0


async def test_keys_on_request(db):
    """``return_ids`` gives the keys in the order of the rows, an empty list for no rows."""
    result = await db.nodes.User.bulk_create(data=rows(1_100), return_ids=True)
    found = (await db.nodes.User.list(select=["id", "name"]))["records"]
    by_key = {row["id"]: row["name"] for row in found}
    assert [by_key[key] for key in result["ids"]] == [f"u{at}" for at in range(1_100)]
    assert result["result"]["ids"] is result["ids"]
    assert (await db.nodes.User.bulk_create(data=[], return_ids=True))["ids"] == []


async def test_rows_may_have_different_fields(db):
    """Each row gives what it gives; the rest are defaults, and one moment for all rows."""
    data = [{"name": "a"}, {"name": "b", "age": 5}, {"email": "e", "name": "c"}, {"name": "d"}]
    await db.nodes.User.bulk_create(data=data)
    found = (await db.nodes.User.list())["records"]
    assert [(row["name"], row["age"], row["email"]) for row in found] == [
        ("a", 0, None), ("b", 5, None), ("c", 0, "e"), ("d", 0, None),
    ]  # fmt: skip
    assert len({row["created_at"] for row in found}) == 1


async def test_a_field_for_every_row(db):
    """Another field name is applied to every row; where a row gives it too, that is refused."""
    [user] = await people(db, 1)
    await db.nodes.Order.bulk_create(data=[{"total": 1}, {"total": 2}], user_id=user)
    assert (await db.nodes.Order.count(filter={"user_id": user}))["count"] == 2
    with pytest.raises(ConflictingParameters, match=r"row 1: .*user_id"):
        await db.nodes.Order.bulk_create(data=[{}, {"user_id": 5}], user_id=user)


class Once:
    """Counts how often it is asked for an iterator."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.started = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.started += 1
        yield from rows(self.number)


async def later(number: int) -> AsyncIterator[dict[str, Any]]:
    """Rows that are awaited."""
    for row in rows(number):
        yield row


async def test_any_iterable_is_read_once(db):
    """Lists, generators, own iterables and asynchronous ones are read once, from begin to end."""
    once = Once(700)
    for data in (once, iter(rows(700)), (row for row in rows(700)), later(700)):
        assert (await db.nodes.User.bulk_create(data=data))["inserted"] == 700
    assert once.started == 1
    assert await names(db) == [f"u{at}" for at in range(700)] * 4


@pytest.mark.parametrize("at", [0, 3, 499, 500, 1_199])
@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"name": "x", "age": "old"}, InvalidType),
        ({"age": 5}, MissingParameter),
        ({"name": "x", "nmae": 5}, DataFlowError),
        (5, InvalidType),
        ({"name": "x", "email": "taken"}, UniqueViolation),
    ],
)
async def test_all_or_nothing(db, at, bad, error):
    """One bad row of many: its index is in the error, and nothing is stored."""
    await db.nodes.User.create(name="first", email="taken")
    data: list[Any] = rows(1_200)
    data[at] = bad
    with pytest.raises(error, match=f"row {at}") as caught:
        await db.nodes.User.bulk_create(data=data, return_ids=True)
    assert caught.value.context["index"] == at
    assert await names(db) == ["first"]


async def test_the_first_bad_row_counts(db):
    """With a violated rule in an early row and a wrong type in a later one, the early one."""
    await db.nodes.User.create(name="first", email="taken")
    data = rows(4_200)
    data[450]["email"] = "taken"
    data[2_001]["age"] = "old"
    with pytest.raises(UniqueViolation, match="row 450"):
        await db.nodes.User.bulk_create(data=data)


async def test_a_failing_source_leaves_nothing(db):
    """An error of the user's own generator arrives as it is, and nothing is stored."""

    def broken() -> Iterator[dict[str, Any]]:
        yield from rows(1_600)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        await db.nodes.User.bulk_create(data=broken())
    assert await names(db) == []


async def test_per_batch(db):
    """``atomic="batch"``: a batch with a bad row is undone and listed, the others are stored."""
    data: list[Any] = rows(10)
    data[1] = {"name": "extra", "email": "e"}
    data[4] = {"name": 5}
    data[7] = {"name": "double", "email": "e"}
    told: list[int] = []
    result = await db.nodes.User.bulk_create(
        data=iter(data), atomic="batch", batch_size=3, on_progress=told.append, return_ids=True
    )
    assert [item["rows"] for item in result["failed"]] == [[3, 6], [6, 9]]
    assert [item["error"]["code"] for item in result["failed"]] == ["DF-102", "DF-703"]
    assert [item["error"]["context"]["index"] for item in result["failed"]] == [4, 7]
    assert (result["processed"], result["inserted"], result["success"]) == (10, 4, False)
    assert len(result["ids"]) == 4
    assert await names(db) == ["u0", "extra", "u2", "u9"]
    assert told == [3, 6, 9, 10]
    clean = await db.nodes.User.bulk_create(data=rows(2), atomic="batch")
    assert (clean["failed"], clean["success"]) == ([], True)


async def test_skipping_conflicts(db):
    """``conflict="skip"`` leaves stored rows alone, and the first of two equal ones in the data."""
    await db.nodes.User.create(name="first", email="a")
    data = [{"name": "x", "email": "a"}, {"name": "y", "email": "b"}, {"name": "z", "email": "b"}]
    result = await db.nodes.User.bulk_create(data=data, conflict="skip", return_ids=True)
    assert (result["processed"], result["inserted"], result["skipped"]) == (3, 1, 2)
    assert len(result["ids"]) == 1
    assert await names(db) == ["first", "y"]


async def test_skipping_hides_no_other_error(db):
    """Skipping is about unique keys; a missing parent row is an error all the same."""
    with pytest.raises(DataFlowError, match="row 0"):
        await db.nodes.Order.bulk_create(data=[{"user_id": 9}], conflict="skip")


async def test_updating_conflicts(db):
    """``conflict="update"`` changes the row with the unique key; rows without a key are new."""
    await db.nodes.User.create(name="first", email="a", age=7)
    data = [{"name": "x", "email": "a"}, {"name": "y", "email": "b"}]
    result = await db.nodes.User.bulk_create(data=data, conflict="update")
    assert (result["processed"], result["inserted"], result["updated"]) == (2, 1, 1)
    found = (await db.nodes.User.list())["records"]
    assert [(row["name"], row["age"]) for row in found] == [("x", 7), ("y", 0)]
    [user] = await people(db, 1)
    orders = await db.nodes.Order.bulk_create(
        data=[{"user_id": user}, {"user_id": user}], conflict="update"
    )
    assert (orders["inserted"], orders["updated"]) == (2, 0)


async def test_progress(db):
    """``on_progress`` hears how many rows are done, at last all; it may be asynchronous."""
    told: list[int] = []
    await db.nodes.User.bulk_create(data=rows(1_700), on_progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1_700
    heard: list[int] = []

    async def hear(done: int) -> None:
        heard.append(done)

    await db.nodes.User.bulk_create(data=rows(700), on_progress=hear)
    assert heard[-1] == 700


async def test_an_error_while_telling_progress_undoes_all(db):
    """What ``on_progress`` raises ends the call, and nothing is stored."""

    def stop(done: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        await db.nodes.User.bulk_create(data=rows(2_000), on_progress=stop)
    assert await names(db) == []


async def test_memory_does_not_grow_with_the_rows(db):
    """200,000 rows of a generator take no more memory than a few chunks."""

    def source(number: int) -> Iterator[dict[str, Any]]:
        for at in range(number):
            yield {"scope": "s" * 50, "name": f"n{at}"}

    await db.nodes.Tag.bulk_create(data=({"scope": "w", "name": f"n{at}"} for at in range(2_000)))
    tracemalloc.start()
    try:
        await db.nodes.Tag.bulk_create(data=source(200_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000
    assert (await db.nodes.Tag.count())["count"] == 202_000


@pytest.mark.parametrize("number", [1, 499, 500, 501, 1_000, 2_001])
async def test_batch_size_changes_nothing(db, number):
    """Whatever the batch size, the same rows are stored, at the edges of chunks too."""
    for size in (1, 7, 500, 100_000):
        if number * size > 200_000 and size == 1:
            continue
        result = await db.nodes.User.bulk_create(data=rows(number), batch_size=size)
        assert result["inserted"] == number
        assert await names(db) == [f"u{at}" for at in range(number)]
        await db.nodes.User.bulk_delete(allow_all=True)
