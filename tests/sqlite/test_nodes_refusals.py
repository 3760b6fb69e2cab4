"""What nodes refuse before anything is sent: with a code, and the nearest right name."""

from __future__ import annotations

import time
from typing import Any

import pytest

from dataflow_core.errors import DataFlowError, UnknownNode
from tests.limits import at_most
from tests.sqlite.shop import people, watch

CYCLE: list[Any] = []
CYCLE.append(CYCLE)
DEEP: dict[str, Any] = {}
for _ in range(100_000):
    DEEP = {"$and": [DEEP]}

WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("UserCreateNode", {"nmae": "Ada"}, "DF-105"),
    ("UserCreateNode", {"values": {"nmae": "Ada"}}, "DF-106"),
    ("UserCreateNode", {}, "DF-101"),
    ("UserCreateNode", {"name": None}, "DF-102"),
    ("UserCreateNode", {"name": 5}, "DF-102"),
    ("UserCreateNode", {"name": "a\0b"}, "DF-103"),
    ("UserCreateNode", {"name": "a\ud800"}, "DF-103"),
    ("UserCreateNode", {"name": "a", "age": True}, "DF-102"),
    ("UserCreateNode", {"name": "a", "age": 2**63}, "DF-103"),
    ("UserCreateNode", {"name": "a", "email": "x" * 769}, "DF-103"),
    ("UserCreateNode", {"name": "a", "tenant_id": "t"}, "DF-103"),
    ("UserCreateNode", {"name": "a", "id": None}, "DF-102"),
    ("UserCreateNode", {"values": 5}, "DF-102"),
    ("EverythingCreateNode", {"real": float("nan")}, "DF-103"),
    ("EverythingCreateNode", {"real": float("inf")}, "DF-103"),
    ("EverythingCreateNode", {"document": CYCLE}, "DF-102"),
    ("EverythingCreateNode", {"document": {"a": CYCLE}}, "DF-103"),
    ("EverythingCreateNode", {"document": {5: 1}}, "DF-102"),
    ("EverythingCreateNode", {"short": 2**31}, "DF-103"),
    ("EverythingCreateNode", {"choice": "c"}, "DF-103"),
    ("UserReadNode", {}, "DF-109"),
    ("UserReadNode", {"filter": {}}, "DF-109"),
    ("UserReadNode", {"id": "1"}, "DF-102"),
    ("UserReadNode", {"id": None}, "DF-102"),
    ("UserReadNode", {"id": 1, "raise_on_not_found": "no"}, "DF-102"),
    ("UserReadNode", {"id": 1, "select": ["nmae"]}, "DF-106"),
    ("UserReadNode", {"id": 1, "select": []}, "DF-103"),
    ("UserReadNode", {"id": 1, "select": ["id", "id"]}, "DF-103"),
    ("UserReadNode", {"id": 1, "include": ["posts"]}, "DF-106"),
    ("UserReadNode", {"id": 1, "include_deleted": True}, "DF-103"),
    ("UserReadNode", {"key": 1}, "DF-105"),
    ("TagReadNode", {"scope": "s"}, "DF-101"),
    ("UserUpdateNode", {"fields": {"age": 1}}, "DF-109"),
    ("UserUpdateNode", {"filter": {}, "fields": {"age": 1}}, "DF-109"),
    ("UserUpdateNode", {"id": 1}, "DF-101"),
    ("UserUpdateNode", {"id": 1, "fields": {}}, "DF-804"),
    ("UserUpdateNode", {"id": 1, "fields": {"id": 2}}, "DF-104"),
    ("UserUpdateNode", {"id": 1, "fields": {"updated_at": None}}, "DF-104"),
    ("UserUpdateNode", {"id": 1, "fields": {"$incr": {"age": 1}}}, "DF-801"),
    ("UserUpdateNode", {"id": 1, "fields": {"age": 1}, "version": 0}, "DF-103"),
    ("UserDeleteNode", {}, "DF-109"),
    ("UserDeleteNode", {"id": 1, "soft_delete": True}, "DF-103"),
    ("UserDeleteNode", {"id": 1, "version": 3}, "DF-103"),
    ("UserListNode", {"filter": {"nmae": 1}}, "DF-106"),
    ("UserListNode", {"filter": {"age": {"$gtt": 1}}}, "DF-801"),
    ("UserListNode", {"filter": DEEP}, "DF-108"),
    ("UserListNode", {"filter": {"age": {"$in": list(range(1_000_000))}}}, "DF-108"),
    ("UserListNode", {"filter": {"age": {"$in": [float("nan")]}}}, "DF-103"),
    ("UserListNode", {"filter": {5: 1}}, "DF-802"),
    ("UserListNode", {"filter": [1]}, "DF-802"),
    ("UserListNode", {"order_by": ["nmae"]}, "DF-106"),
    ("UserListNode", {"order_by": 5}, "DF-806"),
    ("UserListNode", {"order_by": ["age"] * 9}, "DF-108"),
    ("UserListNode", {"limit": -1}, "DF-103"),
    ("UserListNode", {"limit": "5"}, "DF-102"),
    ("UserListNode", {"limit": True}, "DF-102"),
    ("UserListNode", {"limit": 2**64}, "DF-103"),
    ("UserListNode", {"offset": -1}, "DF-103"),
    ("UserListNode", {"cursor": "nonsense"}, "DF-807"),
    ("UserListNode", {"cursor": "x", "offset": 3}, "DF-107"),
    ("UserReadNode", {"id": 1, "stream": True}, "DF-105"),
    ("UserListNode", {"distinct": "yes"}, "DF-102"),
    ("UserListNode", {"count_only": True, "limit": 0}, "DF-107"),
    ("UserListNode", {"count_only": True, "select": ["age"]}, "DF-107"),
    ("UserListNode", {"aggregate": [{"$match": {}}], "limit": 0}, "DF-107"),
    ("UserListNode", {"aggregate": [{"$mtach": {}}]}, "DF-801"),
    ("UserListNode", {"distinct": True, "select": ["age"], "order_by": ["name"]}, "DF-107"),
    ("UserListNode", {"limits": 5}, "DF-105"),
    ("UserBulkCreateNode", {}, "DF-101"),
    ("UserBulkCreateNode", {"data": {"name": "a"}}, "DF-102"),
    ("UserBulkCreateNode", {"data": "rows"}, "DF-102"),
    ("UserBulkCreateNode", {"data": 5}, "DF-102"),
    ("UserBulkCreateNode", {"data": [], "conflict": "ignore"}, "DF-103"),
    ("UserBulkCreateNode", {"data": [], "atomic": "none"}, "DF-103"),
    ("UserBulkCreateNode", {"data": [], "batch_size": 0}, "DF-103"),
    ("UserBulkCreateNode", {"data": [], "on_progress": 5}, "DF-102"),
    ("UserBulkCreateNode", {"data": [], "return_ids": 1}, "DF-102"),
    ("UserBulkCreateNode", {"data": [], "nmae": "x"}, "DF-105"),
    ("UserBulkUpdateNode", {"fields": {"age": 1}}, "DF-109"),
    ("UserBulkUpdateNode", {"filter": {"age": 1}}, "DF-101"),
    ("UserBulkUpdateNode", {"filter": {}, "fields": {"age": 1}, "allow_all": 1}, "DF-102"),
    ("UserBulkUpdateNode", {"filter": {"age": 1}, "data": []}, "DF-107"),
    ("UserBulkUpdateNode", {"fields": {"age": 1}, "data": []}, "DF-107"),
    ("UserBulkDeleteNode", {}, "DF-109"),
    ("UserBulkDeleteNode", {"filter": {}}, "DF-109"),
    ("UserBulkDeleteNode", {"ids": 5}, "DF-102"),
    ("UserBulkDeleteNode", {"ids": "12"}, "DF-102"),
    ("UserBulkDeleteNode", {"ids": ["x"]}, "DF-102"),
    ("UserBulkDeleteNode", {"ids": [None]}, "DF-102"),
    ("UserBulkDeleteNode", {"ids": [1], "filter": {"age": 1}}, "DF-107"),
    ("UserBulkDeleteNode", {"filter": {"age": 1}, "soft_delete": True}, "DF-103"),
    ("TagBulkDeleteNode", {"ids": [["s"]]}, "DF-102"),
    ("UserBulkUpsertNode", {"data": [], "match_fields": ["age"]}, "DF-103"),
    ("UserBulkUpsertNode", {"data": [], "match_fields": ["emial"]}, "DF-106"),
    ("UserBulkUpsertNode", {"data": [], "update_fields": ["id"]}, "DF-103"),
    ("UserCountNode", {"filter": {"nmae": 1}}, "DF-106"),
    ("UserCountNode", {"include_deleted": True}, "DF-103"),
    ("UserUpsertNode", {"name": "a"}, "DF-101"),
    ("UserUpsertNode", {"name": "a", "match_fields": ["email"]}, "DF-101"),
    ("SQLNode", {}, "DF-101"),
    ("SQLNode", {"sql": "SELECT :a"}, "DF-101"),
    ("SQLNode", {"sql": "SELECT 1", "parameters": {"a": 1}}, "DF-105"),
    ("SQLNode", {"sql": "SELECT 1", "fetch": "some"}, "DF-103"),
    ("SQLNode", {"sql": "SELECT 1", "database": "nope"}, "DF-409"),
]


@pytest.mark.parametrize("db", ["memory"], indirect=True)
@pytest.mark.parametrize(("node", "parameters", "code"), WRONG)
async def test_wrong_parameters_are_refused_before_any_sql(db, node, parameters, code):
    """A wrong call is a DF-coded error within 50 ms, and no statement is sent."""
    sent = watch(db)
    start = time.perf_counter()
    with pytest.raises(DataFlowError) as caught:
        await db.run(node, **parameters)
    assert time.perf_counter() - start < at_most(0.05)
    assert caught.value.code == code, str(caught.value)
    assert sent == []
    assert len(str(caught.value)) < 5_000


@pytest.mark.parametrize(
    ("node", "parameters", "suggestion"),
    [
        ("UserCreateNode", {"nmae": "Ada"}, "name"),
        ("UserListNode", {"filter": {"Age": 1}}, "age"),
        ("UserListNode", {"order_by": ["-nam"]}, "name"),
        ("UserListNode", {"filter": {"age": {"$gtee": 1}}}, "$gte"),
        ("UserListNode", {"ordr_by": ["name"]}, "order_by"),
        ("UserReadNode", {"id": 1, "select": ["emial"]}, "email"),
        ("UserUpdateNode", {"id": 1, "fields": {"$incr": {"age": 1}}}, "$inc"),
        ("UserBulkUpsertNode", {"data": [], "match_fields": ["emial"]}, "email"),
    ],
)
async def test_a_misspelt_name_gets_the_nearest(db, node, parameters, suggestion):
    """The error of a misspelt name has the right one."""
    with pytest.raises(DataFlowError) as caught:
        await db.run(node, **parameters)
    assert caught.value.suggestion == suggestion


@pytest.mark.parametrize("name", ["UserCreatNode", "", "x" * 10_000, 5, None])
async def test_an_unknown_node_is_refused(db, name):
    """A name that is no node, or no name at all."""
    with pytest.raises(UnknownNode):
        await db.run(name)


async def test_parameters_that_ask_for_nothing_are_accepted(db):
    """``None`` and False of what a plugin brings ask for nothing."""
    [user] = await people(db, 1)
    await db.run("UserReadNode", id=user, include=None, include_deleted=False, tenant_id=None)
    await db.run("UserListNode", stream=False, include=None, tenant_id=None)
    assert (await db.run("UserDeleteNode", id=user, soft_delete=False))["deleted"] is True
