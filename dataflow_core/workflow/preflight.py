"""What a run was given, checked before anything of it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataflow_core.errors import (
    ConflictingParameters,
    InvalidType,
    InvalidWorkflow,
    MissingParameter,
    UnknownNode,
    UnknownParameter,
)
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.run.retries import RETRIES
from dataflow_core.run.transactions import is_explaining
from dataflow_core.workflow.arguments import checked_parameters
from dataflow_core.workflow.builder import WorkflowBuilder
from dataflow_core.workflow.checks import (
    canonical,
    check_constants,
    check_names,
    check_retries,
    described,
)
from dataflow_core.workflow.graph import OnError, Workflow, WorkflowNode
from dataflow_core.workflow.transactions import (
    check_in_transaction,
    check_part_retry,
    may_run_again,
)

__all__ = [
    "check_one_transaction",
    "check_parts",
    "check_readers",
    "check_tenant",
    "checked_workflow",
    "in_transaction",
    "run_constants",
    "transaction_retries",
]

Constants = dict[str, Mapping[str, Any]]


def checked_workflow(workflow: object) -> Workflow:
    """Return the workflow, or refuse what is none."""
    if isinstance(workflow, Workflow):
        return workflow
    if isinstance(workflow, WorkflowBuilder):
        raise InvalidWorkflow(
            "execute was given a WorkflowBuilder: call .build() on it and run what it returns",
            expected="Workflow",
        )
    raise InvalidWorkflow(
        f"execute was given {type(workflow).__name__} {quoted(workflow)}, expected a Workflow",
        expected="Workflow",
    )


def run_constants(workflow: Workflow, parameters: object) -> Constants:
    """The constants of the nodes for which this run gives parameters, checked as at ``build()``.

    Raises:
        UnknownNode, UnknownParameter, ConflictingParameters, MissingParameter: as for constants.
    """
    given = _checked_overrides(workflow, parameters)
    for node_id, node in workflow.nodes.items():
        missing = node.options.deferred and _canonical_names(node, node.options.deferred)
        if missing and (missing := missing - _canonical_names(node, given.get(node_id, {}))):
            name = min(missing)
            raise MissingParameter(
                f"{described(node)}: the parameter {quoted(name)} was deferred to the run: give"
                f" parameters={{{node_id!r}: {{{name!r}: ...}}}}",
                node_id=node_id,
                node_type=node.type.name,
                parameter=name,
            )
    if not given:
        return {}
    connected = {
        node_id: {connection.parameter: connection for connection in step.feeds}
        for step in workflow.steps
        if (node_id := step.node.id) in given
    }
    return {
        node_id: _merged(workflow.nodes[node_id], override, connected[node_id])
        for node_id, override in given.items()
    }


def _checked_overrides(workflow: Workflow, parameters: object) -> dict[str, dict[str, Any]]:
    if parameters is None:
        return {}
    if not isinstance(parameters, Mapping):
        raise InvalidType(
            "execute: parameters must be a dict of node id to a dict of parameters, not"
            f" {type(parameters).__name__} {quoted(parameters)}",
            where="parameters",
            expected="dict",
        )
    for node_id in parameters:
        if not isinstance(node_id, str) or node_id not in workflow.nodes:
            raise UnknownNode(
                f"execute: parameters are given for {quoted(node_id)}, which is no node of the"
                " workflow; expected {node_id: {name: value}}",
                suggestion=nearest(node_id, workflow.nodes) if isinstance(node_id, str) else None,
                node_id=node_id,
            )
    return {
        node_id: checked_parameters(override, f"node {quoted(node_id)}")
        for node_id, override in parameters.items()
    }


def _merged(
    node: WorkflowNode, override: dict[str, Any], connected: Mapping[str, Any]
) -> Mapping[str, Any]:
    check_names(node, override)
    by_canonical: dict[str, str] = {}
    for name in override:
        other = by_canonical.setdefault(canonical(node.type, name), name)
        if other != name:
            raise _conflict(node, name, f"twice for this run, also as {quoted(other)}")
    for name, connection in connected.items():
        if canonical(node.type, name) in by_canonical:
            raise _conflict(node, name, f"for this run and by the connection {connection}")
    kept = {
        name: value
        for name, value in node.parameters.items()
        if canonical(node.type, name) not in by_canonical
    }
    merged = {**kept, **override}
    check_constants(node, merged)
    check_retries(node, node.options, merged)
    return merged


def _conflict(node: WorkflowNode, name: str, ways: str) -> ConflictingParameters:
    return ConflictingParameters(
        f"{described(node)}: the parameter {quoted(name)} is given {ways}",
        node_id=node.id,
        node_type=node.type.name,
        parameter=name,
    )


def _canonical_names(node: WorkflowNode, names: Any) -> set[str]:
    return {canonical(node.type, name) for name in names}


def check_readers(workflow: Workflow, constants: Constants, run_id: str) -> None:
    """Refuse a constant that an earlier run has used up, such as a generator.

    Raises:
        ConflictingParameters: the workflow ran before, so the run would see only what is left.
    """
    for node_id, name in workflow.read_once:
        node = workflow.nodes[node_id]
        if constants.get(node_id, node.parameters).get(name) is not node.parameters[name]:
            continue
        if workflow.first_reader(node_id, name, run_id) != run_id:
            raise _conflict(
                node,
                name,
                "as something that can be read only once, and an earlier run has read it; name it"
                " in deferred and give it at each run",
            )


def check_tenant(workflow: Workflow, tenant_id: object) -> None:
    """Refuse a tenant that nothing in the workflow takes notice of.

    Raises:
        UnknownParameter: no node has a parameter ``tenant_id`` or may hand it on.
    """
    if tenant_id is None:
        return
    for step in workflow.steps:
        node_type = step.node.type
        if node_type.confined or node_type.open_parameters:
            return
        # A node of which nothing is known may hand its context on.
        if step.effect.everything:
            return
    raise UnknownParameter(
        "execute: tenant_id is given, but no node of the workflow belongs to a multi-tenant model,"
        " so it would be ignored",
        parameter="tenant_id",
    )


def in_transaction(workflow: Workflow) -> bool:
    """Whether the caller is already in a transaction of one of the workflow's instances."""
    return any(target.in_force is not None for target in workflow.targets)


def check_one_transaction(workflow: Workflow, on_error: OnError) -> None:
    """Refuse what has no meaning in a transaction, which is carried out wholly or not at all.

    Raises:
        ConflictingParameters: a node is retried, or its failure is to be passed over.
    """
    for node in workflow.nodes.values():
        check_in_transaction(node, on_error)


def check_parts(workflow: Workflow, constants: Constants, *, transaction: bool) -> None:
    """Refuse what this run makes impossible for a part of the workflow that is a transaction.

    Raises:
        ConflictingParameters: ``isolation`` within a transaction; ``retry`` of what this run gives
            something that can be read only once.
    """
    for part, target in workflow.parts.items():
        check_part_retry(part, workflow.nodes, constants)
        # What is only explained is sent nowhere.
        within = transaction or (target.in_force is not None and not is_explaining())
        if part.isolation is not None and within:
            raise ConflictingParameters(
                f"the transaction {quoted(part.name)}: isolation={part.isolation!r} within a"
                " transaction, of which it is a part: that one decides on isolation; give it there,"
                " or run the workflow outside of one",
                transaction=part.name,
                parameter="isolation",
            )


def transaction_retries(workflow: Workflow, constants: Constants) -> int:
    """How often a run in a transaction may be done again if the database ends it.

    Never, where a node may do something outside of the database, or has a parameter that can be
    read only once.
    """
    again = all(may_run_again(node, constants) for node in workflow.nodes.values())
    return RETRIES if again else 0
