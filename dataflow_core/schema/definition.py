"""Models as plain documents: kept in tables and files, compared, and made into models again."""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from dataflow_core.errors import InvalidModel
from dataflow_core.naming_hints import quoted
from dataflow_core.schema.model import (
    MISSING,
    Check,
    Copies,
    Field,
    ForeignKey,
    Index,
    Model,
    Reference,
)
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

__all__ = ["Definition", "checksum", "definition_of", "digest_of", "model_of"]

Definition = dict[str, Any]
"""A model as JSON can hold it. What has its default is left out, so that texts stay short."""

_DIGEST: Final = 10
_KINDS: Final[dict[str, type[FieldType]]] = {
    kind.name: kind
    for kind in (
        Binary, Boolean, Date, Decimal, Enumeration, Float, Integer, Json, Text, Time, Timestamp,
        Uuid,
    )
}  # fmt: skip
_WRITTEN: Final[dict[type, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]]] = {
    decimal.Decimal: ("$decimal", str, decimal.Decimal),
    uuid.UUID: ("$uuid", str, uuid.UUID),
    bytes: ("$bytes", bytes.hex, bytes.fromhex),
    dt.datetime: ("$datetime", dt.datetime.isoformat, dt.datetime.fromisoformat),
    dt.date: ("$date", dt.date.isoformat, dt.date.fromisoformat),
    dt.time: ("$time", dt.time.isoformat, dt.time.fromisoformat),
}
"""Values that JSON does not have: the name that stands for their type, and how they are written."""
_READ: Final = {name: read for name, _, read in _WRITTEN.values()}


def definition_of(model: Model) -> Definition:
    """The document of a model. A default that is a function is only named: it is code."""
    document: Definition = {
        "name": model.name,
        "table": model.table,
        "fields": [_field_document(item) for item in model.fields],
    }
    if model.schema is not None:
        document["schema"] = model.schema
    if model.indexes:
        document["indexes"] = [_index_document(item) for item in model.indexes]
    if model.foreign_keys:
        document["foreign_keys"] = [_key_document(item) for item in model.foreign_keys]
    if model.checks:
        document["checks"] = {item.name: plain(item.filter) for item in model.checks}
    if model.options:
        document["options"] = plain(model.options)
    if model.read_only:
        document["read_only"] = model.read_only
    if model.no_new_rows:
        document["no_new_rows"] = model.no_new_rows
    return document


def model_of(document: Mapping[str, Any], *, database: str = "primary") -> Model:
    """The model of a document. ``InvalidModel`` for one that was written by something else."""
    try:
        return Model(
            name=document["name"],
            table=document["table"],
            fields=tuple(_field_of(item) for item in document["fields"]),
            indexes=tuple(_index_of(item) for item in document.get("indexes", ())),
            foreign_keys=tuple(_key_of(item) for item in document.get("foreign_keys", ())),
            checks=tuple(
                Check(name, restored(rule)) for name, rule in document.get("checks", {}).items()
            ),
            database=database,
            options=restored(document.get("options", {})),
            read_only=document.get("read_only", ""),
            no_new_rows=document.get("no_new_rows", ""),
            schema=document.get("schema"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidModel(f"the definition of a model cannot be read: {error}") from error


def checksum(document: Mapping[str, Any]) -> str:
    """What two documents share only if they say the same; 64 hexadecimal digits."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(value: Mapping[str, Any]) -> str:
    """A short checksum of a filter document, for names."""
    return checksum({"value": plain(value)})[:_DIGEST]


def plain(value: Any) -> Any:
    """A value as JSON can hold it; ``restored`` gives it back."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    written = _WRITTEN.get(type(value))
    return value if written is None else {written[0]: written[1](value)}


def restored(value: Any) -> Any:
    """What ``plain`` was given; lists stay lists."""
    if isinstance(value, Mapping):
        if len(value) == 1:
            [(name, text)] = value.items()
            read = _READ.get(name)
            if read is not None:
                return read(text)
        return {key: restored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [restored(item) for item in value]
    return value


def _type_document(kind: FieldType) -> dict[str, Any]:
    document: dict[str, Any] = {"type": kind.name}
    for attribute in attrs.fields(type(kind)):
        value = getattr(kind, attribute.name)
        if value != attribute.default:
            document[attribute.name] = (
                _type_document(value) if isinstance(value, FieldType) else plain(value)
            )
    return document


def _type_of(document: Mapping[str, Any]) -> FieldType:
    kind = _KINDS.get(document["type"])
    if kind is None:
        raise InvalidModel(f"the definition of a model has the type {quoted(document['type'])}")
    arguments: dict[str, Any] = {}
    for attribute in attrs.fields(kind):
        if attribute.name in document:
            value = document[attribute.name]
            nested = isinstance(value, Mapping) and "type" in value
            arguments[attribute.name] = _type_of(value) if nested else _tuples(restored(value))
    return kind(**arguments)


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_PLAIN_ATTRIBUTES: Final = (
    "nullable",
    "primary_key",
    "generated",
    "managed",
    "unique",
    "index",
    "references",
    "on_delete",
    "enforced",
    "renamed_from",
    "comment",
    "personal",
    "retain",
)
_DEFAULTS: Final = {
    attribute.name: attribute.default
    for attribute in attrs.fields(Field)
    if attribute.name in _PLAIN_ATTRIBUTES
}


def _field_document(field: Field) -> dict[str, Any]:
    document = {"name": field.name, **_type_document(field.type)}
    if field.column != field.name:
        document["column"] = field.column
    if isinstance(field.default, Copies):
        document["default"] = plain(field.default.default)
    elif callable(field.default):
        made_by = getattr(field.default, "__qualname__", type(field.default).__name__)
        document["default_made_by"] = made_by
    elif field.default is not MISSING:
        document["default"] = plain(field.default)
    for name, default in _DEFAULTS.items():
        value = getattr(field, name)
        if value != default:
            document[name] = value
    if field.check is not None:
        document["check"] = plain(field.check)
    return document


def _field_of(document: Mapping[str, Any]) -> Field:
    kind = _type_of(document)
    default: Any = MISSING
    if "default" in document:
        default = restored(document["default"])
        if isinstance(kind, Json) and default is not None:
            default = Copies(default)
    check = document.get("check")
    return Field(
        name=document["name"],
        type=kind,
        column=document.get("column", document["name"]),
        default=default,
        check=None if check is None else restored(check),
        **{name: document[name] for name in _PLAIN_ATTRIBUTES if name in document},
    )


def _index_document(index: Index) -> dict[str, Any]:
    document: dict[str, Any] = {
        "fields": [
            f"-{column}" if column in index.descending else column for column in index.columns
        ]
    }
    if index.unique:
        document["unique"] = True
    if index.name is not None:
        document["name"] = index.name
    if index.where is not None:
        document["where"] = plain(index.where)
    return document


def _index_of(document: Mapping[str, Any]) -> Index:
    where = document.get("where")
    return Index(
        tuple(column.removeprefix("-") for column in document["fields"]),
        document.get("unique", False),
        document.get("name"),
        frozenset(column[1:] for column in document["fields"] if column.startswith("-")),
        None if where is None else restored(where),
    )


def _key_document(key: ForeignKey) -> dict[str, Any]:
    document: dict[str, Any] = {
        "columns": list(key.columns),
        "table": key.reference.table,
        "target": list(key.reference.columns),
    }
    if key.reference.on_delete != "no_action":
        document["on_delete"] = key.reference.on_delete
    if key.name is not None:
        document["name"] = key.name
    return document


def _key_of(document: Mapping[str, Any]) -> ForeignKey:
    reference = Reference(
        document["table"], tuple(document["target"]), document.get("on_delete", "no_action")
    )
    return ForeignKey(tuple(document["columns"]), reference, document.get("name"))
