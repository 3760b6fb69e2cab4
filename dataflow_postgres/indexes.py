"""The columns of indexes, and which indexes stay when a table changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dataflow_core.operations import AlterTable, DropIndex, RenameColumn
from dataflow_core.schema import Field, Index, Model, TableIndex

if TYPE_CHECKING:
    from dataflow_postgres.ddl import PostgresDDLCompiler

__all__ = ["index_columns", "index_part", "kept_indexes", "present_name", "unique_by_index"]

_MADE_NAMES: Final = ("index:", "unique:")


def unique_by_index(field: Field, model: Model) -> bool:
    """Whether an index makes a field unique: a constraint's own one cannot put NULL first.

    A reference from the table to itself needs the constraint while the table is made.
    """
    own = {item.references.partition(".")[0] for item in model.fields if item.references}
    own |= {key.reference.table for key in model.foreign_keys}
    return field.unique and field.nullable and own.isdisjoint((model.name, model.table))


def index_part(column: str, *, descending: bool, nullable: bool) -> str:
    """A column of an index, in the order that ORDER BY asks for."""
    way = " DESC" if descending else ""
    if nullable:
        way += f" NULLS {'LAST' if descending else 'FIRST'}"
    return column + way


def index_columns(operation: AlterTable, index: Index) -> tuple[str, ...]:
    """The columns of an index of the model."""
    by_name = operation.model.by_name
    return tuple(by_name[name].column if name in by_name else name for name in index.columns)


def kept_indexes(operation: AlterTable) -> list[tuple[TableIndex, Index]]:
    """The indexes of the table that the model has too, and no step drops."""
    renamed = {
        step.before: step.field.column for step in operation.steps if isinstance(step, RenameColumn)
    }
    dropped = {step.name for step in operation.steps if isinstance(step, DropIndex)}
    wanted = {
        (
            index_columns(operation, index),
            index.unique,
            frozenset(
                column
                for name, column in zip(index.columns, index_columns(operation, index), strict=True)
                if name in index.descending
            ),
            index.where is not None,
        ): index
        for index in operation.model.all_indexes
    }
    result = []
    for stored in operation.before.indexes:
        columns = tuple(renamed.get(name, name) for name in stored.columns)
        descending = frozenset(renamed.get(name, name) for name in stored.descending)
        index = wanted.get((columns, stored.unique, descending, stored.where is not None))
        if index is not None and stored.name not in dropped and not stored.constraint:
            result.append((stored, index))
    return result


def present_name(
    compiler: PostgresDDLCompiler, operation: AlterTable, stored: TableIndex, index: Index
) -> str:
    """What a kept index is called when columns have been renamed."""
    renamed = {step.before for step in operation.steps if isinstance(step, RenameColumn)}
    if renamed.isdisjoint(stored.columns) or not stored.name.startswith(_MADE_NAMES):
        return stored.name
    return compiler.index_name(operation.model, index)
