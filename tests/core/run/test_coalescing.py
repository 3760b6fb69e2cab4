"""Coalescing, with statements that are not sent anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest

from dataflow_core.errors import (
    ConnectionLost,
    DatabaseError,
    PoolTimeout,
    StatementTimeout,
    UniqueViolation,
)
from dataflow_core.run.coalescers import Creates
from dataflow_core.run.coalescing import ABOUT_ALL, Batch, Call, Coalescer


class Engine:
    """What a coalescer needs of an engine."""

    observer = None

    def __init__(self, timeout: float | None = 30.0) -> None:
        self.settings = SimpleNamespace(pool=SimpleNamespace(timeout=timeout))


class Doubler(Coalescer):
    """Answers a number by its double.

    ``waits``: what has to happen before a batch has its connection; ``works``: before it answers.
    ``refuses``: the error of a batch that holds certain values, and of these alone.
    """

    def __init__(self, most: int = 100, **options: Any) -> None:
        super().__init__(Engine(**options), None)  # type: ignore[arg-type]
        self.largest = most
        self.sent: list[list[int]] = []
        self.lone: list[int] = []
        self.waits: asyncio.Event | None = None
        self.works: asyncio.Event | None = None
        self.refuses: Callable[[list[int]], Exception | None] = lambda values: None
        self.stopped = 0

    @property
    def most(self) -> int:
        return self.largest

    def may_divide(self, error: Exception) -> bool:
        return not isinstance(error, ABOUT_ALL)

    async def alone(self, value: int) -> int:
        self.lone.append(value)
        error = self.refuses([value])
        if error is not None:
            raise error
        return 2 * value

    async def together(self, batch: Batch) -> tuple[list[Call], list[Any]]:
        try:
            if self.waits is not None:
                await self.waits.wait()
            calls = batch.take()
            values = [value for _, value in calls]
            self.sent.append(values)
            if self.works is not None:
                await self.works.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            await asyncio.sleep(0.01)
            raise
        error = self.refuses(values)
        if error is not None:
            raise error
        return calls, [2 * value for value in values]

    async def call(self, value: int) -> Any:
        """What a read or a create does."""
        shared = self.join(value)
        return await (self.alone(value) if shared is None else shared)


async def together(doubler: Doubler, *values: int) -> list[Any]:
    """The outcomes of calls that are made in one turn."""
    return await asyncio.gather(*map(doubler.call, values), return_exceptions=True)


async def test_the_first_of_a_turn_goes_alone_and_the_others_together() -> None:
    """One call goes at once; those behind it in the same turn share a statement."""
    doubler = Doubler()
    assert await together(doubler, 1, 2, 3, 4) == [2, 4, 6, 8]
    assert (doubler.lone, doubler.sent) == ([1], [[2, 3, 4]])


async def test_calls_of_different_turns_go_alone() -> None:
    """A lone call waits for nobody, and needs neither a batch nor a task."""
    doubler = Doubler()
    for value in (1, 2, 3):
        before = len(asyncio.all_tasks())
        assert await doubler.call(value) == 2 * value
        assert len(asyncio.all_tasks()) == before
        await asyncio.sleep(0)
    assert (doubler.lone, doubler.sent) == ([1, 2, 3], [])


async def test_who_was_answered_together_is_expected_together() -> None:
    """Callers that go on in the same turn share the next statement, the first one included."""
    doubler = Doubler()

    async def twice(value: int) -> int:
        return await doubler.call(await doubler.call(value))

    assert await asyncio.gather(*map(twice, (1, 2, 3, 4))) == [4, 8, 12, 16]
    assert sorted(doubler.sent[1]) == [4, 6, 8]


async def test_who_comes_while_a_batch_waits_joins_it() -> None:
    """A batch that has no connection yet takes more calls; one that was sent does not."""
    doubler = Doubler()
    doubler.waits, doubler.works = asyncio.Event(), asyncio.Event()
    tasks = [asyncio.ensure_future(doubler.call(value)) for value in (1, 2, 3)]
    await asyncio.sleep(0.01)
    late = asyncio.ensure_future(doubler.call(4))
    await asyncio.sleep(0.01)
    doubler.waits.set()
    await asyncio.sleep(0.01)
    alone = asyncio.ensure_future(doubler.call(5))
    await asyncio.sleep(0.01)
    doubler.works.set()
    assert await asyncio.gather(*tasks, late, alone) == [2, 4, 6, 8, 10]
    assert (doubler.lone, doubler.sent) == ([1, 5], [[2, 3, 4]])


async def test_nobody_joins_a_batch_that_has_waited_long() -> None:
    """Whoever comes late must not share the end of somebody else's waiting."""
    doubler = Doubler(timeout=0.2)
    assert doubler.late_seconds == pytest.approx(0.01)
    assert Doubler(timeout=None).late_seconds == pytest.approx(0.1)
    doubler.waits = asyncio.Event()
    tasks = [asyncio.ensure_future(doubler.call(value)) for value in (1, 2, 3)]
    await asyncio.sleep(0.03)
    assert await doubler.call(4) == 8
    doubler.waits.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6]
    assert doubler.sent == [[2, 3]]


async def test_a_batch_has_an_end() -> None:
    """More calls than one statement takes are several statements, in order."""
    doubler = Doubler(most=3)
    assert await together(doubler, *range(9)) == [2 * value for value in range(9)]
    assert doubler.sent == [[1, 2, 3], [4, 5, 6], [7, 8]]


async def test_a_failure_that_one_is_the_reason_of_hits_that_one() -> None:
    """A statement that cannot be shared is done for each alone, in order: own row or own error."""
    doubler = Doubler()
    doubler.refuses = lambda values: UniqueViolation("taken") if 3 in values else None
    found = await together(doubler, 1, 2, 3, 4)
    assert [found[0], found[1], found[3]] == [2, 4, 8]
    assert isinstance(found[2], UniqueViolation)
    assert doubler.lone == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", ABOUT_ALL)
async def test_a_failure_of_all_is_told_to_each(kind: type[DatabaseError]) -> None:
    """Without a connection, or with an unknown outcome, nothing is sent again."""
    doubler = Doubler()
    error = kind("gone", outcome="unknown")
    error.__cause__ = OSError("reset")
    doubler.refuses = lambda values: error if len(values) > 1 else None
    found = await together(doubler, 1, 2, 3)
    assert found[0] == 2
    assert [type(one) for one in found[1:]] == [kind, kind]
    assert found[1] is not found[2]
    assert [one.outcome for one in found[1:]] == ["unknown", "unknown"]
    assert found[1].__cause__ is error.__cause__
    assert (doubler.lone, doubler.sent) == ([1], [[2, 3]])


async def test_what_fails_for_all_ends_the_trying_one_by_one() -> None:
    """Where the connection goes meanwhile, those that are left do not each wait for it."""
    doubler = Doubler()

    def refuse(values: list[int]) -> Exception | None:
        if len(values) > 1:
            return UniqueViolation("taken")
        return PoolTimeout("none free") if values == [3] else None

    doubler.refuses = refuse
    found = await together(doubler, 1, 2, 3, 4, 5)
    assert found[:2] == [2, 4]
    assert [type(one) for one in found[2:]] == [PoolTimeout] * 3
    assert doubler.lone == [1, 2, 3]


async def test_an_unknown_outcome_is_that_of_one() -> None:
    """While each is done alone, what became of one says nothing of the others."""
    doubler = Doubler()

    def refuse(values: list[int]) -> Exception | None:
        if len(values) > 1:
            return UniqueViolation("taken")
        return StatementTimeout("slow", outcome="unknown") if values == [3] else None

    doubler.refuses = refuse
    found = await together(doubler, 1, 2, 3, 4)
    assert [found[0], found[1], found[3]] == [2, 4, 8]
    assert found[2].outcome == "unknown"


async def test_who_is_cancelled_leaves_its_own_place() -> None:
    """A caller that is gone before the statement is sent is not in it; the others are answered."""
    doubler = Doubler()
    doubler.waits = asyncio.Event()
    tasks = [asyncio.ensure_future(doubler.call(value)) for value in (1, 2, 3, 4)]
    await asyncio.sleep(0.01)
    tasks[2].cancel()
    await asyncio.sleep(0.01)
    doubler.waits.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found[2], asyncio.CancelledError)
    assert [found[0], found[1], found[3]] == [2, 4, 8]
    assert doubler.sent == [[2, 4]]


async def test_nothing_is_sent_for_nobody() -> None:
    """Where all are cancelled within the turn, there is no statement."""
    doubler = Doubler()
    tasks = [asyncio.ensure_future(doubler.call(value)) for value in (1, 2, 3)]
    asyncio.get_running_loop().call_soon(lambda: [task.cancel() for task in tasks[1:]])
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert found[0] == 2
    assert doubler.sent == []
    assert await together(doubler, 5, 6) == [10, 12]


async def test_the_last_one_to_leave_stops_the_statement() -> None:
    """Where all callers of a statement are cancelled it is stopped, and that is waited for."""
    doubler = Doubler()
    doubler.works = asyncio.Event()
    tasks = [asyncio.ensure_future(doubler.call(value)) for value in (1, 2, 3)]
    await asyncio.sleep(0.01)
    tasks[1].cancel()
    await asyncio.sleep(0.01)
    assert doubler.stopped == 0
    tasks[2].cancel()
    await asyncio.sleep(0)
    tasks[2].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in found] == [False, True, True]
    assert doubler.stopped == 1
    assert len(asyncio.all_tasks()) == 1


async def test_who_comes_behind_cancelled_ones_is_not_cancelled() -> None:
    """A call is never answered by the cancellation of others."""
    doubler = Doubler()
    doubler.waits = asyncio.Event()
    tasks = [asyncio.ensure_future(doubler.call(value)) for value in (1, 2, 3)]
    await asyncio.sleep(0.01)
    for task in tasks[1:]:
        task.cancel()
    late = [asyncio.ensure_future(doubler.call(value)) for value in (4, 5)]
    await asyncio.sleep(0.02)
    doubler.waits.set()
    assert await asyncio.wait_for(asyncio.gather(*late), 1) == [8, 10]


async def test_a_batch_runs_in_no_callers_context() -> None:
    """What a caller has set for itself, such as a transaction, is not in force for all."""
    setting: ContextVar[str] = ContextVar("setting", default="none")
    seen: list[str] = []

    class Looking(Doubler):
        async def together(self, batch: Batch) -> tuple[list[Call], list[Any]]:
            seen.append(setting.get())
            return await super().together(batch)

    doubler = Looking()

    async def call(value: int) -> Any:
        setting.set(f"of {value}")
        return await doubler.call(value)

    assert await asyncio.gather(*map(call, (1, 2, 3))) == [2, 4, 6]
    assert seen == ["none"]


def test_each_loop_has_batches_of_its_own() -> None:
    """A coalescer that is used by one asyncio.run after the other works in each."""
    doubler = Doubler()
    for _ in range(3):
        assert asyncio.run(together(doubler, 1, 2, 3)) == [2, 4, 6]
    assert doubler.sent == [[2, 3]] * 3


async def test_creates_pause_after_a_failure() -> None:
    """Where rows are refused, the next ones go alone for a while."""
    doubler = Doubler()
    doubler.pausing = 4
    assert await together(doubler, 1, 2, 3, 4, 5, 6) == [2, 4, 6, 8, 10, 12]
    assert (doubler.lone, doubler.sent) == ([1, 2, 3, 4, 5], [[6]])


class Rows:
    """A statement over rows of a number and a text."""

    most_rows = 5
    columns = ()


def test_long_rows_are_few() -> None:
    """Rows whose texts are long share a statement only as far as a server surely takes it."""
    creates = Creates(Engine(), None, Rows())  # type: ignore[arg-type]
    creates._unbounded = [1]
    short, long, huge = (1, "text"), (1, "x" * 400_000), (1, b"x" * 5_000_000)
    assert creates.fitting([short] * 4) == 5
    assert creates.fitting([long, long, long]) == 2
    assert creates.fitting([short, huge, short]) == 1
    assert creates.fitting([huge, short]) == 1
    assert creates.fitting([(1, None)] * 3) == 5


def test_only_what_was_not_done_is_done_again() -> None:
    """A create is repeated alone only where the error says that nothing was stored."""
    creates = Creates(Engine(), None, Rows())  # type: ignore[arg-type]
    assert creates.may_divide(UniqueViolation("taken"))
    assert creates.may_divide(DatabaseError("no", outcome="not done"))
    for error in (
        DatabaseError("no", outcome="unknown"),
        DatabaseError("no"),
        ConnectionLost("gone", outcome="not done"),
        LookupError("somebody else's"),
    ):
        assert not creates.may_divide(error)
