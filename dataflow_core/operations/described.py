"""Steps in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs

from dataflow_core.naming_hints import quoted
from dataflow_core.operations.ddl import (
    AddCheck,
    AddColumn,
    AddForeignKey,
    AddIndex,
    AddRowSecurity,
    ChangeComment,
    ChangeDefault,
    ChangeNullable,
    ChangePrimaryKey,
    ChangeType,
    DropCheck,
    DropColumn,
    DropForeignKey,
    DropIndex,
    DropRowSecurity,
    RenameColumn,
    Step,
)
from dataflow_core.types import FieldType

__all__ = ["WORDS", "described", "sized"]


def _add_index(step: AddIndex) -> str:
    kind = "unique index" if step.index.unique else "index"
    return f"add the {kind} of {', '.join(step.index.columns)}"


def _change_type(step: ChangeType) -> str:
    before = step.before.native if step.before.type is None else sized(step.before.type)
    return (
        f"change the type of {quoted(step.field.column)} from {before} to {sized(step.field.type)}"
    )


def sized(kind: FieldType) -> str:
    """A type with its sizes."""
    given = (
        f"{attribute.name}={getattr(kind, attribute.name)!r}"
        for attribute in attrs.fields(type(kind))
        if getattr(kind, attribute.name) != attribute.default
    )
    sizes = ", ".join(given)
    return f"{kind.name}({sizes})" if sizes else kind.name


WORDS: Final[dict[type, Callable[[Any], str]]] = {
    AddColumn: lambda step: f"add the column {quoted(step.field.column)} ({step.field.type.name})",
    RenameColumn: lambda step: (
        f"rename the column {quoted(step.before)} to {quoted(step.field.column)}"
    ),
    DropColumn: lambda step: f"drop the column {quoted(step.column.name)} and its values",
    ChangeType: _change_type,
    ChangeNullable: lambda step: (
        f"let {quoted(step.field.column)} {'take' if step.field.nullable else 'refuse'} NULL"
    ),
    ChangeDefault: lambda step: f"change the default of {quoted(step.field.column)}",
    ChangeComment: lambda step: f"change the comment of {quoted(step.field.column)}",
    ChangePrimaryKey: lambda step: "change the primary key",
    AddIndex: _add_index,
    DropIndex: lambda step: f"drop the index {quoted(step.name)}",
    AddForeignKey: lambda step: (
        f"add the reference of {', '.join(step.key.columns)} to {step.key.reference.table}"
    ),
    DropForeignKey: lambda step: f"drop the reference of {', '.join(step.columns)}",
    AddCheck: lambda step: f"add the check {quoted(step.check.name)}",
    DropCheck: lambda step: f"drop the check {quoted(step.name)}",
    AddRowSecurity: lambda step: f"switch on row security by {quoted(step.field.column)}",
    DropRowSecurity: lambda step: f"switch off row security by {quoted(step.column)}",
}
"""Kind of step -> what it does, in words."""


def described(steps: Iterable[Step]) -> list[str]:
    """Steps in words, one line each."""
    return [WORDS[type(step)](step) for step in steps]
