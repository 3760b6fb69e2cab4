"""Whether a row passes the checks of its table, before a database says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field

from dataflow_core.filters import (
    And,
    Bindings,
    IsNull,
    JsonPath,
    Not,
    Or,
    Predicate,
    Scope,
    matches,
    parse_filter,
    walk,
)
from dataflow_core.schema import Field, Model

__all__ = ["Rule", "rules"]


@define(eq=False)
class Rule:
    """A check of a model: its name, its filter, and the fields that it is about."""

    name: str
    document: Mapping[str, Any]
    predicate: Predicate
    values: list[Any]
    fields: frozenset[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        targets = [getattr(leaf, "target", None) for leaf in walk(self.predicate)]
        fields = [item.field if isinstance(item, JsonPath) else item for item in targets]
        self.fields = frozenset(item.name for item in fields if isinstance(item, Field))

    def passes(self, row: Mapping[str, Any]) -> bool:
        """Whether the database would take the row: what is unknown because of NULL passes."""
        return self._holds(self.predicate, row) is not False

    def _holds(self, predicate: Predicate, row: Mapping[str, Any]) -> bool | None:
        if isinstance(predicate, Not):
            return self._holds(predicate.item, row) is not True
        if isinstance(predicate, And | Or):
            found = [self._holds(item, row) for item in predicate.items]
            decided = isinstance(predicate, Or)
            if decided in found:
                return decided
            return None if None in found else not decided
        if matches(predicate, row, self.values):
            return True
        target = getattr(predicate, "target", None)
        unknown = isinstance(target, Field) and row.get(target.name) is None
        if isinstance(predicate, IsNull) or not unknown:
            return False
        return None


def rules(model: Model) -> list[Rule]:
    """The checks of a model, read."""
    found = []
    for check in model.all_checks:
        bindings = Bindings()
        predicate = parse_filter(check.filter, Scope.of(model), bindings)
        found.append(Rule(check.name, check.filter, predicate, bindings.values))
    return found
