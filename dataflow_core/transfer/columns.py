"""Which column of a file is for which field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from dataflow_core.errors import (
    InvalidFileContent,
    InvalidType,
    InvalidValue,
    MissingParameter,
    UnknownField,
)
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema import Field, Model

__all__ = ["Columns"]


@frozen
class Columns:
    """Reads the names of a file's columns. ``mapping``: column -> field; None leaves one out.

    Columns that are not mapped have the name of their field.
    """

    model: Model
    mapping: Mapping[str, str | None] = field(factory=dict)

    @classmethod
    def of(cls, node: str, model: Model, mapping: Any) -> Columns:
        """The columns by a ``mapping`` as the user gives it, checked."""
        if mapping is None:
            return cls(model)
        if not isinstance(mapping, Mapping):
            raise InvalidType(
                f"{node}: mapping is a dict of column -> field, got {quoted(mapping)}"
            )
        fields: dict[str, str] = {}
        for column, name in mapping.items():
            if not isinstance(column, str) or not (name is None or isinstance(name, str)):
                raise InvalidType(f"{node}: mapping is a dict of column -> field name, or None")
            if name is None:
                continue
            model.field(name, f"{node}: mapping")
            if name in fields:
                raise InvalidValue(f"{node}: mapping has two columns for {name}")
            fields[name] = column
        return cls(model, dict(mapping))

    def fields(self, names: Sequence[str], path: Path) -> list[Field | None]:
        """The field of each column; None where the mapping leaves it out."""
        found: list[Field | None] = []
        taken: dict[str, str] = {}
        for column in names:
            name = self.mapping.get(column, column)
            if name is None:
                found.append(None)
                continue
            item = self.model.by_name.get(name)
            if item is None:
                raise self._unknown(column, path)
            if name in taken:
                raise InvalidFileContent(
                    f"{path.name}: the columns {quoted(taken[name])} and {quoted(column)} are both"
                    f" for {self.model.name}.{name}",
                    path=str(path),
                    column=column,
                )
            taken[name] = column
            found.append(item)
        return found

    def check(self, names: Sequence[str], path: Path) -> None:
        """Refuse a table that lacks a column which is mapped, or one for a required field."""
        for column in self.mapping:
            if column not in names:
                raise InvalidFileContent(
                    f"{path.name}: there is no column {quoted(column)}, which mapping names",
                    suggestion=nearest(column, names),
                    path=str(path),
                    column=column,
                )
        given = {item.name for item in self.fields(names, path) if item is not None}
        missing = [
            item.name for item in self.model.fields if item.required and item.name not in given
        ]
        if missing:
            raise MissingParameter(
                f"{path.name}: there is no column for {self.model.name}.{missing[0]},"
                " which is required",
                parameter=missing[0],
                missing=missing,
            )

    def _unknown(self, column: str, path: Path) -> UnknownField:
        return UnknownField(
            f"{path.name}: the column {quoted(column)} is no field of {self.model.name};"
            " map it to one, or to None to leave it out",
            suggestion=nearest(column, self.model.by_name),
            path=str(path),
            column=column,
        )
