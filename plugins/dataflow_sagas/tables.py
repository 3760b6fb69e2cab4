"""The tables of the journal, as models like any other."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from dataflow_core import field

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["EFFECT", "SAGA", "STEP", "add_effects", "add_journal"]

SAGA: Final = "DataflowSaga"
STEP: Final = "DataflowSagaStep"
EFFECT: Final = "DataflowSagaEffect"


class DataflowSaga:
    """A saga: what it does, who carries it until when, how far it is."""

    __dataflow__: Any = {"table": "dataflow_sagas"}  # noqa: RUF012 - how a model is declared

    id: str = field(primary_key=True, max_length=64)
    kind: str = field(max_length=32)
    status: str = field(max_length=32, index=True)
    definition: str
    started_by: str = field(max_length=64)
    claim: int
    progress: int
    lease: float
    lease_until: dt.datetime
    deadline: dt.datetime | None
    failure: str | None
    decided: int | None


class DataflowSagaStep:
    """A step of a saga: its outcome, and what is needed to undo it."""

    __dataflow__: Any = {"table": "dataflow_saga_steps"}  # noqa: RUF012

    id: str = field(primary_key=True, max_length=96)
    saga_id: str = field(max_length=64, index=True)
    position: int
    node: str
    outcome: str = field(max_length=32)
    attempts: int = 0
    called_with: str | None
    output: str | None
    failure: str | None


def add_journal(db: DataFlow) -> None:
    """Make the tables of the journal known to an instance; they are made at their first use."""
    db.model(DataflowSaga, validation="off")
    db.model(DataflowSagaStep, validation="off")


def add_effects(db: DataFlow, database: str) -> str:
    """Make known the table by which another database remembers what was done in it.

    A row is written in the transaction of the step itself, under the key of the step. Returns the
    name of the model.
    """
    name = f"{EFFECT}_{database}"
    body: dict[str, Any] = {
        "__annotations__": {"id": str, "output": str | None},
        "__module__": __name__,
        "__dataflow__": {"table": "dataflow_saga_effects", "database": database},
        "id": field(primary_key=True, max_length=128),
        "output": None,
    }
    db.model(type(name, (), body), validation="off")
    return name
