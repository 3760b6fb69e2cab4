"""CREATE TABLE and CREATE INDEX as PostgreSQL needs them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from attrs import evolve

from dataflow_core.dialect import BaseDDLCompiler, RenderStep
from dataflow_core.operations import AlterTable, CreateTable
from dataflow_core.schema import Field, ForeignKey, Index, Model, Partitions, Table
from dataflow_core.types import Enumeration, FieldType, Text
from dataflow_postgres.alter import POSTGRES_STEPS, before_steps, unsecured
from dataflow_postgres.catalogue import TENANT_POLICY, TENANT_SETTING
from dataflow_postgres.indexes import index_part, unique_by_index
from dataflow_postgres.types import column_type

__all__ = ["PostgresDDLCompiler", "constraint_name"]

_NAME_BYTES: Final = 63
_DIGEST: Final = 10
# Any number does that nothing else in the database locks.
_LOCK: Final = int.from_bytes(b"dataflow")


def constraint_name(name: str) -> str:
    """The name of a constraint or an index; a digest ends it where PostgreSQL would cut it."""
    encoded = name.encode()
    if len(encoded) <= _NAME_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:_DIGEST]
    return f"{encoded[: _NAME_BYTES - _DIGEST - 1].decode(errors='ignore')}~{digest}"


class PostgresDDLCompiler(BaseDDLCompiler):
    """Compiles schema operations."""

    steps: ClassVar[Mapping[type, RenderStep]] = POSTGRES_STEPS

    # It ends with the transaction, so it holds behind a pooler too. IF NOT EXISTS alone fails where
    # two processes make the same table at once.
    lock = f"SELECT 1 FROM PG_ADVISORY_XACT_LOCK({_LOCK})"

    def compile(self, operation: CreateTable) -> tuple[str, ...]:
        """The statements, in order: the table, its indexes, parts, comments, row security."""
        model = operation.model
        comments = (
            self.comment(model.table, field) for field in model.fields if field.comment is not None
        )
        secured = () if model.secured_by is None else self.secure(model)
        return (*super().compile(operation), *self.parts(model), *comments, *secured)

    def alter(self, operation: AlterTable) -> tuple[str, ...]:
        """The statements that change a table, in order."""
        return (*before_steps(self, operation), *super().alter(operation))

    def comment(self, table: str, field: Field) -> str:
        """The statement that sets or drops the comment of a column."""
        column = f"{self.compiler.quote(table)}.{self.compiler.quote(field.column)}"
        text = self.compiler.literal(field.comment, Text()) if field.comment else "NULL"
        return f"COMMENT ON COLUMN {column} IS {text}"

    def secure(self, model: Model) -> tuple[str, ...]:
        """The statements that keep the rows of tenants apart, from the owner of the table too."""
        assert model.secured_by is not None
        field = model.by_name[model.secured_by]
        tenant = f"NULLIF(pg_catalog.current_setting('{TENANT_SETTING}', TRUE), '')"
        if not isinstance(field.type, Text):
            tenant = f"CAST({tenant} AS {self.column_type(field.type)})"
        rows = f"({self.compiler.quote(field.column)} = {tenant})"
        names = [model.table, *_names_of_parts(model.table, model.partitions)]
        return tuple(
            sql
            # A part can be asked by its own name, and then only its own policy holds.
            for table in map(self.compiler.quote, names)
            for sql in (
                unsecured(table),
                f"CREATE POLICY {TENANT_POLICY} ON {table} USING {rows} WITH CHECK {rows}",
                f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            )
        )

    def tables(self, table: Table) -> list[str]:
        """The names of a table as it is and of its parts."""
        return [table.name, *_names_of_parts(table.name, table.partitions)]

    def parts(self, model: Model) -> list[str]:
        """The statements that make the parts of a table; a table of such a name is an error."""
        names = _names_of_parts(model.table, model.partitions)
        return [
            f"CREATE TABLE {self.compiler.quote(name)} PARTITION OF {self.compiler.table(model)}"
            f" FOR VALUES WITH (MODULUS {len(names)}, REMAINDER {place})"
            for place, name in enumerate(names)
        ]

    def create_table(self, model: Model, foreign_keys: Iterable[ForeignKey]) -> str:
        """The statement that makes the table if it is not there."""
        fields = [
            evolve(field, unique=False) if unique_by_index(field, model) else field
            for field in model.fields
        ]
        made = super().create_table(evolve(model, fields=tuple(fields)), foreign_keys)
        if model.partitions is None:
            return made
        column = model.by_name[model.partitions.by].column
        return f"{made} PARTITION BY HASH ({self.compiler.quote(column)})"

    def column_type(self, kind: FieldType) -> str:
        """The type of a column."""
        return column_type(kind)

    def check_name(self, model: Model, name: str) -> str:
        """The name of a check, not cut."""
        return constraint_name(name)

    def type_checks(self, field: Field) -> list[tuple[str, str]]:
        """What a column keeps beyond its type: a word for the name of the check, the condition."""
        checks = super().type_checks(field)
        kind = field.type.base if isinstance(field.type, Enumeration) else field.type
        if isinstance(kind, Text) and kind.max_length is not None:
            column = self.compiler.quote(field.column)
            checks.append(("length", f"CHAR_LENGTH({column}) <= {kind.max_length}"))
        return checks

    # Indexes

    def indexes(self, model: Model) -> list[Index]:
        """The indexes of a model, each once, but those that a unique constraint makes."""
        constraints = self.constraints(model)
        return [index for index in model.all_indexes if index not in constraints]

    def constraints(self, model: Model) -> set[Index]:
        """The indexes that are made by unique constraints."""
        return {
            Index((field.name,), unique=True)
            for field in model.fields
            if field.unique and not unique_by_index(field, model)
        }

    def index_name(self, model: Model, index: Index) -> str:
        """The name of an index, which no other index or table of the schema has."""
        return constraint_name(super().index_name(model, index))

    def create_index(self, model: Model, index: Index, *, absent: bool = True) -> str:
        """The statement that makes an index, in the order that ORDER BY asks for.

        With ``absent`` it does nothing if an index of the name is there.
        """
        compiler = self.compiler
        parts = [
            index_part(
                compiler.quote(field.column),
                descending=name in index.descending,
                nullable=field.nullable,
            )
            for name, field in zip(index.columns, self._indexed(model, index), strict=True)
        ]
        word = "UNIQUE INDEX" if index.unique else "INDEX"
        name = compiler.quote(self.index_name(model, index))
        table = compiler.quote(model.table)
        rows = self.index_rows(model, index)
        start = f"CREATE {word} {'IF NOT EXISTS ' if absent else ''}{name}"
        return f"{start} ON {table} ({', '.join(parts)}){rows}"

    def _indexed(self, model: Model, index: Index) -> list[Field]:
        by_column = {field.column: field for field in model.fields}
        return [model.by_name.get(name) or by_column[name] for name in index.columns]


def _names_of_parts(table: str, partitions: Partitions | None) -> list[str]:
    """The names of the parts of a table."""
    count = 0 if partitions is None else partitions.count
    return [constraint_name(f"{table}_part_{number}") for number in range(count)]
