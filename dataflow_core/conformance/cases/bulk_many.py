"""Bulk writes of so many rows that a database may take a way of its own: nothing else changes."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import uuid
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from dataflow_core.conformance.registry import case
from dataflow_core.errors import (
    CheckViolation,
    ForeignKeyViolation,
    InvalidType,
    UniqueViolation,
)
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_CREATE = "write.bulk_create"
_CONFLICT = "write.bulk_conflict"
_UPDATE = "write.bulk_update"
_DELETE = "write.bulk_delete"
_UPSERT = "write.upsert"
_KEY = "write.generated_key"
_CANCEL = "cancellation"

_MANY = 1_200
_TEXTS = (
    "", "plain", "tab\there", "line\nline", "back\\slash", "\\N", "\\", "\\.", "it's \"quoted\"",
    "a ", " a", "\r\n", "NULL", "null", "\U0001f600 \u00df e\u0301 \u00e9", "x" * 3_000,
    "%s ? $1", ",;|",
)  # fmt: skip


class Everything:
    """A column of every type, all but the number nullable."""

    id: int
    n: int
    big: int | None
    f: float | None
    d: decimal.Decimal | None = field(precision=38, scale=18)
    flag: bool | None
    text: str | None
    data: bytes | None
    moment: dt.datetime | None
    day: dt.date | None
    time: dt.time | None
    key: uuid.UUID | None
    document: dict | None  # type: ignore[type-arg]
    items: list | None  # type: ignore[type-arg]


class Member:
    """A generated key, a unique text, one that may be null, a check, timestamps."""

    id: int
    email: str = field(unique=True)
    login: str | None = field(default=None, unique=True)
    name: str = ""
    age: int = field(default=0, check={"$gte": 0})

    __dataflow__: ClassVar = {"timestamps": True}


class Pet:
    """Refers to a member."""

    id: int
    member_id: int = field(references="Member.id")


def _members(first: int, count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"email": f"m{n}@example.org", "name": f"n{n}", "age": n % 90, **more}
        for n in range(first, first + count)
    ]


def _every_value(n: int) -> dict[str, Any]:
    text = _TEXTS[n % len(_TEXTS)]
    moment = dt.datetime(1999 + n % 30, 2, 28, n % 24, 59, 59, n % 1_000_000, tzinfo=dt.UTC)
    values = {
        "big": (2**63 - 1, -(2**63), 0, n)[n % 4],
        "f": (0.1, 1e300, -5e-324, 1e22, n / 7)[n % 5],
        "d": decimal.Decimal(n) / 4 - 7,
        "flag": n % 2 == 0,
        "text": text,
        "data": (b"", b"\x00\xff\n\t\\", bytes(range(256)), text.encode())[n % 4],
        "moment": moment,
        "day": moment.date(),
        "time": moment.time(),
        "key": uuid.UUID(int=n),
        "document": {"text": text, "list": [1, 2.5, None, {"deep": text}]},
        "items": [text, n, None, True],
    }
    missing = n % 13
    return {"n": n} | {
        name: None if at == missing else value for at, (name, value) in enumerate(values.items())
    }


@case("bulk.many.every_type", feature=_CREATE, since="0.3")
async def every_type(session: Session) -> None:
    """Of many rows every value comes back as it was given, of every type, NULL too."""
    model = session.model(Everything)
    given = [_every_value(n) for n in range(_MANY)]
    done = await session.run(model, "BulkCreate", data=given)
    session.equal((done["processed"], done["inserted"]), (_MANY, _MANY))
    stored = await session.rows(model, order_by=["n"])
    wanted = [{"id": row["id"], **one} for row, one in zip(stored, given, strict=True)]
    session.equal([{name: row[name] for name in ("id", *given[0])} for row in stored], wanted)


@case("bulk.many.defaults", feature=_CREATE, since="0.3")
async def defaults(session: Session) -> None:
    """Many rows get defaults, keys and one moment, as single ones do."""
    model = session.model(Member)
    await session.run(model, "BulkCreate", data=({"email": f"e{n}"} for n in range(_MANY)))
    rows = await session.rows(model)
    session.equal(len({row["id"] for row in rows}), _MANY)
    session.equal({(row["login"], row["name"], row["age"]) for row in rows}, {(None, "", 0)})
    session.equal(len({row["created_at"] for row in rows}), 1)
    session.equal([row["updated_at"] for row in rows], [row["created_at"] for row in rows])


@case("bulk.many.keys", feature=_CREATE, also=(_KEY,), since="0.3")
async def keys(session: Session) -> None:
    """The keys of many rows are told in their order."""
    model = session.model(Member)
    done = await session.run(model, "BulkCreate", data=_members(0, _MANY), return_ids=True)
    rows = {row["id"]: row["email"] for row in await session.rows(model)}
    session.equal([rows[key] for key in done["ids"]], [one["email"] for one in _members(0, _MANY)])


@case("bulk.many.given_keys", feature=_KEY, since="0.3")
async def given_keys(session: Session) -> None:
    """After many given keys, the next one that is made is a new one."""
    model = session.model(Member)
    data = [{"id": 5_000 + 3 * n, **one} for n, one in enumerate(_members(0, _MANY))]
    await session.run(model, "BulkCreate", data=data)
    made = await session.run(model, "Create", email="next")
    session.true(made["id"] > 5_000 + 3 * (_MANY - 1), "the key is behind all given ones")
    upserted = [{"id": made["id"] + 10 + n, "email": f"u{n}"} for n in range(_MANY)]
    await session.run(model, "BulkUpsert", data=upserted)
    after = await session.run(model, "Create", email="last")
    session.true(after["id"] > upserted[-1]["id"], "the key is behind all upserted ones")


@case("bulk.many.unique", feature=_CREATE, since="0.3")
async def unique(session: Session) -> None:
    """A row that breaks a unique key is named by its index, and nothing is stored."""
    model = session.model(Member)
    await session.run(model, "Create", email="m850@example.org")
    for data, index in (
        (_members(0, _MANY), 850),
        ([*_members(1_000, _MANY), *_members(1_600, 1)], _MANY),
    ):
        call = partial(session.run, model, "BulkCreate", data=data)
        error = await session.expect_error(UniqueViolation, call)
        session.equal(error.context["index"], index)
        session.equal(len(await session.rows(model)), 1)


@case("bulk.many.check", feature=_CREATE, also=("constraints.check",), since="0.3")
async def check(session: Session) -> None:
    """A row that breaks a check is named by its index, and nothing is stored."""
    model = session.model(Member)
    data = _members(0, _MANY)
    data[777]["age"] = -1
    call = partial(session.run, model, "BulkCreate", data=data)
    error = await session.expect_error(CheckViolation, call)
    session.equal(error.context["index"], 777)
    session.equal(await session.rows(model), [])


@case("bulk.many.reference", feature="constraints.foreign_key", also=(_CREATE,), since="0.3")
async def reference(session: Session) -> None:
    """A row that refers to nothing is named by its index, and nothing is stored."""
    owners, pets = session.model(Member), session.model(Pet)
    owner = await session.run(owners, "Create", email="owner")
    data = [{"member_id": owner["id"]} for _ in range(_MANY)]
    data[640] = {"member_id": owner["id"] + 1}
    call = partial(session.run, pets, "BulkCreate", data=data)
    error = await session.expect_error(ForeignKeyViolation, call)
    session.equal(error.context["index"], 640)
    session.equal(await session.rows(pets), [])


@case("bulk.many.wrong_type", feature=_CREATE, since="0.3")
async def wrong_type(session: Session) -> None:
    """A value of the wrong type is refused with its row's index, and nothing is stored."""
    model = session.model(Member)
    data = _members(0, _MANY)
    data[999]["age"] = "old"
    call = partial(session.run, model, "BulkCreate", data=iter(data))
    error = await session.expect_error(InvalidType, call)
    session.equal(error.context["index"], 999)
    session.equal(await session.rows(model), [])


@case("bulk.many.skip", feature=_CONFLICT, since="0.3")
async def skip(session: Session) -> None:
    """Of many rows those whose unique key is stored are skipped and counted."""
    model = session.model(Member)
    await session.run(model, "BulkCreate", data=_members(0, 500))
    data = _members(400, _MANY, name="new")
    done = await session.run(model, "BulkCreate", data=data, conflict="skip")
    session.equal((done["inserted"], done["skipped"]), (_MANY - 100, 100))
    session.equal(len(await session.rows(model, {"name": "new"})), _MANY - 100)


@case("bulk.many.upsert", feature=_UPSERT, since="0.3")
async def upsert(session: Session) -> None:
    """Of many rows those that are stored are changed, the others inserted, and both counted."""
    model = session.model(Member)
    await session.run(model, "BulkCreate", data=_members(0, 700, login=None))
    before = {row["email"]: row["id"] for row in await session.rows(model)}
    data = _members(300, _MANY, name="new")
    done = await session.run(model, "BulkUpsert", data=data, match_fields=["email"])
    session.equal((done["inserted"], done["updated"]), (_MANY - 400, 400))
    rows = {row["email"]: row for row in await session.rows(model)}
    session.equal(len(rows), 300 + _MANY)
    session.equal({email: rows[email]["id"] for email in before}, before)
    session.equal({rows[one["email"]]["name"] for one in data}, {"new"})
    session.true(rows["m299@example.org"]["name"] == "n299", "others stay as they are")


@case("bulk.many.upsert_again", feature=_UPSERT, since="0.3")
async def upsert_again(session: Session) -> None:
    """A key that comes again among many rows is written again: the last one wins."""
    model = session.model(Member)
    data = [*_members(0, _MANY), *_members(100, 50, name="again")]
    done = await session.run(model, "BulkUpsert", data=data, match_fields=["email"])
    session.equal((done["processed"], done["inserted"], done["updated"]), (_MANY + 50, _MANY, 50))
    session.equal(len(await session.rows(model, {"name": "again"})), 50)


@case("bulk.many.upsert_null", feature=_UPSERT, since="0.3")
async def upsert_null(session: Session) -> None:
    """A NULL in the match field equals no other: all such rows are new."""
    model = session.model(Member)
    data = [{**one, "login": None} for one in _members(0, _MANY)]
    done = await session.run(model, "BulkUpsert", data=data, match_fields=["login"])
    session.equal((done["inserted"], done["updated"]), (_MANY, 0))


@case("bulk.many.upsert_other_key", feature=_UPSERT, since="0.3")
async def upsert_other_key(session: Session) -> None:
    """A row that hits another unique key than that of the match is refused, and named."""
    model = session.model(Member)
    await session.run(model, "Create", email="other", login="taken")
    data = _members(0, _MANY)
    for n, one in enumerate(data):
        one["login"] = "taken" if n == 500 else f"l{n}"
    call = partial(session.run, model, "BulkUpsert", data=data, match_fields=["email"])
    error = await session.expect_error(UniqueViolation, call)
    session.equal(error.context["index"], 500)
    session.equal(len(await session.rows(model)), 1)


@case("bulk.many.upsert_in_turn", feature=_UPSERT, since="0.3")
async def upsert_in_turn(session: Session) -> None:
    """Many rows too are written in their order: one may take what one before gave up."""
    model = session.model(Member)
    await session.run(
        model,
        "BulkCreate",
        data=[{**one, "login": f"l{n}"} for n, one in enumerate(_members(0, _MANY))],
    )
    data = [{**one, "login": f"l{n + _MANY}"} for n, one in enumerate(_members(0, _MANY))]
    data.append({"email": "late", "name": "", "age": 0, "login": "l0"})
    done = await session.run(model, "BulkUpsert", data=data, match_fields=["email"])
    session.equal((done["inserted"], done["updated"]), (1, _MANY))
    [late] = await session.rows(model, {"login": "l0"})
    session.equal(late["email"], "late")


@case("bulk.many.update", feature=_UPDATE, since="0.3")
async def update(session: Session) -> None:
    """Many rows are changed, each to values of its own, and only those that are there count."""
    model = session.model(Member)
    done = await session.run(model, "BulkCreate", data=_members(0, _MANY), return_ids=True)
    ids = done["ids"]
    data = [{"id": key, "name": f"new{key}", "login": f"l{key}"} for key in ids]
    absent = [{"id": max(ids) + 1 + n, "name": "x", "login": "y"} for n in range(10)]
    changed = await session.run(model, "BulkUpdate", data=iter([*data, *absent]))
    session.equal(changed["matched"], _MANY)
    for row in await session.rows(model):
        session.equal((row["name"], row["login"]), (f"new{row['id']}", f"l{row['id']}"))


@case("bulk.many.update_again", feature=_UPDATE, since="0.3")
async def update_again(session: Session) -> None:
    """Rows change in their order: of the same key the last one stays, and both were matched."""
    model = session.model(Member)
    made = await session.run(model, "Create", email="one")
    data = [{"id": made["id"], "age": n} for n in range(3)]
    data += [{"id": made["id"], "name": "n", "age": 7}, {"id": made["id"], "age": 8}]
    done = await session.run(model, "BulkUpdate", data=data)
    session.equal(done["matched"], 5)
    [row] = await session.rows(model)
    session.equal((row["name"], row["age"]), ("n", 8))


@case("bulk.many.update_null", feature=_UPDATE, since="0.3")
async def update_null(session: Session) -> None:
    """Values of every type, and NULL, are set in many rows at once."""
    model = session.model(Everything)
    done = await session.run(
        model, "BulkCreate", data=[{"n": n} for n in range(40)], return_ids=True
    )
    data = [{"id": key, **_every_value(n)} for n, key in enumerate(done["ids"])]
    await session.run(model, "BulkUpdate", data=data)
    rows = await session.rows(model, order_by=["n"])
    session.equal([{name: row[name] for name in data[0]} for row in rows], data)


@case("bulk.many.update_broken", feature=_UPDATE, also=("constraints.check",), since="0.3")
async def update_broken(session: Session) -> None:
    """A row whose change breaks a check is named by its index, and no row is changed."""
    model = session.model(Member)
    done = await session.run(model, "BulkCreate", data=_members(0, 300), return_ids=True)
    data = [{"id": key, "age": -1 if n == 210 else 5} for n, key in enumerate(done["ids"])]
    call = partial(session.run, model, "BulkUpdate", data=data)
    error = await session.expect_error(CheckViolation, call)
    session.equal(error.context["index"], 210)
    session.equal([row["age"] for row in await session.rows(model)], [n % 90 for n in range(300)])


@case("bulk.many.delete", feature=_DELETE, since="0.3")
async def delete(session: Session) -> None:
    """Many keys are deleted by one call; those that are not there do not count."""
    model = session.model(Member)
    done = await session.run(model, "BulkCreate", data=_members(0, _MANY), return_ids=True)
    ids = done["ids"]
    gone = await session.run(model, "BulkDelete", ids=[*ids[10:], max(ids) + 1])
    session.equal(gone["deleted"], _MANY - 10)
    session.equal([row["id"] for row in await session.rows(model)], sorted(ids[:10]))


@case("bulk.many.cancelled", feature=_CANCEL, also=(_CREATE, _UPSERT), since="0.3")
async def cancelled(session: Session) -> None:
    """A bulk write that is cancelled ends within a second and leaves nothing behind."""
    model = session.model(Member)
    for name in ("BulkCreate", "BulkUpsert"):
        begun = asyncio.Event()

        def rows(begun: asyncio.Event = begun) -> Iterator[dict[str, Any]]:
            for n, row in enumerate(_members(0, 60_000)):
                if n == 30_000:
                    begun.set()
                yield row

        more = {"match_fields": ["email"]} if name == "BulkUpsert" else {}
        task = asyncio.ensure_future(session.run(model, name, data=rows(), **more))
        # A database that takes its time is cancelled somewhat earlier.
        await asyncio.wait({asyncio.ensure_future(begun.wait())}, timeout=2)
        begun.set()
        task.cancel()
        async with asyncio.timeout(1):
            await asyncio.wait({task})
        session.true(task.cancelled(), f"{name} raises CancelledError")
        session.equal(await session.rows(model), [])
    await session.run(model, "BulkCreate", data=_members(0, _MANY))
    session.equal(len(await session.rows(model)), _MANY)


@case("bulk.many.long_rows", feature=_CREATE, since="0.3")
async def long_rows(session: Session) -> None:
    """Many long texts are stored, though all together exceed what a server takes at once."""
    model = session.model(Everything)
    data = [{"n": n, "text": chr(97 + n % 26) * 50_000} for n in range(450)]
    await session.run(model, "BulkCreate", data=data, conflict="skip")
    counted = await session.run(model, "Count", filter={"text": "b" * 50_000})
    session.equal(counted["count"], sum(n % 26 == 1 for n in range(450)))
