"""What stands around the nodes of a model: its policies, and the parameters that confine a call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from dataflow_core.contract import Behaviour, ModelAccess, Wrap
from dataflow_core.nodes.base import Context
from dataflow_core.nodes.kinds import FILE_KINDS, KINDS
from dataflow_core.nodes.values import boolean
from dataflow_core.schema import ContextValue, Model

__all__ = ["given_for", "surrounded"]

Result = TypeVar("Result")
Parameters = Mapping[str, Any]


def surrounded(
    behaviours: Mapping[str, Behaviour],
    access: ModelAccess,
    wraps: Iterable[Mapping[str, Wrap]],
) -> dict[str, Behaviour]:
    """The behaviours by kind, with all that stands around them; the first wrap is innermost."""
    result = dict(behaviours)
    for by_kind in wraps:
        for kind, wrap in by_kind.items():
            if kind in result:
                result[kind] = wrap(result[kind], access)
    model = access.model
    for scope in model.scopes:
        if scope.lifted_by is None:
            continue
        for described in (*KINDS, *FILE_KINDS):
            if scope.lifted_by in described.parameters and described.key in result:
                kind, name = described.key, scope.lifted_by
                result[kind] = _lifting(result[kind], access, kind, name, scope.name)
    for value in _context_values(model):
        result = {kind: _given(run, value) for kind, run in result.items()}
    return result


def _context_values(model: Model) -> list[ContextValue]:
    """What the context has that the model is confined by."""
    return [item.context for item in model.fields if item.context is not None]


def _lifting(
    inner: Behaviour, access: ModelAccess, kind: str, parameter: str, scope: str
) -> Behaviour:
    """Leave a scope out where the parameter asks for that."""

    def run(context: Context, parameters: Parameters) -> Any:
        if parameter not in parameters:
            return inner(context, parameters)
        rest = _without(parameters, parameter)
        if not boolean(f"{access.model.name} ({kind})", parameters, parameter, default=False):
            return inner(context, rest)
        return access.run(kind, context, rest, lifted=(scope,))

    return run


def _given(inner: Behaviour, value: ContextValue) -> Behaviour:
    """Put in force, for one call, what it gives itself."""

    async def within(context: Context, parameters: Parameters) -> dict[str, Any]:
        with value.given(parameters[value.parameter]):
            return await inner(context, _without(parameters, value.parameter))

    def run(context: Context, parameters: Parameters) -> Any:
        if value.parameter not in parameters:
            return inner(context, parameters)
        if parameters[value.parameter] is None:
            return inner(context, _without(parameters, value.parameter))
        return within(context, parameters)

    return run


def given_for(model: Model, parameters: Parameters, call: Callable[[Parameters], Result]) -> Result:
    """A call that is no coroutine, with what it gives itself in force."""
    for value in _context_values(model):
        given = parameters.get(value.parameter)
        rest = _without(parameters, value.parameter)
        if given is not None:
            with value.given(given):
                return call(rest)
        parameters = rest
    return call(parameters)


def _without(parameters: Parameters, name: str) -> dict[str, Any]:
    return {key: value for key, value in parameters.items() if key != name}
