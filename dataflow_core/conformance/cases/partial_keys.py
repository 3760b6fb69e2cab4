"""Values that are unique among some rows only: what holds, and upserts that match by them."""

from __future__ import annotations

import datetime as dt
import decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.cases.ddl import model_class
from dataflow_core.conformance.registry import case
from dataflow_core.errors import InvalidModel, InvalidValue, UniqueViolation
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session
    from dataflow_core.schema import Model

_UNIQUE: Final = "schema.partial_unique"
_MANY: Final = 1_200


class Member:
    """No two that are not gone have the same e-mail address."""

    __dataflow__ = {  # noqa: RUF012 - options are read only
        "indexes": [{"fields": ["email"], "unique": True, "where": {"gone": None}}]
    }
    id: int
    email: str | None = field(default=None, max_length=40)
    n: int | None
    gone: dt.datetime | None


class Seat:
    """A key that the client gives, and a unique pair among rows that two fields leave open."""

    __dataflow__ = {  # noqa: RUF012 - options are read only
        "indexes": [
            {"fields": ["hall", "row"], "unique": True, "where": {"sold": None, "broken": None}}
        ],
    }
    code: str = field(primary_key=True, max_length=20)
    hall: str = field(max_length=20)
    row: int
    n: int | None
    sold: dt.datetime | None
    broken: bool | None


GONE: Final = dt.datetime(2024, 2, 29, 12, 30, 15, 250_000, tzinfo=dt.UTC)


async def _members(session: Session, model: Model) -> list[tuple[Any, ...]]:
    rows = await session.rows(model)
    return [(row["email"], row["n"], row["gone"] is None) for row in rows]


async def _loaded(session: Session) -> Model:
    """Two rows of one address, the first of which is gone."""
    model = session.model(Member)
    await session.load(
        model,
        [{"email": "a", "n": 1, "gone": GONE}, {"email": "a", "n": 2}, {"email": "b", "n": 3}],
    )
    return model


@case("partial_unique.holds", feature=_UNIQUE, since="0.3")
async def holds(session: Session) -> None:
    """Among the rows that pass no two are equal, by whatever statement; others may be."""
    model = await _loaded(session)
    refused = partial(session.expect_error, UniqueViolation, columns=("email",))
    await refused(partial(session.run, model, "Create", email="a"))
    await refused(partial(session.run, model, "BulkCreate", data=[{"email": "c"}, {"email": "b"}]))
    await refused(partial(session.run, model, "Update", id=1, fields={"gone": None}))
    await refused(
        partial(session.run, model, "BulkUpdate", filter={"email": "a"}, fields={"gone": None})
    )
    await refused(partial(session.run, model, "Update", id=3, fields={"email": "a"}))
    await session.run(model, "Update", id=2, fields={"gone": GONE})
    await session.run(model, "Create", email="a", n=4)
    await session.run(model, "BulkCreate", data=[{"email": "a", "gone": GONE}] * 2)
    await session.load(model, [{"email": None}, {"email": None}])
    session.equal((await session.run(model, "Count", filter={"email": "a"}))["count"], 5)
    await refused(partial(session.run, model, "Update", id=1, fields={"gone": None}))


_FILTERS: Final[tuple[tuple[str, Any, dict[str, Any], Any, Any], ...]] = (
    ("bool", bool, {"at": True}, True, False),
    ("text", str, {"at": "ab'\\ß"}, "ab'\\ß", "ab'\\s"),
    ("greater", int, {"at": {"$gt": 5}}, 6, 5),
    ("list", int, {"at": {"$in": [1, 2**40]}}, 2**40, 3),
    ("other", str, {"at": {"$ne": "x"}}, "y", "x"),
    ("decimal", decimal.Decimal, {"at": {"$lte": decimal.Decimal("1.5")}}, 1, decimal.Decimal(2)),
    ("moment", dt.datetime, {"at": {"$gte": GONE}}, GONE, dt.datetime(2000, 1, 1, tzinfo=dt.UTC)),
    ("either", int | None, {"$or": [{"at": None}, {"at": {"$lt": 0}}]}, None, 1),
    ("start", str, {"at": {"$startswith": "a_"}}, "a_b", "axb"),
)


@case("partial_unique.filters", feature=_UNIQUE, since="0.3")
async def filters(session: Session) -> None:
    """The filter may be about values of every type, and holds for each as it does in a list."""
    for name, kind, where, inside, outside in _FILTERS:
        options = {"indexes": [{"fields": ["n"], "unique": True, "where": where}]}
        annotations = {"id": int, "n": int, "at": kind}
        bounds = {"at": field(max_length=20)} if kind is str else {}
        model = session.model(
            model_class(f"Filtered{name.title()}", annotations, options=options, **bounds)
        )
        for at in (inside, outside, outside):
            await session.run(model, "Create", n=1, at=at)
        call = partial(session.run, model, "Create", n=1, at=inside)
        await session.expect_error(UniqueViolation, call, columns=("n",))
        session.equal((await session.run(model, "Count", filter=where))["count"], 1, name)


@case("partial_unique.upsert.one", feature=_UNIQUE, also=("write.upsert",), since="0.3")
async def upsert_one(session: Session) -> None:
    """An upsert matches the row that passes; one that does not is neither found nor changed."""
    model = await _loaded(session)
    upsert = partial(session.run, model, "Upsert", match_fields=["email"])
    changed = await upsert(email="a", n=20)
    session.equal((changed["created"], changed["id"], changed["n"]), (False, 2, 20))
    await session.run(model, "Update", id=3, fields={"gone": GONE})
    made = await upsert(email="b", n=30, gone=None)
    session.equal((made["created"], made["n"], made["gone"]), (True, 30, None))
    session.true(made["id"] > 3, "a row of its own")
    await upsert(email="b", n=31, update_fields=[])
    session.equal(
        await _members(session, model),
        [("a", 1, False), ("a", 20, True), ("b", 3, False), ("b", 30, True)],
    )


@case("partial_unique.upsert.operators", feature=_UNIQUE, also=("write.upsert",), since="0.3")
async def upsert_operators(session: Session) -> None:
    """Operators change the row that passes, and only where there is none a row is made."""
    model = await _loaded(session)
    upsert = partial(session.run, model, "Upsert", match_fields=["email"])
    changed = await upsert(email="a", fields={"$inc": {"n": 5}})
    session.equal((changed["created"], changed["n"]), (False, 7))
    await session.run(model, "Update", id=2, fields={"gone": GONE})
    fields = {"n": 1, "$setOnInsert": {"gone": GONE}}
    made = await upsert(email="a", n=50, fields={"n": 1})
    session.equal((made["created"], made["n"], made["gone"]), (True, 50, None))
    call = partial(upsert, email="c", fields=fields)
    await session.expect_error(InvalidValue, call)
    session.equal(
        await _members(session, model),
        [("a", 1, False), ("a", 7, False), ("b", 3, True), ("a", 50, True)],
    )


@case("partial_unique.upsert.many", feature=_UNIQUE, also=("write.upsert",), since="0.3")
async def upsert_many(session: Session) -> None:
    """A bulk upsert, of few rows or many, counts and changes rows that pass only."""
    model = await _loaded(session)
    data = [{"email": "a", "n": 10}, {"email": "c", "n": 30}, {"email": "a", "n": 11}]
    done = await session.run(model, "BulkUpsert", data=data, match_fields=["email"])
    session.equal((done["processed"], done["inserted"], done["updated"]), (3, 1, 2))
    kept = [("a", 1, False), ("a", 11, True), ("b", 3, True), ("c", 30, True)]
    session.equal(await _members(session, model), kept)
    names = [f"m{number}" for number in range(_MANY)]
    old = [{"email": name, "n": -1, "gone": GONE} for name in names]
    live = [{"email": name, "n": -2} for name in names[::2]]
    await session.run(model, "BulkCreate", data=[*old, *live])
    data = [{"email": name, "n": 7, "gone": None} for name in names]
    done = await session.run(model, "BulkUpsert", data=data, match_fields=["email"])
    session.equal((done["inserted"], done["updated"]), (_MANY // 2, _MANY // 2))
    count = partial(session.run, model, "Count")
    session.equal((await count(filter={"n": -1, "gone": GONE}))["count"], _MANY, "gone rows")
    session.equal((await count(filter={"n": 7, "gone": None}))["count"], _MANY, "rows that pass")
    session.equal((await count(filter={"n": -2}))["count"], 0, "rows that were not changed")


@case("partial_unique.upsert.other_keys", feature=_UNIQUE, also=("write.upsert",), since="0.3")
async def other_keys(session: Session) -> None:
    """A row that is not matched, but has another unique value of a stored one, is refused."""
    model = session.model(Seat)
    data = [{"code": f"s{n}", "hall": "h", "row": n, "n": 0, "sold": GONE} for n in range(300)]
    await session.run(model, "BulkCreate", data=data)
    pair = ["row", "hall"]
    for rows in (data[:2], data):
        new = [{"code": row["code"], "hall": "h", "row": row["row"], "n": 9} for row in rows]
        call = partial(session.run, model, "BulkUpsert", data=new, match_fields=pair)
        await session.expect_error(UniqueViolation, call)
    single = partial(session.run, model, "Upsert", code="s1", hall="h", row=1, match_fields=pair)
    await session.expect_error(UniqueViolation, single)
    session.equal((await session.run(model, "Count", filter={"n": 0}))["count"], 300)
    fresh = [{"code": f"t{n}", "hall": "h", "row": n, "n": 9} for n in range(300)]
    for inserted in (300, 0):
        done = await session.run(model, "BulkUpsert", data=fresh, match_fields=pair)
        session.equal(done["inserted"], inserted)
    session.equal((await session.run(model, "Count", filter={"n": 9}))["count"], 300)


@case("partial_unique.conflict", feature=_UNIQUE, also=("write.bulk_conflict",), since="0.3")
async def conflict(session: Session) -> None:
    """conflict='skip' leaves out what is there among the rows that pass; 'update' changes it."""
    model = await _loaded(session)
    await session.run(model, "Update", id=3, fields={"gone": GONE})
    data = [{"email": "a", "n": 9}, {"email": "b", "n": 9}, {"email": "b", "gone": GONE}]
    done = await session.run(model, "BulkCreate", data=data, conflict="skip")
    session.equal((done["inserted"], done["skipped"]), (2, 1))
    data = [{"email": "a", "n": 8}, {"email": "b", "n": 8}, {"email": "c", "n": 8}]
    done = await session.run(model, "BulkCreate", data=data, conflict="update")
    session.equal((done["inserted"], done["updated"]), (1, 2))
    rows = sorted(await _members(session, model), key=repr)
    live = [row for row in rows if row[2]]
    session.equal(live, [("a", 8, True), ("b", 8, True), ("c", 8, True)])
    session.equal(len(rows), 6)


@case("partial_unique.in_turn", feature=_UNIQUE, also=("write.bulk_update",), since="0.3")
async def in_turn(session: Session) -> None:
    """Rows that are changed one after the other may hand a value on, in that order only."""
    model = await _loaded(session)
    for kind in ("BulkUpdate", "BulkUpsert"):
        swap = [{"id": 1, "gone": None}, {"id": 2, "gone": GONE}]
        call = partial(session.run, model, kind, data=swap)
        await session.expect_error(UniqueViolation, call)
        await session.run(model, kind, data=swap[::-1])
        session.equal([live for _, _, live in await _members(session, model)], [True, False, True])
        back = [{"id": 1, "email": "c"}, {"id": 2, "gone": None}, {"id": 1, "gone": GONE}]
        await session.run(model, kind, data=back)
        await session.run(model, "Update", id=1, fields={"email": "a"})


@case("partial_unique.refused", feature=_UNIQUE, also=("write.upsert",), since="0.3")
async def refused(session: Session) -> None:
    """An upsert is refused where a new row need not be among those in which the key is unique."""
    model = await _loaded(session)
    one = partial(session.run, model, "Upsert", email="a", match_fields=["email"])
    many = partial(session.run, model, "BulkUpsert", match_fields=["email"])
    rows = [{"email": "z", "n": 1, "gone": None}, {"email": "a", "n": 1, "gone": GONE}]
    before = await session.rows(model)
    await session.expect_error(InvalidValue, partial(one, gone=GONE), sent=False)
    await session.expect_error(InvalidValue, partial(many, data=rows))
    options = {"indexes": [{"fields": ["n"], "unique": True, "where": {"on": True}}]}
    other = session.model(model_class("Lit", {"id": int, "n": int, "on": bool}, options=options))
    call = partial(session.run, other, "Upsert", n=1, on=True, match_fields=["n"])
    await session.expect_error(InvalidValue, call)
    default = {"n": int, "on": bool | None}
    options = {"indexes": [{"fields": ["n"], "unique": True, "where": {"on": None}}]}
    other = session.model(model_class("Dim", {"id": int, **default}, options=options, on=True))
    call = partial(session.run, other, "Upsert", n=1, match_fields=["n"])
    await session.expect_error(InvalidValue, call)
    session.equal(await session.rows(model), before)
    options = {"indexes": [{"fields": ["n"], "unique": True, "where": {"id": {"$gt": 5}}}]}
    cls = model_class("Counted", {"id": int, "n": int}, options=options)

    async def register() -> None:
        session.model(cls)

    await session.expect_error(InvalidModel, register)
