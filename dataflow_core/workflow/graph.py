"""What a workflow is made of, and the workflow itself: values that never change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from attrs import field, frozen

from dataflow_core.contract import Isolation
from dataflow_core.naming_hints import quoted
from dataflow_core.nodes.base import Effect, NodeOwner, NodeType
from dataflow_core.run.observing import Observers
from dataflow_core.workflow.paths import Path

__all__ = [
    "ORDER_ONLY",
    "Connection",
    "NodeOptions",
    "OnError",
    "Step",
    "TransactionPart",
    "TransactionTarget",
    "Unit",
    "Workflow",
    "WorkflowNode",
    "is_read_once",
]

OnError = Literal["raise", "continue"]
"""What a failing node does to its run: ends it, or is recorded while the rest goes on."""

ORDER_ONLY: Final = "input"
"""The target that every node has: it carries the order of two nodes and no value."""

_SHOWN_NODES: Final = 12


@frozen
class NodeOptions:
    """How a node is run.

    Attributes:
        retries: how often it is tried again after an error that is `retryable`.
        retry_delay: seconds before the first further try; doubled before each one after it.
        timeout: seconds that each try may take.
        on_error: what its failure does to the run; ``None`` leaves it to the run.
        deferred: names of the parameters that each run gives.
    """

    retries: int = 0
    retry_delay: float = 0.0
    timeout: float | None = None
    on_error: OnError | None = None
    deferred: frozenset[str] = frozenset()


@frozen(eq=False)
class WorkflowNode:
    """One node of a workflow: its type, its constant parameters and how it is run.

    The mapping of parameters cannot be changed; the values in it are the caller's, not copies.
    """

    id: str
    type: NodeType = field(repr=False)
    # Values may be secrets, so they never appear in a representation.
    parameters: Mapping[str, Any] = field(repr=False)
    options: NodeOptions = NodeOptions()


@frozen
class Connection:
    """A value that goes from a node's output to another node's parameter."""

    source: str
    output: Path
    target: str
    parameter: str

    def __str__(self) -> str:
        return quoted(f"{self.source}.{self.output.text} -> {self.target}.{self.parameter}")


@frozen
class TransactionPart:
    """Nodes of a workflow that are done in one transaction, all or none.

    Attributes:
        name: how the part is called in its workflow.
        nodes: the ids of its nodes.
        isolation: what is asked of the transaction; ``None`` leaves it to the database.
        retry: how often it is done again where the database ends it for another one's sake.
    """

    name: str
    nodes: tuple[str, ...]
    isolation: Isolation | None = None
    retry: int = 0


@frozen
class TransactionTarget:
    """Where a transaction is opened; ``database`` ``None`` is the owner's default."""

    owner: NodeOwner
    database: str | None

    @property
    def place(self) -> tuple[str, ...]:
        """The database as an argument of the owner's methods."""
        return () if self.database is None else (self.database,)

    @property
    def in_force(self) -> Any | None:
        """The transaction that the current task is in there, or ``None``."""
        return self.owner.current_transaction(*self.place)


@frozen(eq=False)
class Step:
    """One node at its position in the sequential order.

    Attributes:
        node: the node.
        effect: what running it may read and change.
        feeds: the connections that carry a value to it.
    """

    node: WorkflowNode
    effect: Effect
    feeds: tuple[Connection, ...]


@frozen(eq=False)
class Unit:
    """What runs as one: a node, or all nodes of a part in one transaction.

    Attributes:
        steps: its nodes in sequential order.
        depends: the positions of the units that it is connected to.
        waits: for how many earlier units it waits.
        followers: the positions of the units that wait for it.
        part: the part of which these are the nodes.
    """

    steps: tuple[Step, ...]
    depends: tuple[int, ...]
    waits: int
    followers: tuple[int, ...]
    part: TransactionPart | None = None


@frozen(eq=False, repr=False)
class Workflow:
    """A workflow that was checked and can run: many times, also at the same time.

    Iterating gives the node ids in the order in which they were added.

    Attributes:
        nodes: the nodes by id, in the order in which they were added.
        connections: the connections.
        units: what runs as one, in sequential order, each with what it waits for.
        parts: the parts that are transactions, and where each is opened.
        steps: the nodes in sequential order.
        owners: the instances that the nodes belong to.
        targets: the databases that they use.
        observers: who is told of what they do.
        read_once: node and name of each constant that is used up by reading it.
    """

    nodes: Mapping[str, WorkflowNode]
    connections: tuple[Connection, ...]
    units: tuple[Unit, ...]
    parts: Mapping[TransactionPart, TransactionTarget] = field(factory=dict)
    steps: tuple[Step, ...] = field(init=False)
    owners: tuple[NodeOwner, ...] = field(init=False)
    targets: tuple[TransactionTarget, ...] = field(init=False)
    observers: tuple[Observers, ...] = field(init=False)
    read_once: tuple[tuple[str, str], ...] = field(init=False)
    # An iterator is read once, so the first run that reads one is remembered.
    _first_reader: dict[tuple[str, str], str] = field(factory=dict, init=False)

    @steps.default
    def _all_steps(self) -> tuple[Step, ...]:
        return tuple(step for unit in self.units for step in unit.steps)

    @targets.default
    def _all_targets(self) -> tuple[TransactionTarget, ...]:
        # What may use any database may use the default one.
        found = {
            (id(step.node.type.owner), database): TransactionTarget(step.node.type.owner, database)
            for step in self.steps
            for database in (None, *step.effect.databases)
        }
        return tuple(found.values())

    @owners.default
    def _all_owners(self) -> tuple[NodeOwner, ...]:
        owners = {id(node.type.owner): node.type.owner for node in self.nodes.values()}
        return tuple(owners.values())

    @observers.default
    def _all_observers(self) -> tuple[Observers, ...]:
        return tuple(owner.observers for owner in self.owners if owner.observers is not None)

    @read_once.default
    def _all_read_once(self) -> tuple[tuple[str, str], ...]:
        return tuple(
            (node.id, name)
            for node in self.nodes.values()
            for name, value in node.parameters.items()
            if is_read_once(value)
        )

    @property
    def order(self) -> tuple[str, ...]:
        """The node ids in the order in which a sequential run would take them."""
        return tuple(step.node.id for step in self.steps)

    def first_reader(self, node_id: str, parameter: str, run_id: str) -> str:
        """The run that reads a constant iterator: the given one, if none has done so before."""
        # One call, so that two threads cannot both be the first.
        return self._first_reader.setdefault((node_id, parameter), run_id)

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[str]:
        return iter(self.nodes)

    def __contains__(self, node_id: object) -> bool:
        return node_id in self.nodes

    def __repr__(self) -> str:
        names = list(self.nodes)
        shown = ", ".join(names[:_SHOWN_NODES]) + (", ..." if len(names) > _SHOWN_NODES else "")
        return f"<Workflow of {len(names)} node{'' if len(names) == 1 else 's'}: {shown}>"

    def to_mermaid(self) -> str:
        """The workflow as the text of a Mermaid flow chart; parameter values are left out."""
        from dataflow_core.workflow.diagrams import mermaid

        return mermaid(self)

    def _repr_html_(self) -> str:
        """The workflow for a notebook: a table of the nodes and the text of the diagram."""
        from dataflow_core.workflow.diagrams import html

        return html(self)

    def to_dict(self) -> dict[str, Any]:
        """The workflow as values that the json module accepts, parameter values included.

        Raises:
            InvalidType: a parameter holds what cannot be stored, such as a function or a generator.
        """
        from dataflow_core.workflow.serialise import to_dict

        return to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], owner: NodeOwner | None = None) -> Workflow:
        """Build the workflow that ``to_dict`` described, with all checks of ``build()``.

        Parameters:
            data: what ``to_dict`` returned, or what the json module read back of it.
            owner: the instance to look up node names in; as in ``WorkflowBuilder(owner)``.

        Raises:
            InvalidWorkflow: the description is not of the known form.
        """
        from dataflow_core.workflow.serialise import from_dict

        return from_dict(data, owner)


def is_read_once(value: object) -> bool:
    """Whether a value is used up by reading it, as a generator is."""
    return hasattr(value, "__next__") or hasattr(value, "__anext__")
