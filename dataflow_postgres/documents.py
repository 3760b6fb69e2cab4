"""Conditions on places inside JSON, as conditions on ``jsonb``.

The place is reached step by step: a name leads into objects only, a number into arrays only. A leaf
is true if the value there fits, or an element of the array there; it is never NULL.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.compile import SIGNS, Build, LiteralBuild, joined
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.filters import (
    Always,
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
from dataflow_core.types import Json, Text
from dataflow_postgres.types import json_text

if TYPE_CHECKING:
    from dataflow_core.compile import BaseCompiler

__all__ = ["json_condition"]

_FARTHEST: Final = 2**31 - 1
_ITEM: Final = '"__item"."value"'


def json_condition(compiler: BaseCompiler, node: Any, build: Build) -> str:
    """The SQL of a leaf on a place inside JSON."""
    sql: str = _LEAVES[type(node)](compiler, node, _place(compiler, node.target, build), build)
    return sql


def _place(compiler: BaseCompiler, target: JsonPath, build: Build) -> str:
    """The value at a place; NULL if it is missing."""
    column = build.column(target.field)
    if any(isinstance(step, int) for step in target.steps):
        # ``1 -> 0`` is 1: a scalar passes for an array of itself. A strict path is what it says.
        path = "strict $" + "".join(map(_accessor, target.steps))
        literal = compiler.literal(path, Text())
        return f"JSONB_PATH_QUERY_FIRST({column}, {literal}, '{{}}', TRUE)"
    names = [compiler.literal(step, Text()) for step in target.steps]
    return f"({' -> '.join([column, *names])})"


def _accessor(step: str | int) -> str:
    if isinstance(step, str):
        return "." + json.dumps(step, ensure_ascii=False)
    return f"[{min(step, _FARTHEST)}]"


def _encoded_list(items: list[Any]) -> list[str]:
    return [json_text(item) for item in items]


def _json(slot: Slot, build: Build) -> str:
    """A bound value as ``jsonb``."""
    return build.bind_as(slot, json_text, Json())


def _kind(place: str, kind: str) -> str:
    return f"JSONB_TYPEOF({place}) = '{kind}'"


def _any_element(compiler: BaseCompiler, place: str, condition: str, build: Build) -> str:
    """Whether an element of the array at a place, called ``_ITEM``, meets a condition."""
    if isinstance(build, LiteralBuild):
        reason = "PostgreSQL allows no subquery in a check, which the elements of an array need"
        raise UnsupportedFeature(
            f"a check cannot say this of a place inside JSON: {reason}",
            feature="constraints.check",
            dialect=compiler.name,
            reason=reason,
        )
    return (
        f'EXISTS (SELECT FROM JSONB_ARRAY_ELEMENTS({place}) AS "__item" ("value")'
        f" WHERE {condition})"
    )


def _is_null(compiler: BaseCompiler, node: IsNull, place: str, build: Build) -> str:
    return f"({place} IS NULL OR {place} = 'null'::jsonb)"


def _compare(compiler: BaseCompiler, node: Compare, place: str, build: Build) -> str:
    value = _json(node.slot, build)
    if node.operator != "eq":
        # Strictly, or a list inside of the list would be looked into.
        kind = "string" if isinstance(node.slot.type, Text) else "number"
        test = f'? (@.type() == "{kind}" && @ {SIGNS[node.operator]} $value)'
        variables = f"JSONB_BUILD_OBJECT('value', {value})"
        return (
            f"CASE WHEN {_kind(place, 'array')}"
            f" THEN JSONB_PATH_EXISTS({place}, 'strict $[*] {test}', {variables})"
            f" ELSE COALESCE(JSONB_PATH_EXISTS({place}, 'strict $ {test}', {variables}), FALSE) END"
        )
    if not isinstance(node.slot.type, Json):
        # A scalar is contained in itself, and in an array that holds it.
        return f"COALESCE({place} @> {value}, FALSE)"
    inside = _any_element(compiler, place, f"{_ITEM} = {value}", build)
    return (
        f"COALESCE(CASE WHEN {place} = {value} THEN TRUE WHEN {_kind(place, 'array')}"
        f" THEN {inside} END, FALSE)"
    )


def _membership(compiler: BaseCompiler, node: Membership, place: str, build: Build) -> str:
    values = f"{build.bind_as(node.slot, _encoded_list)}::jsonb[]"
    return (
        f"COALESCE(CASE WHEN {_kind(place, 'array')} THEN {place} @> ANY ({values})"
        f" ELSE {place} = ANY ({values}) END, FALSE)"
    )


def _pattern(compiler: BaseCompiler, node: Pattern, place: str, build: Build) -> str:
    build.need("filters.regex" if node.kind == "regex" else "filters.text")
    inside = _any_element(compiler, place, _text_fits(compiler, node, _ITEM, build), build)
    return (
        f"CASE WHEN {_kind(place, 'array')} THEN {inside}"
        f" ELSE {_text_fits(compiler, node, place, build)} END"
    )


def _text_fits(compiler: BaseCompiler, node: Pattern, place: str, build: Build) -> str:
    subject = f"({place} #>> '{{}}' COLLATE \"C\")"
    if node.kind == "prefix" and not node.ignore_case:
        test = f"STARTS_WITH({subject}, {build.bind(node.slot)})"
    else:
        test = compiler.text_match(subject, node, build)
    return f"CASE WHEN {_kind(place, 'string')} THEN {test} ELSE FALSE END"


def _contains(compiler: BaseCompiler, node: Contains, place: str, build: Build) -> str:
    value = _json(node.slot, build)
    return f"CASE WHEN {_kind(place, 'array')} THEN {place} @> {value} ELSE FALSE END"


def _array_size(compiler: BaseCompiler, node: ArraySize, place: str, build: Build) -> str:
    size = build.bind(node.slot)
    return (
        f"CASE WHEN {_kind(place, 'array')} THEN JSONB_ARRAY_LENGTH({place}) = {size}"
        " ELSE FALSE END"
    )


def _element_match(compiler: BaseCompiler, node: ElementMatch, place: str, build: Build) -> str:
    fits = _element_fits(compiler, node.condition, build)
    scalar = f"JSONB_TYPEOF({_ITEM}) NOT IN ('object', 'array')"
    inside = _any_element(compiler, place, f"{scalar} AND {fits}", build)
    return f"CASE WHEN {_kind(place, 'array')} THEN {inside} ELSE FALSE END"


def _element_fits(compiler: BaseCompiler, node: Predicate, build: Build) -> str:
    """A condition on the element at hand, which is no array: it is not looked into."""
    if isinstance(node, And | Or):
        parts = [_element_fits(compiler, item, build) for item in node.items]
        return joined(parts, "AND" if isinstance(node, And) else "OR")
    if isinstance(node, Not):
        return f"(NOT {_element_fits(compiler, node.item, build)})"
    if isinstance(node, Always):
        return "TRUE" if node.value else "FALSE"
    if isinstance(node, Contains | ArraySize | ElementMatch):
        return "FALSE"
    if isinstance(node, Pattern):
        return _text_fits(compiler, node, _ITEM, build)
    if isinstance(node, IsNull | Compare | Membership):
        sql: str = _LEAVES[type(node)](compiler, node, _ITEM, build)
        return sql
    raise UnsupportedFeature(
        f"{compiler.name} has no spelling for {type(node).__name__} on an element of an array",
        feature="filters.json.array",
        dialect=compiler.name,
        reason="it is no condition on a scalar",
    )


_LEAVES: Final[dict[type, Any]] = {
    IsNull: _is_null,
    Compare: _compare,
    Membership: _membership,
    Pattern: _pattern,
    Contains: _contains,
    ArraySize: _array_size,
    ElementMatch: _element_match,
}
