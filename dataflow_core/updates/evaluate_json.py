"""What changes inside a JSON document mean. Databases run this very code: documents are read,
changed here and written back, in one transaction.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Final

from dataflow_core.errors import InvalidUpdate
from dataflow_core.filters.evaluate import element_matches, json_equal, value_at
from dataflow_core.updates.ast import (
    AddToSet,
    JsonChange,
    Pop,
    Pull,
    PullAll,
    Push,
    SetMember,
    UnsetMember,
)

__all__ = ["changed_document", "json_order"]

Steps = tuple[str | int, ...]
Values = Sequence[Any]

_PADDING: Final = 1000
"""So many nulls at most are put in front of an element that is set beyond the end of an array."""


def changed_document(document: Any, change: JsonChange, values: Values, where: str) -> Any:
    """A JSON document after a change; the given one stays as it is.

    Parameters:
        document: the value of the field; ``None`` where it is NULL.
        change: what changes.
        values: the bound values, by the index of their slots.
        where: the field, for messages.

    Raises:
        InvalidUpdate: something that is no array is changed as one, or the path leads through
            something that holds no members.
    """
    document = copy.deepcopy(document)
    if isinstance(change, SetMember):
        value = copy.deepcopy(values[change.slot.index])
        return _with_value(document, change.steps, value, where)
    if isinstance(change, UnsetMember):
        _remove(document, change.steps)
        return document
    array = value_at(document, change.steps)
    if array is None:
        if not isinstance(change, Push | AddToSet):
            return document
        array = []
    if not isinstance(array, list):
        raise InvalidUpdate(
            f"{_place(where, change.steps)}: expected an array, found {_kind(array)}", where=where
        )
    return _with_value(document, change.steps, _changed_array(array, change, values), where)


def json_order(value: Any) -> tuple[Any, ...]:
    """The sort key of a JSON value: null, numbers, text, objects, arrays, booleans, as in BSON.

    Objects compare by their members in the order of the names, arrays element by element.
    """
    if value is None:
        return (0,)
    if isinstance(value, bool):
        return (5, value)
    if isinstance(value, int | float):
        return (1, value)
    if isinstance(value, str):
        return (2, value)
    if isinstance(value, dict):
        return (3, tuple((name, json_order(value[name])) for name in sorted(value)))
    return (4, tuple(json_order(item) for item in value))


def _changed_array(
    array: list[Any], change: Push | AddToSet | Pull | PullAll | Pop, values: Values
) -> list[Any]:
    if isinstance(change, Push):
        return _pushed(array, change, values)
    if isinstance(change, AddToSet):
        for item in values[change.items.index]:
            if not any(json_equal(item, known) for known in array):
                array.append(copy.deepcopy(item))
        return array
    if isinstance(change, Pull):
        return [item for item in array if not element_matches(change.condition, item, values)]
    if isinstance(change, PullAll):
        unwanted = values[change.items.index]
        return [item for item in array if not any(json_equal(item, other) for other in unwanted)]
    return array[1:] if change.first else array[:-1]


def _pushed(array: list[Any], change: Push, values: Values) -> list[Any]:
    """Insert, then sort the whole array, then cut it."""
    items = copy.deepcopy(values[change.items.index])
    position = len(array) if change.position is None else values[change.position.index]
    array[position:position] = items
    if change.sort:
        array.sort(key=json_order, reverse=change.sort < 0)
    if change.slice is None:
        return array
    count = values[change.slice.index]
    return array[:count] if count >= 0 else array[count:]


def _with_value(document: Any, steps: Steps, value: Any, where: str) -> Any:
    """The document with ``value`` at a place; objects on the way there are made."""
    if not steps:
        return value
    if document is None and isinstance(steps[0], str):
        document = {}
    holder = document
    for depth, step in enumerate(steps):
        last = depth == len(steps) - 1
        if isinstance(holder, dict) and isinstance(step, str):
            known = holder.get(step)
        elif isinstance(holder, list) and isinstance(step, int):
            _pad(holder, step, where)
            known = holder[step]
        else:
            raise InvalidUpdate(
                f"{_place(where, steps[:depth])}: {step!r} cannot be set in {_kind(holder)}",
                where=where,
            )
        if last:
            holder[step] = value
        elif known is None:
            # Absent and null are alike.
            known = holder[step] = {}
        holder = known
    return document


def _pad(array: list[Any], position: int, where: str) -> None:
    missing = position + 1 - len(array)
    if missing > _PADDING:
        raise InvalidUpdate(
            f"{where}: position {position} is too far beyond the end of an array of {len(array)}",
            where=where,
        )
    array.extend([None] * missing)


def _remove(document: Any, steps: Steps) -> None:
    """Remove a member; an element of an array becomes null, so that the others keep their place."""
    holder = value_at(document, steps[:-1])
    step = steps[-1]
    if isinstance(holder, dict) and isinstance(step, str):
        holder.pop(step, None)
    elif isinstance(holder, list) and isinstance(step, int) and 0 <= step < len(holder):
        holder[step] = None


def _place(where: str, steps: Steps) -> str:
    return ".".join([where, *map(str, steps)])


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    if isinstance(value, bool):
        return "a bool"
    return "text" if isinstance(value, str) else "a number"
