"""Plans: compiled operations, kept by shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from attrs import define, field

from dataflow_core.compile import Compiled, Statement
from dataflow_core.compile.touched import models_touched
from dataflow_core.contract import Compiler, ErrorSituation
from dataflow_core.operations import (
    Aggregate,
    Count,
    Delete,
    DeleteMany,
    Find,
    FindRows,
    Operation,
    Update,
    UpdateMany,
)
from dataflow_core.operations.confine import confined
from dataflow_core.schema import Model
from dataflow_core.updates import Clear, SetTo

if TYPE_CHECKING:
    from dataflow_core.run.coalescing import Coalescer

__all__ = ["Plan", "ShapeCache"]

_READS: Final = (Find, FindRows, Count, Aggregate)


@define(eq=False)
class Plan:
    """A compiled operation, ready to run any number of times.

    ``coalescer`` lets calls that are made together share a statement, where they may. ``secured``:
    the database itself keeps the rows apart, of some of its models, so it is told the tenant.
    """

    operation: Operation
    compiled: Compiled
    writes: bool
    situation: ErrorSituation
    coalescer: Coalescer | None = None
    secured: bool = False

    @classmethod
    def of(cls, operation: Operation, compiler: Compiler) -> Plan:
        """The plan of an operation; raises what the compiler refuses."""
        writes = not isinstance(operation, _READS)
        deleting = isinstance(operation, Delete | DeleteMany)
        situation = ErrorSituation(
            operation.model, writing=writes, deleting=deleting, computed=_computed(operation)
        )
        secured = any(model.secured_by is not None for model in models_touched(operation))
        compiled = compiler.compile(confined(operation))
        return cls(operation, compiled, writes, situation, secured=secured)

    @property
    def model(self) -> Model:
        """The model that the operation is about."""
        return self.operation.model

    @property
    def statement(self) -> Statement:
        """The statement of an operation that has exactly one."""
        assert self.compiled.statement is not None
        return self.compiled.statement


@define(eq=False)
class ShapeCache:
    """Plans by shape, at most ``size``; the oldest goes first.

    ``compiled`` counts the compilations: a second call of a shape does not raise it.
    """

    size: int = 2_048
    compiled: int = 0
    _plans: dict[Operation, Plan] = field(factory=dict)

    def __len__(self) -> int:
        return len(self._plans)

    def get(self, operation: Operation) -> Plan | None:
        """The plan of a shape, if it is there."""
        return self._plans.get(operation)

    def add(self, operation: Operation, make: Callable[[Operation], Plan]) -> Plan:
        """Compile a shape and keep the plan."""
        plan = make(operation)
        self.compiled += 1
        while len(self._plans) >= self.size:
            del self._plans[next(iter(self._plans))]
        self._plans[operation] = plan
        return plan

    def forget(self, model: Model) -> None:
        """Drop the plans of a model, whose table is no longer what it was."""
        for operation in [item for item in self._plans if model in models_touched(item)]:
            del self._plans[operation]


def _computed(operation: Operation) -> tuple[str, ...]:
    """The columns of numbers that an operation does not simply set."""
    if not isinstance(operation, Update | UpdateMany):
        return ()
    return tuple(
        item.field.column
        for item in operation.assignments
        if item.field.type.numeric and not isinstance(item.change, SetTo | Clear)
    )
