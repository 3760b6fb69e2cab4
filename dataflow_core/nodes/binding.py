"""What the nodes of a model do: bound to the model, and anew where its table turns out otherwise.

A model may be declared for a table that others made. What it does not have, such as automatic
timestamps, and how its columns keep their values is seen at the first use, before anything else is
sent; the nodes then go on with the model that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field

from dataflow_core.nodes.base import Context
from dataflow_core.run.table_keeper import ModelAdapted
from dataflow_core.run.transactions import check_alone
from dataflow_core.schema import Model

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine

__all__ = ["Behaviour", "Behaviours", "Binding"]

Behaviour = Callable[[Context, Mapping[str, Any]], Coroutine[Any, Any, dict[str, Any]]]


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
    """

    model: Model
    make: Callable[[Model], Behaviours]
    engine: Callable[[], Engine]
    behaviours: Behaviours = field(init=False)
    _run: dict[str, Behaviour] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.bind(self.model)

    def bind(self, model: Model) -> None:
        """Go on with another model of the same name."""
        self.model = model
        self.behaviours = self.make(model)
        self._run = {kind: self._first(kind) for kind in self.behaviours.by_kind}

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
        behaviour = self.behaviours.by_kind[kind]

        async def run(context: Context, parameters: Mapping[str, Any]) -> dict[str, Any]:
            try:
                result = await behaviour(context, parameters)
            except ModelAdapted:
                # Nothing was sent but questions, and whoever found it has bound the other model.
                return await self._run[kind](context, parameters)
            if self.model in self.engine().tables.ready:
                self._run = dict(self.behaviours.by_kind)
            return result

        return run
