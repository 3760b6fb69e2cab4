"""Stored values of one type as stored values of another: exact, or an error that says why not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from attrs import evolve

from dataflow_core.errors import SchemaChangeRefused
from dataflow_core.types import (
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Text,
    Time,
    Timestamp,
    Uuid,
)
from dataflow_sqlite.types import codec, declared_type, field_type

__all__ = ["CONVERSIONS", "converted", "refuse"]


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)


def _as_it_is(value: Any) -> Any:
    return value


_WAYS: Final[dict[tuple[type[FieldType], type[FieldType]], Callable[[Any], Any]]] = {
    (Integer, Decimal): _as_it_is,
    (Integer, Float): _as_it_is,
    (Date, Timestamp): _midnight,
    (Integer, Text): str,
    (Decimal, Text): lambda value: format(value, "f"),
    (Date, Text): dt.date.isoformat,
    (Time, Text): dt.time.isoformat,
    (Uuid, Text): str,
}
"""What becomes of a value between two types; values of one type stay what they are."""


def _base(kind: FieldType) -> FieldType:
    return kind.base if isinstance(kind, Enumeration) else kind


def converted(sql: str, source: FieldType, target: FieldType) -> str | None:
    """The SQL that converts a stored value; ``None`` where that makes no sense.

    Sizes and the values of an enumeration are left to the checks of the new column.
    """
    source, target = _base(source), _base(target)
    same = type(source) is type(target)
    if same and source.storage is None and not isinstance(source, Decimal):
        return sql
    if not same and (type(source), type(target)) not in _WAYS:
        return None
    storage = "NULL" if source.storage is None else f"'{source.storage}'"
    plain = declared_type(evolve(source, storage=None))
    return f"dataflow_convert({sql}, '{plain}', {storage}, '{declared_type(target)}')"


def _convert(value: Any, source: str, storage: str | None, target: str) -> Any:
    if value is None:
        return None
    return _converter(source, storage, target)(value)


@lru_cache(maxsize=256)
def _converter(source: str, storage: str | None, target: str) -> Callable[[Any], Any]:
    before, after = field_type(source), field_type(target)
    assert before is not None
    assert after is not None
    decode = codec(evolve(before, storage=storage)).decode
    encode = codec(after).encode
    way = _WAYS.get((type(before), type(after)), _as_it_is)

    def convert(value: Any) -> Any:
        canonical = after.check(way(value if decode is None else decode(value)), "the stored value")
        return canonical if encode is None else encode(canonical)

    return convert


def _keep(value: Any, kind: str, storage: str) -> Any:
    """A value that is kept as this project keeps it, as others do."""
    if value is None:
        return None
    own = field_type(kind)
    assert own is not None
    decode, encode = codec(own).decode, codec(evolve(own, storage=storage)).encode
    canonical = value if decode is None else decode(value)
    return canonical if encode is None else encode(canonical)


def refuse(reason: str) -> None:
    """Refuse a change of a table, with a reason."""
    raise SchemaChangeRefused(reason)


CONVERSIONS: Final[dict[str, tuple[int, Callable[..., Any]]]] = {
    "dataflow_convert": (4, _convert),
    "dataflow_keep": (3, _keep),
    "dataflow_refuse": (1, refuse),
}
"""Name in SQL -> number of arguments, function. They are asked about NULL too."""
