"""Where a saga stands, as the journal has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from dataflow_core.errors import DataFlowError
from dataflow_sagas.definition import Definition

__all__ = [
    "COMMITTING",
    "COMPENSATED",
    "COMPENSATING",
    "COMPENSATION_FAILED",
    "COMPLETED",
    "DONE",
    "FAILED",
    "RUNNING",
    "UNFINISHED",
    "UNKNOWN",
    "WAITING",
    "Saga",
    "Step",
    "described",
]

# Of a saga: RUNNING, COMMITTING (only in two phases) and COMPENSATING until it ends as COMPLETED,
# COMPENSATED or FAILED.
# Of a step: WAITING, RUNNING, then DONE, FAILED or UNKNOWN; COMPENSATING, then COMPENSATED or
# COMPENSATION_FAILED.
WAITING: Final = "waiting"
RUNNING: Final = "running"
DONE: Final = "done"
UNKNOWN: Final = "unknown"
COMMITTING: Final = "committing"
COMPENSATING: Final = "compensating"
COMPENSATION_FAILED: Final = "compensation failed"
COMPLETED: Final = "completed"
COMPENSATED: Final = "compensated"
FAILED: Final = "failed"

UNFINISHED: Final = (RUNNING, COMMITTING, COMPENSATING)


@frozen
class Step:
    """A step: its outcome so far, and how often it was begun.

    ``parameters`` are those it was called with; ``failure`` says why it, or its compensation,
    failed.
    """

    position: int
    node: str
    outcome: str
    attempts: int
    parameters: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None
    failure: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The step as the node and the lists give it."""
        return {
            "node": self.node,
            "outcome": self.outcome,
            "attempts": self.attempts,
            "result": self.result,
            "error": self.failure,
        }


@frozen
class Saga:
    """A saga. ``seconds_left``: until its time is over, from when it was read.

    Whoever claims it counts ``claim`` up, and every change counts ``progress`` up: a change is made
    only where both are as they were read.
    """

    id: str
    definition: Definition
    status: str
    started_by: str
    claim: int
    progress: int
    lease: float
    seconds_left: float | None
    steps: tuple[Step, ...]
    failure: Mapping[str, Any] | None = None
    decided: int | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.status not in UNFINISHED

    def to_dict(self) -> dict[str, Any]:
        """The saga as the node gives it."""
        return {
            "status": self.status,
            "saga_id": self.id,
            "steps": [step.to_dict() for step in self.steps],
            "error": self.failure,
        }


def described(error: BaseException) -> dict[str, Any]:
    """An error as the journal keeps it."""
    if isinstance(error, DataFlowError):
        document = error.to_dict()
        return {key: document[key] for key in ("code", "error", "message", "outcome")}
    return {"error": type(error).__name__, "message": str(error)[:1000]}
