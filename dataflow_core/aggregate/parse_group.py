"""``$group`` and its short forms: keys and accumulators."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from dataflow_core.aggregate.ast import Accumulator, AccumulatorName, Computed, Group
from dataflow_core.aggregate.names import check_alias
from dataflow_core.errors import InvalidPipeline, LimitExceeded, UnknownOperator
from dataflow_core.expressions.ast import Call, Expression, Literal, Null
from dataflow_core.expressions.parse import is_expression, parse_expression
from dataflow_core.filters.scope import Bindings, Scope
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema import Field
from dataflow_core.types import Boolean, Decimal, FieldType, Float, Integer, Json

__all__ = ["ACCUMULATORS", "parse_bucket", "parse_group", "refuse_too_many"]

ACCUMULATORS: Final[dict[str, AccumulatorName]] = {
    "$sum": "sum",
    "$avg": "avg",
    "$min": "min",
    "$max": "max",
    "$count": "count",
    "$first": "first",
    "$last": "last",
    "$addToSet": "addToSet",
    "$push": "push",
    "$stdDevPop": "stdDevPop",
    "$stdDevSamp": "stdDevSamp",
    "$median": "median",
}
"""The accumulators, by name."""

_NUMERIC: Final = ("sum", "avg", "stdDevPop", "stdDevSamp", "median")


def parse_group(value: Any, scope: Scope, bindings: Bindings, where: str) -> Group:
    """Parse ``{"_id": key, name: {accumulator: expression}, ...}``."""
    if not isinstance(value, Mapping) or "_id" not in value:
        raise InvalidPipeline(f"{where}: takes a dict with '_id', got {quoted(value)}")
    refuse_too_many(value, bindings, where)
    keys = _keys(value["_id"], scope, bindings, f"{where}._id")
    accumulators = tuple(
        _accumulator(name, document, scope, bindings, where)
        for name, document in value.items()
        if name != "_id"
    )
    return Group(keys, accumulators)


def refuse_too_many(items: Any, bindings: Bindings, where: str) -> None:
    """Refuse a stage that makes more fields, or has more parts, than a filter has conditions."""
    most = bindings.limits.filter_leaves
    if len(items) > most:
        raise LimitExceeded(f"{where}: has {len(items)} parts, at most {most}", limit=most)


def _keys(document: Any, scope: Scope, bindings: Bindings, where: str) -> tuple[Computed, ...]:
    if document is None:
        return (Computed(Field("_id", Integer(), "_id", nullable=True), Null(Integer())),)
    if isinstance(document, Mapping) and not is_expression(document):
        if not document:
            raise InvalidPipeline(f"{where}: has no key")
        if len(document) > bindings.limits.group_keys:
            raise LimitExceeded(f"{where}: has more than {bindings.limits.group_keys} keys")
        return tuple(
            _key(check_alias(name, where, "_id."), item, scope, bindings, where)
            for name, item in document.items()
        )
    return (_key("_id", document, scope, bindings, where),)


def _key(name: str, document: Any, scope: Scope, bindings: Bindings, where: str) -> Computed:
    expression = parse_expression(document, scope, bindings, where)
    if isinstance(expression.type, Json):
        raise InvalidPipeline(f"{where}: rows cannot be grouped by JSON")
    return Computed(Field(name, expression.type, name, nullable=True), expression)


def _accumulator(
    name: Any, document: Any, scope: Scope, bindings: Bindings, where: str
) -> Accumulator:
    check_alias(name, where)
    where = f"{where}.{name}"
    if not isinstance(document, Mapping) or len(document) != 1:
        raise InvalidPipeline(f"{where}: takes {{accumulator: expression}}, got {quoted(document)}")
    [(key, operand)] = document.items()
    function = ACCUMULATORS.get(key) if isinstance(key, str) else None
    if function is None:
        raise UnknownOperator(
            f"{where}: there is no accumulator {quoted(key)}",
            suggestion=nearest(key, ACCUMULATORS) if isinstance(key, str) else None,
            operator=quoted(key),
        )
    if function == "count":
        if operand not in ({}, None):
            raise InvalidPipeline(f"{where}: $count takes {{}}")
        return Accumulator(Field(name, Integer(), name), "count", None)
    if function == "median":
        operand = _median_input(operand, where)
    expression = parse_expression(operand, scope, bindings, where)
    kind = _type(function, expression, where)
    nullable = function not in ("sum", "push", "addToSet")
    return Accumulator(Field(name, kind, name, nullable=nullable), function, expression)


def _median_input(operand: Any, where: str) -> Any:
    """``{"input": expression, "method": "approximate"}`` or the expression alone."""
    if isinstance(operand, Mapping) and "input" in operand:
        if (
            set(operand) - {"input", "method"}
            or operand.get("method", "approximate") != "approximate"
        ):
            raise InvalidPipeline(f"{where}: $median takes input, and method 'approximate'")
        return operand["input"]
    return operand


def _type(function: AccumulatorName, expression: Expression, where: str) -> FieldType:
    kind = expression.type
    if function in _NUMERIC and not kind.numeric:
        raise InvalidPipeline(f"{where}: ${function} is for numbers, got {kind.name}")
    if function == "sum":
        return Decimal(38, kind.scale) if isinstance(kind, Decimal) else _widest(kind)
    if function in _NUMERIC:
        return Float()
    if function in ("min", "max") and not kind.ordered:
        raise InvalidPipeline(f"{where}: {kind.name} has no order")
    if function in ("push", "addToSet"):
        if isinstance(kind, Json):
            raise InvalidPipeline(f"{where}: ${function} is not for JSON")
        return Json("array", kind)
    return kind


def _widest(kind: FieldType) -> FieldType:
    return Integer() if isinstance(kind, Integer) else kind


def parse_bucket(value: Any, scope: Scope, bindings: Bindings, where: str) -> Group:
    """``$bucket``: groups by ranges of a value; the key is the lower boundary, or ``default``."""
    known = {"groupBy", "boundaries", "default", "output"}
    if not isinstance(value, Mapping) or not {"groupBy", "boundaries"} <= set(value) <= known:
        raise InvalidPipeline(f"{where}: takes groupBy, boundaries, default, output")
    boundaries = value["boundaries"]
    if not isinstance(boundaries, list | tuple) or len(boundaries) < 2:
        raise InvalidPipeline(f"{where}: boundaries is a list of at least two values")
    refuse_too_many(boundaries, bindings, where)
    subject = parse_expression(value["groupBy"], scope, bindings, where)
    if not subject.type.ordered:
        raise InvalidPipeline(f"{where}: {subject.type.name} has no order")
    checked = [subject.type.check(boundary, f"{where}.boundaries") for boundary in boundaries]
    if any(low >= high for low, high in pairwise(checked)):
        raise InvalidPipeline(f"{where}: boundaries go upwards")
    key = _bucket_key(subject, checked, value.get("default"), bindings, where)
    output = value.get("output", {"count": {"$sum": 1}})
    if not isinstance(output, Mapping):
        raise InvalidPipeline(f"{where}: output is a dict of accumulators")
    refuse_too_many(output, bindings, where)
    accumulators = tuple(
        _accumulator(name, document, scope, bindings, where) for name, document in output.items()
    )
    return Group((Computed(Field("_id", key.type, "_id", nullable=True), key),), accumulators)


def _bucket_key(
    subject: Expression, boundaries: list[Any], default: Any, bindings: Bindings, where: str
) -> Expression:
    kind = subject.type

    def literal(value: Any) -> Expression:
        return Literal(bindings.slot(value, kind))

    arguments: list[Expression] = []
    for low, high in pairwise(boundaries):
        inside = (
            Call("gte", (subject, literal(low)), Boolean()),
            Call("lt", (subject, literal(high)), Boolean()),
        )
        arguments += [Call("and", inside, Boolean()), literal(low)]
    if default is None:
        # MongoDB fails at the first row outside the boundaries; here the query is refused instead.
        raise InvalidPipeline(
            f"{where}: default is missing: the key of the rows outside the boundaries"
        )
    arguments.append(literal(kind.check(default, f"{where}.default")))
    return Call("switch", tuple(arguments), kind)
