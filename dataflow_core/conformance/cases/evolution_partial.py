"""Indexes of some rows only: made, changed, replaced and told, with rows that stay."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.cases.evolution import (
    first_version,
    in_order,
    next_version,
    rows_of,
    version_of,
)
from dataflow_core.conformance.registry import case
from dataflow_core.errors import SchemaChangeRefused, UniqueViolation
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_UNIQUE: Final = "schema.partial_unique"
_ALTER: Final = ("schema.alter",)
_ANNOTATIONS: Final[dict[str, Any]] = {"id": int, "name": str, "gone": dt.datetime | None}
GONE: Final = dt.datetime(2024, 2, 29, tzinfo=dt.UTC)


def _options(where: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    index = {"fields": ["name"], "unique": True, **more}
    return {"indexes": [index if where is None else {**index, "where": where}]}


def _name() -> Any:
    return field(max_length=40)


@case("evolution.partial_index", feature="schema.partial_index", since="0.3")
async def partial_index(session: Session) -> None:
    """An index of the rows that pass a filter comes back as it was made, and refuses no row."""
    options = {"indexes": [{"fields": ["name"], "where": {"on": True}}]}
    annotations = {"id": int, "name": str, "on": bool}
    table = await first_version(session, annotations, name=_name(), options=options)
    for on in (True, True, False):
        await session.db.run("VersionedCreateNode", name="a", on=on)
    if not table:
        return
    handle = next_version(session, version_of(table, annotations, name=_name(), options=options))
    session.equal(len(await rows_of(handle)), 3)
    await in_order(session, handle)


@case("evolution.partial_unique", feature=_UNIQUE, also=_ALTER, since="0.3")
async def partial_unique(session: Session) -> None:
    """A unique index becomes one of some rows, of others, and a whole one again; rows stay."""
    # Before the table is made without it.
    session.db.engine().need(_UNIQUE)
    whole = {"name": field(max_length=40, unique=True)}
    table = await first_version(session, _ANNOTATIONS, **whole)
    if not table:
        return
    await session.db.run("VersionedCreateNode", name="a", gone=GONE)
    stages: tuple[tuple[dict[str, Any], Any, Any], ...] = (
        ({"name": _name(), "options": _options({"gone": None})}, None, GONE),
        ({"name": _name(), "options": _options({"gone": {"$ne": None}})}, GONE, None),
        ({"name": _name(), "options": _options({"gone": None}, name="names")}, None, GONE),
        ({"name": _name(), "options": _options({"gone": {"$ne": None}}, name="names")}, GONE, None),
    )
    for number, (body, inside, outside) in enumerate(stages):
        handle = next_version(session, version_of(table, _ANNOTATIONS, **body))
        create = partial(handle.run, "VersionedCreateNode", name=f"n{number}")
        await create(gone=inside)
        await create(gone=outside)
        await session.expect_error(UniqueViolation, partial(create, gone=inside), columns=("name",))
        await in_order(session, handle)
        for row in (await rows_of(handle))[1:]:
            await handle.run("VersionedDeleteNode", id=row["id"])
    # What was registered before would be an older program, which undoes nothing.
    whole = {"name": field(max_length=40, unique=True, comment="whole")}
    handle = next_version(session, version_of(table, _ANNOTATIONS, **whole))
    create = partial(handle.run, "VersionedCreateNode", name="a")
    await session.expect_error(UniqueViolation, create, columns=("name",))
    await in_order(session, handle)
    handle = next_version(session, version_of(table, _ANNOTATIONS, name=_name()))
    await handle.run("VersionedCreateNode", name="a")
    session.equal(len(await rows_of(handle)), 2)
    await in_order(session, handle)


@case("evolution.partial_unique.columns", feature=_UNIQUE, also=_ALTER, since="0.3")
async def columns(session: Session) -> None:
    """Its columns, and those of its filter, are added, renamed and removed; it holds meanwhile."""
    # Before the table is made without it.
    session.db.engine().need(_UNIQUE)
    table = await first_version(session, {"id": int, "name": str}, name=_name())
    if not table:
        return
    await session.db.run("VersionedCreateNode", name="a")
    options = _options({"gone": None})
    handle = next_version(session, version_of(table, _ANNOTATIONS, name=_name(), options=options))
    create = partial(handle.run, "VersionedCreateNode", name="a")
    await session.expect_error(UniqueViolation, create, columns=("name",))
    await create(gone=GONE)
    await in_order(session, handle)
    for first, second in (("title", "gone"), ("title", "left"), ("label", "away")):
        annotations = {"id": int, first: str, second: dt.datetime | None, "note": str | None}
        options = {"indexes": [{"fields": [first], "unique": True, "where": {second: None}}]}
        former = {"title": "name", "left": "gone", "label": "title", "away": "left"}
        renamed = {
            first: field(max_length=40, renamed_from=former[first]),
            second: field(default=None, renamed_from=former.get(second)),
        }
        handle = next_version(session, version_of(table, annotations, options=options, **renamed))
        create = partial(handle.run, "VersionedCreateNode", **{first: "a"})
        await session.expect_error(UniqueViolation, create, columns=(first,))
        await create(**{second: GONE})
        await in_order(session, handle)
    body = {"label": _name()}
    handle = next_version(session, version_of(table, {"id": int, "label": str}, **body))
    await handle.amigrate(allow_data_loss=True)
    await handle.run("VersionedCreateNode", label="a")
    session.equal(len(await rows_of(handle)), 6)
    await in_order(session, handle)


@case("evolution.partial_unique.stored", feature=_UNIQUE, also=_ALTER, since="0.3")
async def stored(session: Session) -> None:
    """It is not made over rows that are equal in it, and nothing else of the change is done."""
    # Before the table is made without it.
    session.db.engine().need(_UNIQUE)
    table = await first_version(session, _ANNOTATIONS, name=_name())
    if not table:
        return
    for _ in range(2):
        await session.db.run("VersionedCreateNode", name="a")
    options = _options({"gone": None})
    handle = next_version(session, version_of(table, _ANNOTATIONS, name=_name(), options=options))
    await session.expect_error(SchemaChangeRefused, partial(handle.run, "VersionedListNode"))
    await session.db.run("VersionedUpdateNode", id=1, fields={"gone": GONE})
    session.equal(len(await rows_of(handle)), 2)
    await in_order(session, handle)


@case("evolution.partial_unique.told", feature=_UNIQUE, also=("schema.introspection",), since="0.3")
async def told(session: Session) -> None:
    """Discovery tells the index with its condition, and the columns that were declared only."""
    table = await first_version(
        session, _ANNOTATIONS, name=_name(), options=_options({"gone": None})
    )
    await session.db.run("VersionedCreateNode", name="a")
    made = session.classes[-1].__dataflow__["table"]  # type: ignore[attr-defined]
    found = (await session.db.adiscover_schema())[made]
    session.equal([column["name"] for column in found["columns"]], ["id", "name", "gone"])
    session.equal(found["notes"], [])
    [index] = found["indexes"]
    session.equal((index["columns"], index["unique"]), (["name"], True))
    session.true("gone" in (index["where"] or ""), "the condition is told")
    if not table:
        return
    handle = session.another(existing_schema_mode=True)
    registered = await handle.aregister_schema_as_models([table])
    names = registered["generated_nodes"][table]
    [row] = (await handle.run(names["list"]))["records"]
    session.equal(sorted(row), ["gone", "id", "name"])
    again = partial(handle.run, names["create"], name="a")
    await session.expect_error(UniqueViolation, again, columns=("name",))
    await again(gone=GONE)
