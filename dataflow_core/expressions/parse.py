"""From an expression document to a typed tree: ``"$price"``, ``{"$multiply": ["$price", 2]}``."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from attrs import define, evolve

from dataflow_core.errors import InvalidFilter, InvalidType, LimitExceeded, UnknownOperator
from dataflow_core.expressions.ast import Call, Expression, FieldValue, Literal, Null
from dataflow_core.expressions.functions import FUNCTIONS, truncation
from dataflow_core.filters.scope import Bindings, Scope
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.types import (
    Boolean,
    Date,
    Enumeration,
    FieldType,
    Integer,
    Json,
    Time,
    Timestamp,
    Uuid,
    type_of,
)

__all__ = ["is_expression", "parse_expression", "parse_test"]


def is_expression(document: Any) -> bool:
    """Whether a document is a function applied to something, and not a plain value."""
    return (
        isinstance(document, Mapping)
        and len(document) == 1
        and all(isinstance(key, str) and key.startswith("$") for key in document)
    )


def parse_expression(
    document: Any,
    scope: Scope,
    bindings: Bindings,
    where: str,
    *,
    expected: FieldType | None = None,
) -> Expression:
    """Parse an expression over the fields of ``scope``; literals go to ``bindings``.

    ``expected`` is the type that a literal is meant to have, where its neighbour tells.
    Raises ``UnknownField``, ``UnknownOperator``, ``InvalidType``, ``InvalidFilter``.
    """
    return _Parser(scope, bindings).expression(document, where, expected, 0)


def parse_test(document: Any, scope: Scope, bindings: Bindings, where: str) -> Expression:
    """Parse the document of ``$expr``: an expression that is true or false."""
    expression = parse_expression(document, scope, bindings, where)
    if not isinstance(expression.type, Boolean):
        raise InvalidFilter(f"{where}: expected a comparison, got {expression.type.name}")
    return expression


def _is_literal(document: Any) -> bool:
    if isinstance(document, str):
        return not document.startswith("$")
    return not isinstance(document, Mapping) or "$literal" in document


@define
class _Parser:
    scope: Scope
    bindings: Bindings

    def expression(
        self, document: Any, where: str, expected: FieldType | None, depth: int
    ) -> Expression:
        if depth > self.bindings.limits.filter_depth:
            raise LimitExceeded(
                f"{where}: nested deeper than {self.bindings.limits.filter_depth}",
                limit=self.bindings.limits.filter_depth,
            )
        self.bindings.count_leaf(where)
        if isinstance(document, str) and document.startswith("$"):
            return self._field(document, where)
        if isinstance(document, Mapping):
            return self._call(document, where, expected, depth)
        return self._literal(document, where, expected)

    def _field(self, text: str, where: str) -> Expression:
        if text.startswith("$$"):
            raise InvalidFilter(f"{where}: there are no variables such as {quoted(text)}")
        return FieldValue(self.scope.field(text[1:]))

    def _literal(self, value: Any, where: str, expected: FieldType | None) -> Expression:
        if isinstance(value, enum.Enum):
            value = value.value
        if value is None:
            return Null(expected or Integer())
        kind = type_of(value)
        if kind is None or isinstance(kind, Json):
            raise InvalidType(f"{where}: {type(value).__name__} {quoted(value)} is no expression")
        if isinstance(value, str) and isinstance(expected, Timestamp | Date | Time | Uuid):
            kind = expected
        return Literal(self.bindings.slot(kind.check(value, where), kind))

    def _call(
        self, document: Mapping[Any, Any], where: str, expected: FieldType | None, depth: int
    ) -> Expression:
        if not is_expression(document):
            raise InvalidFilter(
                f"{where}: an expression is {{'$function': arguments}}, got {quoted(document)}"
            )
        [(key, operand)] = document.items()
        if key == "$literal":
            return self._literal(operand, where, expected)
        info = FUNCTIONS.get(key[1:])
        if info is None:
            raise UnknownOperator(
                f"{where}: there is no function {quoted(key)}",
                suggestion=nearest(key, [f"${name}" for name in FUNCTIONS]),
                operator=quoted(key),
            )
        where = f"{where}.{key}"
        documents = _arguments(key, operand, where, self.bindings.limits.filter_leaves)
        if key == "$dateTrunc":
            return self._date_trunc(documents, where, depth)
        if not info.takes(len(documents)):
            raise InvalidFilter(f"{where}: takes {info.arguments} arguments, got {len(documents)}")
        arguments = self._parsed(key, documents, where, expected, depth)
        kind = info.result_type(tuple(argument.type for argument in arguments), where)
        return Call(key[1:], arguments, kind)

    def _parsed(
        self, key: str, documents: list[Any], where: str, expected: FieldType | None, depth: int
    ) -> tuple[Expression, ...]:
        """The arguments; a literal takes its type from the first argument that is none."""
        parsed: list[Expression | None] = [
            None
            if _is_literal(item)
            else self.expression(item, f"{where}[{index}]", expected, depth + 1)
            for index, item in enumerate(documents)
        ]
        alike = _alike(key, len(documents))
        neighbours = [
            item.type for index, item in enumerate(parsed) if item is not None and index in alike
        ]
        neighbours = [kind for kind in neighbours if not isinstance(kind, Boolean)] or neighbours
        hint = next(iter(neighbours), expected)
        if isinstance(hint, Enumeration):
            hint = hint.base
        result = [
            self.expression(document, f"{where}[{index}]", hint, depth + 1)
            if item is None
            else item
            for index, (document, item) in enumerate(zip(documents, parsed, strict=True))
        ]
        known = next(
            (
                item.type
                for index, item in enumerate(result)
                if index in alike and not isinstance(item, Null)
            ),
            None,
        )
        if known is None:
            return tuple(result)
        return tuple(
            evolve(item, type=known) if isinstance(item, Null) and index in alike else item
            for index, item in enumerate(result)
        )

    def _date_trunc(self, documents: list[Any], where: str, depth: int) -> Expression:
        date, unit = documents
        info = truncation(unit, where)
        argument = self.expression(date, where, Timestamp(), depth + 1)
        return Call(info.name, (argument,), info.result_type((argument.type,), where))


def _alike(key: str, count: int) -> tuple[int, ...]:
    """The positions of the arguments that are of one type: all but the conditions of a choice."""
    if key == "$cond":
        return (1, 2)
    if key == "$switch":
        return (*range(1, count - 1, 2), count - 1)
    return tuple(range(count))


def _arguments(key: str, operand: Any, where: str, most: int) -> list[Any]:
    """The arguments in order, at most ``most``, from the list or the named form."""
    if key == "$cond" and isinstance(operand, Mapping):
        return _named(operand, ("if", "then", "else"), where)
    if key == "$dateTrunc":
        return _named(operand, ("date", "unit"), where)
    if key == "$switch":
        branches, default = _named(operand, ("branches", "default"), where)
        if not isinstance(branches, list | tuple) or not branches:
            raise InvalidFilter(f"{where}: branches is a list of {{'case': ..., 'then': ...}}")
        _refuse_too_many(branches, where, most)
        flat = [part for branch in branches for part in _named(branch, ("case", "then"), where)]
        return [*flat, default]
    if isinstance(operand, list | tuple):
        _refuse_too_many(operand, where, most)
        return list(operand)
    return [operand]


def _refuse_too_many(items: list[Any] | tuple[Any, ...], where: str, most: int) -> None:
    if len(items) > most:
        raise LimitExceeded(f"{where}: has {len(items)} arguments, at most {most}", limit=most)


def _named(operand: Any, names: tuple[str, ...], where: str) -> list[Any]:
    if not isinstance(operand, Mapping):
        raise InvalidFilter(f"{where}: takes a dict of {', '.join(names)}, got {quoted(operand)}")
    for name in operand:
        if name not in names:
            raise InvalidFilter(
                f"{where}: there is no {quoted(name)}", suggestion=nearest(name, names)
            )
    missing = [name for name in names if name not in operand and name != "default"]
    if missing:
        raise InvalidFilter(f"{where}: {missing[0]} is missing")
    return [operand.get(name) for name in names]
