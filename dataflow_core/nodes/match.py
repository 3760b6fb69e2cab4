"""What an upsert matches by, and the fields that it then changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from dataflow_core.errors import InvalidValue, MissingParameter
from dataflow_core.naming_hints import quoted
from dataflow_core.run.matches import Match, match_among
from dataflow_core.schema import Field, Model

__all__ = ["match_by", "update_fields"]


def match_by(node: str, model: Model, names: Any, row: Mapping[str, Any] | None) -> Match:
    """The unique key of these fields, else the primary key.

    It may be one of some rows only, if new rows are among them for sure: where its filter says
    nothing but that fields are None. ``row``, if given, has to give all fields of the key. Raises
    ``InvalidValue`` if they are no unique key.
    """
    if names is None:
        names = [item.name for item in model.given_key]
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list | tuple) or not names:
        raise InvalidValue(f"{node}: match_fields is a list of field names, got {quoted(names)}")
    fields = tuple(model.field(name, "match_fields") for name in names)
    # What the context has is a part of every key, named or not.
    implied = {item.name for item in model.context_fields}
    match = Match(fields)
    if not any(set(key) == set(names) - implied for key in model.given_keys):
        match = _partial_match(node, model, names, implied)
    for name in names if row is not None else ():
        if name not in row and name not in implied:  # type: ignore[operator]
            raise MissingParameter(
                f"{node}: {name} is missing, which match_fields names", parameter=name
            )
    return evolve(match, fields=tuple(dict.fromkeys((*fields, *model.context_fields))))


def _partial_match(node: str, model: Model, given: Sequence[str], implied: set[str]) -> Match:
    """How rows are matched by fields that are unique among some rows only."""
    names, wanted = list(given), set(given) - implied
    partial = [index for index in model.partial_keys if set(index.columns) - implied == wanted]
    for index in partial:
        match = match_among(model, index)
        if match is not None:
            return match
    if partial:
        raise InvalidValue(
            f"{node}: match_fields {names} is unique among some rows of {model.name} only, and a"
            " new row need not be one of them: that is sure only of a filter which says that"
            " fields are None",
            parameter="match_fields",
        )
    partial_keys = (index.columns for index in model.partial_keys)
    others = (tuple(name for name in key if name not in implied) for key in partial_keys)
    keys = dict.fromkeys((*model.given_keys, *others))
    listed = " or ".join(f"({', '.join(key)})" for key in keys)
    raise InvalidValue(
        f"{node}: match_fields {names} is no unique key of {model.name}; its keys are {listed}",
        parameter="match_fields",
    )


def update_fields(
    node: str, model: Model, names: Any, match: tuple[Field, ...]
) -> tuple[Field, ...] | None:
    """The fields that a stored row takes over; ``None`` for all that are given."""
    if names is None:
        return None
    if not isinstance(names, list | tuple):
        raise InvalidValue(f"{node}: update_fields is a list of field names, got {quoted(names)}")
    fields = tuple(model.field(name, "update_fields") for name in names)
    for item in fields:
        if item in match or item.primary_key or item.managed == "updated" or item.protected:
            raise InvalidValue(
                f"{node}: update_fields names {item.name}, which an upsert does not change",
                parameter="update_fields",
            )
    return fields
