"""The list and count nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve, field, frozen

from dataflow_core.aggregate.ast import Facet, Limit, Pipeline
from dataflow_core.aggregate.parse import parse_pipeline
from dataflow_core.errors import ConflictingParameters
from dataflow_core.filters.ast import Always, And, Predicate
from dataflow_core.filters.keys import after
from dataflow_core.filters.scope import Bindings
from dataflow_core.nodes.cursor import decode_cursor, encode_cursor, origin_of
from dataflow_core.nodes.including import attach, included, join_fields, look_up
from dataflow_core.nodes.values import Selector, boolean, count_of, refuse_without_policy
from dataflow_core.operations import Aggregate, Count, Find
from dataflow_core.order import SortKey, parse_order
from dataflow_core.run import reads
from dataflow_core.run.streams import BATCH_ROWS, RowStream, refuse_in_transaction
from dataflow_core.schema import Field, Model
from dataflow_core.types import Integer

if TYPE_CHECKING:
    from dataflow_core.nodes.base import Context
    from dataflow_core.run.engine import Engine

__all__ = ["STREAM_PARAMETERS", "ListNodes"]

Result = dict[str, Any]

_NOT_WITH_AGGREGATE = (
    "order_by",
    "limit",
    "offset",
    "cursor",
    "select",
    "distinct",
    "count_only",
    "include",
)


_MOST_ORDERS: Final = 256

STREAM_PARAMETERS = (
    "filter",
    "order_by",
    "limit",
    "offset",
    "cursor",
    "select",
    "distinct",
    "batch_size",
    "include_deleted",
    "tenant_id",
)
"""What ``db.nodes.User.stream`` takes."""


@frozen
class _Asked:
    """What a list is asked for.

    ``origin`` is what its cursors belong to; ``paged`` says whether a part of the rows was asked
    for.
    """

    predicate: Predicate
    columns: tuple[Field, ...]
    order: tuple[SortKey, ...]
    limit: int | None
    offset: int
    distinct: bool
    origin: Callable[[], str]
    paged: bool


@define(eq=False)
class ListNodes:
    """The behaviour of a model's list and count nodes."""

    model: Model
    engine: Callable[[], Engine]
    selector: Selector
    lookup: Callable[[str], Model]
    max_rows: int
    _orders: dict[tuple[str, ...], tuple[SortKey, ...]] = field(factory=dict)

    async def count(self, context: Context, parameters: Mapping[str, Any]) -> Result:
        """The number of rows that a filter lets through."""
        node = f"{self.model.name}CountNode"
        refuse_without_policy(node, parameters)
        bindings = self.selector.bindings()
        predicate = self.selector.filter(parameters.get("filter"), bindings)
        number = await reads.count(self.engine(), Count(self.model, predicate), bindings.values)
        return {"result": number, "count": number}

    async def list(self, context: Context, parameters: Mapping[str, Any]) -> Result:
        """Rows that a filter lets through, sorted and cut; their number; a pipeline over them."""
        node = f"{self.model.name}ListNode"
        refuse_without_policy(node, parameters)
        if boolean(node, parameters, "stream", default=False):
            return await self._streamed(node, parameters)
        if parameters.get("batch_size") is not None:
            raise ConflictingParameters(f"{node}: batch_size goes with stream=True only")
        if parameters.get("aggregate") is not None:
            return await self._aggregate(node, parameters)
        if boolean(node, parameters, "count_only", default=False):
            return await self._count_only(node, parameters)
        return await self._rows(node, parameters)

    def stream(self, parameters: Mapping[str, Any], node: str | None = None) -> RowStream:
        """The rows that a list would give, all of them, read while they are asked for."""
        return self._stream(node or f"{self.model.name}.stream", parameters)

    async def _streamed(self, node: str, parameters: Mapping[str, Any]) -> Result:
        for name in ("aggregate", "count_only", "include"):
            if _is_given(parameters, name):
                raise ConflictingParameters(f"{node}: a stream gives rows; drop {name}, or stream")
        stream = self._stream(node, parameters)
        # Now, and not at the first row: later nodes may change what is to be read.
        await stream.open()
        limit = count_of(node, parameters, "limit")
        offset = count_of(node, parameters, "offset") or 0
        return _page(stream, None, limit, offset, None, truncated=False)

    def _stream(self, node: str, parameters: Mapping[str, Any]) -> RowStream:
        refuse_without_policy(node, parameters)
        size = count_of(node, parameters, "batch_size", least=1) or BATCH_ROWS
        engine, bindings = self.engine(), self.selector.bindings()
        refuse_in_transaction(engine, node)
        asked = self._asked(node, parameters, bindings)
        operation = self._find(asked, asked.columns, asked.limit, bindings)
        return RowStream(engine, operation, bindings.values, size, node)

    async def _count_only(self, node: str, parameters: Mapping[str, Any]) -> Result:
        for name in ("limit", "offset", "cursor", "order_by", "include"):
            if _is_given(parameters, name):
                raise ConflictingParameters(f"{node}: count_only counts all matches; drop {name}")
        bindings = self.selector.bindings()
        predicate = self.selector.filter(parameters.get("filter"), bindings)
        distinct: tuple[Field, ...] = ()
        if not boolean(node, parameters, "distinct", default=False):
            if parameters.get("select") is not None:
                raise ConflictingParameters(f"{node}: count_only counts rows; drop select")
        else:
            distinct = self.selector.columns(node, parameters.get("select"))
        operation = Count(self.model, predicate, distinct)
        number = await reads.count(self.engine(), operation, bindings.values)
        return {"result": number, "count": number}

    async def _rows(self, node: str, parameters: Mapping[str, Any]) -> Result:
        bindings = self.selector.bindings()
        asked = self._asked(node, parameters, bindings)
        include = included(node, self.selector, parameters.get("include"))
        if include and asked.distinct:
            raise ConflictingParameters(f"{node}: distinct rows have no related rows; drop include")
        if include:
            self.engine().need("relations")
        limit, offset, order = asked.limit, asked.offset, asked.order
        if limit == 0:
            return _page([], 0, 0, offset, None, truncated=False)
        wanted = self.max_rows if limit is None else limit
        fetched, hidden = _with_keys(
            asked.columns, order, join_fields(include), distinct=asked.distinct
        )
        # One row more than wanted is asked for: it tells whether there is a next page.
        operation = self._find(asked, fetched, min(wanted + 1, Integer().high), bindings)
        rows = await reads.find(self.engine(), operation, bindings.values)
        next_cursor = None
        more = len(rows) > wanted
        if more:
            del rows[wanted:]
            if not asked.distinct:
                last = rows[-1]
                next_cursor = encode_cursor(asked.origin(), [last[key.field.name] for key in order])
        if include:
            await attach(self.engine(), rows, include, self.selector, self.max_rows, node)
        for name in hidden:
            for row in rows:
                del row[name]
        return _page(rows, len(rows), limit, offset, next_cursor, truncated=more and limit is None)

    def _asked(self, node: str, parameters: Mapping[str, Any], bindings: Bindings) -> _Asked:
        """Which rows are asked for, and how they are sorted and cut."""
        predicate = self.selector.filter(parameters.get("filter"), bindings)
        columns = self.selector.columns(node, parameters.get("select"))
        distinct = boolean(node, parameters, "distinct", default=False)
        order = self._order(parameters.get("order_by"))
        if distinct:
            order = self._distinct_order(node, order, columns)
        origin = origin_of(self.model, order, predicate, bindings.values)
        limit = count_of(node, parameters, "limit")
        offset = count_of(node, parameters, "offset") or 0
        cursor = parameters.get("cursor")
        if cursor is not None:
            if offset or distinct:
                raise ConflictingParameters(f"{node}: cursor goes with neither offset nor distinct")
            behind = after(order, decode_cursor(cursor, origin(), order, node), bindings)
            predicate = behind if predicate == Always(True) else And((predicate, behind))
        paged = limit is not None or cursor is not None
        return _Asked(predicate, columns, order, limit, offset, distinct, origin, paged)

    def _find(
        self, asked: _Asked, columns: tuple[Field, ...], limit: int | None, bindings: Bindings
    ) -> Find:
        number = Integer()
        limit_slot = None if limit is None else bindings.slot(limit, number)
        offset_slot = bindings.slot(asked.offset, number) if asked.offset else None
        return Find(
            self.model,
            columns,
            asked.predicate,
            asked.order,
            limit_slot,
            offset_slot,
            asked.distinct,
            paged=asked.paged,
        )

    def _order(self, given: Any) -> tuple[SortKey, ...]:
        """The sort keys; those of names are kept, as most lists are sorted in few ways."""
        names = _names(given)
        if names is None:
            return parse_order(given, self.model, self.selector.limits)
        order = self._orders.get(names)
        if order is None:
            order = parse_order(given, self.model, self.selector.limits)
            if len(self._orders) >= _MOST_ORDERS:
                del self._orders[next(iter(self._orders))]
            self._orders[names] = order
        return order

    def _distinct_order(
        self, node: str, order: tuple[SortKey, ...], columns: tuple[Field, ...]
    ) -> tuple[SortKey, ...]:
        """Distinct rows are sorted by what is asked for, then by all their columns."""
        names = {item.name for item in columns}
        keys = self.model.key_names
        chosen = [key for key in order if key.field.name in names]
        dropped = [
            key.field.name
            for key in order
            if key.field.name not in names and key.field.name not in keys
        ]
        if dropped:
            raise ConflictingParameters(
                f"{node}: distinct rows cannot be sorted by {dropped[0]}, which select leaves out"
            )
        sorted_by = {key.field.name for key in chosen}
        rest = [
            SortKey(item) for item in columns if item.name not in sorted_by and item.type.ordered
        ]
        return (*chosen, *rest)

    async def _aggregate(self, node: str, parameters: Mapping[str, Any]) -> Result:
        for name in _NOT_WITH_AGGREGATE:
            if _is_given(parameters, name):
                raise ConflictingParameters(
                    f"{node}: {name} does not go with aggregate; make it a stage of the pipeline"
                )
        bindings = self.selector.bindings()
        predicate = self.selector.filter(parameters.get("filter"), bindings)
        pipeline = parse_pipeline(
            parameters["aggregate"],
            self.model,
            bindings,
            lookup=self.lookup,
            relations=self.selector.relations,
        )
        capped = self._capped(pipeline, bindings)
        operation = Aggregate(self.model, capped, predicate)
        rows = await reads.aggregate(self.engine(), operation, bindings.values)
        truncated = len(rows) > self.max_rows
        if truncated:
            del rows[self.max_rows :]
        for lookup in pipeline.lookups:
            await look_up(self.engine(), rows, lookup, self.selector, self.max_rows, node)
        return _page(rows, len(rows), None, 0, None, truncated=truncated)

    def _capped(self, pipeline: Pipeline, bindings: Bindings) -> Pipeline:
        """One row more than may come back, so that cutting is seen and said."""
        if pipeline.stages and isinstance(pipeline.stages[-1], Facet):
            return pipeline
        cap = Limit(bindings.slot(self.max_rows + 1, Integer()), guard=True)
        return evolve(pipeline, stages=(*pipeline.stages, cap))


def _names(order: Any) -> tuple[str, ...] | None:
    """What ``order_by`` gives, if it is few names and nothing else."""
    if order is None:
        return ()
    if type(order) is str:
        return (order,)
    if type(order) not in (list, tuple) or len(order) > _MOST_ORDERS:
        return None
    return tuple(order) if all(type(name) is str for name in order) else None


def _is_given(parameters: Mapping[str, Any], name: str) -> bool:
    """Whether a parameter asks for something; ``None``, False and an empty list do not."""
    value = parameters.get(name)
    return not (value is None or value is False or value == [] or value == ())


def _with_keys(
    columns: tuple[Field, ...],
    order: tuple[SortKey, ...],
    joining: tuple[Field, ...],
    *,
    distinct: bool,
) -> tuple[tuple[Field, ...], list[str]]:
    """The columns to fetch, with what cursors and relations need; those to take out again."""
    if distinct:
        return columns, []
    wanted = dict.fromkeys((*(key.field for key in order), *joining))
    missing = tuple(item for item in wanted if item not in columns)
    return (*columns, *missing) if missing else columns, [item.name for item in missing]


def _page(
    rows: list[dict[str, Any]] | RowStream,
    count: int | None,
    limit: int | None,
    offset: int,
    next_cursor: str | None,
    *,
    truncated: bool,
) -> Result:
    return {
        "result": rows,
        "records": rows,
        "count": count,
        "limit": limit,
        "offset": offset,
        "next_cursor": next_cursor,
        "truncated": truncated,
    }
