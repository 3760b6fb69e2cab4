"""What the nodes of a model do: bound to the model, and anew where its table turns out otherwise.

A model may be declared for a table that others made. What it does not have, such as automatic
timestamps, and how its columns keep their values is seen at the first use, before anything else is
sent; the nodes then go on with the model that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field

from dataflow_core.contract import Behaviour, ModelAccess
from dataflow_core.nodes.base import Context
from dataflow_core.nodes.confinement import given_for
from dataflow_core.run.scopes import check_alone
from dataflow_core.run.table_keeper import ModelAdapted
from dataflow_core.schema import Model

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine

__all__ = ["Behaviours", "Binding"]

Around = Callable[[Mapping[str, Behaviour], ModelAccess], dict[str, Behaviour]]
"""Puts around the behaviours of a model what its policies say."""


@define(eq=False)
class Behaviours:
    """What the nodes of one model do, by kind, and how its rows are streamed."""

    by_kind: Mapping[str, Behaviour]
    stream: Callable[[Context, Mapping[str, Any]], Any]


@define(eq=False)
class Binding:
    """The behaviour of a model's nodes as it is now.

    Attributes:
        model: the model; another one of the same name once its table was seen to.
        make: the behaviours of a model.
        engine: the engine of its database.
        around: what stands around them.
        access: what that has of them.
    """

    model: Model
    make: Callable[[Model], Behaviours]
    engine: Callable[[], Engine]
    around: Around
    access_to: Callable[[Binding], ModelAccess]
    access: ModelAccess = field(init=False)
    _by_kind: dict[str, Behaviour] = field(init=False)
    _run: dict[str, Behaviour] = field(init=False)
    _variants: dict[Model, Behaviours] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self.access = self.access_to(self)
        self.bind(self.model)

    def bind(self, model: Model) -> None:
        """Go on with another model of the same name."""
        self.model = model
        self._variants.clear()
        self._by_kind = self.around(self.variant().by_kind, self.access)
        self._run = {kind: self._first(kind) for kind in self._by_kind}

    def variant(
        self, lifted: frozenset[str] = frozenset(), writable: frozenset[str] = frozenset()
    ) -> Behaviours:
        """What the nodes do of a variant of the model, with nothing around it."""
        model = self.model.variant(lifted, writable)
        found = self._variants.get(model)
        if found is None:
            found = self._variants[model] = self.make(model)
        return found

    def stream(self, context: Context, parameters: Mapping[str, Any]) -> Any:
        """The rows of a list as a stream."""
        asked = {
            scope.lifted_by: scope.name
            for scope in self.model.scopes
            if scope.lifted_by is not None
        }
        lifted = frozenset(asked[name] for name in asked if parameters.get(name) is True)
        behaviours = self.variant(lifted)
        rest = {
            name: value
            for name, value in parameters.items()
            if name not in asked or not isinstance(value, bool)
        }
        return given_for(self.model, rest, lambda given: behaviours.stream(context, given))

    def runner(self, kind: str, *, writes: bool) -> Behaviour:
        """What the node of a kind does: that of the model of the moment.

        One that ``writes`` does not beside a transaction on another database.
        """

        def run(
            context: Context, parameters: Mapping[str, Any]
        ) -> Coroutine[Any, Any, dict[str, Any]]:
            if writes:
                check_alone(self.engine())
            return self._run[kind](context, parameters)

        return run

    def _first(self, kind: str) -> Behaviour:
        """The behaviour while the table was not seen to."""
        behaviour = self._by_kind[kind]

        async def run(context: Context, parameters: Mapping[str, Any]) -> dict[str, Any]:
            try:
                result = await behaviour(context, parameters)
            except ModelAdapted:
                # Nothing was sent but questions, and whoever found it has bound the other model.
                return await self._run[kind](context, parameters)
            if self.model in self.engine().tables.ready:
                self._run = dict(self._by_kind)
            return result

        return run
