"""The pieces that the SQL of several operations is made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from dataflow_core.compile.build import Build, LiteralBuild
from dataflow_core.compile.codegen import make_binder, make_decoder
from dataflow_core.compile.compiled import RowsStatement
from dataflow_core.compile.statement import ResultColumn, Statement
from dataflow_core.filters.ast import EVERYTHING, Predicate
from dataflow_core.schema import Field

if TYPE_CHECKING:
    from dataflow_core.compile.base import BaseCompiler

__all__ = [
    "filter_text",
    "names_list",
    "result",
    "rows_statement",
    "statement",
    "values_list",
    "where_clause",
]


def statement(
    sql: str, build: Build, fields: Sequence[Field], joined: Collection[str] = ()
) -> Statement:
    """A statement of the text, with what was bound while it was built.

    ``joined`` are names under which fields of dotted names come back together.
    """
    columns = tuple(
        ResultColumn(item.name, item.type, build.compiler.codec(item.type), item.nullable)
        for item in fields
    )
    text, parameters = build.finished(sql)
    return Statement(
        text, parameters, columns, make_binder(parameters), make_decoder(columns, joined)
    )


def result(compiler: BaseCompiler, fields: Sequence[Field]) -> Statement:
    """How the fields come back, without a text of its own."""
    return statement("", Build(compiler), fields)


def names_list(compiler: BaseCompiler, fields: Sequence[Field]) -> str:
    """The columns of fields, quoted, with commas between them."""
    return ", ".join(compiler.quote(item.column) for item in fields)


def where_clause(compiler: BaseCompiler, predicate: Any, build: Build) -> str:
    """`` WHERE ...``, or nothing if every row passes."""
    parts: list[str] = []
    compiler.add_filter(parts, predicate, build)
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def filter_text(compiler: BaseCompiler, predicate: Predicate, word: str) -> str:
    """``word`` and a filter that has no values; nothing if every row passes."""
    if predicate == EVERYTHING:
        return ""
    return word + compiler.predicate(predicate, LiteralBuild(compiler))


def values_list(compiler: BaseCompiler, columns: Sequence[Field], rows: int) -> str:
    """``($1, $2), ($3, $4)``: the rows of a VALUES list."""
    parameter, width = compiler.parameter, len(columns)
    return ", ".join(
        "("
        + ", ".join(
            parameter(row * width + at + 1, column.type) for at, column in enumerate(columns)
        )
        + ")"
        for row in range(rows)
    )


def rows_statement(
    compiler: BaseCompiler,
    columns: Sequence[Field],
    text: Callable[[int], str],
    returning: Statement | None = None,
) -> RowsStatement:
    """A statement over rows of parameters, as many as the database takes at once.

    Rows without any parameter are written one at a time.
    """
    width = len(columns) or compiler.parameters_per_statement
    most = max(1, min(compiler.rows_per_statement, compiler.parameters_per_statement // width))
    return RowsStatement(tuple(columns), text, most, returning)
