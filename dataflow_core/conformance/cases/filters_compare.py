"""$eq $ne $gt $gte $lt $lte $between $in $nin $mod and the bit operators, on every ordered type."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case, register
from dataflow_core.conformance.tables import filter_cases, refusal_cases
from dataflow_core.errors import InvalidFilter, InvalidType, UnknownField, UnknownOperator
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_D = decimal.Decimal


class Sample:
    """Numbers, text and moments, all of them nullable."""

    id: int
    n: int | None
    small: int | None = field(default=None, bits=32)
    f: float | None
    d: _D | None
    t: str | None
    b: bool | None
    m: dt.datetime | None
    day: dt.date | None
    u: uuid.UUID | None
    blob: bytes | None


def _at(microsecond: int) -> dt.datetime:
    return dt.datetime(2024, 1, 1, 0, 0, 0, microsecond, tzinfo=dt.UTC)


ROWS: Final[list[dict[str, Any]]] = [
    {"id": 1, "n": 0, "small": 0, "f": 0.0, "d": _D("0"), "t": "", "b": False, "m": _at(0),
     "day": dt.date(2024, 1, 1), "u": uuid.UUID(int=1), "blob": b""},
    {"id": 2, "n": -1, "small": 7, "f": 0.5, "d": _D("0.5"), "t": "A", "b": True, "m": _at(1),
     "day": dt.date(1, 1, 1), "u": uuid.UUID(int=2), "blob": b"\x00"},
    {"id": 3, "n": 2**63 - 1, "small": 2**31 - 1, "f": 1e300, "d": _D("-1.0001"), "t": "a",
    "b": True,
     "m": _at(2), "day": dt.date(9999, 12, 31), "u": uuid.UUID(int=2**127), "blob": b"a"},
    {"id": 4, "n": -(2**63), "small": -(2**31), "f": -1.5, "d": _D("10"), "t": "á", "b": None},
    {"id": 5, "n": 10, "small": 10, "f": 10.0, "d": _D("10"), "t": "😀"},
    {"id": 6},
]  # fmt: skip

filter_cases(
    Sample,
    ROWS,
    (
        ("filters.eq.int", "filters.comparison", {"n": 10}, [5], "A plain value means equal."),
        ("filters.eq.operator", "filters.comparison", {"n": {"$eq": -1}}, [2], "$eq means equal."),
        ("filters.eq.limit", "filters.comparison", {"n": 2**63 - 1}, [3],
         "The largest int is found."),
        ("filters.eq.float_of_int", "filters.comparison", {"n": 10.0}, [5],
         "A float that is a whole number equals the int."),
        ("filters.eq.fraction_of_int", "filters.comparison", {"n": 10.5}, [],
         "No int equals a fraction."),
        ("filters.eq.decimal_of_int", "filters.comparison", {"d": 10}, [4, 5],
         "An int equals the Decimal of its value."),
        ("filters.eq.boolean", "filters.comparison", {"b": True}, [2, 3],
         "True is not 1 but True."),
        ("filters.eq.false", "filters.comparison", {"b": False}, [1], "False is not null."),
        ("filters.eq.empty_text", "filters.comparison", {"t": ""}, [1],
         "Empty text is a value, not null."),
        ("filters.eq.uuid_text", "filters.comparison", {"u": str(uuid.UUID(int=2)).upper()}, [2],
         "Text of a UUID is taken for the UUID."),
        ("filters.eq.moment_zone", "filters.comparison",
         {"m": dt.datetime(2024, 1, 1, 8, tzinfo=dt.timezone(dt.timedelta(hours=8)))}, [1],
         "An instant is found whatever zone it is written in."),
        ("filters.eq.empty_bytes", "filters.comparison", {"blob": b""}, [1],
         "Empty bytes are a value."),
        ("filters.eq.wide_int_on_short", "filters.comparison", {"small": 2**40}, [],
         "A 32-bit field may be compared with a larger number."),
        ("filters.ne.int", "filters.comparison", {"n": {"$ne": 10}}, [1, 2, 3, 4, 6],
         "$ne lets null through, as a document without the field."),
        ("filters.ne.null", "filters.comparison", {"n": {"$ne": None}}, [1, 2, 3, 4, 5],
         "$ne null means: there is a value."),
        ("filters.ne.boolean", "filters.comparison", {"b": {"$ne": True}}, [1, 4, 5, 6],
         "$ne True lets False and null through."),
        ("filters.ne.never_equal", "filters.comparison", {"n": {"$ne": 10.5}}, [1, 2, 3, 4, 5, 6],
         "Everything differs from what no int can equal."),
        ("filters.gt.int", "filters.comparison", {"n": {"$gt": 0}}, [3, 5], "$gt leaves null out."),
        ("filters.gt.fraction", "filters.comparison", {"n": {"$gt": 9.5}}, [3, 5],
         "Ints are compared with fractions by value."),
        ("filters.gte.fraction", "filters.comparison", {"n": {"$gte": 9.5}}, [3, 5],
         "At least 9.5 is at least 10."),
        ("filters.lt.fraction", "filters.comparison", {"n": {"$lt": -0.5}}, [2, 4],
         "Below -0.5 is at most -1."),
        ("filters.lte.fraction", "filters.comparison", {"n": {"$lte": -1.5}}, [4],
         "At most -1.5 is at most -2."),
        ("filters.lt.int", "filters.comparison", {"n": {"$lt": 0}}, [2, 4], "$lt leaves null out."),
        ("filters.range", "filters.comparison", {"n": {"$gte": -1, "$lt": 10}}, [1, 2],
         "Two operators under a field both hold."),
        ("filters.gt.float", "filters.comparison", {"f": {"$gt": 0.5}}, [3, 5],
         "Floats are ordered."),
        ("filters.gt.decimal", "filters.comparison", {"d": {"$gt": _D("-1.0001"),
         "$lt": _D("0.5")}}, [1],
         "Decimals are ordered exactly."),
        ("filters.gt.decimal_finer", "filters.comparison", {"d": {"$gte": _D("-1.00005")}}, [1, 2,
         4, 5],
         "A Decimal is compared with a number of more digits by value."),
        ("filters.gt.text", "filters.comparison", {"t": {"$gt": "A"}}, [3, 4, 5],
         "Text is ordered by code point: 'A' < 'a' < 'á' < emoji."),
        ("filters.lt.text", "filters.comparison", {"t": {"$lt": "a"}}, [1, 2],
         "Empty text comes first."),
        ("filters.gt.boolean", "filters.comparison", {"b": {"$gt": False}}, [2, 3],
         "False is before True."),
        ("filters.gt.moment", "filters.comparison", {"m": {"$gt": _at(0)}}, [2, 3],
         "Instants are ordered to the microsecond."),
        ("filters.gt.date", "filters.comparison", {"day": {"$gt": "2023-12-31"}}, [1, 3],
         "Days are ordered."),
        ("filters.gt.uuid", "filters.comparison", {"u": {"$gt": uuid.UUID(int=1)}}, [2, 3],
         "UUIDs are ordered by their text."),
        ("filters.gt.bytes", "filters.comparison", {"blob": {"$gt": b""}}, [2, 3],
         "Bytes are ordered byte by byte."),
        ("filters.between", "filters.comparison", {"n": {"$between": [-1, 10]}}, [1, 2, 5],
         "$between includes both ends."),
        ("filters.between.empty", "filters.comparison", {"n": {"$between": [10, -1]}}, [],
         "$between from high to low is empty."),
        ("filters.null.eq", "filters.null", {"n": None}, [6], "A plain None means null."),
        ("filters.null.gte", "filters.null", {"n": {"$gte": None}}, [6], "$gte null means null."),
        ("filters.null.lte", "filters.null", {"n": {"$lte": None}}, [6], "$lte null means null."),
        ("filters.null.gt", "filters.null", {"n": {"$gt": None}}, [],
         "Nothing is greater than null."),
        ("filters.null.lt", "filters.null", {"n": {"$lt": None}}, [], "Nothing is less than null."),
        ("filters.in", "filters.membership", {"n": {"$in": [0, 10, 99]}}, [1, 5],
         "$in means one of."),
        ("filters.in.empty", "filters.membership", {"n": {"$in": []}}, [],
         "$in of nothing is nothing."),
        ("filters.in.null", "filters.membership", {"n": {"$in": [0, None]}}, [1, 6],
         "None in a list means null."),
        ("filters.in.only_null", "filters.membership", {"n": {"$in": [None]}}, [6],
         "A list of None alone means null."),
        ("filters.in.fraction", "filters.membership", {"n": {"$in": [0.5, 10.0]}}, [5],
         "A fraction in a list for ints is never found."),
        ("filters.in.text", "filters.membership", {"t": {"$in": ["a", "A ", "😀"]}}, [3, 5],
         "A list of texts is compared by code point."),
        ("filters.in.decimal", "filters.membership", {"d": {"$in": [10, _D("0.50")]}}, [2, 4, 5],
         "A list may mix ints and Decimals."),
        ("filters.in.boolean", "filters.membership", {"b": {"$in": [True, None]}}, [2, 3, 4, 5, 6],
         "A list of bools."),
        ("filters.in.many", "filters.membership", {"n": {"$in": list(range(5_000))}}, [1, 5],
         "A list may have thousands of values."),
        ("filters.nin", "filters.membership", {"n": {"$nin": [0, 10]}}, [2, 3, 4, 6],
         "$nin lets null through."),
        ("filters.nin.empty", "filters.membership", {"n": {"$nin": []}}, [1, 2, 3, 4, 5, 6],
         "$nin of nothing is everything."),
        ("filters.nin.null", "filters.membership", {"n": {"$nin": [0, None]}}, [2, 3, 4, 5],
         "$nin with None leaves null out."),
        ("filters.mod", "filters.modulo", {"n": {"$mod": [3, 1]}}, [3, 5],
         "$mod is the remainder of a division."),
        ("filters.mod.negative", "filters.modulo", {"n": {"$mod": [2, -1]}}, [2],
         "The remainder has the sign of the dividend."),
        ("filters.bits.all_set", "filters.bits", {"n": {"$bitsAllSet": [1, 3]}}, [2, 3, 5],
         "$bitsAllSet takes positions; negative ints are two's complement."),
        ("filters.bits.any_set", "filters.bits", {"n": {"$bitsAnySet": 5}}, [2, 3],
         "$bitsAnySet takes a mask."),
        ("filters.bits.all_clear", "filters.bits", {"n": {"$bitsAllClear": 5}}, [1, 4, 5],
         "$bitsAllClear leaves null out."),
        ("filters.bits.any_clear", "filters.bits", {"n": {"$bitsAnyClear": [0, 62]}}, [1, 4, 5],
         "$bitsAnyClear: at least one bit is 0."),
    ),
)  # fmt: skip


def _call(document: Any) -> Callable[[Session, Any], Awaitable[Any]]:
    return lambda session, model: session.run(model, "List", filter=document)


refusal_cases(
    Sample,
    (
        ("filters.refused.unknown_field", "filters.comparison", UnknownField, _call({"nn": 1}),
         "A field that the model does not have is refused."),
        ("filters.refused.unknown_operator", "filters.comparison", UnknownOperator,
         _call({"n": {"$gtt": 1}}), "An operator that does not exist is refused."),
        ("filters.refused.case", "filters.comparison", UnknownOperator, _call({"n": {"$GT": 1}}),
         "Operators are written in one case."),
        ("filters.refused.text_for_int", "filters.comparison", InvalidType, _call({"n": "0"}),
         "Text is never compared with a number."),
        ("filters.refused.zero_for_text", "filters.comparison", InvalidType, _call({"t": 0}),
         "A number is never compared with text, so 0 opens no door."),
        ("filters.refused.boolean_for_int", "filters.comparison", InvalidType, _call({"n": True}),
         "True is no int."),
        ("filters.refused.int_for_boolean", "filters.comparison", InvalidType, _call({"b": 1}),
         "1 is no bool."),
        ("filters.refused.in_text", "filters.membership", InvalidFilter,
         _call({"t": {"$in": "abc"}}),
         "$in takes a list, not text."),
        ("filters.refused.mixed", "filters.comparison", InvalidFilter, _call({"n": {"$gt": 1,
         "x": 2}}),
         "Operators and plain keys do not mix."),
        ("filters.refused.mod_zero", "filters.modulo", InvalidFilter, _call({"n": {"$mod": [0,
         0]}}),
         "$mod by 0 is refused."),
        ("filters.refused.key", "filters.comparison", InvalidFilter, _call({1: 2}),
         "Keys are text."),
        ("filters.refused.list", "filters.comparison", InvalidFilter, _call([("n", 1)]),
         "A filter is a dict."),
    ),
)  # fmt: skip


async def _required(session: Session) -> None:
    class Required:
        id: int
        n: int

    model = session.model(Required)
    rows = [{"id": 1, "n": 0}, {"id": 2, "n": 1}]
    await session.load(model, rows)
    for document, ids in (
        ({"n": {"$ne": 0}}, [2]),
        ({"n": {"$nin": [1]}}, [1]),
        ({"n": None}, []),
        ({"n": {"$exists": True}}, [1, 2]),
        ({"n": {"$not": {"$gt": 0}}}, [1]),
    ):
        await session.expect_filter(model, rows, document, ids)


register(
    "filters.required_field",
    _required,
    feature="filters.comparison",
    rule="A field that takes no null follows the same rules.",
)


@case("filters.by_reference_key", feature="filters.comparison")
async def text_key(session: Session) -> None:
    """A key declared as text stays text: '1' and '01' are two rows."""

    class TextKey:
        id: str
        n: int

    model = session.model(TextKey)
    await session.load(model, [{"id": "1", "n": 1}, {"id": "01", "n": 2}, {"id": "1 ", "n": 3}])
    session.equal((await session.run(model, "Read", id="01"))["n"], 2)
    await session.expect_list(model, {"id": {"$in": ["1", "1 "]}}, ["1", "1 "])
