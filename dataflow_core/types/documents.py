"""JSON documents."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from attrs import frozen

from dataflow_core.errors import InvalidType, InvalidValue
from dataflow_core.naming_hints import quoted
from dataflow_core.types.base import FieldType
from dataflow_core.types.numbers import INT64, refuse_not_finite
from dataflow_core.types.plain import check_text

__all__ = ["JSON_DEPTH", "Json"]

JSON_DEPTH: Final = 64
JSON_VALUES: Final = 1_000_000
"""Beyond, a small document that holds one list many times over would take for ever to write."""


@frozen
class Json(FieldType):
    """A JSON document. ``shape``: ``object``, ``array`` or ``any``; ``item`` types its elements."""

    name: ClassVar[str] = "JSON"
    ordered: ClassVar[bool] = False
    shape: str = "any"
    item: FieldType | None = None

    def check(self, value: Any, where: str) -> Any:
        expected = {"object": dict, "array": list}.get(self.shape)
        if expected is not None and not isinstance(value, expected):
            raise self.refuse(value, where, expected.__name__)
        _check_json(value, where)
        if self.item is not None:
            for index, item in enumerate(value):
                if self.item.check(item, f"{where}[{index}]") != item:
                    raise self.item.refuse(item, f"{where}[{index}]")
        return value


def _check_json(document: Any, where: str) -> None:
    """Refuse what not every database stores as JSON; with its own stack: depth cannot overflow."""
    stack: list[tuple[Any, int]] = [(document, 0)]
    count = 0
    while stack:
        value, depth = stack.pop()
        if value is None or value is True or value is False:
            continue
        kind = type(value)
        if kind is str:
            check_text(value, where)
        elif kind is int:
            INT64.check(value, where)
        elif kind is float:
            refuse_not_finite(value, where)
        elif kind is dict or kind is list:
            if depth >= JSON_DEPTH:
                raise InvalidValue(f"{where}: JSON is nested deeper than {JSON_DEPTH}", where=where)
            count += len(value)
            if count > JSON_VALUES:
                raise InvalidValue(f"{where}: JSON of more than {JSON_VALUES} values", where=where)
            if kind is dict:
                for key in value:
                    if type(key) is not str:
                        raise InvalidType(
                            f"{where}: JSON keys are text, got {quoted(key)}", where=where
                        )
                    check_text(key, where)
                stack.extend((item, depth + 1) for item in value.values())
            else:
                stack.extend((item, depth + 1) for item in value)
        else:
            raise InvalidType(
                f"{where}: {kind.__name__} {quoted(value)} is no JSON value", where=where
            )
