"""The bulk nodes: create, update, delete, upsert of many rows."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define

from dataflow_core.errors import (
    ConflictingParameters,
    FilterRequired,
    InvalidType,
    InvalidValue,
    MissingParameter,
)
from dataflow_core.filters.ast import And, Compare, Membership, Or, Predicate
from dataflow_core.filters.scope import Bindings
from dataflow_core.naming_hints import quoted
from dataflow_core.nodes.match import match_by, update_fields
from dataflow_core.nodes.single import utc_now
from dataflow_core.nodes.values import Selector, boolean, count_of, refuse_without_policy
from dataflow_core.operations import DeleteMany, UpdateMany
from dataflow_core.run.chunks import BulkCounts, BulkWrite
from dataflow_core.run.matches import match_among
from dataflow_core.run.writing import deleting_of, writing_of
from dataflow_core.schema import Field, Model
from dataflow_core.updates.parse import parse_update

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataflow_core.nodes.base import Context
    from dataflow_core.run.engine import Engine

__all__ = ["BULK_CREATE_PARAMETERS", "BulkNodes"]

Result = dict[str, Any]

BULK_CREATE_PARAMETERS = (
    "data",
    "batch_size",
    "conflict",
    "return_ids",
    "on_progress",
    "atomic",
    "tenant_id",
)
_CONFLICTS = ("error", "skip", "update")
_KEYS_AT_ONCE = 500


@define(eq=False)
class BulkNodes:
    """The behaviour of a model's bulk nodes."""

    model: Model
    engine: Callable[[], Engine]
    selector: Selector

    async def create(
        self, context: Context, parameters: Mapping[str, Any], node: str | None = None
    ) -> Result:
        """Insert rows: counts, and the keys on request. ``node`` is the name for messages."""
        node = node or f"{self.model.name}BulkCreateNode"
        refuse_without_policy(node, parameters)
        rows = _data(node, parameters)
        conflict = parameters.get("conflict") or "error"
        if conflict not in _CONFLICTS:
            raise InvalidValue(
                f"{node}: conflict is one of {', '.join(_CONFLICTS)}, got {quoted(conflict)}",
                parameter="conflict",
            )
        shared = {
            name: value for name, value in parameters.items() if name not in BULK_CREATE_PARAMETERS
        }
        for name in shared:
            self.model.field(name, node)
        options = self._options(node, parameters, conflict, shared)
        engine = self.engine()
        writing = writing_of(engine, self.model)
        if conflict == "update":
            match = match_by(node, self.model, self._key_of_update(node), None)
            counts = await writing.upsert_many(
                engine,
                self.model,
                rows,
                options,
                utc_now(),
                match=match,
                updates=None,
                match_given=False,
            )
            return _counted(counts, options, "processed", "inserted", "updated", "skipped")
        counts = await writing.create_many(engine, self.model, rows, options, utc_now())
        return _counted(counts, options, "processed", "inserted", "skipped")

    def _key_of_update(self, node: str) -> tuple[str, ...]:
        """The key by which ``conflict="update"`` finds the row: a generated one only if alone."""
        model = self.model
        generated = any(item.generated for item in model.primary_key)
        partial = [index.columns for index in model.partial_keys if match_among(model, index)]
        # What holds the whole primary key is no other key.
        others = [
            key
            for key in dict.fromkeys((*model.unique_keys[1:], *partial))
            if not set(model.key_names) <= set(key)
        ]
        if generated and len(others) == 1:
            return others[0]
        if generated and others:
            raise InvalidValue(
                f"{node}: {self.model.name} has several unique keys;"
                f" use {self.model.name}BulkUpsertNode with match_fields",
                parameter="conflict",
            )
        return tuple(item.name for item in model.given_key)

    def _options(
        self, node: str, parameters: Mapping[str, Any], conflict: Any, shared: Mapping[str, Any]
    ) -> BulkWrite:
        atomic: Any = parameters.get("atomic") or "all"
        if atomic not in ("all", "batch"):
            raise InvalidValue(f"{node}: atomic is 'all' or 'batch', got {quoted(atomic)}")
        progress = parameters.get("on_progress")
        if progress is not None and not callable(progress):
            raise InvalidType(f"{node}: on_progress is called with the number of rows done")
        return BulkWrite(
            batch_size=count_of(node, parameters, "batch_size", least=1),
            conflict="skip" if conflict == "skip" else "error",
            returning_keys=boolean(node, parameters, "return_ids", default=False),
            atomic=atomic,
            on_progress=progress,
            shared=shared,
        )

    async def upsert(self, context: Context, parameters: Mapping[str, Any]) -> Result:
        """Insert rows, or change those with the same unique key: counts."""
        node = f"{self.model.name}BulkUpsertNode"
        refuse_without_policy(node, parameters)
        rows = _data(node, parameters)
        match = match_by(node, self.model, parameters.get("match_fields"), None)
        updates = update_fields(node, self.model, parameters.get("update_fields"), match.fields)
        options = self._options(node, parameters, "error", {})
        engine = self.engine()
        counts = await writing_of(engine, self.model).upsert_many(
            engine,
            self.model,
            rows,
            options,
            utc_now(),
            match=match,
            updates=updates,
        )
        return _counted(counts, options, "processed", "inserted", "updated")

    async def update(self, context: Context, parameters: Mapping[str, Any]) -> Result:
        """Change the rows that a filter lets through, or each row of ``data`` by its key."""
        node = f"{self.model.name}BulkUpdateNode"
        refuse_without_policy(node, parameters)
        if parameters.get("data") is not None:
            return await self._update_rows(node, parameters)
        if "fields" not in parameters:
            raise MissingParameter(f"{node}: fields is missing: what to change", parameter="fields")
        bindings = self.selector.bindings()
        predicate = self.selector.many(node, parameters, bindings)
        update = parse_update(parameters["fields"], self.model, bindings, now=utc_now())
        operation = UpdateMany(self.model, predicate, tuple(update.assignments))
        engine = self.engine()
        writing = writing_of(engine, self.model)
        matched = await writing.update_many(engine, operation, bindings.values)
        return {"result": {"matched": matched}, "matched": matched, "success": True}

    async def _update_rows(self, node: str, parameters: Mapping[str, Any]) -> Result:
        for name in ("filter", "fields"):
            if parameters.get(name) is not None:
                raise ConflictingParameters(f"{node}: give data, or filter and fields")
        rows = _data(node, parameters)
        engine = self.engine()
        writing = writing_of(engine, self.model)
        matched = await writing.update_rows(engine, self.model, rows, utc_now())
        return {"result": {"matched": matched}, "matched": matched, "success": True}

    async def delete(self, context: Context, parameters: Mapping[str, Any]) -> Result:
        """Remove the rows that a filter lets through, or those with the given keys."""
        node = f"{self.model.name}BulkDeleteNode"
        refuse_without_policy(node, parameters)
        ids = parameters.get("ids")
        if ids is not None:
            if parameters.get("filter") is not None:
                raise ConflictingParameters(f"{node}: give ids or filter, not both")
            matched = await self._delete_keys(node, ids)
        else:
            if parameters.get("filter") is None and not parameters.get("allow_all"):
                raise FilterRequired(f"{node}: give ids, or a filter", node=node)
            bindings = self.selector.bindings()
            operation = DeleteMany(self.model, self.selector.many(node, parameters, bindings))
            engine = self.engine()
            deleting = deleting_of(engine, self.model)
            matched = await deleting.delete_many(engine, operation, bindings.values)
        counts = {"matched": matched, "deleted": matched}
        return {"result": counts, **counts, "success": True}

    async def _delete_keys(self, node: str, ids: Any) -> int:
        if isinstance(ids, str | bytes | Mapping) or not isinstance(ids, Iterable):
            raise InvalidType(f"{node}: ids is a list of keys, got {quoted(ids)}", parameter="ids")
        keys = [self._key(node, item) for item in ids]
        engine, matched = self.engine(), 0
        deleting = deleting_of(engine, self.model)
        async with engine.transaction(joins=True):
            for at in range(0, len(keys), _KEYS_AT_ONCE):
                bindings = self.selector.bindings()
                predicate = self._keys_filter(keys[at : at + _KEYS_AT_ONCE], bindings)
                operation = DeleteMany(self.model, predicate)
                matched += await deleting.delete_many(engine, operation, bindings.values)
        return matched

    def _key(self, node: str, item: Any) -> tuple[Any, ...]:
        fields = self.model.given_key
        names = [part.name for part in fields]
        if isinstance(item, Mapping) and set(item) == set(names):
            item = tuple(item[name] for name in names)
        elif len(fields) == 1:
            item = (item,)
        if not isinstance(item, tuple | list) or len(item) != len(fields):
            raise InvalidType(f"{node}: a key is {', '.join(names)}, got {quoted(item)}")
        return tuple(
            part.type.check(value, f"{self.model.name}.{part.name}")
            for part, value in zip(fields, item, strict=True)
        )

    def _keys_filter(self, keys: list[tuple[Any, ...]], bindings: Bindings) -> Predicate:
        fields = self.model.given_key
        if len(fields) == 1:
            return Membership(
                fields[0], bindings.list_slot([key[0] for key in keys], fields[0].type)
            )
        return Or(tuple(_equal(fields, key, bindings) for key in keys))


def _equal(fields: tuple[Field, ...], key: tuple[Any, ...], bindings: Bindings) -> Predicate:
    return And(
        tuple(
            Compare(item, "eq", bindings.slot(value, item.type))
            for item, value in zip(fields, key, strict=True)
        )
    )


def _data(node: str, parameters: Mapping[str, Any]) -> Any:
    data = parameters.get("data")
    if data is None:
        raise MissingParameter(f"{node}: data is missing: the rows", parameter="data")
    if isinstance(data, str | bytes | Mapping) or not isinstance(data, Iterable | AsyncIterable):
        raise InvalidType(f"{node}: data is a list (or iterable) of dicts, got {quoted(data)}")
    return data


def _counted(counts: BulkCounts, options: BulkWrite, *names: str) -> Result:
    result = {name: getattr(counts, name) for name in names}
    if options.atomic == "batch":
        result["failed"] = counts.failed
    output = {"result": result, **result, "success": not counts.failed}
    if options.returning_keys:
        output["ids"] = result["ids"] = counts.keys
    return output
