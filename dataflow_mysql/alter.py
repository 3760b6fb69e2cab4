"""ALTER TABLE: all the steps of a change in one statement, since each one commits by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from attrs import define, field

from dataflow_core.operations import (
    AddCheck,
    AddColumn,
    AddForeignKey,
    AddIndex,
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
    RenameColumn,
)
from dataflow_core.schema import Column, Field, Index, TableCheck, TableIndex, TableReference
from dataflow_core.types import Binary, Text
from dataflow_mysql.indexes import index_parts, made_index, marker_name
from dataflow_mysql.types import column_type, plain_type, refuse_conversion

if TYPE_CHECKING:
    from dataflow_mysql.ddl import MySQLDDLCompiler

__all__ = ["UNLOCK", "alter_table"]

UNLOCK: Final = "UNLOCK TABLES"
"""Ends the lock of a table that is changed; harmless where there is none."""


def alter_table(compiler: MySQLDDLCompiler, operation: AlterTable) -> tuple[str, ...]:
    """The statements that change a table: one, under a lock if the table has to be empty.

    A reference that is replaced by another one of its name goes before, in a statement of its own:
    the server does not do both at once.
    """
    change = _Change(compiler, operation)
    clauses = change.clauses()
    table = compiler.compiler.quote(operation.before.name)
    body = ",\n  ".join(clauses)
    statements = [f"ALTER TABLE {table}\n  {body}"] if clauses else []
    if change.replaced:
        drops = ", ".join(f"DROP FOREIGN KEY {compiler.quoted([key])}" for key in change.replaced)
        statements.insert(0, f"ALTER TABLE {table} {drops}")
    return _without_rows(change, statements) if change.needs_no_rows else tuple(statements)


def _without_rows(change: _Change, statements: Sequence[str]) -> tuple[str, ...]:
    """The statements after a look that fails where there is a row; nobody adds one meanwhile.

    The server would make up values for the new column. Should something fail, the lock ends with
    ``after_change``. Under it no other table is known but those that are named too.
    """
    operation, quote = change.operation, change.compiler.compiler.quote
    table = operation.before.name
    targets = dict.fromkeys(key.reference.table for key in operation.foreign_keys)
    locks = [f"{quote(table)} WRITE", *(f"{quote(name)} READ" for name in targets if name != table)]
    return (
        f"LOCK TABLES {', '.join(locks)}",
        f"SELECT (SELECT 1 UNION ALL (SELECT 1 FROM {quote(table)} LIMIT 1))",
        *statements,
        UNLOCK,
    )


@define
class _Change:
    """What the steps come to: the columns as they will be, and what is dropped and added."""

    compiler: MySQLDDLCompiler
    operation: AlterTable
    added: dict[str, Field] = field(factory=dict)
    renamed: dict[str, str] = field(factory=dict)
    """Present names of columns by their names in the table."""
    dropped: dict[str, Column] = field(factory=dict)
    touched: set[str] = field(factory=set)
    """Columns, by their present names, whose lines are written anew."""
    indexes: list[str] = field(factory=list)
    """The names of the indexes that are dropped."""
    again: list[Index] = field(factory=list)
    """Those of them that are made anew."""
    references: list[TableReference] = field(factory=list)
    """The references that are dropped."""
    checks: list[str] = field(factory=list)
    """The names of the checks that are dropped."""
    additions: list[str] = field(factory=list)
    drops: list[str] = field(factory=list)
    replaced: list[str] = field(factory=list)
    """The names of the references that go before."""

    def __attrs_post_init__(self) -> None:
        for step in self.operation.steps:
            if isinstance(step, AddColumn):
                self.added[step.field.column] = step.field
            elif isinstance(step, RenameColumn):
                self.renamed[step.before] = step.field.column
            elif isinstance(step, DropColumn):
                self.dropped[step.column.name] = step.column
            elif isinstance(step, ChangeType):
                refuse_conversion(self.operation, step)
                self.touched.add(step.field.column)
            elif isinstance(step, ChangeNullable | ChangeDefault | ChangeComment):
                self.touched.add(step.field.column)
            elif isinstance(step, DropIndex):
                self.indexes.append(step.name)
            elif isinstance(step, DropCheck):
                self.checks.append(step.name)
            elif isinstance(step, DropForeignKey):
                self.references += [
                    key
                    for key in self.operation.before.foreign_keys
                    if key.name == step.name and key.columns == step.columns
                ]

    @property
    def needs_no_rows(self) -> bool:
        """Whether a column is added that rows have no value for."""
        return any(
            not item.nullable
            and item.generated != "database"
            and self.compiler.default(item) is None
            for item in self.added.values()
        )

    def clauses(self) -> list[str]:
        """What stands behind ALTER TABLE."""
        self._dependents_of_dropped()
        self._partial_of_renamed()
        columns = self._columns()
        self._checks()
        self._keys()
        self._indexes()
        self._references()
        return [*self.drops, *columns, *self.additions]

    def _quote(self, name: str) -> str:
        return self.compiler.compiler.quote(name)

    def _dependents_of_dropped(self) -> None:
        """What holds a dropped column goes with it; the server would cut an index instead."""
        before = self.operation.before
        for name in self.dropped:
            self.indexes += [
                index.name
                for index in before.indexes
                if (name in index.columns or self._quote(name) in (index.where or ""))
                and index.name not in self.indexes
            ]
            self.references += [
                key
                for key in before.foreign_keys
                if name in key.columns and key not in self.references
            ]
            self.checks += [
                check.name
                for check in before.checks
                if check.name is not None
                and self._quote(name) in check.sql
                and check.name not in self.checks
            ]

    def _partial_of_renamed(self) -> None:
        """Partial indexes about renamed columns are made anew: their markers name the columns."""
        for index in self.operation.before.indexes:
            own = None if index.where is None or index.name in self.indexes else self._own(index)
            about = f"{self.compiler.quoted(index.columns)} {index.where}"
            if own is not None and any(self._quote(name) in about for name in self.renamed):
                self.indexes.append(index.name)
                self.again.append(own)

    # Columns

    def _columns(self) -> list[str]:
        compiler, operation = self.compiler, self.operation
        model, keys = operation.model, operation.foreign_keys
        sizes = compiler.sizes(model, keys)
        fields = {item.column: item for item in model.fields}
        clauses = [f"DROP COLUMN {self._quote(name)}" for name in self.dropped]
        for column in self.dropped.values():
            for check in self._type_checks(column):
                self._drop_check(check)
        for column in operation.before.columns:
            name = self.renamed.get(column.name, column.name)
            item = fields.get(name)
            if item is None or column.name in self.dropped or name in self.added:
                continue
            changed = name in self.touched or self._moves(column, item, sizes)
            if changed or name != column.name:
                self._replace_type_checks(column, item, sizes)
            if changed:
                line = compiler.column_line(model, item, sizes, keys)
                word = "MODIFY COLUMN" if name == column.name else "CHANGE COLUMN"
                old = "" if name == column.name else f"{self._quote(column.name)} "
                clauses.append(f"{word} {old}{line}")
            elif name != column.name:
                clauses.append(f"RENAME COLUMN {self._quote(column.name)} TO {self._quote(name)}")
        for item in self.added.values():
            clauses.append(f"ADD COLUMN {compiler.column_line(model, item, sizes, keys)}")
            self._add_type_checks(item, sizes)
        return clauses

    def _moves(self, column: Column, item: Field, sizes: dict[str, int]) -> bool:
        """Whether a column of this project changes though no step says so.

        A text has another room where it becomes part of a key, and no check where a reference may
        set it to NULL.
        """
        model, keys = self.operation.model, self.operation.foreign_keys
        keyed = column.name in self._rekeyed()
        if keyed and (column.generated == "counter") != (item.generated == "database"):
            return True
        if column.type != item.type:
            return False
        known = {check.name for check in self._type_checks(column)}
        if not known and not keyed:
            return False
        checks = {name for name, _ in self.compiler.column_checks(model, item, sizes, keys)}
        if column.name == item.column and checks != known:
            return True
        plain = plain_type(item.type)
        if not isinstance(plain, Text | Binary):
            return False
        kind = column_type(plain, self.compiler.variant, sizes.get(item.column))
        return column.native.split()[0] != kind.split()[0].lower()

    def _rekeyed(self) -> set[str]:
        """The columns whose part in keys, indexes and references changes."""
        operation = self.operation
        result: set[str] = set()
        column_of = {item.name: item.column for item in operation.model.fields}
        for step in operation.steps:
            if isinstance(step, AddIndex):
                result.update(column_of.get(name, name) for name in step.index.columns)
            elif isinstance(step, AddForeignKey):
                result.update(step.key.columns)
            elif isinstance(step, DropForeignKey):
                result.update(step.columns)
            elif isinstance(step, ChangePrimaryKey):
                result.update(step.before)
                result.update(item.column for item in operation.model.primary_key)
        for index in operation.before.indexes:
            if index.name in self.indexes:
                result.update(index.columns)
        return result | {old for old, new in self.renamed.items() if new in result}

    def _type_checks(self, column: Column) -> list[TableCheck]:
        name = self._quote(column.name)
        return [check for check in self.operation.before.type_checks if name in check.sql]

    def _replace_type_checks(self, column: Column, item: Field, sizes: dict[str, int]) -> None:
        for check in self._type_checks(column):
            self._drop_check(check)
        self._add_type_checks(item, sizes)

    def _add_type_checks(self, item: Field, sizes: dict[str, int]) -> None:
        model, keys = self.operation.model, self.operation.foreign_keys
        self.additions += [
            f"ADD CONSTRAINT {self._quote(name)} CHECK ({condition})"
            for name, condition in self.compiler.column_checks(model, item, sizes, keys)
        ]

    # Checks

    def _drop_check(self, check: TableCheck) -> None:
        self.drops.append(f"DROP CONSTRAINT {self._quote(str(check.name))}")

    def _checks(self) -> None:
        """Drop and add checks; those over a renamed column are made anew."""
        compiler, operation = self.compiler, self.operation
        wanted = {
            compiler.check_name(operation.model, check.name): check
            for check in operation.model.all_checks
        }
        added = {
            compiler.check_name(operation.model, step.check.name): step.check
            for step in operation.steps
            if isinstance(step, AddCheck)
        }
        for check in operation.before.checks:
            name = str(check.name)
            if name in self.checks:
                self._drop_check(check)
            elif name in wanted and any(self._quote(old) in check.sql for old in self.renamed):
                self._drop_check(check)
                added[name] = wanted[name]
        for name, own in added.items():
            condition = compiler.compiler.literal_predicate(operation.model, own.filter)
            self.additions.append(f"ADD CONSTRAINT {self._quote(name)} CHECK ({condition})")

    # Keys and indexes

    def _keys(self) -> None:
        for step in self.operation.steps:
            if isinstance(step, ChangePrimaryKey):
                if step.before:
                    self.drops.append("DROP PRIMARY KEY")
                key = self.compiler.primary_key(self.operation.model)
                if key is not None:
                    self.additions.append(f"ADD {key}")

    def _indexes(self) -> None:
        compiler, operation = self.compiler, self.operation
        model = operation.model
        sizes = compiler.sizes(model, operation.foreign_keys)
        partial = {index.name for index in operation.before.indexes if index.where is not None}
        for name in self.indexes:
            self.drops.append(f"DROP INDEX {self._quote(name)}")
            if name in partial:
                self.drops.append(f"DROP COLUMN {self._quote(marker_name(name))}")
        self.additions += [
            f"ADD {line}"
            for index in self._added_indexes()
            if index.unique or compiler.can_index(model, index)
            for line in compiler.index_lines(model, index, sizes)
        ]
        for index in operation.before.indexes:
            if index.name in self.indexes or self.renamed.keys().isdisjoint(index.columns):
                continue
            own = self._own(index)
            if own is not None and (name := compiler.index_name(model, own)) != index.name:
                old, new = self._quote(index.name), self._quote(name)
                self.additions.append(f"RENAME INDEX {old} TO {new}")

    def _added_indexes(self) -> list[Index]:
        steps = self.operation.steps
        return [*(step.index for step in steps if isinstance(step, AddIndex)), *self.again]

    def _own(self, index: TableIndex) -> Index | None:
        """The index of the model that one of the table is, when columns have been renamed."""
        columns = tuple(self.renamed.get(column, column) for column in index.columns)
        down = frozenset(self.renamed.get(column, column) for column in index.descending)
        wanted, model = (columns, index.unique, down, index.where is not None), self.operation.model
        return next((own for own in model.all_indexes if index_parts(model, own) == wanted), None)

    # References

    def _references(self) -> None:
        compiler, operation = self.compiler, self.operation
        model, table = operation.model, operation.before.name
        added = [step.key for step in operation.steps if isinstance(step, AddForeignKey)]
        for key in operation.before.foreign_keys:
            if key in self.references:
                continue
            columns = tuple(self.renamed.get(name, name) for name in key.columns)
            own = next((item for item in operation.foreign_keys if item.columns == columns), None)
            if columns != key.columns and own is not None and own not in added:
                # Its name has the names of its columns.
                self.references.append(key)
                added.append(own)
            elif not self._covered(columns, kept=True) and self._covered(key.columns, kept=False):
                # It was served by an index that goes.
                name = self._quote(made_index(table, key))
                self.additions.append(f"ADD KEY {name} ({compiler.quoted(columns)})")
        names = {compiler.reference_name(key, model) for key in added}
        for key in self.references:
            if key.name in names:
                self.replaced.append(str(key.name))
                continue
            self.drops.insert(0, f"DROP FOREIGN KEY {self._quote(str(key.name))}")
            if not self._covered(key.columns, kept=False):
                self.drops.append(f"DROP INDEX {self._quote(made_index(table, key))}")
        self.additions += [f"ADD {compiler.reference(model, key)}" for key in added]

    def _covered(self, columns: Sequence[str], *, kept: bool) -> bool:
        """Whether an index of the table serves a reference; ``kept``: as it will be."""
        operation = self.operation
        return any(
            tuple(index[: len(columns)]) == tuple(columns)
            for index in (self._kept() if kept else _served(operation))
        )

    def _kept(self) -> Iterable[tuple[str, ...]]:
        operation = self.operation
        model = operation.model
        yield tuple(item.column for item in model.primary_key)
        for index in operation.before.indexes:
            if index.name not in self.indexes:
                yield tuple(self.renamed.get(column, column) for column in index.columns)
        column_of = {item.name: item.column for item in model.fields}
        for added in self._added_indexes():
            yield tuple(column_of.get(name, name) for name in added.columns)


def _served(operation: AlterTable) -> Iterable[tuple[str, ...]]:
    yield operation.before.primary_key
    yield from (index.columns for index in operation.before.indexes)
