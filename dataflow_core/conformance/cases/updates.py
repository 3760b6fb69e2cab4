"""Update operators on plain fields, null as MongoDB does."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case
from dataflow_core.conformance.tables import refusal_cases, update_cases
from dataflow_core.errors import (
    FilterRequired,
    InvalidType,
    InvalidUpdate,
    ManagedField,
    MultipleRecordsMatched,
    OutOfRange,
    UnknownField,
    UnknownOperator,
    ValueTooLong,
)
from dataflow_core.schema.declare import field

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_D = decimal.Decimal


class Thing:
    """Fields to change."""

    id: int
    a: int | None
    b: int | None
    small: int | None = field(default=None, bits=32)
    f: float | None
    d: _D | None
    t: str | None
    s: str | None
    short: str | None = field(default=None, max_length=4)
    flag: bool | None
    m: dt.datetime | None
    day: dt.date | None
    required: int = 0


_MATH: Final = "updates.arithmetic"
_SET: Final = "updates.set"
_BIT: Final = "updates.bits"
_EXPR: Final = "updates.expression"
_DAY: Final = dt.datetime(2024, 5, 17, 13, 14, 15, 16, tzinfo=dt.UTC)

update_cases(
    Thing,
    (
        ("updates.plain", _SET, {"a": 1}, {"a": 2}, {"a": 2}, "A plain value is set."),
        ("updates.plain.null", _SET, {"a": 1}, {"a": None}, {"a": None}, "A plain None clears."),
        ("updates.set", _SET, {"a": 1, "t": "x"}, {"$set": {"a": 2, "t": ""}}, {"a": 2, "t": ""},
         "$set sets several fields; empty text is a value."),
        ("updates.set.mixed", _SET, {"a": 1, "b": 1}, {"a": 5, "$inc": {"b": 2}}, {"a": 5, "b": 3},
         "Plain values and operators stand together."),
        ("updates.set.dollar_text", _SET, {"t": "x", "s": "y"}, {"t": "$s"}, {"t": "$s"},
         "Text that looks like a field is text."),
        ("updates.set.sql_text", _SET, {"t": "x"}, {"t": "'); DROP TABLE x; --"},
         {"t": "'); DROP TABLE x; --"}, "Text that looks like SQL is text."),
        ("updates.unset", _SET, {"a": 1}, {"$unset": {"a": ""}}, {"a": None}, "$unset makes null."),
        ("updates.unset.null", _SET, {}, {"$unset": {"a": ""}}, {"a": None},
         "$unset of null stays null."),
        ("updates.inc", _MATH, {"a": 1}, {"$inc": {"a": -3}}, {"a": -2}, "$inc adds."),
        ("updates.inc.null", _MATH, {}, {"$inc": {"a": 3}}, {"a": 3},
         "$inc on null gives the amount."),
        ("updates.inc.float", _MATH, {"f": 0.5}, {"$inc": {"f": 1}}, {"f": 1.5},
         "$inc takes an int for a float."),
        ("updates.inc.decimal", _MATH, {"d": _D("0.1")}, {"$inc": {"d": _D("0.2")}},
         {"d": _D("0.3")},
         "$inc on Decimals is exact."),
        ("updates.inc.limit", _MATH, {"a": 2**63 - 2}, {"$inc": {"a": 1}}, {"a": 2**63 - 1},
         "$inc reaches the largest int exactly."),
        ("updates.mul", _MATH, {"a": 3}, {"$mul": {"a": -2}}, {"a": -6}, "$mul multiplies."),
        ("updates.mul.null", _MATH, {}, {"$mul": {"a": 2}}, {"a": 0}, "$mul on null gives 0."),
        ("updates.mul.null_decimal", _MATH, {}, {"$mul": {"d": 2}}, {"d": _D(0)},
         "$mul on a null Decimal gives 0."),
        ("updates.mul.decimal", _MATH, {"d": _D("0.5")}, {"$mul": {"d": _D("0.0001")}},
         {"d": _D("0.0001")},
         "$mul rounds to the scale of the field, halves away from zero."),
        ("updates.min", _MATH, {"a": 3}, {"$min": {"a": 2}}, {"a": 2}, "$min takes the lesser."),
        ("updates.min.greater", _MATH, {"a": 3}, {"$min": {"a": 5}}, {"a": 3},
         "$min keeps the lesser."),
        ("updates.min.null", _MATH, {}, {"$min": {"a": 5}}, {"a": 5}, "$min on null sets."),
        ("updates.max", _MATH, {"t": "a"}, {"$max": {"t": "á"}}, {"t": "á"},
         "$max takes the greater, of text by code point."),
        ("updates.max.case", _MATH, {"t": "a"}, {"$max": {"t": "B"}}, {"t": "a"},
         "'B' is less than 'a'."),
        ("updates.max.null", _MATH, {}, {"$max": {"m": _DAY}}, {"m": _DAY}, "$max on null sets."),
        ("updates.max.decimal", _MATH, {"d": _D("9")}, {"$max": {"d": _D("10")}}, {"d": _D("10")},
         "$max compares Decimals as numbers."),
        ("updates.rename", _SET, {"a": 1, "b": 2}, {"$rename": {"a": "b"}}, {"a": None, "b": 1},
         "$rename moves a value."),
        ("updates.rename.null", _SET, {"b": 2}, {"$rename": {"a": "b"}}, {"a": None, "b": 2},
         "$rename from null changes nothing."),
        ("updates.bit.and", _BIT, {"a": 13}, {"$bit": {"a": {"and": 10}}}, {"a": 8}, "$bit and."),
        ("updates.bit.or", _BIT, {"a": 5}, {"$bit": {"a": {"or": 10}}}, {"a": 15}, "$bit or."),
        ("updates.bit.xor", _BIT, {"a": 13}, {"$bit": {"a": {"xor": 10}}}, {"a": 7}, "$bit xor."),
        ("updates.bit.negative", _BIT, {"a": -1}, {"$bit": {"a": {"xor": 5}}}, {"a": -6},
         "$bit takes negative ints as two's complement."),
        ("updates.bit.null", _BIT, {}, {"$bit": {"a": {"or": 3}}}, {"a": 3},
         "$bit takes null as 0."),
        ("updates.expression.field", _EXPR, {"a": 1, "b": 2}, {"a": {"$add": ["$a", "$b"]}},
         {"a": 3},
         "A value may be computed from the row."),
        ("updates.expression.swap", _EXPR, {"a": 1, "b": 2},
         {"a": {"$add": ["$b", 0]}, "b": {"$add": ["$a", 0]}}, {"a": 2, "b": 1},
         "Every assignment reads the row as it was: two fields swap."),
        ("updates.expression.after_inc", _EXPR, {"a": 1, "b": 0},
         {"$inc": {"a": 5}, "b": {"$add": ["$a", 0]}}, {"a": 6, "b": 1},
         "An expression sees the value from before the update."),
        ("updates.expression.text", _EXPR, {"t": "x", "s": "y"}, {"t": {"$concat": ["$t", "-",
         "$s"]}},
         {"t": "x-y"}, "Text is joined."),
        ("updates.expression.null", _EXPR, {"a": 1}, {"a": {"$add": ["$a", "$b"]}}, {"a": None},
         "A computation with null is null."),
        ("updates.expression.cond", _EXPR, {"a": 5}, {"flag": {"$gt": ["$a", 3]}}, {"flag": True},
         "A comparison gives True."),
        ("updates.expression.decimal", _EXPR, {"d": _D("1.5"), "a": 3}, {"d": {"$multiply": ["$d",
         "$a"]}},
         {"d": _D("4.5")}, "An int times a Decimal is exact."),
        ("updates.expression.trunc", _EXPR, {"m": _DAY},
         {"m": {"$dateTrunc": {"date": "$m", "unit": "day"}}},
         {"m": dt.datetime(2024, 5, 17, tzinfo=dt.UTC)}, "An instant is cut to its day."),
    ),
)  # fmt: skip


@case("updates.current_date", feature=_SET)
async def current_date(session: Session) -> None:
    """$currentDate sets the client's clock, the same for all rows of the call."""
    model = session.model(Thing)
    await session.load(model, [{"id": 1}, {"id": 2}])
    before = dt.datetime.now(dt.UTC)
    await session.run(
        model,
        "BulkUpdate",
        filter={},
        allow_all=True,
        fields={"$currentDate": {"m": True, "day": True}},
    )
    after = dt.datetime.now(dt.UTC)
    one, two = await session.rows(model)
    session.equal(one["m"], two["m"], "moments of one call")
    session.true(before <= one["m"] <= after, f"{one['m']} is not between {before} and {after}")
    session.true(one["day"] in (before.date(), after.date()), f"{one['day']} is not today in UTC")


@case("updates.result", feature=_SET)
async def result_of_update(session: Session) -> None:
    """Update gives the row after it, and whether a row was hit; the same value again is a hit."""
    model = session.model(Thing)
    [row] = await session.load(model, [{"id": 1, "a": 1}])
    same = await session.run(model, "Update", id=1, fields={"a": 1})
    session.equal((same["updated"], same["result"]), (True, row))
    none = await session.run(model, "Update", id=2, fields={"a": 1})
    session.equal((none["updated"], none["result"]), (False, None))


@case("updates.several", feature=_SET)
async def several_matches(session: Session) -> None:
    """Update of more than one match is MultipleRecordsMatched and changes nothing."""
    model = session.model(Thing)
    rows = await session.load(model, [{"id": n, "a": 1} for n in (1, 2, 3)])
    call = partial(session.run, model, "Update", filter={"a": 1}, fields={"b": 9})
    await session.expect_error(MultipleRecordsMatched, call)
    session.equal(await session.rows(model), rows)


@case("updates.filter_value", feature=_SET)
async def filter_sees_old_row(session: Session) -> None:
    """The filter looks at the row before the update."""
    model = session.model(Thing)
    await session.load(model, [{"id": 1, "a": 1}, {"id": 2, "a": 2}])
    done = await session.run(
        model, "BulkUpdate", filter={"a": {"$lt": 3}}, fields={"$inc": {"a": 1}}
    )
    session.equal(done["matched"], 2)
    session.equal([row["a"] for row in await session.rows(model)], [2, 3])


async def _unchanged(session: Session, error: type[Any], row: Any, fields: Any) -> None:
    """An update that fails for one row leaves all rows as they were."""
    model = session.model(Thing)
    rows = await session.load(model, [{"id": 1}, {"id": 2, **row}, {"id": 3}])
    for kind, document in (("BulkUpdate", {"id": {"$gt": 0}}), ("Update", {"id": 2})):
        call = partial(session.run, model, kind, filter=document, fields=fields)
        await session.expect_error(error, call, outcome="not done")
        session.equal(await session.rows(model), rows, f"rows after {kind}")


@case("updates.overflow.int", feature=_MATH)
async def int_overflow(session: Session) -> None:
    """An int that leaves 64 bits is OutOfRange, and no row changes."""
    await _unchanged(session, OutOfRange, {"a": 2**63 - 1}, {"$inc": {"a": 1}})


@case("updates.overflow.short", feature=_MATH)
async def short_overflow(session: Session) -> None:
    """An int that leaves 32 bits is OutOfRange in a 32-bit field, and no row changes."""
    await _unchanged(session, OutOfRange, {"small": 2**31 - 1}, {"$mul": {"small": 2}})


@case("updates.overflow.decimal", feature=_MATH)
async def decimal_overflow(session: Session) -> None:
    """A Decimal that leaves its digits is OutOfRange, and no row changes."""
    await _unchanged(session, OutOfRange, {"d": _D("99999999999999")}, {"$inc": {"d": 1}})


@case("updates.overflow.float", feature=_MATH)
async def float_overflow(session: Session) -> None:
    """A float that becomes infinite is OutOfRange, and no row changes."""
    await _unchanged(session, OutOfRange, {"f": 1e308}, {"$mul": {"f": 10}})


@case("updates.overflow.text", feature=_EXPR)
async def text_too_long(session: Session) -> None:
    """Computed text that is too long is ValueTooLong, and no row changes; nothing is cut."""
    await _unchanged(
        session, ValueTooLong, {"short": "abc"}, {"short": {"$concat": ["$short", "de"]}}
    )


def _update(fields: Any, **parameters: Any) -> Callable[[Session, Any], Awaitable[Any]]:
    return lambda session, model: session.run(
        model, "Update", fields=fields, **(parameters or {"id": 1})
    )


refusal_cases(
    Thing,
    (
        ("updates.refused.unknown_field", _SET, UnknownField, _update({"aa": 1}),
         "An unknown field is refused."),
        ("updates.refused.unknown_operator", _SET, UnknownOperator,
         _update({"$increment": {"a": 1}}),
         "An unknown operator is refused."),
        ("updates.refused.key", _SET, ManagedField, _update({"id": 2}), "The key never changes."),
        ("updates.refused.twice", _SET, InvalidUpdate, _update({"a": 1, "$inc": {"a": 1}}),
         "Two operators on one field are refused."),
        ("updates.refused.nothing", _SET, InvalidUpdate, _update({}),
         "An update that changes nothing."),
        ("updates.refused.inc_text", _MATH, InvalidUpdate, _update({"$inc": {"t": 1}}),
         "$inc is for numbers."),
        ("updates.refused.inc_none", _MATH, InvalidType, _update({"$inc": {"a": None}}),
         "$inc takes a number."),
        ("updates.refused.null", _SET, InvalidUpdate, _update({"required": None}),
         "A field that takes no null is not cleared."),
        ("updates.refused.no_filter", _SET, FilterRequired, _update({"a": 1}, filter={}),
         "An update without key or filter is refused."),
        ("updates.refused.set_on_insert", _SET, InvalidUpdate, _update({"$setOnInsert": {"a": 1}}),
         "$setOnInsert belongs to upserts."),
        ("updates.refused.expression_type", _EXPR, InvalidUpdate, _update({"a": {"$concat": ["$t",
         "x"]}}),
         "Text is not computed into an int."),
    ),
)  # fmt: skip
