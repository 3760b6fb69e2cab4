"""ALTER TABLE in the words of the SQL standard: one statement for each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.errors import UnsupportedFeature
from dataflow_core.operations import (
    AddCheck,
    AddColumn,
    AddForeignKey,
    AddIndex,
    AddRowSecurity,
    AlterTable,
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
)

if TYPE_CHECKING:
    from dataflow_core.dialect.ddl import BaseDDLCompiler

__all__ = ["STEPS", "RenderStep", "alter_table"]

RenderStep = Callable[[Any, AlterTable, Any], list[str]]
"""The statements of one step: of the compiler, the whole change, and the step."""


def alter_table(compiler: BaseDDLCompiler, operation: AlterTable, what: str) -> list[str]:
    """One ALTER TABLE."""
    return [f"ALTER TABLE {compiler.compiler.quote(operation.before.name)} {what}"]


def _add_column(compiler: BaseDDLCompiler, operation: AlterTable, step: AddColumn) -> list[str]:
    model, field = operation.model, step.field
    line = compiler.column(field, model)
    for what, condition in compiler.type_checks(field):
        name = compiler.check_name(model, f"{model.table}_{field.column}_{what}")
        line += f" CONSTRAINT {compiler.compiler.quote(name)} CHECK ({condition})"
    return alter_table(compiler, operation, f"ADD COLUMN {line}")


def _rename_column(
    compiler: BaseDDLCompiler, operation: AlterTable, step: RenameColumn
) -> list[str]:
    quote = compiler.compiler.quote
    what = f"RENAME COLUMN {quote(step.before)} TO {quote(step.field.column)}"
    return alter_table(compiler, operation, what)


def _drop_column(compiler: BaseDDLCompiler, operation: AlterTable, step: DropColumn) -> list[str]:
    return alter_table(
        compiler, operation, f"DROP COLUMN {compiler.compiler.quote(step.column.name)}"
    )


def _change_type(compiler: BaseDDLCompiler, operation: AlterTable, step: ChangeType) -> list[str]:
    column = compiler.compiler.quote(step.field.column)
    kind = compiler.column_type(step.field.type)
    return alter_table(compiler, operation, f"ALTER COLUMN {column} SET DATA TYPE {kind}")


def _change_nullable(
    compiler: BaseDDLCompiler, operation: AlterTable, step: ChangeNullable
) -> list[str]:
    column = compiler.compiler.quote(step.field.column)
    word = "DROP" if step.field.nullable else "SET"
    return alter_table(compiler, operation, f"ALTER COLUMN {column} {word} NOT NULL")


def _change_default(
    compiler: BaseDDLCompiler, operation: AlterTable, step: ChangeDefault
) -> list[str]:
    column, default = compiler.compiler.quote(step.field.column), compiler.default(step.field)
    what = "DROP DEFAULT" if default is None else f"SET DEFAULT {default}"
    return alter_table(compiler, operation, f"ALTER COLUMN {column} {what}")


def _change_primary_key(
    compiler: BaseDDLCompiler, operation: AlterTable, step: ChangePrimaryKey
) -> list[str]:
    key = compiler.primary_key(operation.model)
    result = alter_table(compiler, operation, "DROP PRIMARY KEY") if step.before else []
    return [*result, *(alter_table(compiler, operation, f"ADD {key}") if key is not None else [])]


def _add_index(compiler: BaseDDLCompiler, operation: AlterTable, step: AddIndex) -> list[str]:
    return [compiler.create_index(operation.model, step.index)]


def _drop_index(compiler: BaseDDLCompiler, operation: AlterTable, step: DropIndex) -> list[str]:
    name = compiler.compiler.quote(step.name)
    if step.constraint:
        return alter_table(compiler, operation, f"DROP CONSTRAINT {name}")
    return [f"DROP INDEX {name}"]


def _add_foreign_key(
    compiler: BaseDDLCompiler, operation: AlterTable, step: AddForeignKey
) -> list[str]:
    return alter_table(compiler, operation, f"ADD {compiler.foreign_key(step.key)}")


def _drop_foreign_key(
    compiler: BaseDDLCompiler, operation: AlterTable, step: DropForeignKey
) -> list[str]:
    assert step.name is not None
    name = compiler.compiler.quote(step.name)
    return alter_table(compiler, operation, f"DROP CONSTRAINT {name}")


def _add_check(compiler: BaseDDLCompiler, operation: AlterTable, step: AddCheck) -> list[str]:
    name = compiler.compiler.quote(compiler.check_name(operation.model, step.check.name))
    condition = compiler.compiler.literal_predicate(operation.model, step.check.filter)
    return alter_table(compiler, operation, f"ADD CONSTRAINT {name} CHECK ({condition})")


def _drop_check(compiler: BaseDDLCompiler, operation: AlterTable, step: DropCheck) -> list[str]:
    name = compiler.compiler.quote(step.name)
    return alter_table(compiler, operation, f"DROP CONSTRAINT {name}")


def _row_security(
    compiler: BaseDDLCompiler, operation: AlterTable, step: AddRowSecurity | DropRowSecurity
) -> list[str]:
    """Not in the standard: a dialect that declares it has an entry of its own."""
    reason = "its dialect has no statement for it"
    name, feature = compiler.compiler.name, "schema.row_security"
    raise UnsupportedFeature(
        f"{name} does not offer {feature}: {reason}", feature=feature, dialect=name, reason=reason
    )


def _nothing(compiler: BaseDDLCompiler, operation: AlterTable, step: ChangeComment) -> list[str]:
    return []


STEPS: Final[dict[type, RenderStep]] = {
    AddColumn: _add_column,
    RenameColumn: _rename_column,
    DropColumn: _drop_column,
    ChangeType: _change_type,
    ChangeNullable: _change_nullable,
    ChangeDefault: _change_default,
    ChangeComment: _nothing,
    ChangePrimaryKey: _change_primary_key,
    AddIndex: _add_index,
    DropIndex: _drop_index,
    AddForeignKey: _add_foreign_key,
    DropForeignKey: _drop_foreign_key,
    AddCheck: _add_check,
    DropCheck: _drop_check,
    AddRowSecurity: _row_security,
    DropRowSecurity: _row_security,
}
"""The statements of every kind of step; dialects replace entries."""
