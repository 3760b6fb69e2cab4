"""What is wrong with a workflow, found before anything of it runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from dataflow_core.errors import (
    ConflictingParameters,
    DataFlowError,
    DuplicateConnection,
    IncompatibleConnection,
    MissingParameter,
    UnknownNode,
    UnknownOutput,
    UnknownParameter,
    UnknownTarget,
)
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.nodes.base import NodeType
from dataflow_core.types import Json, fits
from dataflow_core.workflow.graph import (
    ORDER_ONLY,
    Connection,
    NodeOptions,
    WorkflowNode,
    is_read_once,
)

__all__ = [
    "canonical",
    "check_connections",
    "check_constants",
    "check_node",
    "check_retries",
    "described",
]


def canonical(node_type: NodeType, name: str) -> str:
    """The name that a parameter's name stands for."""
    parameter = node_type.parameters.get(name)
    return name if parameter is None or parameter.alias_of is None else parameter.alias_of


def described(node: WorkflowNode) -> str:
    """A node for a message: its id and its type."""
    return f"node {quoted(node.id)} ({node.type.name})"


def check_connections(nodes: Mapping[str, WorkflowNode], connections: Sequence[Connection]) -> None:
    """Check both ends of each connection, and that no parameter is fed twice.

    Raises:
        UnknownNode, UnknownOutput, UnknownTarget: an end does not exist.
        IncompatibleConnection: no value of the output is accepted by the target.
        DuplicateConnection: two connections end at one parameter.
    """
    fed: dict[tuple[str, str], Connection] = {}
    for connection in connections:
        for end in (connection.source, connection.target):
            if end not in nodes:
                raise UnknownNode(
                    f"connection {connection}: there is no node {quoted(end)}",
                    suggestion=nearest(end, nodes),
                    connection=str(connection),
                    node_id=end,
                )
        source, target = nodes[connection.source], nodes[connection.target]
        _check_output(connection, source)
        if connection.parameter == ORDER_ONLY:
            continue
        _check_target(connection, target)
        _check_types(connection, source, target)
        key = (target.id, canonical(target.type, connection.parameter))
        if key in fed:
            raise DuplicateConnection(
                f"{described(target)}: the parameter {quoted(key[1])} is connected twice:"
                f" {fed[key]} and {connection}",
                node_id=target.id,
                parameter=key[1],
            )
        fed[key] = connection


def _check_output(connection: Connection, source: WorkflowNode) -> None:
    outputs, name = source.type.outputs, connection.output.output
    if outputs is not None and name not in outputs:
        raise UnknownOutput(
            f"connection {connection}: {described(source)} has no output {quoted(name)}; it has"
            f" {_listed(outputs)}",
            suggestion=nearest(name, outputs),
            node_id=source.id,
            node_type=source.type.name,
            output=name,
        )


def _check_target(connection: Connection, target: WorkflowNode) -> None:
    known, name = target.type.parameters, connection.parameter
    if name not in known and not target.type.open_parameters:
        raise UnknownTarget(
            f"connection {connection}: {described(target)} has no parameter {quoted(name)}; it has"
            f" {_listed((*known, ORDER_ONLY))}",
            suggestion=nearest(name, (*known, ORDER_ONLY)),
            node_id=target.id,
            node_type=target.type.name,
            parameter=name,
        )


def _check_types(connection: Connection, source: WorkflowNode, target: WorkflowNode) -> None:
    parameter = target.type.parameters.get(connection.parameter)
    if parameter is None or parameter.type is None:
        return
    path, expected = connection.output, parameter.type
    if path.each:
        fitting, given = isinstance(expected, Json) and expected.shape != "object", "list"
    else:
        output = (source.type.outputs or {}).get(path.output)
        # What lies deeper in a result is known only when the node has run.
        if output is None or output.type is None or len(path.steps) > 1:
            return
        fitting, given = fits(output.type, expected), output.type.name
    if not fitting:
        raise IncompatibleConnection(
            f"connection {connection}: {quoted(path.text)} of {described(source)} is of type"
            f" {given}, which can never be the {expected.name} that {described(target)} expects",
            source=source.id,
            target=target.id,
            parameter=parameter.name,
            expected=expected.name,
            got=given,
        )


def check_node(node: WorkflowNode, connections: Iterable[Connection]) -> None:
    """Check a node's constant parameters against its type and against what is connected to it.

    Raises:
        UnknownParameter: the node has no parameter of a name.
        ConflictingParameters: a parameter is given in two ways.
        MissingParameter: a required parameter is given in none.
    """
    deferred = node.options.deferred
    check_names(node, [*node.parameters, *sorted(deferred)])
    ways: dict[str, str] = {}
    for name, way in (
        *((name, "as a constant") for name in node.parameters),
        *((feed.parameter, f"by the connection {feed}") for feed in connections),
        *((name, "as deferred") for name in sorted(deferred)),
    ):
        key = canonical(node.type, name)
        if key in ways:
            raise ConflictingParameters(
                f"{described(node)}: the parameter {quoted(key)} is given twice: {ways[key]} and"
                f" {way}",
                node_id=node.id,
                node_type=node.type.name,
                parameter=key,
            )
        ways[key] = way
    _check_required(node, ways)
    check_constants(node, node.parameters)
    check_retries(node, node.options, node.parameters)


def check_names(node: WorkflowNode, names: Iterable[str]) -> None:
    """Refuse names that are no parameters of the node."""
    if node.type.open_parameters:
        return
    known = node.type.parameters
    for name in names:
        if name not in known:
            raise UnknownParameter(
                f"{described(node)} has no parameter {quoted(name)}; it has {_listed(known)}",
                suggestion=nearest(name, known),
                node_id=node.id,
                node_type=node.type.name,
                parameter=name,
            )


def _check_required(node: WorkflowNode, given: Collection[str]) -> None:
    for parameter in node.type.parameters.values():
        if not parameter.required or parameter.alias_of is not None or parameter.name in given:
            continue
        if any(other in given for other in parameter.unless):
            continue
        instead = "".join(f" or {quoted(other)}" for other in parameter.unless)
        raise MissingParameter(
            f"{described(node)}: the parameter {quoted(parameter.name)}{instead} is required:"
            f" give it, connect it, or name it in deferred={(parameter.name,)!r} and give it at"
            " each run",
            node_id=node.id,
            node_type=node.type.name,
            parameter=parameter.name,
        )


def check_constants(node: WorkflowNode, constants: Mapping[str, Any]) -> None:
    """Have the node's type refuse constants that can never be right; the error names the node."""
    if node.type.check is None:
        return
    try:
        node.type.check(constants)
    except Exception as error:
        if isinstance(error, DataFlowError):
            error.context.setdefault("node_id", node.id)
            error.context.setdefault("node_type", node.type.name)
        error.add_note(f"in {described(node)}")
        raise


def check_retries(node: WorkflowNode, options: NodeOptions, parameters: Mapping[str, Any]) -> None:
    """Refuse retries of a node whose parameters are used up by the first try."""
    if not options.retries:
        return
    for name, value in parameters.items():
        if is_read_once(value):
            raise ConflictingParameters(
                f"{described(node)}: retries={options.retries} and a parameter {quoted(name)} that"
                " can be read only once: a further try would see only what is left of it",
                node_id=node.id,
                node_type=node.type.name,
                parameter=name,
            )


def _listed(names: Iterable[str]) -> str:
    listed = [str(name) for name in names]
    if not listed:
        return "none"
    return ", ".join(listed[:20]) + (", ..." if len(listed) > 20 else "")
