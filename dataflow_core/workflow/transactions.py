"""Transactions of a workflow: of all its nodes, or of a part of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar, get_args

from dataflow_core.contract import Isolation
from dataflow_core.errors import (
    ConflictingParameters,
    InvalidType,
    InvalidValue,
    InvalidWorkflow,
    TransactionSpansDatabases,
    UnknownNode,
)
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.run.retries import check_retry
from dataflow_core.types import check_text
from dataflow_core.workflow.checks import described
from dataflow_core.workflow.graph import (
    OnError,
    Step,
    TransactionPart,
    TransactionTarget,
    Unit,
    WorkflowNode,
    is_read_once,
)

__all__ = [
    "carried_out",
    "check_in_transaction",
    "check_part_feeds",
    "check_part_nodes",
    "check_part_retry",
    "checked_part",
    "may_run_again",
    "part_target",
    "transaction_target",
]

T = TypeVar("T")

Constants = Mapping[str, Mapping[str, Any]]


def checked_part(name: object, isolation: Isolation | None, retry: int) -> TransactionPart:
    """A part without nodes, its arguments checked.

    Raises:
        InvalidType, InvalidValue: an argument is of a wrong kind.
    """
    where = "the name of a transaction"
    if not isinstance(name, str):
        raise InvalidType(
            f"{where} must be text, not {type(name).__name__} {quoted(name)}",
            where="name",
            expected="str",
        )
    check_text(name, where)
    if not name:
        raise InvalidValue(f"{where} has no character", where="name", expected="1 or more")
    if isolation is not None and isolation not in get_args(Isolation):
        raise InvalidValue(
            f"the transaction {quoted(name)}: isolation is one of"
            f" {', '.join(get_args(Isolation))}, not {quoted(isolation)}",
            suggestion=nearest(str(isolation), get_args(Isolation)),
            where="isolation",
            expected=list(get_args(Isolation)),
        )
    check_retry(retry)
    return TransactionPart(name, (), isolation, retry)


def check_part_nodes(part: TransactionPart, nodes: Mapping[str, WorkflowNode]) -> None:
    """Refuse a part whose nodes cannot be carried out together, wholly or not at all.

    Raises:
        InvalidWorkflow: it has no nodes.
        UnknownNode: one of them is not in the workflow.
        ConflictingParameters: a node's options, or ``retry``, have no meaning in it.
    """
    shown = f"the transaction {quoted(part.name)}"
    if not part.nodes:
        raise InvalidWorkflow(
            f"{shown} has no nodes: add them inside its `with`, or name them", transaction=part.name
        )
    for node_id in part.nodes:
        if node_id not in nodes:
            raise UnknownNode(
                f"{shown}: there is no node {quoted(node_id)}",
                suggestion=nearest(node_id, nodes),
                node_id=node_id,
                transaction=part.name,
            )
        check_in_transaction(nodes[node_id], "raise")
    check_part_retry(part, nodes, {})


def check_part_retry(
    part: TransactionPart, nodes: Mapping[str, WorkflowNode], constants: Constants
) -> None:
    """Refuse ``retry`` of a part that cannot be done again; see ``may_run_again``."""
    if not part.retry:
        return
    for node_id in part.nodes:
        node = nodes[node_id]
        if may_run_again(node, constants):
            continue
        reason = (
            "was given something that can be read only once"
            if node.type.repeatable
            else "may do something outside of the database; if it does not, its type says so with"
            " repeatable=True"
        )
        raise ConflictingParameters(
            f"the transaction {quoted(part.name)}: retry={part.retry}, but {described(node)}"
            f" {reason}",
            transaction=part.name,
            node_id=node.id,
            node_type=node.type.name,
            parameter="retry",
        )


def check_part_feeds(
    unit: Unit, part: TransactionPart, results: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuse ``retry`` of a part that is fed what its first attempt would use up.

    Raises:
        ConflictingParameters: a second attempt would see only what is left of it.
    """
    for step in unit.steps:
        for feed in step.feeds:
            if feed.source in part.nodes:
                continue
            if is_read_once(feed.output.follow(results[feed.source], feed.source)):
                raise ConflictingParameters(
                    f"the transaction {quoted(part.name)}: retry={part.retry}, but"
                    f" {described(step.node)} is fed something that can be read only once, by the"
                    f" connection {feed}",
                    transaction=part.name,
                    node_id=step.node.id,
                    node_type=step.node.type.name,
                    parameter=feed.parameter,
                )


def may_run_again(node: WorkflowNode, constants: Constants) -> bool:
    """Whether a transaction with the node may be done again.

    Not where the node may do something outside of the database, or has a parameter that can be
    read only once.
    """
    given = constants.get(node.id, node.parameters)
    return node.type.repeatable and not any(map(is_read_once, given.values()))


def check_in_transaction(node: WorkflowNode, on_error: OnError) -> None:
    """Refuse what has no meaning in a transaction, which is carried out wholly or not at all.

    Raises:
        ConflictingParameters: the node is retried, or its failure is to be passed over.
    """
    if (node.options.on_error or on_error) == "continue":
        raise ConflictingParameters(
            f"{described(node)}: on_error='continue' in a transaction: a failure undoes the"
            " whole transaction, so there is nothing to continue with",
            node_id=node.id,
            node_type=node.type.name,
            parameter="on_error",
        )
    if node.options.retries:
        raise ConflictingParameters(
            f"{described(node)}: retries={node.options.retries} in a transaction: a failure"
            " undoes the whole transaction, so a node alone cannot be tried again; run the"
            " workflow again, or give retry to the transaction",
            node_id=node.id,
            node_type=node.type.name,
            parameter="retries",
        )


def transaction_target(steps: Iterable[Step]) -> TransactionTarget | None:
    """The one instance and database of all nodes that use one; ``None`` where no node does.

    Raises:
        TransactionSpansDatabases: there are several.
    """
    found: tuple[WorkflowNode, str | None] | None = None
    for step in steps:
        # What may use any database of its instance uses, inside a transaction, the one of that.
        unknown = (None,) if step.effect.everything else ()
        for database in sorted(step.effect.databases) or unknown:
            if found is not None:
                _check_same_database(found, (step.node, database))
            if found is None or found[1] is None:
                found = (step.node, database)
    return None if found is None else TransactionTarget(found[0].type.owner, found[1])


def part_target(part: TransactionPart, steps: Collection[Step]) -> TransactionTarget:
    """Where the transaction of a part is opened.

    Raises:
        TransactionSpansDatabases: its nodes use several databases.
        InvalidWorkflow: they use none.
    """
    try:
        target = transaction_target(steps)
    except TransactionSpansDatabases as error:
        error.context["transaction"] = part.name
        error.add_note(f"in the transaction {quoted(part.name)}")
        raise
    if target is None:
        raise InvalidWorkflow(
            f"the transaction {quoted(part.name)} has no node that uses a database",
            transaction=part.name,
        )
    return target


def _check_same_database(
    one: tuple[WorkflowNode, str | None], other: tuple[WorkflowNode, str | None]
) -> None:
    same_owner = one[0].type.owner is other[0].type.owner
    if same_owner and (one[1] == other[1] or None in (one[1], other[1])):
        return
    names = [
        "a database" if database is None else f"the database {quoted(database)}"
        for database in (one[1], other[1])
    ]
    raise TransactionSpansDatabases(
        f"one transaction cannot span two databases: {described(one[0])} uses {names[0]},"
        f" {described(other[0])} uses {names[1]}{'' if same_owner else ' of another instance'}",
        nodes=[one[0].id, other[0].id],
        databases=[one[1], other[1]],
    )


async def carried_out(
    target: TransactionTarget,
    work: Callable[[], Awaitable[T]],
    *,
    isolation: Isolation | None = None,
    retry: int = 0,
) -> T:
    """Do something in one transaction; where the database ends it, all of it again."""
    open_transaction = target.owner.transaction
    place = target.place
    if not retry:
        async with open_transaction(*place, isolation=isolation):
            return await work()
    results: list[T] = []
    async for attempt in open_transaction(*place, isolation=isolation, retry=retry):
        async with attempt:
            results = [await work()]
    return results[0]
