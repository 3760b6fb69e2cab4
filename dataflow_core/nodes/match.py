"""The fields that an upsert matches by, and those that it then changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataflow_core.errors import InvalidValue, MissingParameter
from dataflow_core.naming_hints import quoted
from dataflow_core.schema import Field, Model

__all__ = ["match_fields", "update_fields"]


def match_fields(
    node: str, model: Model, names: Any, row: Mapping[str, Any] | None
) -> tuple[Field, ...]:
    """The fields of a unique key: those named, else the primary key.

    ``row``, if given, has to give all of them. Raises ``InvalidValue`` if they are no unique key.
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
    if not any(set(key) == set(names) - implied for key in model.given_keys):
        keys = " or ".join(f"({', '.join(key)})" for key in dict.fromkeys(model.given_keys))
        raise InvalidValue(
            f"{node}: match_fields {list(names)} is no unique key of {model.name};"
            f" its keys are {keys}",
            parameter="match_fields",
        )
    for name in names if row is not None else ():
        if name not in row and name not in implied:  # type: ignore[operator]
            raise MissingParameter(
                f"{node}: {name} is missing, which match_fields names", parameter=name
            )
    return tuple(dict.fromkeys((*fields, *model.context_fields)))


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
