"""The facade on a real database: opening, closing, options, other databases."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dataflow_core import DataFlow, LocalRuntime
from dataflow_core.errors import (
    ConnectionFailed,
    InstanceClosed,
    SchemaMismatch,
    TableMissing,
    UnknownDatabase,
    UnsupportedFeature,
)
from tests.sqlite.shop import User, register, watch


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    """The environment of who runs the tests does not count."""
    monkeypatch.delenv("DATAFLOW_DATABASE_URL", raising=False)


async def test_without_arguments_a_database_in_memory_opens(caplog):
    """``DataFlow()`` works at once, and says once in the log what it opened."""
    caplog.set_level(logging.INFO, "dataflow")
    async with register(DataFlow()) as db:
        for number in range(3):
            await db.nodes.User.create(name=f"u{number}")
        assert (await db.nodes.User.count())["count"] == 3
    opened = [record.message for record in caplog.records if record.message.startswith("opened")]
    assert len(opened) == 1
    assert ":memory:" in opened[0]


def test_what_was_opened_is_said_once_for_all_loops(caplog):
    """A second event loop is not a second opening."""
    import asyncio

    caplog.set_level(logging.INFO, "dataflow")
    db = register(DataFlow())
    for _ in range(3):
        asyncio.run(db.run("UserCreateNode", name="Ada"))
    db.run_sync("UserCreateNode", name="Ada")
    assert sum(record.message.startswith("opened") for record in caplog.records) == 1
    db.close()


async def test_memory_is_shared_within_and_isolated_between_instances():
    """Each instance has a database in memory of its own, gone when it is closed."""
    async with register(DataFlow()) as one, register(DataFlow()) as two:
        await one.nodes.User.create(name="Ada")
        assert (await one.nodes.User.count())["count"] == 1
        assert (await two.nodes.User.count())["count"] == 0


async def test_a_relative_path_is_below_the_working_directory(tmp_path, monkeypatch):
    """Three slashes are relative to the working directory, four absolute: the same file here."""
    monkeypatch.chdir(tmp_path)
    async with register(DataFlow("sqlite:///a.db")) as db:
        await db.nodes.User.create(name="Ada")
    assert (tmp_path / "a.db").exists()
    async with register(DataFlow(f"sqlite:///{tmp_path / 'a.db'}")) as db:
        assert (await db.nodes.User.read(id=1))["name"] == "Ada"


async def test_a_missing_folder_is_named(tmp_path, monkeypatch):
    """The error shows the resolved path and the form with four slashes."""
    monkeypatch.chdir(tmp_path)
    db = register(DataFlow("sqlite:///nowhere/a.db"))
    with pytest.raises(ConnectionFailed) as caught:
        await db.nodes.User.count()
    assert str(tmp_path / "nowhere") in str(caught.value)
    assert "sqlite:////" in str(caught.value)
    await db.aclose()


async def test_echo_logs_statements_without_values(caplog):
    """``echo=True`` logs every statement, and no value."""
    caplog.set_level(logging.INFO, "dataflow.sql")
    async with register(DataFlow(echo=True)) as db:
        await db.nodes.User.create(name="Hunter22")
        await db.nodes.User.list(filter={"name": "Hunter22"})
    assert "INSERT" in caplog.text
    assert "SELECT" in caplog.text
    assert "Hunter22" not in caplog.text


@pytest.mark.parametrize("used", [True, False])
async def test_a_closed_instance_says_so(used):
    """After closing, whether it was used or not, everything is refused with DF-410."""
    db = register(DataFlow())
    if used:
        await db.nodes.User.create(name="Ada")
    await db.aclose()
    await db.aclose()
    db.close()
    for call in (
        lambda: db.nodes.User.create(name="Bob"),
        lambda: db.run("UserListNode"),
        lambda: db.run("SQLNode", sql="SELECT 1"),
    ):
        with pytest.raises(InstanceClosed) as caught:
            await call()
        assert caught.value.code == "DF-410"
    with pytest.raises(InstanceClosed):
        async with db:
            pass
    with pytest.raises(InstanceClosed):
        async with db.transaction():
            pass


def test_the_synchronous_face(tmp_path):
    """``with``, ``run_sync`` and ``close`` do for synchronous code what their twins do."""
    with register(DataFlow(f"sqlite:///{tmp_path / 'a.db'}")) as db:
        created = db.run_sync("UserCreateNode", name="Ada")
        assert db.run_sync("UserReadNode", id=created["id"])["name"] == "Ada"
    with pytest.raises(InstanceClosed):
        db.run_sync("UserCountNode")
    assert not list(tmp_path.glob("*-wal"))


async def test_tables_are_not_made_where_that_is_not_wanted(tmp_path):
    """``auto_migrate=False`` and ``existing_schema_mode=True`` (which wins) never make a table."""
    for options in (
        {"auto_migrate": False},
        {"existing_schema_mode": True},
        {"existing_schema_mode": True, "auto_migrate": True},
    ):
        async with register(DataFlow(f"sqlite:///{tmp_path / 'a.db'}", **options)) as db:
            with pytest.raises(TableMissing, match="users"):
                await db.nodes.User.count()
            assert (await db.run("SQLNode", sql="SELECT name FROM sqlite_master"))["result"] == []


async def test_an_existing_table_is_used_as_it_is(tmp_path):
    """A table that fits is used in ``existing_schema_mode``; one that lacks a column is refused."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    async with register(DataFlow(url)) as db:
        await db.nodes.User.create(name="Ada")
    async with register(DataFlow(url, existing_schema_mode=True)) as db:
        assert (await db.nodes.User.create(name="Bob"))["id"] == 2
    async with DataFlow(url, existing_schema_mode=True) as db:
        wider = type("User", (), {"__annotations__": {"name": str, "nickname": str | None}})
        db.model(wider)
        with pytest.raises(SchemaMismatch, match="nickname"):
            await db.nodes.User.count()


async def test_a_file_that_may_only_be_read_can_be_read(tmp_path):
    """Reading works on a database opened for reading; a missing table is the error it is."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    async with DataFlow(url) as db:
        db.model(User)
        await db.nodes.User.create(name="Ada")
    async with register(DataFlow(url, mode="ro")) as db:
        assert (await db.nodes.User.read(id=1))["name"] == "Ada"
        with pytest.raises(TableMissing, match="read-only"):
            await db.nodes.Order.count()
        with pytest.raises(Exception, match="DF-515"):
            await db.nodes.User.create(name="Bob")


async def test_several_databases(tmp_path):
    """``analytics_db=`` is a database of its own, which models name; a name too many is refused."""
    db = DataFlow(":memory:", analytics_db=f"sqlite:///{tmp_path / 'b.db'}")

    @db.model
    class Visit:
        __dataflow__ = {"database": "analytics"}
        page: str

    @db.model
    class Lost:
        __dataflow__ = {"database": "analytcs"}
        page: str

    db.model(User)
    async with db:
        sent = watch(db)
        await db.nodes.Visit.create(page="/")
        assert sent == []
        await db.nodes.User.create(name="Ada")
        assert sent
        assert set(db.pool_stats()) == {"primary", "analytics"}
        with pytest.raises(UnknownDatabase, match="primary, analytics") as caught:
            await db.nodes.Lost.create(page="/")
        assert caught.value.suggestion == "analytics"
    assert (tmp_path / "b.db").exists()
    assert {Visit.__name__, Lost.__name__} == {"Visit", "Lost"}


async def test_a_read_replica_of_a_file_is_refused(tmp_path):
    """What the dialect declares off is refused by its name at first use, not ignored."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    db = register(DataFlow(url, read_replica=url))
    with pytest.raises(UnsupportedFeature) as caught:
        await db.nodes.User.count()
    assert caught.value.code == "DF-901"
    assert list(tmp_path.iterdir()) == []


async def test_explain_sends_nothing(db):
    """``explain`` returns statements and bound values of reads and writes; nothing is stored."""
    sent = watch(db)
    [statement] = db.explain("UserListNode", filter={"name": "x' OR 1=1 --"}, limit=3)
    assert "x' OR" not in statement.sql
    assert "x' OR 1=1 --" in statement.parameters
    assert str(statement) == statement.sql
    calls: dict[str, dict[str, Any]] = {
        "UserCreateNode": {"name": "Ada"},
        "UserReadNode": {"id": 1, "raise_on_not_found": False},
        "UserUpdateNode": {"id": 1, "fields": {"$inc": {"age": 1}}},
        "UserDeleteNode": {"filter": {"name": "x"}},
        "UserCountNode": {},
        "UserUpsertNode": {"email": "e", "name": "x", "match_fields": ["email"]},
        "UserBulkCreateNode": {"data": [{"name": "a"}, {"name": "b"}]},
        "UserBulkUpdateNode": {"filter": {"age": 1}, "fields": {"age": 2}},
        "UserBulkDeleteNode": {"ids": [1, 2]},
        "UserBulkUpsertNode": {"data": [{"id": 1, "name": "a"}]},
        "SQLNode": {"sql": "SELECT :a", "parameters": {"a": 1}},
    }
    for name, parameters in calls.items():
        assert db.explain(name, **parameters), name
    assert sent == []
    assert db.pool_stats()["primary"] == {}
    assert (await db.nodes.User.count())["count"] == 0


async def test_the_second_call_of_a_shape_compiles_nothing(db):
    """Same shape, same text: only the first call of a shape is compiled, whatever the values."""
    nodes = db.nodes.User
    await nodes.create(name="warm")

    async def calls(value: Any) -> None:
        await nodes.create(name=f"n{value}", email=f"e{value}")
        await nodes.list(
            filter={"age": {"$gt": value}, "name": {"$in": ["a", str(value)]}}, limit=7
        )
        await nodes.update(filter={"email": f"e{value}"}, fields={"age": value, "$inc": {}})
        await nodes.count(filter={"name": f"n{value}"})
        await nodes.upsert(email=f"e{value}", name="x", match_fields=["email"])
        await nodes.bulk_create(data=[{"name": "b", "age": value}] * 3)
        await nodes.bulk_update(filter={"age": value}, fields={"status": f"s{value}"})
        await nodes.list(aggregate=[{"$group": {"_id": "$age", "n": {"$sum": value}}}])
        await nodes.bulk_delete(filter={"age": value})
        await nodes.delete(filter={"email": f"e{value}"})

    await calls(1)
    cache = db.engine().cache
    compiled, sent = cache.compiled, watch(db)
    assert compiled == len(cache)
    await calls(2)
    first = list(sent)
    sent.clear()
    await calls(3)
    assert sent == first
    assert cache.compiled == compiled


async def test_the_cache_of_shapes_is_bounded(db):
    """Many shapes do not fill the memory: the oldest go."""
    cache = db.engine().cache
    cache.size = 20
    for number in range(60):
        clauses = [{"age": {"$gt": at}} for at in range(number + 1)]
        await db.nodes.User.count(filter={"$or": clauses})
    assert len(cache) == 20
    assert cache.compiled == 60


def test_a_workflow_of_the_instance(tmp_path):
    """``db.workflow()`` takes nodes of its instance, though others have them too."""
    other = register(DataFlow())
    with register(DataFlow(f"sqlite:///{tmp_path / 'a.db'}")) as db:
        workflow = db.workflow()
        workflow.add_node("UserCreateNode", "ada", {"name": "Ada"})
        workflow.add_node("OrderCreateNode", "order", {"total": 5})
        workflow.add_connection("ada", "id", "order", "user_id")
        results, run_id = LocalRuntime().execute(workflow.build())
        assert results["order"]["user_id"] == results["ada"]["id"]
        assert run_id
        assert db.run_sync("UserCountNode")["count"] == 1
        assert other.run_sync("UserCountNode")["count"] == 0
    other.close()
