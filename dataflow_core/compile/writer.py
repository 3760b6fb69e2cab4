"""Row writers: from a user's dict to the driver's tuple, checked, in one generated function.

A writer is made for one set of given keys. It checks every value against its field, fills in what
was not given, and encodes; the common case of a value of the right kind costs one comparison.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import define, field

from dataflow_core.compile.codegen import function_from
from dataflow_core.compile.statement import Codec
from dataflow_core.errors import InvalidType, InvalidValue, ManagedField, MissingParameter
from dataflow_core.operations import Create
from dataflow_core.schema import Field, Model
from dataflow_core.types import (
    Binary,
    Boolean,
    FieldType,
    Float,
    Integer,
    Text,
    Timestamp,
    Uuid,
)
from dataflow_core.uuid7 import uuid7

__all__ = ["RowWriter", "WriterCache"]

Write = Callable[[Mapping[str, Any], dt.datetime], tuple[Any, ...]]
WriteMany = Callable[[Iterable[Any], dt.datetime, list[tuple[Any, ...]]], None]

_FAST: Final[dict[type[FieldType], Callable[[Any, str], str]]] = {
    Integer: lambda kind, v: f"type({v}) is int and {kind.low} <= {v} <= {kind.high}",
    Float: lambda _, v: f"type({v}) is float and isfinite({v})",
    Boolean: lambda _, v: f"type({v}) is bool",
    Text: lambda kind, v: (
        f"type({v}) is str and {v}.isascii() and '\\0' not in {v}"
        + (f" and len({v}) <= {kind.max_length}" if kind.max_length is not None else "")
    ),
    Binary: lambda _, v: f"type({v}) is bytes",
    # The first and the last year hold instants that are refused.
    Timestamp: lambda _, v: f"type({v}) is datetime and {v}.tzinfo is utc and 1 < {v}.year < 9999",
}
"""Tests that prove a value canonical without calling its type; everything else calls it."""


@define(eq=False)
class RowWriter:
    """Writes rows with one set of keys. ``columns`` are the fields that ``write`` gives values of.

    ``given`` are the keys it was made for. ``write_many`` appends what ``write`` gives for each
    row, until one is no plain dict of these keys or has something wrong; it then returns or raises,
    and ``write`` says what is wrong with that row. ``operation`` keeps the create of a single row,
    so that it is made and hashed once.
    """

    columns: tuple[Field, ...]
    given: frozenset[str]
    write: Write
    write_many: WriteMany
    operation: Create | None = None


@define
class WriterCache:
    """The writers of a model, by the keys of the row; the oldest goes first."""

    model: Model
    codec: Callable[[FieldType], Codec]
    writers: dict[tuple[str, ...], RowWriter] = field(factory=dict)

    def writer(self, row: Mapping[str, Any]) -> RowWriter:
        """The writer for a row; raises ``UnknownField``, ``MissingParameter`` for its keys."""
        keys = tuple(row)
        found = self.writers.get(keys)
        if found is None:
            found = _make_writer(self.model, keys, self.codec)
            while len(self.writers) >= _MOST_WRITERS:
                del self.writers[next(iter(self.writers))]
            self.writers[keys] = found
        return found


_MOST_WRITERS: Final = 256
_BY_THE_DATABASE: Final = ("database", "default", "computed")


def _make_writer(
    model: Model, keys: tuple[str, ...], codec: Callable[[FieldType], Codec]
) -> RowWriter:
    for key in keys:
        item = model.field(key, "the row")
        if item.generated == "computed":
            raise InvalidValue(f"{model.name}.{key} is computed by the database and never given")
        if item.protected:
            raise ManagedField(f"{model.name}.{key} {item.protected}", field=key)
    given = set(keys)
    columns = tuple(
        field
        for field in model.fields
        if field.name in given or field.generated not in _BY_THE_DATABASE
    )
    namespace: dict[str, Any] = {"isfinite": math.isfinite, "datetime": dt.datetime, "utc": dt.UTC}
    # What is the same for all rows of a call is made before them.
    first: list[str] = []
    lines: list[str] = []
    parts = []
    for position, field_ in enumerate(columns):
        name, field_codec = f"v{position}", codec(field_.type)
        if field_.name in given:
            lines += _given(field_, name, namespace, f"{model.name}.{field_.name}")
        elif field_.context is not None:
            namespace[f"read_{name}"] = field_.context.read
            first.append(f"    {name} = read_{name}()")
            first.append(f"    {name} = {_encoded(field_, name, field_codec, namespace)}")
            parts.append(name)
            continue
        elif field_.managed == "counted":
            namespace[name] = 1
        elif field_.managed is not None:
            first.append(f"    {name} = {_encoded(field_, 'now', field_codec, namespace)}")
            parts.append(name)
            continue
        else:
            lines.append(f"    {name} = {_default(field_, name, namespace, model)}")
        parts.append(_encoded(field_, name, field_codec, namespace))
    result = f"({', '.join(parts)}{',' if parts else ''})"
    one = ["def write(row, now):", *first, *lines, f"    return {result}"]
    many = [
        "def write_many(rows, now, written):",
        *first,
        "    for row in rows:",
        f"        if type(row) is not dict or len(row) != {len(given)}:",
        "            return",
        *(f"    {line}" for line in lines),
        f"        written.append({result})",
    ]
    return RowWriter(
        columns,
        frozenset(given),
        function_from("\n".join(one), "write", namespace),
        function_from("\n".join(many), "write_many", namespace),
    )


def _given(field: Field, name: str, namespace: dict[str, Any], where: str) -> list[str]:
    namespace[f"check_{name}"] = _checker(field, where)
    fast = None if field.context is not None else _FAST.get(type(field.type))
    lines = [f"    {name} = row[{field.name!r}]"]
    call = f"{name} = check_{name}({name})"
    if fast is None:
        return [*lines, f"    {call}"]
    return [*lines, f"    if not ({fast(field.type, name)}):", f"        {call}"]


def _checker(field: Field, where: str) -> Callable[[Any], Any]:
    check, context = field.type.check, field.context
    generated = field.generated is not None
    if context is not None:
        return lambda value: context.check(check(value, where))

    def check_value(value: Any) -> Any:
        if value is None:
            if field.nullable:
                return None
            if generated:
                raise InvalidType(f"{where}: leave the key out to have it made, do not give None")
            raise InvalidType(f"{where}: expected {field.type.name}, got None", where=where)
        return check(value, where)

    return check_value


def _default(field: Field, name: str, namespace: dict[str, Any], model: Model) -> str:
    where = f"{model.name}.{field.name}"
    if field.generated == "uuid7":
        namespace[f"make_{name}"] = uuid7 if isinstance(field.type, Uuid) else _uuid_text
        return f"make_{name}()"
    if field.has_default:
        if callable(field.default):
            checker = _checker(field, f"{where} (default)")
            namespace[f"make_{name}"] = lambda make=field.default: checker(make())
            return f"make_{name}()"
        namespace[f"default_{name}"] = field.default
        return f"default_{name}"
    if field.nullable:
        return "None"
    raise MissingParameter(
        f"{model.name}: {field.name} is missing", model=model.name, parameter=field.name
    )


def _uuid_text() -> str:
    return str(uuid7())


def _encoded(field: Field, name: str, codec: Codec, namespace: dict[str, Any]) -> str:
    if codec.encode is None:
        return name
    if codec.encode_source is not None:
        encoded = _VALUE.sub(name, codec.encode_source)
    else:
        namespace[f"encode_{name}"] = codec.encode
        encoded = f"encode_{name}({name})"
    return f"(None if {name} is None else {encoded})" if field.nullable else encoded


_VALUE: Final = re.compile(r"\bvalue\b")
