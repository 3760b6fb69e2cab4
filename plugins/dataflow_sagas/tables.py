"""The tables of the journal, as models that the journal alone reads and writes.

Every operation on them, by whichever node, is confined to a value of the context that only the
journal's own calls have: they hold the parameters and results of every tenant.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from dataflow_core import field
from dataflow_core.contract import ModelPolicy, PolicyContext, ReservedTables
from dataflow_core.schema import Model

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["EFFECT", "JOURNAL", "SAGA", "STEP", "add_effects", "add_journal", "inside"]

SAGA: Final = "DataflowSaga"
STEP: Final = "DataflowSagaStep"
EFFECT: Final = "DataflowSagaEffect"
_OPTION: Final = "saga_journal"
_RESERVED: Final = ReservedTables(
    "the journal of sagas",
    "the journal of sagas is read with dataflow_sagas.list_sagas(...), and written by"
    " TransactionManagerNode only",
)
inside = _RESERVED.inside
"""``with``: the tables of the journal can be used."""


def _extend(model: Model, context: PolicyContext) -> Model:
    return (
        evolve(model, fields=(*model.fields, _RESERVED.field))
        if _OPTION in model.options
        else model
    )


JOURNAL: Final = ModelPolicy((_OPTION,), _extend)
"""The policy of the journal's tables."""


class DataflowSaga:
    """A saga: what it does, who carries it until when, how far it is."""

    __dataflow__: Any = {"table": "dataflow_sagas", _OPTION: True}  # noqa: RUF012 - how a model is declared

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

    __dataflow__: Any = {"table": "dataflow_saga_steps", _OPTION: True}  # noqa: RUF012

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
        "__dataflow__": {
            "table": "dataflow_saga_effects",
            "database": database,
            _OPTION: True,
        },
        "id": field(primary_key=True, max_length=128),
        "output": None,
    }
    db.model(type(name, (), body), validation="off")
    return name
