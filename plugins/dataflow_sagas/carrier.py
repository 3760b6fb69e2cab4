"""Carrying a saga: step after step, and back by the compensations where one fails.

Where a step writes to the database of the journal, the step and its record are one transaction:
whatever happens, both are there or neither. In another database of the instance the step leaves its
key there, in its own transaction, so that it cannot be done twice. What a user's function does is
recorded before and after; it may be called again after a crash, with the same idempotency key.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import define

from dataflow_core.errors import (
    DataFlowError,
    InvalidType,
    NodeTimeout,
    TransactionFailed,
    UniqueViolation,
)
from dataflow_sagas.calls import (
    MOST_ATTEMPTS,
    MOST_UNDO_ATTEMPTS,
    Attempt,
    Call,
    call_of,
    is_away,
    may_be_repeated,
    may_help,
    pause,
    repeated,
)
from dataflow_sagas.journal import DATABASE, Journal, Overtaken
from dataflow_sagas.state import (
    COMPENSATED,
    COMPENSATING,
    COMPENSATION_FAILED,
    COMPLETED,
    DONE,
    FAILED,
    RUNNING,
    UNKNOWN,
    WAITING,
    Saga,
    Step,
    described,
)

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["Carrier"]

logger = logging.getLogger("dataflow.sagas")

_MOST_BEGUN: Final = 10
"""A user's function that was begun so often, and never ended, is not called once more."""

T = TypeVar("T")
Changes = Mapping[str, Any]


@define(eq=False)
class Carrier:
    """Carries one saga that was claimed. ``saga`` is as it was last read."""

    db: DataFlow
    journal: Journal
    saga: Saga
    _read: float = 0.0

    async def carry(self) -> Saga:
        """Bring the saga to its end.

        Raises:
            Overtaken: another process has taken it over.
            DatabaseError: the database of the journal is away; the saga stays as it is recorded.
        """
        self._read = time.monotonic()
        while not self.saga.finished:
            if self.saga.status == RUNNING:
                await self._go_on()
            else:
                await self._go_back()
        return self.saga

    # Forwards

    async def _go_on(self) -> None:
        steps = self.saga.steps
        step = next((step for step in steps if step.outcome in (WAITING, RUNNING)), None)
        if step is None:
            await self._advance({"status": COMPLETED})
            return
        left = self._seconds_left()
        if left is not None and left <= 0:
            late = NodeTimeout(
                f"the time of the saga was over at step {step.position} ({step.node})",
                node_id=str(step.position),
                node_type=step.node,
            )
            await self._turn_back(step, await self._cut_short(step, late))
            return
        if step.attempts >= _MOST_BEGUN:
            lost = TransactionFailed(f"{step.node} was begun {step.attempts} times and never ended")
            await self._turn_back(step, await self._cut_short(step, lost))
            return
        try:
            async with asyncio.timeout(left) as limit:
                call = call_of(self.db, self.saga, step, undo=False)
                attempt = await self._make(call, step, RUNNING, DONE)
        except Overtaken:
            raise
        except Exception as error:
            if limit.expired():
                # What became of the step is in the journal, and the next round looks there.
                await self._reload()
                return
            if is_away(error):
                raise
            attempt = await self._cut_short(self.saga.steps[step.position], error)
        if attempt.error is not None:
            await self._turn_back(step, attempt)

    def _seconds_left(self) -> float | None:
        left = self.saga.seconds_left
        return None if left is None else left - (time.monotonic() - self._read)

    async def _cut_short(self, step: Step, error: BaseException) -> Attempt:
        """What is known of a step that is not to be tried any more: it may have been done."""
        if step.outcome == WAITING:
            return Attempt(error=error)
        call = call_of(self.db, self.saga, step, undo=False)
        if call.database is None:
            return Attempt(error=error, unknown=True)
        done = await self._give_up(call)
        return Attempt(result=done, error=error, unknown=done is not None)

    async def _turn_back(self, step: Step, attempt: Attempt) -> None:
        assert attempt.error is not None
        failure = described(attempt.error)
        changes: dict[str, Any] = {
            "outcome": UNKNOWN if attempt.unknown else FAILED,
            "failure": failure,
        }
        if attempt.result is not None:
            changes["output"] = attempt.result
        failure = {"step": step.position, "node": step.node, **failure}
        await self._advance(
            {"status": COMPENSATING, "failure": failure}, self._recorder(step, changes)
        )

    # Backwards

    async def _go_back(self) -> None:
        saga = self.saga
        for step in reversed(saga.steps):
            if step.outcome in (DONE, UNKNOWN, COMPENSATING) and (
                saga.definition.steps[step.position].compensation is not None
            ):
                await self._undo(step)
                return
        failed = any(step.outcome == COMPENSATION_FAILED for step in saga.steps)
        await self._advance({"status": FAILED if failed else COMPENSATED})

    async def _undo(self, step: Step) -> None:
        try:
            call = call_of(self.db, self.saga, step, undo=True)
            attempt = await self._make(call, step, COMPENSATING, COMPENSATED)
        except Overtaken:
            raise
        except Exception as error:
            if is_away(error):
                raise
            attempt = Attempt(error=error)
        if attempt.error is not None:
            changes = {"outcome": COMPENSATION_FAILED, "failure": described(attempt.error)}
            await self._advance({}, self._recorder(step, changes))

    # One call

    async def _make(self, call: Call, step: Step, begun: str, ended: str) -> Attempt:
        """Make a call and record what became of it; an error is recorded by the caller."""
        if call.database == DATABASE:
            return await self._make_here(call, step, ended)
        beginning: dict[str, Any] = {"outcome": begun, "called_with": call.parameters}
        if begun == RUNNING:
            beginning["attempts"] = step.attempts + 1
        else:
            beginning.pop("called_with")
        await self._advance({}, self._recorder(step, beginning))
        if call.database is None:
            attempt = await self._make_own(call, undo=begun != RUNNING)
        else:
            attempt = await self._make_elsewhere(call, call.database, undo=begun != RUNNING)
        if attempt.error is None:
            assert attempt.result is not None
            try:
                await self._advance({}, self._recorder(step, _ending(ended, attempt.result)))
            except InvalidType as error:
                # It was done, and what it gave cannot be kept.
                return Attempt(error=error, unknown=True)
        return attempt

    async def _make_here(self, call: Call, step: Step, ended: str) -> Attempt:
        async def work() -> None:
            result = await call.run()
            changes = _ending(ended, result)
            if ended == DONE:
                changes.update(called_with=call.parameters, attempts=step.attempts + 1)
            await self.journal.record(self.saga, step.position, changes)

        await self._advance({}, work)
        return Attempt(result={})

    async def _make_own(self, call: Call, *, undo: bool) -> Attempt:
        most = MOST_UNDO_ATTEMPTS if undo else MOST_ATTEMPTS
        for number in range(1, most + 1):
            try:
                return Attempt(result=await self._holding_the_lease(call.run()))
            except Overtaken:
                raise
            except Exception as error:
                # Nobody undoes a compensation: where it may have been done it is made once more.
                again = may_be_repeated(error) or (undo and may_help(error))
                if number == most or not again:
                    return Attempt(error=error, unknown=_outcome(error) == "unknown")
            await pause(number)
        raise AssertionError

    async def _make_elsewhere(self, call: Call, database: str, *, undo: bool) -> Attempt:
        """In a transaction of the other database, which keeps the key of the step."""

        async def once() -> Mapping[str, Any]:
            async with self.db.transaction(database):
                await self.journal.begin_effect(database, call.key)
                result = await call.run()
                await self.journal.end_effect(database, call.key, result)
            return result

        async def work() -> Attempt:
            try:
                return Attempt(result=await once())
            except UniqueViolation as error:
                known = await self.journal.effect(database, call.key)
                if known is None:
                    raise
                if not known:
                    raise Overtaken from error
                return Attempt(result=known)

        try:
            return await self._holding_the_lease(repeated(work))
        except DataFlowError as error:
            if is_away(error):
                raise
            # A compensation may be tried again later, under the same key.
            known = None if undo else await self._give_up(call)
            return Attempt(result=known) if known is not None else Attempt(error=error)

    async def _give_up(self, call: Call) -> Mapping[str, Any] | None:
        """See to it that a call is not made any more; its result, if it was made after all."""
        database = call.database
        if database is None or database == DATABASE:
            return None

        async def work() -> Mapping[str, Any] | None:
            known = await self.journal.effect(database, call.key)
            if known is None:
                try:
                    async with self.db.transaction(database):
                        await self.journal.begin_effect(database, call.key)
                except UniqueViolation:
                    known = await self.journal.effect(database, call.key)
            return known or None

        return await repeated(work)

    async def _holding_the_lease(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something that may take long; ``Overtaken`` if the saga is lost meanwhile."""
        running = asyncio.ensure_future(work)
        try:
            while True:
                await asyncio.wait({running}, timeout=self.saga.lease / 3)
                if running.done():
                    return running.result()
                await self._renew()
        finally:
            if not running.done():
                running.cancel()
                await asyncio.wait({running})

    async def _renew(self) -> None:
        try:
            held = await self.journal.renew(self.saga)
        except DataFlowError as error:
            # Whoever takes it over meanwhile is seen at the next change.
            logger.warning("the lease of saga %s was not renewed: %s", self.saga.id, error.message)
            return
        if not held:
            raise Overtaken

    # The journal

    def _recorder(self, step: Step, changes: Changes) -> Callable[[], Awaitable[None]]:
        return lambda: self.journal.record(self.saga, step.position, changes)

    async def _advance(
        self, changes: Changes, work: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Do something and note it, in one transaction, and read what has come of it."""
        before = self.saga

        async def once() -> None:
            try:
                async with self.db.transaction(DATABASE):
                    await self.journal.advance(before, changes)
                    if work is not None:
                        await work()
            except (Overtaken, DataFlowError) as error:
                if not isinstance(error, Overtaken) and _outcome(error) == "not done":
                    raise
                # An answer may have been lost on its way, and the change arrived.
                now = await self.journal.load(before.id)
                if now is None or now.claim != before.claim:
                    raise Overtaken from error
                if now.progress == before.progress:
                    raise

        await repeated(once)
        await self._reload()

    async def _reload(self) -> None:
        now = await repeated(lambda: self.journal.load(self.saga.id))
        if now is None or now.claim != self.saga.claim:
            raise Overtaken
        self.saga, self._read = now, time.monotonic()


def _ending(outcome: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of a call that was made; the result of a compensation is not kept."""
    return {"outcome": outcome, "output": result} if outcome == DONE else {"outcome": outcome}


def _outcome(error: BaseException) -> str | None:
    return error.outcome if isinstance(error, DataFlowError) else None
