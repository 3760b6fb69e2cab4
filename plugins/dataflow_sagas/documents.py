"""Values as text, and back as they were: what the journal keeps of parameters and results.

JSON knows neither decimals nor dates, and databases change numbers in a JSON column. So a value is
kept as text, and what JSON has no word for carries the name of its type.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from dataflow_core.errors import InvalidType

__all__ = ["from_text", "to_text"]

_TYPE: Final = "$type"
_VALUE: Final = "value"

# The order matters: a datetime is a date, too.
_WRITE: Final[tuple[tuple[type, str, Callable[[Any], str]], ...]] = (
    (Decimal, "decimal", str),
    (dt.datetime, "datetime", dt.datetime.isoformat),
    (dt.date, "date", dt.date.isoformat),
    (dt.time, "time", dt.time.isoformat),
    (UUID, "uuid", str),
    (bytes, "bytes", bytes.hex),
)
_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "decimal": Decimal,
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "uuid": UUID,
    "bytes": bytes.fromhex,
    "float": float,
    "dict": lambda pairs: {key: value for key, value in pairs},  # noqa: C416 - pairs are lists
}


def to_text(value: Any, where: str) -> str:
    """A value as text.

    Raises:
        InvalidType: it holds something that cannot be kept, such as a generator or an object.
    """
    try:
        return json.dumps(_written(value, where))
    except RecursionError:
        raise InvalidType(f"{where}: it is nested too deeply, or in itself") from None


def from_text(text: str) -> Any:
    """The value that a text was made of; tuples are lists, members of enums their values."""
    return json.loads(text, object_hook=_read)


def _written(value: Any, where: str) -> Any:
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_TYPE: "float", _VALUE: str(value)}
    if isinstance(value, Mapping):
        if _TYPE not in value and all(isinstance(key, str) for key in value):
            return {key: _written(item, where) for key, item in value.items()}
        pairs = [[_written(key, where), _written(item, where)] for key, item in value.items()]
        return {_TYPE: "dict", _VALUE: pairs}
    if isinstance(value, list | tuple):
        return [_written(item, where) for item in value]
    for kind, name, write in _WRITE:
        if isinstance(value, kind):
            return {_TYPE: name, _VALUE: write(value)}
    raise InvalidType(
        f"{where}: {type(value).__name__} cannot be recorded: a saga keeps plain values, lists and"
        " dicts of them",
        got=type(value).__name__,
    )


def _read(found: dict[str, Any]) -> Any:
    name = found.get(_TYPE)
    return found if name is None else _READ[name](found[_VALUE])
