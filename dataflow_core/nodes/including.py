"""``include``: related rows, fetched for all rows together and put under the relation's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen

from dataflow_core.aggregate.ast import Lookup
from dataflow_core.errors import InvalidValue, LimitExceeded
from dataflow_core.filters.ast import IsNull, Predicate
from dataflow_core.filters.keys import key_predicate
from dataflow_core.naming_hints import quoted
from dataflow_core.operations import Find
from dataflow_core.order import with_key
from dataflow_core.run.reads import find
from dataflow_core.schema import Field, Model
from dataflow_core.types import NEVER, Integer, Json

if TYPE_CHECKING:
    from dataflow_core.limits import Limits
    from dataflow_core.nodes.values import Selector
    from dataflow_core.run.engine import Engine
    from dataflow_core.schema.relation_names import Relation

__all__ = ["Included", "attach", "included", "join_fields", "look_up"]

Row = dict[str, Any]

_LONGEST: Final = 200
"""The most characters of an entry of ``include``."""


@define
class Included:
    """A relation whose rows come back, and those that come back within them."""

    relation: Relation
    inner: dict[str, Included] = field(factory=dict)


@frozen
class _Fetch:
    """What fetching needs: the database, and how many rows may come back."""

    engine: Engine
    limits: Limits
    max_rows: int
    node: str


def included(node: str, selector: Selector, names: Any) -> dict[str, Included]:
    """The relations that ``include`` names, dotted names within each other.

    Raises ``InvalidValue`` for what is no list of names, ``UnknownField`` for an unknown one.
    """
    if names is None or names is False:
        return {}
    if isinstance(names, str):
        names = [names]
    most = selector.limits.filter_leaves
    if not isinstance(names, list | tuple) or len(names) > most:
        raise InvalidValue(
            f"{node}: include is a list of relations, got {quoted(names)}", parameter="include"
        )
    result: dict[str, Included] = {}
    for name in names:
        if not isinstance(name, str) or len(name) > _LONGEST:
            raise InvalidValue(
                f"{node}: include names relations, got {quoted(name)}", parameter="include"
            )
        steps = name.split(".")
        if len(steps) > selector.limits.filter_depth:
            raise LimitExceeded(
                f"{node}: include leads over more than {selector.limits.filter_depth} relations",
                limit=selector.limits.filter_depth,
            )
        model, level = selector.model, result
        for step in steps:
            relation = selector.relations.relation(model, step, f"{node}: include")
            level = level.setdefault(step, Included(relation)).inner
            model = relation.target
    return result


def join_fields(include: Mapping[str, Included]) -> tuple[Field, ...]:
    """The fields of the rows by which related ones are found."""
    if not include:
        return ()
    return tuple(
        dict.fromkeys(item for entry in include.values() for item in entry.relation.fields)
    )


async def attach(
    engine: Engine,
    rows: Sequence[Row],
    include: Mapping[str, Included],
    selector: Selector,
    max_rows: int,
    node: str,
) -> None:
    """Put the related rows into ``rows``: one more statement for each relation, whatever the rows.

    Raises ``LimitExceeded`` where a relation has more than ``max_rows`` rows: a part of them would
    look like all.
    """
    await _attach(_Fetch(engine, selector.limits, max_rows, node), rows, include)


async def _attach(fetch: _Fetch, rows: Sequence[Row], include: Mapping[str, Included]) -> None:
    for name, entry in include.items():
        relation = entry.relation
        own = [item.name for item in relation.fields]
        found = await _found(fetch, relation, rows, own)
        await _attach(fetch, found, entry.inner)
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in found:
            key = tuple(row[item.name] for item in relation.target_fields)
            groups.setdefault(key, []).append(row)
        _place(rows, name, own, groups, entry)


def _place(
    rows: Sequence[Row],
    name: str,
    own: Sequence[str],
    groups: Mapping[tuple[Any, ...], list[Row]],
    entry: Included,
) -> None:
    """Give every row its related ones. Rows that share some get copies of their own."""
    used: set[tuple[Any, ...]] = set()
    for row in rows:
        key = tuple(row[item] for item in own)
        related = groups.get(key, [])
        if key in used:
            related = [_copy(item, entry) for item in related]
        used.add(key)
        row[name] = related if entry.relation.many else next(iter(related), None)


def _copy(row: Row, entry: Included) -> Row:
    """A copy of a row that shares nothing with it that can be changed."""
    result = _plain_copy(row, entry.relation.target)
    for name in entry.inner:
        result[name] = deepcopy(row[name])
    return result


def _plain_copy(row: Row, model: Model) -> Row:
    result = dict(row)
    for item in model.fields:
        if isinstance(item.type, Json):
            result[item.name] = deepcopy(row[item.name])
    return result


async def _found(
    fetch: _Fetch, relation: Relation, rows: Sequence[Row], own: Sequence[str]
) -> list[Row]:
    """The rows that a relation leads to from any of the rows, by key."""
    keys = dict.fromkeys(tuple(row[name] for name in own) for row in rows)
    complete = [key for key in keys if None not in key]
    return await related_rows(
        fetch.engine,
        relation.target,
        relation.target_fields,
        complete,
        fetch.limits,
        fetch.max_rows,
        f"{fetch.node}: include {relation.name}",
    )


async def related_rows(
    engine: Engine,
    target: Model,
    fields: tuple[Field, ...],
    keys: Sequence[tuple[Any, ...]],
    limits: Limits,
    max_rows: int,
    place: str,
) -> list[Row]:
    """The rows of a model whose ``fields`` have one of these combinations of values, by key.

    One statement for as many keys as one takes.
    """
    result: list[Row] = []
    order = with_key((), target)
    # Lists are filled up to a power of two.
    room = engine.dialect.compiler.parameters_per_statement - 1
    at_once = 1 << (room.bit_length() - 1) if len(fields) == 1 else _COMBINATIONS
    for at in range(0, len(keys), at_once):
        predicate, bindings = key_predicate(fields, keys[at : at + at_once], limits)
        limit = bindings.slot(min(max_rows - len(result) + 1, Integer().high), Integer())
        operation = Find(target, target.fields, predicate, order, limit=limit)
        result += await find(engine, operation, bindings.values, coalesce=False)
        if len(result) > max_rows:
            raise LimitExceeded(
                f"{place}: more than {max_rows} rows; narrow the rows, or list them by themselves",
                limit=max_rows,
            )
    return result


async def look_up(
    engine: Engine,
    rows: Sequence[Row],
    lookup: Lookup,
    selector: Selector,
    max_rows: int,
    node: str,
) -> None:
    """Put the list that a ``$lookup`` at the end of a pipeline makes into every row."""
    keys = [tuple(_value(row, item.name) for item in lookup.local) for row in rows]
    wanted = [key for key in dict.fromkeys(keys) if None not in key and _fits(lookup, key)]
    place, limits, target = f"{node}: $lookup {lookup.name}", selector.limits, lookup.model
    found = await related_rows(engine, target, lookup.foreign, wanted, limits, max_rows, place)
    if lookup.nulls and (None,) in keys:
        predicate: Predicate = IsNull(lookup.foreign[0])
        bindings = selector.bindings()
        limit = bindings.slot(min(max_rows + 1, Integer().high), Integer())
        operation = Find(target, target.fields, predicate, with_key((), target), limit=limit)
        found += await find(engine, operation, bindings.values, coalesce=False)
        if len(found) > max_rows:
            raise LimitExceeded(f"{place}: more than {max_rows} rows", limit=max_rows)
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in found:
        key = tuple(row[item.name] for item in lookup.foreign)
        groups.setdefault(key, []).append(row)
    used: set[tuple[Any, ...]] = set()
    for row, key in zip(rows, keys, strict=True):
        related = groups.get(key, [])
        row[lookup.name] = (
            [_plain_copy(item, target) for item in related] if key in used else related
        )
        used.add(key)


def _value(row: Row, name: str) -> Any:
    """A field of a result, in which parts of a key and joined rows are documents."""
    if name in row:
        return row[name]
    head, _, rest = name.partition(".")
    document = row.get(head)
    return None if document is None else document[rest]


def _fits(lookup: Lookup, key: tuple[Any, ...]) -> bool:
    """Whether a field of the other model can hold these values at all."""
    pairs = zip(lookup.foreign, key, strict=True)
    return all(item.type.operand(value, lookup.name) is not NEVER for item, value in pairs)


_COMBINATIONS: Final = 256
"""How many combinations of values one statement compares."""
