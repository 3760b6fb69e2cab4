"""A workflow as plain values for the json module, and back."""

from __future__ import annotations

import base64
import datetime as dt
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from dataflow_core.errors import InvalidType, InvalidValue, InvalidWorkflow, LimitExceeded
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.nodes.base import NodeOwner
from dataflow_core.workflow.builder import WorkflowBuilder
from dataflow_core.workflow.graph import NodeOptions, TransactionPart, Workflow, WorkflowNode

__all__ = ["from_dict", "to_dict"]

_VERSION: Final = 1
_TYPE: Final = "$type"
_VALUE: Final = "value"
_MAX_DEPTH: Final = 100
_DEFAULTS: Final = NodeOptions()
_NEEDED_KEYS: Final = ("version", "nodes", "connections")
_WORKFLOW_KEYS: Final = (*_NEEDED_KEYS, "transactions")
_OPTION_KEYS: Final = ("retries", "retry_delay", "timeout", "on_error", "deferred")
_NODE_KEYS: Final = ("id", "type", "parameters", *_OPTION_KEYS)
_PART_KEYS: Final = ("name", "nodes", "isolation", "retry")
_CONNECTION_KEYS: Final = ("source", "output", "target", "parameter")

_WRITERS: Final[Mapping[type, tuple[str, Callable[[Any], str]]]] = {
    dt.datetime: ("datetime", dt.datetime.isoformat),
    dt.date: ("date", dt.date.isoformat),
    dt.time: ("time", dt.time.isoformat),
    Decimal: ("decimal", str),
    UUID: ("uuid", str),
    bytes: ("bytes", lambda value: base64.b64encode(value).decode("ascii")),
}
_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "decimal": Decimal,
    "uuid": UUID,
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "float": float,
}


def to_dict(workflow: Workflow) -> dict[str, Any]:
    """Describe the workflow; see ``Workflow.to_dict``."""
    described: dict[str, Any] = {
        "version": _VERSION,
        "nodes": [_node_to_dict(node) for node in workflow.nodes.values()],
        "connections": [
            {
                "source": one.source,
                "output": one.output.text,
                "target": one.target,
                "parameter": one.parameter,
            }
            for one in workflow.connections
        ],
    }
    if workflow.parts:
        # Left out where there are none, so that releases without transactions read the rest.
        described["transactions"] = [_part_to_dict(part) for part in workflow.parts]
    return described


def _part_to_dict(part: TransactionPart) -> dict[str, Any]:
    described: dict[str, Any] = {"name": part.name, "nodes": list(part.nodes)}
    if part.isolation is not None:
        described["isolation"] = part.isolation
    if part.retry:
        described["retry"] = part.retry
    return described


def from_dict(data: Mapping[str, Any], owner: NodeOwner | None) -> Workflow:
    """Build what ``to_dict`` described; see ``Workflow.from_dict``."""
    described = _mapping(data, "the workflow", _WORKFLOW_KEYS, _NEEDED_KEYS)
    version = described["version"]
    if type(version) is not int or version != _VERSION:
        raise InvalidWorkflow(
            f"the workflow is stored in version {quoted(version)}; this release reads {_VERSION}",
            where="version",
            expected=_VERSION,
        )
    builder = WorkflowBuilder(owner)
    for number, item in enumerate(_list(described["nodes"], "nodes")):
        where = f"nodes[{number}]"
        node = _mapping(item, where, _NODE_KEYS, ("id", "type"))
        if not isinstance(node["id"], str):
            raise InvalidWorkflow(f"{where}: the id must be text", where=where, expected="str")
        parameters = _mapping(node.get("parameters", {}), f"{where}.parameters")
        builder.add_node(
            node["type"],
            node["id"],
            {
                key: _decoded(value, f"{where}.parameters.{key}", 0)
                for key, value in parameters.items()
            },
            **{key: node[key] for key in _OPTION_KEYS if key in node},
        )
    for number, item in enumerate(_list(described["connections"], "connections")):
        where = f"connections[{number}]"
        builder.add_connection(**_mapping(item, where, _CONNECTION_KEYS, _CONNECTION_KEYS))
    for number, item in enumerate(_list(described.get("transactions", []), "transactions")):
        where = f"transactions[{number}]"
        part = _mapping(item, where, _PART_KEYS, ("name", "nodes"))
        builder.add_transaction(part.pop("name"), _list(part.pop("nodes"), where), **part)
    return builder.build()


def _node_to_dict(node: WorkflowNode) -> dict[str, Any]:
    described: dict[str, Any] = {
        "id": node.id,
        "type": str(node.type.name),
        "parameters": {
            str(key): _encoded(value, f"node {quoted(node.id)}, parameter {quoted(key)}", 0)
            for key, value in node.parameters.items()
        },
    }
    for key in _OPTION_KEYS:
        value = getattr(node.options, key)
        if value != getattr(_DEFAULTS, key):
            described[key] = sorted(value) if key == "deferred" else value
    return described


def _encoded(value: Any, where: str, depth: int) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is int or kind is str:
        return value
    if kind is float:
        return value if math.isfinite(value) else {_TYPE: "float", _VALUE: repr(value)}
    if kind in _WRITERS:
        name, write = _WRITERS[kind]
        return {_TYPE: name, _VALUE: write(value)}
    if isinstance(value, Enum):
        # The same conversion that a field makes: a member stands for its value.
        return _encoded(value.value, where, depth + 1)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping | list | tuple):
        if depth >= _MAX_DEPTH:
            raise LimitExceeded(
                f"{where}: nested deeper than {_MAX_DEPTH}", where=where, limit=_MAX_DEPTH
            )
        return _encoded_collection(value, where, depth + 1)
    raise InvalidType(
        f"{where}: {kind.__name__} cannot be stored; expected JSON values, datetime, date, time,"
        " Decimal, UUID or bytes. Give it at each run: execute(parameters={...})",
        where=where,
        got=kind.__name__,
    )


def _encoded_collection(value: Any, where: str, depth: int) -> Any:
    if isinstance(value, list):
        return [_encoded(item, where, depth) for item in value]
    if isinstance(value, tuple):
        return {_TYPE: "tuple", _VALUE: [_encoded(item, where, depth) for item in value]}
    for key in value:
        if not isinstance(key, str):
            raise InvalidType(
                f"{where}: a key of a stored dict is text, not {quoted(key)}",
                where=where,
                got=type(key).__name__,
            )
    plain = {str(key): _encoded(item, where, depth) for key, item in value.items()}
    # A user's own dict may hold the key that marks what is no JSON.
    return {_TYPE: "dict", _VALUE: plain} if _TYPE in plain else plain


def _decoded(value: Any, where: str, depth: int) -> Any:
    if not isinstance(value, Mapping | list):
        return value
    if depth >= _MAX_DEPTH:
        raise LimitExceeded(
            f"{where}: nested deeper than {_MAX_DEPTH}", where=where, limit=_MAX_DEPTH
        )
    if isinstance(value, list):
        return [_decoded(item, where, depth + 1) for item in value]
    if _TYPE not in value:
        return {key: _decoded(item, where, depth + 1) for key, item in value.items()}
    _mapping(value, where, (_TYPE, _VALUE), (_TYPE, _VALUE))
    name, held = value[_TYPE], value[_VALUE]
    if name == "tuple":
        return tuple(_decoded(item, where, depth + 1) for item in _list(held, where))
    if name == "dict":
        plain = _mapping(held, where)
        return {key: _decoded(item, where, depth + 1) for key, item in plain.items()}
    if not isinstance(name, str) or name not in _READERS or not isinstance(held, str):
        raise InvalidWorkflow(
            f"{where}: {quoted(name)} is no stored type with a value of text",
            suggestion=nearest(name, _READERS) if isinstance(name, str) else None,
            where=where,
            expected=[*_READERS, "tuple", "dict"],
        )
    try:
        return _READERS[name](held)
    except (ValueError, ArithmeticError) as error:
        raise InvalidValue(f"{where}: {quoted(held)} is no {name}", where=where) from error


def _mapping(
    value: Any, where: str, known: tuple[str, ...] = (), required: tuple[str, ...] = ()
) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidWorkflow(
            f"{where} must be a dict with text keys, not {type(value).__name__} {quoted(value)}",
            where=where,
            expected="dict",
        )
    for key in value:
        if known and key not in known:
            raise InvalidWorkflow(
                f"{where}: unknown key {quoted(key)}", suggestion=nearest(key, known), where=where
            )
    for key in required:
        if key not in value:
            raise InvalidWorkflow(f"{where}: the key {quoted(key)} is missing", where=where)
    return dict(value)


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidWorkflow(
            f"{where} must be a list, not {type(value).__name__} {quoted(value)}",
            where=where,
            expected="list",
        )
    return value
