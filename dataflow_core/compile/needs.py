"""Which features an operation needs: read off its tree, before anything is compiled or sent.

One table for all, so that what a dialect declares off is refused whatever its compiler does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs

from dataflow_core.aggregate.ast import (
    Accumulator,
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
    UnionWith,
)
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.expressions.ast import Call
from dataflow_core.expressions.functions import CALLS
from dataflow_core.features import Feature, Version
from dataflow_core.filters.ast import (
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
    Related,
    Slot,
)
from dataflow_core.operations import (
    Count,
    Create,
    CreateMany,
    DeleteMany,
    Find,
    Operation,
    UpdateMany,
    Upsert,
)
from dataflow_core.order import SortKey
from dataflow_core.schema import Field, Model
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)
from dataflow_core.updates.ast import (
    AddToSet,
    AtLeast,
    AtMost,
    BitChange,
    Clear,
    Compute,
    Increment,
    MoveFrom,
    Multiply,
    Pop,
    Pull,
    PullAll,
    Push,
    SetMember,
    SetTo,
    UnsetMember,
)

__all__ = [
    "ACCUMULATOR_FEATURES",
    "ELSEWHERE",
    "NEEDS",
    "needed",
    "offers",
    "require",
    "table_needs",
]

Needs = str | Callable[[Any], Iterable[str]]

_WIDEST_PLAIN: Final = 18
"""The digits of a Decimal that needs nothing more than ``types.decimal``."""

ACCUMULATOR_FEATURES: Final[Mapping[str, str]] = {
    "first": "aggregate.first_last",
    "last": "aggregate.first_last",
    "push": "aggregate.collect",
    "addToSet": "aggregate.collect",
    "stdDevPop": "aggregate.statistics",
    "stdDevSamp": "aggregate.statistics",
    "median": "aggregate.statistics",
}
"""The accumulators that need more than ``aggregate.group``."""


def _not(node: Not) -> Iterable[str]:
    # `$ne`, `$nin` and `$exists` are complements of one leaf, and no logic of the user's.
    return () if isinstance(node.item, Compare | Membership | IsNull) else ("filters.logic",)


def _pattern(node: Pattern) -> Iterable[str]:
    return ("filters.regex" if node.kind == "regex" else "filters.text",)


def _find(operation: Find) -> Iterable[str]:
    if operation.distinct:
        yield "select.distinct"
    # The limit that guards every list is none of the user's.
    if operation.paged or operation.offset is not None:
        yield "paging"


def _count(operation: Count) -> Iterable[str]:
    return ("select.distinct",) if operation.distinct else ()


def _sort_key(key: SortKey) -> Iterable[str]:
    return ("order.null_first",) if key.field.nullable else ()


def _pipeline(pipeline: Pipeline) -> Iterable[str]:
    return ("aggregate.more_stages",) if pipeline.more_stages else ()


def _create(operation: Create | CreateMany | Upsert) -> Iterable[str]:
    made = [key for key in operation.model.primary_key if key.generated == "database"]
    return ("write.generated_key",) if set(made) - set(operation.columns) else ()


def _create_many(operation: CreateMany) -> Iterable[str]:
    yield "write.bulk_create"
    if operation.conflict != "error":
        yield "write.bulk_conflict"
    yield from _create(operation)


def _upsert(operation: Upsert) -> Iterable[str]:
    yield "write.upsert"
    yield from _create(operation)


def _decimal(kind: Decimal) -> Iterable[str]:
    yield "types.decimal"
    if kind.precision > _WIDEST_PLAIN:
        yield "types.decimal.wide"


def _enumeration(kind: Enumeration) -> Iterable[str]:
    return ("types.enum", *_of(kind.base))


NEEDS: Final[Mapping[type, Needs]] = {
    # Types
    Integer: "types.integer",
    Float: "types.float",
    Decimal: _decimal,
    Boolean: "types.boolean",
    Text: "types.text",
    Binary: "types.binary",
    Timestamp: "types.timestamp",
    Date: "types.date",
    Time: "types.time",
    Uuid: "types.uuid",
    Json: "types.json",
    Enumeration: _enumeration,
    # Filters
    Compare: "filters.comparison",
    Membership: "filters.membership",
    And: "filters.logic",
    Or: "filters.logic",
    Not: _not,
    IsNull: "filters.null",
    Pattern: _pattern,
    Modulo: "filters.modulo",
    Bits: "filters.bits",
    ExpressionTest: "filters.expression",
    JsonPath: "filters.json.path",
    Contains: "filters.json.array",
    ArraySize: "filters.json.array",
    ElementMatch: "filters.json.array",
    Related: "relations",
    # Reading
    Find: _find,
    Count: _count,
    SortKey: _sort_key,
    # Updates
    SetTo: "updates.set",
    Clear: "updates.set",
    MoveFrom: "updates.set",
    Increment: "updates.arithmetic",
    Multiply: "updates.arithmetic",
    AtMost: "updates.arithmetic",
    AtLeast: "updates.arithmetic",
    BitChange: "updates.bits",
    Compute: "updates.expression",
    **dict.fromkeys((SetMember, UnsetMember, Push, AddToSet, Pull, PullAll, Pop), "updates.json"),
    # Aggregates
    Pipeline: _pipeline,
    **dict.fromkeys((Match, Sort, Skip, Project, CountRows), "aggregate.stages"),
    Limit: lambda stage: () if stage.guard else ("aggregate.stages",),
    Sample: "aggregate.more_stages",
    Group: "aggregate.group",
    Accumulator: lambda item: (ACCUMULATOR_FEATURES.get(item.function, "aggregate.group"),),
    Facet: "aggregate.facet",
    UnionWith: "aggregate.union",
    Join: "aggregate.lookup",
    Lookup: "aggregate.lookup",
    Call: lambda node: (CALLS[node.function].feature,),
    # Writes
    Create: _create,
    CreateMany: _create_many,
    UpdateMany: "write.bulk_update",
    DeleteMany: "write.bulk_delete",
    Upsert: _upsert,
}
"""What a node of an operation needs by itself; its parts are looked at by themselves."""

ELSEWHERE: Final[Mapping[str, str]] = {
    "write.bulk_update": "rows by key: where the rows are read",
    "updates.json": "where the rows are read, changed and written",
    "constraints.foreign_key": "where the table is made",
    "constraints.check": "where the table is made",
    "schema.introspection": "where tables are read",
    "schema.alter": "where a table is changed",
    "schema.partial_index": "where the table is made",
    "schema.partial_unique": "where the table is made",
    "schema.partitions": "where the table is seen to",
    "schema.row_security": "where the table is seen to",
    "relations": "where related rows are asked for",
    "transactions": "where one begins",
    "transactions.savepoint": "where one is set",
    "transactions.two_phase": "where one is prepared, or ended by its name",
    "connection.read_replica": "where the instance is made",
    "connection.memory": "the dialect, which opens the database",
    "connection.tls": "the dialect, which opens the database",
    "constraints.errors": "nothing to refuse: the database raises them",
    "cancellation": "nothing to refuse: it may come at any time",
    "concurrency": "nothing to refuse: it may come at any time",
    "identifiers": "nothing to refuse: every statement has names",
    "limits": "nothing to refuse: core keeps them by itself",
}
"""The features that are not, or not only, read off operations: where they are seen to."""


def needed(operation: Operation) -> tuple[str, ...]:
    """The features that an operation needs, each once, those of its model's types included."""
    kinds = (item.type for item in operation.model.fields)
    found = dict.fromkeys(name for kind in kinds for name in _of(kind))
    stack: list[Any] = [operation]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack.extend(reversed(node))
        elif attrs.has(type(node)) and not isinstance(node, _LEAVES):
            found.update(dict.fromkeys(_of(node)))
            parts = (getattr(node, item.name) for item in attrs.fields(type(node)))
            stack.extend(reversed(list(parts)))
    return tuple(found)


# Their types count with the model; a slot's type is that of what it is compared with.
_LEAVES: Final = (Model, Field, FieldType, Slot)


def _of(node: Any) -> Iterable[str]:
    entry = NEEDS.get(type(node), ())
    if isinstance(entry, str):
        return (entry,)
    return entry(node) if callable(entry) else entry


def table_needs(model: Model, *, made: bool) -> tuple[str, ...]:
    """The features that a table needs: the types, and where it is ``made`` the constraints."""
    fields = model.fields
    found = dict.fromkeys(name for item in fields for name in _of(item.type))
    if made and (
        model.foreign_keys or any(item.references is not None and item.enforced for item in fields)
    ):
        found["constraints.foreign_key"] = None
    if made and (model.checks or any(item.check is not None for item in fields)):
        found["constraints.check"] = None
    for index in model.indexes if made else ():
        if index.where is not None:
            found["schema.partial_unique" if index.unique else "schema.partial_index"] = None
    if model.partitions is not None:
        found["schema.partitions"] = None
    if model.secured_by is not None:
        found["schema.row_security"] = None
    return tuple(found)


def offers(features: Mapping[str, Feature], feature: str, version: Version | None) -> bool:
    """Whether a table declares a feature for a server of this version."""
    declared = features.get(feature)
    return declared is not None and declared.holds(version)


def _refusal(
    declared: Feature | None, feature: str, dialect: str, place: str
) -> UnsupportedFeature:
    """The refusal of a feature that a dialect does not offer."""
    if declared is None:
        reason = "the dialect does not declare it"
    elif declared.level == "full":
        reason = declared.reason or "not on this version of the server"
    else:
        reason = declared.reason
    where = f"{place}: " if place else ""
    return UnsupportedFeature(
        f"{where}{dialect} does not offer {feature}: {reason}",
        feature=feature,
        dialect=dialect,
        reason=reason,
    )


def require(
    features: Mapping[str, Feature],
    needs: Iterable[str],
    *,
    dialect: str,
    version: Version | None,
    place: str = "",
) -> None:
    """Refuse what a dialect declares off for this server.

    Parameters:
        features: the dialect's table.
        needs: feature ids.
        dialect: the dialect's name.
        version: of the server; ``None`` where it is not known yet.
        place: what is in question, such as a model's name, for the message.

    Raises:
        UnsupportedFeature: the first of them that is not offered.
    """
    for name in needs:
        # Not ``get``: the conformance suite tells by it what is needed from what is looked at.
        try:
            declared: Feature | None = features[name]
        except KeyError:
            declared = None
        if declared is None or not declared.holds(version):
            raise _refusal(declared, name, dialect, place)
