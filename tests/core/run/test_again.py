from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import ConnectionFailed, ConnectionLost, DatabaseError, PoolTimeout
from dataflow_core.run.session import Session, or_again
from tests.core.run.fakes import Server, give_back

READING = ErrorSituation()
WRITING = ErrorSituation(writing=True)


class Work:
    """Fails with each of some errors in turn, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.mark.parametrize(
    ("situation", "outcome"), [(READING, None), (WRITING, "not done"), (READING, "not done")]
)
async def test_what_was_not_done_is_done_again(situation: ErrorSituation, outcome: Any) -> None:
    """A read, or a write that certainly was not done, is done again over another connection."""
    work = Work(ConnectionLost("gone", outcome=outcome))
    assert await or_again(work, situation) == "done"
    assert work.calls == 2


@pytest.mark.parametrize("outcome", ["unknown", "done", None])
async def test_a_write_never_runs_twice(outcome: Any) -> None:
    """A write that may have been done is not done again."""
    work = Work(ConnectionLost("gone", outcome=outcome))
    with pytest.raises(ConnectionLost):
        await or_again(work, WRITING)
    assert work.calls == 1


async def test_once_more_and_not_oftener() -> None:
    """Whoever loses two connections hears of it, and other errors are no reason to go on."""
    work = Work(ConnectionLost("gone"), ConnectionLost("gone again"))
    with pytest.raises(ConnectionLost, match="again"):
        await or_again(work, READING)
    assert work.calls == 2
    for error in (DatabaseError("no"), ConnectionFailed("no server")):
        work = Work(error)
        with pytest.raises(type(error)):
            await or_again(work, READING)
        assert work.calls == 1


async def test_a_broken_connection_casts_doubt_on_the_idle_ones() -> None:
    """When one broke, those that were idle are tried before use, once; the dead ones are closed."""
    server = Server()
    pool = server.pool(3)
    opened: list[Any] = [await pool.acquire() for _ in range(3)]
    first, second, third = opened
    await give_back(pool, second)
    await give_back(pool, third)
    third.faults["ping"] = OSError("reset")
    first.usable = False
    await give_back(pool, first)
    assert pool.take() is None
    lent: Any = await pool.acquire()
    assert lent is second
    assert (lent.pings, third.pings, third.closed) == (1, 1, 1)
    await give_back(pool, second)
    taken: Any = pool.take()
    assert (taken.number, taken.pings) == (second.number, 1)


async def test_an_idle_connection_that_died_is_not_lent() -> None:
    """A connection that is known to be dead is closed, and a new one is opened."""
    server = Server()
    pool = server.pool(2)
    connection: Any = await pool.acquire()
    await give_back(pool, connection)
    connection.usable = False
    assert pool.take() is None
    other: Any = await pool.acquire()
    assert other.number == 1
    assert connection.closed == 1
    assert pool.statistics.used == 1


@pytest.mark.parametrize("kind", [ConnectionFailed, PoolTimeout])
def test_where_nothing_was_sent_nothing_was_done(kind: type[DatabaseError]) -> None:
    """Without a connection nothing was done, whoever raises the error."""
    assert kind("no").outcome == "not done"


class Untranslated:
    """A dialect that knows no error."""

    def translate_error(self, error: Exception, situation: ErrorSituation) -> None:
        return None


async def test_a_foreign_error_is_not_its_own_cause() -> None:
    """What is not the driver's comes out as it is; following its causes comes to an end."""

    class Connection:
        async def fetch(self, sql: str, parameters: Any) -> Any:
            raise LookupError("somebody else's")

    connection, dialect = Connection(), Untranslated()
    session = Session(connection, dialect)  # type: ignore[arg-type]
    with pytest.raises(LookupError) as caught:
        await session.fetch("SELECT 1", (), READING)
    assert caught.value.__cause__ is None
