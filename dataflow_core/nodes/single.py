"""The nodes about one row: create, read, update, delete, upsert."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field

from dataflow_core.errors import (
    ConflictingParameters,
    InvalidType,
    MissingParameter,
    MultipleRecordsMatched,
    RecordNotFound,
)
from dataflow_core.naming_hints import quoted
from dataflow_core.nodes.including import attach, included, join_fields
from dataflow_core.nodes.match import match_by, update_fields
from dataflow_core.nodes.plain_updates import PlainUpdates
from dataflow_core.nodes.values import Selector, boolean, refuse_without_policy
from dataflow_core.operations import Delete, Find, Update
from dataflow_core.run.reads import find
from dataflow_core.run.writing import deleting_of, writing_of
from dataflow_core.schema import Field, Model
from dataflow_core.types import Integer
from dataflow_core.updates.parse import parse_update

if TYPE_CHECKING:
    from collections.abc import Callable

    from dataflow_core.nodes.base import Context
    from dataflow_core.run.engine import Engine
    from dataflow_core.run.matches import Match

__all__ = ["SingleNodes"]

Result = dict[str, Any]


def utc_now() -> dt.datetime:
    """The moment of a call, which is the same for all that it writes."""
    return dt.datetime.now(dt.UTC)


@define(eq=False)
class SingleNodes:
    """The behaviour of a model's single-record nodes. ``engine`` gives the model's database."""

    model: Model
    engine: Callable[[], Engine]
    selector: Selector
    max_rows: int
    _read: str = field(init=False)
    _plain_updates: PlainUpdates = field(factory=PlainUpdates, init=False)

    def __attrs_post_init__(self) -> None:
        self._read = f"{self.model.name}ReadNode"

    async def create(self, context: Context, parameters: Mapping[str, Any]) -> Result:
        """Insert one row: the stored row, and ``created: True``."""
        coalesce = True
        if "coalesce" in parameters:
            node = f"{self.model.name}CreateNode"
            coalesce = boolean(node, parameters, "coalesce", default=True)
            parameters = {name: parameters[name] for name in parameters if name != "coalesce"}
        row = self._row("Create", parameters)
        engine = self.engine()
        create = writing_of(engine, self.model).create
        stored = await create(engine, self.model, row, utc_now(), coalesce=coalesce)
        return {**stored, "result": stored, "created": True}

    def _row(self, kind: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields given one by one and under ``values``."""
        if "values" not in parameters and "tenant_id" not in parameters:
            return parameters
        node = f"{self.model.name}{kind}Node"
        rest = {name: value for name, value in parameters.items() if name != "values"}
        if "tenant_id" not in self.model.by_name:
            refuse_without_policy(node, rest)
            rest.pop("tenant_id", None)
        values = parameters.get("values")
        if values is None:
            return rest
        if not isinstance(values, Mapping):
            raise InvalidType(f"{node}: values is a dict of fields, got {quoted(values)}")
        twice = [name for name in values if name in rest]
        if twice:
            raise ConflictingParameters(f"{node}: {twice[0]} is given twice, also under values")
        return {**rest, **values}

    async def read(self, context: Context, parameters: Mapping[str, Any]) -> Result:
        """Read the row with a key, or the only one that a filter lets through."""
        must_exist = True
        key = self.selector.only_key(parameters)
        if key is not None:
            rows = await find(self.engine(), self.selector.find_by_key, key)
        else:
            must_exist = boolean(self._read, parameters, "raise_on_not_found", default=True)
            rows = await self._rows(parameters)
        if rows:
            return {**rows[0], "result": rows[0], "found": True}
        if must_exist:
            name = self.model.name
            raise RecordNotFound(f"{self._read}: no {name} matches", model=name)
        return {"result": None, "found": False}

    async def _rows(self, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The only row that the parameters of a read let through, if there is one."""
        node = self._read
        refuse_without_policy(node, parameters, self.model.key_names)
        bindings = self.selector.bindings()
        predicate, unique = self.selector.one(node, parameters, bindings)
        columns = self.selector.columns(node, parameters.get("select"))
        include = included(node, self.selector, parameters.get("include"))
        if include:
            self.engine().need("relations")
        hidden = [item for item in join_fields(include) if item not in columns]
        coalesce = boolean(node, parameters, "coalesce", default=True)
        limit = None if unique else bindings.slot(2, Integer())
        fetched = (*columns, *hidden) if hidden else columns
        operation = self._find(fetched, predicate, limit)
        rows = await find(self.engine(), operation, bindings.values, coalesce=coalesce)
        if len(rows) > 1:
            raise MultipleRecordsMatched(
                f"{node}: more than one row matches", model=self.model.name
            )
        if include:
            await attach(self.engine(), rows, include, self.selector, self.max_rows, node)
        for row in rows if hidden else ():
            for item in hidden:
                del row[item.name]
        return rows

    def _find(self, columns: tuple[Field, ...], predicate: Any, limit: Any) -> Find:
        if predicate is self.selector.key_filter and columns is self.model.fields:
            return self.selector.find_by_key
        return Find(self.model, columns, predicate, limit=limit)

    async def update(self, context: Context, parameters: Mapping[str, Any]) -> Result:
        """Change one row: the row after it, and ``updated``."""
        node = f"{self.model.name}UpdateNode"
        refuse_without_policy(node, parameters, self.model.key_names)
        bindings = self.selector.bindings()
        predicate, unique = self.selector.one(node, parameters, bindings)
        if "fields" not in parameters:
            raise MissingParameter(f"{node}: fields is missing: what to change", parameter="fields")
        fields, now = parameters["fields"], utc_now()
        by_key = predicate is self.selector.key_filter
        operation = self._plain_updates.known(fields, bindings.values, now) if by_key else None
        if operation is None:
            first = len(bindings.values)
            update = parse_update(fields, self.model, bindings, now=now)
            operation = Update(self.model, predicate, tuple(update.assignments), unique)
            if by_key:
                self._plain_updates.keep(fields, operation, first)
        engine = self.engine()
        row = await writing_of(engine, self.model).update(engine, operation, bindings.values)
        if row is None:
            return {"result": None, "updated": False}
        return {**row, "result": row, "updated": True}

    async def delete(self, context: Context, parameters: Mapping[str, Any]) -> Result:
        """Remove one row: the row as it was, and ``deleted``."""
        node = f"{self.model.name}DeleteNode"
        refuse_without_policy(node, parameters, self.model.key_names)
        bindings = self.selector.bindings()
        predicate, unique = self.selector.one(node, parameters, bindings)
        operation = Delete(self.model, predicate, unique)
        engine = self.engine()
        row = await deleting_of(engine, self.model).delete(engine, operation, bindings.values)
        if row is None:
            return {"result": None, "deleted": False}
        return {**row, "result": row, "deleted": True}

    async def upsert(self, context: Context, parameters: Mapping[str, Any]) -> Result:
        """Insert a row, or change the one with the same unique key: the row, and ``created``."""
        node = f"{self.model.name}UpsertNode"
        own = ("match_fields", "update_fields", "fields")
        given = {name: value for name, value in parameters.items() if name not in own}
        row = self._row("Upsert", given)
        match = match_by(node, self.model, parameters.get("match_fields"), row)
        if parameters.get("fields") is not None:
            return await self._update_or_create(node, parameters, row, match)
        updates = update_fields(node, self.model, parameters.get("update_fields"), match.fields)
        engine = self.engine()
        stored, created = await writing_of(engine, self.model).upsert_one(
            engine, self.model, row, utc_now(), match=match, updates=updates
        )
        return {**stored, "result": stored, "created": created}

    async def _update_or_create(
        self,
        node: str,
        parameters: Mapping[str, Any],
        row: Mapping[str, Any],
        match: Match,
    ) -> Result:
        """``fields`` changes a row that is there, with operators; else the row is created."""
        if parameters.get("update_fields") is not None:
            raise ConflictingParameters(f"{node}: give fields or update_fields, not both")
        engine, now, bindings = self.engine(), utc_now(), self.selector.bindings()
        document = {item.name: row[item.name] for item in match.fields if item.name in row}
        document |= {item.name: None for item in match.unset}
        predicate = self.selector.filter(document, bindings)
        update = parse_update(parameters["fields"], self.model, bindings, now=now, upserting=True)
        new = {**row, **update.on_insert}
        match.check_row(self.model, new)
        async with engine.transaction(joins=True):
            writing = writing_of(engine, self.model)
            stored: dict[str, Any] | None
            if update.assignments:
                operation = Update(self.model, predicate, tuple(update.assignments), unique=True)
                stored = await writing.update(engine, operation, bindings.values)
            else:
                # Nothing but what is set on insert: the row stays as it is.
                there = Find(self.model, self.model.fields, predicate, lock=True)
                stored = next(iter(await find(engine, there, bindings.values)), None)
            created = stored is None
            if stored is None:
                stored = await writing.create(engine, self.model, new, now)
        return {**stored, "result": stored, "created": created}
