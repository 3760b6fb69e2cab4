from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from dataflow_core import DataFlow, field
from dataflow_core.conformance.servers import SharedServer
from dataflow_core.errors import (
    CheckViolation,
    DataFlowError,
    ForeignKeyViolation,
    NotNullViolation,
    OutOfRange,
    UniqueViolation,
    ValueTooLong,
)

DATABASES = ("sqlite", "postgres", "mysql")
Event = Callable[[DataFlow], Awaitable[Any]]


class Parent:
    __dataflow__ = {"timestamps": False, "table": "across_parents"}
    id: int = field(primary_key=True)


class Child:
    __dataflow__ = {
        "timestamps": False,
        "table": "across_children",
        "checks": {"positive_amount": {"amount": {"$gt": 0}}},
        "unique": [{"fields": ["first", "second"], "name": "first_second"}],
    }
    id: int = field(primary_key=True)
    code: str | None = field(default=None, unique=True)
    first: str | None = None
    second: int | None = None
    amount: int | None = None
    small: int | None = field(default=None, bits=32)
    price: Decimal | None = field(default=None, precision=6, scale=2)
    short: str | None = field(default=None, max_length=3)
    parent: int | None = field(default=None, references="across_parents.id")
    needed: str = "x"


async def unique_field(db: DataFlow) -> None:
    """A taken value of a unique field."""
    await db.run("ChildCreateNode", id=1, code="a")
    await db.run("ChildCreateNode", id=2, code="a")


async def unique_key(db: DataFlow) -> None:
    """A taken key."""
    await db.run("ChildCreateNode", id=1)
    await db.run("ChildCreateNode", id=1)


async def unique_index(db: DataFlow) -> None:
    """A taken combination."""
    await db.run("ChildCreateNode", id=1, first="a", second=1)
    await db.run("ChildCreateNode", id=2, first="a", second=1)


async def unique_in_bulk(db: DataFlow) -> None:
    """A value that comes twice in a bulk create."""
    rows = [{"id": at, "code": str(at % 4)} for at in range(8)]
    await db.run("ChildBulkCreateNode", data=rows)


async def unique_by_update(db: DataFlow) -> None:
    """An update to a taken value."""
    await db.run("ChildBulkCreateNode", data=[{"id": 1, "code": "a"}, {"id": 2, "code": "b"}])
    await db.run("ChildUpdateNode", filter={"id": 1}, fields={"code": "b"})


async def unique_by_upsert(db: DataFlow) -> None:
    """An upsert to a value that another row has."""
    await db.run("ChildBulkCreateNode", data=[{"id": 1, "code": "a"}, {"id": 2, "code": "b"}])
    await db.run("ChildBulkUpsertNode", data=[{"id": 1, "code": "b"}])


async def no_parent(db: DataFlow) -> None:
    """A reference that leads to no row."""
    await db.run("ChildCreateNode", id=1, parent=5)


async def parent_in_use(db: DataFlow) -> None:
    """A row that is still referred to."""
    await db.run("ParentCreateNode", id=1)
    await db.run("ChildCreateNode", id=1, parent=1)
    await db.run("ParentDeleteNode", id=1)


async def check(db: DataFlow) -> None:
    """A row that a check forbids."""
    await db.run("ChildCreateNode", id=1, amount=0)


async def check_by_update(db: DataFlow) -> None:
    """An update to what a check forbids."""
    await db.run("ChildCreateNode", id=1, amount=1)
    await db.run("ChildUpdateNode", filter={"id": 1}, fields={"$inc": {"amount": -1}})


async def too_long(db: DataFlow) -> None:
    """Computed text that is too long."""
    await db.run("ChildCreateNode", id=1, short="ab")
    doubled = {"$concat": ["$short", "$short"]}
    await db.run("ChildUpdateNode", filter={"id": 1}, fields={"short": doubled})


async def too_large(db: DataFlow) -> None:
    """A sum beyond 64 bits."""
    await db.run("ChildCreateNode", id=1, amount=2**63 - 1)
    await db.run("ChildUpdateNode", filter={"id": 1}, fields={"$inc": {"amount": 1}})


async def too_large_for_32_bits(db: DataFlow) -> None:
    """A sum beyond 32 bits."""
    await db.run("ChildCreateNode", id=1, small=2**31 - 1)
    await db.run("ChildUpdateNode", filter={"id": 1}, fields={"$inc": {"small": 1}})


async def too_many_digits(db: DataFlow) -> None:
    """A sum with more digits than the column."""
    await db.run("ChildCreateNode", id=1, price=Decimal("9999.99"))
    await db.run("ChildBulkUpdateNode", filter={"id": 1}, fields={"$inc": {"price": 1}})


async def null(db: DataFlow) -> None:
    """A computed NULL where there has to be a value."""
    await db.run("ChildCreateNode", id=1)
    nothing = {"$cond": [{"$gt": ["$id", 0]}, None, "x"]}
    await db.run("ChildUpdateNode", filter={"id": 1}, fields={"needed": nothing})


EVENTS: dict[Event, type[DataFlowError]] = {
    unique_field: UniqueViolation,
    unique_key: UniqueViolation,
    unique_index: UniqueViolation,
    unique_in_bulk: UniqueViolation,
    unique_by_update: UniqueViolation,
    unique_by_upsert: UniqueViolation,
    no_parent: ForeignKeyViolation,
    parent_in_use: ForeignKeyViolation,
    check: CheckViolation,
    check_by_update: CheckViolation,
    too_long: ValueTooLong,
    too_large: OutOfRange,
    too_large_for_32_bits: OutOfRange,
    too_many_digits: OutOfRange,
    null: NotNullViolation,
}


def described(error: DataFlowError) -> dict[str, Any]:
    """What a program sees of an error; of the database's own code, that it has one name."""
    names = ("table", "constraint", "columns", "side", "index", "outcome", "retryable", "code")
    found = {name: getattr(error, name, None) for name in names}
    fields = {"attributes": {*vars(error)}, "context": {*error.context}}
    return {"error": type(error).__name__, **found, **fields}


async def provoked(server: SharedServer, event: Event) -> dict[str, Any]:
    """The error that an event ends with on a new database."""
    url = await asyncio.to_thread(server.new_database)
    db = DataFlow(url)
    for cls in (Parent, Child):
        db.model(type(cls.__name__, (cls,), {"__module__": __name__}), validation="off")
    try:
        await event(db)
    except DataFlowError as error:
        return described(error)
    finally:
        await db.aclose()
        await asyncio.to_thread(server.drop_database, url)
    return {"error": None}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
@pytest.mark.databases(*DATABASES)
@pytest.mark.timeout(60)
async def test_the_same_error_everywhere(event: Event, servers: dict[str, SharedServer]) -> None:
    """An event is the same error with the same fields on each database."""
    found = {name: await provoked(server, event) for name, server in servers.items()}
    first = found["sqlite"]
    assert first["error"] == EVENTS[event].__name__
    assert "database_code" in first["context"]
    assert found == dict.fromkeys(DATABASES, first)
