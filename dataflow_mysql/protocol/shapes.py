"""The columns of results, kept: the same statement defines them by the same bytes."""

from __future__ import annotations

from typing import Final, NamedTuple

from dataflow_mysql.protocol.packets import Reader, columns_of, reader_of

__all__ = ["Shape", "shape_of"]

_HEADER: Final = 4
_KEPT_SHAPES: Final = 2_048


class Shape(NamedTuple):
    """The columns of a result and how its rows are read."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    read: Reader


_shapes: dict[bytes, Shape] = {}


def shape_of(definitions: bytes, count: int) -> Shape:
    """The shape that the packets define; the same statement defines it by the same bytes."""
    found = _shapes.get(definitions)
    if found is not None:
        return found
    names, kinds, position = [], [], 0
    for _ in range(count):
        start = position + _HEADER
        position = start + int.from_bytes(definitions[position : position + 3], "little")
        name, kind = columns_of(definitions[start:position])
        names.append(name)
        kinds.append(kind)
    if len(_shapes) >= _KEPT_SHAPES:
        _shapes.clear()
    shape = Shape(tuple(names), tuple(kinds), reader_of(tuple(kinds)))
    _shapes[definitions] = shape
    return shape
