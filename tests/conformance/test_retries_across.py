"""Transactions that are done again, and those that go on after a statement failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dataflow_core import AsyncLocalRuntime, DataFlow, WorkflowBuilder, field
from dataflow_core.errors import (
    ConflictingParameters,
    ConnectionLost,
    DataFlowError,
    Deadlock,
    InvalidType,
    InvalidValue,
    NodeExecutionError,
    SerializationFailure,
    TransactionFailed,
    TransactionSpansDatabases,
    UniqueViolation,
)

ENDED = "ended by the database"


class Account:
    __dataflow__ = {"timestamps": False}

    id: int = field(primary_key=True)
    name: str | None = field(default=None, max_length=50, unique=True)
    balance: int = 0


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[DataFlow]:
    """An instance with two accounts."""
    handle = DataFlow(database_url, pool_size=10)
    handle.model(type("Account", (Account,), {"__module__": __name__}), validation="off")
    await handle.run("AccountBulkCreateNode", data=[{"id": 1}, {"id": 2}])
    yield handle
    await handle.aclose()


async def add(db: DataFlow, key: int, amount: int = 1) -> None:
    """Change a balance; the answer does not tell what it was before."""
    await db.run("AccountBulkUpdateNode", filter={"id": key}, fields={"$inc": {"balance": amount}})


async def balances(db: DataFlow) -> list[int]:
    """The balances by key."""
    return [row["balance"] for row in (await db.run("AccountListNode"))["records"]]


async def crossing(db: DataFlow, work: Any) -> list[Any]:
    """Two pieces of work, each of which changes both accounts, in opposite order at one time."""
    both = asyncio.Barrier(2)

    async def meet() -> None:
        # Where one waits for the other to end, they do not meet.
        try:
            async with asyncio.timeout(0.3):
                await both.wait()
        except (TimeoutError, asyncio.BrokenBarrierError):
            await both.abort()

    pieces = (work(1, 2, meet), work(2, 1, meet))
    return list(await asyncio.gather(*pieces, return_exceptions=True))


@pytest.mark.timeout(60)
async def test_attempts_run_the_block_again(db: DataFlow) -> None:
    """Of two that wait for each other one is ended and run again: both are done, each once."""
    ran = 0

    async def work(first: int, second: int, meet: Any) -> None:
        nonlocal ran
        async for attempt in db.transaction(retry=4):
            async with attempt:
                ran += 1
                await add(db, first)
                await meet()
                await db.run("AccountUpdateNode", id=second, fields={"$inc": {"balance": 1}})

    assert await crossing(db, work) == [None, None]
    assert await balances(db) == [2, 2]
    assert ran == (2 if db.url.scheme == "sqlite" else 3)


@pytest.mark.timeout(60)
async def test_a_block_that_saw_nothing_else_goes_on(db: DataFlow) -> None:
    """`async with` sends its statements again; where the answers are the same nobody notices."""

    async def work(first: int, second: int, meet: Any) -> None:
        async with db.transaction(retry=4):
            await add(db, first)
            async with db.transaction():
                await add(db, first, 10)
            await meet()
            await add(db, second)

    assert await crossing(db, work) == [None, None]
    assert await balances(db) == [12, 12]


@pytest.mark.timeout(60)
async def test_a_block_that_would_see_something_else_ends(db: DataFlow) -> None:
    """Where an answer is another one by now the caller has to do it again: the error says so."""

    async def work(first: int, second: int, meet: Any) -> None:
        async with db.transaction(retry=4):
            await db.run("AccountUpdateNode", id=first, fields={"$inc": {"balance": 1}})
            await meet()
            await add(db, second)

    ended = [error for error in await crossing(db, work) if error is not None]
    if db.url.scheme == "sqlite":
        assert ended == []
        assert await balances(db) == [2, 2]
        return
    [error] = ended
    assert isinstance(error, Deadlock)
    assert error.outcome == "not done"
    assert await balances(db) == [1, 1]


async def test_the_number_of_attempts_is_bounded(db: DataFlow) -> None:
    """`retry` times after the first; the last error leaves, and nothing was done."""
    ran = 0
    with pytest.raises(Deadlock, match=ENDED):
        async for attempt in db.transaction(retry=2):
            async with attempt:
                ran += 1
                await add(db, 1)
                raise Deadlock(ENDED, outcome="not done")
    assert ran == 3
    assert await balances(db) == [0, 0]


async def test_other_errors_leave_at_once(db: DataFlow) -> None:
    """A block is run again only if the database ended it: not for an error of its own."""
    ran = 0
    for error in (ValueError("own"), Deadlock(ENDED, outcome="unknown")):
        with pytest.raises(type(error)):
            async for attempt in db.transaction(retry=2):
                async with attempt:
                    ran += 1
                    await add(db, 1)
                    raise error
    assert ran == 2
    assert await balances(db) == [0, 0]


def test_code_that_is_not_asynchronous_has_attempts_too(database_url: str) -> None:
    """`for attempt in ...: with attempt:` is the same."""
    with DataFlow(database_url) as db:
        db.model(type("Account", (Account,), {"__module__": __name__}), validation="off")
        ran = 0
        for attempt in db.transaction(retry=2):
            with attempt:
                ran += 1
                db.run_sync("AccountCreateNode", id=ran)
                if ran == 1:
                    raise Deadlock(ENDED, outcome="not done")
        assert ran == 2
        assert [row["id"] for row in db.run_sync("AccountListNode")["records"]] == [2]


async def test_an_attempt_has_to_be_entered(db: DataFlow) -> None:
    """Otherwise the block would run, outside of any transaction, as often as may be."""
    ran = 0
    with pytest.raises(TransactionFailed, match="async with attempt"):
        async for _ in db.transaction(retry=2):
            ran += 1
    assert ran == 1


@pytest.mark.parametrize(
    "options", [{"retry": 1}, {"statement_savepoints": True}, {"isolation": "serializable"}]
)
async def test_what_belongs_to_the_outer_transaction_is_refused(
    db: DataFlow, options: dict[str, Any]
) -> None:
    """A nested transaction cannot be done again alone; nothing that is asked for is passed over."""
    async with db.transaction():
        with pytest.raises(ConflictingParameters, match=next(iter(options))):
            async with db.transaction(**options):
                pass
        with pytest.raises(ConflictingParameters, match="read_only"):
            async with db.transaction(read_only=True):
                pass
        await add(db, 1)
    assert await balances(db) == [1, 0]


@pytest.mark.parametrize(("value", "error"), [(-1, InvalidValue), (True, InvalidType)])
async def test_a_wrong_number_is_refused(db: DataFlow, value: Any, error: type) -> None:
    """Before anything is opened."""
    with pytest.raises(error, match="retry"):
        db.transaction(retry=value)


async def test_statement_savepoints_let_a_transaction_go_on(db: DataFlow) -> None:
    """What failed undid itself, single or bulk; what was done before and after it is kept."""
    async with db.transaction(statement_savepoints=True):
        await db.run("AccountUpdateNode", id=1, fields={"name": "a"})
        with pytest.raises(UniqueViolation):
            await db.run("AccountUpdateNode", id=2, fields={"name": "a"})
        with pytest.raises(UniqueViolation):
            await db.run("AccountBulkCreateNode", data=[{"id": 3}, {"id": 4, "name": "a"}])
        with pytest.raises(DataFlowError):
            await db.run("SQLNode", sql="SELECT nothing FROM nowhere")
        await add(db, 2)
    assert await balances(db) == [0, 1]


async def test_without_them_it_does_not(db: DataFlow) -> None:
    """An error that was caught inside fails the transaction, on every database."""
    with pytest.raises(TransactionFailed):
        async with db.transaction():
            await db.run("AccountUpdateNode", id=1, fields={"name": "a"})
            with pytest.raises(UniqueViolation):
                await db.run("AccountUpdateNode", id=2, fields={"name": "a"})
    assert (await db.run("AccountReadNode", id=1))["name"] is None


def transfer(db: DataFlow, first: int, second: int, *between: str) -> Any:
    """A workflow that changes both accounts."""
    workflow = WorkflowBuilder(db)
    change = {"fields": {"$inc": {"balance": 1}}}
    workflow.add_node("AccountUpdateNode", "first", {"filter": {"id": first}, **change})
    for name in between:
        workflow.add_node(name, name, {})
    workflow.add_node("AccountUpdateNode", "second", {"filter": {"id": second}, **change})
    return workflow.build()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_workflow_in_a_transaction_is_run_again(db: DataFlow, repeatable: bool) -> None:
    """By itself, unless one of its nodes may do something outside of the database."""
    runtime = AsyncLocalRuntime()

    async def work(first: int, second: int, meet: Any) -> None:
        async def wait(context: Any) -> dict[str, Any]:
            await meet()
            return {}

        name = f"Meet{first}Node"
        db.node(name, repeatable=repeatable)(wait)
        await runtime.execute(transfer(db, first, second, name), transaction=True)

    ended = [error for error in await crossing(db, work) if error is not None]
    if repeatable or db.url.scheme == "sqlite":
        assert ended == []
        assert await balances(db) == [2, 2]
        return
    [error] = ended
    assert isinstance(error, NodeExecutionError)
    assert isinstance(error.__cause__, Deadlock)
    assert await balances(db) == [1, 1]


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN",
        " commit",
        "-- a remark\nROLLBACK",
        "/* a remark */ savepoint here",
        "START TRANSACTION",
        "END",
    ],
)
async def test_statements_about_transactions_are_refused(db: DataFlow, sql: str) -> None:
    """They would leave what the core has opened, or open what nobody closes."""
    with pytest.raises(InvalidValue, match=r"db\.transaction\(\)"):
        await db.run("SQLNode", sql=sql, fetch="none")
    async with db.transaction():
        await add(db, 1)
        with pytest.raises(InvalidValue):
            await db.run("SQLNode", sql=sql, fetch="none")
    assert await balances(db) == [1, 0]


async def test_no_statement_commits_what_is_around_it(db: DataFlow) -> None:
    """One that changes the schema is part of the transaction, or refused where it would commit."""
    takes_part = db.engine().dialect.ddl.transactional
    with pytest.raises(TransactionFailed if not takes_part else ZeroDivisionError):
        async with db.transaction():
            await add(db, 1)
            await db.run("SQLNode", sql="CREATE TABLE beside (id INTEGER)", fetch="none")
            1 / 0  # noqa: B018
    assert await balances(db) == [0, 0]
    assert "beside" not in await db.adiscover_schema()


async def test_a_write_beside_the_transaction_is_refused(database_url: str, tmp_path: Any) -> None:
    """What another database would keep if the transaction is undone is never sent; reading is
    free, and with a transaction of its own the other database takes part."""
    other = f"sqlite:///{tmp_path / 'other.db'}"
    async with DataFlow(database_url, analytics_db=other) as db:
        here = {"__module__": __name__}
        db.model(type("Account", (Account,), here), validation="off")
        there = {**here, "__dataflow__": {"database": "analytics", "timestamps": False}}
        db.model(type("Visit", (Account,), there), validation="off")
        await db.run("VisitCreateNode", id=1)
        async with db.transaction():
            await db.run("AccountCreateNode", id=1)
            with pytest.raises(TransactionSpansDatabases, match="'analytics'"):
                await db.run("VisitCreateNode", id=2)
            with pytest.raises(TransactionSpansDatabases):
                await db.run("VisitBulkCreateNode", data=[{"id": 2}])
            with pytest.raises(TransactionSpansDatabases):
                await db.run("SQLNode", sql="SELECT 1", database="analytics")
            assert (await db.run("VisitListNode"))["count"] == 1
            async with db.transaction("analytics"):
                await db.run("VisitCreateNode", id=3)
        await db.run("VisitCreateNode", id=4)
        assert [row["id"] for row in (await db.run("VisitListNode"))["records"]] == [1, 3, 4]


async def test_an_error_that_was_handled_before_is_no_reason(db: DataFlow) -> None:
    """Whoever handles a deadlock and fails for another reason is not run again, nor is what may
    have been done."""
    ran = 0
    for error in (ValueError("own"), ConnectionLost("gone", outcome="unknown")):
        try:
            raise Deadlock(ENDED, outcome="not done")
        except Deadlock:
            with pytest.raises(type(error)):
                async for attempt in db.transaction(retry=2):
                    async with attempt:
                        ran += 1
                        raise error  # noqa: B904 - so that it comes from the other one
    assert ran == 2


@pytest.mark.parametrize("savepoints", [False, True])
async def test_a_commit_that_is_ended_loses_nothing(
    db: DataFlow, savepoints: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All statements are sent again before the next commit; where they cannot be, the error leaves
    and nothing is stored."""
    left = [1]

    async def write() -> None:
        async with db.transaction(retry=4, statement_savepoints=savepoints):
            await add(db, 1)
            connection = db.current_transaction().session.connection
            commit = connection.commit

            async def ended() -> None:
                if left:
                    left.pop()
                    await connection.rollback()
                    raise SerializationFailure(ENDED, outcome="not done")
                await commit()

            monkeypatch.setattr(connection, "commit", ended)

    if savepoints:
        with pytest.raises(SerializationFailure, match=ENDED):
            await write()
    else:
        await write()
    assert not left
    monkeypatch.undo()
    assert await balances(db) == ([0, 0] if savepoints else [1, 0])
