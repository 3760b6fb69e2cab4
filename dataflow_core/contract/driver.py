"""The awaited half of the contract: what a dialect gives for one database.

Everything here is called on the hot path, so it is plain Protocols and no hooks.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, Protocol

from attrs import field, frozen

from dataflow_core.compile import LoadStatement
from dataflow_core.url import DatabaseURL

__all__ = [
    "ConnectOptions",
    "Connection",
    "Driver",
    "Isolation",
    "Lane",
    "LoadingConnection",
    "PipeliningConnection",
    "RowSecuringConnection",
    "Server",
    "TwoPhaseConnection",
]

Isolation = Literal["read committed", "repeatable read", "serializable"]


@frozen
class Server:
    """The server at the other end: product name and version, as it tells itself.

    ``details`` are what else the driver found out on connecting, for ``Dialect.adapt``.
    """

    name: str
    version: tuple[int, ...]
    details: Mapping[str, str] = field(factory=dict, hash=False)

    def __str__(self) -> str:
        return f"{self.name} {'.'.join(map(str, self.version))}"


@frozen
class ConnectOptions:
    """The settings that a driver has to honour. Times in seconds; ``None`` means no limit.

    ``options`` are those that the dialect declared in its ``DialectSpec``, checked by type; only
    the ones that the user gave. ``replica`` is a copy of the database that takes reads, for
    dialects with the feature ``connection.read_replica``.
    """

    pool_size: int = 10
    connect_timeout: float | None = 10.0
    command_timeout: float | None = 60.0
    options: Mapping[str, Any] = field(factory=dict)
    replica: DatabaseURL | None = None


@frozen
class Lane:
    """Connections of one kind: what they may do, and how many there may be.

    ``size`` ``None`` leaves it to ``pool_size`` and ``max_overflow``. The core takes a connection
    of the first lane that allows what it is about to do; a transaction that may write uses a lane
    that writes. ``shared`` says that the connections of all event loops are one and the same, so
    that only one borrower at a time may have it. ``delayed`` says that what is read there may be
    older than what was written: the lane of a replica.
    """

    name: str
    reads: bool = True
    writes: bool = True
    size: int | None = None
    shared: bool = False
    delayed: bool = False


class Connection(Protocol):
    """One connection, used by one task at a time. Rows are tuples (or behave like them).

    Every method raises what the driver raises; ``Dialect.translate_error`` turns that into a
    ``DataFlowError``. A single statement outside ``begin`` commits by itself.
    """

    @property
    def server(self) -> Server:
        """Product and version of the server."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, as the server sees it where the driver knows."""
        ...

    @property
    def usable(self) -> bool:
        """False once the connection must not be used again; the pool then closes it."""
        ...

    @property
    def survives_errors(self) -> bool:
        """Whether a violated constraint undoes the statement only, and the transaction goes on."""
        ...

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Run one statement and return its rows."""
        ...

    async def fetch_named(
        self, sql: str, parameters: Sequence[Any]
    ) -> tuple[tuple[str, ...], Sequence[Sequence[Any]]]:
        """Run one statement and return the names of its columns and its rows."""
        ...

    async def execute(self, sql: str, parameters: Sequence[Any]) -> int:
        """Run one statement and return the number of rows that it matched or wrote."""
        ...

    def stream(
        self, sql: str, parameters: Sequence[Any], size: int
    ) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        """Run one reading statement, outside a transaction; its rows in batches.

        A batch has at least one row and at most ``size``. The server sends as they are asked for:
        no more than a bounded number of rows wait here. All of them are as they were at one moment.
        Closed early, the generator stops the statement and leaves the connection as ``cancel``
        does; cancelled while it awaits the driver, it leaves that to ``cancel``, which is called.
        """
        ...

    async def begin(self, *, isolation: Isolation | None = None, read_only: bool = False) -> None:
        """Open a transaction. One that may write is protected against lost updates by others."""
        ...

    async def commit(self) -> None:
        """Make the transaction durable."""
        ...

    async def rollback(self) -> None:
        """Undo the transaction; harmless if the database already did."""
        ...

    async def savepoint(self, name: str) -> None:
        """Set a savepoint; ``name`` is a plain identifier made by the core."""
        ...

    async def rollback_to(self, name: str) -> None:
        """Undo everything since the savepoint, which stays."""
        ...

    async def release(self, name: str) -> None:
        """Forget the savepoint and keep what was done since."""
        ...

    async def cancel(self) -> None:
        """Stop what runs on the connection now, wait until it has stopped, leave no trace of it.

        Afterwards the connection is either clean and ``usable``, or not ``usable``.
        """
        ...

    async def reset(self) -> None:
        """Undo session state that a user's own SQL may have left; cheap when there is none."""
        ...

    async def ping(self) -> None:
        """Raise if the connection is dead."""
        ...

    async def close(self) -> None:
        """Close; never raises for a connection that is already gone."""
        ...


class LoadingConnection(Connection, Protocol):
    """A connection of a dialect whose compiler gives a ``load``."""

    async def load(self, statement: LoadStatement, rows: Sequence[Sequence[Any]]) -> int:
        """Put rows into a table; the number of those that are there afterwards.

        Called between ``savepoint`` and ``release``. Where an error is raised, or some rows are
        left out, all is undone, and the rows are written by other statements.
        """
        ...


class PipeliningConnection(Connection, Protocol):
    """A connection of a dialect whose compiler ``pipelines``."""

    async def fetch_together(
        self, statements: Sequence[tuple[str, Sequence[Any]]]
    ) -> Sequence[Sequence[Any]]:
        """Run statements in a transaction of their own, in one trip; the rows of the last one.

        Called outside of a transaction. The first statement writes, the others read what it wrote.
        Whichever fails, its error is raised.
        """
        ...


class RowSecuringConnection(Connection, Protocol):
    """A connection of a dialect with the feature ``schema.row_security``."""

    def stream_as(
        self, tell: str, tenant: str, sql: str, parameters: Sequence[Any], size: int
    ) -> AsyncGenerator[Sequence[Sequence[Any]], None]:
        """``stream``, after the statement ``tell`` with ``tenant`` as its one parameter.

        What that says holds for the statement, and for nothing that is sent afterwards.
        """
        ...


class TwoPhaseConnection(Connection, Protocol):
    """A connection of a dialect with the feature ``transactions.two_phase``.

    A name is letters, digits, ``_``, ``-`` and ``:``, at most 60 of them, and made by the core's
    caller; no two transactions of a server have the same one.
    """

    async def begin_two_phase(self, name: str) -> None:
        """Open a transaction that can be prepared under a name, and is ended so or rolled back.

        ``UnsupportedFeature`` where the server is set up to prepare none.
        """
        ...

    async def prepare(self) -> None:
        """Make the transaction one that outlives connection and server, and can still be ended
        either way. Afterwards the connection is in no transaction, or not ``usable``.
        """
        ...

    async def commit_prepared(self, name: str) -> None:
        """Make a prepared transaction durable; nothing where there is none of that name."""
        ...

    async def rollback_prepared(self, name: str) -> None:
        """Undo a prepared transaction; nothing where there is none of that name."""
        ...

    async def list_prepared(self) -> Sequence[str]:
        """The names of the transactions that are prepared, of the whole server or the database."""
        ...


class Driver(Protocol):
    """What a dialect opens for one URL. Constructing it touches neither disk nor network."""

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The kinds of connection, in order of preference."""
        ...

    @property
    def description(self) -> str:
        """What is opened, for the log; no secrets."""
        ...

    async def connect(self, lane: Lane) -> Connection:
        """Open a connection of a lane, with every setting made."""
        ...

    async def caught_up(self, primary: Connection, replica: Connection) -> bool:
        """Whether the replica has all that the primary holds now.

        Asked of drivers with a ``delayed`` lane only, between statements of others.
        """
        ...

    async def close(self) -> None:
        """Release what belongs to the driver itself; every connection is closed before."""
        ...
