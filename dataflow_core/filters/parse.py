"""From a filter document to a tree. Everything that is not understood is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

from attrs import define

from dataflow_core.errors import InvalidFilter, LimitExceeded, UnknownOperator
from dataflow_core.filters.ast import (
    Always,
    And,
    ElementMatch,
    ExpressionTest,
    IsNull,
    JsonPath,
    Not,
    Or,
    Predicate,
    Related,
    Target,
)
from dataflow_core.filters.leaves import LEAVES, ONLY_WITH, Leaf, equality
from dataflow_core.filters.related import across
from dataflow_core.filters.scope import Bindings, Scope
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema.relation_names import Relation
from dataflow_core.types import Json, check_text
from dataflow_core.types.documents import JSON_DEPTH

__all__ = ["ExpressionParser", "parse_element_filter", "parse_filter", "target_of"]

ExpressionParser = Callable[[Any, Scope, Bindings, str], Any]
"""Parses the document under ``$expr``; given by the layer above, which knows expressions."""

_LOGIC: Final = ("$and", "$or", "$nor")


def parse_filter(
    document: Any,
    scope: Scope,
    bindings: Bindings,
    *,
    expression: ExpressionParser | None = None,
    where: str = "filter",
) -> Predicate:
    """Parse a filter document against the fields of ``scope``; values go to ``bindings``.

    Raises ``UnknownField``, ``UnknownOperator``, ``InvalidFilter``, ``InvalidType``,
    ``InvalidValue``, ``PatternRefused`` or ``LimitExceeded``.
    """
    return _Parser(scope, bindings, expression).document(document, where, 0)


def parse_element_filter(
    target: JsonPath, operand: Any, bindings: Bindings, where: str
) -> Predicate:
    """Parse a condition on the elements of an array: a value to equal, or a dict of operators."""
    return _Parser(Scope(where, {}), bindings, None)._field(target, operand, where, 0)


def target_of(name: Any, scope: Scope, where: str) -> Target:
    """The field of that name, or the place in a JSON field that a dotted name leads to."""
    if isinstance(name, str) and "." in name and name not in scope.fields:
        head, *steps = name.split(".")
        field = scope.field(head)
        if not isinstance(field.type, Json):
            raise InvalidFilter(
                f"{where}: {quoted(name)} leads into {head}, which is {field.type.name} and no JSON"
            )
        if not all(steps):
            raise InvalidFilter(f"{where}: the path {quoted(name)} has an empty step")
        if len(steps) > JSON_DEPTH:
            raise LimitExceeded(
                f"{where}: the path {quoted(name)} is longer than {JSON_DEPTH} steps",
                limit=JSON_DEPTH,
            )
        check_text(name, f"{where}: the path {quoted(name)}")
        return JsonPath(field, tuple(_step(step) for step in steps))
    field = scope.field(name)
    return JsonPath(field, ()) if isinstance(field.type, Json) else field


def _step(text: str) -> str | int:
    """A position, if it is written as one; ``01`` and what no array reaches are member names."""
    plain = text.isascii() and text.isdecimal() and len(text) < 10
    return int(text) if plain and str(int(text)) == text else text


@define
class _Parser:
    scope: Scope
    bindings: Bindings
    expression: ExpressionParser | None

    def document(self, document: Any, where: str, depth: int) -> Predicate:
        """A whole filter: field names and ``$and``, ``$or``, ``$nor``, ``$not``, ``$expr``."""
        self._check_depth(depth, where)
        if not isinstance(document, Mapping):
            raise InvalidFilter(f"{where}: a filter is a dict, got {type(document).__name__}")
        items = [self._entry(key, value, where, depth) for key, value in document.items()]
        items = [item for item in items if item != Always(True)]
        if not items:
            return Always(True)
        return items[0] if len(items) == 1 else And(tuple(items))

    def _entry(self, key: Any, value: Any, where: str, depth: int) -> Predicate:
        if not isinstance(key, str):
            raise InvalidFilter(f"{where}: a key is text, got {quoted(key)}")
        if not key.startswith("$"):
            relation = self._relation(key)
            if relation is not None:
                return self._through(relation, key, value, where, depth)
            target = target_of(key, self.scope, where)
            return self._field(target, value, f"{self.scope.name}.{quoted(key)[1:-1]}", depth)
        if key in _LOGIC:
            return self._logic(key, value, where, depth)
        if key == "$not":
            return Not(self.document(value, f"{where}.$not", depth + 1))
        if key == "$expr" and self.expression is not None:
            self.bindings.count_leaf(where)
            return ExpressionTest(
                self.expression(value, self.scope, self.bindings, f"{where}.$expr")
            )
        if key == "$comment":
            if isinstance(value, str):
                return Always(True)
            raise InvalidFilter(f"{where}: $comment is text, got {quoted(value)}")
        if key in LEAVES:
            raise InvalidFilter(
                f"{where}: {key} stands under a field: {{'name': {{{key!r}: ...}}}}"
            )
        raise _unknown(key, where, (*_LOGIC, "$not", "$expr", "$comment"))

    def _relation(self, key: str) -> Relation | None:
        """The relation that a name begins with, unless a field does."""
        head = key.partition(".")[0]
        if head in self.scope.fields or key in self.scope.fields:
            return None
        return self.scope.related.get(head)

    def _through(
        self, relation: Relation, key: str, value: Any, where: str, depth: int
    ) -> Predicate:
        """A condition on the rows that a relation leads to."""
        self._check_depth(depth, where)
        rest = key.partition(".")[2]
        inner = _Parser(self.scope.across(relation), self.bindings, self.expression)
        if rest:
            return across(relation, inner._entry(rest, value, where, depth + 1))
        here = f"{self.scope.name}.{key}"
        if not isinstance(value, Mapping):
            value = {"$eq": value}
        items = [
            self._on_rows(inner, relation, operator, operand, f"{here}.{operator}", depth)
            for operator, operand in value.items()
        ]
        if not items:
            raise InvalidFilter(f"{here}: an empty condition; write '{key}.field', or $exists")
        return items[0] if len(items) == 1 else And(tuple(items))

    def _on_rows(
        self,
        inner: _Parser,
        relation: Relation,
        operator: Any,
        operand: Any,
        where: str,
        depth: int,
    ) -> Predicate:
        """An operator on the related rows as a whole: whether there are any, or one that fits."""
        self.bindings.count_leaf(where)
        if operator == "$elemMatch" and relation.many:
            return Related(relation, inner.document(operand, where, depth + 1))
        if operator == "$not" and isinstance(operand, Mapping) and operand:
            return Not(self._through(relation, relation.name, operand, where, depth + 1))
        there = Related(relation, Always(True))
        if operator == "$exists" and isinstance(operand, bool):
            return there if operand else Not(there)
        if operator in ("$eq", "$ne") and operand is None:
            return Not(there) if operator == "$eq" else there
        known = "None, $exists, $not" + (", $elemMatch" if relation.many else "")
        raise InvalidFilter(
            f"{where}: {quoted(relation.name)} is a relation; it takes {known},"
            f" and its fields are '{relation.name}.field'"
        )

    def _logic(self, key: str, value: Any, where: str, depth: int) -> Predicate:
        if not isinstance(value, list | tuple) or not value:
            raise InvalidFilter(f"{where}: {key} takes a list of at least one filter")
        if len(value) > self.bindings.limits.filter_leaves:
            raise LimitExceeded(
                f"{where}: {key} has {len(value)} branches,"
                f" at most {self.bindings.limits.filter_leaves}"
            )
        items = tuple(
            self.document(item, f"{where}.{key}[{index}]", depth + 1)
            for index, item in enumerate(value)
        )
        if key == "$and":
            return And(items)
        return Or(items) if key == "$or" else Not(Or(items))

    def _field(self, target: Target, value: Any, where: str, depth: int) -> Predicate:
        """What stands under a field: a value to equal, or a dict of operators."""
        self._check_depth(depth, where)
        if isinstance(value, Mapping):
            # Documents may be long, dicts of operators are not.
            most = None if isinstance(target, JsonPath) else self.bindings.limits.filter_leaves
            keys = islice(value, most)
            operators = [key for key in keys if isinstance(key, str) and key.startswith("$")]
            if operators:
                if len(operators) != len(value):
                    raise InvalidFilter(
                        f"{where}: operators and plain keys are mixed: {quoted(list(value))}"
                    )
                return self._operators(target, value, where, depth)
            if not isinstance(target, JsonPath):
                raise InvalidFilter(f"{where}: expected a value or operators, got {quoted(value)}")
        self.bindings.count_leaf(where)
        if value is None:
            return IsNull(target)
        return equality(Leaf(target, where, self.bindings), value)

    def _operators(
        self, target: Target, operators: Mapping[str, Any], where: str, depth: int
    ) -> Predicate:
        items = [
            self._operator(target, key, value, operators, where, depth)
            for key, value in operators.items()
            if key not in ONLY_WITH
        ]
        for key, companion in ONLY_WITH.items():
            if key in operators and companion not in operators:
                raise InvalidFilter(f"{where}: {key} stands beside {companion} only")
        return items[0] if len(items) == 1 else And(tuple(items))

    def _operator(
        self,
        target: Target,
        key: str,
        value: Any,
        siblings: Mapping[str, Any],
        where: str,
        depth: int,
    ) -> Predicate:
        here = f"{where}.{key}"
        if key == "$not":
            if not isinstance(value, Mapping):
                raise InvalidFilter(f"{here}: takes a dict of operators, got {quoted(value)}")
            return Not(self._field(target, value, here, depth + 1))
        if key == "$elemMatch":
            return self._element_match(target, value, here, depth)
        make = LEAVES.get(key)
        if make is None:
            raise _unknown(key, where, (*LEAVES, "$not", "$elemMatch"))
        self.bindings.count_leaf(here)
        return make(Leaf(target, here, self.bindings, siblings), value)

    def _element_match(self, target: Target, value: Any, where: str, depth: int) -> Predicate:
        if not isinstance(target, JsonPath):
            raise InvalidFilter(f"{where}: is for JSON arrays")
        if (
            not isinstance(value, Mapping)
            or not value
            or not all(isinstance(key, str) and key.startswith("$") for key in value)
        ):
            raise InvalidFilter(f"{where}: takes a dict of operators on scalar elements")
        self._check_depth(depth + 1, where)
        return ElementMatch(target, self._operators(target, value, where, depth + 1))

    def _check_depth(self, depth: int, where: str) -> None:
        if depth > self.bindings.limits.filter_depth:
            raise LimitExceeded(
                f"the filter is nested deeper than {self.bindings.limits.filter_depth}",
                limit=self.bindings.limits.filter_depth,
            )


def _unknown(key: str, where: str, known: tuple[str, ...]) -> UnknownOperator:
    return UnknownOperator(
        f"{where}: there is no operator {quoted(key)} here",
        suggestion=nearest(key, known),
        operator=quoted(key),
    )
