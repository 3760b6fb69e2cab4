"""How the models of a database lead to the subject: references, and which of them name a person."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from attrs import define
from attrs import field as attribute

from dataflow_core.schema import Field, Link, Model, links

__all__ = [
    "Filter",
    "Graph",
    "Key",
    "Row",
    "equal",
    "inside",
    "key_names",
    "key_of",
    "names_of",
    "values_of",
]

Row = dict[str, Any]
Key = tuple[Any, ...]
Filter = dict[str, Any]


def key_names(model: Model) -> tuple[str, ...]:
    """The fields of the key that calls give; what the context has, such as a tenant, is no part."""
    return names_of(model.given_key)


def key_of(model: Model, row: Row) -> Key:
    """The key of a row."""
    return tuple(row[name] for name in key_names(model))


def names_of(fields: Sequence[Field]) -> tuple[str, ...]:
    """The names of fields."""
    return tuple(item.name for item in fields)


def values_of(names: Sequence[str], row: Row) -> Key | None:
    """The values of these fields; ``None`` if one of them is missing, so that nothing is meant."""
    values = tuple(row[name] for name in names)
    return None if None in values else values


def equal(names: Sequence[str], values: Key) -> Filter:
    """The filter for rows with these values."""
    return dict(zip(names, values, strict=True))


def inside(names: Sequence[str], values: Sequence[Key]) -> Filter:
    """The filter for rows that have one of several tuples of values."""
    if len(names) == 1:
        return {names[0]: {"$in": [value[0] for value in values]}}
    return {"$or": [equal(names, value) for value in values]}


@define(eq=False)
class Graph:
    """The models of the subject's database that lead to it, over any number of references.

    What a model has no way from to the subject, such as products, is shared by all and never looked
    at.
    """

    subject: Model
    models: Sequence[Model]
    out: dict[Model, list[Link]] = attribute(init=False)
    into: dict[Model, list[Link]] = attribute(init=False)

    def __attrs_post_init__(self) -> None:
        every = [link for model in self.models for link in links(model, self.models)]
        linked = {self.subject}
        pending = [self.subject]
        while pending:
            target = pending.pop()
            for link in every:
                if link.target is target and link.owner not in linked:
                    linked.add(link.owner)
                    pending.append(link.owner)
        self.out = {model: [] for model in self.models if model in linked}
        self.into = {model: [] for model in self.out}
        for link in every:
            if link.owner in linked and link.target in linked:
                self.out[link.owner].append(link)
                self.into[link.target].append(link)

    @cached_property
    def without_key(self) -> list[Model]:
        """Models whose rows cannot be told apart, so that nothing is done with them."""
        return [model for model in self.out if not model.primary_key]

    def naming(self, model: Model) -> list[Link]:
        """The references by which rows of a model name a subject themselves."""
        return [link for link in self.out[model] if link.target is self.subject]

    def inherited(self, model: Model) -> list[Link]:
        """The references to what belongs to subjects in turn."""
        return [link for link in self.out[model] if link.target is not self.subject]

    def read(self, model: Model) -> tuple[str, ...]:
        """The fields that a walk needs of a row: its key and its ends of references."""
        found = dict.fromkeys(key_names(model))
        for link in self.out[model]:
            found.update(dict.fromkeys(names_of(link.fields)))
        for link in self.into[model]:
            found.update(dict.fromkeys(names_of(link.target_fields)))
        return tuple(found)

    def of_person(self, model: Model, person: Row) -> tuple[Filter | None, Filter | None]:
        """The filter for the rows of a model that name this person, or nobody; for the others.

        ``None``: there are no such rows.
        """
        if not self.naming(model):
            return {}, None
        clauses: list[Filter] = []
        absent: list[Filter] = []
        for link in self.naming(model):
            values = values_of(names_of(link.target_fields), person)
            if values is not None:
                clauses.append(equal(names_of(link.fields), values))
            absent.append({"$or": [{item.name: None} for item in link.fields if item.nullable]})
        if all(item["$or"] for item in absent):
            clauses.append({"$and": absent})
        return ({"$or": clauses}, {"$nor": clauses}) if clauses else (None, {})

    def names(self, model: Model, row: Row, person: Row) -> bool | None:
        """Whether a row names this person; ``None``: it names nobody."""
        named = False
        for link in self.naming(model):
            values = values_of(names_of(link.fields), row)
            if values is not None:
                if values == values_of(names_of(link.target_fields), person):
                    return True
                named = True
        return False if named else None
