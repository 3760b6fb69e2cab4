"""What a document is read against: the fields in sight, the values bound so far, the limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from dataflow_core.errors import LimitExceeded, UnknownField
from dataflow_core.filters.ast import Slot
from dataflow_core.limits import LIMITS, Limits
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema import Field, Model
from dataflow_core.schema.relation_names import Relation, Relations
from dataflow_core.types import FieldType

__all__ = ["Bindings", "Scope"]


@define
class Bindings:
    """The values of one operation in the order of their slots, and what they count up to."""

    values: list[Any] = field(factory=list)
    limits: Limits = LIMITS
    leaves: int = 0
    list_values: int = 0
    stages: int = 0

    def slot(self, value: Any, kind: FieldType) -> Slot:
        """Bind a single value."""
        self.values.append(value)
        return Slot(len(self.values) - 1, kind)

    def list_slot(self, items: list[Any], kind: FieldType) -> Slot:
        """Bind a list; its length class is part of the shape."""
        self.values.append(items)
        return Slot(len(self.values) - 1, kind, 1 << (len(items) - 1).bit_length())

    def count_leaf(self, where: str) -> None:
        """Count one more leaf; refuse beyond the limit."""
        self.leaves += 1
        if self.leaves > self.limits.filter_leaves:
            raise LimitExceeded(
                f"{where}: the filter has more than {self.limits.filter_leaves} conditions",
                limit=self.limits.filter_leaves,
            )

    def count_list(self, count: int, where: str) -> None:
        """Count the values of a list; refuse beyond the limit."""
        self.list_values += count
        if self.list_values > self.limits.in_values:
            raise LimitExceeded(
                f"{where}: the lists of the filter hold more than {self.limits.in_values} values",
                limit=self.limits.in_values,
            )


@frozen
class Scope:
    """The fields that names are looked up in, and the name of what has them (for messages).

    ``relations`` are those of the model's database, where names may lead to other models;
    ``model`` is the one whose rows the fields are of.
    """

    name: str
    fields: Mapping[str, Field]
    model: Model | None = None
    relations: Relations | None = None

    @classmethod
    def of(cls, model: Model, relations: Relations | None = None) -> Scope:
        """The fields of a model."""
        return cls(model.name, model.by_name, model, relations)

    @property
    def related(self) -> Mapping[str, Relation]:
        """The relations by name; a field of the same name goes before."""
        if self.model is None or self.relations is None:
            return {}
        return self.relations.of(self.model)

    def across(self, relation: Relation) -> Scope:
        """The scope of the rows that a relation leads to."""
        return Scope.of(relation.target, self.relations)

    def field(self, name: Any) -> Field:
        """The field called ``name``; ``UnknownField`` with the nearest otherwise."""
        found = self.fields.get(name) if isinstance(name, str) else None
        if found is None:
            if self.model is not None and self.relations is not None:
                self.relations.refuse_ambiguous(self.model, name, self.name)
            known = (*self.fields, *self.related)
            raise UnknownField(
                f"{self.name} has no field {quoted(name)}",
                suggestion=nearest(name, known) if isinstance(name, str) else None,
                model=self.name,
                fields=list(self.fields),
            )
        return found
