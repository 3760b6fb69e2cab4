"""The SQL of operations that change rows.

Where a statement cannot give back the rows that it wrote, a select that does stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from dataflow_core.compile.build import Build
from dataflow_core.compile.compiled import INSERTED, Compiled, RowsStatement, StagedStatements
from dataflow_core.compile.confines import row_tests
from dataflow_core.compile.statement import Statement
from dataflow_core.compile.statements import (
    filter_text,
    names_list,
    result,
    rows_statement,
    statement,
    where_clause,
)
from dataflow_core.filters.ast import EVERYTHING, And, Compare, Predicate, Related, Slot, walk
from dataflow_core.operations import (
    Create,
    CreateMany,
    Delete,
    DeleteMany,
    FindRows,
    Update,
    UpdateMany,
    UpdateRows,
    Upsert,
)
from dataflow_core.schema import Field, Model
from dataflow_core.types import Boolean

if TYPE_CHECKING:
    from dataflow_core.compile.base import BaseCompiler

__all__ = [
    "create",
    "create_many",
    "delete",
    "delete_many",
    "find_rows",
    "update",
    "update_many",
    "update_rows",
    "upsert",
]

_INSERTED = Field(INSERTED, Boolean(), INSERTED)


def create(compiler: BaseCompiler, operation: Create) -> Compiled:
    """Insert one row and give it back."""
    return _insert(compiler, operation.model, operation.columns, operation.model.fields)


def create_many(compiler: BaseCompiler, operation: CreateMany) -> Compiled:
    """Insert rows; give their keys back on request."""
    model = operation.model
    back = model.primary_key if operation.returning_keys else ()
    if operation.returning_rows:
        back = model.fields
    compiled = _insert(compiler, model, operation.columns, back, skip=operation.conflict == "skip")
    if len(model.primary_key) != 1 or model.primary_key[0] in operation.columns:
        return compiled
    return evolve(compiled, reserve=compiler.reserve_keys(model))


def _insert(
    compiler: BaseCompiler,
    model: Model,
    columns: tuple[Field, ...],
    back: Sequence[Field],
    *,
    skip: bool = False,
) -> Compiled:
    gives = "insert" in compiler.returning
    tail = " ON CONFLICT DO NOTHING" if skip and compiler.upserts else ""
    given_back = tuple(back) if gives else ()

    def text(rows: int) -> str:
        return compiler.insert(model, columns, rows, tail=tail, back=given_back)

    returning = result(compiler, back) if given_back else None
    rows = rows_statement(compiler, columns, text, returning)
    skips = not skip or compiler.upserts
    if gives or not back:
        # What loads takes the name of a table in the default schema.
        loads = not skip and not back and model.schema is None
        load = compiler.load(model.table, columns, model=model) if loads else None
        return Compiled(rows=rows, skips=skips, load=load)
    written, generated = _read_back(compiler, model, columns, back)
    return Compiled(rows=rows, skips=skips, written=written, generated=generated)


def _read_back(
    compiler: BaseCompiler, model: Model, columns: tuple[Field, ...], back: Sequence[Field]
) -> tuple[RowsStatement | None, RowsStatement | None]:
    """How rows are read that an insert has just written: by their keys, or by those it made."""
    keys = model.primary_key
    if all(item in columns for item in keys):
        return _by_key(compiler, model, keys, back), None
    [key] = (item for item in keys if item not in columns)
    table, name = compiler.table(model), compiler.quote(key.column)
    names = names_list(compiler, back)

    def text(rows: int) -> str:
        # The keys that one statement makes follow each other.
        return (
            f"SELECT {names} FROM {table} WHERE {name} >= {compiler.last_key()}"
            f" ORDER BY {name} LIMIT {rows}"
        )

    return None, rows_statement(compiler, (), text, result(compiler, back))


def _by_key(
    compiler: BaseCompiler,
    model: Model,
    keys: Sequence[Field],
    back: Sequence[Field],
    *,
    among: Predicate = EVERYTHING,
    lock: bool = False,
) -> RowsStatement:
    """Selects the rows whose ``keys`` have one of the given combinations of values.

    Those that are locked are to be changed, so they are confined.
    """
    tests = "".join(f" AND {test}" for test in row_tests(compiler, model)) if lock else ""
    head = f"SELECT {names_list(compiler, back)} FROM {compiler.table(model)} WHERE"
    tail = f" {compiler.locking()}" if lock and compiler.locking() else ""
    more = filter_text(compiler, among, " AND ")

    def text(rows: int) -> str:
        return f"{head} {compiler.one_of(keys, rows)}{more}{tests}{tail}"

    return rows_statement(compiler, keys, text, result(compiler, back))


def find_rows(compiler: BaseCompiler, operation: FindRows) -> Compiled:
    """The rows with some keys, given as rows of parameters."""
    keys, back, among = operation.keys, operation.columns, operation.among
    rows = _by_key(compiler, operation.model, keys, back, among=among, lock=True)
    return Compiled(rows=rows)


def upsert(compiler: BaseCompiler, operation: Upsert) -> Compiled:
    """Insert rows, or change those that are stored."""
    model, match, columns = operation.model, operation.match, operation.columns
    back = operation.returning
    # Whether a stored row may be changed is for a look to say, where not every row may be.
    if not compiler.upserts or model.confined:
        return _looked_up(compiler, operation)
    tail = compiler.on_conflict(operation)
    flag = compiler.inserted_flag
    fields = (*back, _INSERTED) if flag is not None else back

    def text(rows: int) -> str:
        return compiler.insert(model, columns, rows, tail=tail, back=back, flag=flag)

    rows = rows_statement(compiler, columns, text, result(compiler, fields) if fields else None)
    existing = (
        None if flag is not None else _by_key(compiler, model, match, match, among=operation.among)
    )
    return Compiled(rows=rows, existing=existing, staged=_staged(compiler, operation))


def _staged(compiler: BaseCompiler, operation: Upsert) -> StagedStatements | None:
    """The upsert by way of a temporary table, where nothing but counts is to come back."""
    if operation.returning or operation.model.confined:
        return None
    return compiler.staged(operation)


def _looked_up(compiler: BaseCompiler, operation: Upsert) -> Compiled:
    """Where the database has no upsert that says which unique key it is about."""
    model, match, columns = operation.model, operation.match, operation.columns
    inserting = _insert(compiler, model, columns, operation.returning)
    changes = None
    if operation.updates and all(item in columns for item in match):
        given = (*match, *operation.updates)

        def text(rows: int) -> str:
            return compiler.update_rows(model, match, operation.updates, rows, operation.among)

        changes = rows_statement(compiler, given, text)
    # The other unique keys tell whether it matters in which order the rows are written.
    keys = [*model.unique_keys, *(index.columns for index in model.partial_keys)]
    unique = [model.by_name[name] for key in keys for name in key]
    back = tuple(dict.fromkeys((*match, *operation.returning, *unique)))
    existing = _by_key(compiler, model, match, back, among=operation.among, lock=True)
    return Compiled(
        rows=inserting.rows,
        written=inserting.written,
        generated=inserting.generated,
        existing=existing,
        changes=changes,
        only_inserts=True,
        staged=_staged(compiler, operation) if changes is not None else None,
    )


def update(compiler: BaseCompiler, operation: Update) -> Compiled:
    """Change the one row that passes a filter and give it back as it then is."""
    model = operation.model
    build = Build(compiler, changing=model)
    table = compiler.table(model)
    assignments = compiler.assignments(operation.assignments, build)
    if "update" in compiler.returning:
        where = _rows_changed(compiler, operation.model, operation.filter, build)
        if not operation.unique:
            where = _at_most_two(compiler, model, where)
        sql = f"UPDATE {table} SET {assignments}{where} RETURNING"
        return Compiled(
            statement(f"{sql} {names_list(compiler, model.fields)}", build, model.fields)
        )
    found = None
    if not _is_key(model, operation.filter):
        found = _found(compiler, model, operation.filter, model.primary_key)
    where = _row_clause(compiler, model, operation.filter, found, build)
    reading = Build(compiler)
    again = _row_clause(compiler, model, operation.filter, found, reading)
    select = f"SELECT {names_list(compiler, model.fields)} FROM {table}{again}"
    return Compiled(
        statement(f"UPDATE {table} SET {assignments}{where}", build, ()),
        found=found,
        stored=statement(select, reading, model.fields),
    )


def delete(compiler: BaseCompiler, operation: Delete) -> Compiled:
    """Remove the one row that passes a filter and give it back as it was."""
    model = operation.model
    build = Build(compiler, changing=model)
    table = compiler.table(model)
    if "delete" in compiler.returning:
        where = _rows_changed(compiler, operation.model, operation.filter, build)
        if not operation.unique:
            where = _at_most_two(compiler, model, where)
        names = names_list(compiler, model.fields)
        return Compiled(
            statement(f"DELETE FROM {table}{where} RETURNING {names}", build, model.fields)
        )
    found = _found(compiler, model, operation.filter, model.fields)
    where = _row_clause(compiler, model, operation.filter, found, build)
    return Compiled(statement(f"DELETE FROM {table}{where}", build, ()), found=found)


def _rows_changed(compiler: BaseCompiler, model: Model, predicate: Predicate, build: Build) -> str:
    """The WHERE of a change, which is about all rows as they were before it."""
    where = where_clause(compiler, predicate, build)
    # Foreign keys may change rows of other models meanwhile.
    looks_elsewhere = any(isinstance(node, Related) for node in walk(predicate))
    if not looks_elsewhere or not compiler.sees_own_changes:
        return where
    names = names_list(compiler, model.primary_key)
    subject = f"({names})" if len(model.primary_key) > 1 else names
    return f" WHERE {subject} IN (SELECT {names} FROM {compiler.table(model)}{where})"


def _at_most_two(compiler: BaseCompiler, model: Model, where: str) -> str:
    """Narrow a change to two of the rows that match, by key: enough to refuse more than one.

    The filter stays beside it: a row that another transaction changes meanwhile is tested again.
    """
    names = names_list(compiler, model.primary_key)
    subject = f"({names})" if len(model.primary_key) > 1 else names
    table = compiler.table(model)
    rest = where.replace(" WHERE ", " AND ", 1)
    return f" WHERE {subject} IN (SELECT {names} FROM {table}{where} LIMIT 2){rest}"


def _found(
    compiler: BaseCompiler, model: Model, predicate: Predicate, back: Sequence[Field]
) -> Statement:
    """Finds and locks at most two of the rows that match."""
    build = Build(compiler)
    where = where_clause(compiler, predicate, build)
    sql = (
        f"SELECT {names_list(compiler, back)} FROM {compiler.table(model)}{where}"
        f" LIMIT 2 {compiler.locking()}"
    )
    return statement(sql.rstrip(), build, back)


def _row_clause(
    compiler: BaseCompiler, model: Model, predicate: Predicate, found: object, build: Build
) -> str:
    """The WHERE of one row: that which was found, or the only one that the filter allows."""
    if found is None:
        return where_clause(compiler, predicate, build)
    keys = model.primary_key
    # The key of the row stands behind the values of the operation.
    marks = [build.bind(Slot(at - len(keys), item.type)) for at, item in enumerate(keys)]
    parts = [
        f"{compiler.quote(item.column)} = {mark}" for item, mark in zip(keys, marks, strict=True)
    ]
    return f" WHERE {' AND '.join(parts)}"


def _is_key(model: Model, predicate: Predicate) -> bool:
    """Whether a filter says nothing but the primary key, which no update changes."""
    leaves = predicate.items if isinstance(predicate, And) else (predicate,)
    compared = [
        leaf.target for leaf in leaves if isinstance(leaf, Compare) and leaf.operator == "eq"
    ]
    return len(compared) == len(leaves) and set(compared) == set(model.primary_key)


def update_many(compiler: BaseCompiler, operation: UpdateMany) -> Compiled:
    """Change all rows that pass a filter."""
    model = operation.model
    build, table = Build(compiler, changing=model), compiler.table(model)
    assignments = compiler.assignments(operation.assignments, build)
    where = _rows_changed(compiler, operation.model, operation.filter, build)
    return Compiled(statement(f"UPDATE {table} SET {assignments}{where}", build, ()))


def update_rows(compiler: BaseCompiler, operation: UpdateRows) -> Compiled:
    """Set columns of the rows with these keys, to values of each row's own."""
    columns, keys = operation.columns, operation.keys

    def text(rows: int) -> str:
        return compiler.update_rows(operation.model, keys, columns, rows)

    return Compiled(rows=rows_statement(compiler, (*keys, *columns), text))


def delete_many(compiler: BaseCompiler, operation: DeleteMany) -> Compiled:
    """Remove all rows that pass a filter."""
    build = Build(compiler, changing=operation.model)
    where = _rows_changed(compiler, operation.model, operation.filter, build)
    return Compiled(statement(f"DELETE FROM {compiler.table(operation.model)}{where}", build, ()))
