"""The parameters of a step: those given, and those taken by name from what there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from dataflow_core.errors import InvalidValue
from dataflow_core.naming_hints import quoted
from dataflow_sagas.definition import REFERENCE

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["Done", "arguments"]

_TENANT: Final = "tenant_id"
_ONE_ROW: Final = ("Create", "Read", "Update", "Delete", "Upsert")


@frozen
class Done:
    """A step that was done: its node, the parameters that it had, and its result."""

    node: str
    parameters: Mapping[str, Any]
    result: Mapping[str, Any]


def arguments(
    db: DataFlow,
    name: str,
    given: Mapping[str, Any],
    context: Mapping[str, Any],
    done: Sequence[Done],
    own: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The parameters for a node.

    What is not given is taken by its name from ``context``, then from ``own`` (the parameters of
    the step that is undone), then from the results in ``done``, the latest first. A node of a model
    takes from results only what it requires and keys as ``<model>_id``: else a status or a version
    of another model would go where nobody meant it. What undoes a step has the tenant of the step.

    Raises:
        InvalidValue: a ``$step`` reference leads nowhere.
    """
    node = db.node_type(name)
    found = {key: _followed(value, done) for key, value in given.items()}
    offers = [_offered(db, step) for step in reversed(done)]
    own_function = node.effect().everything
    for parameter in node.parameters.values():
        key, alias_of = parameter.name, parameter.alias_of
        if key in found or (alias_of is not None and ("filter" in found or alias_of in found)):
            continue
        sources: Iterable[Mapping[str, Any]] = (context,)
        if own_function or parameter.required or alias_of is not None or _is_key(key):
            sources = (context, *([own] if own else []), *offers)
        if key == _TENANT and own:
            sources = (own, context)
        for source in sources:
            if key in source:
                found[key] = source[key]
                break
    return found


def _is_key(name: str) -> bool:
    return name.endswith("_id") and name != _TENANT


def _offered(db: DataFlow, step: Done) -> dict[str, Any]:
    """What a result offers by name: its fields, and its key as ``<model>_id``."""
    model = _model_of(db, step.node)
    if model is None:
        own = db.node_type(step.node).effect().everything
        return {name: step.result[name] for name in step.result if name != "result"} if own else {}
    row = step.result.get("result")
    if not isinstance(row, Mapping):
        return {}
    offered = {name: value for name, value in row.items() if name != "id"}
    for parameter in db.node_type(f"{model}ReadNode").parameters.values():
        if parameter.alias_of is not None and parameter.alias_of in row:
            offered[parameter.name] = row[parameter.alias_of]
    return offered


def _model_of(db: DataFlow, node: str) -> str | None:
    """The model of a node that gives one row."""
    for model in db.list_models():
        if any(node == f"{model}{kind}Node" for kind in _ONE_ROW):
            return model
    return None


def _followed(value: Any, done: Sequence[Done]) -> Any:
    """A value with its references replaced."""
    if isinstance(value, Mapping):
        return {key: _followed(item, done) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_followed(item, done) for item in value]
    reference = REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if reference is None:
        return value
    found: Any = done[int(reference[1])].result
    for part in (reference[2] or "result").split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            raise InvalidValue(f"{quoted(value)} leads nowhere: there is no {quoted(part)}")
    return found
