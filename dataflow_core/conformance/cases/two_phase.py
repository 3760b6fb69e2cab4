"""Transactions that are prepared under a name, and ended by any connection."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case
from dataflow_core.errors import InvalidValue, TransactionFailed, UniqueViolation
from dataflow_core.run.two_phase import (
    TWO_PHASE,
    commit_prepared,
    list_prepared,
    prepared_transaction,
    roll_back_prepared,
)

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_FEATURE: Final = TWO_PHASE


class Entry:
    """A number."""

    id: int
    n: int | None


async def _prepared(session: Session, model: Any, *keys: int) -> str:
    """Rows that are there once a transaction is committed; its name."""
    name = str(uuid.uuid4())
    await session.run(model, "Count", filter={})
    async with prepared_transaction(session.database.engine, name):
        for key in keys:
            await session.run(model, "Create", id=key)
    return name


async def _ids(session: Session, model: Any) -> list[Any]:
    return [row["id"] for row in await session.rows(model)]


@case("transactions.two_phase.commit", feature=_FEATURE)
async def commit(session: Session) -> None:
    """What is prepared is listed and not seen; committed, it is seen, and listed no more."""
    model, engine = session.model(Entry), session.database.engine
    name = await _prepared(session, model, 1, 2)
    session.equal(name in await list_prepared(engine), True, "listed")
    session.equal(await _ids(session, model), [], "before")
    await commit_prepared(engine, name)
    session.equal(await _ids(session, model), [1, 2], "afterwards")
    session.equal(name in await list_prepared(engine), False, "still listed")


@case("transactions.two_phase.rollback", feature=_FEATURE)
async def rollback(session: Session) -> None:
    """What is prepared and rolled back was never there, and its locks are gone."""
    model, engine = session.model(Entry), session.database.engine
    name = await _prepared(session, model, 1)
    await roll_back_prepared(engine, name)
    await session.run(model, "Create", id=1)
    session.equal(await _ids(session, model), [1])
    session.equal(name in await list_prepared(engine), False, "still listed")


@case("transactions.two_phase.twice", feature=_FEATURE)
async def twice(session: Session) -> None:
    """Ending what has ended, or never was, changes nothing."""
    model, engine = session.model(Entry), session.database.engine
    name = await _prepared(session, model, 1)
    for _ in range(2):
        await commit_prepared(engine, name)
    await roll_back_prepared(engine, name)
    await roll_back_prepared(engine, str(uuid.uuid4()))
    session.equal(await _ids(session, model), [1])


@case("transactions.two_phase.survives", feature=_FEATURE)
async def survives(session: Session) -> None:
    """It outlives every connection of the instance that prepared it; another one ends it."""
    model = session.model(Entry)
    # Asked first: what prepares nothing need not be seen by two instances either.
    session.database.engine.need(TWO_PHASE)
    handle = await session.second_handle(model)
    if handle is None:
        raise AssertionError("a database that prepares is seen by more than one instance")
    name = str(uuid.uuid4())
    async with prepared_transaction(handle.engine(), name):
        await handle.run(f"{model.name}CreateNode", id=1)
    await handle.aclose()
    session.equal(await _ids(session, model), [], "before")
    await commit_prepared(session.database.engine, name)
    session.equal(await _ids(session, model), [1], "afterwards")


@case("transactions.two_phase.failed", feature=_FEATURE)
async def failed(session: Session) -> None:
    """An error that leaves the block, or was caught in it, prepares nothing."""
    model, engine = session.model(Entry), session.database.engine
    await session.load(model, [{"id": 1}])
    name = str(uuid.uuid4())

    async def leaves() -> None:
        async with prepared_transaction(engine, name):
            await session.run(model, "Create", id=2)
            await session.run(model, "Create", id=1)

    async def caught() -> None:
        async with prepared_transaction(engine, name):
            await session.run(model, "Create", id=2)
            await session.expect_error(UniqueViolation, partial(session.run, model, "Create", id=1))

    await session.expect_error(UniqueViolation, leaves)
    await session.expect_error(TransactionFailed, caught, outcome="not done")
    session.equal(await _ids(session, model), [1])
    session.equal(name in await list_prepared(engine), False, "listed")
    session.equal(session.database.pool_in_use(), 0, "connections in use")


@case("transactions.two_phase.name", feature=_FEATURE)
async def name(session: Session) -> None:
    """A name that would have to be quoted, or is too long, is refused."""
    session.model(Entry)
    for bad in ("", "it's", "x" * 61):
        session.database.engine.need(_FEATURE)

        async def prepare(bad: str = bad) -> None:
            async with prepared_transaction(session.database.engine, bad):
                pass

        await session.expect_error(InvalidValue, prepare)
