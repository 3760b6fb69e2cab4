"""Values that say nothing of a person, for fields that cannot be NULL."""

from __future__ import annotations

import datetime as dt
import decimal
import secrets
import string
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from dataflow_core.errors import DataFlowError
from dataflow_core.schema import Field
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)

__all__ = ["constants", "fresh"]

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_PLAIN: Final[dict[type[FieldType], tuple[Any, ...]]] = {
    Binary: (b"",),
    Boolean: (False, True),
    Date: (_EPOCH.date(),),
    Decimal: (decimal.Decimal(0), decimal.Decimal(1)),
    Float: (0.0, 1.0),
    Integer: (0, 1),
    Json: ({}, []),
    Text: ("erased", "", "erased@erased.invalid", "0", "x"),
    Time: (dt.time(),),
    Timestamp: (_EPOCH,),
    Uuid: (uuid.UUID(int=0),),
}


def constants(item: Field, checks: list[Mapping[str, Any]]) -> list[Any]:
    """Values that fit a field, the best first: none that a row has, but of the model's own words.

    ``checks`` are the filters of checks about the field; what they compare with often passes them.
    """
    found: list[Any] = []
    if item.has_default and not callable(item.default) and item.default is not None:
        found.append(item.default)
    kind = item.type
    found += kind.values if isinstance(kind, Enumeration) else _PLAIN.get(type(kind), ())
    for check in checks:
        for value in _scalars(check):
            found.append(value)
            if isinstance(value, int | float | decimal.Decimal) and not isinstance(value, bool):
                found += [value + 1, value - 1]
    return _fitting(item, found)


def fresh(item: Field) -> list[Any]:
    """Values that fit a field and that no row has, as they are made by chance; none for few."""
    make = _RANDOM.get(type(item.type))
    return [] if make is None else _fitting(item, make(item.type))


def _scalars(document: Any) -> Iterator[Any]:
    if isinstance(document, Mapping):
        for value in document.values():
            yield from _scalars(value)
    elif isinstance(document, list | tuple):
        for value in document:
            yield from _scalars(value)
    elif document is not None:
        yield document


def _fitting(item: Field, values: list[Any]) -> list[Any]:
    """Those that the field takes, each once."""
    found: list[Any] = []
    for value in values:
        try:
            checked = item.type.check(value, item.name)
        except DataFlowError:
            continue
        if not any(type(other) is type(checked) and other == checked for other in found):
            found.append(checked)
    return found


def _text(kind: Any) -> list[Any]:
    token = secrets.token_hex(16)
    found = [f"erased-{token}", token, f"{token}@erased.invalid"]
    if kind.max_length is not None and kind.max_length < len(token):
        letters = string.ascii_lowercase + string.digits
        found += ["".join(secrets.choice(letters) for _ in range(kind.max_length))]
    return found


def _integer(kind: Any) -> list[Any]:
    number = 1 + secrets.randbelow(kind.high)
    return [-number, number]


def _decimal(kind: Any) -> list[Any]:
    digits = 10 ** min(kind.precision, 18) - 1
    number = decimal.Decimal(1 + secrets.randbelow(digits)).scaleb(-kind.scale)
    return [-number, number]


def _float(_: Any) -> list[Any]:
    number = float(1 + secrets.randbelow(2**53))
    return [-number, number]


def _moment(_: Any) -> list[Any]:
    first = dt.datetime(1000, 1, 1, tzinfo=dt.UTC)
    return [first + dt.timedelta(microseconds=secrets.randbelow(500 * 365 * 86_400 * 10**6))]


_RANDOM: Final[dict[type[FieldType], Callable[[Any], list[Any]]]] = {
    Binary: lambda _: [secrets.token_bytes(16)],
    Date: lambda _: [dt.date(1000, 1, 1) + dt.timedelta(days=secrets.randbelow(500 * 365))],
    Decimal: _decimal,
    Float: _float,
    Integer: _integer,
    Text: _text,
    Timestamp: _moment,
    Uuid: lambda _: [uuid.uuid4()],
}
