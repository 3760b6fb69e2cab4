"""Operations confined to the rows that they may be about, wherever a model stands in them.

The one place where that happens: every operation passes through it before it is compiled, once for
each shape.
"""

from __future__ import annotations

from typing import Any, TypeVar

import attrs

from dataflow_core.aggregate.ast import Facet, Join, Match, Pipeline, Stage, UnionWith
from dataflow_core.filters import Bindings, Scope, parse_filter
from dataflow_core.filters.ast import Always, And, Compare, Not, Or, Predicate, Related, Slot
from dataflow_core.operations.rows import (
    Create,
    CreateMany,
    FindRows,
    Operation,
    UpdateRows,
    Upsert,
)
from dataflow_core.schema import Model
from dataflow_core.types import FieldType

__all__ = ["confined", "confining"]

Confined = TypeVar("Confined", bound=Operation)


class _Constants(Bindings):
    """Values that belong to the shape: each is given back by its slot itself."""

    def slot(self, value: Any, kind: FieldType) -> Slot:
        """Bind a single value."""
        return attrs.evolve(super().slot(value, kind), read=lambda: value)

    def list_slot(self, items: list[Any], kind: FieldType) -> Slot:
        """Bind a list."""
        return attrs.evolve(super().list_slot(items, kind), read=lambda: items)


def confining(model: Model) -> tuple[Predicate, ...]:
    """What every row passes that an operation on the model is about."""
    of_context = (
        Compare(item, "eq", Slot(-1, item.type, read=item.context.read))
        for item in model.fields
        if item.context is not None
    )
    scope = Scope.of(model)
    of_scopes = (parse_filter(one.filter, scope, _Constants()) for one in model.scopes)
    return (*of_context, *of_scopes)


def confined(operation: Confined) -> Confined:
    """The operation, about the rows only that its models' scopes and the context let it see.

    What writes rows by key says so itself, in the statements that are compiled for it: creates take
    the values of the context, ``UpdateRows`` and ``Upsert`` change no row outside, and ``FindRows``
    is about those of its scopes.
    """
    if isinstance(operation, Create | CreateMany | FindRows | UpdateRows | Upsert):
        return operation
    changes: dict[str, Any] = {"filter": _within(operation.model, operation.filter)}
    pipeline = getattr(operation, "pipeline", None)
    if pipeline is not None:
        changes["pipeline"] = _pipeline(pipeline)
    return attrs.evolve(operation, **changes)


def _within(model: Model, predicate: Predicate) -> Predicate:
    """A filter over the rows of a model, confined to those that may be seen."""
    tests = confining(model)
    inner = _predicate(predicate)
    if not tests:
        return inner
    if inner == Always(True):
        return _every(tests)
    items = inner.items if isinstance(inner, And) else (inner,)
    return And((*items, *tests))


def _every(tests: tuple[Predicate, ...]) -> Predicate:
    return tests[0] if len(tests) == 1 else And(tests)


def _predicate(node: Predicate) -> Predicate:
    """A filter whose conditions on related rows are about those that may be seen."""
    if isinstance(node, And | Or):
        return attrs.evolve(node, items=tuple(_predicate(item) for item in node.items))
    if isinstance(node, Not):
        return Not(_predicate(node.item))
    if isinstance(node, Related):
        return attrs.evolve(node, item=_within(node.relation.target, node.item))
    return node


def _pipeline(pipeline: Pipeline) -> Pipeline:
    return attrs.evolve(pipeline, stages=tuple(_stage(stage) for stage in pipeline.stages))


def _stage(stage: Stage) -> Stage:
    """A stage that sees, of every model, the rows that may be seen."""
    if isinstance(stage, Match):
        return attrs.evolve(stage, predicate=_predicate(stage.predicate))
    if isinstance(stage, UnionWith):
        inner, tests = _pipeline(stage.pipeline), confining(stage.model)
        if tests:
            inner = attrs.evolve(inner, stages=(Match(_every(tests)), *inner.stages))
        return attrs.evolve(stage, pipeline=inner)
    if isinstance(stage, Join):
        lookup = stage.lookup
        return attrs.evolve(
            stage, lookup=attrs.evolve(lookup, filter=_within(lookup.model, lookup.filter))
        )
    if isinstance(stage, Facet):
        return Facet(tuple((name, _pipeline(branch)) for name, branch in stage.branches))
    return stage
