"""Transactions: commit, rollback, savepoints, the failed state, tables made inside."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import (
    ConflictingParameters,
    InvalidModel,
    InvalidType,
    ReadOnlyDatabase,
    TransactionFailed,
    UniqueViolation,
)
from tests.sqlite.shop import User, idle, people, register, watch


async def names(db: DataFlow) -> list[str]:
    """The names that are stored, in order of their keys."""
    return [row["name"] for row in (await db.nodes.User.list())["records"]]


async def test_all_is_kept_at_the_end(db):
    """What ran inside is stored when the block is left, and was seen inside before."""
    async with db.transaction():
        await db.nodes.User.create(name="a")
        await db.run("UserCreateNode", name="b")
        assert await names(db) == ["a", "b"]
        assert db.current_transaction() is not None
    assert db.current_transaction() is None
    assert await names(db) == ["a", "b"]


async def test_nothing_is_kept_after_an_error(db):
    """An error that leaves the block undoes everything and arrives as it is."""
    await people(db, 1)
    with pytest.raises(ZeroDivisionError):
        async with db.transaction():
            await db.nodes.User.create(name="a")
            await db.nodes.User.bulk_create(data=[{"name": "b"}] * 700)
            await db.nodes.User.update(id=1, fields={"name": "changed"})
            _ = 1 / 0
    assert await names(db) == ["u0"]


async def test_nested_is_a_savepoint(db):
    """A nested transaction that fails undoes itself only; else it is part of the outer one."""
    async with db.transaction():
        await db.nodes.User.create(name="outer")
        with pytest.raises(ZeroDivisionError):
            async with db.transaction():
                await db.nodes.User.create(name="inner")
                async with db.transaction():
                    await db.nodes.User.create(name="innermost")
                _ = 1 / 0
        async with db.transaction():
            await db.nodes.User.create(name="kept")
        assert await names(db) == ["outer", "kept"]
    assert await names(db) == ["outer", "kept"]


async def test_after_an_error_of_the_database_nothing_more_runs(db):
    """A violated rule inside leaves the transaction failed: it refuses, and all is rolled back."""
    await db.nodes.User.create(name="first", email="e")
    with pytest.raises(TransactionFailed) as end:
        async with db.transaction():
            await db.nodes.User.create(name="a")
            with pytest.raises(UniqueViolation):
                await db.nodes.User.create(name="b", email="e")
            with pytest.raises(TransactionFailed, match="DF-703") as caught:
                await db.nodes.User.count()
            assert caught.value.code == "DF-512"
            assert isinstance(caught.value.__cause__, UniqueViolation)
    assert end.value.outcome == "not done"
    assert await names(db) == ["first"]


async def test_what_may_fail_is_nested(db):
    """An error of the database inside a nested transaction leaves the outer one usable."""
    await db.nodes.User.create(name="first", email="e")
    async with db.transaction():
        with pytest.raises(UniqueViolation):
            async with db.transaction():
                await db.nodes.User.create(name="b", email="e")
        with pytest.raises(UniqueViolation, match="row 1"):
            await db.nodes.User.bulk_create(data=[{"name": "x"}, {"name": "y", "email": "e"}])
        await db.nodes.User.create(name="c")
    assert await names(db) == ["first", "c"]


def test_the_synchronous_form(tmp_path):
    """``with db.transaction():`` is the same for synchronous code, nested ones included."""
    with register(DataFlow(f"sqlite:///{tmp_path / 'a.db'}", pool_timeout=1)) as db:

        def count() -> int:
            return int(db.run_sync("UserCountNode")["count"])

        with db.transaction():
            db.run_sync("UserCreateNode", name="a")
            with pytest.raises(ZeroDivisionError), db.transaction():
                db.run_sync("UserCreateNode", name="b")
                _ = 1 / 0
            with db.transaction():
                db.run_sync("UserCreateNode", name="c")
            assert count() == 2
        assert db.current_transaction() is None
        with pytest.raises(ZeroDivisionError), db.transaction():
            db.run_sync("UserCreateNode", name="d")
            assert count() == 3
            _ = 1 / 0
        assert db.current_transaction() is None
        assert count() == 2
        assert idle(db)


async def test_a_refusal_before_sql_fails_nothing(db):
    """Wrong parameters send nothing, so the transaction goes on."""
    async with db.transaction():
        await db.nodes.User.create(name="a")
        with pytest.raises(InvalidType):
            await db.nodes.User.create(name=5)
        await db.nodes.User.create(name="b")
    assert await names(db) == ["a", "b"]


async def test_a_transaction_that_only_reads(db):
    """``read_only=True`` sees rows and refuses to write; afterwards writing works again."""
    await people(db, 2)
    async with db.transaction(read_only=True):
        assert (await db.nodes.User.count())["count"] == 2
    with pytest.raises(ReadOnlyDatabase):
        async with db.transaction(read_only=True):
            await db.nodes.User.create(name="a")
    await db.nodes.User.create(name="a")
    assert (await db.nodes.User.count())["count"] == 3


async def test_an_isolation_of_its_own_needs_a_transaction_of_its_own(db):
    """Every level is accepted at the outside; nested it could not hold, and is refused."""
    for level in ("read committed", "repeatable read", "serializable"):
        async with db.transaction(isolation=level):
            await db.nodes.User.create(name=level)
    async with db.transaction():
        with pytest.raises(ConflictingParameters):
            async with db.transaction(isolation="serializable"):
                pass
    assert (await db.nodes.User.count())["count"] == 3


async def test_tasks_inside_share_the_transaction(db):
    """Tasks that are started inside run in the transaction, one statement after the other."""
    with pytest.raises(ZeroDivisionError):
        async with db.transaction():
            await asyncio.gather(*(db.nodes.User.create(name=f"n{at}") for at in range(20)))
            assert (await db.nodes.User.count())["count"] == 20
            _ = 1 / 0
    assert await names(db) == []


async def test_a_task_that_outlives_its_transaction_is_refused(db):
    """Nothing can run in a transaction that is over."""
    go = asyncio.Event()

    async def late() -> None:
        await go.wait()
        await db.nodes.User.create(name="late")

    async with db.transaction():
        task = asyncio.create_task(late())
        await db.nodes.User.create(name="a")
    go.set()
    with pytest.raises(TransactionFailed, match="over"):
        await task
    assert await names(db) == ["a"]


async def test_others_do_not_see_what_is_not_kept(tmp_path):
    """Another instance sees rows after the commit, and reads meanwhile without waiting."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    async with register(DataFlow(url)) as one, register(DataFlow(url)) as two:
        await people(one, 1)
        async with one.transaction():
            await one.nodes.User.create(name="new")
            assert await asyncio.wait_for(names(two), 20) == ["u0"]
        assert await names(two) == ["u0", "new"]


async def test_a_model_that_is_registered_inside(db):
    """Its table is made in the transaction, and undone with it; later it is made again."""

    def late() -> Any:
        return type("Late", (), {"__annotations__": {"name": str}})

    with pytest.raises(ZeroDivisionError):
        async with db.transaction():
            db.model(late())
            await db.nodes.Late.create(name="a")
            _ = 1 / 0
    await db.nodes.Late.create(name="b")
    assert [row["name"] for row in (await db.nodes.Late.list())["records"]] == ["b"]


async def test_a_table_that_is_made_in_a_savepoint(db):
    """A table that a nested transaction made and undid is made again by the outer one."""
    async with db.transaction():
        db.model(type("Late", (), {"__annotations__": {"name": str}}))
        with pytest.raises(ZeroDivisionError):
            async with db.transaction():
                await db.nodes.Late.create(name="a")
                _ = 1 / 0
        await db.nodes.Late.create(name="b")
    assert [row["name"] for row in (await db.nodes.Late.list())["records"]] == ["b"]


async def test_a_model_that_cannot_be_made_hinders_no_other(db):
    """A reference that leads nowhere is an error of its model only, also in transactions."""

    class Lost:
        owner_id: int

    Lost.__annotations__ = {"owner_id": int}
    from dataflow_core import field

    Lost.owner_id = field(references="Nobody.id", on_delete="cascade")
    db.model(Lost)
    async with db.transaction():
        await db.nodes.User.create(name="a")
        with pytest.raises(InvalidModel, match=r"Nobody\.id"):
            await db.nodes.Lost.create(owner_id=1)
        await db.nodes.User.create(name="b")
    assert await names(db) == ["a", "b"]


async def test_a_table_is_made_with_all_its_indexes_or_not_at_all(tmp_path):
    """An error on the way leaves no table without its indexes behind."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    async with DataFlow(url) as db:
        await db.run("SQLNode", sql="CREATE TABLE blocked (x)", fetch="none")
        await db.run("SQLNode", sql="CREATE VIEW ix_blocker AS SELECT 1", fetch="none")

        class Blocked:
            __tablename__ = "fine"
            __dataflow__ = {"indexes": [{"fields": ["n"], "name": "ix_blocker"}]}
            n: int

        db.model(Blocked)
        with pytest.raises(Exception, match="ix_blocker"):
            await db.nodes.Blocked.create(n=1)
        tables = await db.run("SQLNode", sql="SELECT name FROM sqlite_master WHERE type='table'")
        assert {"name": "fine"} not in tables["records"]
        await db.run("SQLNode", sql="DROP VIEW ix_blocker", fetch="none")
        await db.nodes.Blocked.create(n=1)
        indexes = await db.run("SQLNode", sql="SELECT name FROM sqlite_master WHERE type='index'")
        assert {"name": "ix_blocker"} in indexes["records"]
        assert idle(db)


async def test_a_transaction_is_one_begin_and_one_commit(db):
    """Inside, statements are not each wrapped in a transaction of their own."""
    await people(db, 1)
    sent = watch(db)
    async with db.transaction():
        await db.nodes.User.create(name="a")
        await db.nodes.User.read(id=1)
    assert [text.split()[0] for text in sent] == ["INSERT", "SELECT"]
    assert User is not None


async def test_no_session_state_leaves_a_transaction(tmp_path):
    """What a user's own statement leaves in the session is gone after the transaction too, and
    after a statement that failed."""
    async with DataFlow(f"sqlite:///{tmp_path}/state.db") as db:
        state = "SELECT count(*) AS n FROM sqlite_temp_master"
        async with db.transaction():
            await db.run("SQLNode", sql="CREATE TEMP TABLE left_over (x)", fetch="none")
            assert (await db.run("SQLNode", sql=state))["result"] == [{"n": 1}]
        assert (await db.run("SQLNode", sql=state))["result"] == [{"n": 0}]
        with pytest.raises(TransactionFailed):
            async with db.transaction():
                await db.run("SQLNode", sql="CREATE TEMP TABLE left_over (x)", fetch="none")
                await db.run("SQLNode", sql="PRAGMA cache_size = 1", fetch="none")
                with pytest.raises(Exception, match="nothing"):
                    await db.run("SQLNode", sql="SELECT * FROM nothing")
        assert (await db.run("SQLNode", sql="PRAGMA cache_size"))["result"] != [{"cache_size": 1}]
