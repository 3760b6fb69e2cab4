"""What a plugin says of the models that carry its options, and what it may do around their nodes.

A policy has two means. It extends the model when it is registered, which is data: fields, indexes,
scopes that confine every operation, fields whose value the context has. And it may stand around
what the nodes of the model do.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from attrs import frozen

from dataflow_core.schema import ContextValue, Field, Model
from dataflow_core.types import FieldType

__all__ = [
    "Behaviour",
    "ModelAccess",
    "ModelPolicy",
    "NodeKind",
    "PolicyContext",
    "Referrer",
    "Wrap",
]

Behaviour = Callable[[Any, Mapping[str, Any]], Coroutine[Any, Any, dict[str, Any]]]
"""What a node does: takes its context and parameters, gives its result."""


@frozen
class NodeKind:
    """A kind of node of every model: its name, what it takes and gives beside fields.

    Attributes:
        key: its place in ``generated_nodes``, such as ``create``.
        suffix: what stands between the name of the model and ``Node``.
        parameters: names of parameters beside those of the model's fields.
        outputs: keys of the result beside fields.
        writes: it changes what is stored.
        adds: rows that were not there among it.
        fields_in: the fields of the model are parameters.
        fields_out: the fields of the row are outputs.
        keys_in: the key, by its name, is a parameter.
        required: parameters that are always given.
        description: one line.
    """

    key: str
    suffix: str
    parameters: tuple[str, ...]
    outputs: tuple[str, ...]
    writes: bool = False
    adds: bool = False
    fields_in: bool = False
    fields_out: bool = False
    keys_in: bool = False
    required: tuple[str, ...] = ()
    description: str = ""


class PolicyContext(Protocol):
    """What the context of calls has that policies confine models by."""

    def tenant(self, kind: FieldType) -> ContextValue:
        """The tenant in force, as a value of a type."""
        ...


@frozen
class Referrer:
    """A model that refers to another: its rows hold, in ``fields``, the ``target_fields``."""

    access: ModelAccess
    fields: tuple[Field, ...]
    target_fields: tuple[Field, ...]
    on_delete: str


class ModelAccess(Protocol):
    """The nodes of one model, for whoever stands around them."""

    @property
    def model(self) -> Model:
        """The model, as it is extended."""
        ...

    async def run(
        self,
        kind: str,
        context: Any,
        parameters: Mapping[str, Any],
        *,
        lifted: Sequence[str] = (),
        writable: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Do what the node of a kind does without any policy around it.

        Scopes named in ``lifted`` do not confine it; fields named in ``writable`` are set as given,
        and by nobody else. What the context confines stays confined.
        """
        ...

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """``async with``: several calls, all of them or none."""
        ...

    async def locked(
        self, filter: Mapping[str, Any], *, lifted: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The rows that pass a filter; nobody else changes them until the transaction ends."""
        ...

    @property
    def selects(self) -> frozenset[str]:
        """The parameters that say which row is meant: the key's, under all its names, a filter."""
        ...

    def narrowed(self, parameters: Mapping[str, Any], filter: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters that mean those of the same rows that also pass a filter.

        The key, or keys, become a part of the filter. Raises ``ConflictingParameters`` where both
        are given.
        """
        ...

    def by_filter(self, parameters: Mapping[str, Any], most: int) -> Iterator[dict[str, Any]]:
        """Parameters with filters in the place of ``ids``, each about so many keys at most."""
        ...

    def referrers(self) -> Sequence[Referrer]:
        """The models of the database that refer to this one."""
        ...


Wrap = Callable[[Behaviour, ModelAccess], Behaviour]
"""Makes, of what a node does, what it does under a policy."""


@frozen
class ModelPolicy:
    """What model options mean.

    Attributes:
        options: the names in ``__dataflow__`` that it claims.
        extend: the model under the policy, or the same where its options do not ask for it. Applied
            to a model that is extended already it changes nothing. Raises ``InvalidModel``.
        wraps: by kind of node, what stands around it. Of several policies the first is innermost.
        nodes: further kinds of nodes that the model has, and what makes their behaviour.
    """

    options: tuple[str, ...]
    extend: Callable[[Model, PolicyContext], Model]
    wraps: Callable[[Model], Mapping[str, Wrap]] | None = None
    nodes: Callable[[Model], Mapping[NodeKind, Callable[[ModelAccess], Behaviour]]] | None = None
