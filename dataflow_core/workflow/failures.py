"""What is told of a node that failed, and of the transaction that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataflow_core.errors import DataFlowError, NodeExecutionError, Outcome, TransactionUndone
from dataflow_core.naming_hints import quoted
from dataflow_core.workflow.checks import described
from dataflow_core.workflow.graph import Step, TransactionPart, WorkflowNode

__all__ = ["comes_from", "node_failure", "undone"]

Result = dict[str, Any]


def node_failure(
    node: WorkflowNode,
    cause: BaseException,
    results: Mapping[str, Result],
    run_id: str,
    *,
    part: TransactionPart | None = None,
    at_node: bool = True,
) -> NodeExecutionError:
    """The error of a node.

    Parameters:
        node: the node that failed.
        cause: what it raised.
        results: what finished before.
        run_id: the run.
        part: the transaction that it belongs to.
        at_node: the transaction failed at the node; else as a whole, when it was begun or kept.
    """
    # What other errors say is shown as their own text, beside the message.
    text = cause.message if isinstance(cause, DataFlowError) else type(cause).__name__
    what = f"{described(node)} failed"
    outcome: Outcome | None = None
    if part is not None and at_node:
        # Whatever became of the node's own writes, they went with the transaction.
        outcome = "not done"
        what = f"{described(node)} of the transaction {quoted(part.name)} failed"
    elif part is not None:
        what = f"the transaction {quoted(part.name)}, which ends with {described(node)}, failed"
        if getattr(cause, "outcome", None) == "unknown":
            what += ", and nobody can tell whether it is done"
    error = NodeExecutionError(
        f"{what}: {text}",
        node_id=node.id,
        node_type=node.type.name,
        cause=cause,
        results=results,
        run_id=run_id,
        outcome=outcome,
    )
    if part is not None:
        error.context["transaction"] = part.name
    return error


def undone(part: TransactionPart, failed: Step | None, failure: Result) -> dict[str, Result]:
    """The results of the nodes of a part that failed.

    Parameters:
        part: the part.
        failed: the node at which it failed, if it was at one.
        failure: the result of that node; of each node, if it was at none.
    """
    if failed is None:
        return {node_id: dict(failure) for node_id in part.nodes}
    error = TransactionUndone(
        f"the node is not done, because {described(failed.node)} of the same transaction"
        f" {quoted(part.name)} failed",
        outcome="not done",
        transaction=part.name,
        failed_node=failed.node.id,
    )
    other = {"success": False, "failed_node": failed.node.id, "error": error.to_dict()}
    return {
        node_id: failure if node_id == failed.node.id else dict(other) for node_id in part.nodes
    }


def comes_from(error: BaseException | None, origin: BaseException) -> bool:
    """Whether an error is another one, or was raised while that was handled."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if error is origin:
            return True
        seen.add(id(error))
        error = error.__context__
    return False
