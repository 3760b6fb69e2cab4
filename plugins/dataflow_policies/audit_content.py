"""The content of an entry: the values of rows before and after a change, as compact JSON.

Values stand column by column, so that many rows of the same change are one short text:
``{"names", "key", "types", "before", "after"}``; a column is a list, or ``{"all": value}`` where
every row has the same. ``types`` says how values are written that JSON does not have.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from dataflow_core.contract import RowChanges
from dataflow_core.errors import InvalidValue
from dataflow_core.naming_hints import quoted
from dataflow_core.schema import Field, Model
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)

__all__ = ["WantedKey", "key_at", "key_text", "pack", "to_json", "unpack", "wanted_key"]

Values = tuple[Any, ...]
Content = dict[str, Any]

_WRITTEN: Final[Mapping[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]]] = {
    "timestamp": (dt.datetime.isoformat, dt.datetime.fromisoformat),
    "date": (dt.date.isoformat, dt.date.fromisoformat),
    "time": (dt.time.isoformat, dt.time.fromisoformat),
    "decimal": (str, decimal.Decimal),
    # Without dashes: it is made in half the time.
    "uuid": (lambda value: value.hex, uuid.UUID),
    "bytes": (
        lambda value: base64.b64encode(value).decode("ascii"),
        base64.b64decode,
    ),
}
_TELLING: Final = (Boolean, Integer, Text, Timestamp, Date, Time, Uuid, Binary)
"""Types of which equal values are the same values."""
_OF_TYPE: Final[Mapping[type, str]] = {
    Timestamp: "timestamp",
    Date: "date",
    Time: "time",
    Decimal: "decimal",
    Uuid: "uuid",
    Binary: "bytes",
}


def to_json(value: Any) -> str:
    """Compact JSON, always the same for the same value."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)


def key_text(key: Any) -> str:
    """How the key of one row is written: a single value, or the values in their order."""
    values = list(key.values()) if isinstance(key, Mapping) else key
    if isinstance(values, list | tuple):
        values = values[0] if len(values) == 1 else list(values)
    return to_json(values)


@frozen
class WantedKey:
    """The key of a row that is looked for: ``text`` is how it is written, ``values`` what it is.

    Without ``values`` nobody knows the types, and the text decides.
    """

    text: str
    values: list[Any] | None = None

    def is_that_of(self, values: Sequence[Any]) -> bool:
        """Whether the values of a key, in their order, are those of this one."""
        if self.values is None:
            return key_text(values) == self.text
        return list(values) == self.values


def wanted_key(model: Model | None, key: Any) -> WantedKey:
    """A key as the rows of the model hold it, in whichever form of its types it is given.

    Raises ``InvalidType`` and ``InvalidValue`` for what can be no key of the model.
    """
    if model is None:
        return WantedKey(key_text(key))
    fields = model.given_key
    if isinstance(key, Mapping):
        given = [key.get(item.name) for item in fields]
        fits = set(key) == {item.name for item in fields}
    else:
        given = list(key) if len(fields) > 1 and isinstance(key, list | tuple) else [key]
        fits = len(given) == len(fields)
    if not fits:
        names = ", ".join(item.name for item in fields)
        raise InvalidValue(f"the key of {model.name} is {names}, got {quoted(key)}")
    values = [
        item.type.check(value, f"{model.name}.{item.name}")
        for item, value in zip(fields, given, strict=True)
    ]
    return WantedKey(key_text(values), values)


def key_at(content: Mapping[str, Any], row: int) -> list[Any]:
    """The values of the key of a row of an entry."""
    columns = content.get("after") or content["before"]
    values = []
    for name in content["key"]:
        column = columns[content["names"].index(name)]
        value = column["all"] if isinstance(column, dict) else column[row]
        values.append(_read(value, content["types"].get(name)))
    return values


def pack(changes: RowChanges, redacted: Sequence[str]) -> Content:
    """The content of an entry; of ``redacted`` fields it says only which rows changed there."""
    left = [(at, name) for at, name in enumerate(changes.names) if name not in redacted]
    fields = [changes.model.by_name[name] for _, name in left]
    content: Content = {
        "names": [name for _, name in left],
        "key": [item.name for item in changes.model.given_key],
        "types": {item.name: word for item in fields if (word := _word(item)) is not None},
    }
    before, after = _columns(changes.before), _columns(changes.after)
    places = [at for at, _ in left]
    for name, columns in (("before", before), ("after", after)):
        if columns is not None:
            content[name] = [
                _column(columns[at], item) for at, item in zip(places, fields, strict=True)
            ]
    if redacted:
        content["redacted"] = {
            name: [
                at
                for at in range(len(changes))
                if before is None or after is None or before[place][at] != after[place][at]
            ]
            for place, name in enumerate(changes.names)
            if name in redacted
        }
    return content


def _columns(rows: Sequence[Values] | None) -> list[Values] | None:
    return None if rows is None else list(zip(*rows, strict=True))


def _word(item: Field) -> str | None:
    kind = item.type
    if isinstance(kind, Enumeration):
        kind = kind.base
    if isinstance(kind, Json) and kind.item is not None:
        # The items of a list may be of any of these.
        return _OF_TYPE.get(type(kind.item)) and f"list of {_OF_TYPE[type(kind.item)]}"
    return _OF_TYPE.get(type(kind))


def _column(values: Values, item: Field) -> Any:
    word = _word(item)
    if (
        len(values) > 1
        and isinstance(item.type, _TELLING)
        and values.count(values[0]) == len(values)
    ):
        return {"all": _written(values[0], word)}
    return values if word is None else [_written(value, word) for value in values]


def _written(value: Any, word: str | None) -> Any:
    if value is None or word is None:
        return value
    if word.startswith("list of "):
        write = _WRITTEN[word.removeprefix("list of ")][0]
        return [None if one is None else write(one) for one in value]
    return _WRITTEN[word][0](value)


def _read(value: Any, word: str | None) -> Any:
    if value is None or word is None:
        return value
    if word.startswith("list of "):
        read = _WRITTEN[word.removeprefix("list of ")][1]
        return [None if one is None else read(one) for one in value]
    return _WRITTEN[word][1](value)


def unpack(content: Content, rows: int) -> list[dict[str, Any]]:
    """The rows of an entry: ``key``, ``before``, ``after``, ``redacted``, ``removed`` of each."""
    before = _rows(content, "before", rows)
    after = _rows(content, "after", rows)
    removed = content.get("removed", {})
    unpacked = []
    for at in range(rows):
        row = after[at] if before[at] is None else before[at]
        assert row is not None
        key = [row[name] for name in content["key"]]
        changed = [name for name, places in content.get("redacted", {}).items() if at in places]
        unpacked.append(
            {
                "key": key[0] if len(key) == 1 else dict(zip(content["key"], key, strict=True)),
                "before": before[at],
                "after": after[at],
                "redacted": changed,
                "removed": removed.get(str(at), []),
            }
        )
    return unpacked


def _rows(content: Content, which: str, rows: int) -> list[dict[str, Any] | None]:
    if which not in content:
        return [None] * rows
    names, types = content["names"], content["types"]
    columns = []
    for name, column in zip(names, content[which], strict=True):
        word = types.get(name)
        if isinstance(column, dict):
            columns.append([_read(column["all"], word)] * rows)
        else:
            columns.append([_read(value, word) for value in column])
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
