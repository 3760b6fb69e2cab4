"""What a guard of the schema implements: it looks at changes before and after they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataflow_core.contract.driver import Server
    from dataflow_core.operations import MigrationFinding, SchemaPlan, TableChange

__all__ = ["MigrationGuard", "SchemaReader"]


class SchemaReader(Protocol):
    """Asks questions of a database whose schema is planned or about to be changed.

    While a plan is done it reads over the connection that changes the tables, under its lock: what
    it sees is what the change will find.
    """

    @property
    def dialect(self) -> str:
        """The name of the dialect."""
        ...

    @property
    def server(self) -> Server:
        """The name and version of the server."""
        ...

    def quote(self, name: str) -> str:
        """A name as it stands in SQL of the dialect."""
        ...

    async def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> Sequence[Sequence[Any]]:
        """The rows of one reading statement, its placeholders being those of the dialect."""
        ...


@runtime_checkable
class MigrationGuard(Protocol):
    """Looks at every plan of one database; what ``dataflow_migration_guard`` returns.

    One that raises keeps the plan from being done, whatever it raises.
    """

    async def check(self, plan: SchemaPlan, reader: SchemaReader) -> Sequence[MigrationFinding]:
        """What is to be said of a plan.

        Called when a plan is shown, and once more when it is done, under the lock.
        """
        ...

    def statements(self, change: TableChange, reader: SchemaReader) -> Sequence[str]:
        """The SQL that carries out a change, in order: ``change.statements``, or what is better.

        Where several guards are installed, each is given what the one before it said.
        """
        ...

    async def applied(self, plan: SchemaPlan, seconds: float) -> None:
        """A plan was done; in a transaction of the caller's it is durable with its commit.

        What it raises does not undo the plan.
        """
        ...
