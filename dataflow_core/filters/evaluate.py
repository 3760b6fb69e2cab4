"""What filters mean, in plain Python. This is the definition; databases are compared with it.

A NULL field is an absent field of a document. A leaf is true only of a value that is there and
fits; ``Not`` is the plain complement. Text compares by code point, numbers by value, whatever their
type; a bool is no number.
"""

from __future__ import annotations

import decimal
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from dataflow_core.expressions.numbers import remainder
from dataflow_core.filters.ast import (
    Always,
    And,
    ArraySize,
    Bits,
    Compare,
    Contains,
    ElementMatch,
    ExpressionTest,
    IsNull,
    JsonPath,
    Membership,
    Modulo,
    Not,
    Or,
    Pattern,
    Predicate,
    Related,
    Slot,
    Target,
)
from dataflow_core.filters.like import like_matches
from dataflow_core.filters.regex import regex_matches
from dataflow_core.filters.text import fold
from dataflow_core.schema import Model

__all__ = ["RowsOf", "element_matches", "json_equal", "matches", "value_at"]

Row = Mapping[str, Any]
Values = Sequence[Any]
RowsOf = Callable[[Model], Iterable[Row]]
"""Gives the rows of a model, for filters through relations."""

_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def matches(predicate: Predicate, row: Row, values: Values, rows_of: RowsOf | None = None) -> bool:
    """Whether a row passes a filter.

    Parameters:
        predicate: the tree.
        row: canonical values by field name; ``None``, or no entry, is NULL.
        values: the bound values, by the index of their slots.
        rows_of: gives the rows that relations lead to.

    Raises:
        OutOfRange: an expression of ``$expr`` gives a number that does not fit its type.
    """
    return _Evaluation(row, values, rows_of).holds(predicate)


def element_matches(condition: Predicate, element: Any, values: Values) -> bool:
    """Whether an element of an array meets a condition whose every target is that element."""
    return _ElementEvaluation({}, values, None, element).holds(condition)


def json_equal(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 equals 1.0, but neither equals true or "1".

    The order of an object's members does not count, that of an array's elements does.
    """
    if _kind(one) != _kind(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(json_equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(json_equal, one, other))
    return bool(one == other)


def value_at(document: Any, steps: Sequence[str | int]) -> Any:
    """The value at a place inside a JSON document; ``None`` if it is missing or JSON null.

    A name leads to the member of an object, a number to the element of an array at that position.
    """
    for step in steps:
        if isinstance(step, str) and isinstance(document, dict):
            document = document.get(step)
        elif isinstance(step, int) and isinstance(document, list) and 0 <= step < len(document):
            document = document[step]
        else:
            return None
    return document


@frozen
class _Evaluation:
    row: Row
    values: Values
    rows_of: RowsOf | None

    def holds(self, node: Predicate) -> bool:
        if isinstance(node, Always):
            return node.value
        if isinstance(node, And):
            return all(self.holds(item) for item in node.items)
        if isinstance(node, Or):
            return any(self.holds(item) for item in node.items)
        if isinstance(node, Not):
            return not self.holds(node.item)
        if isinstance(node, IsNull):
            return self.value(node.target) is None
        if isinstance(node, ExpressionTest):
            return self.is_true(node)
        if isinstance(node, ArraySize):
            array = self.value(node.target)
            return isinstance(array, list) and len(array) == self.bound(node.slot)
        if isinstance(node, Contains):
            array, wanted = self.value(node.target), self.bound(node.slot)
            return isinstance(array, list) and any(json_equal(item, wanted) for item in array)
        if isinstance(node, ElementMatch):
            return self.has_element(node)
        if isinstance(node, Related):
            return self.has_related(node)
        if isinstance(node, Modulo | Bits):
            number = self.value(node.target)
            return number is not None and self.integer_fits(node, number)
        return any(self.fits(node, candidate) for candidate in self.candidates(node.target))

    def is_true(self, node: ExpressionTest) -> bool:
        # Imported here: expressions are built upon this package.
        from dataflow_core.expressions.evaluate import evaluate, is_true

        return is_true(evaluate(node.expression, self.row, self.values))

    def has_related(self, node: Related) -> bool:
        """Whether a row whose key equals this one's meets the condition; NULL equals nothing."""
        if self.rows_of is None:
            raise ValueError(f"no source for the rows of {node.relation.target.name}")
        pairs = list(zip(node.relation.fields, node.relation.target_fields, strict=True))
        for other in self.rows_of(node.relation.target):
            sides = [(self.row.get(own.name), other.get(its.name)) for own, its in pairs]
            equal = all(a is not None and b is not None and json_equal(a, b) for a, b in sides)
            if equal and _Evaluation(other, self.values, self.rows_of).holds(node.item):
                return True
        return False

    def bound(self, slot: Slot) -> Any:
        """The value of a slot."""
        return self.values[slot.index]

    def value(self, target: Target) -> Any:
        """What is at a target; ``None`` if nothing is."""
        if isinstance(target, JsonPath):
            return value_at(self.row.get(target.field.name), target.steps)
        return self.row.get(target.name)

    def candidates(self, target: Target) -> list[Any]:
        """The values of which one has to fit: the value, and inside JSON also its elements."""
        value = self.value(target)
        if value is None:
            return []
        if isinstance(target, JsonPath) and isinstance(value, list):
            return [value, *value]
        return [value]

    def has_element(self, node: ElementMatch) -> bool:
        array = self.value(node.target)
        return isinstance(array, list) and any(
            element_matches(node.condition, element, self.values)
            for element in array
            if not isinstance(element, dict | list)
        )

    def fits(self, node: Compare | Membership | Pattern, candidate: Any) -> bool:
        """Whether one value fits a leaf."""
        if isinstance(node, Membership):
            return any(json_equal(candidate, item) for item in self.bound(node.slot))
        if isinstance(node, Compare):
            operand = self.bound(node.slot)
            if node.operator == "eq":
                return json_equal(candidate, operand)
            return _kind(candidate) == _kind(operand) and _COMPARISONS[node.operator](
                candidate, operand
            )
        return isinstance(candidate, str) and _text_fits(node, candidate, self.bound(node.slot))

    def integer_fits(self, node: Modulo | Bits, number: int) -> bool:
        """Whether an int fits; negative ones count as two's complement of unlimited width."""
        if isinstance(node, Modulo):
            divisor, wanted = self.bound(node.divisor), self.bound(node.remainder)
            return bool(remainder(number, divisor) == wanted)
        mask = self.bound(node.mask)
        common = number & mask
        fits: dict[str, bool] = {
            "all_set": common == mask,
            "any_set": common != 0,
            "all_clear": common == 0,
            "any_clear": common != mask,
        }
        return fits[node.kind]


@frozen
class _ElementEvaluation(_Evaluation):
    """Every target is one element of an array, and the element is not looked into."""

    element: Any

    def value(self, target: Target) -> Any:
        return self.element

    def candidates(self, target: Target) -> list[Any]:
        return [] if self.element is None else [self.element]


def _text_fits(node: Pattern, text: str, pattern: str) -> bool:
    if node.kind == "like":
        return like_matches(pattern, text, node.ignore_case)
    if node.kind == "regex":
        return regex_matches(pattern, text, node.ignore_case)
    if node.ignore_case:
        text, pattern = fold(text), fold(pattern)
    if node.kind == "prefix":
        return text.startswith(pattern)
    if node.kind == "suffix":
        return text.endswith(pattern)
    return pattern in text


def _kind(value: Any) -> type:
    """The kind within which values compare: all numbers are one, a bool is none of them."""
    if isinstance(value, int | float | decimal.Decimal) and not isinstance(value, bool):
        return float
    return type(value)
