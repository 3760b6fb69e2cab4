"""What a saga is asked to do: its steps, checked before anything is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from dataflow_core.errors import (
    InvalidType,
    InvalidValue,
    MissingParameter,
    UnknownParameter,
)
from dataflow_core.naming_hints import nearest, quoted

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["REFERENCE", "Definition", "StepDefinition", "check_definition", "read_steps"]

NODE: Final = "TransactionManagerNode"
REFERENCE: Final = re.compile(r"\$step\.(\d+)(?:\.(.+))?")
"""``"$step.0.id"``: a value of the result of a step."""

_KEYS: Final = ("node", "parameters", "compensation", "compensation_parameters")


@frozen
class StepDefinition:
    """A step: the node that does it, and the one that undoes it, if there is one."""

    node: str
    parameters: Mapping[str, Any] = field(factory=dict)
    compensation: str | None = None
    compensation_parameters: Mapping[str, Any] = field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The step as a document."""
        return {name: getattr(self, name) for name in _KEYS}


@frozen
class Definition:
    """A saga as it was asked for."""

    steps: tuple[StepDefinition, ...]
    context: Mapping[str, Any]
    tenant_id: Any = None
    kind: str = "saga"

    def to_dict(self) -> dict[str, Any]:
        """The saga as a document."""
        return {
            "steps": [step.to_dict() for step in self.steps],
            "context": self.context,
            "tenant_id": self.tenant_id,
            "kind": self.kind,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Definition:
        """The saga of such a document."""
        steps = tuple(StepDefinition(**step) for step in document["steps"])
        return cls(steps, document["context"], document["tenant_id"], document["kind"])

    def nodes(self) -> set[str]:
        """The names of all nodes that it may run."""
        names = {step.node for step in self.steps}
        return names | {step.compensation for step in self.steps if step.compensation is not None}


def read_steps(steps: object) -> tuple[StepDefinition, ...]:
    """The steps of the parameter ``steps``; what is no step is refused."""
    if not isinstance(steps, list | tuple) or not steps:
        raise InvalidType(f"{NODE}: steps is a list of at least one step, got {quoted(steps)}")
    return tuple(_read_step(step, position) for position, step in enumerate(steps))


def _read_step(step: object, position: int) -> StepDefinition:
    where = f"{NODE}: step {position}"
    if not isinstance(step, Mapping):
        raise InvalidType(f"{where} is a dict, got {quoted(step)}")
    for name in step:
        if name not in _KEYS:
            raise UnknownParameter(
                f"{where} has no {quoted(name)}",
                suggestion=nearest(str(name), _KEYS),
                node=NODE,
                parameters=list(_KEYS),
            )
    if "node" not in step:
        raise MissingParameter(f"{where}: node is missing", parameter="node")
    given = {name: value for name, value in step.items() if value is not None}
    for name in ("parameters", "compensation_parameters"):
        if not isinstance(given.get(name, {}), Mapping):
            raise InvalidType(f"{where}: {name} is a dict, got {quoted(given[name])}")
    if "compensation_parameters" in given and "compensation" not in given:
        raise MissingParameter(
            f"{where}: it has compensation_parameters and no compensation", parameter="compensation"
        )
    return StepDefinition(**given)


def check_definition(db: DataFlow, definition: Definition) -> None:
    """Refuse nodes and names of parameters that there are not, and references that lead nowhere.

    Raises:
        UnknownNode, UnknownParameter, InvalidValue.
    """
    for position, step in enumerate(definition.steps):
        where = f"{NODE}: step {position}"
        _check_call(db, where, step.node, step.parameters, position)
        if step.compensation is not None:
            where = f"{where}, compensation"
            parameters = step.compensation_parameters
            _check_call(db, where, step.compensation, parameters, position + 1)


def _check_call(
    db: DataFlow, where: str, name: str, parameters: Mapping[str, Any], before: int
) -> None:
    node = db.node_type(name)
    for parameter in parameters:
        if parameter not in node.parameters and not node.open_parameters:
            raise UnknownParameter(
                f"{where}: {name} has no parameter {quoted(parameter)}",
                suggestion=nearest(str(parameter), node.parameters),
                node=name,
                parameters=sorted(node.parameters),
            )
    for text in _texts(parameters):
        found = REFERENCE.fullmatch(text)
        if found is None and text.startswith("$step."):
            raise InvalidValue(f"{where}: {quoted(text)} names no step: write $step.0.id")
        if found is not None and int(found[1]) >= before:
            raise InvalidValue(f"{where}: {quoted(text)} names a step that is not done by then")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
