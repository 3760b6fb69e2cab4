"""The list and count nodes: pages, cursors, counts, distinct rows, pipelines."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import InvalidCursor
from tests.sqlite.shop import User, people


def names(result: dict[str, Any]) -> list[str]:
    """The names of the rows of a list."""
    return [row["name"] for row in result["records"]]


async def test_the_shape_of_a_list(db):
    """``records`` is the result itself; limit, offset and the rest tell what was asked and cut."""
    await people(db, 3)
    result = await db.nodes.User.list(filter={"age": {"$gte": 1}}, order_by=["-age"])
    assert names(result) == ["u2", "u1"]
    assert result["records"] is result["result"]
    rest = {name: result[name] for name in result if name not in ("records", "result")}
    assert rest == {
        "count": 2, "limit": None, "offset": 0, "next_cursor": None, "truncated": False,
    }  # fmt: skip


async def test_the_key_is_the_last_sort_key(db):
    """Equal rows come in the order of their keys, ascending, whatever the direction of the rest."""
    keys = await people(db, 6, status="same")
    for order in (None, [], ["status"], ["-status"], ["-active", "status"]):
        result = await db.nodes.User.list(order_by=order)
        assert [row["id"] for row in result["records"]] == sorted(keys)


@pytest.mark.parametrize("order", [["age"], ["-age"], ["email", "-age"], ["-email", "name"], []])
async def test_cursors_walk_through_all_rows_once(db, order):
    """Pages by cursor give every row once, in the order of one big list, NULLs included."""
    await people(db, 23)
    for at in range(0, 23, 3):
        await db.nodes.User.update(filter={"name": f"u{at}"}, fields={"email": f"e{at % 9}{at}"})
    whole = names(await db.nodes.User.list(order_by=order))
    walked: list[str] = []
    cursor = None
    while True:
        page = await db.nodes.User.list(order_by=order, limit=4, cursor=cursor, select=["name"])
        assert all(set(row) == {"name"} for row in page["records"])
        walked += names(page)
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert walked == whole
    assert len(whole) == 23


async def test_a_cursor_survives_changes_between_pages(db):
    """Rows that come and go between two pages neither repeat nor hide others."""
    await people(db, 6)
    nodes = db.nodes.User
    page = await nodes.list(order_by=["age"], limit=3)
    await nodes.delete(filter={"name": "u2"})
    await nodes.create(name="early", age=-1)
    rest = await nodes.list(order_by=["age"], limit=3, cursor=page["next_cursor"])
    assert names(page) + names(rest) == ["u0", "u1", "u2", "u3", "u4", "u5"]


async def test_a_cursor_belongs_to_its_list(db):
    """Another filter, another order or a changed cursor is refused; another limit is not."""
    await people(db, 6)
    nodes = db.nodes.User
    cursor = (await nodes.list(filter={"age": {"$gte": 0}}, limit=2))["next_cursor"]
    same = await nodes.list(filter={"age": {"$gte": 0}}, limit=3, cursor=cursor)
    assert names(same) == ["u2", "u3", "u4"]
    for other in ({"age": {"$gte": 1}}, {}, {"name": {"$gte": "0"}}):
        with pytest.raises(InvalidCursor):
            await nodes.list(filter=other, cursor=cursor)
    with pytest.raises(InvalidCursor):
        await nodes.list(filter={"age": {"$gte": 0}}, cursor=cursor, order_by=["name"])
    with pytest.raises(InvalidCursor):
        await nodes.list(filter={"age": {"$gte": 0}}, cursor=cursor[:-2] + "AA")


async def test_without_a_limit_max_rows_applies():
    """More rows than ``max_rows`` are cut, said so, and reachable by the cursor."""
    async with DataFlow(max_rows=10) as db:
        db.model(User)
        await people(db, 25)
        first = await db.nodes.User.list()
        assert (first["count"], first["truncated"]) == (10, True)
        second = await db.nodes.User.list(cursor=first["next_cursor"])
        third = await db.nodes.User.list(cursor=second["next_cursor"])
        assert (third["count"], third["truncated"], third["next_cursor"]) == (5, False, None)
        limited = await db.nodes.User.list(limit=20)
        assert (limited["count"], limited["truncated"]) == (20, False)
        assert limited["next_cursor"] is not None
        grouped = await db.nodes.User.list(aggregate=[{"$group": {"_id": "$age"}}])
        assert (grouped["count"], grouped["truncated"]) == (10, True)


async def test_limit_and_offset(db):
    """``limit=0`` gives none, the largest number gives all, ``offset`` leaves rows out."""
    await people(db, 5)
    nodes = db.nodes.User
    assert (await nodes.list(limit=0))["records"] == []
    assert (await nodes.list(limit=2**63 - 1))["count"] == 5
    page = await nodes.list(order_by=["name"], limit=2, offset=2)
    assert (names(page), page["limit"], page["offset"]) == (["u2", "u3"], 2, 2)
    assert (await nodes.list(offset=99))["records"] == []
    assert (await nodes.list(offset=2**63 - 1))["records"] == []


async def test_counting(db):
    """``count_only`` and the count node give the number of all matches, or of distinct ones."""
    await people(db, 5, department="d")
    nodes = db.nodes.User
    assert (await nodes.list(filter={"age": {"$gt": 1}}, count_only=True))["count"] == 3
    assert (await nodes.count(filter={"age": {"$gt": 1}})) == {"result": 3, "count": 3}
    assert (await nodes.count())["count"] == 5
    distinct = await nodes.list(count_only=True, distinct=True, select=["department"])
    assert distinct["count"] == 1


async def test_distinct_rows(db):
    """Each combination of the selected fields once, in their order."""
    for department, age in (("b", 1), ("a", 2), ("b", 1), ("a", 1)):
        await db.nodes.User.create(name="x", department=department, age=age)
    result = await db.nodes.User.list(
        distinct=True, select=["department", "age"], order_by=["-department"]
    )
    assert [(row["department"], row["age"]) for row in result["records"]] == [
        ("b", 1), ("a", 1), ("a", 2),
    ]  # fmt: skip


async def test_a_pipeline_over_what_the_filter_lets_through(db):
    """``aggregate`` sees filtered rows; groups without a sort come in the order of ``_id``."""
    [one, two] = await people(db, 2)
    for user, total in ((one, 1), (two, 2), (two, 3), (one, 100)):
        await db.nodes.Order.create(user_id=user, total=Decimal(total))
    result = await db.nodes.Order.list(
        filter={"total": {"$lt": 100}},
        aggregate=[{"$group": {"_id": "$user_id", "sum": {"$sum": "$total"}, "n": {"$sum": 1}}}],
    )
    assert result["records"] == [
        {"_id": one, "sum": Decimal(1), "n": 1},
        {"_id": two, "sum": Decimal(5), "n": 2},
    ]
    assert (result["count"], result["next_cursor"]) == (2, None)


async def test_a_list_is_fresh_every_time(db):
    """Changing a row of a result changes no later result."""
    await people(db, 1)
    first = await db.nodes.User.list()
    first["records"][0]["name"] = "changed"
    assert names(await db.nodes.User.list()) == ["u0"]


async def test_sql_of_ones_own(db):
    """``SQLNode``: bound parameters by name, rows as dicts, one row, or the number written."""
    await people(db, 3)
    rows = await db.run(
        "SQLNode",
        sql="SELECT name, age FROM users WHERE age >= :age AND ':x' <> '' -- :y\n ORDER BY age",
        parameters={"age": 1},
    )
    assert rows["records"] == [{"name": "u1", "age": 1}, {"name": "u2", "age": 2}]
    one = await db.run("SQLNode", sql="SELECT count(*) AS n FROM users", fetch="one")
    assert (one["result"], one["found"]) == ({"n": 3}, True)
    written = await db.run(
        "SQLNode",
        sql="UPDATE users SET name = :name WHERE age > :age",
        parameters={"age": 0, "name": "'; DROP TABLE users; --"},
        fetch="none",
    )
    assert written["result"] == 2
    assert (await db.nodes.User.count(filter={"name": "'; DROP TABLE users; --"}))["count"] == 2
