"""From a table that is there to a model, and to the plain document of ``discover_schema``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from dataflow_core.errors import InvalidModel
from dataflow_core.naming_hints import quoted
from dataflow_core.schema.model import (
    MISSING,
    Copies,
    Field,
    ForeignKey,
    Generated,
    Index,
    Model,
    Reference,
)
from dataflow_core.schema.naming import check_name, class_name
from dataflow_core.schema.tables import Column, Table
from dataflow_core.types import FieldType, Timestamp

__all__ = ["Discovered", "described_model", "described_table", "model_from_table"]

_TIMESTAMPS: Final[Mapping[str, Any]] = {"created_at": "created", "updated_at": "updated"}
_ACTIONS: Final = ("no_action", "restrict", "cascade", "set_null")


@frozen
class Discovered:
    """A model of a table, and what of the table it does not tell, a sentence each."""

    model: Model
    notes: tuple[str, ...] = ()


def model_from_table(table: Table, *, database: str = "primary", name: str = "") -> Discovered:
    """The model of a table or a view. ``InvalidModel`` with the reason, where there can be none."""
    where = f"the table {quoted(table.key)}"
    check_name(table.name, where)
    notes = list(table.notes)
    fields: list[Field] = []
    needed = ""
    key = _key(table)
    for column in table.columns:
        notes += [f"{column.name}: {note}" for note in column.notes]
        if column.type is None:
            told = ": ".join(filter(None, (column.native, column.problem)))
            notes.append(f"{column.name} is left out: {told}")
            if column.name in key:
                raise InvalidModel(f"{where}: {column.name} is part of the key: {column.problem}")
            if not column.nullable and column.default_sql is None and column.generated is None:
                needed = needed or f"{column.name} needs a value, and {column.problem}"
            continue
        fields.append(_field(column, column.type, key, where))
        if fields[-1].name != column.name:
            notes.append(f"{column.name} is the field {fields[-1].name}")
    if not fields:
        raise InvalidModel(": ".join((f"{where} has no column that can be read", *notes)))
    _refuse_same_names(fields, where)
    hindrance = "it is a view" if table.kind == "view" else ""
    if not key:
        hindrance = hindrance or "it has no key by which a row can be told from others"
    known = {field.name for field in fields}
    model = Model(
        name=check_name(name or class_name(table.name), where),
        table=table.name,
        fields=tuple(fields),
        indexes=_indexes(table, key, known),
        foreign_keys=_foreign_keys(table, known),
        database=database,
        read_only=hindrance,
        no_new_rows=needed,
        schema=table.schema,
    )
    return Discovered(model, tuple(notes))


def _key(table: Table) -> tuple[str, ...]:
    """The columns that tell a row: the primary key, or unique ones that are never NULL."""
    if table.primary_key or table.kind == "view":
        return table.primary_key
    for columns in table.unique_keys:
        if all(not table.by_name[name].nullable for name in columns if name in table.by_name):
            return columns
    return ()


def _field(column: Column, kind: FieldType, key: tuple[str, ...], where: str) -> Field:
    check_name(column.name, f"{where}, a column")
    name = column.name.replace(".", "_").lstrip("$") or "column"
    if name.startswith("__"):
        raise InvalidModel(f"{where}: no field is called {quoted(name)}")
    primary = column.name in key
    generated: Generated | None = None
    if column.generated == "computed":
        generated = "computed"
    elif column.generated == "counter":
        generated = "database" if primary and len(key) == 1 else "default"
    elif column.default_sql is not None and column.default is MISSING:
        generated = "default"
    default = column.default
    if default is None and not column.nullable:
        default = MISSING
    if isinstance(default, dict | list):
        default = Copies(default)
    managed = _TIMESTAMPS.get(name) if isinstance(kind, Timestamp) and not primary else None
    return Field(
        name=name,
        type=kind,
        column=column.name,
        nullable=column.nullable and not primary,
        default=MISSING if generated is not None else default,
        primary_key=primary,
        generated=None if managed is not None else generated,
        managed=managed,
        comment=column.comment,
    )


def _refuse_same_names(fields: list[Field], where: str) -> None:
    seen: dict[str, str] = {}
    for field in fields:
        other = seen.setdefault(field.name.casefold(), field.column)
        if other != field.column:
            raise InvalidModel(
                f"{where}: the columns {quoted(other)} and {quoted(field.column)} differ too little"
            )


def _indexes(table: Table, key: tuple[str, ...], known: set[str]) -> tuple[Index, ...]:
    return tuple(
        Index(index.columns, index.unique, index.name, index.descending)
        for index in table.indexes
        if not index.expressions
        and index.where is None
        and index.columns != key
        and known.issuperset(index.columns)
    )


def _foreign_keys(table: Table, known: set[str]) -> tuple[ForeignKey, ...]:
    return tuple(
        ForeignKey(
            key.columns,
            Reference(
                key.table,
                key.target,
                key.on_delete if key.on_delete in _ACTIONS else "no_action",
            ),
            key.name,
        )
        for key in table.foreign_keys
        if known.issuperset(key.columns)
    )


def described_table(table: Table) -> dict[str, Any]:
    """A table as ``discover_schema`` gives it."""
    unique = {index.columns for index in table.indexes if index.unique and index.where is None}
    unique.add(table.primary_key)
    return {
        "kind": table.kind,
        "columns": [
            {
                "name": column.name,
                "type": column.native,
                "field_type": None if column.type is None else column.type.name,
                "nullable": column.nullable,
                "default": column.default_sql,
                "primary_key": column.name in table.primary_key,
                "unique": (column.name,) in unique,
                "generated": column.generated,
                "comment": column.comment,
                "notes": [*column.notes, *([column.problem] if column.problem else ())],
            }
            for column in table.columns
        ],
        "primary_key": list(table.primary_key),
        "indexes": [
            {
                "name": index.name,
                "columns": list(index.columns),
                "unique": index.unique,
                "descending": sorted(index.descending),
                "where": index.where,
                "constraint": index.constraint,
                "method": index.method,
            }
            for index in table.indexes
        ],
        "foreign_keys": [
            {
                "name": key.name,
                "columns": list(key.columns),
                "references": {"table": key.table, "columns": list(key.target)},
                "on_delete": key.on_delete,
                "on_update": key.on_update,
            }
            for key in table.foreign_keys
        ],
        "checks": [{"name": check.name, "sql": check.sql} for check in table.checks],
        "triggers": list(table.triggers),
        "comment": table.comment,
        "notes": list(table.notes),
    }


def described_model(model: Model, keys: tuple[ForeignKey, ...]) -> dict[str, Any]:
    """A model as ``discover_schema(use_real_inspection=False)`` gives it: what it declares."""
    unique = {key for key in model.unique_keys if len(key) == 1}
    return {
        "kind": "table",
        "columns": [
            {
                "name": field.column,
                "type": field.type.name,
                "field_type": field.type.name,
                "nullable": field.nullable,
                "default": _shown_default(field),
                "primary_key": field.primary_key,
                "unique": (field.name,) in unique,
                "generated": field.generated,
                "comment": field.comment,
                "notes": [],
            }
            for field in model.fields
        ],
        "primary_key": [field.column for field in model.primary_key],
        "indexes": [
            {
                "name": index.name,
                "columns": [model.by_name[name].column for name in index.columns],
                "unique": index.unique,
                "descending": sorted(index.descending),
                "where": index.where,
                "constraint": False,
                "method": None,
            }
            for index in model.all_indexes
        ],
        "foreign_keys": [
            {
                "name": key.name,
                "columns": list(key.columns),
                "references": {
                    "table": key.reference.table,
                    "columns": list(key.reference.columns),
                },
                "on_delete": key.reference.on_delete,
                "on_update": "no_action",
            }
            for key in keys
        ],
        "checks": [{"name": check.name, "sql": None} for check in model.all_checks],
        "triggers": [],
        "comment": None,
        "notes": [],
    }


def _shown_default(field: Field) -> Any:
    return None if field.default is MISSING or callable(field.default) else field.default
