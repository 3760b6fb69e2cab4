from __future__ import annotations

import datetime as dt
from decimal import Decimal as Number
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import OutOfRange
from dataflow_core.expressions.ast import Call, Expression, FieldValue, Literal, Null
from dataflow_core.expressions.evaluate import evaluate, is_true
from dataflow_core.expressions.functions import CALLS
from dataflow_core.filters.ast import Slot
from dataflow_core.schema import Field
from dataflow_core.types import (
    Boolean,
    Date,
    Decimal,
    FieldType,
    Float,
    Integer,
    Text,
    Time,
    Timestamp,
)

KINDS: tuple[tuple[type, FieldType], ...] = (
    (bool, Boolean()),
    (int, Integer()),
    (float, Float()),
    (str, Text()),
    (Number, Decimal(38, 4)),
    (dt.datetime, Timestamp()),
    (dt.date, Date()),
    (dt.time, Time()),
)


def kind_of(value: Any) -> FieldType:
    """The type of a value."""
    return next(kind for python_type, kind in KINDS if isinstance(value, python_type))


def calculate(function: str, *arguments: Any) -> Any:
    """The result of a function; a null takes the type of the first argument that is none."""
    known = next((kind_of(item) for item in arguments if item is not None), Integer())
    nodes: list[Expression] = [
        Null(known) if item is None else Literal(Slot(index, kind_of(item)))
        for index, item in enumerate(arguments)
    ]
    kind = CALLS[function].result_type(tuple(node.type for node in nodes), "test")
    return evaluate(Call(function, tuple(nodes), kind), {}, arguments)


def same(one: Any, other: Any) -> bool:
    """Equal and of one type: 1, 1.0 and True differ."""
    return type(one) is type(other) and bool(one == other)


def test_the_leaves_of_an_expression() -> None:
    """A field is the value in the row, NULL where there is none; a literal is what is bound."""
    age = Field("age", Integer(), "age_column", nullable=True)
    assert evaluate(FieldValue(age), {"age": 3}, []) == 3
    assert evaluate(FieldValue(age), {}, []) is None
    assert evaluate(Literal(Slot(1, Text())), {}, ["a", "b"]) == "b"
    assert evaluate(Null(Text()), {}, []) is None


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        ("add", (1, 2, 3), 6),
        ("add", (1, 0.5), 1.5),
        ("add", (1, Number("0.1")), Number("1.1")),
        ("add", (Number("0.1"), Number("0.2")), Number("0.3")),
        ("subtract", (1, 3), -2),
        ("multiply", (2, 3, 4), 24),
        ("multiply", (Number("1.0001"), Number("1.0001")), Number("1.00020001")),
        ("divide", (7, 2), 3.5),
        ("divide", (-7, 2), -3.5),
        ("divide", (Number("1"), 4), 0.25),
        ("mod", (7, 3), 1),
        ("mod", (-7, 3), -1),
        ("mod", (7, -3), 1),
        ("mod", (-7.5, 2), -1.5),
        ("mod", (Number("-7.5"), 2), Number("-1.5")),
        ("abs", (-3,), 3),
        ("abs", (-0.5,), 0.5),
        ("ceil", (1.2,), 2.0),
        ("ceil", (Number("-1.2"),), Number("-1")),
        ("ceil", (3,), 3),
        ("floor", (-1.2,), -2.0),
        ("floor", (Number("1.9"),), Number("1")),
    ],
)
def test_arithmetic(function: str, arguments: tuple[Any, ...], result: Any) -> None:
    """Numbers are computed exactly, or as floats as soon as one is a float or they are divided."""
    assert same(calculate(function, *arguments), result)


def test_decimals_are_exact_beyond_the_default_precision() -> None:
    """All 38 digits count, whatever the precision of Python's decimal context."""
    big = Number("1234567890123456789012345678901234.5678")
    assert calculate("add", big, Number("0.0001")) == Number(
        "1234567890123456789012345678901234.5679"
    )
    assert calculate("abs", big.copy_negate()) == big
    assert calculate("mod", big, 10) == Number("4.5678")


@pytest.mark.parametrize("function", ["divide", "mod"])
@pytest.mark.parametrize("number", [7, 7.5, Number("7.5")])
def test_division_by_zero_is_null(function: str, number: Any) -> None:
    """Dividing by zero gives NULL, not an error, for every kind of number."""
    assert calculate(function, number, type(number)(0)) is None


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("add", (2**63 - 1, 1)),
        ("add", (2**63 - 1, 1, -5)),
        ("subtract", (-(2**63), 1)),
        ("multiply", (2**62, 2)),
        ("abs", (-(2**63),)),
        ("add", (1.7e308, 1.7e308)),
        ("multiply", (1e200, 1e200)),
        ("divide", (1e300, 1e-300)),
        ("multiply", (Number(10**30), Number(10**4))),
    ],
)
def test_results_that_do_not_fit_are_refused(function: str, arguments: tuple[Any, ...]) -> None:
    """No wrapping around, no infinity, no turning into a float: the error names the function."""
    with pytest.raises(OutOfRange, match=rf"\${function}: the result does not fit"):
        calculate(function, *arguments)


def test_the_ends_of_the_range_fit() -> None:
    """The least and the greatest int can be results."""
    assert calculate("add", 2**63 - 2, 1) == 2**63 - 1
    assert calculate("subtract", -(2**63) + 1, 1) == -(2**63)
    assert calculate("mod", -(2**63), -1) == 0


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        ("concat", ("a", "", "b"), "ab"),
        ("toLower", ("ÀB",), "àb"),
        ("toUpper", ("straße",), "STRAßE"),
        ("substrCP", ("a😀bc", 1, 2), "😀b"),
        ("substrCP", ("abc", 2, 9), "c"),
        ("substrCP", ("abc", 5, 1), ""),
        ("substrCP", ("abc", 1, 0), ""),
        ("substrCP", ("abc", -1, 1), None),
        ("substrCP", ("abc", 0, -1), None),
        ("strLenCP", ("a😀",), 2),
        ("strLenCP", ("",), 0),
    ],
)
def test_text(function: str, arguments: tuple[Any, ...], result: Any) -> None:
    """Text functions count characters by code point."""
    assert calculate(function, *arguments) == result


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        ("add", (1, None), None),
        ("multiply", (None, 1.5), None),
        ("divide", (None, 0), None),
        ("abs", (None,), None),
        ("concat", ("a", None), None),
        ("year", (None,), None),
        ("dateTrunc.day", (None,), None),
        ("strLenCP", (None,), None),
        ("toLower", (None,), ""),
        ("toUpper", (None,), ""),
        ("not", (None,), True),
    ],
)
def test_what_functions_make_of_null(
    function: str, arguments: tuple[Any, ...], result: Any
) -> None:
    """NULL makes the result NULL; only changing case gives empty text, as in MongoDB."""
    kinds = {"concat": Text(), "strLenCP": Text(), "toLower": Text(), "toUpper": Text()}
    dates = {"year": Timestamp(), "dateTrunc.day": Timestamp()}
    default = {**kinds, **dates}.get(function, Integer())
    nodes: list[Expression] = [
        Null(default) if item is None else Literal(Slot(index, kind_of(item)))
        for index, item in enumerate(arguments)
    ]
    kind = CALLS[function].result_type(tuple(node.type for node in nodes), "test")
    assert evaluate(Call(function, tuple(nodes), kind), {}, arguments) == result


def test_parts_of_no_text_are_empty() -> None:
    """`$substrCP` of NULL is empty text; a NULL position gives NULL."""
    call = Call("substrCP", (Null(Text()), *[Literal(Slot(0, Integer()))] * 2), Text())
    assert evaluate(call, {}, [1]) == ""
    call = Call("substrCP", (Literal(Slot(1, Text())), *[Null(Integer())] * 2), Text())
    assert evaluate(call, {}, [1, "abc"]) is None


@pytest.mark.parametrize(
    ("one", "other", "smaller", "equal"),
    [
        (1, 2, True, False),
        (2, 2.0, False, True),
        (2, Number("2.0"), False, True),
        ("Z", "a", True, False),
        (False, True, True, False),
        (None, 1, True, False),
        (None, None, False, True),
        (dt.date(2024, 1, 1), dt.date(2024, 1, 2), True, False),
    ],
)
def test_comparisons_are_never_null(one: Any, other: Any, smaller: bool, equal: bool) -> None:
    """NULL equals NULL and is less than everything else; the six comparisons agree."""
    results = [calculate(name, one, other) for name in ("eq", "ne", "lt", "lte", "gt", "gte")]
    greater = not smaller and not equal
    expected = [equal, not equal, smaller, smaller or equal, greater, greater or equal]
    assert all(map(same, results, expected))


def test_an_int_beside_a_float_is_compared_as_a_float() -> None:
    """Beyond 2**53 several ints are one float; so it is on every database."""
    assert calculate("eq", 2**53 + 1, float(2**53)) is True
    assert calculate("eq", 2**53 + 1, Number(2**53)) is False


@pytest.mark.parametrize(
    ("value", "true"),
    [
        (None, False),
        (False, False),
        (0, False),
        (0.0, False),
        (Number("0.00"), False),
        (True, True),
        (-1, True),
        ("", True),
        (b"", True),
        (dt.time(), True),
    ],
)
def test_truth(value: Any, true: bool) -> None:
    """NULL, False and 0 are false; everything else is true, also empty text."""
    assert is_true(value) is true


def test_logic_gives_booleans() -> None:
    """`and`, `or` and `not` work on the truth of any value."""
    assert calculate("and", 1, "", True) is True
    assert calculate("and", 1, None) is False
    assert calculate("or", 0, None, False) is False
    assert calculate("or", 0, "x") is True
    assert calculate("not", 0) is True
    assert calculate("not", "") is False


def test_choices() -> None:
    """`cond`, `switch` and `ifNull` take the first that applies, in the common type of all."""
    assert calculate("cond", True, "a", "b") == "a"
    assert calculate("cond", 0, "a", "b") == "b"
    assert same(calculate("cond", True, 1, 2.5), 1.0)
    assert same(calculate("cond", False, 1, Number("2.5")), Number("2.5"))
    assert calculate("switch", False, "a", True, "b", True, "c", "d") == "b"
    assert calculate("switch", False, "a", 0, "b", "d") == "d"
    assert same(calculate("ifNull", None, 1, 2.5), 1.0)
    assert calculate("ifNull", None, None) is None


def test_what_is_not_chosen_is_not_computed() -> None:
    """A branch that would not fit its type does no harm as long as it is not taken."""
    too_much = Call("add", (Literal(Slot(0, Integer())),) * 2, Integer())
    one = Literal(Slot(1, Integer()))
    yes = Literal(Slot(2, Boolean()))
    values = [2**63 - 1, 1, True]
    for call in (
        Call("cond", (yes, one, too_much), Integer()),
        Call("switch", (yes, one, too_much, too_much, too_much), Integer()),
        Call("ifNull", (one, too_much), Integer()),
    ):
        assert evaluate(call, {}, values) == 1
    assert evaluate(Call("or", (yes, too_much), Boolean()), {}, values) is True


MOMENT = dt.datetime(2025, 8, 13, 14, 35, 58, 123456, tzinfo=dt.UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("function", "value", "result"),
    [
        ("year", MOMENT, 2025),
        ("month", MOMENT.date(), 8),
        ("dayOfMonth", MOMENT, 13),
        ("hour", MOMENT, 14),
        ("hour", MOMENT.time(), 14),
    ],
)
def test_parts_of_dates(function: str, value: Any, result: int) -> None:
    """Parts of datetimes (in UTC), of dates and of times."""
    assert calculate(function, value) == result


@pytest.mark.parametrize(
    ("unit", "start"),
    [
        ("year", (2025, 1, 1)),
        ("quarter", (2025, 7, 1)),
        ("month", (2025, 8, 1)),
        ("week", (2025, 8, 10)),
        ("day", (2025, 8, 13)),
        ("hour", (2025, 8, 13, 14)),
        ("minute", (2025, 8, 13, 14, 35)),
        ("second", (2025, 8, 13, 14, 35, 58)),
    ],
)
def test_truncation_of_datetimes(unit: str, start: tuple[int, ...]) -> None:
    """The start of every unit; a week starts on Sunday."""
    assert calculate(f"dateTrunc.{unit}", MOMENT) == dt.datetime(*start, tzinfo=dt.UTC)  # type: ignore[arg-type, misc]


@given(st.dates())
def test_truncation_of_dates(day: dt.date) -> None:
    """A unit starts on the day or before, and its start starts itself; weeks start on Sunday."""
    for unit in ("year", "quarter", "month", "week", "day"):
        start = calculate(f"dateTrunc.{unit}", day)
        assert type(start) is dt.date
        assert start <= day
        assert calculate(f"dateTrunc.{unit}", start) == start
    week = calculate("dateTrunc.week", day)
    assert (day - week).days < 7
    # The calendar starts on a Monday: its first week is a day short.
    assert week.isoweekday() == 7 or week == dt.date.min


@given(st.integers(-(2**31), 2**31), st.integers(-(2**31), 2**31).filter(bool))
def test_mod_completes_a_division_towards_zero(dividend: int, divisor: int) -> None:
    """The remainder is less than the divisor and has the sign of the dividend."""
    rest = calculate("mod", dividend, divisor)
    assert abs(rest) < abs(divisor)
    assert rest == 0 or (rest < 0) == (dividend < 0)
    assert (dividend - rest) % divisor == 0
