"""CREATE TABLE and CREATE INDEX in the words of the SQL standard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Final

from dataflow_core.compile import BaseCompiler
from dataflow_core.dialect.alter import STEPS, RenderStep
from dataflow_core.operations import AlterTable, CreateTable
from dataflow_core.schema import MISSING, Field, ForeignKey, Index, Model
from dataflow_core.schema.definition import digest_of
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

__all__ = ["BaseDDLCompiler", "indexed"]

_ON_DELETE: Final = {
    "no_action": "",
    "restrict": " ON DELETE RESTRICT",
    "cascade": " ON DELETE CASCADE",
    "set_null": " ON DELETE SET NULL",
}


def _integer(kind: Any) -> str:
    return "BIGINT" if kind.bits > 32 else "INTEGER"


def _text(kind: Any) -> str:
    return "VARCHAR" if kind.max_length is None else f"VARCHAR({kind.max_length})"


class BaseDDLCompiler:
    """Compiles schema operations. Stateless; a dialect replaces tables or small methods."""

    transactional: bool = True
    """Whether these statements take part in a transaction; if not, they commit it."""
    lock: str | None = None
    """The statement after which nobody else changes tables; ``None``: none is needed."""
    unlock: str | None = None
    """The statement that gives the lock back; ``None``: it ends with the transaction."""
    before_change: tuple[str, ...] = ()
    """What is sent before a table is changed, outside of the transaction that changes it."""
    after_change: tuple[str, ...] = ()
    """What is sent when that transaction has ended, whichever way."""
    steps: ClassVar[Mapping[type, RenderStep]] = STEPS
    """Kind of step -> the function that gives its statements."""
    types: ClassVar[Mapping[type[FieldType], str | Callable[[Any], str]]] = {
        Integer: _integer,
        Float: "DOUBLE PRECISION",
        Decimal: lambda kind: f"DECIMAL({kind.precision}, {kind.scale})",
        Boolean: "BOOLEAN",
        Text: _text,
        Binary: "BLOB",
        Timestamp: "TIMESTAMP",
        Date: "DATE",
        Time: "TIME",
        Uuid: "UUID",
        Json: "JSON",
    }
    """Field type -> the type of its column, or a function from the one to the other."""

    def __init__(self, compiler: BaseCompiler) -> None:
        self.compiler = compiler

    def compile(self, operation: CreateTable) -> tuple[str, ...]:
        """The statements, in order: what comes before the table, the table, its indexes."""
        model = operation.model
        return (
            *self.before_table(model),
            self.create_table(model, operation.foreign_keys),
            *(self.create_index(model, index) for index in self.indexes(model)),
        )

    def alter(self, operation: AlterTable) -> tuple[str, ...]:
        """The statements that change a table, in order."""
        return tuple(
            statement
            for step in operation.steps
            for statement in self.steps[type(step)](self, operation, step)
        )

    # The table

    def before_table(self, model: Model) -> list[str]:
        """What the table needs, such as a sequence."""
        return []

    def create_table(self, model: Model, foreign_keys: Iterable[ForeignKey]) -> str:
        """The statement that makes the table if it is not there."""
        lines = [self.column(field, model) for field in model.fields]
        key = self.primary_key(model)
        if key is not None:
            lines.append(key)
        lines += [
            f"UNIQUE ({self.compiler.quote(field.column)})"
            for field in model.fields
            if field.unique and not (field.primary_key and len(model.primary_key) == 1)
        ]
        lines += [self.foreign_key(key) for key in foreign_keys]
        lines += [
            f"CONSTRAINT {self.compiler.quote(name)} CHECK ({condition})"
            for name, condition in self.checks(model)
        ]
        body = ",\n  ".join(lines)
        return f"CREATE TABLE IF NOT EXISTS {self.compiler.quote(model.table)} (\n  {body}\n)"

    def primary_key(self, model: Model) -> str | None:
        """The line of the primary key; ``None`` if the column says it, or there is none."""
        if not model.primary_key:
            return None
        return f"PRIMARY KEY ({self.quoted(field.column for field in model.primary_key)})"

    def quoted(self, names: Iterable[str]) -> str:
        """Names with commas between them."""
        return ", ".join(map(self.compiler.quote, names))

    def column(self, field: Field, model: Model) -> str:
        """The line of a column."""
        parts = [self.compiler.quote(field.column), self.column_type(field.type)]
        if not field.nullable:
            parts.append("NOT NULL")
        if field.generated == "database":
            parts.append(self.generated_key(field, model))
        else:
            default = self.default(field)
            if default is not None:
                parts.append(f"DEFAULT {default}")
        return " ".join(parts)

    def column_type(self, kind: FieldType) -> str:
        """The type of a column; an enumeration has that of its values."""
        if isinstance(kind, Enumeration):
            return self.column_type(kind.base)
        entry = self.types[type(kind)]
        return entry if isinstance(entry, str) else entry(kind)

    def generated_key(self, field: Field, model: Model) -> str:
        """What makes the database count, for a key that is not given."""
        return "GENERATED BY DEFAULT AS IDENTITY"

    def default(self, field: Field) -> str | None:
        """A constant default as SQL; ``None`` where there is none, or only the client has one."""
        value = field.default
        if value is MISSING or value is None or callable(value):
            return None
        canonical = field.type.check(value, field.name)
        encode = self.compiler.codec(field.type).encode
        stored = canonical if encode is None else encode(canonical)
        return self.compiler.literal(stored, field.type)

    def checks(self, model: Model) -> list[tuple[str, str]]:
        """The checks of the table: names and conditions, which NULL passes."""
        checks = [
            (
                self.check_name(model, check.name),
                self.compiler.literal_predicate(model, check.filter),
            )
            for check in model.all_checks
        ]
        checks += [
            (self.check_name(model, f"{model.table}_{field.column}_{what}"), condition)
            for field in model.fields
            for what, condition in self.type_checks(field)
        ]
        return checks

    def check_name(self, model: Model, name: str) -> str:
        """The name of a check in the database, of its name in the model."""
        return name

    def type_checks(self, field: Field) -> list[tuple[str, str]]:
        """What a column keeps beyond its type: a word for the name of the check, the condition."""
        if not isinstance(field.type, Enumeration):
            return []
        encode = self.compiler.codec(field.type).encode
        values = [value if encode is None else encode(value) for value in field.type.values]
        listed = ", ".join(self.compiler.literal(value, field.type) for value in values)
        return [("enum", f"{self.compiler.quote(field.column)} IN ({listed})")]

    def foreign_key(self, key: ForeignKey) -> str:
        """The line of a foreign key."""
        name = "" if key.name is None else f"CONSTRAINT {self.compiler.quote(key.name)} "
        target = self.compiler.quote(key.reference.table)
        return (
            f"{name}FOREIGN KEY ({self.quoted(key.columns)})"
            f" REFERENCES {target} ({self.quoted(key.reference.columns)})"
            f"{_ON_DELETE[key.reference.on_delete]}"
        )

    # Indexes

    def indexes(self, model: Model) -> list[Index]:
        """The indexes of a model, each once, with names."""
        single = [
            Index((field.name,))
            for field in model.fields
            if field.index and not field.unique and not field.primary_key
        ]
        return list(dict.fromkeys((*single, *model.indexes)))

    def index_name(self, model: Model, index: Index) -> str:
        """The name of an index: its own, or one that no other index has."""
        if index.name is not None:
            return index.name
        return f"{'unique' if index.unique else 'index'}:{model.table}:{indexed(model, index)}"

    def create_index(self, model: Model, index: Index) -> str:
        """The statement that makes an index if it is not there."""
        quote = self.compiler.quote
        parts = ", ".join(
            quote(column) + (" DESC" if name in index.descending else "")
            for name, column in zip(index.columns, _columns(model, index), strict=True)
        )
        word = "UNIQUE INDEX" if index.unique else "INDEX"
        name = quote(self.index_name(model, index))
        rows = self.index_rows(model, index)
        return f"CREATE {word} IF NOT EXISTS {name} ON {quote(model.table)} ({parts}){rows}"

    def index_rows(self, model: Model, index: Index) -> str:
        """Which rows are in an index, if not all of them."""
        if index.where is None:
            return ""
        return f" WHERE {self.compiler.literal_predicate(model, index.where)}"


def indexed(model: Model, index: Index) -> str:
    """What an index is over, as a part of its name: its columns, and which rows."""
    columns = zip(index.columns, _columns(model, index), strict=True)
    listed = ",".join(("-" if name in index.descending else "") + item for name, item in columns)
    return listed if index.where is None else f"{listed}?{digest_of(index.where)}"


def _columns(model: Model, index: Index) -> list[str]:
    column_of = {field.name: field.column for field in model.fields}
    return [column_of.get(name, name) for name in index.columns]
