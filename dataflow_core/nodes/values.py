"""What several nodes read of their parameters: keys, filters, columns."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, Final

from attrs import define, field

from dataflow_core.errors import (
    ConflictingParameters,
    FilterRequired,
    InvalidType,
    InvalidValue,
    MissingParameter,
)
from dataflow_core.expressions.parse import parse_test
from dataflow_core.filters.ast import Always, And, Compare, Predicate, Slot
from dataflow_core.filters.parse import parse_filter
from dataflow_core.filters.plain import PlainFilters
from dataflow_core.filters.scope import Bindings, Scope
from dataflow_core.limits import LIMITS, Limits
from dataflow_core.naming_hints import quoted
from dataflow_core.operations import Find
from dataflow_core.schema import Field, Model
from dataflow_core.schema.naming import snake_case
from dataflow_core.schema.relation_names import Relations
from dataflow_core.types import Integer

__all__ = [
    "POLICY_PARAMETERS",
    "Selector",
    "boolean",
    "count_of",
    "fixes_unique_key",
    "refuse_without_policy",
]

POLICY_PARAMETERS: Final = {
    "include_deleted": "needs the model option soft_delete (plugin policies)",
    "soft_delete": "needs the model option soft_delete (plugin policies)",
    "version": "needs the model option versioned (plugin policies)",
    "tenant_id": "needs the model option multi_tenant (plugin policies)",
}
"""Parameters that are known but have no meaning on a model as it is: refused, never ignored."""


def refuse_without_policy(
    node: str, parameters: Mapping[str, Any], key: Container[str] = ()
) -> None:
    """Refuse a known parameter that cannot have an effect; ``None`` and False ask for none.

    ``key`` has the names of the key that ``parameters`` may give; one may be such a name.
    """
    if POLICY_PARAMETERS.keys().isdisjoint(parameters):
        return
    for name, reason in POLICY_PARAMETERS.items():
        value = parameters.get(name)
        if value is not None and value is not False and name not in key:
            raise InvalidValue(f"{node}: {name} {reason}", parameter=name)


@define(eq=False)
class Selector:
    """Reads which rows a node is about: ``filter``, the key by its name, or ``<model>_id``."""

    model: Model
    limits: Limits = LIMITS
    relations: Relations = field(factory=lambda: Relations(tuple))
    scope: Scope = field(init=False)
    alias: str | None = field(init=False)
    key_filter: Predicate = field(init=False)
    find_by_key: Find = field(init=False)
    _only_key: Field | None = field(init=False)
    _only_key_place: str = field(init=False, default="")
    _plain: PlainFilters = field(init=False, factory=PlainFilters)

    def __attrs_post_init__(self) -> None:
        keys = self.model.given_key
        self.scope = Scope.of(self.model, self.relations)
        self.alias = f"{snake_case(self.model.name)}_id" if len(keys) == 1 else None
        items = tuple(
            Compare(item, "eq", Slot(position, item.type)) for position, item in enumerate(keys)
        )
        self.key_filter = items[0] if len(items) == 1 else And(items)
        self.find_by_key = Find(self.model, self.model.fields, self.key_filter)
        self._only_key = keys[0] if len(keys) == 1 else None
        if self._only_key is not None:
            self._only_key_place = f"{self.model.name}.{self._only_key.name}"

    def bindings(self) -> Bindings:
        """For the values of one call."""
        return Bindings(limits=self.limits)

    def only_key(self, parameters: Mapping[str, Any]) -> tuple[Any] | None:
        """The value of the key, if that is of one field and nothing else is given: most calls."""
        key = self._only_key
        if key is None or len(parameters) != 1:
            return None
        value = parameters.get(key.name)
        return None if value is None else (key.type.check(value, self._only_key_place),)

    def key_values(self, node: str, parameters: Mapping[str, Any]) -> list[Any] | None:
        """The values of the key, if it is given; part of a key is not enough."""
        if self.alias is not None and self.alias in parameters:
            return self._aliased(node, self.alias, parameters)
        values: list[Any] = []
        missing: str | None = None
        for item in self.model.given_key:
            if item.name in parameters:
                values.append(self._checked(node, item, parameters[item.name]))
            else:
                missing = item.name
        if values and missing is not None:
            names = ", ".join(item.name for item in self.model.given_key)
            raise MissingParameter(f"{node}: {missing} is missing: the key is {names}")
        return values or None

    def _aliased(self, node: str, alias: str, parameters: Mapping[str, Any]) -> list[Any]:
        key = self.model.given_key[0]
        if key.name in parameters and key.name != alias:
            raise ConflictingParameters(f"{node}: {key.name} and {alias} are the same parameter")
        return [self._checked(node, key, parameters[alias])]

    def _checked(self, node: str, item: Field, value: Any) -> Any:
        if value is None:
            raise InvalidType(f"{node}: {item.name} is None, expected {item.type.name}")
        return item.type.check(value, f"{self.model.name}.{item.name}")

    def one(
        self, node: str, parameters: Mapping[str, Any], bindings: Bindings
    ) -> tuple[Predicate, bool]:
        """The filter of a node about one row, and whether it fixes a unique key."""
        values = self.key_values(node, parameters)
        if values is not None:
            if parameters.get("filter") is not None:
                raise ConflictingParameters(f"{node}: give the key or filter, not both")
            bindings.values.extend(values)
            return self.key_filter, True
        document = parameters.get("filter")
        if not document:
            raise FilterRequired(
                f"{node}: give the key"
                f" ({', '.join(item.name for item in self.model.given_key)}) or a filter",
                node=node,
            )
        predicate = self.filter(document, bindings)
        return predicate, fixes_unique_key(self.model, predicate)

    def many(self, node: str, parameters: Mapping[str, Any], bindings: Bindings) -> Predicate:
        """The filter of a node about many rows; an empty one needs ``allow_all=True``."""
        document = parameters.get("filter")
        allow_all = boolean(node, parameters, "allow_all", default=False)
        if not document and not allow_all:
            raise FilterRequired(
                f"{node}: an empty filter means every row; say allow_all=True if that is meant",
                node=node,
            )
        return self.filter(document or {}, bindings)

    def filter(self, document: Any, bindings: Bindings) -> Predicate:
        """A filter document, parsed."""
        if document is None:
            return Always(True)
        predicate = self._plain.known(document, bindings)
        if predicate is None:
            first, leaves = len(bindings.values), bindings.leaves
            predicate = parse_filter(document, self.scope, bindings, expression=parse_test)
            self._plain.keep(document, first, predicate, bindings.leaves - leaves)
        return predicate

    def columns(self, node: str, names: Any) -> tuple[Field, ...]:
        """The fields that ``select`` names; all without it."""
        if names is None:
            return self.model.fields
        if not isinstance(names, list | tuple) or not names:
            raise InvalidValue(f"{node}: select is a list of field names, got {quoted(names)}")
        # One more than there are fields already holds one twice, or one that is unknown.
        few = names[: len(self.model.fields) + 1]
        columns = tuple(self.model.field(name, "select") for name in few)
        if len(set(few)) != len(names):
            raise InvalidValue(f"{node}: select names a field twice")
        return columns


def fixes_unique_key(model: Model, predicate: Predicate) -> bool:
    """Whether a filter fixes all fields of a unique key to one value: at most one row matches."""
    items = predicate.items if isinstance(predicate, And) else (predicate,)
    fixed = {
        item.target.name
        for item in items
        if isinstance(item, Compare) and item.operator == "eq" and isinstance(item.target, Field)
    }
    fixed.update(item.name for item in model.context_fields)
    return any(fixed.issuperset(key) for key in model.unique_keys)


def boolean(node: str, parameters: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """A parameter that is True or False."""
    value = parameters.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InvalidType(f"{node}: {name} is True or False, got {quoted(value)}", parameter=name)
    return value


def count_of(node: str, parameters: Mapping[str, Any], name: str, *, least: int = 0) -> int | None:
    """A parameter that is a number of rows."""
    value = parameters.get(name)
    if value is None:
        return None
    number = Integer().check(value, f"{node}: {name}")
    if number < least:
        raise InvalidValue(f"{node}: {name} is {number}, expected {least} or more", parameter=name)
    return number
