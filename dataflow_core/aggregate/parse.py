"""From a pipeline document to typed stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, evolve

from dataflow_core.aggregate.ast import (
    Computed,
    CountRows,
    Facet,
    Group,
    Join,
    Limit,
    Lookup,
    Match,
    Pipeline,
    Project,
    Sample,
    Skip,
    Sort,
    Stage,
    UnionWith,
)
from dataflow_core.aggregate.names import check_alias, check_distinct
from dataflow_core.aggregate.parse_group import parse_bucket, parse_group, refuse_too_many
from dataflow_core.aggregate.parse_lookup import Known, parse_lookup, parse_unwind
from dataflow_core.errors import InvalidPipeline, LimitExceeded, UnknownOperator
from dataflow_core.expressions.ast import Expression, FieldValue
from dataflow_core.expressions.parse import parse_expression, parse_test
from dataflow_core.filters.ast import JsonPath, Predicate, walk
from dataflow_core.filters.parse import parse_filter
from dataflow_core.filters.scope import Bindings, Scope
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.order import SortKey
from dataflow_core.schema import Field, Model
from dataflow_core.schema.relation_names import Relations
from dataflow_core.types import Float, Integer, Json, Text

__all__ = ["STAGES", "parse_pipeline"]

ModelLookup = Callable[[str], Model]


def parse_pipeline(
    document: Any,
    model: Model,
    bindings: Bindings,
    *,
    lookup: ModelLookup | None = None,
    relations: Relations | None = None,
) -> Pipeline:
    """Parse a list of stages over the rows of a model.

    ``lookup`` finds the model that a stage names, ``relations`` are those of its database. Raises
    ``InvalidPipeline``, ``UnknownField``, ``UnknownOperator``, ``LimitExceeded`` and what filters
    and expressions raise.
    """
    state = _State(model.name, model.fields, bindings, lookup, model, relations)
    return state.pipeline(document, nested=False)


@define
class _State:
    """The fields that flow at a point of the pipeline."""

    name: str
    fields: tuple[Field, ...]
    bindings: Bindings
    lookup: ModelLookup | None
    model: Model
    relations: Relations | None
    depth: int = 0
    grouped: bool = False

    @property
    def scope(self) -> Scope:
        fields = {field.name: field for field in self.fields}
        # Only the rows of a model have relations; what a stage makes of them has none.
        own = self.model if self.fields is self.model.fields else None
        return Scope(self.name, fields, own, self.relations)

    def pipeline(self, document: Any, *, nested: bool) -> Pipeline:
        if not isinstance(document, list | tuple):
            raise InvalidPipeline(
                f"{self.name}: a pipeline is a list of stages, got {quoted(document)}"
            )
        limits = self.bindings.limits
        # Those inside others count too: each is a part of the statement.
        self.bindings.stages += len(document)
        if self.bindings.stages > limits.pipeline_stages:
            raise LimitExceeded(
                f"{self.name}: the pipeline has more than {limits.pipeline_stages} stages",
                limit=limits.pipeline_stages,
            )
        source = self.fields
        stages: list[Stage] = []
        lookups: list[Lookup] = []
        for index, item in enumerate(_expanded(document)):
            where = f"{self.name}.aggregate[{index}]"
            if stages and isinstance(stages[-1], Facet):
                raise InvalidPipeline(f"{self.name}: $facet is the last stage")
            key = next(iter(item)) if isinstance(item, Mapping) and len(item) == 1 else None
            if key == "$lookup":
                lookups.append(self._lookup(item[key], lookups, f"{where}.$lookup"))
            elif key == "$unwind" and lookups:
                stages.append(self._join(item[key], lookups.pop(), f"{where}.$unwind"))
            elif lookups:
                raise InvalidPipeline(
                    f"{where}: a $lookup is followed by its $unwind, or ends the pipeline"
                )
            else:
                stages.append(self._stage(item, where, nested=nested))
        if nested and lookups:
            raise InvalidPipeline(
                f"{self.name}: a $lookup without $unwind does not stand inside another pipeline"
            )
        more = any(next(iter(item)) in _MORE_STAGES for item in document)
        return Pipeline(source, tuple(stages), self.fields, more, tuple(lookups))

    def _lookup(self, value: Any, before: list[Lookup], where: str) -> Lookup:
        known = Known(self.model, self.other_model, self.relations)
        lookup = parse_lookup(value, self.scope, known, where)
        if any(other.name.casefold() == lookup.name.casefold() for other in before):
            raise InvalidPipeline(f"{where}: two lists are called {quoted(lookup.name)}")
        return lookup

    def _join(self, value: Any, lookup: Lookup, where: str) -> Join:
        join = parse_unwind(value, lookup, self.fields, where)
        self.fields = check_distinct((*self.fields, *join.made), where)
        return join

    def other_model(self, name: Any, where: str) -> Model:
        """The model that a stage names, by its class or its table; of the same database."""
        relations = self.relations
        if isinstance(name, str) and relations is not None:
            for other in relations.models():
                if name in (other.name, other.table):
                    return other
        if self.lookup is None or not isinstance(name, str):
            raise InvalidPipeline(f"{where}: there is no model {quoted(name)}")
        model = self.lookup(name)
        if model.database != self.model.database:
            raise InvalidPipeline(f"{where}: {model.name} is in another database")
        return model

    def _stage(self, item: Any, where: str, *, nested: bool) -> Stage:
        if not isinstance(item, Mapping) or len(item) != 1:
            raise InvalidPipeline(f"{where}: a stage is a dict with one key, got {quoted(item)}")
        [(key, value)] = item.items()
        make = STAGES.get(key) if isinstance(key, str) else None
        if make is None:
            raise UnknownOperator(
                f"{where}: there is no stage {quoted(key)}",
                suggestion=nearest(key, (*STAGES, "$sortByCount"))
                if isinstance(key, str)
                else None,
                operator=quoted(key),
            )
        if nested and key == "$facet":
            raise InvalidPipeline(f"{where}: $facet does not stand inside another pipeline")
        return make(self, value, f"{where}.{key}")


_MORE_STAGES: Final = ("$addFields", "$set", "$unset", "$sortByCount", "$bucket", "$sample")
"""Those of the feature ``aggregate.more_stages``."""


def _expanded(document: list[Any] | tuple[Any, ...]) -> list[Any]:
    """The stages, with ``$sortByCount`` written out."""
    stages: list[Any] = []
    for item in document:
        if isinstance(item, Mapping) and list(item) == ["$sortByCount"]:
            group = {"_id": item["$sortByCount"], "count": {"$count": {}}}
            stages += [{"$group": group}, {"$sort": {"count": -1}}]
        else:
            stages.append(item)
    return stages


def _match(state: _State, value: Any, where: str) -> Stage:
    predicate = parse_filter(value, state.scope, state.bindings, expression=parse_test, where=where)
    if state.grouped:
        _refuse_collected(predicate, where)
    return Match(predicate)


def _refuse_collected(predicate: Predicate, where: str) -> None:
    """A collected list holds its elements as the database stores them, which differs."""
    for node in walk(predicate):
        target = getattr(node, "target", None)
        kind = target.field.type if isinstance(target, JsonPath) else None
        item = kind.item if isinstance(kind, Json) else None
        if item is not None and not isinstance(item, Integer | Float | Text):
            raise InvalidPipeline(f"{where}: a collected list of {item.name} cannot be looked into")


def _group(state: _State, value: Any, where: str) -> Stage:
    stage = parse_group(value, state.scope, state.bindings, where)
    state.grouped = True
    return _grouped(state, stage, where)


def _grouped(state: _State, stage: Group, where: str) -> Group:
    keys = [key.field for key in stage.keys]
    made = [accumulator.field for accumulator in stage.accumulators]
    state.fields = check_distinct([*keys, *made], where)
    return stage


def _bucket(state: _State, value: Any, where: str) -> Stage:
    stage = parse_bucket(value, state.scope, state.bindings, where)
    state.grouped = True
    return _grouped(state, stage, where)


def _sort(state: _State, value: Any, where: str) -> Stage:
    if not isinstance(value, Mapping) or not value:
        raise InvalidPipeline(f"{where}: takes {{field: 1 or -1}}, got {quoted(value)}")
    if len(value) > state.bindings.limits.order_keys:
        raise LimitExceeded(f"{where}: has more than {state.bindings.limits.order_keys} keys")
    keys = []
    for name, way in value.items():
        field = state.scope.field(name)
        if type(way) is not int or way not in (1, -1):
            raise InvalidPipeline(f"{where}: a direction is 1 or -1, got {quoted(way)}")
        if not field.type.ordered:
            raise InvalidPipeline(f"{where}: {field.name} is {field.type.name}, which has no order")
        keys.append(SortKey(field, way == -1))
    return Sort(tuple(keys))


def _number(value: Any, where: str, least: int) -> int:
    number = Integer().check(value, where)
    if number < least:
        raise InvalidPipeline(f"{where}: takes a number from {least} up, got {number}")
    return number


def _limit(state: _State, value: Any, where: str) -> Stage:
    return Limit(state.bindings.slot(_number(value, where, 1), Integer()))


def _skip(state: _State, value: Any, where: str) -> Stage:
    return Skip(state.bindings.slot(_number(value, where, 0), Integer()))


def _sample(state: _State, value: Any, where: str) -> Stage:
    if not isinstance(value, Mapping) or set(value) != {"size"}:
        raise InvalidPipeline(f"{where}: takes {{'size': number}}, got {quoted(value)}")
    return Sample(state.bindings.slot(_number(value["size"], where, 1), Integer()))


def _count(state: _State, value: Any, where: str) -> Stage:
    field = Field(check_alias(value, where), Integer(), value)
    state.fields = (field,)
    return CountRows(field)


def _computed(name: str, expression: Expression) -> Computed:
    """A field of a projection: it keeps what is known of the field that it only repeats."""
    if isinstance(expression, FieldValue):
        field = evolve(expression.field, name=name, column=name, primary_key=False)
    else:
        field = Field(name, expression.type, name, nullable=True)
    return Computed(field, expression)


def _projected(state: _State, columns: list[Computed], where: str) -> Stage:
    state.fields = check_distinct((column.field for column in columns), where)
    return Project(tuple(columns))


def _project(state: _State, value: Any, where: str) -> Stage:
    if not isinstance(value, Mapping) or not value:
        raise InvalidPipeline(f"{where}: takes a dict of fields, got {quoted(value)}")
    refuse_too_many(value, state.bindings, where)
    excluded = [name for name, mark in value.items() if _is_mark(mark) and not mark]
    if len(excluded) == len(value):
        return _unset(state, excluded, where)
    if any(name != "_id" for name in excluded):
        raise InvalidPipeline(f"{where}: fields are either included or excluded, not both")
    columns: list[Computed] = []
    kept = [name for name in _parts(state, "_id") if "_id" not in value and name not in value]
    columns.extend(_computed(name, FieldValue(state.scope.field(name))) for name in kept)
    for name, document in value.items():
        if name in excluded:
            continue
        if _is_mark(document):
            names = _parts(state, name) or [name]
            columns.extend(_computed(part, FieldValue(state.scope.field(part))) for part in names)
        else:
            expression = parse_expression(
                document, state.scope, state.bindings, f"{where}.{quoted(name)[1:-1]}"
            )
            columns.append(_computed(check_alias(name, where), expression))
    return _projected(state, columns, where)


def _is_mark(value: Any) -> bool:
    return isinstance(value, bool) or (type(value) is int and value in (0, 1))


def _parts(state: _State, name: Any) -> list[str]:
    """The fields that together are one in the result: ``_id``, or a joined row."""
    return [
        field.name
        for field in state.fields
        if field.name == name or (isinstance(name, str) and field.name.startswith(f"{name}."))
    ]


def _add_fields(state: _State, value: Any, where: str) -> Stage:
    if not isinstance(value, Mapping) or not value:
        raise InvalidPipeline(f"{where}: takes a dict of fields, got {quoted(value)}")
    refuse_too_many(value, state.bindings, where)
    columns = {field.name: _computed(field.name, FieldValue(field)) for field in state.fields}
    for name, document in value.items():
        expression = parse_expression(
            document, state.scope, state.bindings, f"{where}.{quoted(name)[1:-1]}"
        )
        columns[name] = _computed(check_alias(name, where), expression)
    return _projected(state, list(columns.values()), where)


def _unset(state: _State, value: Any, where: str) -> Stage:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise InvalidPipeline(f"{where}: takes a name or a list of names, got {quoted(value)}")
    dropped = set()
    for name in names:
        dropped.update(_parts(state, name) or [state.scope.field(name).name])
    kept = [field for field in state.fields if field.name not in dropped]
    if not kept:
        raise InvalidPipeline(f"{where}: no field is left")
    return _projected(state, [_computed(field.name, FieldValue(field)) for field in kept], where)


def _facet(state: _State, value: Any, where: str) -> Stage:
    if not isinstance(value, Mapping) or not value:
        raise InvalidPipeline(f"{where}: takes {{name: pipeline}}, got {quoted(value)}")
    most = state.bindings.limits.pipeline_stages
    if len(value) > most:
        raise LimitExceeded(f"{where}: has {len(value)} pipelines, at most {most}", limit=most)
    branches = []
    for name, document in value.items():
        branch = evolve(state)
        branches.append((check_alias(name, where), branch.pipeline(document, nested=True)))
    state.fields = ()
    return Facet(tuple(branches))


def _union_with(state: _State, value: Any, where: str) -> Stage:
    document = {"coll": value} if isinstance(value, str) else value
    if (
        not isinstance(document, Mapping)
        or "coll" not in document
        or set(document) - {"coll", "pipeline"}
    ):
        raise InvalidPipeline(f"{where}: takes a model, or {{'coll': model, 'pipeline': [...]}}")
    model = state.other_model(document["coll"], where)
    depth = state.depth + 1
    if depth > state.bindings.limits.filter_depth:
        raise LimitExceeded(f"{where}: the pipelines are nested too deep")
    other = _State(
        model.name, model.fields, state.bindings, state.lookup, model, state.relations, depth
    )
    pipeline = other.pipeline(document.get("pipeline", []), nested=True)
    mine = [(field.name, field.type) for field in state.fields]
    theirs = [(field.name, field.type) for field in pipeline.fields]
    if mine != theirs:
        raise InvalidPipeline(f"{where}: the fields differ: {dict(mine)} and {dict(theirs)}")
    return UnionWith(model, pipeline)


def _alone(state: _State, value: Any, where: str) -> Stage:
    raise InvalidPipeline(f"{where}: stands right behind a $lookup, whose rows it unwinds")


STAGES: Final[dict[str, Callable[[_State, Any, str], Stage]]] = {
    "$match": _match,
    "$group": _group,
    "$sort": _sort,
    "$limit": _limit,
    "$skip": _skip,
    "$project": _project,
    "$count": _count,
    "$addFields": _add_fields,
    "$set": _add_fields,
    "$unset": _unset,
    "$bucket": _bucket,
    "$sample": _sample,
    "$facet": _facet,
    "$unionWith": _union_with,
    "$lookup": _alone,
    "$unwind": _alone,
}
"""The stages, by name."""
