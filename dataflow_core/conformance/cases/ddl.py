"""Tables made from models: made once, with everything that is declared, or refused."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from dataflow_core.conformance.everything import Everything
from dataflow_core.conformance.registry import case
from dataflow_core.errors import InvalidModel, SchemaMismatch, TableMissing, UniqueViolation
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_ERRORS: Final = "constraints.errors"
_NAMES: Final = "identifiers"


def model_class(name: str, annotations: dict[str, Any], /, **body: Any) -> type:
    """A class with these fields; ``options`` is its ``__dataflow__``, the rest are defaults."""
    options = body.pop("options", {})
    return type(
        name,
        (),
        {"__annotations__": annotations, "__module__": __name__, "__dataflow__": options, **body},
    )


class Plain:
    """A number."""

    id: int
    n: int | None = None


class Undo(Exception):
    """Leaves a transaction on purpose."""


@case("ddl.second_handle", feature=_ERRORS, since="0.2")
async def second_handle(session: Session) -> None:
    """A table that is there with all its types is taken as it is by another handle."""
    model = session.model(Everything)
    await session.run(model, "Create", id=1, code="a", amount=1, title="t")
    handle = session.another()
    handle.model(session.class_of(model), validation="off")
    there = await session.second_handle(model)
    if there is None:
        # Another database: there the table is made anew.
        await handle.run("EverythingCreateNode", id=1, code="a", amount=1, title="t")
    read = (await session.run(model, "Read", id=1))["result"]
    session.equal((await handle.run("EverythingReadNode", id=1))["result"], read)
    call = partial(handle.run, "EverythingCreateNode", id=2, code="a", amount=1, title="t")
    await session.expect_error(UniqueViolation, call, columns=("code",))


@case("ddl.at_once", feature="concurrency", since="0.2")
async def at_once(session: Session) -> None:
    """Eight first calls at once make the table once, and all are carried out."""
    model = session.model(Plain)
    session.last = ("PlainCreateNode", {"n": 0})
    made = await asyncio.gather(*(session.db.run("PlainCreateNode", n=n) for n in range(8)))
    session.equal(len({row["id"] for row in made}), 8, "keys")
    session.equal((await session.run(model, "Count", filter={}))["count"], 8)


@case("ddl.two_handles_at_once", feature="concurrency", since="0.2")
async def two_handles_at_once(session: Session) -> None:
    """Handles that make the same table at the same time do not get in each other's way."""
    for round_ in range(3):
        model = session.model(type(f"Race{round_}", (Plain,), {"__doc__": Plain.__doc__}))
        handles = [session.db, session.another(), session.another()]
        for handle in handles[1:]:
            handle.model(session.class_of(model), validation="off")
        node = f"Race{round_}CreateNode"
        await asyncio.gather(*(handle.run(node, n=n) for n, handle in enumerate(handles)))
        count = (await session.run(model, "Count", filter={}))["count"]
        session.true(count in (1, 3), f"{count} rows are there")


@case("ddl.missing_table", feature=_ERRORS, since="0.2")
async def missing_table(session: Session) -> None:
    """A handle that may not make tables says TableMissing, and makes none."""
    model = session.model(Plain)
    handle = session.another(auto_migrate=False)
    handle.model(session.class_of(model), validation="off")
    for node, parameters in (
        ("PlainCreateNode", {"id": 1}),
        ("PlainListNode", {}),
        ("PlainBulkCreateNode", {"data": [{"id": 1}]}),
    ):
        error = await session.expect_error(TableMissing, partial(handle.run, node, **parameters))
        session.equal(error.context["table"], model.table)
    session.equal((await session.run(model, "Count", filter={}))["count"], 0)


@asynccontextmanager
async def own_table(session: Session, *columns: str) -> AsyncIterator[str]:
    """A table that somebody else made: whole numbers under these names, the first one the key."""
    table = f"conformance_{session.token}"
    quote = session.database.quote
    lines = [f"{quote(name)} INTEGER" for name in columns]
    lines[0] += " NOT NULL PRIMARY KEY"
    await session.database.send(f"CREATE TABLE {quote(table)} ({', '.join(lines)})")
    try:
        yield table
    finally:
        await session.database.send(f"DROP TABLE {quote(table)}")


@case("ddl.lacks_column", feature=_ERRORS, since="0.2")
async def lacks_column(session: Session) -> None:
    """A table that lacks columns of the model is refused with their names; nothing is changed."""
    async with own_table(session, "id", "n") as table:
        annotations = {"id": int, "n": int | None, "extra": str | None, "more": int}
        options = {"table": table, "timestamps": False}
        handle = session.another(auto_migrate=False)
        if not await session.sees(handle, table):
            return
        handle.model(model_class("Wider", annotations, options=options), validation="off")
        for node, parameters in (
            ("WiderListNode", {}),
            ("WiderCreateNode", {"id": 2, "more": 1}),
            ("WiderBulkUpdateNode", {"filter": {"id": 1}, "fields": {"n": 1}}),
        ):
            call = partial(handle.run, node, **parameters)
            error = await session.expect_error(SchemaMismatch, call)
            session.equal(error.context["table"], table)
            session.equal(sorted(error.context["missing"]), ["extra", "more"])


@case("ddl.other_columns", feature=_ERRORS, since="0.2")
async def other_columns(session: Session) -> None:
    """Columns of a table that the model does not know are left alone."""
    async with own_table(session, "id", "other", "n") as table:
        options = {"table": table, "timestamps": False}
        narrow = model_class("Narrow", {"id": int, "n": int | None}, options=options)
        session.db.model(narrow, validation="off")
        await session.database.send(f"INSERT INTO {session.database.quote(table)} VALUES (1, 7, 5)")
        run = session.db.run
        session.equal((await run("NarrowListNode"))["records"], [{"id": 1, "n": 5}])
        await run("NarrowCreateNode", id=2)
        await run("NarrowUpdateNode", id=1, fields={"n": 6})
        await run("NarrowUpsertNode", id=1, n=7)
        await run("NarrowBulkUpsertNode", data=[{"id": 1, "n": 8}, {"id": 3, "n": 9}])
        sql = f"SELECT * FROM {session.database.quote(table)} ORDER BY id"
        rows = [tuple(row.values()) for row in (await run("SQLNode", sql=sql))["result"]]
        session.equal(rows, [(1, 7, 8), (2, None, None), (3, None, 9)])


@case("ddl.rolled_back", feature="transactions", since="0.2")
async def rolled_back(session: Session) -> None:
    """After a transaction that made a table was undone, the next call finds or makes the table."""

    async def work() -> None:
        async with session.db.transaction():
            model = session.model(Plain)
            await session.run(model, "Create", id=1)
            raise Undo

    try:
        await work()
    except Undo:
        model = session.database.model("Plain")
    session.equal(await session.rows(model), [])
    await session.run(model, "Create", id=1, n=2)
    session.equal(await session.rows(model), [{"id": 1, "n": 2}])


@case("ddl.in_transaction", feature="transactions", since="0.2")
async def in_transaction(session: Session) -> None:
    """A table that is made in the middle of a transaction keeps it whole: all of it is undone."""
    first = session.model(Plain)
    await session.load(first, [{"id": 1, "n": 1}])

    async def work() -> None:
        async with session.db.transaction():
            await session.run(first, "Update", id=1, fields={"n": 2})
            late = session.model(model_class("Late", {"id": int}))
            await session.run(late, "Create", id=1)
            await session.run(first, "Create", id=2)
            raise Undo

    try:
        await work()
    except Undo:
        late = session.database.model("Late")
    session.equal(await session.rows(first), [{"id": 1, "n": 1}])
    session.equal(await session.rows(late), [])


_VALUES: Final[tuple[tuple[str, Any, Any, Any], ...]] = (
    ("int", int, 7, 8),
    ("float", float, 0.5, 1.5),
    ("decimal", decimal.Decimal, decimal.Decimal("1.5"), decimal.Decimal("1.6")),
    ("text", str, "a", "A"),
    ("bool", bool, True, False),
    ("binary", bytes, b"\x00\xff", b"\x00"),
    (
        "timestamp",
        dt.datetime,
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=dt.UTC),
    ),
    ("date", dt.date, dt.date(2024, 1, 1), dt.date(2024, 1, 2)),
    ("time", dt.time, dt.time(1, 2, 3, 4), dt.time(1, 2, 3, 5)),
    ("uuid", uuid.UUID, uuid.UUID(int=1), uuid.UUID(int=2)),
    ("enum", Literal["red", "Red"], "red", "Red"),
)


@case("ddl.unique.every_type", feature=_ERRORS, since="0.2")
async def unique_every_type(session: Session) -> None:
    """A unique field of every type holds each value once, and its neighbour beside it."""
    for name, annotation, value, neighbour in _VALUES:
        cls = model_class(
            f"Unique{name.title()}",
            {"id": int, "v": annotation | None},
            v=field(default=None, unique=True),
        )
        model = session.model(cls)
        rows = [{"id": 1, "v": value}, {"id": 2, "v": neighbour}, {"id": 3}, {"id": 4}]
        await session.load(model, rows)
        call = partial(session.run, model, "Create", id=5, v=value)
        await session.expect_error(UniqueViolation, call, columns=("v",), table=model.table)
        session.equal((await session.run(model, "Count", filter={}))["count"], 4, name)


@case("ddl.key.every_type", feature=_ERRORS, since="0.2")
async def key_every_type(session: Session) -> None:
    """A key of every type, but float, holds each value once and finds its row."""
    for name, annotation, value, neighbour in _VALUES:
        if annotation is float:
            continue
        cls = model_class(
            f"Key{name.title()}",
            {"k": annotation, "n": int},
            k=field(primary_key=True),
        )
        model = session.model(cls)
        await session.load(model, [{"k": value, "n": 1}, {"k": neighbour, "n": 2}])
        call = partial(session.run, model, "Create", k=value, n=3)
        await session.expect_error(UniqueViolation, call, columns=("k",), table=model.table)
        session.equal((await session.run(model, "Read", k=value))["n"], 1, name)
        changed = await session.run(model, "Update", filter={"k": neighbour}, fields={"n": 9})
        session.equal((changed["k"], changed["n"]), (neighbour, 9), name)
        gone = await session.run(model, "BulkDelete", ids=[value])
        session.equal(gone["deleted"], 1, name)


@case("ddl.key.composite", feature=_ERRORS, since="0.2")
async def key_composite(session: Session) -> None:
    """A key of several fields of several types is one key: the whole has to differ."""
    cls = model_class(
        "Composite",
        {"day": dt.date, "code": str, "n": int, "v": int},
        code=field(max_length=50),
        v=0,
        options={"primary_key": ["day", "code", "n"]},
    )
    model = session.model(cls)
    day = dt.date(2024, 2, 29)
    rows = [
        {"day": day, "code": "a", "n": 1},
        {"day": day, "code": "a", "n": 2},
        {"day": day, "code": "A", "n": 1},
        {"day": day + dt.timedelta(1), "code": "a", "n": 1},
    ]
    await session.load(model, rows)
    for row in rows:
        call = partial(session.run, model, "Create", **row, v=1)
        await session.expect_error(UniqueViolation, call, columns=("day", "code", "n"))
    session.equal((await session.run(model, "Count", filter={"v": 0}))["count"], 4)


@case("ddl.defaults", feature=_ERRORS, since="0.2")
async def defaults(session: Session) -> None:
    """A default of every type, falsy ones too, is what a row gets that does not say otherwise."""
    annotations: dict[str, Any] = {"id": int}
    body: dict[str, Any] = {}
    for name, annotation, value, neighbour in _VALUES:
        annotations |= {f"{name}_a": annotation, f"{name}_b": annotation | None}
        body |= {f"{name}_a": value, f"{name}_b": field(default=neighbour)}
    falsy = {"no": False, "zero": 0, "nothing": "", "empty": b"", "none": None}
    annotations |= {"no": bool, "zero": int, "nothing": str, "empty": bytes, "none": str | None}
    quoted = {"quote": 'it\'s "odd" \\ `%s` :x ?', "document": {"a": [1, None, "x"]}}
    annotations |= {"quote": str, "document": dict[str, Any]}
    cls = model_class("Defaults", annotations, **body, **falsy, **quoted)
    model = session.model(cls)
    expected = {**falsy, **quoted}
    for name, _, value, neighbour in _VALUES:
        expected |= {f"{name}_a": value, f"{name}_b": neighbour}
    await session.run(model, "Create", id=1)
    await session.run(model, "BulkCreate", data=[{"id": 2}, {"id": 3, "zero": 5}])
    await session.run(model, "Upsert", id=4)
    for row in await session.rows(model):
        meant = {"id": row["id"], **expected} | ({"zero": 5} if row["id"] == 3 else {})
        session.equal(row, {name: meant[name] for name in row}, f"row {row['id']}")


@case("ddl.index.names", feature=_NAMES, since="0.2")
async def index_names(session: Session) -> None:
    """Named indexes are made; a name that another model has taken is refused, never dropped."""

    def cls(name: str, index: str) -> type:
        unique = {"unique": [{"fields": ["a"], "name": index}], "indexes": [["b"], ["a", "-b"]]}
        return model_class(name, {"id": int, "a": int, "b": str}, b="", options=unique)

    name = f"one a's {session.token}"
    models = [session.model(cls("First", name)), session.model(cls("Second", f"{name} too"))]
    for model in models:
        await session.load(model, [{"id": 1, "a": 1, "b": "x"}, {"id": 2, "a": 2, "b": "x"}])
        call = partial(session.run, model, "Create", id=3, a=1)
        await session.expect_error(UniqueViolation, call, columns=("a",), table=model.table)
        await session.expect_list(model, {"b": "x"}, [2, 1], order_by=["-a"])

    async def register() -> Any:
        return session.model(cls("Third", name))

    await session.expect_error(InvalidModel, register, sent=False)


@case("ddl.index.kinds", feature=_ERRORS, since="0.2")
async def index_kinds(session: Session) -> None:
    """Indexes over one and several fields, downwards, over long text, change no answer."""
    cls = model_class(
        "Indexes",
        {"id": int, "t": str | None, "u": str | None, "n": int | None, "at": dt.datetime | None},
        t=field(default=None, index=True),
        u=field(default=None, index=True, max_length=768),
        n=field(default=None, index=True),
        at=None,
        options={"indexes": [["n", "-at"], ["-t", "n"], ["-n"]]},
    )
    model = session.model(cls)
    long = "x" * 767
    rows: list[dict[str, Any]] = [
        {"id": 1, "t": "b", "u": f"{long}a", "n": 1},
        {"id": 2, "t": "B", "u": f"{long}b", "n": 1},
        {"id": 3, "t": None, "u": "😀" * 768, "n": None},
        {"id": 4, "t": "b ", "u": "", "n": 0},
    ]
    await session.load(model, rows)
    await session.expect_list(model, {"u": f"{long}b"}, [2])
    await session.expect_list(model, {"u": "😀" * 768}, [3])
    await session.expect_list(model, {"t": "b"}, [1])
    await session.expect_list(model, {}, [3, 2, 1, 4], order_by=["t"])
    await session.expect_list(model, {}, [1, 2, 4, 3], order_by=["-n", "at"])
