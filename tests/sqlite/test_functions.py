from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from decimal import Decimal as Number
from typing import Any

import pytest

from dataflow_core.dialect import json_condition
from dataflow_core.filters import Compare, IsNull, JsonPath, Slot
from dataflow_core.schema import Field
from dataflow_core.types import Decimal, Json
from dataflow_sqlite.functions.aggregates import register_aggregates
from dataflow_sqlite.functions.results import FunctionErrors, ResultOutOfRange
from dataflow_sqlite.functions.scalars import FUNCTIONS, register_functions
from dataflow_sqlite.types import codec


class Database:
    """A connection with the functions, and why one of them failed."""

    def __init__(self) -> None:
        self.errors = FunctionErrors()
        self.connection = sqlite3.connect(":memory:")
        register_functions(self.connection, self.errors)
        register_aggregates(self.connection, self.errors)

    def call(self, name: str, *arguments: Any) -> Any:
        marks = ", ".join("?" * len(arguments))
        return self.connection.execute(f"SELECT {name}({marks})", arguments).fetchone()[0]

    def fail(self, name: str, *arguments: Any) -> Exception | None:
        with pytest.raises(sqlite3.OperationalError):
            self.call(name, *arguments)
        return self.errors.take()

    def over(self, aggregate: str, values: list[Any], more: str = "") -> Any:
        self.connection.execute("DROP TABLE IF EXISTS t")
        self.connection.execute("CREATE TABLE t (v)")
        self.connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
        return self.connection.execute(f"SELECT {aggregate}(v{more}) FROM t").fetchone()[0]


@pytest.fixture
def database() -> Iterator[Database]:
    """A database in memory with all functions."""
    made = Database()
    yield made
    made.connection.close()


def encoded(value: str, precision: int, scale: int) -> Any:
    """The stored form of a Decimal."""
    encode = codec(Decimal(precision, scale)).encode
    assert encode is not None
    return encode(Number(value))


def decoded(value: Any, precision: int, scale: int) -> Number:
    """The Decimal of a stored form."""
    decode = codec(Decimal(precision, scale)).decode
    assert decode is not None
    number = decode(value)
    assert isinstance(number, Number)
    return number


@pytest.mark.parametrize("name", FUNCTIONS)
def test_null_makes_null(database: Database, name: str) -> None:
    """Every function gives NULL for a NULL argument."""
    assert database.call(name, None, *[1] * (FUNCTIONS[name][0] - 1)) is None


def test_folding_is_unicode(database: Database) -> None:
    """Text is folded beyond ASCII, unlike SQLite's own lower()."""
    assert database.call("dataflow_fold", "ÄÖÜ ABC Σ") == "äöü abc σ"
    assert database.call("dataflow_upper", "äöü abc") == "ÄÖÜ ABC"


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("add", (2**62, 2**62 - 1), 2**63 - 1),
        ("sub", (-(2**63), -1), -(2**63) + 1),
        ("mul", (-(2**31), 2**32), -(2**63)),
        ("mod", (-7, 3), -1),
        ("mod", (7, -3), 1),
        ("mod", (7, 0), None),
        ("mod", (-(2**63), 10), -8),
        ("abs", (-5,), 5),
    ],
)
def test_int_arithmetic_is_exact(
    database: Database, name: str, arguments: tuple[int, ...], result: int | None
) -> None:
    """Ints are exact up to 64 bits; the remainder has the sign of the dividend."""
    assert database.call(f"dataflow_int_{name}", *arguments) == result


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("add", (2**63 - 1, 1)),
        ("sub", (-(2**63), 1)),
        ("mul", (2**62, 2)),
        ("abs", (-(2**63),)),
    ],
)
def test_an_int_beyond_64_bits_is_refused(
    database: Database, name: str, arguments: tuple[int, ...]
) -> None:
    """A result beyond 64 bits is an error, and its reason is kept without the values."""
    reason = database.fail(f"dataflow_int_{name}", *arguments)
    assert isinstance(reason, ResultOutOfRange)
    assert not any(str(value) in str(reason) for value in arguments if abs(value) > 64)


def test_float_arithmetic_gives_no_infinity(database: Database) -> None:
    """A float result that is not finite is refused; division by zero gives NULL."""
    assert database.call("dataflow_float_add", 0.1, 0.2) == 0.1 + 0.2
    assert database.call("dataflow_float_sub", 0.3, 0.1) == 0.3 - 0.1
    assert database.call("dataflow_float_div", 1.0, 0.0) is None
    assert database.call("dataflow_float_mod", -7.5, 2.0) == math.fmod(-7.5, 2.0)
    assert database.call("dataflow_float_mod", 7.5, 0.0) is None
    assert isinstance(database.fail("dataflow_float_mul", 1e308, 10.0), ResultOutOfRange)


def test_ceil_and_floor_stay_floats(database: Database) -> None:
    """A rounded float is a float, also beyond 2**53."""
    assert database.call("dataflow_ceil", 1.2) == 2.0
    assert database.call("dataflow_floor", -1.2) == -2.0
    assert database.call("dataflow_floor", 1e300) == 1e300
    assert isinstance(database.call("dataflow_ceil", 1.2), float)


@pytest.mark.parametrize(
    ("name", "left", "right", "result"),
    [
        ("add", "0.1000", "0.20", "0.3000"),
        ("sub", "0.1000", "99.99", "-99.8900"),
        ("mul", "-1.5000", "2.50", "-3.750000"),
        ("mod", "-7.5000", "2.00", "-1.5000"),
        ("mod", "7.5000", "0.00", None),
    ],
)
def test_decimal_arithmetic_is_exact(
    database: Database, name: str, left: str, right: str, result: str | None
) -> None:
    """Decimals of different sizes, also wide ones, are combined exactly."""
    scale = 6 if name == "mul" else 4
    for precision in (18, 30):
        value = database.call(
            f"dataflow_decimal_{name}",
            *(encoded(left, precision, 4), precision, 4),
            *(encoded(right, 10, 2), 10, 2),
            *(38, scale),
        )
        if result is None:
            assert value is None
        else:
            assert decoded(value, 38, scale) == Number(result)


def test_decimals_are_compared_by_value(database: Database) -> None:
    """Decimals of different sizes, and ints, are compared by value."""
    compare = "dataflow_decimal_compare"
    assert database.call(compare, encoded("1.50", 10, 2), 10, 2, encoded("1.5", 30, 1), 30, 1) == 0
    assert database.call(compare, encoded("-2", 38, 0), 38, 0, encoded("-1.9", 10, 1), 10, 1) == -1
    assert database.call(compare, 2, 0, 0, encoded("1.9999", 38, 4), 38, 4) == 1


def test_decimal_parts(database: Database) -> None:
    """abs, ceil, floor and the conversions of Decimals, negative and wide ones included."""
    for precision in (18, 38):
        minus = encoded("-1.5", precision, 1)
        call = database.call
        assert decoded(call("dataflow_decimal_abs", minus, precision, 1, 38, 1), 38, 1) == Number(
            "1.5"
        )
        assert decoded(call("dataflow_decimal_ceil", minus, precision, 1, 38, 0), 38, 0) == -1
        assert decoded(call("dataflow_decimal_floor", minus, precision, 1, 38, 0), 38, 0) == -2
        assert call("dataflow_decimal_to_float", minus, precision, 1) == -1.5
        assert decoded(call("dataflow_decimal_recode", minus, precision, 1, 38, 3), 38, 3) == (
            Number("-1.5")
        )
        assert decoded(call("dataflow_int_to_decimal", -3, precision, 2), precision, 2) == -3


def test_a_decimal_with_too_many_digits_is_refused(database: Database) -> None:
    """A Decimal result that does not fit its precision is an error with its reason."""
    nines = encoded("9" * 38, 38, 0)
    reason = database.fail("dataflow_decimal_add", nines, 38, 0, 1, 0, 0, 38, 0)
    assert isinstance(reason, ResultOutOfRange)
    assert isinstance(database.fail("dataflow_int_to_decimal", 100, 2, 0), ResultOutOfRange)


@pytest.mark.parametrize(
    ("unit", "start"),
    [
        ("year", "2024-01-01 00:00:00.000000+00:00"),
        ("quarter", "2024-07-01 00:00:00.000000+00:00"),
        ("month", "2024-08-01 00:00:00.000000+00:00"),
        ("week", "2024-08-11 00:00:00.000000+00:00"),
        ("day", "2024-08-15 00:00:00.000000+00:00"),
        ("hour", "2024-08-15 13:00:00.000000+00:00"),
        ("minute", "2024-08-15 13:47:00.000000+00:00"),
        ("second", "2024-08-15 13:47:59.000000+00:00"),
    ],
)
def test_the_start_of_a_unit(database: Database, unit: str, start: str) -> None:
    """A stored instant is cut to its unit, a day likewise; a week starts on Sunday."""
    moment = "2024-08-15 13:47:59.123456+00:00"
    assert database.call("dataflow_date_trunc", moment, unit) == start
    if unit not in ("hour", "minute", "second"):
        assert database.call("dataflow_date_trunc", moment[:10], unit) == start[:10]
    assert database.call("dataflow_date_trunc", "2024-08-11", "week") == "2024-08-11"


def test_text_functions(database: Database) -> None:
    """Substrings count code points and $like patterns are matched by the core's own definition."""
    assert database.call("dataflow_substring", "a😀bc", 1, 2) == "😀b"
    assert database.call("dataflow_substring", "abc", 5, 2) == ""
    assert database.call("dataflow_substring", "abc", -1, 2) is None
    assert database.call("dataflow_like", "a|%%", "a%c", 0) == 1
    assert database.call("dataflow_like", "A%", "abc", 0) == 0
    assert database.call("dataflow_like", "A%", "abc", 1) == 1


def test_conditions_on_json_see_null(database: Database) -> None:
    """A condition on a place inside JSON takes a column that is NULL for an absent document."""
    place = JsonPath(Field("d", Json(), "d"), ("a",))
    absent = json_condition(IsNull(place))
    assert database.call("dataflow_json_matches", None, absent) == 1
    assert database.call("dataflow_json_matches", '{"a":1}', absent) == 0
    greater = json_condition(Compare(place, "gt", Slot(0, Json())))
    assert database.call("dataflow_json_matches", '{"a":[1,3]}', greater, "2") == 1


def test_sums_are_exact(database: Database) -> None:
    """Sums are exact, leave NULL out, and are 0 over NULL only."""
    assert database.over("dataflow_int_sum", [2**62, None, 2**62 - 1]) == 2**63 - 1
    assert database.over("dataflow_int_sum", [None]) == 0
    assert database.over("dataflow_float_sum", [0.1] * 10) == 1.0
    assert database.over("dataflow_float_sum", [None]) == 0.0
    tenth = encoded("0.1", 18, 1)
    total = database.over("dataflow_decimal_sum", [tenth] * 3 + [None], ", 18, 1")
    assert decoded(total, 38, 1) == Number("0.3")
    assert decoded(database.over("dataflow_decimal_sum", [None], ", 18, 1"), 38, 1) == 0


@pytest.mark.parametrize(
    ("aggregate", "values"),
    [("dataflow_int_sum", [2**63 - 1, 1]), ("dataflow_float_sum", [1e308, 1e308])],
)
def test_a_sum_out_of_range_is_refused(
    database: Database, aggregate: str, values: list[Any]
) -> None:
    """A sum that does not fit is an error with its reason, not another type."""
    with pytest.raises(sqlite3.OperationalError):
        database.over(aggregate, values)
    assert isinstance(database.errors.take(), ResultOutOfRange)


def test_statistics(database: Database) -> None:
    """Average, deviations and median over ints, floats and NULLs; NULL over NULL only."""
    values = [2, 4, None, 4.0, 4, 5, 5, 7, 9]
    assert database.over("dataflow_avg", values) == 5.0
    assert database.over("dataflow_stddev_pop", values) == 2.0
    assert database.over("dataflow_stddev_samp", values) == pytest.approx(2.13808993529939)
    assert database.over("dataflow_median", values) == 4.5
    assert database.over("dataflow_median", [3, 1, 2]) == 2.0
    assert database.over("dataflow_stddev_samp", [1]) is None
    assert database.over("dataflow_stddev_pop", [1]) == 0.0
    for name in ("avg", "stddev_pop", "stddev_samp", "median"):
        assert database.over(f"dataflow_{name}", [None]) is None


def test_collecting(database: Database) -> None:
    """Collected values keep the order of the rows and lose nothing; NULL is left out."""
    values = [3, None, 0.1, "ä", b"\x00\xff", 3]
    assert database.over("dataflow_collect", values) == '[3,0.1,"ä","00ff",3]'
    assert database.over("dataflow_collect", [None]) == "[]"
    assert database.over("dataflow_collect", [3, 1, 2], ", -v") == "[3,2,1]"
    assert database.over("dataflow_collect_set", ["b", None, "a", "b"]) == '["a","b"]'
