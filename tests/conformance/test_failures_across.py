"""What goes wrong between transactions, and with connections: the same error everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import frozen

from dataflow_core import DataFlow, field
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import (
    ConnectionLost,
    DataFlowError,
    Deadlock,
    LockTimeout,
    SerializationFailure,
    StatementTimeout,
)
from tests.conformance.test_errors_across import described

ALL = ("sqlite", "postgres", "mysql")
# SQLite lets one writer in after the other, and has neither sessions nor administrators.
SERVERS = ("postgres", "mysql")


class Account:
    __dataflow__ = {"timestamps": False, "table": "accounts"}

    id: int = field(primary_key=True)
    balance: int = 0


@frozen
class Place:
    """A new database with two accounts."""

    server: SharedServer
    url: str

    @property
    def kind(self) -> str:
        """Which database it is."""
        return self.server.name

    @asynccontextmanager
    async def opened(self, **options: Any) -> AsyncIterator[DataFlow]:
        """An instance on it."""
        async with DataFlow(self.url, **options) as db:
            db.model(type("Account", (Account,), {"__module__": __name__}), validation="off")
            await db.run("AccountCountNode")
            yield db


Event = Callable[[Place], Awaitable[Any]]


async def add(db: DataFlow, key: int) -> None:
    """Lock an account by a change of it."""
    await db.run("AccountUpdateNode", filter={"id": key}, fields={"$inc": {"balance": 1}})


async def add_by_one_statement(db: DataFlow, key: int) -> None:
    """The same without reading back, for which a transaction might be needed."""
    fields = {"$inc": {"balance": 1}}
    await db.run("AccountBulkUpdateNode", filter={"id": key}, fields=fields)


async def sql(db: DataFlow, text: str) -> Any:
    """Run a statement."""
    return (await db.run("SQLNode", sql=text))["records"]


async def deadlock(place: Place) -> None:
    """Two transactions that wait for each other."""
    both = asyncio.Barrier(2)

    async def change(db: DataFlow, first: int, second: int) -> None:
        async with db.transaction():
            await add(db, first)
            await both.wait()
            await add(db, second)

    async with place.opened() as db:
        work = [change(db, 1, 2), change(db, 2, 1)]
        [error] = [e for e in await asyncio.gather(*work, return_exceptions=True) if e is not None]
        raise error


async def changed_meanwhile(place: Place) -> None:
    """A transaction that changes what another one changed after it had read."""
    async with place.opened() as db, place.opened() as other:
        if place.kind == "sqlite":
            # Its transactions lock before they read; only statements of one's own do otherwise.
            session = await db.engine().borrow(writes=True)
            situation = ErrorSituation(writing=True)
            try:
                for text in ("BEGIN", "SELECT balance FROM accounts"):
                    await session.fetch(text, (), situation)
                await add(other, 1)
                await session.fetch("UPDATE accounts SET balance = 5", (), situation)
            finally:
                await db.engine().give_back(session)
        async with db.transaction(isolation="repeatable read"):
            if place.kind == "mysql":
                await sql(db, "SET innodb_snapshot_isolation = ON")
            await db.run("AccountReadNode", id=1)
            await add(other, 1)
            await add(db, 1)


@asynccontextmanager
async def held(place: Place) -> AsyncIterator[None]:
    """Within: the first account is locked by somebody else."""
    async with place.opened() as other, other.transaction():
        await add(other, 1)
        yield


async def locked(place: Place) -> None:
    """A lock that is waited for as long as was asked for."""
    options: dict[str, dict[str, Any]] = {
        "sqlite": {"busy_timeout": 0.2},
        "postgres": {"server_settings": {"lock_timeout": "200ms"}},
    }
    async with place.opened(**options.get(place.kind, {})) as db, held(place), db.transaction():
        if place.kind == "mysql":
            await sql(db, "SET innodb_lock_wait_timeout = 1")
        await add(db, 1)


async def waited_too_long(place: Place) -> None:
    """A lock that is waited for until `command_timeout`."""
    async with place.opened(command_timeout=0.3) as db, held(place):
        await add_by_one_statement(db, 1)


async def waited_too_long_in_a_transaction(place: Place) -> None:
    """The same within a transaction."""
    async with place.opened(command_timeout=0.3) as db, held(place), db.transaction():
        await add(db, 1)


async def stopped(place: Place, statements: dict[str, str]) -> None:
    """A statement that waits for a lock while an administrator says something of its session."""
    session = {"postgres": "SELECT pg_backend_pid() AS id", "mysql": "SELECT CONNECTION_ID() AS id"}
    async with place.opened(pool_size=1, max_overflow=0) as db, held(place):
        [row] = await sql(db, session[place.kind])
        update = asyncio.ensure_future(add_by_one_statement(db, 1))
        await asyncio.sleep(0.3)
        async with place.opened() as administrator:
            await sql(administrator, statements[place.kind].format(row["id"]))
        await update


async def cancelled_by_somebody_else(place: Place) -> None:
    """A statement that an administrator cancels."""
    await stopped(place, {"postgres": "SELECT pg_cancel_backend({})", "mysql": "KILL QUERY {}"})


async def ended_by_somebody_else(place: Place) -> None:
    """A statement whose session an administrator ends."""
    end = {"postgres": "SELECT pg_terminate_backend({})", "mysql": "KILL CONNECTION {}"}
    await stopped(place, end)


async def ended_in_a_transaction(place: Place) -> None:
    """A transaction whose session an administrator ends."""
    async with place.opened() as db, db.transaction():
        await add(db, 1)
        await asyncio.to_thread(place.server.kill_connections, place.url)
        await asyncio.sleep(0.2)
        await add(db, 1)


EVENTS: dict[Event, tuple[type[DataFlowError], str, bool, tuple[str, ...]]] = {
    deadlock: (Deadlock, "not done", True, SERVERS),
    changed_meanwhile: (SerializationFailure, "not done", True, ALL),
    locked: (LockTimeout, "not done", True, ALL),
    waited_too_long: (StatementTimeout, "unknown", False, ALL),
    waited_too_long_in_a_transaction: (StatementTimeout, "not done", False, ALL),
    cancelled_by_somebody_else: (StatementTimeout, "not done", False, SERVERS),
    ended_by_somebody_else: (ConnectionLost, "unknown", True, SERVERS),
    ended_in_a_transaction: (ConnectionLost, "not done", True, SERVERS),
}


async def provoked(server: SharedServer, event: Event) -> dict[str, Any]:
    """The error that an event ends with on a new database."""
    place = Place(server, await asyncio.to_thread(server.new_database))
    try:
        async with place.opened() as db:
            await db.run("AccountBulkCreateNode", data=[{"id": 1}, {"id": 2}])
        await event(place)
    except DataFlowError as error:
        return described(error)
    finally:
        await asyncio.to_thread(server.drop_database, place.url)
    return {"error": None}


@pytest.mark.parametrize(
    "event",
    [pytest.param(event, marks=pytest.mark.databases(*EVENTS[event][3])) for event in EVENTS],
    ids=lambda event: event.__name__,
)
@pytest.mark.timeout(60)
async def test_the_same_failure_everywhere(event: Event, servers: dict[str, SharedServer]) -> None:
    """What ends a statement or a transaction is the same error with the same fields everywhere."""
    kind, outcome, retryable, _ = EVENTS[event]
    if kind is SerializationFailure and not servers["mysql"].description.startswith("MariaDB"):
        # MySQL never refuses a change for what was read before.
        del servers["mysql"]
    found = {name: await provoked(server, event) for name, server in servers.items()}
    first = next(iter(found.values()))
    told = {name: first.get(name) for name in ("error", "outcome", "retryable")}
    assert told == {"error": kind.__name__, "outcome": outcome, "retryable": retryable}
    assert found == dict.fromkeys(found, first)
    assert "database_code" in first["context"]
