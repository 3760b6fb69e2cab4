"""A compiler with the base's own spelling, and what it makes of documents."""

from __future__ import annotations

from typing import Any

from dataflow_core.aggregate.parse import parse_pipeline
from dataflow_core.compile import BaseCompiler, Codec, Compiled, Statement
from dataflow_core.expressions.parse import parse_test
from dataflow_core.features import FEATURES, Feature
from dataflow_core.filters import Bindings, Predicate, Scope, parse_filter
from dataflow_core.operations import Aggregate, Find, Operation, UpdateMany
from dataflow_core.schema import Model
from dataflow_core.schema.declare import declare_model
from dataflow_core.types import Boolean, Timestamp
from dataflow_core.updates.parse import parse_update
from tests.core.language import NOW

FULL = dict.fromkeys(FEATURES, Feature("full"))


class Item:
    __dataflow__ = {"timestamps": False}
    name: str
    size: int | None
    price: float | None
    sold: bool = False


ITEM = declare_model(Item)


class ToyCompiler(BaseCompiler):
    """ANSI text; bools travel as words."""

    name = "toy"
    codecs = {
        Boolean: Codec(encode=lambda value: "Y" if value else "N", decode=lambda text: text == "Y"),
        Timestamp: Codec(encode=str),
    }


TOY = ToyCompiler(FULL)


def statement(operation: Operation, compiler: BaseCompiler = TOY) -> Statement:
    """The one statement of an operation."""
    compiled: Compiled = compiler.compile(operation)
    assert compiled.statement is not None
    return compiled.statement


def predicate(document: Any, model: Model = ITEM) -> tuple[Predicate, list[Any]]:
    """The tree of a filter and the values bound."""
    bindings = Bindings()
    tree = parse_filter(document, Scope.of(model), bindings, expression=parse_test)
    return tree, bindings.values


def where(document: Any, model: Model = ITEM, compiler: BaseCompiler = TOY) -> str:
    """The text after WHERE of a filter."""
    tree, _ = predicate(document, model)
    sql = statement(Find(model, model.primary_key, tree), compiler).sql
    return sql.partition(" WHERE ")[2]


def bound(document: Any, model: Model = ITEM) -> tuple[Any, ...]:
    """The driver's parameters of a filter."""
    tree, values = predicate(document, model)
    return statement(Find(model, model.primary_key, tree)).bind(values)


def assigned(document: Any) -> str:
    """The text after SET of an update."""
    update = parse_update(document, ITEM, Bindings(), now=NOW)
    sql = statement(UpdateMany(ITEM, predicate({})[0], tuple(update.assignments))).sql
    return sql.partition(" SET ")[2]


def aggregated(*stages: Any, compiler: BaseCompiler = TOY) -> str:
    """The text of a pipeline."""
    pipeline = parse_pipeline(list(stages), ITEM, Bindings(), lookup=lambda name: ITEM)
    return statement(Aggregate(ITEM, pipeline), compiler).sql
