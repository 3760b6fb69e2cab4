"""What is told of the operations of an instance while they run, and who is told."""

from __future__ import annotations

from attrs import frozen

__all__ = [
    "Ended",
    "Failure",
    "NodeRun",
    "ObservedDatabase",
    "Observer",
    "StatementRun",
    "WorkflowRun",
]


@frozen
class ObservedDatabase:
    """Where one database of an instance is.

    Attributes:
        name: its name within the instance.
        scheme: the scheme of its URL.
        host: the server; empty where there is none.
        port: the port, if the URL has one.
        database: the name of the database at the server, or the path of a file.
    """

    name: str
    scheme: str
    host: str = ""
    port: int | None = None
    database: str = ""


# Made for every call: without slots a frozen class is made in half the time.


@frozen(eq=False, slots=False)
class WorkflowRun:
    """One run of a workflow.

    Attributes:
        run_id: its id, as the runtime returns it.
        nodes: the ids of its nodes, in sequential order.
    """

    run_id: str
    nodes: tuple[str, ...] = ()


@frozen(eq=False, slots=False)
class NodeRun:
    """One run of a node. A node that is tried again runs again.

    Attributes:
        node: the name of the node type.
        node_id: its id in the workflow; empty outside of workflows.
        run_id: the id of the workflow's run; empty outside of workflows.
        outer: the run of the node that has called it, if one has.
    """

    node: str
    node_id: str = ""
    run_id: str = ""
    outer: NodeRun | None = None


@frozen(eq=False, slots=False)
class StatementRun:
    """One statement that is sent; sent again, it is another one.

    Attributes:
        database: the name of the database within the instance.
        dialect: the name of the dialect.
        sql: its text. Values are bound, never part of it; in ``SQLNode`` it is the user's own.
        parameters: how many values are bound.
        table: the table that it is about, where that is known.
        nodes: the node runs that it is sent for: several, where calls share a statement; none where
            no node runs, as when a stream is read.
        control: it begins or ends a transaction, and ``sql`` only says which.
    """

    database: str
    dialect: str
    sql: str
    parameters: int = 0
    table: str | None = None
    nodes: tuple[NodeRun, ...] = ()
    control: bool = False


@frozen
class Failure:
    """Why something did not succeed; messages are left out.

    Attributes:
        name: the class of the error.
        code: its DF-code; empty for an error that is not this project's.
        database_code: the database's own code, where there is one.
    """

    name: str
    code: str = ""
    database_code: str | None = None


@frozen(slots=False)
class Ended:
    """How something ended.

    Attributes:
        seconds: how long it took. Of a statement: from sending it to its answer, without the time
            in which it waited for a connection; of a stream, without the time of its reader.
        rows: the rows that were returned or written, where that is known.
        failure: why it did not succeed; ``None``: it did.
    """

    seconds: float
    rows: int | None = None
    failure: Failure | None = None


class Observer:
    """Is told of what one instance does; what ``dataflow_observer`` returns.

    Inherit, and write the methods that are of interest: those here do nothing. They are called in
    the middle of the work, on whichever thread does it, so they are quick and never block. What
    begins and ends is the same object, mostly in the same task. What a method raises changes
    nothing.
    """

    def run_began(self, run: WorkflowRun) -> None:
        """A workflow begins."""

    def run_ended(self, run: WorkflowRun, end: Ended) -> None:
        """A workflow has ended."""

    def node_began(self, run: NodeRun) -> None:
        """A node begins, in a workflow or not."""

    def node_ended(self, run: NodeRun, end: Ended) -> None:
        """A node has ended."""

    def statement_began(self, statement: StatementRun) -> None:
        """A statement is sent."""

    def statement_ended(self, statement: StatementRun, end: Ended) -> None:
        """A statement was answered, or failed."""

    def connection_opened(self, database: str, lane: str) -> None:
        """A pool has opened a connection."""

    def connection_closed(self, database: str, lane: str) -> None:
        """A connection of a pool was closed, or was lost."""

    def acquire_timed_out(self, database: str, lane: str, seconds: float) -> None:
        """Somebody has waited that long for a connection, and got none."""
