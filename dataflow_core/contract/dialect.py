"""The planned half of the contract: what a dialect declares and how it compiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

from attrs import field, frozen

from dataflow_core.compile import Codec, Compiled, DDLCompiler, RowSecurity
from dataflow_core.contract.driver import Connection, ConnectOptions, Driver, Server
from dataflow_core.errors import DataFlowError
from dataflow_core.features import Feature
from dataflow_core.operations import Operation
from dataflow_core.schema import Model
from dataflow_core.schema.tables import Table
from dataflow_core.types import FieldType
from dataflow_core.url import DatabaseURL

__all__ = [
    "CONTRACT_VERSION",
    "Compiler",
    "ControlledServer",
    "Dialect",
    "DialectSpec",
    "ErrorSituation",
    "Option",
    "TestServer",
]

CONTRACT_VERSION: Final = 1
"""The version of everything that a dialect builds on. A dialect made for another one is refused."""


class Compiler(Protocol):
    """Turns an operation's shape into statements."""

    @property
    def rows_at_once(self) -> int:
        """How many rows of a bulk write are made ready while those before them are written."""
        ...

    @property
    def parameters_per_statement(self) -> int:
        """The most values that one statement binds."""
        ...

    @property
    def pipelines(self) -> bool:
        """Whether its connections are ``PipeliningConnection``."""
        ...

    @property
    def row_security(self) -> RowSecurity | None:
        """How the tenant in force is told where ``schema.row_security`` is declared."""
        ...

    def compile(self, operation: Operation) -> Compiled:
        """Compile; raises ``UnsupportedFeature`` for what the dialect declares off."""
        ...

    def codec(self, kind: FieldType) -> Codec:
        """How values of a type travel to and from the driver."""
        ...

    def placeholder(self, position: int) -> str:
        """The mark of the parameter at a position, from 1, in the text of a statement."""
        ...

    def quote(self, name: str) -> str:
        """A name as an identifier, whatever it holds."""
        ...


@frozen
class ErrorSituation:
    """What was being done when the driver raised: for an error that names table and columns.

    ``deleting`` tells the side of a broken reference where the database does not. ``computed`` are
    the columns of numbers that the statement computes: one of them is meant by ``OutOfRange``,
    whose columns the core sets itself, since few databases tell them.
    """

    model: Model | None = None
    writing: bool = False
    deleting: bool = False
    timed_out: bool = False
    computed: tuple[str, ...] = ()


class Dialect(Protocol):
    """One kind of database. Stateless: opened databases are ``Driver`` values."""

    @property
    def name(self) -> str:
        """The dialect's name, as in reports."""
        ...

    @property
    def features(self) -> Mapping[str, Feature]:
        """The level of every feature id of ``dataflow_core.features.FEATURES``."""
        ...

    @property
    def compiler(self) -> Compiler:
        """Compiles row operations."""
        ...

    @property
    def ddl(self) -> DDLCompiler:
        """Compiles schema operations."""
        ...

    def adapt(self, server: Server) -> Dialect:
        """The dialect for this very server; called once per database, after the first connect."""
        ...

    def open(self, url: DatabaseURL, options: ConnectOptions) -> Driver:
        """Check URL and options and return a driver; touches neither disk nor network."""
        ...

    def ends_transaction(self, sql: str) -> bool:
        """Whether a statement, which is none of COMMIT and its kin, ends an open transaction."""
        ...

    def translate_error(self, error: Exception, situation: ErrorSituation) -> DataFlowError | None:
        """The uniform error for what the driver raised, or ``None`` if it is not the driver's."""
        ...

    async def read_tables(
        self, connection: Connection, names: Sequence[str] | None = None
    ) -> Sequence[Table]:
        """The tables and views of these names in the default schema, as far as they are there.

        Without names all of the database, those of other schemas too, but not the server's own and
        no temporary ones. The number of statements does not depend on how many tables there are.
        A dialect that declares ``schema.introspection`` off gives names and names of columns only,
        and takes no ``None``.
        """
        ...


@frozen
class Option:
    """A connection option that a dialect understands, beside those of every dialect."""

    name: str
    kind: type | tuple[type, ...]
    description: str
    choices: tuple[Any, ...] = ()


@frozen
class DialectSpec:
    """What a dialect's plugin declares.

    Attributes:
        name: the dialect's name.
        schemes: the URL schemes claimed.
        load: imports the driver and makes the dialect; called at first use.
        options: the connection options of its own.
        texts: whole texts in place of a URL, such as ``":memory:"``.
        default_url: what ``DataFlow()`` opens without a URL, from one dialect at most.
        memory: what stands for the name of the database in a URL that opens one in memory.
        check: refuses a URL and options that cannot be right, when an instance is made: it imports
            no driver and opens nothing; without it they are refused at first use.
        contract: the ``CONTRACT_VERSION`` that the dialect is written for: the number, written
            down, since the constant is always that of the core at hand.
    """

    name: str
    schemes: tuple[str, ...]
    load: Callable[[], Dialect]
    options: tuple[Option, ...] = ()
    texts: tuple[str, ...] = ()
    default_url: str | None = None
    memory: str | None = None
    check: Callable[[DatabaseURL, ConnectOptions], object] | None = None
    contract: int = field(kw_only=True)


class TestServer(Protocol):
    """A throwaway server for tests: found or started, and stopped again.

    Attributes:
        name: what options and reports call it.
        description: after ``start``, product, version and where it comes from.
        level: whether a run without it fails (``"gate"``) or only says so (``"report"``).
    """

    name: str
    description: str
    level: Literal["gate", "report"]

    def start(self) -> None:
        """Find or start the server; raises with the reason if neither works. Nothing if it runs."""
        ...

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        ...

    def drop_database(self, url: str) -> None:
        """Remove a database that ``new_database`` made, though clients are connected to it."""
        ...

    def stop(self) -> None:
        """Stop what was started, remove its files."""
        ...


class ControlledServer(TestServer, Protocol):
    """A test server on which faults can be made. A dialect whose server has none leaves it out."""

    def private(self, *, durable: bool = False) -> ControlledServer:
        """A server of the same kind that nobody else uses; not started yet.

        Parameters:
            durable: it keeps what it acknowledged though it is killed or the machine stops; without
                that it is quicker.
        """
        ...

    def kill(self) -> None:
        """Kill the server's processes at once; its files stay. Refused for one that is shared."""
        ...

    def restart(self) -> None:
        """Start the server again, at the same URL; stops it first if it runs."""
        ...

    def connections(self, url: str) -> int:
        """How many clients are connected to a database."""
        ...

    def kill_connections(self, url: str) -> int:
        """End every connection to a database from the server's side; returns how many."""
        ...
