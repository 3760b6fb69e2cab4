"""Unique keys and indexes: their names, and the room that they leave to the columns in them.

Unique keys and references hold whole values, so their texts stand in the row and have a greatest
length; an index that only makes things faster holds as much of a long text as it can. What is
unique among some rows only is an index with a marker: a computed column that is NULL in all others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

from attrs import define, field

from dataflow_core.dialect import indexed
from dataflow_core.errors import InvalidModel
from dataflow_core.schema import NAME_BYTES, Field, ForeignKey, Index, Model, TableReference
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
from dataflow_mysql.types import LONGEST_KEY, plain_type

__all__ = [
    "MARKER",
    "PLAIN_INDEX",
    "UNIQUE_INDEX",
    "column_sizes",
    "constraint_name",
    "fields_of",
    "index_name",
    "index_parts",
    "made_index",
    "marker_name",
    "prefixes",
]

PLAIN_INDEX: Final = "dataflow_index"
UNIQUE_INDEX: Final = "dataflow_unique"
MARKER: Final = "dataflow_where"

_DIGEST: Final = 10
_CHARACTER: Final = 4
"""The most bytes of a character."""
LONGEST_TEXT: Final = LONGEST_KEY // _CHARACTER
"""The most characters of a text of which an index holds the whole."""
_ROW: Final = 60_000
"""The bytes of the texts in a row; the server takes 65,535 for all of it."""
_BYTES: Final[dict[type[FieldType], int]] = {Boolean: 1, Date: 3, Time: 6, Uuid: 36}
_OTHER_BYTES: Final = 8
_MARKER_BYTES: Final = 1


def constraint_name(*parts: str) -> str:
    """A name of the parts, with a digest instead of its end where it is too long."""
    name = ":".join(parts)
    encoded = name.encode()
    if len(encoded) <= NAME_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:_DIGEST]
    return f"{encoded[: NAME_BYTES - _DIGEST - 1].decode(errors='ignore')}~{digest}"


def index_name(model: Model, index: Index) -> str:
    """The name of an index of the table."""
    if index.name is not None:
        return constraint_name(index.name)
    prefix = UNIQUE_INDEX if index.unique else PLAIN_INDEX
    return constraint_name(prefix, model.table, indexed(model, index))


def marker_name(index: str) -> str:
    """The column that is 1 in the rows of the partial index of a name, and NULL in all others."""
    return constraint_name(MARKER, index)


def index_parts(model: Model, index: Index) -> tuple[Any, ...]:
    """What tells one index of a model from others, in the names of columns."""
    column_of = {item.name: item.column for item in model.fields}
    columns = tuple(column_of.get(name, name) for name in index.columns)
    descending = frozenset(column_of.get(name, name) for name in index.descending)
    return columns, index.unique, descending, index.where is not None


def made_index(table: str, reference: TableReference) -> str:
    """The name of the index that the server makes for a reference, if there is no other."""
    name = str(reference.name)
    prefix = f"{table}_ibfk_"
    numbered = name.startswith(prefix) and name[len(prefix) :].isdecimal()
    return reference.columns[0] if numbered else name


@define
class _Layout:
    """How much of every text and of all bytes stands in the row; what is not here stands apart."""

    model: Model
    sizes: dict[str, int] = field(factory=dict)

    def add_key(self, fields: Sequence[Field], what: str, more: int = 0) -> None:
        """Make room for whole values in an index; ``InvalidModel`` if there is too little."""
        for item in fields:
            if isinstance(item.type, Json):
                raise InvalidModel(
                    f"{self.model.name}.{item.name}: JSON cannot be part of {what}",
                    model=self.model.name,
                )
        open_ended = [item for item in fields if _open_ended(item.type)]
        used = more + sum(_key_bytes(item.type) for item in fields if item not in open_ended)
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
    for index in model.partial_keys:
        layout.add_key(fields_of(model, index.columns), "a unique key", more=_MARKER_BYTES)
    for reference in foreign_keys:
        layout.add_key(fields_of(model, reference.columns), "a reference")
    layout.add_texts()
    return layout.sizes


def prefixes(fields: Sequence[Field], sizes: dict[str, int]) -> dict[str, int]:
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
