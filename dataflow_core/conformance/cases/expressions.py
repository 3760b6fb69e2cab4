"""Every function of expressions, with null and the values at which databases differ."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import register
from dataflow_core.conformance.tables import refusal_cases
from dataflow_core.errors import InvalidFilter, InvalidType, OutOfRange, UnknownOperator

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_D = decimal.Decimal


class Row:
    """Operands."""

    id: int
    a: int | None
    b: int | None
    f: float | None
    d: _D | None
    t: str | None
    s: str | None
    nothing: str | None
    flag: bool | None
    m: dt.datetime | None
    day: dt.date | None
    clock: dt.time | None


_ROW: Final[dict[str, Any]] = {
    "id": 1, "a": 7, "b": -2, "f": 2.5, "d": _D("1.2345"), "t": "Ärger", "s": "a😀c", "flag": True,
    "m": dt.datetime(2024, 2, 29, 23, 45, 6, 789012, tzinfo=dt.UTC), "day": dt.date(2024, 12, 29),
    "clock": dt.time(5, 6),
}  # fmt: skip
_M: Final = "expressions.arithmetic"
_T: Final = "expressions.text"
_L: Final = "expressions.logic"
_DATE: Final = "expressions.date"


def _utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type,misc]


_TABLE: Final[tuple[tuple[str, str, Any, Any, str], ...]] = (
    ("add", _M, {"$add": ["$a", "$b", 1]}, 6, "$add takes any number of arguments."),
    ("add.mixed", _M, {"$add": ["$a", "$f"]}, 9.5, "An int beside a float is a float."),
    ("add.decimal", _M, {"$add": ["$d", "$a"]}, _D("8.2345"),
     "An int beside a Decimal is a Decimal."),
    ("add.null", _M, {"$add": ["$a", None]}, None, "Arithmetic with null is null."),
    ("add.wide", _M, {"$add": [{"$literal": 2**31 - 1}, "$a"]}, 2**31 + 6,
     "Ints are computed in 64 bits."),
    ("subtract", _M, {"$subtract": ["$b", "$a"]}, -9, "$subtract."),
    ("multiply", _M, {"$multiply": ["$a", "$b"]}, -14, "$multiply."),
    ("multiply.wide", _M, {"$multiply": [{"$literal": 2**31}, "$a", 2]}, 2**31 * 14,
     "Products are computed in 64 bits."),
    ("multiply.decimal", _M, {"$multiply": ["$d", "$d"]}, _D("1.52399025"),
     "Scales of Decimals add up."),
    ("divide", _M, {"$divide": ["$a", "$b"]}, -3.5, "$divide is real division, of ints too."),
    ("divide.zero", _M, {"$divide": ["$a", 0]}, None, "Division by 0 is null."),
    ("divide.decimal", _M, {"$divide": ["$d", 1]}, 1.2345, "$divide of a Decimal is a float."),
    ("mod", _M, {"$mod": ["$a", 3]}, 1, "$mod."),
    ("mod.negative", _M, {"$mod": [{"$literal": -7}, 3]}, -1,
     "The remainder has the sign of the dividend."),
    ("mod.float", _M, {"$mod": ["$f", 2]}, 0.5, "$mod of floats keeps the fraction."),
    ("mod.decimal", _M, {"$mod": ["$d", 1]}, _D("0.2345"), "$mod of Decimals is exact."),
    ("mod.zero", _M, {"$mod": ["$a", 0]}, None, "$mod by 0 is null."),
    ("abs", _M, {"$abs": "$b"}, 2, "$abs."),
    ("abs.decimal", _M, {"$add": [{"$abs": {"$subtract": ["$d", 2]}}, 1]}, _D("1.7655"),
     "$abs of a Decimal is computed on with."),
    ("abs.compared", _M, {"$gte": ["$d", {"$abs": "$d"}]}, True,
     "$abs of a Decimal is compared with one."),
    ("ceil", _M, {"$ceil": "$f"}, 3.0, "$ceil of a float is a float."),
    ("ceil.negative", _M, {"$ceil": {"$subtract": [0, "$f"]}}, -2.0, "$ceil of -2.5 is -2."),
    ("floor", _M, {"$floor": {"$subtract": [0, "$d"]}}, _D(-2), "$floor of a Decimal."),
    ("floor.int", _M, {"$floor": "$a"}, 7, "$floor of an int is the int."),
    ("concat", _T, {"$concat": ["$t", "-", "$s"]}, "Ärger-a😀c", "$concat joins."),
    ("concat.null", _T, {"$concat": ["$t", None]}, None, "$concat with null is null."),
    ("lower", _T, {"$toLower": "$t"}, "ärger", "$toLower goes beyond ASCII."),
    ("upper", _T, {"$toUpper": "$t"}, "ÄRGER", "$toUpper goes beyond ASCII."),
    ("lower.null", _T, {"$toLower": "$nothing"}, "", "$toLower of null is empty text."),
    ("substring", _T, {"$substrCP": ["$s", 1, 2]}, "😀c", "$substrCP counts code points, from 0."),
    ("substring.beyond", _T, {"$substrCP": ["$s", 2, 99]}, "c", "$substrCP stops at the end."),
    ("substring.null", _T, {"$substrCP": ["$nothing", 0, 1]}, "",
     "$substrCP of null is empty text."),
    ("length", _T, {"$strLenCP": "$s"}, 3, "$strLenCP counts code points."),
    ("literal", _T, {"$concat": [{"$literal": "$a"}, "!"]}, "$a!",
     "$literal keeps text that looks like a field."),
    ("cond", _L, {"$cond": [{"$gt": ["$a", 5]}, "big", "small"]}, "big", "$cond chooses."),
    ("cond.named", _L, {"$cond": {"if": "$flag", "then": 1, "else": 2}}, 1, "$cond with names."),
    ("cond.null", _L, {"$cond": [None, 1, 2]}, 2, "Null counts as false."),
    ("cond.zero", _L, {"$cond": [{"$add": ["$a", -7]}, 1, 2]}, 2, "0 counts as false."),
    ("cond.mixed", _L, {"$cond": ["$flag", "$a", "$f"]}, 7.0, "The branches become one type."),
    ("cond.null_branch", _L, {"$cond": [{"$gt": ["$a", 99]}, "$m", None]}, None,
     "A branch may be null, whatever the type of the other."),
    ("if_null", _L, {"$ifNull": [None, "$a"]}, 7, "$ifNull takes the first that is not null."),
    ("if_null.zero", _L, {"$ifNull": [{"$add": ["$a", -7]}, 5]}, 0, "0 is not null."),
    ("switch", _L, {"$switch": {"branches": [{"case": {"$lt": ["$a", 5]}, "then": "low"},
     {"case": {"$lt": ["$a", 9]}, "then": "middle"}], "default": "high"}}, "middle",
     "$switch takes the first case that is true."),
    ("switch.default", _L, {"$switch": {"branches": [{"case": {"$lt": ["$a", 5]}, "then": 1}]}},
     None,
     "$switch without a default gives null."),
    ("eq", _L, {"$eq": ["$a", 7.0]}, True, "Numbers are compared by value."),
    ("eq.null", _L, {"$eq": [None, None]}, True, "Null equals null in expressions."),
    ("ne.null", _L, {"$ne": ["$a", None]}, True, "A value differs from null."),
    ("lt.null", _L, {"$lt": [None, "$b"]}, True, "Null is less than any number."),
    ("gt.text", _L, {"$gt": ["$t", "Z"]}, True, "Text is compared by code point: 'Ä' > 'Z'."),
    ("gte.decimal", _L, {"$gte": ["$d", _D("1.23450000")]}, True,
     "Decimals of two scales are compared."),
    ("and", _L, {"$and": ["$flag", {"$eq": ["$a", 7]}, None]}, False, "$and with null is false."),
    ("or", _L, {"$or": [None, "$flag"]}, True, "$or with null looks at the others."),
    ("not", _L, {"$not": [None]}, True, "Not null is true."),
    ("and.text", _L, {"$and": [{"$literal": ""}, "$t"]}, True,
     "Empty text counts as true, as in MongoDB."),
    ("year", _DATE, {"$year": "$m"}, 2024, "$year."),
    ("month", _DATE, {"$month": "$day"}, 12, "$month of a day."),
    ("day_of_month", _DATE, {"$dayOfMonth": "$m"}, 29, "$dayOfMonth."),
    ("hour", _DATE, {"$hour": "$m"}, 23, "$hour is that of UTC."),
    ("hour.time", _DATE, {"$hour": "$clock"}, 5, "$hour of a time."),
    ("year.null", _DATE, {"$year": {"$cond": [False, "$m", None]}}, None,
     "A part of null is null."),
    ("trunc.year", _DATE, {"$dateTrunc": {"date": "$m", "unit": "year"}}, _utc(2024, 1, 1),
     "The year."),
    ("trunc.quarter", _DATE, {"$dateTrunc": {"date": "$day", "unit": "quarter"}}, dt.date(2024, 10,
     1),
     "The quarter, of a day."),
    ("trunc.month", _DATE, {"$dateTrunc": {"date": "$m", "unit": "month"}}, _utc(2024, 2, 1),
     "The month."),
    ("trunc.week", _DATE, {"$dateTrunc": {"date": "$m", "unit": "week"}}, _utc(2024, 2, 25),
     "A week starts on Sunday."),
    ("trunc.week_sunday", _DATE, {"$dateTrunc": {"date": "$day", "unit": "week"}}, dt.date(2024, 12,
     29),
     "A Sunday is the start of its week."),
    ("trunc.day", _DATE, {"$dateTrunc": {"date": "$m", "unit": "day"}}, _utc(2024, 2, 29),
     "The day."),
    ("trunc.hour", _DATE, {"$dateTrunc": {"date": "$m", "unit": "hour"}}, _utc(2024, 2, 29, 23),
     "The hour."),
    ("trunc.minute", _DATE, {"$dateTrunc": {"date": "$m", "unit": "minute"}}, _utc(2024, 2, 29, 23,
     45),
     "The minute."),
    ("trunc.second", _DATE, {"$dateTrunc": {"date": "$m", "unit": "second"}}, _utc(2024, 2, 29, 23,
     45, 6),
     "The second."),
)  # fmt: skip


def _computes(expression: Any, expected: Any) -> Callable[[Session], Awaitable[None]]:
    async def check(session: Session) -> None:
        model = session.model(Row)
        await session.load(model, [_ROW])
        await session.check_pipeline(
            model, [_ROW], [{"$project": {"v": expression}}], [{"v": expected}]
        )

    return check


for _id, _feature, _expression, _expected, _rule in _TABLE:
    register(f"expressions.{_id}", _computes(_expression, _expected), feature=_feature, rule=_rule)


def _overflows(expression: Any) -> Callable[[Session], Awaitable[None]]:
    async def check(session: Session) -> None:
        model = session.model(Row)
        await session.load(model, [{**_ROW, "a": 2**63 - 1, "f": 1e308, "d": _D(10**13)}])
        call = partial(session.run, model, "List", aggregate=[{"$project": {"v": expression}}])
        await session.expect_error(OutOfRange, call)

    return check


for _id, _expression in (
    ("add", {"$add": ["$a", 1]}),
    ("subtract", {"$subtract": [-2, "$a"]}),
    ("multiply", {"$multiply": ["$a", "$a"]}),
    ("float", {"$multiply": ["$f", "$f"]}),
):
    register(
        f"expressions.overflow.{_id}",
        _overflows(_expression),
        feature=_M,
        rule="A result that leaves the range of its type is OutOfRange, never another type.",
    )


def _project(expression: Any) -> Callable[[Session, Any], Awaitable[Any]]:
    pipeline = [{"$project": {"v": expression}}]
    return lambda session, model: session.run(model, "List", aggregate=pipeline)


refusal_cases(
    Row,
    (
        ("expressions.refused.unknown", _M, UnknownOperator, _project({"$plus": [1, 2]}),
         "An unknown function is refused."),
        ("expressions.refused.text", _M, InvalidType, _project({"$add": ["$t", 1]}),
         "Text is no number."),
        ("expressions.refused.exactness", _M, InvalidType, _project({"$add": ["$d", "$f"]}),
         "Decimal and float do not mix."),
        ("expressions.refused.arguments", _M, InvalidFilter, _project({"$subtract": ["$a"]}),
         "The number of arguments is checked."),
        ("expressions.refused.concat_int", _T, InvalidType, _project({"$concat": ["$t", "$a"]}),
         "A number is not joined with text."),
        ("expressions.refused.compare", _L, InvalidType, _project({"$gt": ["$a", "$t"]}),
         "A number is not compared with text."),
        ("expressions.refused.branches", _L, InvalidType, _project({"$cond": ["$flag", 1, "x"]}),
         "The branches of a choice are of one type."),
        ("expressions.refused.year", _DATE, InvalidType, _project({"$year": "$a"}),
         "A number has no year."),
    ),
)  # fmt: skip
