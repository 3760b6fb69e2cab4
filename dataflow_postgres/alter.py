"""ALTER TABLE: what PostgreSQL needs for the steps that change a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dataflow_core.dialect import STEPS, RenderStep, alter_table
from dataflow_core.errors import SchemaChangeRefused
from dataflow_core.operations import (
    AddColumn,
    AddIndex,
    AddRowSecurity,
    AlterTable,
    ChangeComment,
    ChangeNullable,
    ChangePrimaryKey,
    ChangeType,
    DropRowSecurity,
    RenameColumn,
)
from dataflow_core.schema import Column
from dataflow_core.types import (
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Integer,
    Text,
    Timestamp,
    Uuid,
)
from dataflow_postgres.catalogue import TENANT_POLICY
from dataflow_postgres.columns import storage_of
from dataflow_postgres.indexes import index_columns, kept_indexes, present_name

if TYPE_CHECKING:
    from dataflow_postgres.ddl import PostgresDDLCompiler

__all__ = ["POSTGRES_STEPS", "before_steps", "unsecured"]


def before_steps(compiler: PostgresDDLCompiler, operation: AlterTable) -> list[str]:
    """What comes before all steps: the old key goes, for its columns could not take NULL."""
    if not any(isinstance(step, ChangePrimaryKey) and step.before for step in operation.steps):
        return []
    literal, quote = compiler.compiler.literal, compiler.compiler.quote
    # Nobody but the server knows what the constraint is called.
    found = (
        "SELECT pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)"
        " FROM pg_catalog.pg_constraint WHERE contype = 'p' AND conrelid ="
        f" {literal(quote(operation.before.name), Text())}::regclass"
    )
    return [f"DO {literal(f'BEGIN EXECUTE ({found}); END', Text())}"]


def _add_column(compiler: PostgresDDLCompiler, operation: AlterTable, step: AddColumn) -> list[str]:
    result = STEPS[AddColumn](compiler, operation, step)
    if step.field.comment:
        result.append(compiler.comment(operation.before.name, step.field))
    return result


def _rename_column(
    compiler: PostgresDDLCompiler, operation: AlterTable, step: RenameColumn
) -> list[str]:
    """With the names of the checks and indexes that are called after the column."""
    result = STEPS[RenameColumn](compiler, operation, step)
    quote, table = compiler.compiler.quote, operation.model.table
    for what in _checks_of(operation.before.by_name[step.before]):
        before = compiler.check_name(operation.model, f"{table}_{step.before}_{what}")
        after = compiler.check_name(operation.model, f"{table}_{step.field.column}_{what}")
        change = f"RENAME CONSTRAINT {quote(before)} TO {quote(after)}"
        result += alter_table(compiler, operation, change)
    last = [item for item in operation.steps if isinstance(item, RenameColumn)][-1]
    if step is last:
        for stored, index in kept_indexes(operation):
            name = present_name(compiler, operation, stored, index)
            if name != stored.name:
                result.append(f"ALTER INDEX {quote(stored.name)} RENAME TO {quote(name)}")
    return result


def _change_nullable(
    compiler: PostgresDDLCompiler, operation: AlterTable, step: ChangeNullable
) -> list[str]:
    """With the indexes of the column, whose place of NULL is that of ORDER BY.

    Unique ones stay as they are: foreign keys of other tables may need them.
    """
    result = STEPS[ChangeNullable](compiler, operation, step)
    for stored, index in kept_indexes(operation):
        if step.field.column in index_columns(operation, index) and not stored.unique:
            name = present_name(compiler, operation, stored, index)
            result.append(f"DROP INDEX {compiler.compiler.quote(name)}")
            result.append(compiler.create_index(operation.model, index, absent=False))
    return result


def _change_type(
    compiler: PostgresDDLCompiler, operation: AlterTable, step: ChangeType
) -> list[str]:
    """In one statement: checks of the old type, the type, the default, checks of the new type."""
    field, before = step.field, step.before
    model, quote = operation.model, compiler.compiler.quote
    column = quote(field.column)
    prefix = f"{model.table}_{field.column}"
    using = _conversion(column, before, field.type, f"{model.name}.{field.name}")
    parts = [
        f"DROP CONSTRAINT {quote(compiler.check_name(model, f'{prefix}_{what}'))}"
        for what in _checks_of(before)
    ]
    assert before.type is not None
    kind = compiler.column_type(field.type)
    if before.type.storage is not None or kind != compiler.column_type(before.type):
        default = None if field.generated is not None else compiler.default(field)
        if before.default_sql is not None and before.generated is None:
            parts.append(f"ALTER COLUMN {column} DROP DEFAULT")
        parts.append(f"ALTER COLUMN {column} SET DATA TYPE {kind} USING {using}")
        if default is not None:
            parts.append(f"ALTER COLUMN {column} SET DEFAULT {default}")
    parts += [
        f"ADD CONSTRAINT {quote(compiler.check_name(model, f'{prefix}_{what}'))}"
        f" CHECK ({condition})"
        for what, condition in compiler.type_checks(field)
    ]
    if not parts:
        return []
    fitting = _fitting(column, before.type, field.type)
    change = alter_table(compiler, operation, ", ".join(parts))
    if operation.before.secured_by == before.name and model.secured_by == field.name:
        # A policy holds on to the type of its column; the table stays locked to everybody.
        tables = map(quote, compiler.tables(operation.before))
        change = [*map(unsecured, tables), *change, *compiler.secure(model)]
    if fitting is None:
        return change
    # A cast would round.
    name = quote(compiler.check_name(model, f"{prefix}_fits"))
    return [
        *alter_table(compiler, operation, f"ADD CONSTRAINT {name} CHECK ({fitting})"),
        *alter_table(compiler, operation, f"DROP CONSTRAINT {name}"),
        *change,
    ]


def _change_primary_key(
    compiler: PostgresDDLCompiler, operation: AlterTable, step: ChangePrimaryKey
) -> list[str]:
    key = compiler.primary_key(operation.model)
    return [] if key is None else alter_table(compiler, operation, f"ADD {key}")


def _add_index(compiler: PostgresDDLCompiler, operation: AlterTable, step: AddIndex) -> list[str]:
    """An index, or the constraint that makes a field unique. One of that name is an error."""
    if step.index in compiler.constraints(operation.model):
        columns = compiler.quoted(index_columns(operation, step.index))
        return alter_table(compiler, operation, f"ADD UNIQUE ({columns})")
    return [compiler.create_index(operation.model, step.index, absent=False)]


def _change_comment(
    compiler: PostgresDDLCompiler, operation: AlterTable, step: ChangeComment
) -> list[str]:
    return [compiler.comment(operation.before.name, step.field)]


def _add_row_security(
    compiler: PostgresDDLCompiler, operation: AlterTable, step: AddRowSecurity
) -> list[str]:
    return list(compiler.secure(operation.model))


def _drop_row_security(
    compiler: PostgresDDLCompiler, operation: AlterTable, step: DropRowSecurity
) -> list[str]:
    result = []
    for table in map(compiler.compiler.quote, compiler.tables(operation.before)):
        what = "NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY"
        result += [f"ALTER TABLE {table} {what}", unsecured(table)]
    return result


def unsecured(table: str) -> str:
    """The statement after which a table, whose name is quoted, has no policy of this project."""
    return f"DROP POLICY IF EXISTS {TENANT_POLICY} ON {table}"


POSTGRES_STEPS: Final[dict[type, RenderStep]] = {
    **STEPS,
    AddColumn: _add_column,
    RenameColumn: _rename_column,
    ChangeNullable: _change_nullable,
    ChangeType: _change_type,
    ChangePrimaryKey: _change_primary_key,
    AddIndex: _add_index,
    ChangeComment: _change_comment,
    AddRowSecurity: _add_row_security,
    DropRowSecurity: _drop_row_security,
}
"""The statements of every kind of step."""


# Types


def _checks_of(column: Column) -> list[str]:
    """The words for the checks by which a column keeps its type."""
    kind = column.type
    found = []
    if isinstance(kind, Enumeration) and kind.base.storage is None:
        found.append("enum")
    base = _base(kind)
    if isinstance(base, Text) and base.max_length is not None and base.storage is None:
        found.append("length")
    return found


def _base(kind: FieldType | None) -> FieldType | None:
    return kind.base if isinstance(kind, Enumeration) else kind


_NUMBER: Final = "CAST({} AS {})"
_CONVERSIONS: Final[dict[tuple[type[FieldType], type[FieldType]], str]] = {
    (Integer, Integer): _NUMBER,
    (Integer, Decimal): _NUMBER,
    (Decimal, Decimal): _NUMBER,
    (Date, Timestamp): "(CAST({} AS timestamp) AT TIME ZONE 'UTC')",
    **{(kind, Text): "CAST({} AS text)" for kind in (Integer, Decimal, Date, Uuid)},
}
"""Which type becomes which other, and how. The text of a value is the one that ``str`` gives."""


def _conversion(column: str, before: Column, after: FieldType, where: str) -> str:
    """The SQL of a stored value as one of the new type."""
    stored, wanted = _base(before.type), _base(after)
    if stored is None or wanted is None:
        raise _refused(before, after, where)
    storage = storage_of(stored)
    value = column if storage is None else storage.value.format(column)
    if type(stored) is type(wanted) and not isinstance(stored, Integer | Decimal):
        return value
    way = _CONVERSIONS.get((type(stored), type(wanted)))
    if way is None:
        raise _refused(before, after, where)
    return way.format(value, _number(wanted))


def _number(kind: FieldType) -> str:
    if isinstance(kind, Decimal):
        return f"numeric({kind.precision}, {kind.scale})"
    return "integer" if isinstance(kind, Integer) and kind.bits <= 32 else "bigint"


def _refused(before: Column, after: FieldType, where: str) -> SchemaChangeRefused:
    stored = before.native if before.type is None else before.type.name
    return SchemaChangeRefused(
        f"{where}: values of the type {stored} do not become values of the type {after.name} by"
        " themselves; add a field of the new type, fill it, and then remove the old one",
        field=where,
        before=stored,
        after=after.name,
    )


def _fitting(column: str, before: FieldType, after: FieldType) -> str | None:
    """What every value has to be that a cast would else change without an error."""
    stored, wanted = _base(before), _base(after)
    if not isinstance(stored, Decimal) or not isinstance(wanted, Decimal):
        return None
    return f"{column} = ROUND({column}, {wanted.scale})" if wanted.scale < stored.scale else None
