"""When two results are the same: equal values of equal types, all the way down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["RELATIVE", "first_difference", "same"]

RELATIVE: Final = 1e-9
"""How far computed floats may lie apart; stored ones are equal."""


def same(got: Any, expected: Any, *, close: bool = False) -> bool:
    """Whether two values are equal and of the same type, also inside of lists and dicts.

    ``close`` lets floats differ by a billionth: sums and means depend on the order of the rows.
    """
    return first_difference(got, expected, close=close) is None


def first_difference(
    got: Any, expected: Any, *, close: bool = False, where: str = ""
) -> str | None:
    """The first place where two values differ, in words; ``None`` if they do not."""
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        return _of_mappings(got, expected, close, where)
    if isinstance(expected, list | tuple) and isinstance(got, list | tuple):
        return _of_lists(got, expected, close, where)
    if type(got) is not type(expected):
        kinds = f"{type(expected).__name__} {expected!r}, got {type(got).__name__} {got!r}"
        return f"{where or 'value'}: expected {kinds}"
    if close and isinstance(expected, float) and _is_close(got, expected):
        return None
    if got != expected or _precision(got) != _precision(expected):
        return f"{where or 'value'}: expected {expected!r}, got {got!r}"
    return None


def _is_close(got: float, expected: float) -> bool:
    return math.isclose(got, expected, rel_tol=RELATIVE, abs_tol=RELATIVE)


def _precision(value: Any) -> Any:
    """What equality overlooks in a datetime: the zone that it is written in."""
    offset = getattr(value, "utcoffset", None)
    return offset() if offset is not None else None


def _of_mappings(
    got: Mapping[Any, Any], expected: Mapping[Any, Any], close: bool, where: str
) -> str | None:
    if got.keys() != expected.keys():
        keys = f"{sorted(map(str, expected))}, got {sorted(map(str, got))}"
        return f"{where or 'keys'}: expected keys {keys}"
    for key in expected:
        inner = f"{where}.{key}" if where else str(key)
        found = first_difference(got[key], expected[key], close=close, where=inner)
        if found is not None:
            return found
    return None


def _of_lists(
    got: list[Any] | tuple[Any, ...], expected: list[Any] | tuple[Any, ...], close: bool, where: str
) -> str | None:
    for index, (one, other) in enumerate(zip(got, expected, strict=False)):
        found = first_difference(one, other, close=close, where=f"{where}[{index}]")
        if found is not None:
            return found
    if len(got) != len(expected):
        return f"{where or 'list'}: expected {len(expected)} items, got {len(got)}"
    return None
