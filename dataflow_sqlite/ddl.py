"""CREATE TABLE and CREATE INDEX, with checks that make types as strict as elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from dataflow_core.operations import CreateTable
from dataflow_core.schema import MISSING, Field, ForeignKey, Index, Model
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)
from dataflow_sqlite.types import AUTOMATIC_KEY, SCALED_PRECISION, codec, declared_type

__all__ = [
    "ENUM_CHECK",
    "LENGTH_CHECK",
    "PLAIN_INDEX",
    "TYPE_CHECK",
    "UNIQUE_INDEX",
    "SQLiteDDLCompiler",
    "literal",
    "quoted",
]

TYPE_CHECK: Final = "dataflow_type"
LENGTH_CHECK: Final = "dataflow_length"
ENUM_CHECK: Final = "dataflow_enum"
PLAIN_INDEX: Final = "dataflow_index"
UNIQUE_INDEX: Final = "dataflow_unique"

_ON_DELETE: Final = {
    "no_action": "",
    "restrict": " ON DELETE RESTRICT",
    "cascade": " ON DELETE CASCADE",
    "set_null": " ON DELETE SET NULL",
}
_STORAGE: Final[dict[type[FieldType], str]] = {
    Integer: "integer",
    Boolean: "integer",
    Float: "real",
    Text: "text",
    Binary: "blob",
    Timestamp: "text",
    Date: "text",
    Time: "text",
    Uuid: "text",
    Json: "text",
}
_TEXT_LENGTHS: Final[dict[type[FieldType], int]] = {
    Timestamp: len("2025-01-17 08:30:00.000000+00:00"),
    Date: len("2025-01-17"),
    Time: len("08:30:00.000000"),
    Uuid: len("8c0d5c2e-3f0e-4c55-9d0c-2f8a6f1f7a10"),
}


class LiteralCompiler(Protocol):
    """What is needed of the compiler of row operations."""

    def literal_predicate(self, model: Model, filter: Mapping[str, Any]) -> str:
        """A filter document over a model's fields as SQL without parameters."""
        ...


def quoted(name: str) -> str:
    """A name as an identifier."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def literal(value: Any) -> str:
    """A stored value (int, float, str or bytes) as SQL text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | bytes):
        raise TypeError(f"{type(value).__name__} is no stored value")
    if isinstance(value, str):
        escaped = value.replace("'", "''")
        return f"'{escaped}'"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    return repr(value)


class SQLiteDDLCompiler:
    """Compiles schema operations."""

    def __init__(self, compiler: LiteralCompiler) -> None:
        self.compiler = compiler

    def compile(self, operation: CreateTable) -> tuple[str, ...]:
        """The statements, in order: the table, then its indexes."""
        model = operation.model
        lines = [_column(field, model) for field in model.fields]
        if model.primary_key and not _has_automatic_key(model):
            key = _columns(field.column for field in model.primary_key)
            lines.append(f"PRIMARY KEY ({key})")
        lines += [
            f"UNIQUE ({quoted(field.column)})"
            for field in model.fields
            if field.unique and not (field.primary_key and len(model.primary_key) == 1)
        ]
        lines += [_reference(key) for key in operation.foreign_keys]
        lines += [
            f"CONSTRAINT {quoted(check.name)} CHECK"
            f" ({self.compiler.literal_predicate(model, check.filter)})"
            for check in model.checks
        ]
        lines += [
            f"CONSTRAINT {quoted(f'{model.table}_{field.column}_check')} CHECK"
            f" ({self.compiler.literal_predicate(model, field.check)})"
            for field in model.fields
            if field.check is not None
        ]
        body = ",\n  ".join(lines)
        table = f"CREATE TABLE IF NOT EXISTS {quoted(model.table)} (\n  {body}\n)"
        return (table, *_indexes(model))


def _columns(names: Iterable[str]) -> str:
    return ", ".join(quoted(name) for name in names)


def _has_automatic_key(model: Model) -> bool:
    key = model.primary_key
    return len(key) == 1 and key[0].generated == "database"


def _column(field: Field, model: Model) -> str:
    name = quoted(field.column)
    if field.primary_key and _has_automatic_key(model):
        # Without AUTOINCREMENT the ids of deleted rows would be given again.
        return f"{name} {AUTOMATIC_KEY} PRIMARY KEY AUTOINCREMENT"
    parts = [name, declared_type(field.type)]
    if not field.nullable:
        parts.append("NOT NULL")
    default = _default(field)
    if default is not None:
        parts.append(f"DEFAULT {default}")
    parts += [
        f"CONSTRAINT {quoted(f'{prefix}:{field.column}')} CHECK ({condition})"
        for prefix, condition in _checks(field)
    ]
    return " ".join(parts)


def _default(field: Field) -> str | None:
    """A constant default as SQL; others are the client's alone."""
    value = field.default
    if value is MISSING or value is None or callable(value):
        return None
    canonical = field.type.check(value, field.name)
    encode = codec(field.type).encode
    return literal(canonical if encode is None else encode(canonical))


def _checks(field: Field) -> list[tuple[str, str]]:
    """The checks of a column: what they guard and their condition, which NULL passes."""
    name = quoted(field.column)
    kind = field.type.base if isinstance(field.type, Enumeration) else field.type
    checks = [(TYPE_CHECK, _type_condition(kind, name, field.nullable))]
    if isinstance(kind, Text) and kind.max_length is not None:
        checks.append((LENGTH_CHECK, f"length({name}) <= {kind.max_length}"))
    if isinstance(field.type, Enumeration):
        values = ", ".join(literal(value) for value in field.type.values)
        checks.append((ENUM_CHECK, f"{name} IN ({values})"))
    return checks


def _type_condition(kind: FieldType, name: str, nullable: bool) -> str:
    wide = isinstance(kind, Decimal) and kind.precision > SCALED_PRECISION
    narrow = isinstance(kind, Decimal) and not wide
    storage = "integer" if narrow else "text" if wide else _STORAGE[type(kind)]
    typed = (
        f"typeof({name}) IN ('{storage}', 'null')" if nullable else f"typeof({name}) = '{storage}'"
    )
    bound = _bound(kind, name)
    if isinstance(kind, Json) and nullable:
        # json_valid is false of NULL; whatever else is computed of NULL is NULL, which passes.
        bound = f"({name} IS NULL OR {bound})"
    return typed if bound is None else f"{typed} AND {bound}"


def _bound(kind: FieldType, name: str) -> str | None:
    """What a stored value keeps beside its storage class."""
    if isinstance(kind, Integer):
        return f"{name} BETWEEN {kind.low} AND {kind.high}" if kind.bits < 64 else None
    if isinstance(kind, Boolean):
        return f"{name} IN (0, 1)"
    if isinstance(kind, Json):
        return f"json_valid({name})"
    if isinstance(kind, Decimal):
        if kind.precision > SCALED_PRECISION:
            return f"length({name}) = {kind.precision + 1}"
        limit = 10**kind.precision - 1
        return f"{name} BETWEEN {-limit} AND {limit}"
    length = _TEXT_LENGTHS.get(type(kind))
    return None if length is None else f"length({name}) = {length}"


def _reference(key: ForeignKey) -> str:
    name = f"CONSTRAINT {quoted(key.name)} " if key.name is not None else ""
    target = f"{quoted(key.reference.table)} ({_columns(key.reference.columns)})"
    action = _ON_DELETE[key.reference.on_delete]
    return f"{name}FOREIGN KEY ({_columns(key.columns)}) REFERENCES {target}{action}"


def _indexes(model: Model) -> list[str]:
    column_of = {field.name: field.column for field in model.fields}
    single = [
        Index((field.name,))
        for field in model.fields
        if field.index and not field.unique and not field.primary_key
    ]
    statements = []
    for index in dict.fromkeys((*single, *model.indexes)):
        columns = [column_of.get(name, name) for name in index.columns]
        parts = ", ".join(
            quoted(column) + (" DESC" if name in index.descending else "")
            for name, column in zip(index.columns, columns, strict=True)
        )
        word = "UNIQUE INDEX" if index.unique else "INDEX"
        name = index.name or _index_name(model.table, index, columns)
        statements.append(
            f"CREATE {word} IF NOT EXISTS {quoted(name)} ON {quoted(model.table)} ({parts})"
        )
    return statements


def _index_name(table: str, index: Index, columns: list[str]) -> str:
    """A name that no other index has: in SQLite all indexes of a database share one namespace."""
    prefix = UNIQUE_INDEX if index.unique else PLAIN_INDEX
    signs = ["-" if name in index.descending else "" for name in index.columns]
    listed = ",".join(sign + column for sign, column in zip(signs, columns, strict=True))
    return f"{prefix}:{table}:{listed}"
