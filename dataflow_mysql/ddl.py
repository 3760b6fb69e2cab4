"""CREATE TABLE: one statement with everything, since each one commits by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import evolve

from dataflow_core.compile import BaseCompiler, Build
from dataflow_core.dialect import BaseDDLCompiler
from dataflow_core.errors import InvalidModel
from dataflow_core.operations import AlterTable, CreateTable
from dataflow_core.schema import Field, ForeignKey, Index, Model
from dataflow_core.types import Boolean, Decimal, FieldType, Json
from dataflow_mysql.alter import UNLOCK, alter_table
from dataflow_mysql.catalogue import marked
from dataflow_mysql.columns import length_rule
from dataflow_mysql.expressions import MySQLExpressions
from dataflow_mysql.indexes import (
    column_sizes,
    constraint_name,
    fields_of,
    index_name,
    marker_name,
    prefixes,
)
from dataflow_mysql.types import Variant, column_type, plain_type

__all__ = ["ENUM_CHECK", "LENGTH_CHECK", "TYPE_CHECK", "MySQLDDLCompiler"]

TYPE_CHECK: Final = "dataflow_type"
LENGTH_CHECK: Final = "dataflow_length"
ENUM_CHECK: Final = "dataflow_enum"

_LOCK: Final = "SHA2(CONCAT('dataflow:', DATABASE()), 224)"
_LONGEST_COMMENT: Final = 1_024
"""The most characters of a column's comment."""


class MySQLDDLCompiler(BaseDDLCompiler):
    """Compiles schema operations."""

    transactional = False
    # The name of a lock has at most 64 characters.
    lock = f"SELECT GET_LOCK({_LOCK}, 60)"
    unlock = f"SELECT RELEASE_LOCK({_LOCK})"
    after_change = (UNLOCK,)

    @property
    def variant(self) -> Variant:
        """What differs from one server to the next."""
        compiler: BaseCompiler = self.compiler
        assert isinstance(compiler, MySQLExpressions)
        return compiler.variant

    def compile(self, operation: CreateTable) -> tuple[str, ...]:
        """One statement: a table is there with all that belongs to it, or not at all."""
        return (self.create_table(operation.model, operation.foreign_keys),)

    def create_table(self, model: Model, foreign_keys: Iterable[ForeignKey]) -> str:
        """The statement that makes the table if it is not there."""
        keys = list(foreign_keys)
        if keys:
            Build(self.compiler).need("constraints.foreign_key")
        if model.checks or any(field.check is not None for field in model.fields):
            Build(self.compiler).need("constraints.check")
        sizes = column_sizes(model, keys)
        lines = [self.column_line(model, item, sizes, keys) for item in model.fields]
        key = self.primary_key(model)
        if key is not None:
            lines.append(key)
        lines += [
            line
            for index in model.all_indexes
            if index.unique or self.can_index(model, index)
            for line in self.index_lines(model, index, sizes)
        ]
        lines += [self.reference(model, key) for key in keys]
        lines += [
            f"CONSTRAINT {self.compiler.quote(name)} CHECK ({condition})"
            for name, condition in self._all_checks(model, sizes, keys)
        ]
        body = ",\n  ".join(lines)
        return (
            f"CREATE TABLE IF NOT EXISTS {self.compiler.quote(model.table)} (\n  {body}\n)"
            f" ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE {self.variant.collation}"
        )

    def alter(self, operation: AlterTable) -> tuple[str, ...]:
        """One statement that does all the steps, since each one commits by itself."""
        return alter_table(self, operation)

    def sizes(self, model: Model, keys: Iterable[ForeignKey]) -> dict[str, int]:
        """The characters or bytes of every column whose values stand in the row."""
        return column_sizes(model, keys)

    # Columns

    def column(self, field: Field, model: Model) -> str:
        """The line of a column."""
        return self.column_line(model, field, column_sizes(model, ()), ())

    def column_type(self, kind: FieldType) -> str:
        """The type of a column that is in no index."""
        return column_type(kind, self.variant)

    def column_line(
        self, model: Model, field: Field, sizes: dict[str, int], keys: Sequence[ForeignKey]
    ) -> str:
        """The line of a column, with a size for text that stands in the row."""
        kind, size = plain_type(field.type), sizes.get(field.column)
        if isinstance(kind, Decimal) and kind.scale > self.variant.scale:
            raise InvalidModel(
                f"{field.name}: the server keeps at most {self.variant.scale} digits after the"
                f" point, not {kind.scale}",
                limit=self.variant.scale,
            )
        parts = [self.compiler.quote(field.column), column_type(kind, self.variant, size)]
        parts.append("NULL" if field.nullable else "NOT NULL")
        if field.generated == "database":
            parts.append("AUTO_INCREMENT")
        else:
            default = self.default(field)
            if default is not None:
                # In brackets: a plain literal is not taken for every type.
                parts.append(f"DEFAULT ({default})")
        comment = marked(field.comment, field.type if field in _unchecked(model, keys) else None)
        if len(comment) > _LONGEST_COMMENT:
            raise InvalidModel(
                f"{model.name}.{field.name}: the comment takes {len(comment)} characters, and the"
                f" server keeps at most {_LONGEST_COMMENT}",
                model=model.name,
                limit=_LONGEST_COMMENT,
            )
        if comment:
            quoted = comment.replace("'", "''")
            parts.append(f"COMMENT '{quoted}'")
        return " ".join(parts)

    def reference_name(self, key: ForeignKey, model: Model) -> str:
        """The name of a reference, which no other one of the database has."""
        return constraint_name(model.table, key.name or f"reference:{','.join(key.columns)}")

    def reference(self, model: Model, key: ForeignKey) -> str:
        """The line of a reference; what nothing is said of, one server takes for RESTRICT."""
        line = self.foreign_key(evolve(key, name=self.reference_name(key, model)))
        action = " ON DELETE NO ACTION" if key.reference.on_delete == "no_action" else ""
        return f"{line}{action} ON UPDATE NO ACTION"

    # Indexes

    def index_name(self, model: Model, index: Index) -> str:
        """The name of an index of the table."""
        return index_name(model, index)

    def can_index(self, model: Model, index: Index) -> bool:
        """Whether the server makes an index that only makes things faster: none of JSON."""
        return not any(isinstance(item.type, Json) for item in fields_of(model, index.columns))

    def index_lines(self, model: Model, index: Index, sizes: dict[str, int]) -> list[str]:
        """The line of an index; before it that of its marker, where it is a partial one."""
        fields, quote = fields_of(model, index.columns), self.compiler.quote
        prefix = {} if index.unique else prefixes(fields, sizes)
        parts = [
            quote(item.column)
            + (f"({prefix[item.column]})" if item.column in prefix else "")
            + (" DESC" if name in index.descending else "")
            for name, item in zip(index.columns, fields, strict=True)
        ]
        lines, name = [], index_name(model, index)
        if index.where is not None:
            marker = quote(marker_name(name))
            condition = self.compiler.literal_predicate(model, index.where)
            lines.append(
                f"{marker} TINYINT GENERATED ALWAYS AS (CASE WHEN {condition} THEN 1 END) VIRTUAL"
                f" {self.variant.invisible}"
            )
            parts.append(marker)
        word = "UNIQUE KEY" if index.unique else "KEY"
        return [*lines, f"{word} {quote(name)} ({', '.join(parts)})"]

    # Checks

    def check_name(self, model: Model, name: str) -> str:
        """The name of a check, which no other one of the database has."""
        return constraint_name(model.table, name)

    def _all_checks(
        self, model: Model, sizes: dict[str, int], keys: Sequence[ForeignKey]
    ) -> list[tuple[str, str]]:
        """Names, which no other check of the database has, and conditions."""
        compiler = self.compiler
        result = [
            (
                self.check_name(model, check.name),
                compiler.literal_predicate(model, check.filter),
            )
            for check in model.all_checks
        ]
        return result + [
            check for item in model.fields for check in self.column_checks(model, item, sizes, keys)
        ]

    def column_checks(
        self, model: Model, field: Field, sizes: dict[str, int], keys: Sequence[ForeignKey]
    ) -> list[tuple[str, str]]:
        """The checks by which a column keeps its type: names and conditions."""
        if field in _unchecked(model, keys):
            return []
        return [
            (constraint_name(prefix, model.table, field.column), condition)
            for prefix, condition in self._type_checks(field, sizes.get(field.column))
        ]

    def _type_checks(self, field: Field, size: int | None) -> list[tuple[str, str]]:
        """What a column keeps beyond its type: the first part of the check's name, the rule.

        The column of a text has one character to spare: a space too many is cut off without a
        word, and the check has to see it.
        """
        kind, name = plain_type(field.type), self.compiler.quote(field.column)
        checks = []
        if isinstance(kind, Boolean):
            checks.append((TYPE_CHECK, f"{name} IN (0, 1)"))
        if isinstance(kind, Json) and self.variant.json_check is not None:
            checks.append((TYPE_CHECK, self.variant.json_check.format(column=name)))
        length = length_rule(kind, size)
        if length is not None:
            checks.append((LENGTH_CHECK, length.format(f"CHAR_LENGTH({name})")))
        return checks + [(ENUM_CHECK, rule) for _, rule in super().type_checks(field)]


def _unchecked(model: Model, keys: Iterable[ForeignKey]) -> list[Field]:
    """What a reference may set to NULL: it takes no check; the key that it leads to has them."""
    return [
        item
        for key in keys
        if key.reference.on_delete == "set_null"
        for item in fields_of(model, key.columns)
    ]
