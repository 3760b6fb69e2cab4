"""Putting a workflow together: nodes and connections in, a checked workflow out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, frozen

from dataflow_core.contract import Isolation
from dataflow_core.errors import (
    DuplicateNode,
    InvalidType,
    InvalidValue,
    InvalidWorkflow,
    UnknownNode,
    UnknownTarget,
)
from dataflow_core.naming_hints import quoted
from dataflow_core.nodes.base import NodeOwner
from dataflow_core.types import check_text
from dataflow_core.workflow.arguments import (
    checked_ids,
    checked_names,
    checked_on_error,
    checked_parameters,
    checked_retries,
    checked_seconds,
)
from dataflow_core.workflow.checks import check_connections, check_node
from dataflow_core.workflow.graph import (
    ORDER_ONLY,
    Connection,
    NodeOptions,
    OnError,
    TransactionPart,
    Workflow,
    WorkflowNode,
)
from dataflow_core.workflow.lookup import node_types
from dataflow_core.workflow.paths import parse_path
from dataflow_core.workflow.plan import arranged
from dataflow_core.workflow.transactions import check_part_nodes, checked_part, part_target

__all__ = ["WorkflowBuilder"]

_MAX_ID_LENGTH: Final = 255


@frozen(eq=False)
class _Asked:
    """A node as it was added; its type is looked up when the workflow is built."""

    name: str
    parameters: dict[str, Any]
    options: NodeOptions


class WorkflowBuilder:
    """Collects nodes and connections; ``build()`` checks them and returns the workflow.

    Parameters:
        owner: the ``DataFlow`` instance whose nodes are meant. Without it, names are looked up
            among all open instances of the process when the workflow is built.
    """

    def __init__(self, owner: NodeOwner | None = None) -> None:
        self._owner = owner
        self._nodes: dict[str, _Asked] = {}
        self._connections: list[Connection] = []
        self._counts: dict[str, int] = {}
        self._parts: dict[str, TransactionPart] = {}
        # The name and the nodes so far of the transaction whose block is open.
        self._block: tuple[str, list[str]] | None = None

    def add_node(
        self,
        node_type: str,
        node_id: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        *,
        retries: int = 0,
        retry_delay: float = 0.0,
        timeout: float | None = None,
        on_error: OnError | None = None,
        deferred: Collection[str] = (),
    ) -> str:
        """Add a node and return its id.

        Parameters:
            node_type: the name of the node's type, for example ``UserCreateNode``.
            node_id: the node's own name in this workflow; made from its type where it is left out.
            parameters: constant parameters. The mapping is copied, the values are not: large data
                is passed on as it is, and must not be changed until the workflow has run.
            retries: how often the node is tried again after an error that is ``retryable`` and
                left nothing behind.
            retry_delay: seconds before the first further try; doubled before each one after it.
            timeout: seconds that each try may take before it is cancelled.
            on_error: ``"continue"`` records a failure and skips dependants, ``"raise"`` ends the
                run; left out, the run decides.
            deferred: names of parameters that each run gives: ``execute(parameters={...})``.

        Raises:
            DuplicateNode: the id is taken.
            InvalidType, InvalidValue: an argument is of a wrong kind.
        """
        if not isinstance(node_type, str):
            raise InvalidType(
                "add_node: the type of a node is given by its name, such as 'UserCreateNode', not"
                f" as {type(node_type).__name__} {quoted(node_type)}",
                where="node_type",
                expected="str",
            )
        if node_id is None:
            node_id = self._free_id(node_type)
        self._check_new_id(node_id, node_type)
        where = f"node {quoted(node_id)}"
        self._nodes[node_id] = _Asked(
            node_type,
            checked_parameters(parameters, where),
            NodeOptions(
                retries=checked_retries(retries, f"{where}: retries"),
                retry_delay=checked_seconds(retry_delay, f"{where}: retry_delay", zero=True) or 0.0,
                timeout=checked_seconds(timeout, f"{where}: timeout"),
                on_error=checked_on_error(on_error, f"{where}: on_error"),
                deferred=checked_names(deferred, f"{where}: deferred"),
            ),
        )
        if self._block is not None:
            self._block[1].append(node_id)
        return node_id

    @contextmanager
    def transaction(
        self, name: str, *, isolation: Isolation | None = None, retry: int = 0
    ) -> Iterator[None]:
        """``with workflow.transaction("name"):`` the nodes added inside are done all or not at all.

        They run in order, over one connection, in one transaction; other nodes run as without it.
        Where the whole workflow runs in a transaction the part is a savepoint in it.

        Parameters:
            name: how the transaction is called in this workflow.
            isolation: ``"read committed"``, ``"repeatable read"`` or ``"serializable"``.
            retry: how often it is done again where the database ends it for another one's sake.

        Raises:
            InvalidWorkflow: the block is within another one, or the name is taken.
            InvalidType, InvalidValue: an argument is of a wrong kind.
        """
        part = self._new_part(name, isolation, retry)
        if self._block is not None:
            raise InvalidWorkflow(
                f"the transaction {quoted(name)} is within the transaction"
                f" {quoted(self._block[0])}: a node belongs to one only; end that one before, or"
                " add all nodes to it",
                transaction=name,
            )
        self._parts[name] = part
        inside: list[str] = []
        self._block = (name, inside)
        try:
            yield
        finally:
            self._block = None
            self._parts[name] = evolve(part, nodes=tuple(inside))

    def add_transaction(
        self,
        name: str,
        nodes: Collection[str],
        *,
        isolation: Isolation | None = None,
        retry: int = 0,
    ) -> None:
        """Make a transaction of nodes that are named by their ids; all else as ``transaction``.

        Raises:
            InvalidWorkflow: the name is taken, or a node is in another transaction already.
            InvalidType, InvalidValue: an argument is of a wrong kind.
        """
        part = self._new_part(name, isolation, retry)
        ids = checked_ids(nodes, f"the transaction {quoted(name)}: nodes")
        taken = {node_id: one.name for one in self._parts.values() for node_id in one.nodes}
        if self._block is not None:
            taken |= dict.fromkeys(self._block[1], self._block[0])
        for node_id in ids:
            if node_id in taken:
                raise InvalidWorkflow(
                    f"the transaction {quoted(name)}: node {quoted(node_id)} is in the transaction"
                    f" {quoted(taken[node_id])} already",
                    transaction=name,
                    node_id=node_id,
                )
        self._parts[name] = evolve(part, nodes=ids)

    def add_connection(self, source: str, output: str, target: str, parameter: str) -> None:
        """Pass an output of one node to a parameter of another, which then runs after it.

        Parameters:
            source: the id of the node that gives the value.
            output: one of its outputs, or a dotted path into one: ``"result.0.id"``, or
                ``"records.*.id"`` for a list of all.
            target: the id of the node that takes it.
            parameter: a parameter of it, a field of its model, or ``input``, which carries only
                the order.

        Raises:
            InvalidPath: the path cannot be read. All else is checked by ``build()``.
        """
        for end in (source, target):
            if not isinstance(end, str):
                raise UnknownNode(
                    f"add_connection: a node is named by its id, not by {type(end).__name__}"
                    f" {quoted(end)}",
                    node_id=end,
                )
        if not isinstance(parameter, str):
            raise UnknownTarget(
                f"add_connection: the target in node {quoted(target)} must be a parameter's name,"
                f" not {type(parameter).__name__} {quoted(parameter)}",
                parameter=parameter,
            )
        self._connections.append(Connection(source, parse_path(output), target, parameter))

    def build(self) -> Workflow:
        """Look up the nodes, check everything, and return the workflow.

        The builder may be used further; what it built before does not change.

        Raises:
            WorkflowError: nodes, connections or transactions do not make a workflow that can run.
            ParameterError: a node's constant parameters can never be right, or one is missing.
            TransactionSpansDatabases: nodes of one transaction use several databases.
        """
        if self._block is not None:
            raise InvalidWorkflow(
                f"build() was called within the block of the transaction {quoted(self._block[0])},"
                " to which nodes can still be added: build after it",
                transaction=self._block[0],
            )
        asked = self._nodes
        types = node_types({node_id: one.name for node_id, one in asked.items()}, self._owner)
        nodes = {
            node_id: WorkflowNode(
                node_id, types[node_id], MappingProxyType(one.parameters), one.options
            )
            for node_id, one in asked.items()
        }
        connections = tuple(self._connections)
        check_connections(nodes, connections)
        fed: dict[str, list[Connection]] = {}
        for connection in connections:
            if connection.parameter != ORDER_ONLY:
                fed.setdefault(connection.target, []).append(connection)
        for node in nodes.values():
            check_node(node, fed.get(node.id, ()))
        parts = tuple(self._parts.values())
        for part in parts:
            check_part_nodes(part, nodes)
        units = arranged(tuple(nodes.values()), connections, parts)
        targets = {unit.part: part_target(unit.part, unit.steps) for unit in units if unit.part}
        return Workflow(nodes, connections, units, {part: targets[part] for part in parts})

    def _new_part(self, name: object, isolation: Isolation | None, retry: int) -> TransactionPart:
        part = checked_part(name, isolation, retry)
        if part.name in self._parts:
            raise InvalidWorkflow(
                f"the workflow already has a transaction {quoted(part.name)}",
                transaction=part.name,
            )
        return part

    def _free_id(self, node_type: str) -> str:
        while True:
            number = self._counts[node_type] = self._counts.get(node_type, 0) + 1
            if (node_id := f"{node_type}_{number}") not in self._nodes:
                return node_id

    def _check_new_id(self, node_id: str, node_type: str) -> None:
        where = f"the id of a node of type {quoted(node_type)}"
        if not isinstance(node_id, str):
            raise InvalidType(
                f"{where} must be text, not {type(node_id).__name__} {quoted(node_id)}",
                where="node_id",
                expected="str",
            )
        check_text(node_id, where)
        if not 0 < len(node_id) <= _MAX_ID_LENGTH:
            raise InvalidValue(
                f"{where} has {len(node_id)} characters, expected 1 to {_MAX_ID_LENGTH}",
                where="node_id",
                expected=f"1 to {_MAX_ID_LENGTH} characters",
            )
        if node_id in self._nodes:
            raise DuplicateNode(
                f"the workflow already has a node {quoted(node_id)}"
                f" ({self._nodes[node_id].name}); the new one is of type {quoted(node_type)}",
                node_id=node_id,
            )

    def __repr__(self) -> str:
        return f"<WorkflowBuilder: {len(self._nodes)} nodes, {len(self._connections)} connections>"
