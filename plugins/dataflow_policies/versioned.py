"""``versioned``: whoever changes a row says which version of it was read.

The version is counted by every update, whatever does it. A change by plain values without a version
is refused, since it may overwrite what somebody else has written meanwhile; operators such as
``$inc`` change what is stored, whatever it is, and need none.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from itertools import islice
from typing import Any, Final

from attrs import evolve

from dataflow_core.contract import Behaviour, ModelAccess, ModelPolicy, PolicyContext, Wrap
from dataflow_core.errors import (
    ConflictingParameters,
    InvalidModel,
    VersionConflict,
    VersionRequired,
)
from dataflow_core.schema import Field, Model
from dataflow_core.types import Integer
from dataflow_policies.options import option_of

__all__ = ["VERSION", "VERSIONED"]

VERSION: Final = "version"
_PLAIN: Final = ("$set", "$unset", "$rename", "$currentDate", "$setOnInsert")
"""Operators that say a value, and nothing of the one that is stored."""
_ROWS_AT_ONCE: Final = 500

Row = Mapping[str, Any]
Parameters = Mapping[str, Any]


def _extend(model: Model, context: PolicyContext) -> Model:
    if option_of(model, "versioned", {}) is None:
        return model
    counter = model.by_name.get(VERSION) or Field(VERSION, Integer(), VERSION)
    if not isinstance(counter.type, Integer) or counter.nullable:
        raise InvalidModel(
            f"{model.name}.{VERSION}: a version is an int, and never null", model=model.name
        )
    # The default is for rows that were there before.
    counter = evolve(counter, default=1, managed="counted", protected="is counted by every update")
    rest = tuple(item for item in model.fields if item.name != VERSION)
    return evolve(model, fields=(*rest, counter))


def _version_of(access: ModelAccess, parameters: Parameters) -> tuple[int | None, dict[str, Any]]:
    """The version that was given, and the other parameters."""
    rest = {name: value for name, value in parameters.items() if name != VERSION}
    given = parameters.get(VERSION)
    if given is None:
        return None, rest
    checked: int = Integer().check(given, f"{access.model.name}: version")
    return checked, rest


def _needs_version(access: ModelAccess, parameters: Parameters) -> None:
    """Refuse a change by plain values."""
    fields = parameters.get("fields")
    if isinstance(fields, Mapping) and all(
        isinstance(name, str) and name.startswith("$") and name not in _PLAIN for name in fields
    ):
        return
    raise VersionRequired(
        f"{access.model.name}: version is missing: that of the row when it was read",
        model=access.model.name,
        outcome="not done",
    )


def _conflict(model: Model, expected: int, row: Row) -> VersionConflict:
    key = {item.name: row[item.name] for item in model.given_key if item.name in row}
    return VersionConflict(
        f"{model.name}: version {expected} was given, and the row has {row[VERSION]} by now",
        model=model.name,
        expected=expected,
        actual=row[VERSION],
        key=key,
        outcome="not done",
    )


def _one(done: str) -> Wrap:
    """Around a node about one row, whose result says under ``done`` whether it did anything."""

    def wrap(inner: Behaviour, access: ModelAccess) -> Behaviour:
        async def run(context: Any, parameters: Parameters) -> dict[str, Any]:
            version, rest = _version_of(access, parameters)
            if version is None:
                if done == "updated":
                    _needs_version(access, rest)
                return await inner(context, rest)
            result = await inner(context, access.narrowed(rest, {VERSION: version}))
            if not result[done]:
                about = {name: value for name, value in rest.items() if name in access.selects}
                asked = {**about, "raise_on_not_found": False}
                found = await access.run("read", context, asked)
                if found["found"]:
                    raise _conflict(access.model, version, found["result"])
            return result

        return run

    return wrap


def _many(inner: Behaviour, access: ModelAccess) -> Behaviour:
    """Around a node about all rows that a filter lets through: each has the version."""

    async def run(context: Any, parameters: Parameters) -> dict[str, Any]:
        version, rest = _version_of(access, parameters)
        if rest.get("data") is not None:
            if version is not None:
                raise ConflictingParameters(
                    f"{access.model.name}: each row of data has its own version; give no other",
                    parameter=VERSION,
                )
            return await _rows(inner, access, context, rest)
        if version is None:
            if "fields" in rest:
                _needs_version(access, rest)
            return await inner(context, rest)
        async with access.transaction():
            others = access.narrowed(rest, {VERSION: {"$ne": version}})
            asked = {"filter": others["filter"], "limit": 1}
            found = await access.run("list", context, asked)
            if found["records"]:
                raise _conflict(access.model, version, found["records"][0])
            before = access.narrowed(rest, {})
            total = await access.run("count", context, {"filter": before["filter"]})
            result = await inner(context, access.narrowed(rest, {VERSION: version}))
            if result["matched"] < total["count"]:
                raise VersionConflict(
                    f"{access.model.name}: a row was changed meanwhile",
                    model=access.model.name,
                    expected=version,
                    outcome="not done",
                )
        return result

    return run


async def _rows(
    inner: Behaviour, access: ModelAccess, context: Any, parameters: Parameters
) -> dict[str, Any]:
    """A bulk update of rows that each give a version."""
    if not isinstance(parameters["data"], Iterable | AsyncIterable):
        # For the node itself to refuse.
        return await inner(context, parameters)
    async with access.transaction():
        data = _compared(access, parameters["data"])
        return await inner(context, {**parameters, "data": data})


async def _compared(access: ModelAccess, data: Any) -> AsyncIterator[Any]:
    """The rows without their versions, each after it was found to have it."""
    names = [item.name for item in access.model.given_key]
    next_versions: dict[tuple[Any, ...], int] = {}
    index = 0
    async for part in _parts(data):
        given = [row for row in part if isinstance(row, Mapping)]
        keys = [tuple(row[name] for name in names) for row in given if _has_all(row, names)]
        stored = await _stored(access, names, [key for key in keys if key not in next_versions])
        for row in part:
            # What is no row, or has no key, is for the node itself to refuse.
            if isinstance(row, Mapping) and _has_all(row, names):
                _compare(access, row, index, names, stored, next_versions)
                row = {name: value for name, value in row.items() if name != VERSION}
            yield row
            index += 1


def _has_all(row: Row, names: list[str]) -> bool:
    """Whether a row has all of these fields."""
    return all(name in row for name in names)


def _compare(
    access: ModelAccess,
    row: Row,
    index: int,
    names: list[str],
    stored: Mapping[tuple[Any, ...], Row],
    next_versions: dict[tuple[Any, ...], int],
) -> None:
    if row.get(VERSION) is None:
        raise VersionRequired(
            f"row {index}: {access.model.name}: version is missing: that of the row when it was"
            " read",
            model=access.model.name,
            index=index,
            outcome="not done",
        )
    expected = Integer().check(row[VERSION], f"row {index}: {access.model.name}.version")
    key = tuple(
        item.type.check(row[item.name], f"{access.model.name}.{item.name}")
        for item in access.model.given_key
    )
    actual = next_versions.get(key)
    if actual is None:
        found = stored.get(key)
        if found is None:
            return
        actual = found[VERSION]
    if actual != expected:
        raise _conflict(
            access.model, expected, {**dict(zip(names, key, strict=True)), VERSION: actual}
        )
    next_versions[key] = actual + 1


async def _stored(
    access: ModelAccess, names: list[str], keys: list[tuple[Any, ...]]
) -> dict[tuple[Any, ...], Row]:
    """The rows of these keys, which nobody else changes until the transaction ends."""
    if not keys:
        return {}
    filter: Mapping[str, Any] = {
        "$or": [dict(zip(names, key, strict=True)) for key in keys],
    }
    if len(names) == 1:
        filter = {names[0]: {"$in": [key[0] for key in keys]}}
    rows = await access.locked(filter)
    return {tuple(row[name] for name in names): row for row in rows}


async def _parts(data: Any) -> AsyncIterator[list[Any]]:
    """The rows of an iterable of either kind, so many at a time."""
    if not isinstance(data, AsyncIterable):
        arriving = iter(data)
        while part := list(islice(arriving, _ROWS_AT_ONCE)):
            yield part
        return
    part = []
    async for row in data:
        part.append(row)
        if len(part) == _ROWS_AT_ONCE:
            yield part
            part = []
    if part:
        yield part


def _wraps(model: Model) -> Mapping[str, Wrap]:
    counter = model.by_name.get(VERSION)
    if counter is None or counter.managed != "counted":
        return {}
    return {
        "update": _one("updated"),
        "delete": _one("deleted"),
        "bulk_update": _many,
        "bulk_delete": _many,
    }


VERSIONED: Final = ModelPolicy(("versioned",), _extend, _wraps)
"""The policy."""
