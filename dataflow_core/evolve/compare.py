"""What differs between a model and its table, as steps that change the table.

A table that this project made is held to everything that the model says. Of a table that others
made only what is missing is added: the rest of it is theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from attrs import evolve, frozen

from dataflow_core.compile import DDLCompiler
from dataflow_core.evolve.conversions import alike, change_safety, same_type
from dataflow_core.operations import (
    AddCheck,
    AddColumn,
    AddForeignKey,
    AddIndex,
    AddRowSecurity,
    ChangeComment,
    ChangeDefault,
    ChangeNullable,
    ChangePrimaryKey,
    ChangeType,
    DropCheck,
    DropColumn,
    DropForeignKey,
    DropIndex,
    DropRowSecurity,
    RenameColumn,
    Safety,
    Step,
)
from dataflow_core.schema import MISSING, Field, ForeignKey, Index, Model, Partitions
from dataflow_core.schema.tables import Column, Table, TableIndex, TableReference

__all__ = ["Comparison", "compare"]

_ORDER: Final = (
    RenameColumn,
    DropRowSecurity,
    DropForeignKey,
    DropCheck,
    DropIndex,
    ChangeType,
    AddColumn,
    ChangeNullable,
    ChangeDefault,
    DropColumn,
    ChangePrimaryKey,
    AddIndex,
    AddCheck,
    AddForeignKey,
    AddRowSecurity,
    ChangeComment,
)
"""The order of the steps: what others stand on comes first, what hinders goes before."""


@frozen
class Comparison:
    """What differs.

    Attributes:
        steps: what makes the table what the model says, in order.
        missing: columns that the model has and the table lacks.
        problems: what no step mends, a sentence each: rows could not be read or written rightly.
    """

    steps: tuple[Step, ...] = ()
    missing: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def compare(
    model: Model,
    table: Table,
    keys: Sequence[ForeignKey],
    ddl: DDLCompiler,
    recorded: Model | None,
) -> Comparison:
    """Compare a model with its table.

    Parameters:
        model: the model.
        table: the table of its name.
        keys: the foreign keys of the model, resolved to tables and columns.
        ddl: names checks as the database has them.
        recorded: the model by which this project made the table or changed it last; ``None`` for a
            table that others made.
    """
    found = _Columns.of(model, table, owned=recorded is not None)
    steps = list(found.steps)
    told = any(column.native for column in table.columns)  # Else it is names of columns only.
    if told and recorded is None:
        steps += [step for step in _indexes(model, table, None) if isinstance(step, AddIndex)]
    if told and recorded is not None:
        steps += _removed_columns(model, table, recorded)
        steps += _primary_key(model, table)
        steps += _indexes(model, table, recorded)
        steps += _foreign_keys(table, keys, recorded)
        steps += _checks(model, table, ddl, recorded)
    steps += _row_security(model, table, owned=recorded is not None)
    steps.sort(key=lambda step: _ORDER.index(type(step)))
    problems = (*found.problems, *_partitions(model, table, owned=recorded is not None))
    return Comparison(tuple(steps), found.missing, problems)


@frozen
class _Columns:
    steps: tuple[Step, ...]
    missing: tuple[str, ...]
    problems: tuple[str, ...]

    @classmethod
    def of(cls, model: Model, table: Table, *, owned: bool) -> _Columns:
        steps: list[Step] = []
        missing: list[str] = []
        problems: list[str] = []
        for field in model.fields:
            column = table.by_name.get(field.column)
            if column is None:
                missing.append(field.column)
                column = _former(field, model, table)
                if column is None:
                    steps.append(AddColumn(field, _safety_of_adding(field)))
                    continue
                steps.append(RenameColumn(column.name, field))
                column = evolve(column, name=field.column)
            if not column.native:
                continue  # The dialect tells names of columns only.
            problem = _problem(model, field, column, owned=owned)
            if problem is not None:
                problems.append(problem)
            elif owned:
                steps += _column(field, column)
        return cls(tuple(steps), tuple(missing), tuple(problems))


def _former(field: Field, model: Model, table: Table) -> Column | None:
    """The column that a field had under its former name, unless another field has it now."""
    if field.renamed_from is None:
        return None
    if any(other.column == field.renamed_from for other in model.fields):
        return None
    return table.by_name.get(field.renamed_from)


def _problem(model: Model, field: Field, column: Column, *, owned: bool) -> str | None:
    where = f"{model.name}.{field.name} is {field.type.name}"
    if column.type is None:
        return f"{where}, and the column is {column.native}: {column.problem}"
    if not owned and not alike(column.type, field.type):
        return f"{where}, and the column is {column.native}"
    counted = field.generated == "database"
    if owned and counted != (column.generated == "counter"):
        made = "is made by the database" if counted else "is given"
        return f"{model.name}.{field.name} {made}, and the column was made for the opposite"
    return None


def _column(field: Field, column: Column) -> Iterator[Step]:
    """What differs in a column that this project made."""
    assert column.type is not None
    if not same_type(column.type, field.type):
        yield ChangeType(field, column, change_safety(column.type, field.type))
    if column.nullable != field.nullable:
        yield ChangeNullable(field, "additive" if field.nullable else "tightening")
    if not _same_default(column, field):
        yield ChangeDefault(field)
    if (column.comment or None) != (field.comment or None):
        yield ChangeComment(field)


def _same_default(column: Column, field: Field) -> bool:
    if column.generated is not None:
        return True
    wanted, stored = constant_default(field), column.default
    if stored is None:
        stored = MISSING
    if wanted is MISSING or stored is MISSING:
        # A default that the database tells and nobody can read is not the one that is wanted.
        return wanted is stored and (column.default is None or column.default_sql is None)
    return type(wanted) is type(stored) and bool(wanted == stored)


def constant_default(field: Field) -> Any:
    """The default that the table has too; ``MISSING`` where there is none, or only the client's."""
    value = field.default
    if value is MISSING or value is None or callable(value):
        return MISSING
    return field.type.check(value, field.name)


def _safety_of_adding(field: Field) -> Safety:
    """Stored rows need a value: NULL, or a default that the database knows."""
    if field.nullable or constant_default(field) is not MISSING:
        return "additive"
    return "tightening"


def _removed_columns(model: Model, table: Table, recorded: Model) -> Iterator[Step]:
    """Columns of fields that the model had. Others that are there are somebody else's."""
    kept = {field.column for field in model.fields}
    kept |= _renamed(model, table).keys()
    for field in recorded.fields:
        column = table.by_name.get(field.column)
        if column is not None and field.column not in kept:
            yield DropColumn(column)


def _primary_key(model: Model, table: Table) -> Iterator[Step]:
    renamed = _renamed(model, table)
    before = tuple(renamed.get(name, name) for name in table.primary_key)
    if before != tuple(field.column for field in model.primary_key):
        yield ChangePrimaryKey(table.primary_key)


def _renamed(model: Model, table: Table) -> dict[str, str]:
    """Former names of columns -> the names that they are given."""
    found = {}
    for field in model.fields:
        if field.column not in table.by_name:
            column = _former(field, model, table)
            if column is not None:
                found[column.name] = field.column
    return found


Parts = tuple[tuple[str, ...], bool, frozenset[str], bool]


def _index_parts(model: Model, index: Index) -> Parts:
    column_of = {field.name: field.column for field in model.fields}
    columns = tuple(column_of.get(name, name) for name in index.columns)
    descending = frozenset(column_of.get(name, name) for name in index.descending)
    return columns, index.unique, descending, index.where is not None


def _stored_parts(index: TableIndex, renamed: dict[str, str]) -> Parts:
    columns = tuple(renamed.get(name, name) for name in index.columns)
    descending = frozenset(renamed.get(name, name) for name in index.descending)
    return columns, index.unique, descending, index.where is not None


def _indexes(model: Model, table: Table, recorded: Model | None) -> Iterator[Step]:
    renamed = _renamed(model, table)
    stored: dict[Parts, list[TableIndex]] = {}
    for index in table.indexes:
        if not index.expressions:
            stored.setdefault(_stored_parts(index, renamed), []).append(index)
    before = {} if recorded is None else dict(_parts_of(recorded, renamed))
    wanted = dict(_parts_of(model, {}))
    for parts, item in wanted.items():
        there = stored.get(parts, [])
        former = before.get(parts)
        if there and former is not None and former.where != item.where:
            yield DropIndex(there[0].name, there[0].constraint)
        elif there:
            continue
        yield AddIndex(item, "tightening" if item.unique else "additive")
    for parts in before:
        if parts not in wanted:
            for index in stored.get(parts, []):
                yield DropIndex(index.name, index.constraint)


def _parts_of(model: Model, renamed: dict[str, str]) -> Iterator[tuple[Parts, Index]]:
    for index in model.all_indexes:
        columns, unique, descending, partial = _index_parts(model, index)
        yield (
            (
                tuple(renamed.get(name, name) for name in columns),
                unique,
                frozenset(renamed.get(name, name) for name in descending),
                partial,
            ),
            index,
        )


KeyParts = tuple[tuple[str, ...], str, tuple[str, ...], str]


def _key_parts(key: ForeignKey, model: Model | None = None) -> KeyParts:
    columns = key.columns
    if model is not None:
        columns = tuple(model.by_name[name].column for name in columns if name in model.by_name)
    reference = key.reference
    return columns, reference.table, reference.columns, reference.on_delete


def _stored_key_parts(key: TableReference) -> KeyParts:
    return key.columns, key.table, key.target, key.on_delete


def _foreign_keys(table: Table, keys: Sequence[ForeignKey], recorded: Model) -> Iterator[Step]:
    stored = {_stored_key_parts(key): key for key in table.foreign_keys}
    wanted = {_key_parts(key): key for key in keys}
    for parts, key in wanted.items():
        if parts not in stored:
            yield AddForeignKey(key)
    ours = {
        field.column for field in recorded.fields if field.references is not None and field.enforced
    }
    declared = {key.columns for key in recorded.foreign_keys}
    for parts, found in stored.items():
        made_by_us = found.columns in declared or (
            len(found.columns) == 1 and found.columns[0] in ours
        )
        if parts not in wanted and made_by_us:
            yield DropForeignKey(found.name, found.columns)


def _checks(model: Model, table: Table, ddl: DDLCompiler, recorded: Model) -> Iterator[Step]:
    stored = {check.name for check in table.checks}
    before = {ddl.check_name(recorded, check.name): check for check in recorded.all_checks}
    wanted = {ddl.check_name(model, check.name): check for check in model.all_checks}
    for name, check in wanted.items():
        changed = name in before and before[name].filter != check.filter
        if name in stored and changed:
            yield DropCheck(name)
        if name not in stored or changed:
            yield AddCheck(check)
    for name in before:
        if name in stored and name not in wanted:
            yield DropCheck(name)


def _row_security(model: Model, table: Table, *, owned: bool) -> Iterator[Step]:
    """Of a table that others made it is not switched off: this project did not switch it on."""
    secured = table.secured_by and _renamed(model, table).get(table.secured_by, table.secured_by)
    wanted = None if model.secured_by is None else model.by_name[model.secured_by]
    if wanted is not None and wanted.column != secured:
        yield AddRowSecurity(wanted)
    elif wanted is None and secured and owned:
        yield DropRowSecurity(secured)


def _partitions(model: Model, table: Table, *, owned: bool) -> Iterator[str]:
    """Parts that are not those of the model. Others may put a table of theirs in parts as well."""
    wanted = model.partitions
    if wanted is not None:
        by = model.by_name[wanted.by].column
        wanted = Partitions(_renamed(model, table).get(by, by), wanted.count)
    if wanted == table.partitions or (wanted is None and not owned):
        return
    there = "in one part" if table.partitions is None else f"in {table.partitions.count} parts"
    yield (
        f"it is {there}, {model.name} says {'one' if wanted is None else wanted.count}, and no"
        " statement changes that: make another table, and copy the rows"
    )
