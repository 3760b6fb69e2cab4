"""``soft_delete``: a deletion marks rows, which nothing sees any more until they are restored.

Rows that reference a deleted row with ``on_delete="cascade"`` are deleted with it: they get the
same moment, which no other deletion has, so restoring the one restores the others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from attrs import evolve

from dataflow_core.contract import (
    Behaviour,
    ModelAccess,
    ModelPolicy,
    NodeKind,
    PolicyContext,
    Referrer,
    Wrap,
)
from dataflow_core.errors import ForeignKeyViolation, InvalidModel, InvalidType
from dataflow_core.naming_hints import quoted
from dataflow_core.schema import Field, Index, Model, RowScope
from dataflow_core.types import Timestamp
from dataflow_policies.moments import next_moment
from dataflow_policies.options import option_of

__all__ = ["DELETED_AT", "SCOPE", "SOFT_DELETE"]

DELETED_AT: Final = "deleted_at"
SCOPE: Final = "soft_delete"
_LIVE: Final[Mapping[str, Any]] = {DELETED_AT: None}
_LEFT_ALONE: Final = (DELETED_AT, "updated_at", "version")
"""What a deletion sets, and what it leaves as it was though an update would set it."""
_KEYS_AT_ONCE: Final = 500

Row = Mapping[str, Any]
Parameters = Mapping[str, Any]


def _extend(model: Model, context: PolicyContext) -> Model:
    if option_of(model, "soft_delete", {}) is None:
        return model
    marker = model.by_name.get(DELETED_AT) or Field(
        DELETED_AT, Timestamp(), DELETED_AT, nullable=True
    )
    if not isinstance(marker.type, Timestamp) or not marker.nullable:
        raise InvalidModel(
            f"{model.name}.{DELETED_AT}: the moment of a deletion is a datetime or None",
            model=model.name,
        )
    marker = evolve(marker, protected="is set by deleting and restoring")
    keys = set(model.key_names)
    fields = [
        evolve(item, unique=item.unique and item.primary_key)
        for item in model.fields
        if item.name != DELETED_AT
    ]
    alone = [
        Index((item.name,), unique=True)
        for item in model.fields
        if item.unique and not item.primary_key
    ]
    indexes = [
        # What holds the key is unique whatever was deleted, and references may lead to it.
        index if not index.unique or keys <= set(index.columns) else _among_live(index)
        for index in (*alone, *model.indexes)
    ]
    scopes = [scope for scope in model.scopes if scope.name != SCOPE]
    return evolve(
        model,
        fields=(*fields, marker),
        indexes=tuple(indexes),
        scopes=(*scopes, RowScope(SCOPE, _LIVE, "include_deleted")),
    )


def _among_live(index: Index) -> Index:
    """A unique index that a deleted row is not in, so that its values are free again."""
    if index.where is None:
        return evolve(index, where=_LIVE)
    if index.where == _LIVE or _LIVE in index.where.get("$and", ()):
        return index
    return evolve(index, where={"$and": [index.where, _LIVE]})


def _is_soft(model: Model) -> bool:
    return any(scope.name == SCOPE for scope in model.scopes)


# Deleting


def _asked_for(access: ModelAccess, parameters: Parameters) -> tuple[bool, dict[str, Any]]:
    """Whether the rows are to be marked only, and the other parameters."""
    rest = {name: value for name, value in parameters.items() if name != "soft_delete"}
    soft = parameters.get("soft_delete")
    if soft is not None and not isinstance(soft, bool):
        raise InvalidType(
            f"{access.model.name}: soft_delete is True or False, got {quoted(soft)}",
            parameter="soft_delete",
        )
    return soft is not False, rest


def _delete(inner: Behaviour, access: ModelAccess) -> Behaviour:
    async def run(context: Any, parameters: Parameters) -> dict[str, Any]:
        soft, rest = _asked_for(access, parameters)
        if not soft:
            return await inner(context, rest)
        _refuse_lasting(access)
        moment = next_moment()
        async with access.transaction():
            changed = await access.run(
                "update",
                context,
                {**rest, "fields": {DELETED_AT: moment}},
                writable=_LEFT_ALONE,
            )
            if not changed["updated"]:
                return {"result": None, "deleted": False}
            row = {**changed["result"], DELETED_AT: None}
            await _follow(access, context, [row], moment)
        return {**row, "result": row, "deleted": True}

    return run


def _bulk_delete(inner: Behaviour, access: ModelAccess) -> Behaviour:
    async def run(context: Any, parameters: Parameters) -> dict[str, Any]:
        soft, rest = _asked_for(access, parameters)
        if not soft:
            return await inner(context, rest)
        _refuse_lasting(access)
        moment, matched = next_moment(), 0
        fields = {"fields": {DELETED_AT: moment}}
        async with access.transaction():
            for part in access.by_filter(rest, _KEYS_AT_ONCE):
                done = await access.run(
                    "bulk_update", context, {**part, **fields}, writable=_LEFT_ALONE
                )
                matched += done["matched"]
            if matched and _concerned(access):
                async for rows in _rows(access, context, {DELETED_AT: moment}):
                    await _follow(access, context, rows, moment)
        counts = {"matched": matched, "deleted": matched}
        return {"result": counts, **counts, "success": True}

    return run


def _concerned(access: ModelAccess) -> list[Referrer]:
    """The models whose rows a deletion has to do with."""
    return [one for one in access.referrers() if one.on_delete in ("cascade", "restrict")]


def _refuse_lasting(access: ModelAccess) -> None:
    """Refuse what could not be restored: rows that would go with the row, and for good."""
    seen, pending = [access.model], [access]
    while pending:
        current = pending.pop()
        for one in current.referrers():
            model = one.access.model
            if one.on_delete != "cascade" or model in seen:
                continue
            if not _is_soft(model):
                raise InvalidModel(
                    f"{model.name} is deleted with {current.model.name}, but not softly, so it"
                    f" could not be restored: give {model.name} the option soft_delete, or delete"
                    " with soft_delete=False",
                    model=model.name,
                )
            seen.append(model)
            pending.append(one.access)


async def _rows(
    access: ModelAccess, context: Any, filter: Mapping[str, Any]
) -> AsyncIterator[list[Row]]:
    """The rows that pass a filter, deleted or not, so many at a time."""
    cursor = None
    while True:
        asked = {"filter": filter, "limit": _KEYS_AT_ONCE, "cursor": cursor}
        page = await access.run("list", context, asked, lifted=(SCOPE,))
        if page["records"]:
            yield page["records"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _of(one: Referrer, rows: Sequence[Row]) -> Mapping[str, Any]:
    """A filter: the rows of a model that refer to any of these."""
    if len(one.fields) == 1:
        values = [row[one.target_fields[0].name] for row in rows]
        return {one.fields[0].name: {"$in": values}}
    return {
        "$or": [
            {
                own.name: row[its.name]
                for own, its in zip(one.fields, one.target_fields, strict=True)
            }
            for row in rows
        ]
    }


async def _follow(
    access: ModelAccess, context: Any, rows: Sequence[Row], moment: dt.datetime
) -> None:
    """Delete what is deleted with these rows, and refuse where something holds on to them."""
    for one in _concerned(access):
        filter = _of(one, rows)
        if one.on_delete == "restrict":
            await _refuse_held(one, context, filter, access.model)
            continue
        done = await one.access.run(
            "bulk_update",
            context,
            {"filter": filter, "fields": {DELETED_AT: moment}},
            writable=_LEFT_ALONE,
        )
        if done["matched"] and _concerned(one.access):
            both = {"$and": [filter, {DELETED_AT: moment}]}
            async for further in _rows(one.access, context, both):
                await _follow(one.access, context, further, moment)


async def _refuse_held(
    one: Referrer, context: Any, filter: Mapping[str, Any], model: Model
) -> None:
    found = await one.access.run("count", context, {"filter": filter})
    if found["count"]:
        names = tuple(item.column for item in one.fields)
        raise ForeignKeyViolation(
            f"{model.name}: {one.access.model.name} still refers to the row",
            table=one.access.model.table,
            columns=names,
            outcome="not done",
            side="parent",
        )


# Restoring

_RESTORE: Final = NodeKind(
    "restore",
    "Restore",
    ("filter", "tenant_id"),
    ("result", "restored"),
    writes=True,
    fields_out=True,
    keys_in=True,
    description="undo a soft deletion",
)


def _restore(access: ModelAccess) -> Behaviour:
    async def run(context: Any, parameters: Parameters) -> dict[str, Any]:
        deleted = access.narrowed(parameters, {DELETED_AT: {"$ne": None}})
        async with access.transaction():
            asked = {**deleted, "raise_on_not_found": False}
            found = await access.run("read", context, asked, lifted=(SCOPE,))
            if not found["found"]:
                return {"result": None, "restored": False}
            moment = found["result"][DELETED_AT]
            row = await _restored(access, context, deleted)
            await _restore_followers(access, context, [row], moment)
        return {**row, "result": row, "restored": True}

    return run


async def _restored(access: ModelAccess, context: Any, one: Parameters) -> Row:
    done = await access.run(
        "update",
        context,
        {**one, "fields": {DELETED_AT: None}},
        lifted=(SCOPE,),
        writable=_LEFT_ALONE,
    )
    row: Row = done["result"]
    return row


async def _restore_followers(
    access: ModelAccess, context: Any, rows: Sequence[Row], moment: dt.datetime
) -> None:
    """Restore what was deleted with these rows."""
    for one in _concerned(access):
        if one.on_delete != "cascade" or not _is_soft(one.access.model):
            continue
        both = {"$and": [_of(one, rows), {DELETED_AT: moment}]}
        # Those of the next level are found while these still tell the moment.
        async for followers in _rows(one.access, context, both):
            await _restore_followers(one.access, context, followers, moment)
        await one.access.run(
            "bulk_update",
            context,
            {"filter": both, "fields": {DELETED_AT: None}},
            lifted=(SCOPE,),
            writable=_LEFT_ALONE,
        )


def _wraps(model: Model) -> Mapping[str, Wrap]:
    return {"delete": _delete, "bulk_delete": _bulk_delete} if _is_soft(model) else {}


def _nodes(model: Model) -> Mapping[NodeKind, Any]:
    return {_RESTORE: _restore} if _is_soft(model) else {}


SOFT_DELETE: Final = ModelPolicy(("soft_delete",), _extend, _wraps, _nodes)
"""The policy."""
