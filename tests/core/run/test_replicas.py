from __future__ import annotations

import pytest
from attrs import define

from dataflow_core.errors import (
    ConnectionFailed,
    DataFlowError,
    Deadlock,
    SerializationFailure,
    StatementTimeout,
    TableMissing,
)
from dataflow_core.run.replicas import Replica


@define(slots=False)
class Clock:
    """A clock that stands still until it is told."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@define(slots=False)
class Setting:
    """A replica policy with what it depends on in the hands of the test."""

    caught_up: bool = False
    asked: int = 0
    wait: bool = False
    reachable: bool = True
    failure: DataFlowError | None = None

    def __attrs_post_init__(self) -> None:
        self.clock = Clock()
        self.replica = Replica(self.ask, 5.0, self.wait, self.clock)

    async def ask(self) -> bool:
        self.asked += 1
        return self.caught_up

    async def on_replica(self) -> str:
        if not self.reachable:
            raise ConnectionFailed("not there")
        if self.failure is not None:
            raise self.failure
        return "replica"

    async def on_primary(self) -> str:
        return "primary"

    async def read(self) -> str:
        return await self.replica.read(self.on_replica, self.on_primary)


async def test_reads_go_to_the_replica() -> None:
    """Where nothing was written, reads go to the replica."""
    assert await Setting().read() == "replica"


async def test_after_a_write_reads_stick_to_the_primary() -> None:
    """During a write and for the sticky time after it, reads go to the primary."""
    setting = Setting()
    with setting.replica.writing():
        assert await setting.read() == "primary"
    setting.clock.now += 4.9
    assert await setting.read() == "primary"
    setting.clock.now += 0.2
    assert await setting.read() == "replica"


async def test_a_failed_write_counts_as_one() -> None:
    """Nobody knows what a write that failed has done, so it counts."""
    setting = Setting()
    try:
        with setting.replica.writing():
            raise OSError
    except OSError:
        pass
    assert await setting.read() == "primary"


async def test_waiting_asks_the_replica() -> None:
    """With waiting, the replica is used once it has caught up, and then not asked again."""
    setting = Setting(wait=True)
    with setting.replica.writing():
        pass
    assert await setting.read() == "primary"
    setting.caught_up = True
    assert await setting.read() == "primary", "it is not asked at every read"
    setting.clock.now += 0.1
    assert await setting.read() == "replica"
    assert await setting.read() == "replica"
    assert setting.asked == 2


async def test_a_replica_that_is_not_there_is_left_alone_for_a_while() -> None:
    """A read whose replica cannot be reached is answered by the primary, as the next ones are."""
    setting = Setting(reachable=False)
    assert await setting.read() == "primary"
    setting.reachable = True
    assert await setting.read() == "primary"
    setting.clock.now += 6
    assert await setting.read() == "replica"


@pytest.mark.parametrize(
    "failure", [SerializationFailure("replaying"), Deadlock("replaying"), TableMissing("not yet")]
)
async def test_a_read_that_the_replica_cannot_answer_now(failure: DataFlowError) -> None:
    """What a replica refuses because of what it has to replay, the primary answers; the next read
    goes to the replica again."""
    setting = Setting(failure=failure)
    assert await setting.read() == "primary"
    setting.failure = None
    assert await setting.read() == "replica"


async def test_a_read_that_takes_too_long_is_not_done_twice() -> None:
    """Where a read took longer than it may, the primary is not asked too."""
    with pytest.raises(StatementTimeout):
        await Setting(failure=StatementTimeout("too long")).read()
