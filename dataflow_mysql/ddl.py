"""CREATE TABLE: one statement with everything, since each one commits by itself.

Unique keys and references hold whole values, so their texts stand in the row and have a greatest
length; an index that only makes things faster holds as much of a long text as it can.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import define, evolve, field

from dataflow_core.compile import BaseCompiler, Build
from dataflow_core.dialect import BaseDDLCompiler
from dataflow_core.errors import InvalidModel
from dataflow_core.operations import AlterTable, CreateTable
from dataflow_core.schema import NAME_BYTES, Field, ForeignKey, Index, Model
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Json,
    Text,
    Time,
    Uuid,
)
from dataflow_mysql.alter import UNLOCK, alter_table
from dataflow_mysql.catalogue import marked
from dataflow_mysql.columns import length_rule
from dataflow_mysql.expressions import MySQLExpressions
from dataflow_mysql.types import LONGEST_KEY, Variant, column_type, plain_type

__all__ = [
    "ENUM_CHECK",
    "LENGTH_CHECK",
    "PLAIN_INDEX",
    "TYPE_CHECK",
    "UNIQUE_INDEX",
    "MySQLDDLCompiler",
    "column_sizes",
    "constraint_name",
    "fields_of",
]

TYPE_CHECK: Final = "dataflow_type"
LENGTH_CHECK: Final = "dataflow_length"
ENUM_CHECK: Final = "dataflow_enum"
PLAIN_INDEX: Final = "dataflow_index"
UNIQUE_INDEX: Final = "dataflow_unique"

_DIGEST: Final = 10
_LOCK: Final = "SHA2(CONCAT('dataflow:', DATABASE()), 224)"
_LONGEST_COMMENT: Final = 1_024
"""The most characters of a column's comment."""
_CHARACTER: Final = 4
"""The most bytes of a character."""
LONGEST_TEXT: Final = LONGEST_KEY // _CHARACTER
"""The most characters of a text of which an index holds the whole."""
_ROW: Final = 60_000
"""The bytes of the texts in a row; the server takes 65,535 for all of it."""
_BYTES: Final[dict[type[FieldType], int]] = {Boolean: 1, Date: 3, Time: 6, Uuid: 36}
_OTHER_BYTES: Final = 8


def constraint_name(*parts: str) -> str:
    """A name of the parts, with a digest instead of its end where it is too long."""
    name = ":".join(parts)
    encoded = name.encode()
    if len(encoded) <= NAME_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:_DIGEST]
    return f"{encoded[: NAME_BYTES - _DIGEST - 1].decode(errors='ignore')}~{digest}"


@define
class _Layout:
    """How much of every text and of all bytes stands in the row; what is not here stands apart."""

    model: Model
    sizes: dict[str, int] = field(factory=dict)

    def add_key(self, fields: Sequence[Field], what: str) -> None:
        """Make room for whole values in an index; ``InvalidModel`` if there is too little."""
        for item in fields:
            if isinstance(item.type, Json):
                raise InvalidModel(
                    f"{self.model.name}.{item.name}: JSON cannot be part of {what}",
                    model=self.model.name,
                )
        open_ended = [item for item in fields if _open_ended(item.type)]
        used = sum(_key_bytes(item.type) for item in fields if item not in open_ended)
        share = (LONGEST_KEY - used) // max(len(open_ended), 1)
        if used > LONGEST_KEY or (open_ended and share < 2 * _CHARACTER):
            names = ", ".join(item.name for item in fields)
            raise InvalidModel(
                f"{self.model.name}: {what} of {names} takes {used} bytes, and an index at most"
                f" {LONGEST_KEY}; a text counts 4 bytes for every character of its max_length",
                model=self.model.name,
                limit=LONGEST_KEY,
            )
        for item in fields:
            if item in open_ended:
                unit = _CHARACTER if isinstance(plain_type(item.type), Text) else 1
                known = self.sizes.get(item.column, LONGEST_KEY)
                self.sizes[item.column] = min(known, share // unit)
            elif _long(item.type):
                self.sizes[item.column] = _key_bytes(item.type) // _CHARACTER

    def add_texts(self) -> None:
        """Put further texts of a greatest length into the row, the short ones first."""
        used = sum(size * _CHARACTER for size in self.sizes.values())
        texts = [(_length(item.type), item.column) for item in self.model.fields]
        for length, column in sorted((n, c) for n, c in texts if n is not None):
            used += (length + 1) * _CHARACTER
            if column not in self.sizes and length < LONGEST_TEXT and used <= _ROW:
                self.sizes[column] = length + 1


def _long(kind: FieldType) -> bool:
    return isinstance(plain_type(kind), Text | Binary)


def _length(kind: FieldType) -> int | None:
    """The greatest length of a text; that of an enumeration's values."""
    plain = plain_type(kind)
    if not isinstance(plain, Text):
        return None
    if isinstance(kind, Enumeration):
        return max((len(value) for value in kind.values), default=0)
    return plain.max_length


def _open_ended(kind: FieldType) -> bool:
    """Whether an index gives a text, or bytes, the room that it has left."""
    length = _length(kind)
    return _long(kind) and (length is None or length >= LONGEST_TEXT)


def _key_bytes(kind: FieldType) -> int:
    """What a value takes of an index; a text has one character to spare."""
    length = _length(kind)
    if length is not None:
        return (length + 1) * _CHARACTER
    if isinstance(kind, Decimal):
        return kind.precision // 2 + 2
    return _BYTES.get(type(kind), _OTHER_BYTES)


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
            self.index_line(model, index, sizes)
            for index in model.all_indexes
            if index.unique or self.can_index(model, index)
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
        if index.name is not None:
            return constraint_name(index.name)
        signs = ["-" if name in index.descending else "" for name in index.columns]
        columns = [item.column for item in fields_of(model, index.columns)]
        listed = ",".join(sign + column for sign, column in zip(signs, columns, strict=True))
        prefix = UNIQUE_INDEX if index.unique else PLAIN_INDEX
        return constraint_name(prefix, model.table, listed)

    def can_index(self, model: Model, index: Index) -> bool:
        """Whether the server makes an index that only makes things faster: none of JSON."""
        return not any(isinstance(item.type, Json) for item in fields_of(model, index.columns))

    def index_line(self, model: Model, index: Index, sizes: dict[str, int]) -> str:
        """The line of an index."""
        fields = fields_of(model, index.columns)
        prefix = None if index.unique else _prefix(fields, sizes)
        parts = [
            self.compiler.quote(item.column)
            + (f"({prefix[item.column]})" if prefix and item.column in prefix else "")
            + (" DESC" if name in index.descending else "")
            for name, item in zip(index.columns, fields, strict=True)
        ]
        word = "UNIQUE KEY" if index.unique else "KEY"
        return f"{word} {self.compiler.quote(self.index_name(model, index))} ({', '.join(parts)})"

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


def fields_of(model: Model, names: Iterable[str]) -> list[Field]:
    """The fields of the names, which are those of fields or of columns."""
    by_column = {field.column: field for field in model.fields}
    return [model.by_name.get(name) or by_column[name] for name in names]


def column_sizes(model: Model, foreign_keys: Iterable[ForeignKey]) -> dict[str, int]:
    """The characters or bytes of every column whose values stand in the row."""
    layout = _Layout(model)
    if model.primary_key:
        layout.add_key(model.primary_key, "the primary key")
    for key in model.unique_keys:
        layout.add_key(fields_of(model, key), "a unique key")
    for reference in foreign_keys:
        layout.add_key(fields_of(model, reference.columns), "a reference")
    layout.add_texts()
    return layout.sizes


def _unchecked(model: Model, keys: Iterable[ForeignKey]) -> list[Field]:
    """What a reference may set to NULL: it takes no check; the key that it leads to has them."""
    return [
        item
        for key in keys
        if key.reference.on_delete == "set_null"
        for item in fields_of(model, key.columns)
    ]


def _prefix(fields: Sequence[Field], sizes: dict[str, int]) -> dict[str, int]:
    """How many characters or bytes of long columns go into an index; nothing if all fits."""
    long = [item for item in fields if _long(item.type)]
    units = {
        item.column: _CHARACTER if isinstance(plain_type(item.type), Text) else 1 for item in long
    }
    whole = {item.column: sizes.get(item.column, LONGEST_KEY) * units[item.column] for item in long}
    rest = LONGEST_KEY - sum(_key_bytes(item.type) for item in fields if item not in long)
    if sum(whole.values()) <= rest and all(item.column in sizes for item in long):
        return {}
    share = rest // max(len(long), 1)
    return {
        column: min(size, share) // units[column]
        for column, size in whole.items()
        if size > share or column not in sizes
    }
