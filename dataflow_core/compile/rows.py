"""The SQL of operations that read rows, and the table of all operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dataflow_core.aggregate.ast import Facet, Pipeline
from dataflow_core.compile import writes
from dataflow_core.compile.build import Build
from dataflow_core.compile.compiled import Compiled
from dataflow_core.compile.pipeline import pipeline_select
from dataflow_core.compile.statement import Statement
from dataflow_core.compile.statements import names_list, statement, where_clause
from dataflow_core.operations import (
    Aggregate,
    Count,
    Create,
    CreateMany,
    Delete,
    DeleteMany,
    Find,
    FindRows,
    Update,
    UpdateMany,
    UpdateRows,
    Upsert,
)

if TYPE_CHECKING:
    from dataflow_core.compile.base import BaseCompiler

__all__ = ["OPERATIONS"]


def _find(compiler: BaseCompiler, operation: Find) -> Compiled:
    build = Build(compiler)
    names = names_list(compiler, operation.columns)
    parts = [f"SELECT {'DISTINCT ' if operation.distinct else ''}{names}"]
    parts.append(f"FROM {compiler.table(operation.model)}")
    where = where_clause(compiler, operation.filter, build)
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
    lock = compiler.locking() if operation.lock else ""
    sql = " ".join([" ".join(parts) + where, *cut, *filter(None, [lock])])
    return Compiled(statement(sql, build, operation.columns))


def _count(compiler: BaseCompiler, operation: Count) -> Compiled:
    build = Build(compiler)
    table = compiler.table(operation.model)
    where = where_clause(compiler, operation.filter, build)
    if operation.distinct:
        inner = f"SELECT DISTINCT {names_list(compiler, operation.distinct)} FROM {table}{where}"
        sql = f"SELECT COUNT(*) FROM ({inner}) AS {compiler.quote('t')}"
    else:
        sql = f"SELECT COUNT(*) FROM {table}{where}"
    return Compiled(statement(sql, build, ()))


def _aggregate(compiler: BaseCompiler, operation: Aggregate) -> Compiled:
    pipeline = operation.pipeline
    last = pipeline.stages[-1] if pipeline.stages else None
    if not isinstance(last, Facet):
        return Compiled(_pipeline(compiler, operation, pipeline))
    branches = []
    for name, branch in last.branches:
        stages = (*pipeline.stages[:-1], *branch.stages)
        whole = Pipeline(pipeline.source, stages, branch.fields)
        Build(compiler).need("aggregate.facet")
        branches.append((name, _pipeline(compiler, operation, whole)))
    return Compiled(branches=tuple(branches))


def _pipeline(compiler: BaseCompiler, operation: Aggregate, pipeline: Pipeline) -> Statement:
    build = Build(compiler)
    select = pipeline_select(compiler, operation.model, pipeline, operation.filter, build)
    sql = select.final([item.name for item in pipeline.fields])
    return statement(sql, build, pipeline.fields, pipeline.joined)


OPERATIONS: Final[dict[type, Any]] = {
    Create: writes.create,
    CreateMany: writes.create_many,
    Upsert: writes.upsert,
    Find: _find,
    FindRows: writes.find_rows,
    Count: _count,
    Update: writes.update,
    UpdateMany: writes.update_many,
    UpdateRows: writes.update_rows,
    Delete: writes.delete,
    DeleteMany: writes.delete_many,
    Aggregate: _aggregate,
}
"""The SQL of every operation; dialects replace entries."""
