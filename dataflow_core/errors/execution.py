"""DF-5xx of running: a node or a workflow that failed on its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataflow_core.errors.base import DataFlowError, Outcome, Solution
from dataflow_core.errors.safe_json import printable, safe_json

_CAUSE_TEXT = 500


class ExecutionError(DataFlowError):
    """A workflow was started and could not be carried to its end."""

    title = "Running a workflow"


class NodeExecutionError(ExecutionError):
    """A node of a workflow failed.

    Parameters:
        message: which node failed and why.
        node_id: the id of the node in the workflow.
        node_type: the name of its type, for example `UserCreateNode`.
        cause: the error that the node raised.
        results: the results of the nodes that finished before.
        run_id: the run.

    Attributes:
        cause_code: the DF-code of the cause, or None where it is no error of DataFlow.
    """

    code = "DF-501"
    title = "A node failed"
    causes: tuple[str, ...] = ("The node raised an error, which is kept under `cause`.",)
    solutions: tuple[Solution, ...] = (
        Solution(
            "Read the cause, and what finished before.",
            "try:\n"
            "    runtime.execute(workflow.build())\n"
            "except NodeExecutionError as error:\n"
            "    print(error.node_id, error.cause_code, error.cause, error.results)",
        ),
        Solution(
            "Let the rest of the workflow go on.",
            'results, run_id = runtime.execute(workflow.build(), on_error="continue")',
        ),
    )

    def __init__(
        self,
        message: str,
        /,
        *,
        node_id: str,
        node_type: str,
        cause: BaseException,
        results: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        suggestion: str | None = None,
        outcome: Outcome | None = None,
        **context: Any,
    ) -> None:
        if outcome is None and isinstance(cause, DataFlowError):
            outcome = cause.outcome
        super().__init__(
            message,
            suggestion=suggestion,
            outcome=outcome,
            node_id=node_id,
            node_type=node_type,
            run_id=run_id,
            **context,
        )
        self.node_id = node_id
        self.node_type = node_type
        self.cause = cause
        self.results: dict[str, Any] = dict(results or {})
        self.run_id = run_id

    @property
    def cause_code(self) -> str | None:
        """The DF-code of the cause, or None where it is no error of DataFlow."""
        return self.cause.code if isinstance(self.cause, DataFlowError) else None

    def _explanation(self) -> list[str]:
        # The cause knows the way out; the solutions of this class would only say "read it".
        if isinstance(self.cause, DataFlowError):
            first, *rest = str(self.cause).splitlines()
            return [f"  caused by {first}", *(f"  {line}" for line in rest)]
        return [f"  caused by {_described(self.cause)}", *super()._explanation()]

    def to_dict(self) -> dict[str, Any]:
        """Return the error as plain values; the cause is nested, results are named only."""
        if isinstance(self.cause, DataFlowError):
            cause = self.cause.to_dict()
        else:
            cause = {
                "code": None,
                "error": type(self.cause).__name__,
                "message": _text_of(self.cause),
            }
        return {**super().to_dict(), "cause": cause, "finished": safe_json(list(self.results))}

    def _pickled_state(self) -> dict[str, Any]:
        state = super()._pickled_state()
        if not isinstance(self.cause, DataFlowError) and not _survives_pickling(self.cause):
            state["cause"] = RuntimeError(_described(self.cause))
        if not _survives_pickling(self.results):
            state["results"] = {node: safe_json(result) for node, result in self.results.items()}
        return state


class WorkflowTimeout(ExecutionError):
    """A workflow did not end within its time limit and was cancelled."""

    code = "DF-510"
    title = "The workflow took too long"
    causes: tuple[str, ...] = (
        "The `timeout` of the run is shorter than its work.",
        "A node waits for a lock.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Allow more time.", "runtime.execute(workflow.build(), timeout=300)"),
        Solution(
            "Run all or nothing, so that a cancelled run leaves nothing behind.",
            "runtime.execute(workflow.build(), transaction=True, timeout=60)",
        ),
    )


class NodeTimeout(ExecutionError):
    """A node did not end within its time limit and was cancelled."""

    code = "DF-511"
    title = "A node took too long"
    causes: tuple[str, ...] = (
        "The node's `timeout` is shorter than its work.",
        "The node waits for a lock.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Ask for less at a time.",
            'db.run_sync("UserListNode", filter={"active": True}, limit=100)',
        ),
    )


class TransactionSpansDatabases(ExecutionError):
    """One transaction was asked for over models of different databases."""

    code = "DF-513"
    title = "A transaction spans two databases"
    causes: tuple[str, ...] = ("Nodes of the workflow belong to models of different databases.",)
    solutions: tuple[Solution, ...] = (
        Solution(
            "Run one workflow for each database.",
            "runtime.execute(orders.build(), transaction=True)\n"
            "runtime.execute(analytics.build(), transaction=True)",
        ),
        Solution(
            "Make a transaction of the nodes of each database.",
            'with workflow.transaction("order"):\n'
            '    workflow.add_node("OrderCreateNode", "order", {"customer": "Ada"})\n'
            'workflow.add_node("VisitCreateNode", "visit", {"page": "/order"})',
        ),
        Solution(
            "Run without a transaction, if each node may stand alone.",
            "runtime.execute(workflow.build())",
        ),
    )


class TransactionUndone(ExecutionError):
    """A node belongs to a transaction in which another node failed, so nothing of it is done."""

    code = "DF-524"
    title = "Undone with its transaction"
    causes: tuple[str, ...] = (
        "Another node of the same transaction failed; the result names it under `failed_node`.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Read the error of the node that failed.",
            'results, run_id = runtime.execute(workflow.build(), on_error="continue")\n'
            'print(results[results["order"]["failed_node"]]["error"])',
        ),
    )


class StreamInTransaction(ExecutionError):
    """A stream was asked for inside a transaction, whose one connection it would keep."""

    code = "DF-519"
    title = "A stream inside a transaction"
    causes: tuple[str, ...] = (
        "A stream keeps a connection until its last row is read; a transaction has only one.",
        "The workflow runs with `transaction=True`.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Stream outside of the transaction.",
            "for row in db.nodes.User.stream():\n    print(row)",
        ),
        Solution(
            "Inside of it, page through the rows.",
            'page = db.run_sync("UserListNode", limit=500)\n'
            'following = db.run_sync("UserListNode", limit=500, cursor=page["next_cursor"])',
        ),
    )


class StreamNotReadable(ExecutionError):
    """A stream gives no more rows: it was read already, was closed, failed, or is another loop's.

    It never just ends in such a case, as if there were no more rows.
    """

    code = "DF-520"
    title = "The stream cannot be read"
    causes: tuple[str, ...] = (
        "A stream is read once, and something has read it already.",
        "It was closed, or reading it was cancelled or failed.",
        "It was begun on another event loop, to which its connection belongs.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Ask for another stream.",
            "for row in db.nodes.User.stream():\n    print(row)",
        ),
        Solution(
            "Keep the rows, if there are few of them.",
            'rows = db.run_sync("UserListNode", limit=100)["records"]',
        ),
    )


class FileNotUsable(ExecutionError):
    """A file that was named cannot be read, or cannot be written."""

    code = "DF-521"
    title = "A file cannot be used"
    causes: tuple[str, ...] = (
        "The file, or the folder that it should be in, does not exist or may not be used.",
        "The file to be written exists already.",
        "There is no room left.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Replace a file that exists.",
            'db.run_sync("UserExportNode", path="users.csv", overwrite=True)',
        ),
    )


class InvalidFileContent(ExecutionError):
    """A file does not hold what it should; nothing of it was stored.

    ``context`` has ``path``, and ``line`` (or ``row``), ``column`` and ``expected`` where known.
    """

    code = "DF-522"
    title = "A file holds something else"
    causes: tuple[str, ...] = (
        "A value does not fit the field that its column is for.",
        "The file is of another format than its name says.",
        "The file was cut off.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Correct the line that the message names.",
            'db.run_sync("UserImportNode", path="users.csv")',
        ),
        Solution(
            "Say which column is for which field; None leaves a column out.",
            'db.run_sync("UserImportNode", path="people.csv", mapping={"Name": "name", "x": None})',
        ),
    )


class ExtraNotInstalled(ExecutionError):
    """What was asked for needs a package that is an extra of this one."""

    code = "DF-523"
    title = "A package is missing"
    causes: tuple[str, ...] = ("Parquet and Arrow files are read and written by pyarrow.",)
    solutions: tuple[Solution, ...] = (
        Solution("Install the extra.", 'pip install "dataflow-db[arrow]"', language="shell"),
        Solution(
            "Use a format that needs no package.",
            'db.run_sync("UserExportNode", path="users.jsonl")',
        ),
    )


class BlockingCallRefused(ExecutionError):
    """A synchronous call was made where it would wait for itself for ever."""

    code = "DF-517"
    title = "A synchronous call would wait for itself"
    causes = (
        "A node, or another coroutine that a synchronous call runs, makes a synchronous call.",
    )
    solutions = (
        Solution(
            "Await the asynchronous form.",
            "async def work() -> None:\n"
            "    results, run_id = await AsyncLocalRuntime().execute(workflow.build())",
        ),
        Solution(
            "In a node of your own, run other nodes through its context.",
            '@db.node("GreetNode")\n'
            "async def greet(context, user_id: int) -> dict:\n"
            '    return await context.run("UserReadNode", id=user_id)',
        ),
    )


def _text_of(error: BaseException) -> str:
    try:
        return printable(str(error)[:_CAUSE_TEXT])
    except Exception:  # a foreign __str__ may raise anything
        return ""


def _described(error: BaseException) -> str:
    text = _text_of(error)
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def _survives_pickling(value: object) -> bool:
    # Imported here: errors are imported at every start and pickled rarely.
    import pickle

    # Many exception classes can be written but not read back, so both ways are tried.
    try:
        pickle.loads(pickle.dumps(value))  # noqa: S301 - read back what was just written
    except Exception:
        return False
    return True
