"""Conditions on places inside JSON.

The server's own comparisons of JSON take "1" or true for 1, lead through arrays or round ints, so a
value is always looked at together with its type. A leaf is true or false, never NULL.
"""

from __future__ import annotations

import decimal
import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.compile import SIGNS, Build, LiteralBuild, escape_like
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.filters import (
    And,
    ArraySize,
    Compare,
    Contains,
    ElementMatch,
    IsNull,
    JsonPath,
    Membership,
    Not,
    Or,
    Pattern,
    Predicate,
    Slot,
)
from dataflow_core.types import Boolean, FieldType, Json, Text
from dataflow_mysql.expressions import text_literal

if TYPE_CHECKING:
    from dataflow_mysql.expressions import MySQLExpressions

__all__ = ["json_predicate"]

_ELEMENT: Final = "`__element`.`__value`"
_SCALAR: Final = Compare | Membership | Pattern | Contains
_BEYOND: Final = 10**30
"""Beyond every int that JSON holds."""


def json_predicate(compiler: MySQLExpressions, node: Predicate, build: Build) -> str:
    """The SQL of a leaf."""
    target: Any = getattr(node, "target", None)
    assert isinstance(target, JsonPath)
    value = _place(compiler, build.column(target.field), target.steps)
    if isinstance(node, IsNull):
        return f"({_kind(compiler, value)} = {_word(compiler, 'NULL')})"
    if isinstance(node, ArraySize):
        is_array = _is(compiler, value, "ARRAY")
        return f"(({is_array} AND JSON_LENGTH({value}) = {build.bind(node.slot)}) IS TRUE)"
    if isinstance(build, LiteralBuild):
        reason = "the server takes no subquery in a CHECK, and looks into arrays by one"
        raise UnsupportedFeature(
            f"a check on a place inside JSON: {reason}",
            feature="constraints.check",
            dialect=compiler.name,
            reason=reason,
        )
    if isinstance(node, ElementMatch):
        scalar = f"{_kind(compiler, _ELEMENT)} NOT IN ({_words(compiler, 'OBJECT', 'ARRAY')})"
        return _some(value, f"{scalar} AND {_of_element(compiler, node.condition, build)}")
    element = _some(value, _leaf(compiler, node, _ELEMENT, build))
    if isinstance(node, Contains):
        return element
    return f"(({_leaf(compiler, node, value, build)}) IS TRUE OR {element})"


def _some(value: str, condition: str) -> str:
    """Some element of the array that a value is fits; what is no array has no element.

    Counted, because one server joins what stands in EXISTS to the rows, and gets it wrong.
    """
    table = f"JSON_TABLE({value}, '$[*]' COLUMNS (`__value` JSON PATH '$')) AS `__element`"
    return f"((SELECT COUNT(*) FROM {table} WHERE {condition}) > 0)"


def _of_element(compiler: MySQLExpressions, node: Predicate, build: Build) -> str:
    """A condition on one scalar element, true or false."""
    if isinstance(node, And | Or):
        word = " AND " if isinstance(node, And) else " OR "
        return f"({word.join(_of_element(compiler, item, build) for item in node.items)})"
    if isinstance(node, Not):
        return f"(NOT {_of_element(compiler, node.item, build)})"
    if isinstance(node, IsNull):
        return f"({_kind(compiler, _ELEMENT)} = {_word(compiler, 'NULL')})"
    return f"(({_leaf(compiler, node, _ELEMENT, build)}) IS TRUE)"


# Places


def _place(compiler: MySQLExpressions, column: str, steps: tuple[str | int, ...]) -> str:
    """What is at a path, as JSON; NULL if nothing is."""
    value = f"JSON_EXTRACT({column}, {_path(steps)})"
    # A position leads into arrays only: the server takes anything else for an array of one.
    guards = [
        _is(compiler, f"JSON_EXTRACT({column}, {_path(steps[:at])})", "ARRAY")
        for at, step in enumerate(steps)
        if isinstance(step, int)
    ]
    return f"CASE WHEN {' AND '.join(guards)} THEN {value} END" if guards else value


def _path(steps: tuple[str | int, ...]) -> str:
    parts = [
        f"[{step}]" if isinstance(step, int) else f".{json.dumps(step, ensure_ascii=False)}"
        for step in steps
    ]
    return text_literal(f"${''.join(parts)}")


def _word(compiler: MySQLExpressions, word: str) -> str:
    return compiler.collated(f"'{word}'")


def _words(compiler: MySQLExpressions, *words: str) -> str:
    return ", ".join(_word(compiler, word) for word in words)


def _is(compiler: MySQLExpressions, value: str, *kinds: str) -> str:
    return f"JSON_TYPE({value}) IN ({_words(compiler, *kinds)})"


def _kind(compiler: MySQLExpressions, value: str) -> str:
    """The type of a value; what is missing is like a null."""
    return f"COALESCE(JSON_TYPE({value}), {_word(compiler, 'NULL')})"


# Leaves on one value


def _leaf(compiler: MySQLExpressions, node: Predicate, value: str, build: Build) -> str:
    """Whether a value fits, arrays not looked into; NULL counts as false."""
    assert isinstance(node, _SCALAR)
    if isinstance(node, Pattern):
        text = _text(compiler, value)
        match = compiler.text_match(text, node, build)
        if node.kind == "prefix" and not node.ignore_case:
            # No index serves, and a range has no end where the prefix is empty.
            match = f"{text} LIKE {build.bind(node.slot, _begins_with)} ESCAPE '|'"
        return f"{_is(compiler, value, 'STRING')} AND {match}"
    operator = node.operator if isinstance(node, Compare) else "eq"
    kind: FieldType = node.slot.type
    if isinstance(kind, Json):
        document = compiler.variant.json_document.format(text=build.bind(node.slot))
        return compiler.variant.json_equal.format(left=value, right=document)
    several = isinstance(node, Membership)
    if kind.numeric:
        return _number(compiler, value, operator, node.slot, build, several=several)
    encode: Callable[[Any], Any] = _truth if isinstance(kind, Boolean) else str
    name = "BOOLEAN" if isinstance(kind, Boolean) else "STRING"
    operand = _compared(operator, node.slot, encode, Text(), build, several=several)
    return f"{_is(compiler, value, name)} AND {_text(compiler, value)} {operand}"


def _begins_with(prefix: str) -> str:
    return f"{escape_like(prefix)}%"


def _text(compiler: MySQLExpressions, value: str) -> str:
    return compiler.collated(f"JSON_UNQUOTE({value})")


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _compared(
    operator: str,
    slot: Slot,
    encode: Callable[[Any], Any],
    kind: FieldType | None,
    build: Build,
    *,
    several: bool,
) -> str:
    """``= value``, or ``IN (values)`` up to the length class of the list."""
    if not several:
        return f"{SIGNS[operator]} {build.bind_as(slot, encode, kind)}"
    marks = [build.bind_as(slot, _at(position, encode), kind) for position in range(slot.length)]
    return f"IN ({', '.join(marks)})"


def _at(position: int, encode: Callable[[Any], Any]) -> Callable[[list[Any]], Any]:
    return lambda items: encode(items[position] if position < len(items) else items[-1])


# Numbers: an int and a float are compared exactly, so the operand is bound in both forms, each
# rounded so that the comparison stays true.

_ROUNDED_UP: Final = ("lt", "gte")


def _number(
    compiler: MySQLExpressions,
    value: str,
    operator: str,
    slot: Slot,
    build: Build,
    *,
    several: bool,
) -> str:
    kinds, further = compiler.variant.integers
    is_integer = _is(compiler, value, *kinds) + further.format(value=value)
    is_number = _is(compiler, value, *kinds, "DOUBLE", "DECIMAL")
    integer = _compared(operator, slot, _as_integer(operator), None, build, several=several)
    real = _compared(operator, slot, _as_float(operator), None, build, several=several)
    return (
        f"CASE WHEN {is_integer} THEN CAST({value} AS DECIMAL(65,0)) {integer}"
        f" WHEN {is_number} THEN CAST({value} AS DOUBLE) {real} END"
    )


def _as_integer(operator: str) -> Callable[[float], decimal.Decimal | None]:
    def encode(number: float) -> decimal.Decimal | None:
        whole = math.ceil(number) if operator in _ROUNDED_UP else math.floor(number)
        if operator == "eq" and whole != number:
            return None
        return decimal.Decimal(max(-_BEYOND, min(whole, _BEYOND)))

    return encode


def _as_float(operator: str) -> Callable[[float], float | None]:
    def encode(number: float) -> float | None:
        nearest = float(number)
        if nearest == number:
            return nearest
        if operator == "eq":
            return None
        if operator in _ROUNDED_UP:
            return nearest if nearest > number else math.nextafter(nearest, math.inf)
        return nearest if nearest < number else math.nextafter(nearest, -math.inf)

    return encode
