"""Two-phase commit: steps in several databases, done together or not at all.

Every other database prepares its part under a name. The decision is a row of the journal, written
in the transaction that does the steps of the primary database: when that commits, the prepared
parts are committed, and else rolled back, by this process or by any other one later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from attrs import define, evolve

from dataflow_core.errors import InvalidValue, UnsupportedFeature
from dataflow_core.run.two_phase import (
    TWO_PHASE,
    commit_prepared,
    list_prepared,
    prepared_transaction,
    roll_back_prepared,
)
from dataflow_sagas.calls import (
    MOST_ATTEMPTS,
    Attempt,
    call_of,
    database_of,
    may_help,
    pause,
    repeated,
)
from dataflow_sagas.carrier import Carrier
from dataflow_sagas.definition import NODE, Definition
from dataflow_sagas.journal import DATABASE, Journal, Overtaken
from dataflow_sagas.state import (
    COMMITTING,
    COMPENSATED,
    COMPLETED,
    DONE,
    Saga,
    Step,
)

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["KIND", "TwoPhaseCarrier", "carrier_of", "check_two_phase", "end_left_over"]

KIND: Final = "two_phase"
_PREFIX: Final = "saga:"


def check_two_phase(db: DataFlow, definition: Definition) -> None:
    """Refuse steps that cannot be part of a two-phase commit, before anything is sent.

    Raises:
        InvalidValue: a step is a function of the user, or has a compensation.
        UnsupportedFeature: a database of the steps cannot prepare.
    """
    for position, step in enumerate(definition.steps):
        if step.compensation is not None:
            raise InvalidValue(
                f"{NODE}: step {position}: a compensation has no use in two_phase: nothing is done"
                " before everything is"
            )
        database = database_of(db, step.node, step.parameters)
        if database is None:
            raise InvalidValue(
                f"{NODE}: step {position}: {step.node} cannot be prepared, as nothing is known of"
                ' what it does: use nodes of models, or transaction_type="saga"'
            )
        db.engine(database).need(TWO_PHASE)


def carrier_of(journal: Journal, saga: Saga) -> Carrier:
    """What carries a saga of this kind."""
    kind = TwoPhaseCarrier if saga.definition.kind == KIND else Carrier
    return kind(journal.db, journal, saga)


class _StepFailed(Exception):
    """A step failed, and leaves the transactions that it was part of."""

    def __init__(self, position: int, error: Exception) -> None:
        super().__init__(position)
        self.position = position
        self.error = error


@define(eq=False)
class TwoPhaseCarrier(Carrier):
    """Carries a two-phase commit."""

    async def _go_on(self) -> None:
        if self.saga.claim > 1:
            await self._roll_back()
        for number in range(1, MOST_ATTEMPTS + 1):
            try:
                async with asyncio.timeout(self._seconds_left()):
                    await self._prepare_and_decide()
            except Overtaken:
                raise
            except Exception as raised:
                # First this, which waits for a commit that may be on its way: where that arrives
                # after all, the decision was made, and nothing may be rolled back.
                await self._advance({})
                if self.saga.status == COMMITTING:
                    return
                await self._roll_back()
                step, error = self.saga.steps[0], raised
                if isinstance(raised, _StepFailed):
                    step, error = self.saga.steps[raised.position], raised.error
                if number == MOST_ATTEMPTS or not may_help(error):
                    await self._turn_back(step, Attempt(error=error))
                    return
            else:
                break
            await pause(number)
        await self._reload()

    async def _prepare_and_decide(self) -> None:
        saga = self.saga
        others = sorted(self._databases() - {DATABASE})
        async with self.db.transaction(DATABASE):
            await self.journal.advance(saga, {"status": COMMITTING, "decided": saga.claim})
            async with AsyncExitStack() as parts:
                for number, database in enumerate(others):
                    # Behind the saga the claim under which it is prepared.
                    name = f"{_PREFIX}{saga.id}:{saga.claim}:{number}"
                    part = prepared_transaction(self.db.engine(database), name)
                    await parts.enter_async_context(part)
                steps = await self._do_steps(saga)
            for step in steps:
                changes = {
                    "outcome": DONE,
                    "attempts": 1,
                    "called_with": step.parameters,
                    "output": step.result,
                }
                await self.journal.record(saga, step.position, changes)

    async def _do_steps(self, saga: Saga) -> tuple[Step, ...]:
        for step in saga.steps:
            try:
                call = call_of(self.db, saga, step, undo=False)
                result = await call.run()
            except Exception as error:
                raise _StepFailed(step.position, error) from error
            done = evolve(step, outcome=DONE, parameters=call.parameters, result=result)
            before, after = saga.steps[: step.position], saga.steps[step.position + 1 :]
            saga = evolve(saga, steps=(*before, done, *after))
        return saga.steps

    async def _go_back(self) -> None:
        committing = self.saga.status == COMMITTING
        await (self._commit() if committing else self._roll_back())
        await self._advance({"status": COMPLETED if committing else COMPENSATED})

    async def _commit(self) -> None:
        for database in self._databases() - {DATABASE}:
            await _end_parts(self.db, database, {self.saga.id: self.saga})

    async def _roll_back(self) -> None:
        undecided = evolve(self.saga, decided=None)
        for database in self._databases() - {DATABASE}:
            await _end_parts(self.db, database, {self.saga.id: undecided})

    def _databases(self) -> set[str]:
        steps = self.saga.definition.steps
        return {database_of(self.db, step.node, step.parameters) or DATABASE for step in steps}


async def end_left_over(journal: Journal) -> None:
    """End what was prepared by sagas that have ended: its answer was lost, and it came late."""
    db = journal.db
    databases = {
        database for name in db.node_names() for database in db.node_type(name).effect().databases
    }
    for database in databases:
        engine = db.engine(database)
        try:
            engine.need(TWO_PHASE)
        except UnsupportedFeature:
            continue
        found: dict[str, Saga] = {}
        for name in await repeated(lambda engine=engine: list_prepared(engine)):  # type: ignore[misc]
            if name.startswith(_PREFIX):
                saga = await journal.load(name.split(":")[1])
                if saga is not None and saga.finished:
                    found[saga.id] = saga
        await _end_parts(journal.db, database, found)


async def _end_parts(db: DataFlow, database: str, sagas: Mapping[str, Saga]) -> None:
    """Commit the parts that were decided for, and roll back the others of these sagas.

    Those of a later claim are left alone: whoever has that carries the saga.
    """
    engine = db.engine(database)

    async def work() -> None:
        for name in await list_prepared(engine):
            if not name.startswith(_PREFIX):
                continue
            _, saga_id, claim, _ = name.split(":")
            saga = sagas.get(saga_id)
            if saga is not None and int(claim) <= saga.claim:
                decided = saga.decided == int(claim)
                await (commit_prepared if decided else roll_back_prepared)(engine, name)

    if sagas:
        await repeated(work)
