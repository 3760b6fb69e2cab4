"""Sort order, pages, distinct rows."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case, register
from dataflow_core.conformance.tables import refusal_cases
from dataflow_core.errors import (
    ConflictingParameters,
    InvalidCursor,
    InvalidOrder,
    InvalidType,
    InvalidValue,
    UnknownField,
)

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session


class Sorted:
    """A field of every type that has an order."""

    id: int
    n: int | None
    f: float | None
    d: decimal.Decimal | None
    t: str | None
    b: bool | None
    m: dt.datetime | None
    day: dt.date | None
    clock: dt.time | None
    u: uuid.UUID | None
    blob: bytes | None


_ASCENDING: Final[dict[str, tuple[Any, ...]]] = {
    "n": (-(2**63), -1, 0, 2, 10, 2**63 - 1),
    "f": (-1e300, -0.5, 0.0, 0.25, 3.0, 1e300),
    "d": tuple(map(decimal.Decimal, ("-99999999999999.9999", "-1", "0", "0.0001", "2", "10"))),
    "t": ("", " ", "10", "9", "A", "B", "a", "a ", "aa", "á", "ａ", "😀", "\U0010ffff"),
    "b": (False, True),
    "m": tuple(
        dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc]
        for parts in ((1, 1, 2), (1969, 12, 31, 23, 59, 59, 999999), (1970, 1, 1), (9999, 12, 31))
    ),
    "day": (dt.date(1, 1, 1), dt.date(999, 1, 1), dt.date(2024, 1, 1), dt.date(9999, 12, 31)),
    "clock": (dt.time(0, 0), dt.time(0, 0, 0, 1), dt.time(9, 0), dt.time(23, 59)),
    "u": (uuid.UUID(int=0), uuid.UUID(int=9), uuid.UUID(int=10), uuid.UUID(int=2**128 - 1)),
    "blob": (b"", b"\x00", b"\x00\x01", b"A", b"a", b"\xff"),
}


def _order(name: str, values: tuple[Any, ...]) -> Callable[[Session], Awaitable[None]]:
    async def check(session: Session) -> None:
        model = session.model(Sorted)
        count = len(values)
        # Stored backwards, with a null in the middle.
        rows = [{"id": count - number, name: value} for number, value in enumerate(values)]
        await session.load(
            model, [*rows[::-1][: count // 2], {"id": 99}, *rows[::-1][count // 2 :]]
        )
        upwards = [99, *(row["id"] for row in rows)]
        await session.expect_list(model, {}, upwards, order_by=[name])
        await session.expect_list(model, {}, upwards[::-1], order_by=[f"-{name}"])
        await session.expect_list(model, {}, upwards, order_by=[{name: 1}])

    return check


for _name, _values in _ASCENDING.items():
    register(
        f"order.of_{_name}",
        _order(_name, _values),
        feature="order.null_first",
        rule=f"{type(_values[0]).__name__} sorts by value, null first upwards and last downwards.",
    )

_PAGED: Final[list[dict[str, Any]]] = [
    {"id": number, "n": (None, 1, 1, 2)[number % 4], "t": "abc"[number % 3]}
    for number in range(1, 24)
]


async def _paged(session: Session) -> Any:
    model = session.model(Sorted)
    await session.load(model, _PAGED)
    return model


@case("order.ties", feature="order.null_first")
async def ties(session: Session) -> None:
    """Rows that sort equal come in the order of the key, whichever way the others go."""
    model = await _paged(session)
    by_number: dict[Any, list[int]] = {}
    for row in _PAGED:
        by_number.setdefault(row["n"], []).append(row["id"])
    ids = [*by_number[2], *by_number[1], *by_number[None]]
    await session.expect_list(model, {}, ids, order_by=["-n"])


@case("order.several", feature="order.null_first")
async def several_keys(session: Session) -> None:
    """Several sort keys, each in its direction."""
    model = await _paged(session)
    rows = sorted(_PAGED, key=lambda row: row["id"])
    rows.sort(key=lambda row: row["t"], reverse=True)
    rows.sort(key=lambda row: (row["n"] is not None, row["n"] or 0))
    await session.expect_list(model, {}, [row["id"] for row in rows], order_by=["n", "-t"])


@case("order.key_descending", feature="order.null_first")
async def key_descending(session: Session) -> None:
    """The key itself may be sorted by, downwards too."""
    model = await _paged(session)
    await session.expect_list(model, {}, [23, 22, 21], order_by=["-id"], limit=3)


@case("paging.default_order", feature="paging")
async def default_order(session: Session) -> None:
    """Without order_by rows come in the order of the key."""
    model = session.model(Sorted)
    await session.load(model, [{"id": number} for number in (5, 3, 9, 1)])
    await session.expect_list(model, {}, [1, 3, 5, 9])


@case("paging.limit_offset", feature="paging")
async def limit_offset(session: Session) -> None:
    """limit and offset cut a repeatable order; limit=0 gives none; an offset alone is fine."""
    model = await _paged(session)
    await session.expect_list(model, {}, [1, 2], limit=2)
    await session.expect_list(model, {}, [3, 4], limit=2, offset=2)
    await session.expect_list(model, {}, [22, 23], offset=21)
    await session.expect_list(model, {}, [23], limit=5, offset=22)
    await session.expect_list(model, {}, [], limit=5, offset=100)
    await session.expect_list(model, {}, [], limit=0)
    page = await session.run(model, "List", limit=2, offset=1)
    session.equal(
        {name: page[name] for name in ("count", "limit", "offset", "truncated")},
        {"count": 2, "limit": 2, "offset": 1, "truncated": False},
    )


async def _pages(session: Session, order_by: Any, document: Any) -> None:
    model = await _paged(session)
    whole = await session.rows(model, document, order_by=order_by)
    seen: list[Any] = []
    cursor = None
    for _ in range(30):
        page = await session.run(
            model, "List", filter=document, order_by=order_by, limit=4, cursor=cursor
        )
        seen += page["records"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    session.equal(seen, whole, f"pages by {order_by}")


def _cursor(order_by: Any, document: Any) -> Callable[[Session], Awaitable[None]]:
    return lambda session: _pages(session, order_by, document)


for _id, _by, _document in (
    ("key", None, {}),
    ("nulls_ascending", ["n"], {}),
    ("nulls_descending", ["-n"], {}),
    ("mixed", ["-n", "t"], {}),
    ("filtered", ["t", "-id"], {"n": {"$ne": 2}}),
):
    register(
        f"paging.cursor.{_id}",
        _cursor(_by, _document),
        feature="paging",
        rule="The pages by cursor, put together, are the whole list: none twice, none missing.",
    )


@case("paging.cursor.changes", feature="paging")
async def cursor_and_changes(session: Session) -> None:
    """Rows deleted or inserted between two pages make no other row come twice or go missing."""
    model = await _paged(session)
    page = await session.run(model, "List", order_by=["id"], limit=5)
    await session.run(model, "Delete", id=1)
    await session.run(model, "Delete", id=5)
    await session.run(model, "Create", id=0, t="new")
    after = await session.run(model, "List", order_by=["id"], limit=3, cursor=page["next_cursor"])
    session.equal([row["id"] for row in after["records"]], [6, 7, 8])


@case("paging.cursor.last", feature="paging")
async def last_page(session: Session) -> None:
    """The last page has no cursor, also where it is full."""
    model = session.model(Sorted)
    await session.load(model, [{"id": 1}, {"id": 2}])
    page = await session.run(model, "List", limit=2)
    session.equal(page["next_cursor"], None)


@case("paging.cursor.foreign", feature="paging")
async def foreign_cursor(session: Session) -> None:
    """A cursor of another list, or one that was changed, is refused before any SQL."""
    model = await _paged(session)
    page = await session.run(model, "List", order_by=["n"], limit=2)
    for parameters in (
        {"order_by": ["t"], "cursor": page["next_cursor"]},
        {"order_by": ["n"], "filter": {"t": "a"}, "cursor": page["next_cursor"]},
        {"order_by": ["n"], "cursor": page["next_cursor"][:-2] + "xx"},
        {"order_by": ["n"], "cursor": "'; DROP TABLE x"},
    ):
        call = partial(session.run, model, "List", limit=2, **parameters)
        await session.expect_error(InvalidCursor, call, sent=False)


@case("paging.max_rows", feature="paging")
async def max_rows(session: Session) -> None:
    """Without a limit max_rows applies, and truncated with next_cursor announces it."""
    handle = session.another(max_rows=5)
    model = session.model(Sorted)
    await session.load(model, _PAGED[:7])
    if not await _shares(session, handle, model):
        # A database in memory is another one for every handle: the rows have to be its own.
        await handle.run("SortedBulkCreateNode", data=_PAGED[:7])
    first = await handle.run("SortedListNode")
    session.equal([row["id"] for row in first["records"]], [1, 2, 3, 4, 5])
    session.equal((first["truncated"], first["limit"]), (True, None))
    rest = await handle.run("SortedListNode", cursor=first["next_cursor"])
    session.equal([row["id"] for row in rest["records"]], [6, 7])
    session.equal((rest["truncated"], rest["next_cursor"]), (False, None))


async def _shares(session: Session, handle: Any, model: Any) -> bool:
    """Register the model on a second handle; whether it sees the rows of the first."""

    class Twin(Sorted):
        __dataflow__ = {"table": model.table, "timestamps": False}  # noqa: RUF012 - read only

    Twin.__name__ = "Sorted"
    handle.model(Twin, validation="off")
    return bool((await handle.run("SortedCountNode", filter={}))["count"])


@case("paging.count", feature="paging")
async def count_only(session: Session) -> None:
    """count_only gives the number of matches, not of rows returned."""
    model = await _paged(session)
    counted = await session.run(model, "List", filter={"n": 1}, count_only=True)
    session.equal((counted["count"], counted["result"]), (12, 12))


@case("select.fields", feature="select.distinct")
async def select_fields(session: Session) -> None:
    """select gives the chosen fields only, also where rows are sorted by another one."""
    model = await _paged(session)
    rows = await session.rows(model, select=["t"], order_by=["-id"], limit=2)
    session.equal(rows, [{"t": "c"}, {"t": "b"}])


@case("select.distinct", feature="select.distinct")
async def distinct(session: Session) -> None:
    """distinct gives each combination of the chosen fields once, null being one value."""
    model = await _paged(session)
    rows = await session.rows(model, select=["n"], distinct=True)
    session.equal(rows, [{"n": None}, {"n": 1}, {"n": 2}])
    rows = await session.rows(model, select=["n"], distinct=True, order_by=["-n"], limit=2)
    session.equal(rows, [{"n": 2}, {"n": 1}])
    counted = await session.run(model, "List", select=["n", "t"], distinct=True, count_only=True)
    session.equal(counted["count"], 9)


@case("select.distinct.text", feature="select.distinct")
async def distinct_text(session: Session) -> None:
    """'a', 'A', 'á', 'a ' and two emoji are distinct."""
    model = session.model(Sorted)
    texts = ["a", "A", "á", "a ", "😀", "😃", "ß", "ss", "", "a", ""]
    await session.load(model, [{"id": n, "t": text} for n, text in enumerate(texts, 1)])
    rows = await session.rows(model, select=["t"], distinct=True)
    session.equal([row["t"] for row in rows], sorted(set(texts)))


def _list(**parameters: Any) -> Callable[[Session, Any], Awaitable[Any]]:
    return lambda session, model: session.run(model, "List", **parameters)


refusal_cases(
    Sorted,
    (
        ("paging.refused.negative_limit", "paging", InvalidValue, _list(limit=-1),
         "A negative limit is refused."),
        ("paging.refused.negative_offset", "paging", InvalidValue, _list(offset=-1),
         "A negative offset is refused."),
        ("paging.refused.text_limit", "paging", InvalidType, _list(limit="5"),
         "A limit is an int."),
        ("paging.refused.cursor_offset", "paging", ConflictingParameters, _list(cursor="x",
         offset=1),
         "A cursor goes with no offset."),
        ("order.refused.unknown", "order.null_first", UnknownField, _list(order_by=["-nn"]),
         "Sorting by an unknown field is refused."),
        ("order.refused.sql", "order.null_first", UnknownField, _list(order_by=["n; DROP TABLE x"]),
         "SQL in order_by is no field."),
        ("order.refused.twice", "order.null_first", InvalidOrder, _list(order_by=["n", "-n"]),
         "A field is sorted by once."),
        ("order.refused.direction", "order.null_first", InvalidOrder,
         _list(order_by=[{"n": "desc"}]),
         "A direction is 1 or -1."),
        ("select.refused.unknown", "select.distinct", UnknownField, _list(select=["nn"]),
         "Selecting an unknown field is refused."),
    ),
)  # fmt: skip
