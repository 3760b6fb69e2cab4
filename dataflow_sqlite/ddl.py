"""CREATE TABLE and CREATE INDEX, with checks that make types as strict as elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from dataflow_core.dialect import SCALED_PRECISION, BaseDDLCompiler
from dataflow_core.operations import AlterTable
from dataflow_core.schema import Field, ForeignKey, Index, Model
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
from dataflow_sqlite.alter import alter
from dataflow_sqlite.statements.tokens import comment_text
from dataflow_sqlite.types import AUTOMATIC_KEY, declared_type

__all__ = [
    "ENUM_CHECK",
    "LENGTH_CHECK",
    "PLAIN_INDEX",
    "TYPE_CHECK",
    "UNIQUE_INDEX",
    "SQLiteDDLCompiler",
]

TYPE_CHECK: Final = "dataflow_type"
LENGTH_CHECK: Final = "dataflow_length"
ENUM_CHECK: Final = "dataflow_enum"
PLAIN_INDEX: Final = "dataflow_index"
UNIQUE_INDEX: Final = "dataflow_unique"

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


class SQLiteDDLCompiler(BaseDDLCompiler):
    """Compiles schema operations."""

    before_change = ("PRAGMA foreign_keys = OFF",)
    after_change = ("PRAGMA foreign_keys = ON",)

    def alter(self, operation: AlterTable) -> tuple[str, ...]:
        """The statements that change a table, in order."""
        return alter(self, operation)

    def counts(self, model: Model) -> bool:
        """Whether the database counts the key of a model."""
        return _has_automatic_key(model)

    def primary_key(self, model: Model) -> str | None:
        """The line of the primary key, unless its column counts by itself."""
        return None if _has_automatic_key(model) else super().primary_key(model)

    def create_table(self, model: Model, foreign_keys: Iterable[ForeignKey]) -> str:
        """The statement that makes the table if it is not there."""
        lines = [self.column(field, model) for field in model.fields]
        lines += self.table_lines(model, foreign_keys)
        body = ",\n  ".join(lines)
        return f"CREATE TABLE IF NOT EXISTS {self.compiler.quote(model.table)} (\n  {body}\n)"

    def table_lines(self, model: Model, foreign_keys: Iterable[ForeignKey]) -> list[str]:
        """The constraints of the table as a whole. What is unique is kept by indexes."""
        key = self.primary_key(model)
        return [
            *([] if key is None else [key]),
            *(self.foreign_key(item) for item in foreign_keys),
            *(
                f"CONSTRAINT {self.compiler.quote(name)} CHECK ({condition})"
                for name, condition in self.checks(model)
            ),
        ]

    def column(self, field: Field, model: Model) -> str:
        """The line of a column, with the checks that make its type strict."""
        return self.column_line(field, model, field.column)

    def column_line(self, field: Field, model: Model, called: str) -> str:
        """The line of a column that will be ``called`` something, as its checks are already."""
        name = self.compiler.quote(field.column)
        kind = field.type
        automatic = field.primary_key and _has_automatic_key(model)
        parts = [name, AUTOMATIC_KEY if automatic else self.column_type(kind)]
        if field.comment:
            parts.append(comment_text(field.comment))
        if automatic:
            # Without AUTOINCREMENT the ids of deleted rows would be given again.
            parts.append("PRIMARY KEY AUTOINCREMENT")
            if isinstance(kind, Integer) and kind.bits == 64:
                return " ".join(parts)
        elif not field.nullable:
            parts.append("NOT NULL")
        default = None if automatic else self.default(field)
        if default is not None:
            parts.append(f"DEFAULT {default}")
        literals = [self.compiler.literal(value, None) for value in _values(kind)]
        parts += [
            f"CONSTRAINT {self.compiler.quote(f'{prefix}:{called}')} CHECK ({condition})"
            for prefix, condition in _checks(field, name, literals)
        ]
        return " ".join(parts)

    def column_type(self, kind: FieldType) -> str:
        """The declared type, from which ``field_type`` reads the field type again."""
        return declared_type(kind)

    def type_checks(self, field: Field) -> list[tuple[str, str]]:
        """None of the table: they stand behind their columns."""
        return []

    def indexes(self, model: Model) -> list[Index]:
        """The indexes of a model, each once; those of unique fields too: they can be dropped."""
        return list(model.all_indexes)

    def index_name(self, model: Model, index: Index) -> str:
        """A name that no other index has: all indexes of a database share one namespace."""
        if index.name is not None:
            return index.name
        prefix = UNIQUE_INDEX if index.unique else PLAIN_INDEX
        return f"{prefix}:{super().index_name(model, index).partition(':')[2]}"


def _has_automatic_key(model: Model) -> bool:
    key = model.primary_key
    return len(key) == 1 and key[0].generated == "database"


def _values(kind: FieldType) -> tuple[Any, ...]:
    return kind.values if isinstance(kind, Enumeration) else ()


def _checks(field: Field, name: str, values: list[str]) -> list[tuple[str, str]]:
    """The checks of a column: what they guard and their condition, which NULL passes."""
    kind = field.type.base if isinstance(field.type, Enumeration) else field.type
    checks = [(TYPE_CHECK, _type_condition(kind, name, field.nullable))]
    if isinstance(kind, Text) and kind.max_length is not None:
        checks.append((LENGTH_CHECK, f"length({name}) <= {kind.max_length}"))
    if values:
        checks.append((ENUM_CHECK, f"{name} IN ({', '.join(values)})"))
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
