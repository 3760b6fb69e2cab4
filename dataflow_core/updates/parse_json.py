"""The update operators on JSON arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from dataflow_core.errors import InvalidUpdate
from dataflow_core.filters.ast import JsonPath
from dataflow_core.filters.parse import parse_element_filter
from dataflow_core.filters.scope import Bindings
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema import Field
from dataflow_core.types import Integer, Json
from dataflow_core.updates.ast import AddToSet, JsonChange, Pop, Pull, PullAll, Push

__all__ = ["JSON_CHANGES"]

Steps = tuple[str | int, ...]
_MODIFIERS: Final = ("$each", "$position", "$slice", "$sort")
_LIST: Final = Json("array")


def _item(field: Field, steps: Steps, value: Any, where: str) -> Any:
    """An element checked against the type that the list declares for its elements."""
    assert isinstance(field.type, Json)
    if field.type.item is not None and not steps:
        return field.type.item.check(value, where)
    return Json().check(value, where)


def _items(field: Field, steps: Steps, operand: Any, where: str) -> list[Any]:
    """One value, or those under ``$each``."""
    if isinstance(operand, Mapping) and "$each" in operand:
        values = operand["$each"]
        if not isinstance(values, list | tuple):
            raise InvalidUpdate(f"{where}: $each takes a list, got {quoted(values)}")
        return [_item(field, steps, value, where) for value in values]
    return [_item(field, steps, operand, where)]


def _refuse_unknown(operand: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(operand, Mapping):
        return
    # Beside a modifier even a plain key is none; without any the dict is the element.
    modified = any(name in operand for name in known)
    for key in operand:
        if key not in known and (modified or (isinstance(key, str) and key.startswith("$"))):
            raise InvalidUpdate(
                f"{where}: there is no modifier {quoted(key)}", suggestion=nearest(key, known)
            )


def _push(field: Field, steps: Steps, operand: Any, bindings: Bindings, where: str) -> JsonChange:
    _refuse_unknown(operand, _MODIFIERS, where)
    modifiers: Mapping[str, Any] = operand if isinstance(operand, Mapping) else {}
    if any(name in modifiers for name in _MODIFIERS) and "$each" not in modifiers:
        raise InvalidUpdate(f"{where}: $push modifiers stand beside $each")
    sort = modifiers.get("$sort", 0)
    if type(sort) is not int or sort not in (0, 1, -1):
        raise InvalidUpdate(f"{where}: $sort is 1 or -1, got {quoted(sort)}")
    numbers = {
        name: bindings.slot(Integer().check(modifiers[name], f"{where}.{name}"), Integer())
        for name in ("$position", "$slice")
        if name in modifiers
    }
    items = bindings.slot(_items(field, steps, operand, where), _LIST)
    return Push(steps, items, numbers.get("$position"), numbers.get("$slice"), sort)


def _add_to_set(
    field: Field, steps: Steps, operand: Any, bindings: Bindings, where: str
) -> JsonChange:
    _refuse_unknown(operand, ("$each",), where)
    return AddToSet(steps, bindings.slot(_items(field, steps, operand, where), _LIST))


def _pull(field: Field, steps: Steps, operand: Any, bindings: Bindings, where: str) -> JsonChange:
    return Pull(steps, parse_element_filter(JsonPath(field, steps), operand, bindings, where))


def _pull_all(
    field: Field, steps: Steps, operand: Any, bindings: Bindings, where: str
) -> JsonChange:
    if not isinstance(operand, list | tuple):
        raise InvalidUpdate(f"{where}: $pullAll takes a list, got {quoted(operand)}")
    return PullAll(steps, bindings.slot(_LIST.check(list(operand), where), _LIST))


def _pop(field: Field, steps: Steps, operand: Any, bindings: Bindings, where: str) -> JsonChange:
    if type(operand) is not int or operand not in (1, -1):
        raise InvalidUpdate(f"{where}: $pop takes 1 (last) or -1 (first), got {quoted(operand)}")
    return Pop(steps, operand == -1)


JSON_CHANGES: Final[dict[str, Callable[[Field, Steps, Any, Bindings, str], JsonChange]]] = {
    "$push": _push,
    "$addToSet": _add_to_set,
    "$pull": _pull,
    "$pullAll": _pull_all,
    "$pop": _pop,
}
