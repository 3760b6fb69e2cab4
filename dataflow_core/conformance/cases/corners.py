"""Corners that dialects made wrong on purpose got round: one case for each."""

from __future__ import annotations

import asyncio
import decimal
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case
from dataflow_core.conformance.session import expect_cancelled
from dataflow_core.errors import CheckViolation, UniqueViolation
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_SECONDS: Final = 2.0
"""How long a small call may take beside one that was cancelled."""


class Word:
    """Text that changes its length, or not, with its case."""

    id: int
    t: str | None


_WORDS: Final = ("ß", "SS", "ẞ", "İ", "i", "I", "ı", "Σας", "ΣΑΣ", "ﬀ", "ŉ", "Ǆ", "𐐀", "𐐨")


async def _words(session: Session) -> tuple[Any, list[dict[str, Any]]]:
    model = session.model(Word)
    rows = [{"id": number, "t": text} for number, text in enumerate(_WORDS, 1)]
    await session.load(model, rows)
    return model, rows


@case("expressions.lower.special", feature="expressions.text", since="0.2")
async def lower_special(session: Session) -> None:
    """$toLower changes each character by itself: what would become two characters stays."""
    model, rows = await _words(session)
    pipeline = [{"$sort": {"id": 1}}, {"$project": {"v": {"$toLower": "$t"}}}]
    found = await session.check_pipeline(model, rows, pipeline)
    lower = ["ß", "ss", "ß", "İ", "i", "i", "ı", "σας", "σασ", "ﬀ", "ŉ", "ǆ", "𐐨", "𐐨"]
    session.equal([row["v"] for row in found], lower)


@case("expressions.upper.special", feature="expressions.text", since="0.2")
async def upper_special(session: Session) -> None:
    """$toUpper changes each character by itself: ß stays, as does every ligature."""
    model, rows = await _words(session)
    pipeline = [{"$sort": {"id": 1}}, {"$project": {"v": {"$toUpper": "$t"}}}]
    found = await session.check_pipeline(model, rows, pipeline)
    upper = ["ß", "SS", "ẞ", "İ", "I", "I", "I", "ΣΑΣ", "ΣΑΣ", "ﬀ", "ŉ", "Ǆ", "𐐀", "𐐀"]
    session.equal([row["v"] for row in found], upper)


@case("filters.icontains.special", feature="filters.text", since="0.2")
async def icontains_special(session: Session) -> None:
    """Filters that ignore case compare each character by itself: ß is not ss."""
    model, rows = await _words(session)
    for operator in ("$icontains", "$istartswith", "$iendswith", "$ilike"):
        for text, ids in (("ß", [1, 3]), ("ss", [2]), ("i", [5, 6]), ("İ", [4]), ("𐐀", [13, 14])):
            await session.expect_filter(model, rows, {"t": {operator: text}}, ids)


class Number:
    """Values of which a group may have none."""

    id: int
    shop: str
    n: int | None
    f: float | None
    d: decimal.Decimal | None


@case("aggregates.group.nothing_but_null", feature="aggregate.group", since="0.2")
async def nothing_but_null(session: Session) -> None:
    """Of a group that holds only null, sums are 0 of their type, everything else is null."""
    model = session.model(Number)
    rows = [{"id": 1, "shop": "a"}, {"id": 2, "shop": "a"}, {"id": 3, "shop": "b", "n": 5}]
    await session.load(model, rows)
    group: dict[str, Any] = {"_id": "$shop"}
    for name in ("n", "f", "d"):
        for function in ("sum", "avg", "min", "max"):
            group[f"{function}_{name}"] = {f"${function}": f"${name}"}
    [of_a, of_b] = await session.check_pipeline(
        model, rows, [{"$group": group}, {"$sort": {"_id": 1}}]
    )
    session.equal((of_a["sum_n"], of_a["sum_f"], of_a["sum_d"]), (0, 0.0, decimal.Decimal(0)))
    session.equal([of_a[f"{word}_n"] for word in ("avg", "min", "max")], [None] * 3)
    session.equal((of_b["sum_n"], of_b["min_n"], of_b["max_n"]), (5, 5, 5))


class Thing:
    """A field of several types that may be unset, and one that is checked."""

    id: int
    t: str | None
    b: bytes | None
    data: dict[str, Any] | None
    n: int | None = field(default=None, check={"$lt": 100})
    code: str | None = field(default=None, unique=True)


@case("updates.unset.other_types", feature="updates.set", since="0.2")
async def unset_other_types(session: Session) -> None:
    """$unset of text, bytes and documents makes null, not something empty."""
    names = ("t", "b", "data")
    await session.check_update(
        session.model(Thing),
        {"t": "x", "b": b"x", "data": {"x": 1}},
        {"$unset": dict.fromkeys(names, "")},
        dict.fromkeys(names),
    )


@case("bulk.create.skip_conflicts_only", feature="write.bulk_conflict", since="0.2")
async def skip_conflicts_only(session: Session) -> None:
    """conflict='skip' skips rows whose key is taken; one that breaks a check is still an error."""
    model = session.model(Thing)
    await session.load(model, [{"id": 1, "code": "a"}])
    data = [{"id": 2, "code": "a", "n": 1}, {"id": 1, "n": 2}, {"id": 3, "n": 3}]
    done = await session.run(model, "BulkCreate", data=data, conflict="skip")
    session.equal((done["processed"], done["inserted"]), (3, 1))
    bad = [{"id": 4, "n": 4}, {"id": 5, "n": 100}]
    call = partial(session.run, model, "BulkCreate", data=bad, conflict="skip")
    await session.expect_error_of(CheckViolation, call)
    session.equal([row["id"] for row in await session.rows(model)], [1, 3])


@case("bulk.update.unique_afterwards", feature="write.bulk_update", since="0.2")
async def unique_afterwards(session: Session) -> None:
    """A bulk update that would make two rows alike changes none."""
    model = session.model(Thing)
    await session.load(model, [{"id": n, "code": str(n), "n": n} for n in range(1, 6)])
    call = partial(
        session.run, model, "BulkUpdate", filter={"id": {"$gt": 2}}, fields={"code": "x"}
    )
    await session.expect_error(UniqueViolation, call, columns=("code",), table=model.table)
    session.equal([row["code"] for row in await session.rows(model)], list("12345"))


class Document:
    """A document."""

    id: int
    data: dict[str, Any] | None


@case("types.json.members", feature="types.json", since="0.2")
async def json_members(session: Session) -> None:
    """Members that are null, empty, false or 0 stay what they are, at every depth."""
    model = session.model(Document)
    inner: dict[str, Any] = {
        "null": None,
        "false": False,
        "zero": 0,
        "nought": 0.5,
        "text": "",
        "list": [],
    }
    data = {**inner, "object": {}, "deep": {"deeper": [inner, None, [None], {"x": None}]}}
    await session.load(model, [{"id": 1, "data": data}, {"id": 2, "data": {"null": None}}])
    session.equal([row["data"] for row in await session.rows(model)], [data, {"null": None}])


@case("bulk.key.never_again", feature="write.generated_key", since="0.2")
async def never_again(session: Session) -> None:
    """The key of a row that was deleted is not given to another one."""
    model = session.model(Word)
    given = [row["id"] for row in await session.load(model, [{"t": str(n)} for n in range(3)])]
    await session.run(model, "BulkDelete", filter={}, allow_all=True)
    again = [row["id"] for row in await session.load(model, [{"t": str(n)} for n in range(3)])]
    session.true(max(given) < min(again), f"{given} were deleted, then {again} were given")


class Preset:
    """Constant defaults."""

    id: int
    n: int = -7
    flag: bool = True
    t: str = field(default="it's", max_length=20)
    f: float = 0.5
    d: decimal.Decimal = decimal.Decimal("1.5")


@case("ddl.defaults.of_the_table", feature="constraints.errors", since="0.2")
async def defaults_of_the_table(session: Session) -> None:
    """A constant default is the table's as well: SQL that leaves a column out gets it."""
    model = session.model(Preset)
    created = await session.load(model, [{"id": 1}])
    table, key = session.database.quote(model.table), session.database.quote("id")
    await session.db.run("SQLNode", sql=f"INSERT INTO {table} ({key}) VALUES (2)", fetch="none")
    session.equal(await session.rows(model), [*created, {**created[0], "id": 2}])


@case("cancellation.next_call", feature="cancellation", since="0.2")
async def next_call(session: Session) -> None:
    """A call behind a cancelled one does not wait for it."""
    handle = session.another(pool_size=1, max_overflow=0)
    model = session.model(Word, on=handle)
    data = [{"id": n, "t": f"text {n % 1_000} " + "x" * 50} for n in range(20_000)]
    await handle.run("WordBulkCreateNode", data=data)
    slow: list[dict[str, Any]] = [
        *({"$unionWith": model.name} for _ in range(16)),
        {
            "$group": {
                "_id": {"$concat": ["$t", {"$toLower": "$t"}]},
                "v": {"$stdDevPop": "$id"},
                "w": {"$push": "$t"},
            }
        },
        {"$sort": {"v": 1}},
        {"$limit": 1},
    ]
    for after in (0.05, 0.2):
        task = asyncio.ensure_future(handle.run("WordListNode", aggregate=slow))
        await asyncio.sleep(after)
        task.cancel()
        await expect_cancelled(session, task)
        started = time.monotonic()
        found = await asyncio.wait_for(handle.run("WordReadNode", id=77), 30)
        session.equal(found["id"], 77)
        took = time.monotonic() - started
        session.true(took < _SECONDS, f"the next call waited {took:.1f} s")


@case("paging.many_rows", feature="paging", since="0.2")
async def many_rows(session: Session) -> None:
    """A list without a limit gives every row once, as do its pages, however many there are."""
    model = session.model(Word)
    await session.run(model, "BulkCreate", data=[{"id": n, "t": str(n)} for n in range(2_500)])
    rows = await session.rows(model)
    session.equal([row["id"] for row in rows], list(range(2_500)))
    paged: list[int] = []
    cursor = None
    while True:
        page = await session.run(model, "List", limit=999, cursor=cursor)
        paged += [row["id"] for row in page["records"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    session.equal(paged, list(range(2_500)))


class Narrow:
    """A number of 32 bits, and a list of texts."""

    id: int
    small: int = field(bits=32)
    words: list[str] | None


_NARROW: Final[list[dict[str, Any]]] = [
    {"id": 1, "small": -(2**31), "words": ["a", "b"]},
    {"id": 2, "small": 2**31 - 1, "words": []},
    {"id": 3, "small": 0, "words": None},
]


@case("filters.json.startswith.empty", feature="filters.json.array", since="0.2")
async def startswith_empty(session: Session) -> None:
    """Every text of a list starts with the empty one, and a list without texts has none."""
    model = session.model(Narrow)
    await session.load(model, _NARROW)
    await session.expect_filter(model, _NARROW, {"words": {"$startswith": ""}}, [1])


@case("expressions.arithmetic.narrow", feature="expressions.arithmetic", since="0.2")
async def arithmetic_narrow(session: Session) -> None:
    """Numbers of 32 bits are reckoned with in 64."""
    model = session.model(Narrow)
    await session.load(model, _NARROW)
    for function in ("$ceil", "$floor"):
        value = {"$abs": {function: "$small"}}
        pipeline = [{"$sort": {"id": 1}}, {"$project": {"v": value}}]
        found = await session.check_pipeline(model, _NARROW, pipeline)
        session.equal([row["v"] for row in found], [2**31, 2**31 - 1, 0])
