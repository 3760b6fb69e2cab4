"""The SQL of row operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.aggregate.ast import Facet, Pipeline
from dataflow_core.compile.build import Build
from dataflow_core.compile.changes import assignments_sql
from dataflow_core.compile.codegen import make_binder, make_decoder
from dataflow_core.compile.compiled import Compiled, RowsStatement
from dataflow_core.compile.pipeline import pipeline_select
from dataflow_core.compile.statement import ResultColumn, Statement
from dataflow_core.operations import (
    Aggregate,
    Count,
    Create,
    CreateMany,
    Delete,
    DeleteMany,
    Find,
    Update,
    UpdateMany,
    UpdateRows,
    Upsert,
)
from dataflow_core.schema import Field, Model

if TYPE_CHECKING:
    from dataflow_core.compile.base import BaseCompiler

__all__ = ["OPERATIONS", "result_columns", "statement"]


def result_columns(compiler: BaseCompiler, fields: Sequence[Field]) -> tuple[ResultColumn, ...]:
    """How the fields come back."""
    return tuple(
        ResultColumn(item.name, item.type, compiler.codec(item.type), item.nullable)
        for item in fields
    )


def statement(sql: str, build: Build, fields: Sequence[Field]) -> Statement:
    """A statement of the text, with what was bound while it was built."""
    columns = result_columns(build.compiler, fields)
    text, parameters = build.finished(sql)
    return Statement(text, parameters, columns, make_binder(parameters), make_decoder(columns))


def _names(compiler: BaseCompiler, fields: Sequence[Field]) -> str:
    return ", ".join(compiler.quote(item.column) for item in fields)


def _where(compiler: BaseCompiler, predicate: Any, build: Build) -> str:
    parts: list[str] = []
    compiler.add_filter(parts, predicate, build)
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def _values(compiler: BaseCompiler, width: int, rows: int) -> str:
    """``($1, $2), ($3, $4)``: the rows of a VALUES list."""
    mark = compiler.placeholder
    return ", ".join(
        f"({', '.join(mark(row * width + column + 1) for column in range(width))})"
        for row in range(rows)
    )


def _rows_statement(
    compiler: BaseCompiler,
    head: str,
    columns: tuple[Field, ...],
    tail: str,
    returning: Statement | None = None,
) -> RowsStatement:
    width = max(len(columns), 1)
    most = max(1, min(compiler.rows_per_statement, compiler.parameters_per_statement // width))

    def text(rows: int) -> str:
        return f"{head} {_values(compiler, len(columns), rows)}{tail}"

    return RowsStatement(columns, text, most, returning)


def _insert_head(compiler: BaseCompiler, model: Model, columns: tuple[Field, ...]) -> str:
    return f"INSERT INTO {compiler.quote(model.table)} ({_names(compiler, columns)}) VALUES"


def _create(compiler: BaseCompiler, operation: Create) -> Compiled:
    model = operation.model
    returning = f" RETURNING {_names(compiler, model.fields)}"
    back = statement("", Build(compiler), model.fields)
    if not operation.columns:
        sql = f"INSERT INTO {compiler.quote(model.table)} DEFAULT VALUES{returning}"
        return Compiled(rows=RowsStatement((), lambda _: sql, 1, back))
    head = _insert_head(compiler, model, operation.columns)
    return Compiled(rows=_rows_statement(compiler, head, operation.columns, returning, back))


def _create_many(compiler: BaseCompiler, operation: CreateMany) -> Compiled:
    model = operation.model
    tail, back = "", None
    if operation.conflict == "skip":
        tail = " ON CONFLICT DO NOTHING"
    if operation.returning_keys:
        tail += f" RETURNING {_names(compiler, model.primary_key)}"
        back = statement("", Build(compiler), model.primary_key)
    head = _insert_head(compiler, model, operation.columns)
    if not operation.columns:
        sql = f"INSERT INTO {compiler.quote(model.table)} DEFAULT VALUES{tail}"
        return Compiled(rows=RowsStatement((), lambda _: sql, 1, back))
    return Compiled(rows=_rows_statement(compiler, head, operation.columns, tail, back))


def _upsert(compiler: BaseCompiler, operation: Upsert) -> Compiled:
    model = operation.model
    quoted = [compiler.quote(item.column) for item in operation.updates]
    assignments = ", ".join(f"{name} = excluded.{name}" for name in quoted)
    action = f"DO UPDATE SET {assignments}" if assignments else "DO NOTHING"
    tail, back = f" ON CONFLICT ({_names(compiler, operation.match)}) {action}", None
    if operation.returning:
        tail += f" RETURNING {_names(compiler, operation.returning)}"
        back = statement("", Build(compiler), operation.returning)
    head = _insert_head(compiler, model, operation.columns)
    rows = _rows_statement(compiler, head, operation.columns, tail, back)
    return Compiled(rows=rows, existing=_existing(compiler, model, operation.match))


def _existing(compiler: BaseCompiler, model: Model, match: tuple[Field, ...]) -> RowsStatement:
    """Finds the rows whose ``match`` fields have one of the given combinations of values."""
    names = _names(compiler, match)
    subject = f"({names})" if len(match) > 1 else names
    head = f"SELECT {names} FROM {compiler.quote(model.table)} WHERE {subject} IN (VALUES"
    back = statement("", Build(compiler), match)
    return _rows_statement(compiler, head, match, ")", back)


def _find(compiler: BaseCompiler, operation: Find) -> Compiled:
    build = Build(compiler)
    names = _names(compiler, operation.columns)
    parts = [f"SELECT {'DISTINCT ' if operation.distinct else ''}{names}"]
    parts.append(f"FROM {compiler.quote(operation.model.table)}")
    where = _where(compiler, operation.filter, build)
    if operation.order:
        items = [
            compiler.order_item(
                build.column(key.field), descending=key.descending, nullable=key.field.nullable
            )
            for key in operation.order
        ]
        where += f" ORDER BY {', '.join(items)}"
    limit = build.bind(operation.limit) if operation.limit is not None else None
    offset = build.bind(operation.offset) if operation.offset is not None else None
    cut = compiler.paging(limit, offset)
    sql = " ".join([" ".join(parts) + where, *cut])
    return Compiled(statement(sql, build, operation.columns))


def _count(compiler: BaseCompiler, operation: Count) -> Compiled:
    build = Build(compiler)
    table = compiler.quote(operation.model.table)
    where = _where(compiler, operation.filter, build)
    if operation.distinct:
        inner = f"SELECT DISTINCT {_names(compiler, operation.distinct)} FROM {table}{where}"
        sql = f"SELECT COUNT(*) FROM ({inner}) AS {compiler.quote('t')}"
    else:
        sql = f"SELECT COUNT(*) FROM {table}{where}"
    return Compiled(statement(sql, build, ()))


def _key_filter(compiler: BaseCompiler, model: Model, where: str) -> str:
    """Narrow a change to two of the rows that match, by key: enough to refuse more than one."""
    names = _names(compiler, model.primary_key)
    subject = f"({names})" if len(model.primary_key) > 1 else names
    return f" WHERE {subject} IN (SELECT {names} FROM {compiler.quote(model.table)}{where} LIMIT 2)"


def _update(compiler: BaseCompiler, operation: Update) -> Compiled:
    build, model = Build(compiler), operation.model
    assignments = assignments_sql(compiler, operation.assignments, build)
    where = _where(compiler, operation.filter, build)
    if not operation.unique:
        where = _key_filter(compiler, model, where)
    sql = (
        f"UPDATE {compiler.quote(model.table)} SET {assignments}{where}"
        f" RETURNING {_names(compiler, model.fields)}"
    )
    return Compiled(statement(sql, build, model.fields))


def _update_many(compiler: BaseCompiler, operation: UpdateMany) -> Compiled:
    build, model = Build(compiler), operation.model
    assignments = assignments_sql(compiler, operation.assignments, build)
    where = _where(compiler, operation.filter, build)
    return Compiled(
        statement(f"UPDATE {compiler.quote(model.table)} SET {assignments}{where}", build, ())
    )


def _update_rows(compiler: BaseCompiler, operation: UpdateRows) -> Compiled:
    model, columns, keys = operation.model, operation.columns, operation.keys

    def text(rows: int) -> str:
        names = [compiler.quote(item.column) for item in (*columns, *keys)]
        marks = [f"{name} = {compiler.placeholder(at + 1)}" for at, name in enumerate(names)]
        return (
            f"UPDATE {compiler.quote(model.table)} SET {', '.join(marks[: len(columns)])}"
            f" WHERE {' AND '.join(marks[len(columns) :])}"
        )

    return Compiled(rows=RowsStatement((*columns, *keys), text, 1))


def _delete(compiler: BaseCompiler, operation: Delete) -> Compiled:
    build, model = Build(compiler), operation.model
    where = _where(compiler, operation.filter, build)
    if not operation.unique:
        where = _key_filter(compiler, model, where)
    sql = (
        f"DELETE FROM {compiler.quote(model.table)}{where}"
        f" RETURNING {_names(compiler, model.fields)}"
    )
    return Compiled(statement(sql, build, model.fields))


def _delete_many(compiler: BaseCompiler, operation: DeleteMany) -> Compiled:
    build = Build(compiler)
    where = _where(compiler, operation.filter, build)
    return Compiled(
        statement(f"DELETE FROM {compiler.quote(operation.model.table)}{where}", build, ())
    )


def _aggregate(compiler: BaseCompiler, operation: Aggregate) -> Compiled:
    pipeline = operation.pipeline
    last = pipeline.stages[-1] if pipeline.stages else None
    if not isinstance(last, Facet):
        return Compiled(_pipeline(compiler, operation, pipeline))
    branches = []
    for name, branch in last.branches:
        whole = Pipeline(pipeline.source, (*pipeline.stages[:-1], *branch.stages), branch.fields)
        Build(compiler).need("aggregate.facet")
        branches.append((name, _pipeline(compiler, operation, whole)))
    return Compiled(branches=tuple(branches))


def _pipeline(compiler: BaseCompiler, operation: Aggregate, pipeline: Pipeline) -> Statement:
    build = Build(compiler)
    select = pipeline_select(compiler, operation.model, pipeline, operation.filter, build)
    return statement(select.final([item.name for item in pipeline.fields]), build, pipeline.fields)


OPERATIONS: Final[dict[type, Any]] = {
    Create: _create,
    CreateMany: _create_many,
    Upsert: _upsert,
    Find: _find,
    Count: _count,
    Update: _update,
    UpdateMany: _update_many,
    UpdateRows: _update_rows,
    Delete: _delete,
    DeleteMany: _delete_many,
    Aggregate: _aggregate,
}
"""The SQL of every operation; dialects replace entries."""
