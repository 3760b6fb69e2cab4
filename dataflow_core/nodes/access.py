"""The nodes of a model without what stands around them, for policies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import islice
from typing import TYPE_CHECKING, Any

from attrs import define

from dataflow_core.contract import Referrer
from dataflow_core.errors import ConflictingParameters, FilterRequired, InvalidType
from dataflow_core.limits import Limits
from dataflow_core.naming_hints import quoted
from dataflow_core.nodes.values import Selector
from dataflow_core.operations import Find
from dataflow_core.order import with_key
from dataflow_core.run.reads import find
from dataflow_core.schema import Model
from dataflow_core.schema.relation_names import Relations

if TYPE_CHECKING:
    from dataflow_core.nodes.base import Context
    from dataflow_core.nodes.binding import Binding

__all__ = ["Access"]


@define(eq=False)
class Access:
    """``ModelAccess`` of one model.

    Attributes:
        binding: what the nodes of the model are bound to.
        bindings: those of the other models, by name.
        relations: the relations of the models of the database.
    """

    binding: Binding
    bindings: Callable[[str], Binding]
    relations: Relations
    limits: Limits

    @property
    def model(self) -> Model:
        """The model, as it is extended."""
        return self.binding.model

    async def run(
        self,
        kind: str,
        context: Context,
        parameters: Mapping[str, Any],
        *,
        lifted: Sequence[str] = (),
        writable: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Do what the node of a kind does without any policy around it."""
        behaviours = self.binding.variant(frozenset(lifted), frozenset(writable))
        return await behaviours.by_kind[kind](context, parameters)

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Several calls, all of them or none; part of the transaction in force, if there is one."""
        return self.binding.engine().transaction(joins=True)

    async def locked(
        self, filter: Mapping[str, Any], *, lifted: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """The rows that pass a filter; nobody else changes them until the transaction ends."""
        model = self.model.variant(frozenset(lifted))
        selector = Selector(model, self.limits, self.relations)
        bindings = selector.bindings()
        predicate = selector.filter(filter, bindings)
        operation = Find(model, model.fields, predicate, with_key((), model), lock=True)
        return await find(self.binding.engine(), operation, bindings.values, coalesce=False)

    @property
    def selects(self) -> frozenset[str]:
        """The parameters that say which row is meant."""
        return frozenset((*self._key_parameters(), "filter"))

    def _key_parameters(self) -> dict[str, str]:
        """The parameters for parts of the key, and the fields that they are."""
        keys = {item.name: item.name for item in self.model.given_key}
        alias = Selector(self.model).alias
        if alias is not None:
            keys.setdefault(alias, self.model.given_key[0].name)
        return keys

    def narrowed(self, parameters: Mapping[str, Any], filter: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters that mean those of the same rows that also pass a filter."""
        keys = self._key_parameters()
        rest = {
            name: value
            for name, value in parameters.items()
            if name not in keys and name not in ("filter", "ids")
        }
        parts = [{keys[name]: parameters[name]} for name in keys if name in parameters]
        if parameters.get("ids") is not None:
            parts.append(self._of_keys(list(parameters["ids"])))
        if parameters.get("filter"):
            if parts:
                raise ConflictingParameters(f"{self.model.name}: give the key or filter, not both")
            parts.append(parameters["filter"])
        if not parts and not parameters.get("allow_all"):
            raise FilterRequired(f"{self.model.name}: give the key or a filter")
        if filter:
            parts.append(dict(filter))
        return {**rest, "filter": {"$and": parts} if len(parts) > 1 else (parts or [{}])[0]}

    def by_filter(self, parameters: Mapping[str, Any], most: int) -> Iterator[dict[str, Any]]:
        """Parameters with filters in the place of ``ids``, each about so many keys at most."""
        ids = parameters.get("ids")
        rest = {name: value for name, value in parameters.items() if name != "ids"}
        if ids is None:
            yield rest
            return
        if isinstance(ids, str | bytes | Mapping) or not isinstance(ids, Iterable):
            raise InvalidType(
                f"{self.model.name}: ids is a list of keys, got {quoted(ids)}", parameter="ids"
            )
        if parameters.get("filter") is not None:
            raise ConflictingParameters(f"{self.model.name}: give ids or filter, not both")
        arriving = iter(ids)
        while part := list(islice(arriving, most)):
            yield {**rest, "filter": self._of_keys(part)}

    def _of_keys(self, keys: Sequence[Any]) -> dict[str, Any]:
        """A filter: the rows that have one of these keys."""
        names = [item.name for item in self.model.given_key]
        if len(names) == 1:
            values = [key[names[0]] if isinstance(key, Mapping) else key for key in keys]
            return {names[0]: {"$in": values}}
        return {
            "$or": [
                dict(key) if isinstance(key, Mapping) else dict(zip(names, key, strict=True))
                for key in keys
            ]
        }

    def referrers(self) -> Sequence[Referrer]:
        """The models of the database that refer to this one."""
        return [
            Referrer(
                self.bindings(relation.target.name).access,
                relation.target_fields,
                relation.fields,
                on_delete(relation.target, relation.target_fields),
            )
            for relation in self.relations.of(self.model.declared).values()
            if relation.many
        ]


def on_delete(model: Model, fields: Sequence[Any]) -> str:
    """What deleting the row that these fields refer to does to their own."""
    if len(fields) == 1 and fields[0].references is not None:
        action: str = fields[0].on_delete
        return action
    names = {name for item in fields for name in (item.name, item.column)}
    for key in model.foreign_keys:
        if set(key.columns) <= names:
            return key.reference.on_delete
    return "no_action"
