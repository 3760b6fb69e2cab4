"""Upsert of one row and of many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from dataflow_core.conformance.registry import case
from dataflow_core.conformance.tables import refusal_cases
from dataflow_core.errors import InvalidValue, MissingParameter, UniqueViolation, UnknownField
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_UPSERT = "write.upsert"


class Account:
    """Two unique keys beside the primary one, one of them of two fields."""

    __dataflow__ = {"unique": [["realm", "login"]]}  # noqa: RUF012 - options are read only
    id: int
    email: str | None = field(default=None, unique=True)
    realm: str = "main"
    login: str = ""
    n: int | None
    t: str | None


@case("upsert.one", feature=_UPSERT)
async def one(session: Session) -> None:
    """Upsert inserts a row, and changes it the second time: only the fields given."""
    model = session.model(Account)
    first = await session.run(model, "Upsert", id=1, email="a", login="a", n=1, t="x")
    session.equal((first["created"], first["result"]["n"]), (True, 1))
    second = await session.run(model, "Upsert", id=1, login="a", n=2)
    session.equal(second["created"], False)
    session.equal(
        second["result"], {"id": 1, "email": "a", "realm": "main", "login": "a", "n": 2, "t": "x"}
    )
    session.equal(await session.rows(model), [second["result"]])


@case("upsert.one.unchanged", feature=_UPSERT)
async def unchanged(session: Session) -> None:
    """An upsert to the same values is no insert."""
    model = session.model(Account)
    await session.run(model, "Upsert", id=1, login="a", n=1)
    again = await session.run(model, "Upsert", id=1, login="a", n=1)
    session.equal(again["created"], False)


@case("upsert.one.match", feature=_UPSERT)
async def match(session: Session) -> None:
    """match_fields may name any unique key, of several fields too; the key of the row stays."""
    model = session.model(Account)
    await session.load(model, [{"id": 1, "email": "a@x", "login": "a", "n": 1}])
    by_email = await session.run(
        model, "Upsert", id=9, email="a@x", login="a", n=2, match_fields=["email"]
    )
    session.equal(
        (by_email["created"], by_email["result"]["id"], by_email["result"]["n"]), (False, 1, 2)
    )
    by_pair = await session.run(
        model, "Upsert", id=9, realm="main", login="a", n=3, match_fields=["realm", "login"]
    )
    session.equal(
        (by_pair["created"], by_pair["result"]["id"], by_pair["result"]["n"]), (False, 1, 3)
    )


@case("upsert.one.exact_text", feature=_UPSERT)
async def exact_text(session: Session) -> None:
    """Keys match by code point: 'A', 'á' and 'a ' are other rows than 'a'."""
    model = session.model(Account)
    for number, email in enumerate(("a", "A", "á", "a ", "😀", "😃"), 1):
        done = await session.run(
            model, "Upsert", id=number, email=email, login=email, match_fields=["email"]
        )
        session.equal(done["created"], True, f"created {email!r}")
    session.equal(len(await session.rows(model)), 6)


@case("upsert.one.operators", feature=_UPSERT)
async def operators(session: Session) -> None:
    """With fields a stored row changes by operators; $setOnInsert is for a new one only."""
    model = session.model(Account)
    fields = {"$inc": {"n": 1}, "$setOnInsert": {"t": "new"}}
    first = await session.run(model, "Upsert", id=1, login="a", n=10, fields=fields)
    session.equal((first["created"], first["result"]["n"], first["result"]["t"]), (True, 10, "new"))
    second = await session.run(model, "Upsert", id=1, login="a", n=10, fields=fields)
    session.equal(
        (second["created"], second["result"]["n"], second["result"]["t"]), (False, 11, "new")
    )


@case("upsert.one.only_on_insert", feature=_UPSERT)
async def only_on_insert(session: Session) -> None:
    """Where fields say nothing but $setOnInsert, a row that is stored stays as it is."""
    model = session.model(Account)
    fields = {"$setOnInsert": {"t": "new"}}
    first = await session.run(model, "Upsert", id=1, login="a", n=10, fields=fields)
    session.equal((first["created"], first["result"]["t"]), (True, "new"))
    again = await session.run(
        model, "Upsert", id=1, login="a", n=11, fields={"$setOnInsert": {"t": "other"}}
    )
    session.equal((again["created"], again["result"]), (False, first["result"]))


@case("upsert.other_key", feature=_UPSERT)
async def other_key(session: Session) -> None:
    """A conflict on another unique key is UniqueViolation and changes no row."""
    model = session.model(Account)
    rows = await session.load(
        model, [{"id": 1, "email": "a", "login": "a"}, {"id": 2, "email": "b", "login": "b"}]
    )
    call = partial(session.run, model, "Upsert", id=3, email="b", login="c")
    await session.expect_error(UniqueViolation, call)
    call = partial(session.run, model, "Upsert", id=1, email="b", login="a")
    await session.expect_error(UniqueViolation, call)
    call = partial(
        session.run,
        model,
        "BulkUpsert",
        data=[{"id": 4, "login": "d"}, {"id": 1, "email": "b", "login": "a"}],
    )
    await session.expect_error(UniqueViolation, call)
    session.equal(await session.rows(model), rows)


@case("upsert.many", feature=_UPSERT)
async def many(session: Session) -> None:
    """Bulk upsert tells inserted and updated apart; fields that are not given stay."""
    model = session.model(Account)
    await session.load(model, [{"id": 1, "login": "a", "n": 1, "t": "keep"}])
    done = await session.run(
        model, "BulkUpsert", data=[{"id": n, "login": f"l{n}", "n": 10 * n} for n in (1, 2, 3)]
    )
    session.equal(
        {name: done[name] for name in ("processed", "inserted", "updated", "success")},
        {"processed": 3, "inserted": 2, "updated": 1, "success": True},
    )
    rows = await session.rows(model, select=["id", "login", "n", "t"])
    session.equal(rows[0], {"id": 1, "login": "l1", "n": 10, "t": "keep"})
    session.equal([row["n"] for row in rows], [10, 20, 30])


@case("upsert.many.twice", feature=_UPSERT)
async def same_key_twice(session: Session) -> None:
    """The same key twice in the data: the last wins, and one row is there."""
    model = session.model(Account)
    done = await session.run(
        model, "BulkUpsert", data=[{"id": 1, "login": "a", "n": 1}, {"id": 1, "login": "b", "n": 2}]
    )
    session.equal((done["processed"], done["inserted"]), (2, 1))
    session.equal(
        await session.rows(model, select=["id", "login", "n"]), [{"id": 1, "login": "b", "n": 2}]
    )


@case("upsert.many.update_fields", feature=_UPSERT)
async def update_fields(session: Session) -> None:
    """update_fields names what a stored row takes over; a new row is written whole."""
    model = session.model(Account)
    await session.load(model, [{"id": 1, "login": "a", "n": 1, "t": "old"}])
    data = [{"id": n, "login": f"l{n}", "n": 5, "t": "new"} for n in (1, 2)]
    await session.run(model, "BulkUpsert", data=data, update_fields=["n"])
    session.equal(
        await session.rows(model, select=["id", "login", "n", "t"]),
        [{"id": 1, "login": "a", "n": 5, "t": "old"}, {"id": 2, "login": "l2", "n": 5, "t": "new"}],
    )


@case("upsert.many.null_match", feature=_UPSERT)
async def null_match(session: Session) -> None:
    """A null in the match fields equals no other: such rows are always inserted."""
    model = session.model(Account)
    await session.load(model, [{"id": 1, "email": None, "login": "a"}])
    data = [{"id": n, "email": None, "login": f"l{n}"} for n in (2, 3)]
    done = await session.run(model, "BulkUpsert", data=data, match_fields=["email"])
    session.equal((done["inserted"], done["updated"]), (2, 0))
    session.equal(len(await session.rows(model)), 3)


@case("upsert.many.batches", feature=_UPSERT)
async def batches(session: Session) -> None:
    """batch_size changes nothing of the result."""
    model = session.model(Account)
    data = [{"id": n % 700, "login": f"l{n % 700}", "n": n} for n in range(1_500)]
    done = await session.run(model, "BulkUpsert", data=iter(data), batch_size=64)
    session.equal((done["processed"], done["inserted"]), (1_500, 700))
    rows = await session.rows(model, {"id": {"$in": [0, 99, 100, 699]}}, select=["n"])
    session.equal([row["n"] for row in rows], [1_400, 1_499, 800, 1_399])


@case("upsert.many.in_turn", feature=_UPSERT, since="0.2")
async def in_turn(session: Session) -> None:
    """Rows are written in their order: one may take a unique value that one before gave up."""
    model = session.model(Account)
    await session.load(model, [{"id": 1, "login": "a"}, {"id": 2, "login": "b"}])
    data = [{"id": 2, "login": "c"}, {"id": 3, "login": "b"}, {"id": 1, "login": "d"}]
    done = await session.run(model, "BulkUpsert", data=data)
    session.equal((done["inserted"], done["updated"]), (1, 2))
    rows = await session.rows(model, select=["login"])
    session.equal([row["login"] for row in rows], ["d", "c", "b"])
    taken = [{"id": 4, "login": "d"}, {"id": 1, "login": "e"}]
    call = partial(session.run, model, "BulkUpsert", data=taken)
    await session.expect_error(UniqueViolation, call)
    session.equal(len(await session.rows(model)), 3)


def _upsert(**parameters: Any) -> Callable[[Session, Any], Awaitable[Any]]:
    return lambda session, model: session.run(model, "Upsert", **parameters)


refusal_cases(
    Account,
    (
        ("upsert.refused.no_key", _UPSERT, InvalidValue, _upsert(id=1, login="a",
         match_fields=["n"]),
         "match_fields that are no unique key are refused."),
        ("upsert.refused.part_of_key", _UPSERT, InvalidValue, _upsert(id=1, login="a",
         match_fields=["login"]),
         "Part of a unique key is none."),
        ("upsert.refused.unknown", _UPSERT, UnknownField, _upsert(id=1, login="a",
         match_fields=["mail"]),
         "An unknown field in match_fields is refused."),
        ("upsert.refused.missing", _UPSERT, MissingParameter, _upsert(login="a",
         match_fields=["email"]),
         "A match field that is not given is refused."),
    ),
)  # fmt: skip
