"""A model that changed and its table: what is added, what is refused, and that rows stay."""

from __future__ import annotations

import asyncio
import decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from dataflow_core.conformance.cases.ddl import model_class, own_table
from dataflow_core.conformance.everything import Everything
from dataflow_core.conformance.registry import case
from dataflow_core.errors import (
    CheckViolation,
    SchemaChangeRefused,
    SchemaMismatch,
    UniqueViolation,
)
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_ALTER: Final = "schema.alter"


def version_of(table: str, annotations: dict[str, Any], /, **body: Any) -> type:
    """One shape of a model over a table."""
    options = {"timestamps": False, "table": table, **body.pop("options", {})}
    return model_class("Versioned", annotations, options=options, **body)


async def first_version(session: Session, annotations: dict[str, Any], /, **body: Any) -> str:
    """Make the table of the first shape; its name, or none where no other handle can see it."""
    cls = model_class("Versioned", annotations, **body)
    model = session.model(cls)
    return "" if await session.second_handle(model) is None else model.table


def next_version(session: Session, cls: type, **options: Any) -> Any:
    """A handle that knows a later shape."""
    handle = session.another(**options)
    handle.model(cls, validation="off")
    return handle


async def rows_of(handle: Any) -> list[dict[str, Any]]:
    """The rows of the model."""
    return list((await handle.run("VersionedListNode"))["records"])


async def in_order(session: Session, handle: Any) -> None:
    """Nothing is left to do."""
    session.equal(str(await handle.aplan()), "every table is what its model says", "the plan")


@case("evolution.unchanged", feature=_ALTER, since="0.3")
async def unchanged(session: Session) -> None:
    """A table that was made from a model, with all there is, is just what the model says."""
    model = session.model(Everything)
    if await session.second_handle(model) is None:
        return
    handle = session.another()
    handle.model(session.class_of(model), validation="off")
    await in_order(session, handle)


@case("evolution.columns", feature=_ALTER, since="0.3")
async def columns(session: Session) -> None:
    """Fields that may be empty, or have a default, are added; stored rows take it."""
    table = await first_version(session, {"id": int, "name": str})
    if not table:
        return
    await session.db.run("VersionedCreateNode", id=1, name="a")
    annotations = {
        "id": int, "name": str, "age": int | None, "kind": str, "price": decimal.Decimal,
        "on": bool, "size": Literal["s", "m"],
    }  # fmt: skip
    defaults = {"kind": "k'", "price": decimal.Decimal("1.5"), "on": True, "size": "m"}
    handle = next_version(session, version_of(table, annotations, **defaults))
    plan = await handle.aplan()
    session.equal([type(step).__name__ for step in plan.operations[0].steps], ["AddColumn"] * 5)
    session.equal(await rows_of(handle), [{"id": 1, "name": "a", "age": None, **defaults}])
    await handle.run("VersionedCreateNode", id=2, name="b", age=3, size="s")
    session.equal((await rows_of(handle))[1]["size"], "s")
    await in_order(session, handle)


@case("evolution.table_of_others", feature=_ALTER, since="0.3")
async def table_of_others(session: Session) -> None:
    """What a table that somebody else made lacks is added, and nothing else is touched."""
    async with own_table(session, "id", "n") as table:
        quote = session.database.quote
        await session.database.send(f"INSERT INTO {quote(table)} VALUES (1, 5)")
        cls = version_of(table, {"id": int, "more": str | None, "kind": int}, kind=7)
        session.db.model(cls, validation="off")
        session.equal(await rows_of(session.db), [{"id": 1, "more": None, "kind": 7}])
        await session.db.run("VersionedCreateNode", id=2, more="a")
        sql = f"SELECT id, n, kind FROM {quote(table)} ORDER BY id"
        found = (await session.db.run("SQLNode", sql=sql))["result"]
        session.equal([tuple(row.values()) for row in found], [(1, 5, 7), (2, None, 7)])


@case("evolution.discovered", feature="schema.introspection", since="0.3")
async def discovered(session: Session) -> None:
    """A table is told with its columns, keys and indexes, and what is its own is left out."""
    model = session.model(Everything)
    await session.run(model, "List")
    found = await session.db.adiscover_schema()
    told = found[model.table]
    session.equal([column["name"] for column in told["columns"]], [f.column for f in model.fields])
    session.equal(told["primary_key"], [f.column for f in model.primary_key])
    session.equal(told["kind"], "table")
    session.true(not [name for name in found if name.startswith("dataflow_")], "own tables")


@case("evolution.renamed", feature=_ALTER, since="0.3")
async def renamed(session: Session) -> None:
    """A field that says its former name takes the column and its values along."""
    table = await first_version(session, {"id": int, "name": str}, name=field(unique=True))
    if not table:
        return
    await session.db.run("VersionedCreateNode", id=1, name="a")
    cls = version_of(
        table, {"id": int, "title": str}, title=field(renamed_from="name", unique=True)
    )
    handle = next_version(session, cls)
    session.equal(await rows_of(handle), [{"id": 1, "title": "a"}])
    call = partial(handle.run, "VersionedCreateNode", id=2, title="a")
    await session.expect_error(UniqueViolation, call, columns=("title",))
    await in_order(session, handle)


@case("evolution.wider", feature=_ALTER, since="0.3")
async def wider(session: Session) -> None:
    """Types that hold more, and NULL where none was, are changed; every value stays."""
    before = {"id": int, "a": int, "b": decimal.Decimal, "c": str, "d": Literal["x", "y"], "e": int}
    table = await first_version(
        session, before, a=field(bits=32), b=field(precision=6, scale=2), c=field(max_length=5)
    )
    if not table:
        return
    row = {"id": 1, "a": 2**31 - 1, "b": decimal.Decimal("1234.56"), "c": "abcde", "d": "y", "e": 5}
    await session.db.run("VersionedCreateNode", **row)
    after = {
        "id": int, "a": int, "b": decimal.Decimal, "c": str, "d": Literal["x", "y", "z"],
        "e": int | None,
    }  # fmt: skip
    cls = version_of(table, after, b=field(precision=12, scale=4), c=field(max_length=300))
    handle = next_version(session, cls)
    session.equal(await rows_of(handle), [row])
    later = {"id": 2, "a": 2**40, "b": decimal.Decimal("12345678.1234"), "c": "é" * 300, "d": "z"}
    await handle.run("VersionedCreateNode", **later, e=None)
    session.equal((await rows_of(handle))[1], {**later, "e": None})
    await in_order(session, handle)


@case("evolution.loss", feature=_ALTER, since="0.3")
async def loss(session: Session) -> None:
    """What can lose values is refused with the plan, and done where that is asked for."""
    table = await first_version(session, {"id": int, "name": str, "note": str | None})
    if not table:
        return
    await session.db.run("VersionedCreateNode", id=1, name="a", note="n")
    cls = version_of(table, {"id": int, "name": str}, name=field(max_length=10))
    handle = next_version(session, cls)
    error = await session.expect_error(
        SchemaChangeRefused, partial(handle.run, "VersionedListNode")
    )
    session.true(any("note" in line for line in error.context["plan"]), "the plan names the column")
    session.equal((await rows_of(session.db))[0]["note"], "n")
    plan = await handle.amigrate(allow_data_loss=True)
    session.true(bool(plan.lossy), "the plan says that values are lost")
    session.equal(await rows_of(handle), [{"id": 1, "name": "a"}])
    await in_order(session, handle)


@case("evolution.no_value", feature=_ALTER, since="0.3")
async def no_value(session: Session) -> None:
    """A field that every row needs is added to an empty table only: no value is invented."""
    table = await first_version(session, {"id": int})
    if not table:
        return
    later = version_of(table, {"id": int, "name": str})
    await session.db.run("VersionedCreateNode", id=1)
    refused = next_version(session, later)
    await session.expect_error(SchemaChangeRefused, partial(refused.run, "VersionedListNode"))
    session.equal(await rows_of(session.db), [{"id": 1}])
    await session.db.run("VersionedDeleteNode", id=1)
    await refused.run("VersionedCreateNode", id=2, name="b")
    session.equal(await rows_of(refused), [{"id": 2, "name": "b"}])


@case("evolution.rules", feature=_ALTER, since="0.3")
async def rules(session: Session) -> None:
    """Unique keys, checks and indexes come and go; rows that do not fit are named, and stay."""
    table = await first_version(session, {"id": int, "n": int, "m": int})
    if not table:
        return
    for number in (1, 2):
        await session.db.run("VersionedCreateNode", id=number, n=5, m=number)
    shape = {"id": int, "n": int, "m": int}
    unique = next_version(session, version_of(table, shape, n=field(unique=True)))
    await session.expect_error(SchemaChangeRefused, partial(unique.run, "VersionedListNode"))
    checked = next_version(session, version_of(table, shape, n=field(check={"$gt": 5})))
    await session.expect_error(SchemaChangeRefused, partial(checked.run, "VersionedListNode"))
    session.equal(len(await rows_of(session.db)), 2)
    options = {"indexes": [["-m", "n"]]}
    cls = version_of(table, shape, m=field(unique=True), n=field(check={"$gt": 4}), options=options)
    handle = next_version(session, cls)
    session.equal(len(await rows_of(handle)), 2)
    create = partial(handle.run, "VersionedCreateNode")
    await session.expect_error(UniqueViolation, partial(create, n=9, m=1), columns=("m",))
    await session.expect_error(CheckViolation, partial(create, n=4, m=4))
    loose = next_version(session, version_of(table, shape))
    await loose.amigrate()
    await loose.run("VersionedCreateNode", id=3, n=1, m=1)
    session.equal(len(await rows_of(loose)), 3)
    await in_order(session, loose)


@case("evolution.older_program", feature=_ALTER, since="0.3")
async def older_program(session: Session) -> None:
    """A program with the shape before goes on beside one that has added a field."""
    first = {"id": int, "name": str}
    table = await first_version(session, first)
    if not table:
        return
    newer = next_version(session, version_of(table, {**first, "age": int | None}))
    await newer.run("VersionedCreateNode", id=1, name="a", age=3)
    older = next_version(session, version_of(table, first))
    await older.run("VersionedCreateNode", id=2, name="b")
    session.equal(await rows_of(newer), [
        {"id": 1, "name": "a", "age": 3}, {"id": 2, "name": "b", "age": None},
    ])  # fmt: skip


@case("evolution.at_once", feature=_ALTER, since="0.3")
async def at_once(session: Session) -> None:
    """Handles that see the same change at the same time: one makes it, none fails."""
    table = await first_version(session, {"id": int, "name": str})
    if not table:
        return
    await session.db.run("VersionedCreateNode", id=1, name="a")
    cls = version_of(table, {"id": int, "name": str, "age": int, "on": bool | None}, age=7)
    handles = [next_version(session, cls) for _ in range(4)]
    found = await asyncio.gather(*map(rows_of, handles))
    session.equal(found, [[{"id": 1, "name": "a", "age": 7, "on": None}]] * 4)


@case("evolution.may_not", feature=_ALTER, since="0.3")
async def may_not(session: Session) -> None:
    """A handle that changes no schema says what is missing, and plans without doing anything."""
    table = await first_version(session, {"id": int})
    if not table:
        return
    cls = version_of(table, {"id": int, "more": str | None})
    for options in ({"auto_migrate": False}, {"existing_schema_mode": True}):
        handle = next_version(session, cls, **options)
        error = await session.expect_error(SchemaMismatch, partial(handle.run, "VersionedListNode"))
        session.equal(error.context["missing"], ["more"])
        session.true("more" in str(await handle.aplan()), "the plan tells the column")
        await session.expect_error(SchemaChangeRefused, handle.amigrate)


@case("evolution.registry", feature="schema.introspection", since="0.3")
async def in_registry(session: Session) -> None:
    """Another handle takes the model from the registry, or from the table: the same rows."""
    # The registry has one model of a name, and other runs may use the database at the same time.
    annotations = {"id": int, "name": str, "size": Literal["s", "m"]}
    model = session.model(model_class(f"Kept_{session.token}", annotations, size="s"))
    await session.run(model, "Create", id=1, name="a")
    if await session.second_handle(model) is None:
        return
    handle = session.another(existing_schema_mode=True)
    found = await handle.areconstruct_models_from_registry()
    session.true(model.name in found["reconstructed_models"], "the model is in the registry")
    names = found["generated_nodes"][model.table]
    row = {"id": 1, "name": "a", "size": "s"}
    session.equal((await handle.run(names["list"]))["records"], [row])
    other = session.another(existing_schema_mode=True)
    registered = await other.aregister_schema_as_models([model.table])
    session.equal((registered["success_count"], registered["errors"]), (1, {}))
    names = registered["generated_nodes"][model.table]
    await other.run(names["create"], id=2, name="b", size="m")
    session.equal((await other.run(names["count"]))["count"], 2)
