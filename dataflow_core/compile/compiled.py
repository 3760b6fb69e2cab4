"""What compiling an operation gives: one statement, or a family of them by number of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import define, field, frozen

from dataflow_core.compile.statement import Statement
from dataflow_core.operations.ddl import CreateTable
from dataflow_core.schema import Field

__all__ = ["Compiled", "DDLCompiler", "RowsStatement"]


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


@frozen(eq=False)
class Compiled:
    """The statements of an operation.

    ``statement`` is what most operations are. ``rows`` writes rows given as parameters;
    ``existing`` finds which of such rows are stored already. ``branches`` are the named results of
    a facet.
    """

    statement: Statement | None = None
    rows: RowsStatement | None = None
    existing: RowsStatement | None = None
    branches: tuple[tuple[str, Statement], ...] = ()


class DDLCompiler(Protocol):
    """Turns schema operations into statements."""

    def compile(self, operation: CreateTable) -> tuple[str, ...]:
        """The statements, in order."""
        ...
