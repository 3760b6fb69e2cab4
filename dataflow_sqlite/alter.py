"""Changing tables: by ALTER TABLE where SQLite has a word for it, else by making the table anew.

A table made anew keeps its rows with their numbers, the counter of its key, its indexes and
triggers, and whatever of it others made. Columns are renamed and dropped by SQLite itself, at the
end, so that triggers, views and references of other tables follow or the change fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from dataflow_core.errors import SchemaChangeRefused
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
    Step,
)
from dataflow_core.schema import Field, ForeignKey, Index, Model, TableIndex
from dataflow_sqlite.catalogue import BROKEN_REFERENCES, KEEP_COUNTER, REFUSE_IF_REFERRED
from dataflow_sqlite.functions.conversions import converted
from dataflow_sqlite.indexes import index_parts, stored_parts
from dataflow_sqlite.statements.parse import (
    ParsedColumn,
    ParsedTable,
    parse_table,
    statement_name,
)
from dataflow_sqlite.statements.tokens import tokens_of

if TYPE_CHECKING:
    from dataflow_sqlite.ddl import SQLiteDDLCompiler

__all__ = ["NEW_TABLE", "alter"]

NEW_TABLE: Final = "dataflow_new:"
"""What the name of a table begins with while it is made anew."""
_OF_FIELDS: Final = (RenameColumn, ChangeType, ChangeNullable, ChangeDefault, ChangeComment)
_IN_PLACE: Final = (AddColumn, DropColumn, AddIndex, DropIndex)
_CHECKED: Final = (AddForeignKey, ChangeType, ChangePrimaryKey)
_ROW_NUMBERS: Final = ("rowid", "_rowid_", "oid")
_OWN: Final = "dataflow_"
_ENFORCED: Final = (
    "others refer to the table {}, so it can only be changed while references are not enforced, and"
    " inside a transaction they are: use its model, or call db.migrate(), before the transaction"
)
_BROKEN: Final = "rows of {}, or rows that refer to it, refer to nothing"


def alter(ddl: SQLiteDDLCompiler, operation: AlterTable) -> tuple[str, ...]:
    """The statements that change a table, in order."""
    return tuple(_Change(ddl, operation).statements())


@frozen
class _Change:
    ddl: SQLiteDDLCompiler
    operation: AlterTable
    parsed: ParsedTable = field(init=False)
    former: dict[str, str] = field(init=False)
    interim: Model = field(init=False)

    @parsed.default
    def _parse(self) -> ParsedTable:
        return parse_table(self.operation.before.source[0])

    @former.default
    def _former(self) -> dict[str, str]:
        """Names that columns get -> names that they have."""
        return {step.field.column: step.before for step in self._steps(RenameColumn)}

    @interim.default
    def _interim(self) -> Model:
        """The model with the names that columns have until they are renamed."""
        model = self.operation.model
        fields = tuple(
            evolve(item, column=self.former.get(item.column, item.column)) for item in model.fields
        )
        return evolve(model, fields=fields)

    def _steps(self, *kinds: type) -> list[Any]:
        return [step for step in self.operation.steps if isinstance(step, kinds)]

    def statements(self) -> Iterator[str]:
        """All of them."""
        inline = self._inline()
        rebuilt = any(
            not isinstance(step, _IN_PLACE) and step not in inline for step in self.operation.steps
        )
        rebuilt = rebuilt or self._has_constraints_to_drop()
        table = self._quote(self.operation.before.name)
        if rebuilt:
            yield from self._rebuild()
        else:
            for step in self._steps(DropIndex):
                yield f"DROP INDEX {self._quote(step.name)}"
        for name in self._indexes_of_dropped():
            if not rebuilt:
                yield f"DROP INDEX {self._quote(name)}"
        for step in self._steps(DropColumn):
            yield f"ALTER TABLE {table} DROP COLUMN {self._quote(step.column.name)}"
        for name, before in self.former.items():
            yield f"ALTER TABLE {table} RENAME COLUMN {self._quote(before)} TO {self._quote(name)}"
        if not rebuilt:
            for step in self._steps(AddColumn):
                yield f"ALTER TABLE {table} ADD COLUMN {self._added(step.field, inline)}"
        again = self._made_again() if rebuilt else []
        for index in dict.fromkeys([*again, *(step.index for step in self._steps(AddIndex))]):
            yield self.ddl.create_index(self.operation.model, index)
        if rebuilt and self._steps(*_CHECKED):
            yield self._filled(BROKEN_REFERENCES, _BROKEN)

    # In place

    def _inline(self) -> list[Step]:
        """Steps that the line of a column that is added can hold."""
        added = {step.field.column: step.field for step in self._steps(AddColumn)}
        found: list[Step] = []
        for step in self._steps(AddForeignKey):
            item = added.get(step.key.columns[0])
            if len(step.key.columns) == 1 and item is not None and self.ddl.default(item) is None:
                found.append(step)
        table = self.operation.model.table
        names = {f"{table}_{name}_check" for name in added}
        return found + [step for step in self._steps(AddCheck) if step.check.name in names]

    def _added(self, item: Field, inline: Iterable[Any]) -> str:
        model = self.operation.model
        parts = [self.ddl.column(item, model)]
        own_check = f"{model.table}_{item.column}_check"
        for step in inline:
            if isinstance(step, AddForeignKey) and step.key.columns == (item.column,):
                line = self.ddl.foreign_key(step.key)
                parts.append(line.replace(f"FOREIGN KEY ({self._quote(item.column)}) ", "", 1))
            elif isinstance(step, AddCheck) and step.check.name == own_check:
                name = self._quote(self.ddl.check_name(model, step.check.name))
                condition = self.ddl.compiler.literal_predicate(model, step.check.filter)
                parts.append(f"CONSTRAINT {name} CHECK ({condition})")
        return " ".join(parts)

    def _dropped(self) -> set[str]:
        return {step.column.name for step in self._steps(DropColumn)}

    def _has_constraints_to_drop(self) -> bool:
        """Whether something goes that only a new table is free of."""
        dropped, before = self._dropped(), self.operation.before
        gone = {step.name for step in self._steps(DropIndex)}
        return any(
            index.constraint and (index.name in gone or dropped.issuperset(index.columns))
            for index in before.indexes
        ) or any(dropped.issuperset(key.columns) for key in before.foreign_keys)

    def _indexes_of_dropped(self) -> list[str]:
        """Indexes of nothing but columns that go."""
        dropped = self._dropped()
        gone = {step.name for step in self._steps(DropIndex)}
        return [
            index.name
            for index in self.operation.before.indexes
            if not index.constraint
            and not index.expressions
            and index.name not in gone
            and dropped.issuperset(index.columns)
        ]

    # Anew

    def _rebuild(self) -> Iterator[str]:
        before = self.operation.before
        new = NEW_TABLE + before.name
        self._refuse_same_names()
        copy = self._copy(new)
        yield self._filled(REFUSE_IF_REFERRED, _ENFORCED)
        body = ",\n  ".join([*self._columns(), *self._constraints()])
        yield f"CREATE TABLE {self._quote(new)} (\n  {body}\n) {self.parsed.tail}".rstrip()
        yield copy
        if self.ddl.counts(self.interim):
            for statement in KEEP_COUNTER:
                yield self._filled(statement)
        yield f"DROP TABLE {self._quote(before.name)}"
        # Else views and triggers that name the table would be in the way: it is not there now.
        yield "PRAGMA legacy_alter_table = ON"
        yield f"ALTER TABLE {self._quote(new)} RENAME TO {self._quote(before.name)}"
        yield "PRAGMA legacy_alter_table = OFF"
        yield from self._statements_again()

    def _refuse_same_names(self) -> None:
        there = {name.casefold() for name in self.operation.before.by_name}
        for step in self._steps(AddColumn):
            if step.field.column.casefold() in there:
                raise SchemaChangeRefused(
                    f"{step.field.column} of {self.operation.before.name} is renamed or dropped,"
                    " and another column takes its name: make that two changes"
                )

    def _filled(self, query: str, reason: str = "") -> str:
        name = self.operation.before.name
        return query.format(
            reason=self._literal(reason.format(name)),
            table=self._literal(name),
            new=self._literal(NEW_TABLE + name),
        )

    def _is_ours(self, column: ParsedColumn) -> bool:
        """Whether the model says what the column is, and not the text of the table."""
        touched = {self._old(step.field.column) for step in self._steps(*_OF_FIELDS)}
        if self._steps(ChangePrimaryKey):
            touched |= {item.column for item in self.interim.primary_key}
            touched |= set(self.operation.before.primary_key)
        named = {item.column for item in self.interim.fields}
        own = any((item.name or "").startswith(_OWN) for item in column.constraints)
        return column.name in named and (own or column.name in touched)

    def _old(self, column: str) -> str:
        return self.former.get(column, column)

    def _columns(self) -> Iterator[str]:
        dropped = self._dropped()
        fields = zip(self.interim.fields, self.operation.model.fields, strict=True)
        by_name = {interim.column: (interim, item.column) for interim, item in fields}
        for column in self.parsed.columns:
            if column.name in dropped:
                native = self.operation.before.by_name[column.name].native
                yield f"{self._quote(column.name)} {native}"
            elif self._is_ours(column):
                interim, called = by_name[column.name]
                yield self.ddl.column_line(interim, self.interim, called)
            else:
                yield column.text
        for step in self._steps(AddColumn):
            yield self.ddl.column(step.field, self.interim)

    def _constraints(self) -> Iterator[str]:
        """The constraints of the table: those of the model, and what others made."""
        dropped = self._dropped()
        kept = [
            column
            for column in self.parsed.columns
            if column.name not in dropped and not self._is_ours(column)
        ]
        key = self.ddl.primary_key(self.interim)
        if key is not None and not _holds(kept, "PRIMARY"):
            yield key
        within = {column.name for column in kept if _holds([column], "UNIQUE")}
        gone = {step.name for step in self._steps(DropIndex)}
        for index in self.operation.before.indexes:
            alone = len(index.columns) == 1 and index.columns[0] in within
            if not index.constraint or index.name in gone or alone:
                continue
            if not dropped.issuperset(index.columns):
                yield self._unique(index)
        yield from self._foreign_keys(kept)
        yield from self._checks(kept)

    def _unique(self, index: TableIndex) -> str:
        for item in self.parsed.constraints:
            if item.kind == "UNIQUE" and item.columns == index.columns:
                return item.text
        return f"UNIQUE ({self.ddl.quoted(index.columns)})"

    def _foreign_keys(self, kept: list[ParsedColumn]) -> Iterator[str]:
        for key in self.operation.foreign_keys:
            yield self.ddl.foreign_key(self._interim_key(key))
        dropped = self._dropped()
        replaced = {_folded(map(self._old, key.columns)) for key in self.operation.foreign_keys}
        replaced |= {_folded(step.columns) for step in self._steps(DropForeignKey)}
        inside = [item for column in kept for item in column.constraints]
        for item in self.parsed.foreign_keys:
            if item in inside or _folded(item.columns) in replaced:
                continue
            if not dropped.issuperset(item.columns):
                yield item.as_of_table(self.ddl.quoted(item.columns))

    def _interim_key(self, key: ForeignKey) -> ForeignKey:
        reference = key.reference
        if reference.table == self.operation.model.table:
            reference = evolve(reference, columns=tuple(map(self._old, reference.columns)))
        return evolve(key, columns=tuple(map(self._old, key.columns)), reference=reference)

    def _checks(self, kept: list[ParsedColumn]) -> Iterator[str]:
        model, interim = self.operation.model, self.interim
        names = {name for name, _ in self.ddl.checks(model)}
        for (name, _), (_, condition) in zip(
            self.ddl.checks(model), self.ddl.checks(interim), strict=True
        ):
            yield f"CONSTRAINT {self._quote(name)} CHECK ({condition})"
        names |= {step.name for step in self._steps(DropCheck)}
        dropped = self._dropped()
        moved = [
            item
            for column in self.parsed.columns
            if column not in kept and column.name not in dropped
            for item in column.checks()
            if not (item.name or "").startswith(_OWN)
        ]
        for item in (*moved, *self.parsed.constraints):
            if item.kind == "CHECK" and item.name not in names:
                yield item.text

    def _copy(self, new: str) -> str:
        before = self.operation.before
        changes = {self._old(step.field.column): step for step in self._steps(ChangeType)}
        names, values = [], []
        taken = {column.casefold() for column in before.by_name}
        number = next((name for name in _ROW_NUMBERS if name not in taken), None)
        words = [token.word for token in tokens_of(self.parsed.tail)]
        if number is not None and "WITHOUT" not in words and not self.ddl.counts(self.interim):
            names.append(number)
            values.append(number)
        for column in before.columns:
            if column.generated == "computed":
                continue
            step = changes.get(column.name)
            names.append(self._quote(column.name))
            values.append(self._quote(column.name) if step is None else self._converted(step))
        return (
            f"INSERT INTO {self._quote(new)} ({', '.join(names)})"
            f" SELECT {', '.join(values)} FROM {self._quote(before.name)}"
        )

    def _converted(self, step: ChangeType) -> str:
        column, target = step.before, step.field.type
        name = self._quote(self._old(step.field.column))
        sql = None if column.type is None else converted(name, column.type, target)
        if sql is None:
            source = column.native if column.type is None else column.type.name
            raise SchemaChangeRefused(
                f"{self.operation.before.name}.{column.name} is {column.native} ({source}), and its"
                f" values cannot be made {target.name} ({self.ddl.column_type(target)}):"
                " add another column and fill it"
            )
        return sql

    # Indexes and triggers

    def _made_again(self) -> list[Index]:
        """Indexes of the model that the table had, under the names that they have now."""
        parts = {
            index_parts(index, self.interim): index for index in self.operation.model.all_indexes
        }
        return [parts[key] for key in map(stored_parts, self._own_indexes()) if key in parts]

    def _own_indexes(self) -> list[TableIndex]:
        gone = {step.name for step in self._steps(DropIndex)}
        return [
            index
            for index in self.operation.before.indexes
            if not index.constraint and index.name.startswith(_OWN) and index.name not in gone
        ]

    def _statements_again(self) -> Iterator[str]:
        parts = {index_parts(index, self.interim) for index in self.operation.model.all_indexes}
        again = {index.name for index in self._own_indexes() if stored_parts(index) in parts}
        again |= {step.name for step in self._steps(DropIndex)}
        again |= set(self._indexes_of_dropped())
        for statement in self.operation.before.source[1:]:
            kind, name = statement_name(statement)
            if kind == "TRIGGER" or name not in again:
                yield statement

    def _quote(self, name: str) -> str:
        return self.ddl.compiler.quote(name)

    def _literal(self, text: str) -> str:
        return self.ddl.compiler.literal(text, None)


def _holds(columns: Iterable[ParsedColumn], kind: str) -> bool:
    return any(item.kind == kind for column in columns for item in column.constraints)


def _folded(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name.casefold() for name in names)
