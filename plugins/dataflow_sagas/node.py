"""``TransactionManagerNode``: what is asked, checked; recorded; carried to its end."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from dataflow_core import Context
from dataflow_core.errors import (
    ConflictingParameters,
    DataFlowError,
    InvalidType,
    InvalidValue,
    RecordNotFound,
    UniqueViolation,
)
from dataflow_core.naming_hints import nearest, quoted
from dataflow_sagas.calls import pause, repeated
from dataflow_sagas.definition import NODE, Definition, check_definition, read_steps
from dataflow_sagas.documents import to_text
from dataflow_sagas.journal import Journal, NewSaga, Overtaken
from dataflow_sagas.state import Saga
from dataflow_sagas.two_phase import KIND, carrier_of, check_two_phase

__all__ = ["manage"]

_TYPES: Final = ("saga", KIND)
_NAMESPACE: Final = uuid.UUID("6f1d2c0e-6f0b-5a55-9a53-0d7f4e5c7a10")
_LONGEST: Final = 366 * 86_400


async def manage(
    running: Context,
    /,
    *,
    steps: Any,
    transaction_type: str = "saga",
    timeout: float | None = None,
    context: Mapping[str, Any] | None = None,
    lease: float = 30,
) -> dict[str, Any]:
    """Do several steps, or undo those that were done.

    Parameters:
        steps: dicts of ``node``, ``parameters``, ``compensation``, ``compensation_parameters``.
        transaction_type: ``saga``; ``two_phase`` commits together what the steps do in several
            databases that can prepare.
        timeout: seconds for all steps; when they are over, what was done is undone.
        context: values that the steps take as parameters by name.
        lease: seconds after which another process may go on where this one has died.

    Raises:
        ParameterError, UnknownNode, UnsupportedFeature: it cannot be done as it was asked; nothing
            was written.
        DatabaseError: the database was away for long; the saga is carried on by ``resume``.
    """
    if transaction_type not in _TYPES:
        raise InvalidValue(
            f"{NODE}: transaction_type is one of {', '.join(_TYPES)}, not"
            f" {quoted(transaction_type)}",
            suggestion=nearest(str(transaction_type), _TYPES),
        )
    values = _checked_context(context)
    definition = Definition(read_steps(steps), values, running.tenant_id, transaction_type)
    check_definition(running.db, definition)
    if transaction_type == KIND:
        check_two_phase(running.db, definition)
    seconds = None if timeout is None else _checked_seconds("timeout", timeout)
    lease = _checked_seconds("lease", lease)
    text = to_text(definition.to_dict(), f"{NODE}: steps and context")
    if running.transaction is not None:
        raise ConflictingParameters(
            f"{NODE} inside a transaction: a saga records each step as soon as it is done, so it"
            " cannot be part of what may be rolled back; run it on its own"
        )
    new = NewSaga(_saga_id(running.idempotency_key, text), str(uuid.uuid4()))
    journal = Journal(running.db)
    # Recorded already: the answer was lost, or the same call was made before.
    with suppress(UniqueViolation):
        await repeated(lambda: journal.begin(new, definition, seconds, lease))
    try:
        saga = await _carried(journal, new)
    except DataFlowError as error:
        # Whatever was not done, the saga is recorded, and is carried on later.
        error.outcome = "unknown"
        error.context["saga_id"] = new.id
        raise
    return saga.to_dict()


def _checked_context(context: object) -> Mapping[str, Any]:
    if context is None:
        return {}
    if not isinstance(context, Mapping):
        raise InvalidType(f"{NODE}: context is a dict, got {quoted(context)}")
    return context


def _checked_seconds(name: str, seconds: object) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidType(f"{NODE}: {name} is a number of seconds, got {quoted(seconds)}")
    if not 0 < seconds < _LONGEST:
        raise InvalidValue(f"{NODE}: {name} is more than 0 seconds, and at most a year")
    return float(seconds)


def _saga_id(key: str, text: str) -> str:
    """The saga of a call: the same one where a run, or an outer saga, makes the same call again."""
    if not key:
        return str(uuid.uuid4())
    return str(uuid.uuid5(_NAMESPACE, f"{key}\n{text}"))


async def _carried(journal: Journal, new: NewSaga) -> Saga:
    """Carry the saga, or wait for whoever does; as it has ended."""
    saga = await repeated(lambda: journal.load(new.id))
    mine = saga is not None and saga.started_by == new.started_by
    waited = 0
    while saga is not None and not saga.finished:
        held = saga if mine else await repeated(lambda: journal.claim(new.id))
        if held is not None:
            with suppress(Overtaken):
                return await carrier_of(journal, held).carry()
        mine = False
        waited += 1
        await pause(waited)
        saga = await repeated(lambda: journal.load(new.id))
    if saga is None:
        raise RecordNotFound(f"{NODE}: the saga {new.id} was deleted while it was carried")
    return saga
