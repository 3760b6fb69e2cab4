"""Bulk create, update and delete: all or nothing, counted, streamed; generated keys."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from dataflow_core.conformance.registry import case
from dataflow_core.conformance.tables import refusal_cases
from dataflow_core.errors import (
    FilterRequired,
    InvalidType,
    InvalidValue,
    MissingParameter,
    OutOfRange,
    UniqueViolation,
    UnknownField,
    UnknownParameter,
)
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_CREATE = "write.bulk_create"
_CONFLICT = "write.bulk_conflict"
_UPDATE = "write.bulk_update"
_DELETE = "write.bulk_delete"
_KEY = "write.generated_key"


class Item:
    """A generated key, a unique text, a 32-bit number."""

    id: int
    code: str | None = field(default=None, unique=True)
    n: int | None
    small: int = field(default=0, bits=32)
    t: str = ""


@case("bulk.create", feature=_CREATE)
async def create(session: Session) -> None:
    """Bulk create stores every row with its defaults and counts them."""
    model = session.model(Item)
    done = await session.run(model, "BulkCreate", data=[{"id": n, "n": n} for n in range(1, 6)])
    session.equal(
        {name: done[name] for name in ("processed", "inserted", "skipped", "success")},
        {"processed": 5, "inserted": 5, "skipped": 0, "success": True},
    )
    rows = await session.rows(model)
    session.equal(rows[4], {"id": 5, "code": None, "n": 5, "small": 0, "t": ""})


@case("bulk.create.nothing", feature=_CREATE)
async def create_nothing(session: Session) -> None:
    """Bulk create of nothing is fine."""
    model = session.model(Item)
    done = await session.run(model, "BulkCreate", data=[])
    session.equal((done["processed"], done["inserted"]), (0, 0))
    session.equal(await session.rows(model), [])


@case("bulk.create.streams", feature=_CREATE)
async def streams(session: Session) -> None:
    """The data may be a generator, also an asynchronous one, which is read once."""
    model = session.model(Item)

    def rows() -> Iterator[dict[str, Any]]:
        yield from ({"id": n, "n": n} for n in range(2_500))

    async def more() -> AsyncIterator[dict[str, Any]]:
        for n in range(2_500, 3_000):
            yield {"id": n, "n": n}

    await session.run(model, "BulkCreate", data=rows(), batch_size=100)
    await session.run(model, "BulkCreate", data=more(), batch_size=7)
    counted = await session.run(model, "Count", filter={})
    session.equal(counted["count"], 3_000)
    summed = await session.run(
        model, "List", aggregate=[{"$group": {"_id": None, "n": {"$sum": "$n"}}}]
    )
    session.equal(summed["result"], [{"_id": None, "n": 2_999 * 1_500}])


@case("bulk.create.different_fields", feature=_CREATE)
async def different_fields(session: Session) -> None:
    """Rows may give different fields."""
    model = session.model(Item)
    data = [{"id": 1}, {"id": 2, "n": 2}, {"id": 3, "t": "x"}, {"n": 4, "id": 4}, {"id": 5}]
    await session.run(model, "BulkCreate", data=data)
    rows = await session.rows(model)
    session.equal(
        [(row["n"], row["t"]) for row in rows],
        [(None, ""), (2, ""), (None, "x"), (4, ""), (None, "")],
    )


@case("bulk.create.shared", feature=_CREATE)
async def shared(session: Session) -> None:
    """Other field names are applied to every row."""
    model = session.model(Item)
    await session.run(model, "BulkCreate", data=[{"id": 1}, {"id": 2}], n=7)
    session.equal([row["n"] for row in await session.rows(model)], [7, 7])


@case("bulk.create.all_or_nothing", feature=_CREATE)
async def all_or_nothing(session: Session) -> None:
    """A bad row in the middle leaves nothing stored, however far it went; the row is named."""
    model = session.model(Item)
    await session.load(model, [{"id": 2_000}])
    data = [{"id": n} for n in range(1_000, 3_000)]
    call = partial(session.run, model, "BulkCreate", data=data, batch_size=100)
    error = await session.expect_error(UniqueViolation, call, outcome="not done")
    session.equal(getattr(error, "index", None), 1_000, "index of the bad row")
    session.equal(len(await session.rows(model)), 1)


@case("bulk.create.bad_value", feature=_CREATE)
async def bad_value(session: Session) -> None:
    """A value of the wrong type far down leaves nothing stored; the row is named."""
    model = session.model(Item)
    data = [*({"id": n} for n in range(1_500)), {"id": 1_500, "n": "x"}]
    call = partial(session.run, model, "BulkCreate", data=iter(data), batch_size=100)
    error = await session.expect_error(InvalidType, call)
    session.equal(error.context.get("index"), 1_500, "index of the bad row")
    session.equal(await session.rows(model), [])


@case("bulk.create.atomic_batch", feature=_CREATE)
async def atomic_batch(session: Session) -> None:
    """With atomic='batch' a failed batch is undone alone, and listed."""
    model = session.model(Item)
    await session.load(model, [{"id": 5}])
    done = await session.run(
        model, "BulkCreate", data=[{"id": n} for n in range(1, 10)], batch_size=3, atomic="batch"
    )
    session.equal((done["processed"], done["inserted"], done["success"]), (9, 6, False))
    session.equal(len(done["failed"]), 1)
    session.equal([row["id"] for row in await session.rows(model)], [1, 2, 3, 5, 7, 8, 9])


@case("bulk.create.skip", feature=_CONFLICT)
async def skip(session: Session) -> None:
    """conflict='skip' leaves rows out whose unique key is taken, also by an earlier row."""
    model = session.model(Item)
    await session.load(model, [{"id": 1, "code": "a", "n": 1}])
    data = [
        {"id": 1, "n": 9},
        {"id": 2, "code": "a"},
        {"id": 3, "code": "b"},
        {"id": 4, "code": "b"},
        {"id": 5},
    ]
    done = await session.run(model, "BulkCreate", data=data, conflict="skip")
    session.equal((done["processed"], done["inserted"], done["skipped"]), (5, 2, 3))
    session.equal(
        [(row["id"], row["n"]) for row in await session.rows(model)], [(1, 1), (3, None), (5, None)]
    )


@case("bulk.create.skip_hides_nothing", feature=_CONFLICT)
async def skip_hides_nothing(session: Session) -> None:
    """conflict='skip' skips conflicts only: a value that does not fit is still an error."""
    model = session.model(Item)
    call = partial(
        session.run, model, "BulkCreate", data=[{"id": 1}, {"id": 2, "n": "x"}], conflict="skip"
    )
    await session.expect_error(InvalidType, call)
    session.equal(await session.rows(model), [])


@case("bulk.create.update", feature=_CONFLICT)
async def update_on_conflict(session: Session) -> None:
    """conflict='update' changes the row with the same unique key."""
    model = session.model(Item)
    await session.load(model, [{"id": 1, "code": "a", "n": 1, "t": "keep"}])
    done = await session.run(
        model, "BulkCreate", data=[{"code": "a", "n": 2}, {"code": "b", "n": 3}], conflict="update"
    )
    session.equal((done["processed"], done["inserted"], done["updated"]), (2, 1, 1))
    rows = await session.rows(model, {"code": "a"})
    session.equal([(row["id"], row["n"], row["t"]) for row in rows], [(1, 2, "keep")])


@case("bulk.update.filter", feature=_UPDATE)
async def update_filter(session: Session) -> None:
    """Bulk update changes every match and counts matches, changed or not."""
    model = session.model(Item)
    await session.load(model, [{"id": n, "n": n % 2} for n in range(1, 7)])
    done = await session.run(model, "BulkUpdate", filter={"n": 1}, fields={"t": "x", "n": 1})
    session.equal((done["matched"], done["success"]), (3, True))
    session.equal([row["t"] for row in await session.rows(model)], ["x", "", "x", "", "x", ""])
    none = await session.run(model, "BulkUpdate", filter={"n": 99}, fields={"t": "y"})
    session.equal(none["matched"], 0)


@case("bulk.update.rows", feature=_UPDATE)
async def update_rows(session: Session) -> None:
    """Bulk update with data changes each row by its key; a missing row is no match."""
    model = session.model(Item)
    await session.load(model, [{"id": 1, "n": 1, "t": "a"}, {"id": 2, "n": 2}])
    data = [{"id": 1, "n": None}, {"id": 2, "t": "b"}, {"id": 3, "n": 3}]
    done = await session.run(model, "BulkUpdate", data=data)
    session.equal(done["matched"], 2)
    session.equal(
        [(row["n"], row["t"]) for row in await session.rows(model)], [(None, "a"), (2, "b")]
    )


@case("bulk.update.all_or_nothing", feature=_UPDATE)
async def update_all_or_nothing(session: Session) -> None:
    """A bulk update that fails at one row changes none."""
    model = session.model(Item)
    rows = await session.load(
        model, [{"id": 1, "small": 1}, {"id": 2, "small": 2**31 - 1}, {"id": 3}]
    )
    call = partial(
        session.run, model, "BulkUpdate", filter={"id": {"$gt": 0}}, fields={"$inc": {"small": 1}}
    )
    await session.expect_error(OutOfRange, call)
    call = partial(
        session.run, model, "BulkUpdate", data=[{"id": 1, "code": "x"}, {"id": 2, "code": "x"}]
    )
    await session.expect_error(UniqueViolation, call)
    session.equal(await session.rows(model), rows)


@case("bulk.delete.filter", feature=_DELETE)
async def delete_filter(session: Session) -> None:
    """Bulk delete removes every match and counts them."""
    model = session.model(Item)
    await session.load(model, [{"id": n, "n": n % 2} for n in range(1, 6)])
    done = await session.run(model, "BulkDelete", filter={"n": {"$ne": 1}})
    session.equal((done["matched"], done["deleted"], done["success"]), (2, 2, True))
    session.equal([row["id"] for row in await session.rows(model)], [1, 3, 5])


@case("bulk.delete.ids", feature=_DELETE)
async def delete_ids(session: Session) -> None:
    """Bulk delete by keys; unknown keys are no matches, and no keys delete nothing."""
    model = session.model(Item)
    await session.run(model, "BulkCreate", data=[{"id": n} for n in range(1_500)])
    done = await session.run(model, "BulkDelete", ids=range(100, 2_000))
    session.equal(done["deleted"], 1_400)
    done = await session.run(model, "BulkDelete", ids=[])
    session.equal(done["deleted"], 0)
    session.equal((await session.run(model, "Count", filter={}))["count"], 100)


@case("bulk.key.generated", feature=_KEY)
async def generated(session: Session) -> None:
    """A generated key is an int, unique and increasing, and returned on request."""
    model = session.model(Item)
    created = await session.run(model, "Create", t="x")
    done = await session.run(model, "BulkCreate", data=[{"t": "y"}, {"t": "z"}], return_ids=True)
    keys = [created["id"], *done["ids"]]
    session.true(all(type(key) is int for key in keys), f"{keys} are no ints")
    session.equal(sorted(set(keys)), keys, "keys in order")
    session.equal(
        [row["t"] for row in await session.rows(model, {"id": {"$in": keys}})], ["x", "y", "z"]
    )


@case("bulk.key.after_explicit", feature=_KEY)
async def after_explicit(session: Session) -> None:
    """After keys were given explicitly, singly or in bulk, a generated one does not collide."""
    model = session.model(Item)
    await session.run(model, "Create", id=1_000)
    made = await session.run(model, "Create", t="x")
    session.true(made["id"] > 1_000, f"{made['id']} is not above 1000")
    await session.run(
        model, "BulkCreate", data=[{"id": n} for n in range(made["id"] + 1, made["id"] + 50)]
    )
    after = await session.run(model, "Create", t="y")
    session.true(after["id"] >= made["id"] + 50, f"{after['id']} collides")
    await session.run(model, "BulkUpsert", data=[{"id": after["id"] + 10, "t": "z"}])
    last = await session.run(model, "Create", t="w")
    session.true(last["id"] > after["id"] + 10, f"{last['id']} is not above the upserted key")


@case("bulk.key.zero", feature=_KEY)
async def zero(session: Session) -> None:
    """0 is a key like any other; None for a generated key is refused."""
    model = session.model(Item)
    created = await session.run(model, "Create", id=0)
    session.equal(created["id"], 0)
    call = partial(session.run, model, "Create", id=None)
    await session.expect_error(InvalidType, call, sent=False)
    await session.expect_list(model, {}, [0])


@case("bulk.key.made_by_client", feature=_KEY)
async def made_by_client(session: Session) -> None:
    """Keys of text and UUID that are not given are made, sort by time, and given ones are kept."""

    class ByText:
        id: str
        n: int

    class ByUuid:
        id: uuid.UUID
        n: int

    for cls, kind in ((ByText, str), (ByUuid, uuid.UUID)):
        model = session.model(cls)
        first = (await session.run(model, "Create", n=1))["id"]
        await session.run(model, "BulkCreate", data=[{"n": 2}, {"n": 3}])
        session.true(type(first) is kind, f"{first!r} is no {kind.__name__}")
        session.equal([row["n"] for row in await session.rows(model)], [1, 2, 3])
        given = kind("00000000-0000-0000-0000-000000000001")
        session.equal((await session.run(model, "Create", id=given, n=4))["id"], given)


@case("bulk.composite_key", feature=_DELETE)
async def composite_key(session: Session) -> None:
    """A key of several fields reads, changes and deletes by all of them."""

    class Seat:
        __dataflow__ = {"primary_key": ["hall", "seat"]}  # noqa: RUF012 - read only
        hall: str
        seat: int
        name: str | None

    model = session.model(Seat)
    await session.load(model, [{"hall": h, "seat": s} for h in "ab" for s in (1, 2)])
    await session.run(model, "Update", hall="a", seat=2, fields={"name": "x"})
    found = await session.run(model, "Read", hall="a", seat=2)
    session.equal(found["name"], "x")
    await session.run(model, "BulkDelete", ids=[{"hall": "a", "seat": 1}, ("b", 2)])
    rows = await session.rows(model, select=["hall", "seat"])
    session.equal(rows, [{"hall": "a", "seat": 2}, {"hall": "b", "seat": 1}])


def _run(kind: str, **parameters: Any) -> Callable[[Session, Any], Awaitable[Any]]:
    return lambda session, model: session.run(model, kind, **parameters)


refusal_cases(
    Item,
    (
        ("bulk.refused.update_everything", _UPDATE, FilterRequired, _run("BulkUpdate", filter={},
         fields={"n": 1}),
         "An empty filter for a bulk update is refused."),
        ("bulk.refused.delete_everything", _DELETE, FilterRequired, _run("BulkDelete", filter={}),
         "An empty filter for a bulk delete is refused."),
        ("bulk.refused.delete_nothing_said", _DELETE, FilterRequired, _run("BulkDelete"),
         "A bulk delete without filter and keys is refused."),
        ("bulk.refused.create_unknown", _CREATE, UnknownParameter, _run("BulkCreate", data=[],
         nn=1),
         "An unknown parameter is refused."),
        ("bulk.refused.data_dict", _CREATE, InvalidType, _run("BulkCreate", data={"n": 1}),
         "The data is a list of rows, not one row."),
        ("bulk.refused.conflict", _CONFLICT, InvalidValue, _run("BulkCreate", data=[],
         conflict="ignore"),
         "An unknown conflict mode is refused."),
        ("bulk.refused.data_missing", _CREATE, MissingParameter, _run("BulkCreate", data=None),
         "The data is required."),
    ),
)  # fmt: skip


@case("bulk.refused.unknown_field", feature=_CREATE)
async def unknown_field(session: Session) -> None:
    """An unknown field in any row is refused, and nothing is stored."""
    model = session.model(Item)
    call = partial(session.run, model, "BulkCreate", data=[{"id": 1}, {"id": 2, "nn": 1}])
    await session.expect_error(UnknownField, call)
    session.equal(await session.rows(model), [])
