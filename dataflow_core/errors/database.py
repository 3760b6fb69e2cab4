"""DF-5xx of the database: what a server, a file or a connection answered."""

from __future__ import annotations

from typing import Any

from dataflow_core.errors.base import DataFlowError, Outcome, Solution


def with_database_code(error: DataFlowError | None, code: object) -> DataFlowError | None:
    """Note the database's own code of an error in its context; what has one already keeps it."""
    if error is not None and code is not None and error.context.get("database_code") is None:
        error.context["database_code"] = str(code)
    return error


_TRY_AGAIN = Solution(
    "Run it in a transaction, which is tried again.",
    "runtime.execute(workflow.build(), transaction=True)",
)


class DatabaseError(DataFlowError):
    """The database refused or failed, for a reason that no other class names.

    `retryable` tells whether the same call may succeed when it is made again. A write is safe to
    make again only where `outcome` is `"not done"`. `database_code` is the database's own code of
    the error as text, None where DataFlow noticed it by itself.
    """

    code = "DF-502"
    title = "The database reported an error"
    causes: tuple[str, ...] = ("The database refused the statement; the message says why.",)
    solutions: tuple[Solution, ...] = (
        Solution(
            "Look at the statement without running it.",
            'print(db.explain("UserListNode", filter={"name": "Ada"}))',
        ),
    )

    def __init__(
        self, message: str, /, *, database_code: str | None = None, **context: Any
    ) -> None:
        super().__init__(message, database_code=database_code, **context)

    @property
    def database_code(self) -> str | None:
        """The database's own code of the error; by the same name on every database."""
        code: str | None = self.context.get("database_code")
        return code


class ConnectionFailed(DatabaseError):
    """A connection could not be made; nothing was sent."""

    code = "DF-503"
    title = "No connection to the database"
    retryable = True
    causes: tuple[str, ...] = (
        "The server does not run, or not at this host and port.",
        "User, password or database name are not accepted.",
        "The file or its folder does not exist or may not be opened.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Look at where it leads; the password is hidden.", "print(db.url)"),
        Solution("Wait longer for a slow network.", "db = DataFlow(connect_timeout=30)"),
    )

    def __init__(
        self, message: str, /, *, outcome: Outcome | None = "not done", **context: Any
    ) -> None:
        super().__init__(message, outcome=outcome, **context)


class ConnectionLost(DatabaseError):
    """The connection broke while it was in use."""

    code = "DF-504"
    title = "The connection was lost"
    retryable = True
    causes: tuple[str, ...] = (
        "The server was restarted, or ended the connection.",
        "A network device dropped an idle connection.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Try each connection before it is used, and renew old ones.",
            "db = DataFlow(pool_pre_ping=True, pool_recycle=600)",
        ),
        _TRY_AGAIN,
    )


class PoolTimeout(DatabaseError):
    """No connection became free within `pool_timeout`; nothing was sent.

    `error.context["borrowers"]` says who holds the connections: the name of each task, for how
    many `seconds`, and its `stack`, as `file:line function`.
    """

    code = "DF-505"
    title = "No free connection"
    retryable = True
    causes: tuple[str, ...] = (
        "More work at once than the pool has connections.",
        "A transaction is kept open for long, or is never ended.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Allow more connections.", "db = DataFlow(pool_size=20, max_overflow=20)"),
        Solution(
            "End transactions soon.",
            "async def work() -> None:\n    async with db.transaction():\n"
            '        await db.run("UserCreateNode", name="Ada")',
        ),
    )

    def __init__(
        self, message: str, /, *, outcome: Outcome | None = "not done", **context: Any
    ) -> None:
        super().__init__(message, outcome=outcome, **context)

    def _explanation(self) -> list[str]:
        lines = []
        for borrower in self.context.get("borrowers", ()):
            lines.append(f"  held for {borrower['seconds']:g} s by {borrower['task']}:")
            lines += [f"       {place}" for place in borrower["stack"]]
        return [*lines, *super()._explanation()]


class StatementTimeout(DatabaseError):
    """A statement was stopped: it took longer than it may, or somebody else ended it.

    Longer than `command_timeout` or than the server allows, waiting for locks included. Where an
    administrator cancels a statement at the server, databases do not tell that apart.
    """

    code = "DF-506"
    title = "A statement took too long"
    causes: tuple[str, ...] = (
        "The statement reads many rows without an index.",
        "It asks for too much at once.",
        "It waited for a lock that another transaction holds.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Index the field that is searched.",
            "class User:\n    email: str = field(index=True)",
        ),
        Solution("Allow more time.", "db = DataFlow(command_timeout=300)"),
    )


class LockTimeout(DatabaseError):
    """A lock that somebody else holds was not released in time; the statement was not done."""

    code = "DF-507"
    title = "A lock was not released"
    retryable = True
    causes: tuple[str, ...] = ("Another transaction changes the same rows or the same table.",)
    solutions: tuple[Solution, ...] = (_TRY_AGAIN,)


class Deadlock(DatabaseError):
    """Two transactions waited for each other, and this one was given up by the database."""

    code = "DF-508"
    title = "Deadlock"
    retryable = True
    causes: tuple[str, ...] = ("Two transactions change the same rows in different order.",)
    solutions: tuple[Solution, ...] = (
        _TRY_AGAIN,
        Solution(
            "Change rows in the same order everywhere.",
            'rows = sorted(rows, key=lambda row: row["id"])\n'
            'db.run_sync("UserBulkUpdateNode", data=rows)',
        ),
    )


class SerializationFailure(DatabaseError):
    """A transaction met the changes of another one and was given up by the database."""

    code = "DF-509"
    title = "Concurrent transactions do not fit together"
    retryable = True
    causes: tuple[str, ...] = (
        "Another transaction changed, in the meantime, what this one had read.",
    )
    solutions: tuple[Solution, ...] = (_TRY_AGAIN,)


class TransactionFailed(DatabaseError):
    """A transaction could not be begun, used or ended as asked."""

    code = "DF-512"
    title = "A transaction failed"
    causes: tuple[str, ...] = (
        "A statement inside failed and the transaction was used further.",
        "It was given up by the database, or tried again too often.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Let the error leave the block, so that everything is rolled back.",
            "async def work() -> None:\n    async with db.transaction():\n"
            '        await db.run("UserCreateNode", name="Ada")',
        ),
    )


class DiskFull(DatabaseError):
    """The database has no room left to write."""

    code = "DF-514"
    title = "No room left"
    causes: tuple[str, ...] = (
        "The disk, the quota or the configured size of the database is used up.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Make room, then try again.", "df -h", language="shell"),
        Solution(
            "Delete what is no longer needed.",
            'db.run_sync("UserBulkDeleteNode", filter={"active": False})',
        ),
    )


class ReadOnlyDatabase(DatabaseError):
    """A write went to a database, file or server that only reads."""

    code = "DF-515"
    title = "The database is read-only"
    causes: tuple[str, ...] = (
        "The URL leads to a replica.",
        "The file or its folder may not be written by this user.",
    )
    solutions: tuple[Solution, ...] = (
        Solution(
            "Write to the primary; give the replica its own argument.",
            'db = DataFlow(os.environ["PRIMARY_URL"], read_replica=os.environ["REPLICA_URL"])',
        ),
    )


class CorruptDatabase(DatabaseError):
    """The database's files are damaged, or are no database."""

    code = "DF-516"
    title = "The database is damaged"
    causes: tuple[str, ...] = (
        "The file is not a database of this kind.",
        "The disk or a copy made during writing damaged it.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Look at where the URL leads.", "print(db.url)"),
        Solution(
            "Keep the damaged files and restore a backup.",
            "cp --archive damaged.db damaged.db.kept",
            language="shell",
        ),
    )


class NoRowReturned(DatabaseError):
    """The database wrote a row, or counted, and gave nothing back.

    Whether the row is stored is not known.
    """

    code = "DF-518"
    title = "The database returned no row"
    causes: tuple[str, ...] = (
        "A trigger or rule of the table suppressed the write.",
        "The dialect's plugin lost the answer.",
    )
    solutions: tuple[Solution, ...] = (
        Solution("Look at what is sent.", 'print(db.explain("UserCreateNode", name="Ada"))'),
    )
