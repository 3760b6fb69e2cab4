"""The policies of one instance: what model options mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import define, field

from dataflow_core.contract import Behaviour, ModelAccess, ModelPolicy, NodeKind, PolicyContext
from dataflow_core.errors import UnknownModelOption
from dataflow_core.naming_hints import quoted
from dataflow_core.nodes.binding import Around, Binding
from dataflow_core.nodes.confinement import surrounded
from dataflow_core.schema import Model

__all__ = ["Policies"]


@define(eq=False)
class Policies:
    """What the options of models mean, in the order in which they extend a model.

    ``bindings`` gives what the nodes of a model are bound to, by its name.
    """

    policies: Sequence[ModelPolicy]
    context: PolicyContext
    bindings: Callable[[str], Binding]
    claimed: frozenset[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.claimed = frozenset(name for policy in self.policies for name in policy.options)

    def extended(self, model: Model) -> Model:
        """The model under its policies.

        Raises ``UnknownModelOption`` where it has an option that nobody here understands: without
        the plugin it would not be confined.
        """
        for name, value in model.options.items():
            if name not in self.claimed and value is not False:
                raise UnknownModelOption(
                    f"{model.name}: no installed plugin knows the model option {quoted(name)}",
                    model=model.name,
                    option=quoted(name),
                )
        for policy in self.policies:
            model = policy.extend(model, self.context)
        return model

    def kinds(self, model: Model) -> list[NodeKind]:
        """The kinds of nodes that policies add to a model."""
        return list(self._further(model))

    def _further(self, model: Model) -> dict[NodeKind, Callable[[ModelAccess], Behaviour]]:
        found: dict[NodeKind, Callable[[ModelAccess], Behaviour]] = {}
        for policy in self.policies:
            if policy.nodes is not None:
                found |= policy.nodes(model)
        return found

    def around(self, model: Model) -> Around:
        """What stands around the nodes of a model."""
        wraps = [policy.wraps(model) for policy in self.policies if policy.wraps is not None]
        further = self._further(model)

        def around(
            behaviours: Mapping[str, Behaviour], access: ModelAccess
        ) -> dict[str, Behaviour]:
            made = {kind.key: make(access) for kind, make in further.items()}
            return surrounded({**behaviours, **made}, access, wraps)

        return around
