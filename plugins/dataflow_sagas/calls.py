"""A call of a node by a saga: where its record can be kept, and how it is made."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import frozen

from dataflow_core import Context
from dataflow_core.errors import ConnectionFailed, ConnectionLost, DataFlowError
from dataflow_sagas.arguments import Done, arguments
from dataflow_sagas.state import Saga, Step

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = [
    "MOST_ATTEMPTS",
    "MOST_UNDO_ATTEMPTS",
    "Attempt",
    "Call",
    "call_of",
    "database_of",
    "is_away",
    "may_be_repeated",
    "may_help",
    "pause",
    "repeated",
]

MOST_ATTEMPTS: Final = 5
"""How often a step is tried."""

MOST_UNDO_ATTEMPTS: Final = 12
"""How often a user's compensation is tried: more often, as nothing else is left to do."""

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0

_LONGEST_AWAY: Final = 60.0
"""Seconds for which the database may be away before a saga is left to whoever resumes it."""

T = TypeVar("T")


@frozen
class Attempt:
    """What became of a call: its result, or an error; ``unknown``: it may have been done."""

    result: Mapping[str, Any] | None = None
    error: BaseException | None = None
    unknown: bool = False


@frozen
class Call:
    """A call of a node. ``database``: the one that it writes to, ``None`` for a user's function."""

    db: DataFlow
    node: str
    parameters: Mapping[str, Any]
    key: str
    saga: Saga
    database: str | None

    async def run(self) -> Mapping[str, Any]:
        """Make the call."""
        node_id = self.key.removeprefix(f"{self.saga.id}:")
        context = Context(self.db, self.saga.id, node_id, self.saga.definition.tenant_id, self.key)
        with context.tenant():
            return await self.db.node_type(self.node).run(context, dict(self.parameters))


def call_of(db: DataFlow, saga: Saga, step: Step, *, undo: bool) -> Call:
    """The call that does a step, or undoes it.

    Raises:
        DataFlowError: its parameters cannot be had.
    """
    definition, context = saga.definition.steps[step.position], saga.definition.context
    done = [
        Done(other.node, other.parameters or {}, other.result or {})
        for other in saga.steps[: step.position + undo]
    ]
    key = f"{saga.id}:{step.position}"
    if undo:
        assert definition.compensation is not None
        name, key = definition.compensation, f"{key}:compensation"
        given = definition.compensation_parameters
        found = arguments(db, name, given, context, done, step.parameters)
    else:
        name = definition.node
        found = arguments(db, name, definition.parameters, context, done)
    return Call(db, name, found, key, saga, database_of(db, name, found))


def database_of(db: DataFlow, name: str, parameters: Mapping[str, Any]) -> str | None:
    """The one database that a node uses, if that is known."""
    if name == "SQLNode":
        return str(parameters.get("database") or "primary")
    effect = db.node_type(name).effect()
    if effect.everything or len(effect.databases) != 1:
        return None
    return next(iter(effect.databases))


def is_away(error: BaseException) -> bool:
    """Whether the database could not be reached, which is not the fault of what was asked."""
    return isinstance(error, ConnectionFailed | ConnectionLost)


def may_help(error: BaseException) -> bool:
    """Whether trying again may help."""
    return isinstance(error, DataFlowError) and error.retryable


def may_be_repeated(error: BaseException) -> bool:
    """Whether trying again may help and cannot do twice what was already done."""
    return may_help(error) and getattr(error, "outcome", None) in (None, "not done")


async def pause(attempt: int) -> None:
    """Wait before another attempt: longer each time, and at random."""
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)
    await asyncio.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - no secret


async def repeated(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Do something that cannot be done twice, again where that may help.

    Raises:
        DataFlowError: trying again does not help, or the database was away for a minute.
    """
    began = time.monotonic()
    number = away = 0
    while True:
        try:
            return await work()
        except DataFlowError as error:
            if is_away(error):
                away += 1
                if time.monotonic() - began > _LONGEST_AWAY:
                    raise
            else:
                number += 1
                if not error.retryable or number == MOST_ATTEMPTS:
                    raise
        await pause(number + away)
