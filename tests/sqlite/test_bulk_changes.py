"""Bulk updates, deletes and upserts."""

from __future__ import annotations

from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import (
    InvalidType,
    InvalidUpdate,
    ManagedField,
    MissingParameter,
    UniqueViolation,
    UnknownField,
)
from tests.sqlite.shop import people


async def stored(db: DataFlow, *fields: str) -> list[Any]:
    """These fields of all users, in order of their keys."""
    rows = (await db.nodes.User.list(select=list(fields)))["records"]
    return [tuple(row[name] for name in fields) for row in rows]


async def test_update_by_filter(db):
    """All rows that match take values and operators; ``matched`` counts them."""
    await people(db, 5)
    result = await db.nodes.User.bulk_update(
        filter={"age": {"$gte": 3}}, fields={"status": "old", "$inc": {"age": 10}}
    )
    assert result == {"result": {"matched": 2}, "matched": 2, "success": True}
    assert (await stored(db, "age", "status"))[2:] == [(2, "active"), (13, "old"), (14, "old")]
    assert (await db.nodes.User.bulk_update(allow_all=True, fields={"age": 0}))["matched"] == 5
    assert (await db.nodes.User.bulk_update(filter={"age": 9}, fields={"age": 1}))["matched"] == 0


async def test_update_row_by_row(db):
    """``data`` with the key in each row sets the other fields that the row gives."""
    [first, second, third] = await people(db, 3)
    data = ({"id": key, "age": 100 + at} for at, key in enumerate((third, first, 999)))
    assert (await db.nodes.User.bulk_update(data=data))["matched"] == 2
    assert await stored(db, "id", "age") == [(first, 101), (second, 1), (third, 100)]
    await db.nodes.Tag.create(scope="s", name="n")
    await db.nodes.Tag.bulk_update(data=[{"scope": "s", "name": "n", "weight": 3}])
    assert (await db.nodes.Tag.read(scope="s", name="n"))["weight"] == 3


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"age": 5}, MissingParameter),
        ({"id": 1}, InvalidUpdate),
        ({"id": 1, "age": "old"}, InvalidType),
        ({"id": None, "age": 1}, InvalidType),
        ({"id": 1, "nmae": "x"}, UnknownField),
        ({"id": 1, "updated_at": None}, ManagedField),
        ({"id": 2, "email": "taken"}, UniqueViolation),
        (5, InvalidType),
    ],
)
async def test_a_bad_row_undoes_the_update(db, bad, error):
    """The index of the bad row is in the error, and no row has changed."""
    await people(db, 2)
    await db.nodes.User.update(id=1, fields={"email": "taken"})
    with pytest.raises(error, match="row 1") as caught:
        await db.nodes.User.bulk_update(data=[{"id": 1, "age": 50}, bad])
    assert caught.value.context["index"] == 1
    assert await stored(db, "age") == [(0,), (1,)]


async def test_delete_by_filter_or_keys(db):
    """``matched`` and ``deleted``; keys that are not there, or twice there, do not matter."""
    keys = await people(db, 1_300)
    result = await db.nodes.User.bulk_delete(ids=[*keys[:1_205], keys[0], 10**9])
    counts = {"matched": 1_205, "deleted": 1_205}
    assert result == {"result": counts, **counts, "success": True}
    assert (await db.nodes.User.bulk_delete(ids=[]))["deleted"] == 0
    assert (await db.nodes.User.bulk_delete(filter={"age": {"$gte": 1_250}}))["deleted"] == 50
    assert (await db.nodes.User.bulk_delete(allow_all=True))["deleted"] == 45


async def test_delete_by_keys_of_several_fields(db):
    """Keys of several fields are tuples in order, or dicts."""
    await db.nodes.Tag.bulk_create(data=[{"scope": "s", "name": f"n{at}"} for at in range(1_200)])
    keys: list[Any] = [("s", f"n{at}") for at in range(1_100)]
    keys[5] = {"name": "n5", "scope": "s"}
    assert (await db.nodes.Tag.bulk_delete(ids=keys))["deleted"] == 1_100


async def test_upsert_counts(db):
    """``processed``, ``inserted``, ``updated``: a key twice in the data counts once as new."""
    await db.nodes.User.create(name="Ada", email="a", age=7)
    data = [
        {"email": "a", "name": "A2"},
        {"email": "b", "name": "B1", "age": 1},
        {"email": "b", "name": "B2"},
        {"email": "c", "name": "C1"},
        {"email": "c", "name": "C2"},
        {"email": None, "name": "N1"},
        {"email": None, "name": "N2"},
    ]
    result = await db.nodes.User.bulk_upsert(data=iter(data), match_fields=["email"])
    counts = {"processed": 7, "inserted": 4, "updated": 3}
    assert result == {"result": counts, **counts, "success": True}
    assert sorted(await stored(db, "name", "age")) == [
        ("A2", 7), ("B2", 1), ("C2", 0), ("N1", 0), ("N2", 0),
    ]  # fmt: skip


async def test_upsert_by_the_key(db):
    """Without ``match_fields`` rows are matched by the primary key, which each has to give."""
    [first, _] = await people(db, 2)
    result = await db.nodes.User.bulk_upsert(
        data=[{"id": first, "name": "x"}, {"id": 50, "name": "y"}], return_ids=True
    )
    assert (result["inserted"], result["updated"]) == (1, 1)
    assert sorted(result["ids"]) == [first, 50]
    for fields in ({"name": "z"}, {"name": "z", "age": 3}):
        with pytest.raises(MissingParameter, match=r"row 1: .*id"):
            await db.nodes.User.bulk_upsert(data=[{"id": first, "name": "changed"}, fields])
    with pytest.raises(MissingParameter, match="row 0"):
        await db.nodes.Everything.bulk_upsert(data=[{"whole": 1}])
    assert "changed" not in [name for (name,) in await stored(db, "name")]


async def test_upsert_narrowed(db):
    """``update_fields`` are all that a stored row takes over; in the data the last still wins."""
    await db.nodes.User.create(name="Ada", email="a", age=1)
    data = [{"email": "a", "name": f"n{at}", "age": at} for at in (5, 6)]
    data += [{"email": "b", "name": f"n{at}", "age": at} for at in (7, 8)]
    result = await db.nodes.User.bulk_upsert(
        data=data, match_fields=["email"], update_fields=["age"]
    )
    assert (result["inserted"], result["updated"]) == (1, 3)
    assert await stored(db, "name", "age") == [("Ada", 6), ("n7", 8)]


async def test_a_bad_row_undoes_the_upsert(db):
    """Another unique key that is violated names the row, counted in the user's own data."""
    await people(db, 1)
    await db.nodes.User.create(name="taken", email="t")
    data = [
        {"id": 10, "name": "a", "email": "x"},
        {"id": 10, "name": "b", "email": "x"},
        {"id": 11, "name": "c", "email": "y"},
        {"id": 12, "name": "d", "email": "t"},
    ]
    with pytest.raises(UniqueViolation, match="row 3") as caught:
        await db.nodes.User.bulk_upsert(data=data)
    assert caught.value.index == 3
    assert await stored(db, "name") == [("u0",), ("taken",)]


async def test_upsert_of_many(db):
    """Thousands of rows, half of them stored, in any mixture of columns."""
    await people(db, 1_500)
    data = [
        {"id": at, "name": f"v{at}", **({"age": 0} if at % 2 else {})} for at in range(751, 3_001)
    ]
    result = await db.nodes.User.bulk_upsert(data=data)
    assert (result["processed"], result["inserted"], result["updated"]) == (2_250, 1_500, 750)
    rows = {row["id"]: row for row in (await db.nodes.User.list())["records"]}
    assert len(rows) == 3_000
    assert (rows[1_000]["name"], rows[1_000]["age"]) == ("v1000", 999)
    assert rows[1_001]["age"] == 0


async def test_upsert_per_batch(db):
    """``atomic="batch"`` lists the batches that were undone."""
    data: list[dict[str, Any]] = [{"id": at, "name": f"n{at}"} for at in range(1, 5)]
    data[2]["name"] = 5
    result = await db.nodes.User.bulk_upsert(data=data, atomic="batch", batch_size=2)
    assert (result["processed"], result["inserted"], result["updated"]) == (4, 2, 0)
    assert [item["rows"] for item in result["failed"]] == [[2, 4]]
    assert result["success"] is False
