"""What a node is: a name, parameters, outputs, what it touches, and how it runs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from attrs import define, field, frozen

from dataflow_core.contract import Isolation
from dataflow_core.run.observing import Observers
from dataflow_core.types import FieldType

__all__ = [
    "NOTHING_TOUCHED",
    "Context",
    "Effect",
    "NodeOwner",
    "NodeType",
    "Output",
    "Parameter",
    "Run",
    "Stream",
]


@frozen
class Parameter:
    """A parameter of a node. ``type`` is set where a value of another type can never fit.

    ``alias_of`` names the parameter that this one stands for. A ``required`` parameter may be left
    out where one of those named in ``unless`` is given: a field where ``values`` may hold it.
    """

    name: str
    required: bool = False
    type: FieldType | None = None
    nullable: bool = True
    alias_of: str | None = None
    unless: tuple[str, ...] = ()
    description: str = ""


@frozen
class Output:
    """A key of a node's result. ``type`` is set where it is known before the node runs."""

    name: str
    type: FieldType | None = None


@frozen
class Effect:
    """What running a node may read and change: names of tables with their database.

    ``everything`` is for nodes of which nothing is known: they never run beside another.
    ``databases`` names the databases that are used at all.
    """

    reads: frozenset[tuple[str, str]] = frozenset()
    writes: frozenset[tuple[str, str]] = frozenset()
    databases: frozenset[str] = frozenset()
    everything: bool = False


NOTHING_TOUCHED = Effect()


class NodeOwner(Protocol):
    """What a node and the runtime need of the ``DataFlow`` instance that a node belongs to."""

    def node_type(self, name: str) -> NodeType:
        """The node type called ``name``; ``UnknownNode`` with the nearest otherwise."""
        ...

    def node_names(self) -> tuple[str, ...]:
        """The names of all node types."""
        ...

    @property
    def observers(self) -> Observers | None:
        """Who is told of what the instance does, if anybody is."""
        ...

    def absent_nodes(self) -> Mapping[str, str]:
        """The names of nodes that models could have and have not, and why."""
        ...

    def tenant(self, tenant_id: Any) -> AbstractContextManager[None]:
        """``with``: the tenant whose rows are meant."""
        ...

    @property
    def current_tenant(self) -> Any:
        """The tenant in force, or ``None``."""
        ...

    def transaction(
        self,
        database: str = "primary",
        *,
        isolation: Isolation | None = None,
        retry: int = 0,
    ) -> Any:
        """``async with``: a transaction that every call inside joins; ``async for``: attempts."""
        ...

    def current_transaction(self, database: str = "primary") -> Any | None:
        """The transaction that the current task is in on a database, or ``None``."""
        ...


@define
class Context:
    """What a running node knows of where it runs; the first argument of a ``@db.node`` function."""

    db: Any
    run_id: str = ""
    node_id: str = ""
    _tenant_id: Any = None
    idempotency_key: str = ""
    deadline: float | None = None

    async def run(self, name: str, /, **parameters: Any) -> dict[str, Any]:
        """Run another node of the same instance, in the same transaction if there is one."""
        node: NodeType = self.db.node_type(name)
        return await node.run(self, parameters)

    @property
    def tenant_id(self) -> Any:
        """The tenant that the run was given, else the one in force, or ``None``."""
        return self.db.current_tenant if self._tenant_id is None else self._tenant_id

    def tenant(self) -> AbstractContextManager[None]:
        """``with``: that tenant in force, for whoever runs a node with this context."""
        return nullcontext() if self._tenant_id is None else self.db.tenant(self._tenant_id)

    @property
    def transaction(self) -> Any:
        """The transaction in force, or ``None``."""
        return self.db.current_transaction()


Run = Callable[[Context, dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]
Stream = Callable[[Context, Mapping[str, Any]], Any]


@frozen(eq=False)
class NodeType:
    """A node that workflows can use.

    ``run(context, parameters)`` checks the parameters, does the work and returns a dict that holds
    ``result``. ``outputs`` ``None`` means that only the run tells. ``check(parameters)`` refuses,
    at build time, constant parameters that can never be right; names are checked by the builder.
    ``open_parameters``: takes any name.
    ``last``: the node runs after all others of a workflow. ``common``: every instance knows a node
    of this name, so two live instances do not make it ambiguous where the workflow tells which.
    ``confined``: it is about the rows of the tenant in force only.
    ``repeatable``: it does nothing outside of the database, so that a transaction which the
    database ended may be run again. ``stream(context, parameters)`` gives what the node reads as a
    stream, without running it.
    """

    name: str
    owner: NodeOwner
    run: Run
    parameters: Mapping[str, Parameter] = field(factory=dict)
    outputs: Mapping[str, Output] | None = None
    effect: Callable[[], Effect] = field(default=lambda: NOTHING_TOUCHED)
    check: Callable[[Mapping[str, Any]], None] | None = None
    open_parameters: bool = False
    last: bool = False
    stream: Stream | None = None
    common: bool = False
    repeatable: bool = True
    confined: bool = False
    description: str = ""
