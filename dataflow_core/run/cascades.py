"""What the database itself changes when rows are deleted: rows that refer to them.

Foreign keys remove rows (``cascade``) or clear their columns (``set_null``); that is found out
before, by reading and locking the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from attrs import define, field

from dataflow_core.run.rows_by_key import rows_with
from dataflow_core.schema import Model
from dataflow_core.schema.relations import acting_keys

if TYPE_CHECKING:
    from dataflow_core.run.engine import Engine

__all__ = ["Taken", "taken_along"]

Row = dict[str, Any]
Key = tuple[Any, ...]


@define(eq=False)
class Taken:
    """Rows of one model that go, or whose columns are cleared, with others that are deleted."""

    model: Model
    kind: Literal["update", "delete"]
    before: list[Row] = field(factory=list)
    after: list[Row] | None = None


@define(eq=False)
class _Found:
    """The rows of one model that were met: as they were, whether they go, what is cleared."""

    rows: dict[Key, Row] = field(factory=dict)
    gone: set[Key] = field(factory=set)
    cleared: dict[Key, set[str]] = field(factory=dict)


async def taken_along(engine: Engine, model: Model, rows: Sequence[Row]) -> list[Taken]:
    """What becomes of other rows when these of ``model`` are deleted, the farthest first."""
    model, models = model.declared, list(engine.tables.models())
    if not acting_keys(model, models):
        return []
    found: dict[Model, _Found] = {model: _Found()}
    first = found[model]
    for row in rows:
        first.rows[_key_of(model, row)] = row
    first.gone.update(first.rows)
    pending: list[tuple[Model, Sequence[Row]]] = [(model, rows)]
    while pending:
        target, deleted = pending.pop()
        for child, key in acting_keys(target, models):
            await engine.prepare(child)
            met = await _referring(
                engine, child, key.columns, target, key.reference.columns, deleted
            )
            place = found.setdefault(child, _Found())
            new = []
            for row in met:
                own = _key_of(child, row)
                place.rows.setdefault(own, row)
                if key.reference.on_delete == "set_null":
                    place.cleared.setdefault(own, set()).update(key.columns)
                elif own not in place.gone:
                    place.gone.add(own)
                    new.append(row)
            if new:
                pending.append((child, new))
    given = {_key_of(model, row) for row in rows}
    return _told(found, model, given)


async def _referring(
    engine: Engine,
    child: Model,
    names: Sequence[str],
    target: Model,
    columns: Sequence[str],
    deleted: Sequence[Row],
) -> list[Row]:
    """The rows of ``child`` that refer to deleted rows of ``target``."""
    by_column = {item.column: item.name for item in target.fields}
    referred = [by_column[column] for column in columns]
    fields = tuple(child.by_name[name] for name in names)
    values = {tuple(row[name] for name in referred): None for row in deleted}
    return await rows_with(engine, child, fields, [key for key in values if None not in key])


def _told(found: Mapping[Model, _Found], model: Model, given: set[Key]) -> list[Taken]:
    told: list[Taken] = []
    for item, place in found.items():
        own = given if item is model else set()
        gone = [row for key, row in place.rows.items() if key in place.gone and key not in own]
        cleared = [key for key in place.cleared if key not in place.gone]
        if cleared:
            before = [place.rows[key] for key in cleared]
            after = [{**place.rows[key], **dict.fromkeys(place.cleared[key])} for key in cleared]
            told.append(Taken(item, "update", before, after))
        if gone:
            told.append(Taken(item, "delete", gone))
    return told[::-1]


def _key_of(model: Model, row: Mapping[str, Any]) -> Key:
    return tuple(row[name] for name in model.key_names)
