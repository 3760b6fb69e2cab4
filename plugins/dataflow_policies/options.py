"""Reading the options of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataflow_core.errors import InvalidModel
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema import Model

__all__ = ["option_of"]


def option_of(model: Model, name: str, known: Mapping[str, type]) -> Mapping[str, Any] | None:
    """What ``__dataflow__[name]`` says: a dict (empty for ``True``), or ``None`` if it is off.

    ``known`` are the names in it and their types. Raises ``InvalidModel``.
    """
    value = model.options.get(name, False)
    if isinstance(value, bool):
        return {} if value else None
    if not isinstance(value, Mapping):
        raise InvalidModel(
            f"{model.name}: the option {name!r} is True, False or a dict, got {quoted(value)}",
            model=model.name,
        )
    for key, item in value.items():
        if key not in known:
            raise InvalidModel(
                f"{model.name}: the option {name!r} has no {quoted(key)}",
                suggestion=nearest(str(key), known),
                model=model.name,
            )
        if not isinstance(item, known[key]) or (known[key] is int and isinstance(item, bool)):
            raise InvalidModel(
                f"{model.name}: {key!r} of the option {name!r} is a {known[key].__name__},"
                f" got {quoted(item)}",
                model=model.name,
            )
    return value
