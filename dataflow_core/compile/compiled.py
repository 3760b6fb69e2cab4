"""What compiling an operation gives: one statement, or a family of them by number of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from attrs import define, field, frozen

from dataflow_core.compile.statement import Statement
from dataflow_core.operations.ddl import AlterTable, CreateTable
from dataflow_core.schema import Field, Model

__all__ = [
    "INSERTED",
    "Compiled",
    "DDLCompiler",
    "LoadStatement",
    "RowSecurity",
    "RowsStatement",
    "StagedStatements",
]

INSERTED: Final = "__inserted"
"""The column of an upsert's result that says whether the row was inserted."""


@define(eq=False)
class RowsStatement:
    """A statement over several rows of parameters: its text depends on their number.

    ``columns`` are the fields of one row of parameters, in order; ``returning`` decodes what comes
    back, if anything does.
    """

    columns: tuple[Field, ...]
    text: Callable[[int], str]
    most_rows: int
    returning: Statement | None = None
    texts: dict[int, str] = field(factory=dict)

    def sql(self, rows: int) -> str:
        """The text for so many rows; kept, so that the same number gives the same text."""
        found = self.texts.get(rows)
        if found is None:
            found = self.text(rows)
            if rows == self.most_rows or len(self.texts) < _MOST_TEXTS:
                self.texts[rows] = found
        return found


_MOST_TEXTS = 64


@frozen
class RowSecurity:
    """How a database that keeps the rows of tenants apart by itself is told the tenant in force.

    Attributes:
        tell: the statement that says it for the rest of the transaction, and no longer; its one
            parameter is the tenant as text, empty where none is in force: then no row is seen.
        passed_over: why it does not hold for whoever is connected; empty where it does.
    """

    tell: str
    passed_over: str = ""


@frozen(eq=False)
class LoadStatement:
    """Puts many rows into a table by another way than INSERT, such as COPY.

    Attributes:
        table: the name of the table.
        columns: the fields of one row of parameters, in order.
        least_rows: from how many rows on this is the quicker way.
        text: the statement, where the compiler has to say it.
        encode: the rows of parameters as what the connection takes; ``None``: as they are.
        counter: where the rows give keys that the database else counts: moves the counter on to
            the greatest of them, which it takes as its only parameter.
    """

    table: str
    columns: tuple[Field, ...]
    least_rows: int
    text: str = ""
    encode: Callable[[Sequence[Sequence[Any]]], Any] | None = None
    counter: str | None = None


@frozen(eq=False)
class StagedStatements:
    """An upsert of many rows, which are loaded into a temporary table and written from there.

    Attributes:
        create: make the temporary table, which nobody else sees, in place of any left over.
        load: puts the rows there.
        writes: write them into the table, in their order.
        counts: gives one row: how many rows were inserted, and how many written in all. It may be
            what writes them.
        drop: removes the temporary table.
    """

    create: tuple[str, ...]
    load: LoadStatement
    writes: tuple[str, ...]
    counts: str
    drop: str


@frozen(eq=False)
class Compiled:
    """The statements of an operation.

    Attributes:
        statement: the only one of most operations.
        branches: the named results of a facet.
        rows: writes rows given as parameters.
        skips: whether ``rows`` leaves out, by itself, what is to be skipped.
        existing: finds, and locks, which of such rows are stored already; ``None`` if ``rows``
            itself says which ones it inserted, or ``newer`` how many.
        newest: a value that no row has which is inserted later, where others write nothing between.
        newer: how many rows were inserted since, given that value.
        only_inserts: whether ``rows`` of an upsert leaves the rows that are stored to ``changes``.
        changes: changes the rows that are stored already; ``None`` if there is nothing to change.
        found: where ``statement`` gives no rows back: finds and locks at most two of the rows that
            match. ``statement`` then takes, behind the operation's values, the key of the row.
        stored: likewise: the changed row as it then is.
        written: where ``rows`` gives nothing back: the rows with the given keys, as stored.
        generated: likewise: the rows whose keys the connection's last insert made.
        reserve: of rows without their key: takes a number and gives as many keys, one in each row,
            which nobody else is given; NULL where there is no counter after all.
        load: inserts what ``rows`` does, quicker where there are many.
        staged: upserts what ``rows`` does, quicker where there are many.
    """

    statement: Statement | None = None
    branches: tuple[tuple[str, Statement], ...] = ()
    rows: RowsStatement | None = None
    skips: bool = True
    existing: RowsStatement | None = None
    newest: str | None = None
    newer: str | None = None
    only_inserts: bool = False
    changes: RowsStatement | None = None
    found: Statement | None = None
    stored: Statement | None = None
    written: RowsStatement | None = None
    generated: RowsStatement | None = None
    reserve: str | None = None
    load: LoadStatement | None = None
    staged: StagedStatements | None = None


class DDLCompiler(Protocol):
    """Turns schema operations into statements."""

    @property
    def transactional(self) -> bool:
        """Whether these statements take part in a transaction; if not, they commit it."""
        ...

    @property
    def lock(self) -> str | None:
        """The statement after which nobody else changes tables; ``None``: none is needed.

        Sent before a change, in its transaction where statements of a schema take part in one. A
        first value of 0 or NULL in its row says that the lock was not given in time.
        """
        ...

    @property
    def unlock(self) -> str | None:
        """The statement that gives the lock back; ``None``: it ends with the transaction."""
        ...

    @property
    def before_change(self) -> tuple[str, ...]:
        """What is sent before the transaction in which tables that are there are changed.

        On its connection, outside of any transaction; not needed where tables are only made.
        Without it ``alter`` may have to refuse what it could do.
        """
        ...

    @property
    def after_change(self) -> tuple[str, ...]:
        """What is sent when that transaction has ended, whichever way."""
        ...

    def compile(self, operation: CreateTable) -> tuple[str, ...]:
        """The statements that make a table, in order."""
        ...

    def check_name(self, model: Model, name: str) -> str:
        """The name of a check in the database, of its name in the model."""
        ...

    def alter(self, operation: AlterTable) -> tuple[str, ...]:
        """The statements that change a table, in order; all steps may share some of them.

        Raises ``UnsupportedFeature`` for a step that the engine cannot do.
        """
        ...
