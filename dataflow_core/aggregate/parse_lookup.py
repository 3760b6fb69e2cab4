"""``$lookup``: rows of another model beside each row, as a list or, unwound, one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import evolve, frozen

from dataflow_core.aggregate.ast import Join, Lookup
from dataflow_core.aggregate.names import check_alias
from dataflow_core.errors import InvalidPipeline
from dataflow_core.filters.scope import Scope
from dataflow_core.naming_hints import quoted
from dataflow_core.schema import Field, Model
from dataflow_core.schema.naming import NAME_BYTES
from dataflow_core.schema.relation_names import Relations
from dataflow_core.types import Json

__all__ = ["Known", "parse_lookup", "parse_unwind"]

_FIELDS: Final = frozenset(("from", "localField", "foreignField", "as"))
_PRESERVE: Final = "preserveNullAndEmptyArrays"


@frozen
class Known:
    """What a stage may name: the model of the rows, the others by name, the relations."""

    model: Model
    find: Callable[[Any, str], Model]
    relations: Relations | None


def parse_lookup(value: Any, scope: Scope, known: Known, where: str) -> Lookup:
    """Parse ``{from, localField, foreignField, as}`` or ``{relation, as}``."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidPipeline(f"{where}: takes a dict, got {quoted(value)}")
    if "relation" in value and set(value) <= {"relation", "as"}:
        lookup = _by_relation(value, scope, known, where)
    elif set(value) == _FIELDS:
        lookup = _by_fields(value, scope, known, where)
    else:
        raise InvalidPipeline(
            f"{where}: takes from, localField, foreignField and as, or relation and as,"
            f" got {quoted(list(value))}"
        )
    taken = {name.partition(".")[0].casefold() for name in scope.fields}
    if lookup.name.casefold() in taken:
        raise InvalidPipeline(f"{where}: there is a field {quoted(lookup.name)} already")
    return lookup


def _by_relation(value: Mapping[str, Any], scope: Scope, known: Known, where: str) -> Lookup:
    relations = known.relations or Relations(tuple)
    relation = relations.relation(known.model, value["relation"], where)
    for item in relation.fields:
        if scope.fields.get(item.name) != item:
            raise InvalidPipeline(
                f"{where}: the rows have no longer the field {quoted(item.name)},"
                f" by which {relation.name} is found"
            )
    name = check_alias(value.get("as", relation.name), where)
    return Lookup(name, relation.target, relation.fields, relation.target_fields)


def _by_fields(value: Mapping[str, Any], scope: Scope, known: Known, where: str) -> Lookup:
    model = known.find(value["from"], where)
    local = scope.field(value["localField"])
    foreign = model.field(value["foreignField"], f"{where}.foreignField")
    if isinstance(local.type, Json) or local.type.name != foreign.type.name:
        raise InvalidPipeline(
            f"{where}: {local.name} is {local.type.name} and {model.name}.{foreign.name} is"
            f" {foreign.type.name}; only plain values of one type are compared"
        )
    nulls = local.nullable and foreign.nullable
    return Lookup(check_alias(value["as"], where), model, (local,), (foreign,), nulls)


def parse_unwind(value: Any, lookup: Lookup, fields: Sequence[Field], where: str) -> Join:
    """Parse the ``$unwind`` that stands behind a ``$lookup``; ``fields`` are those before both."""
    document = {"path": value} if isinstance(value, str) else value
    if not isinstance(document, Mapping) or not {"path"} <= set(document) <= {"path", _PRESERVE}:
        raise InvalidPipeline(
            f"{where}: takes '$name', or {{'path': '$name', '{_PRESERVE}': bool}}"
        )
    if document["path"] != f"${lookup.name}":
        raise InvalidPipeline(
            f"{where}: unwinds what the $lookup before it makes, '${lookup.name}',"
            f" got {quoted(document['path'])}"
        )
    outer = document.get(_PRESERVE, False)
    if not isinstance(outer, bool):
        raise InvalidPipeline(f"{where}: {_PRESERVE} is True or False, got {quoted(outer)}")
    made = tuple(_joined(lookup, item, outer, where) for item in lookup.model.fields)
    return Join(lookup, tuple(fields), made, outer)


def _joined(lookup: Lookup, item: Field, outer: bool, where: str) -> Field:
    name = f"{lookup.name}.{item.name}"
    if len(name.encode()) > NAME_BYTES:
        raise InvalidPipeline(
            f"{where}: the name {quoted(name)} is longer than {NAME_BYTES} bytes;"
            " give a shorter one in 'as'"
        )
    return evolve(item, name=name, column=name, primary_key=False, nullable=item.nullable or outer)
