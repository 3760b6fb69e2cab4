"""What is asked of a database about its schema: making a table, and changing one in steps."""

from __future__ import annotations

from typing import ClassVar, Literal

from attrs import frozen

from dataflow_core.schema import Check, Field, ForeignKey, Index, Model
from dataflow_core.schema.tables import Column, Table

__all__ = [
    "AddCheck",
    "AddColumn",
    "AddForeignKey",
    "AddIndex",
    "AddRowSecurity",
    "AlterTable",
    "ChangeComment",
    "ChangeDefault",
    "ChangeNullable",
    "ChangePrimaryKey",
    "ChangeType",
    "CreateTable",
    "DropCheck",
    "DropColumn",
    "DropForeignKey",
    "DropIndex",
    "DropRowSecurity",
    "RenameColumn",
    "Safety",
    "Step",
]

Safety = Literal["additive", "tightening", "lossy"]
"""``additive``: always possible, nothing is lost. ``tightening``: fails where stored rows do not
fit, and then changes nothing. ``lossy``: stored values, or a lock before them, can be lost."""


@frozen
class CreateTable:
    """Make the table of a model, with its constraints and indexes, if it is not there.

    ``foreign_keys`` are those of the model, resolved to tables and columns.
    """

    model: Model
    foreign_keys: tuple[ForeignKey, ...] = ()


@frozen
class AddColumn:
    """Add the column of a field. Its index, its check and its reference are steps of their own."""

    field: Field
    safety: Safety = "additive"


@frozen
class RenameColumn:
    """Give the column of a field, which has the name ``before``, its present name."""

    before: str
    field: Field
    safety: ClassVar[Safety] = "additive"


@frozen
class DropColumn:
    """Remove a column and its values, with what belongs to it alone."""

    column: Column
    safety: ClassVar[Safety] = "lossy"


@frozen
class ChangeType:
    """Make the type of a column that of a field. ``before`` is the column as it is."""

    field: Field
    before: Column
    safety: Safety


@frozen
class ChangeNullable:
    """Let a column take NULL, or no longer, as the field says."""

    field: Field
    safety: Safety


@frozen
class ChangeDefault:
    """Set or drop the default of a column, as the field says."""

    field: Field
    safety: ClassVar[Safety] = "additive"


@frozen
class ChangeComment:
    """Set or drop the comment of a column, as the field says."""

    field: Field
    safety: ClassVar[Safety] = "additive"


@frozen
class ChangePrimaryKey:
    """Make the primary key that of the model. ``before`` are the columns that it has."""

    before: tuple[str, ...]
    safety: ClassVar[Safety] = "tightening"


@frozen
class AddIndex:
    """Make an index of the model. A unique one may find rows that are equal."""

    index: Index
    safety: Safety


@frozen
class DropIndex:
    """Remove an index; ``constraint``: it belongs to a unique constraint of that name."""

    name: str
    constraint: bool = False
    safety: ClassVar[Safety] = "additive"


@frozen
class AddForeignKey:
    """Make a foreign key, resolved to tables and columns."""

    key: ForeignKey
    safety: ClassVar[Safety] = "tightening"


@frozen
class DropForeignKey:
    """Remove a foreign key."""

    name: str | None
    columns: tuple[str, ...]
    safety: ClassVar[Safety] = "additive"


@frozen
class AddCheck:
    """Make a check of the model: one of its own, or that of a field."""

    check: Check
    safety: ClassVar[Safety] = "tightening"


@frozen
class DropCheck:
    """Remove a check."""

    name: str
    safety: ClassVar[Safety] = "additive"


@frozen
class AddRowSecurity:
    """Have the database show and take the rows only whose field has the tenant in force."""

    field: Field
    safety: ClassVar[Safety] = "additive"


@frozen
class DropRowSecurity:
    """Let the database show and take the rows of all tenants: a lock goes, though no value."""

    column: str
    safety: ClassVar[Safety] = "lossy"


Step = (
    AddColumn
    | RenameColumn
    | DropColumn
    | ChangeType
    | ChangeNullable
    | ChangeDefault
    | ChangeComment
    | ChangePrimaryKey
    | AddIndex
    | DropIndex
    | AddForeignKey
    | DropForeignKey
    | AddCheck
    | DropCheck
    | AddRowSecurity
    | DropRowSecurity
)


@frozen
class AlterTable:
    """Change a table in steps, in their order, to what the model says.

    Attributes:
        model: the model as it is now.
        before: the table as it is in the database.
        steps: what differs; the table may keep columns that the model does not have.
        foreign_keys: all foreign keys of the model, resolved.
    """

    model: Model
    before: Table
    steps: tuple[Step, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
