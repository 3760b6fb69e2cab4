"""The pool on connections that talk to nobody."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import Any

import pytest

from dataflow_core.errors import InstanceClosed, PoolTimeout
from dataflow_core.run.pool import Pool, PoolStatistics
from tests.core.run.fakes import Server, give_back
from tests.limits import at_most


@pytest.fixture
def server() -> Server:
    """What is connected to."""
    return Server()


def state(pool: Pool) -> tuple[int, int, int]:
    """Used, idle, waiting."""
    found = pool.statistics
    return found.used, found.idle, found.waiting


async def test_a_connection_is_kept_and_used_again(server):
    """The same connection serves one call after the other."""
    pool = server.pool(2)
    first = await pool.acquire()
    pool.release(first)
    assert pool.take() is first
    assert state(pool) == (1, 0, 0)
    assert server.alive == 1


async def test_no_more_than_size_and_overflow_are_opened(server):
    """Size and overflow are the ceiling; overflow is closed again when it comes back."""
    pool = server.pool(1, overflow=2, timeout=0.05)
    taken = [await pool.acquire() for _ in range(3)]
    assert pool.statistics.max == 3
    with pytest.raises(PoolTimeout):
        await pool.acquire()
    for connection in taken:
        await give_back(pool, connection)
    assert state(pool) == (0, 1, 0)
    assert server.alive == 1


async def test_waiting_has_an_end_and_says_why(server):
    """The error of an exhausted pool counts users and waiters, and leaves nobody in the queue."""
    pool = server.pool(1, timeout=0.1)
    taken = await pool.acquire()
    start = time.monotonic()
    with pytest.raises(PoolTimeout, match="1 of 1 are in use") as caught:
        await pool.acquire()
    assert 0.09 < time.monotonic() - start < at_most(1)
    assert caught.value.code == "DF-505"
    assert caught.value.retryable
    assert state(pool) == (1, 0, 0)
    pool.release(taken)
    assert state(pool) == (0, 1, 0)


async def test_first_come_first_served(server):
    """Connections go to those who wait, in the order in which they came."""
    pool = server.pool(1)
    order: list[int] = []

    async def use(number: int) -> None:
        connection = await pool.acquire()
        order.append(number)
        await asyncio.sleep(0)
        pool.release(connection)

    await asyncio.gather(*(use(number) for number in range(50)))
    assert order == list(range(50))
    assert state(pool) == (0, 1, 0)


async def test_who_gives_back_does_not_overtake_who_waits(server):
    """A task that takes again at once, without a pause, gets behind those who waited already."""
    pool = server.pool(1)
    mine = await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    pool.release(mine)
    assert pool.take() is None
    again = asyncio.create_task(pool.acquire())
    theirs = await asyncio.wait_for(waiting, 1)
    assert theirs is mine
    assert not again.done()
    pool.release(theirs)
    pool.release(await asyncio.wait_for(again, 1))
    assert state(pool) == (0, 1, 0)


async def test_a_free_connection_is_not_kept_for_one_who_was_called(server):
    """With more free than were called, a newcomer takes what is left at once."""
    pool = server.pool(2)
    first, second = await pool.acquire(), await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    pool.release(first)
    pool.release(second)
    third = await asyncio.wait_for(pool.acquire(), 1)
    assert await asyncio.wait_for(waiting, 1) is not third
    assert state(pool) == (2, 0, 0)


async def test_a_cancelled_waiter_passes_its_turn_on(server):
    """A turn that comes together with a cancellation goes to the next in the queue."""
    pool = server.pool(1)
    taken = await pool.acquire()
    first, second = (asyncio.create_task(pool.acquire()) for _ in range(2))
    await asyncio.sleep(0)
    pool.release(taken)
    first.cancel()
    assert await asyncio.wait_for(second, 1) is taken
    assert first.cancelled()
    pool.release(taken)
    assert state(pool) == (0, 1, 0)


async def test_a_refused_connection_gives_its_place_to_the_next(server):
    """A failed connect is the error of one caller; the next one tries again."""
    pool = server.pool(1)
    server.refusals = [OSError("refused")]
    server.seconds = 0.01
    first, second = (asyncio.create_task(pool.acquire()) for _ in range(2))
    with pytest.raises(OSError, match="refused"):
        await first
    pool.release(await asyncio.wait_for(second, 1))
    assert state(pool) == (0, 1, 0)


async def test_an_old_connection_is_replaced(server):
    """A connection older than ``recycle`` is closed before use, and another one opened."""
    pool = server.pool(1, recycle=0.02)
    pool.release(await pool.acquire())
    await asyncio.sleep(0.03)
    assert pool.take() is None
    second = await pool.acquire()
    assert [connection.closed for connection in server.opened] == [1, 0]
    assert second is server.opened[1]


@pytest.mark.parametrize("fault", [OSError("gone"), None])
async def test_a_dead_connection_is_found_before_use(server, fault, monkeypatch):
    """A connection that was idle is pinged; one that fails, or never answers, is replaced."""
    monkeypatch.setattr("dataflow_core.run.pool._PING_SECONDS", 0.05)
    pool = server.pool(1, ping_after=0.0)
    pool.release(await pool.acquire())
    if fault is None:
        server.opened[0].hanging.add("ping")
    else:
        server.opened[0].faults["ping"] = fault
    await asyncio.sleep(0.001)
    second = await asyncio.wait_for(pool.acquire(), 2)
    assert second is server.opened[1]
    assert server.opened[0].closed == 1
    assert state(pool) == (1, 0, 0)


async def test_a_cancelled_ping_loses_no_place(server):
    """A task that is cancelled while its connection is checked leaves the pool as it was."""
    pool = server.pool(1, ping_after=0.0, timeout=1)
    pool.release(await pool.acquire())
    server.opened[0].hanging.add("ping")
    await asyncio.sleep(0.001)
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert server.opened[0].closed == 1
    assert await pool.acquire() is server.opened[1]


async def test_what_broke_while_it_was_idle_is_not_given_out(server):
    """A connection that the server closed in the pool is replaced; the caller notices nothing."""
    pool = server.pool(2)
    first = await pool.acquire()
    pool.release(first)
    first.usable = False
    assert pool.take() is None
    second = await pool.acquire()
    assert second is not first
    assert second.usable
    assert state(pool) == (1, 0, 0)


async def test_what_is_not_usable_is_not_given_out_again(server):
    """A broken connection is closed when it comes back, and its place is free."""
    pool = server.pool(1)
    first = await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    first.usable = False
    await give_back(pool, first)
    assert await asyncio.wait_for(waiting, 1) is server.opened[1]
    assert server.opened[0].closed == 1


async def test_closing_ends_everything(server):
    """Idle connections are closed, waiters refused, and a borrowed one is closed on its return."""
    pool = server.pool(1)
    taken = await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    await pool.close()
    with pytest.raises(InstanceClosed):
        await waiting
    await give_back(pool, taken)
    assert server.alive == 0
    with pytest.raises(InstanceClosed):
        await pool.acquire()
    assert pool.take() is None


async def test_closing_goes_on_when_it_is_cancelled(server):
    """At the end of an event loop every task is cancelled; no connection stays open for it."""
    pool = server.pool(3)
    connections = [await pool.acquire() for _ in range(3)]
    for connection in connections:
        connection.hanging.add("close")
        pool.release(connection)
    closing = asyncio.ensure_future(pool.close())
    for _ in connections:
        await asyncio.sleep(0)
        closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert [connection.closed for connection in connections] == [1, 1, 1]


@pytest.mark.parametrize("recycle", [None, 0.0])
async def test_a_shared_connection_has_one_borrower_in_all_loops(server, recycle):
    """What several loops share is handed out by one pool at a time, also when replaced."""
    lock = threading.Lock()
    here = server.pool(1, exclusive=lock, recycle=recycle, timeout=1)
    there = server.pool(1, exclusive=lock, recycle=recycle, timeout=0.05)
    mine = await here.acquire()
    with pytest.raises(PoolTimeout):
        await there.acquire()
    here.release(mine)
    await asyncio.sleep(0.001)
    theirs = await there.acquire()
    assert here.take() is None
    there.release(theirs)
    assert not lock.locked()
    here.release(await here.acquire())
    await here.close()
    await there.close()
    assert not lock.locked()


async def test_a_shared_connection_is_cleaned_before_others_have_it(server):
    """What is discarded is closed under the lock, and connecting happens under it as well."""
    lock = threading.Lock()
    here = server.pool(1, exclusive=lock, timeout=1)
    there = server.pool(1, exclusive=lock, timeout=1)
    held: list[bool] = []
    mine: Any = await here.acquire()

    async def close() -> None:
        await asyncio.sleep(0.01)
        held.append(lock.locked())

    async def connect() -> Any:
        held.append(lock.locked())
        return await server.connect()

    there.connect = connect
    mine.close = close
    waiting = asyncio.create_task(there.acquire())
    discarding = asyncio.create_task(here.discard(mine))
    await asyncio.sleep(0.001)
    discarding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await discarding
    there.release(await waiting)
    assert held == [True, True]
    assert not lock.locked()


async def test_a_refused_shared_connection_is_no_longer_locked(server):
    """A connect that fails gives the lock back."""
    lock = threading.Lock()
    pool = server.pool(1, exclusive=lock)
    server.refusals = [OSError("refused")]
    with pytest.raises(OSError, match="refused"):
        await pool.acquire()
    assert not lock.locked()
    pool.release(await pool.acquire())


async def test_ten_thousand_random_cancellations_and_timeouts(server, seed):
    """Whatever is cancelled, refused or broken when: the pool ends as it began, nobody waits."""
    chance = random.Random(seed)
    pool = server.pool(3, overflow=2, timeout=0.02, recycle=0.05, ping_after=0.01)
    pauses = [0, 0, 0, 0.0001, 0.001]

    async def use() -> Any:
        connection: Any = pool.take() or await pool.acquire()
        try:
            await asyncio.sleep(chance.choice(pauses))
            if chance.random() < 0.05:
                connection.usable = False
            if chance.random() < 0.05:
                connection.faults["ping"] = OSError("gone")
        finally:
            await give_back(pool, connection)

    for _ in range(100):
        if chance.random() < 0.3:
            server.refusals.append(OSError("refused"))
        tasks = [asyncio.create_task(use()) for _ in range(100)]
        for task in chance.sample(tasks, 40):
            asyncio.get_running_loop().call_later(chance.random() / 200, task.cancel)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(
            outcome is None or isinstance(outcome, (asyncio.CancelledError, PoolTimeout, OSError))
            for outcome in outcomes
        )
        assert pool.statistics.used == 0
        assert pool.statistics.waiting == 0
    server.refusals.clear()
    assert server.alive == pool.statistics.idle <= 3
    taken = [await pool.acquire() for _ in range(5)]
    assert state(pool) == (5, 0, 0)
    for connection in taken:
        await give_back(pool, connection)
    await pool.close()
    assert server.alive == 0


async def test_what_was_opened_and_closed_is_counted(server: Server) -> None:
    """Statistics count every connection that was opened, and every one that is gone."""
    pool = server.pool(1, overflow=1)
    first, second = await pool.acquire(), await pool.acquire()
    assert pool.statistics == PoolStatistics(2, 0, 0, 2, opened=2, closed=0)
    await give_back(pool, first)
    await give_back(pool, second)
    assert pool.statistics == PoolStatistics(0, 1, 0, 2, opened=2, closed=1)
    broken: Any = await pool.acquire()
    broken.usable = False
    await give_back(pool, broken)
    pool.release(await pool.acquire())
    assert pool.statistics == PoolStatistics(0, 1, 0, 2, opened=3, closed=2)
    await pool.close()
    assert pool.statistics == PoolStatistics(0, 0, 0, 2, opened=3, closed=3)


async def test_ten_thousand_wait_in_order(server: Server) -> None:
    """Ten thousand tasks over twenty connections are served first come, first served."""
    pool = server.pool(20, timeout=30)
    order: list[int] = []

    async def use(number: int) -> None:
        connection = pool.take() or await pool.acquire()
        order.append(number)
        await asyncio.sleep(0)
        await give_back(pool, connection)

    await asyncio.gather(*map(use, range(10_000)))
    assert order == list(range(10_000))
    assert server.alive == 20
    assert state(pool) == (0, 20, 0)
