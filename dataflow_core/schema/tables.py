"""Tables as a database has them: what introspection reads, and what a model is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, Literal

from attrs import field, frozen

from dataflow_core.schema.model import MISSING, OnDelete, Partitions
from dataflow_core.types import FieldType

__all__ = ["OWN_TABLES", "Column", "Table", "TableCheck", "TableIndex", "TableReference"]

OWN_TABLES: Final = "dataflow_"
"""Tables whose names begin so are the project's own: discovery leaves them out."""


@frozen
class Column:
    """A column of a table or a view.

    Attributes:
        name: its name.
        native: its type in the words of the database, with sizes.
        type: the field type that its values have, with the ``storage`` that tells how they are
            kept, where that is not how this project keeps them; ``None``: no field type fits.
        problem: why no field type fits.
        nullable: whether NULL may be stored.
        default: a constant default as a Python value of the type; ``MISSING`` without one.
        default_sql: the default as the database tells it, constant or not.
        generated: ``counter`` for a key that the database counts (identity, serial,
            AUTO_INCREMENT); ``computed`` for a column that is never written.
        comment: what the database keeps as its comment.
        notes: what differs from a column of this project and may surprise: a sentence each, whose
            subject is the column and left out.
    """

    name: str
    native: str
    type: FieldType | None = None
    problem: str | None = None
    nullable: bool = True
    default: Any = MISSING
    default_sql: str | None = None
    generated: Literal["counter", "computed"] | None = None
    comment: str | None = None
    notes: tuple[str, ...] = ()


@frozen
class TableIndex:
    """An index, or what a unique constraint is kept by; the primary key is none.

    Attributes:
        name: its name.
        columns: names of columns; in their place the text of an expression.
        unique: no two rows are equal in it.
        descending: those of ``columns`` that are sorted downwards.
        expressions: whether one of ``columns`` is no column.
        where: the condition of a partial index, as the database tells it.
        constraint: it belongs to a unique constraint of that name.
        method: the kind of index, where it is not the usual one.
    """

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    descending: frozenset[str] = frozenset()
    expressions: bool = False
    where: str | None = None
    constraint: bool = False
    method: str | None = None


@frozen
class TableReference:
    """A foreign key. ``table`` has its schema in front where that is not the default one."""

    name: str | None
    columns: tuple[str, ...]
    table: str
    target: tuple[str, ...]
    on_delete: OnDelete | Literal["set_default"] = "no_action"
    on_update: OnDelete | Literal["set_default"] = "no_action"


@frozen
class TableCheck:
    """A check: its name, and its condition as the database tells it."""

    name: str | None
    sql: str


@frozen(slots=False)
class Table:
    """A table or a view.

    Attributes:
        name: its name.
        schema: the schema that it is in; ``None`` for the default one of the connection.
        kind: ``table`` or ``view``.
        columns: in order.
        primary_key: the names of its columns, in order.
        indexes: without that of the primary key, and without those that the database makes by
            itself for something else.
        foreign_keys: in the order of the table.
        checks: without those by which this project keeps a type (they are part of ``type``).
        type_checks: those, where the database keeps them apart from the column.
        triggers: their names.
        secured_by: the column by whose value this project has the database keep rows of tenants
            apart, from its owner too.
        partitions: in how many parts it is, where it is so by the hash of one column.
        notes: what was found and has no place here, a sentence each, which names what it is about.
            Nothing is left out silently.
        source: the statements that made it, its indexes and its triggers, as the database keeps
            them; empty where it keeps none.
    """

    name: str
    schema: str | None = None
    kind: Literal["table", "view"] = "table"
    columns: tuple[Column, ...] = ()
    primary_key: tuple[str, ...] = ()
    indexes: tuple[TableIndex, ...] = ()
    foreign_keys: tuple[TableReference, ...] = ()
    checks: tuple[TableCheck, ...] = ()
    type_checks: tuple[TableCheck, ...] = ()
    comment: str | None = None
    triggers: tuple[str, ...] = ()
    secured_by: str | None = None
    partitions: Partitions | None = None
    notes: tuple[str, ...] = ()
    source: tuple[str, ...] = field(default=(), eq=False, repr=False)

    @property
    def key(self) -> str:
        """What ``discover_schema`` calls it: with the schema, where that is not the default one."""
        return self.name if self.schema is None else f"{self.schema}.{self.name}"

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """The columns by name."""
        return {column.name: column for column in self.columns}

    @cached_property
    def unique_keys(self) -> tuple[tuple[str, ...], ...]:
        """The columns whose values no two rows share, the primary key first."""
        keys = [self.primary_key]
        keys += [
            index.columns
            for index in self.indexes
            if index.unique and not index.expressions and index.where is None
        ]
        return tuple(dict.fromkeys(key for key in keys if key))
