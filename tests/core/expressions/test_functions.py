from __future__ import annotations

import re

import pytest

from dataflow_core.errors import InvalidType, InvalidValue
from dataflow_core.expressions.functions import (
    CALLS,
    FUNCTIONS,
    TRUNCATION_UNITS,
    common_type,
    truncation,
)
from dataflow_core.features import FEATURES
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
)

INT, FLOAT, BOOL, TEXT, JSON = Integer(), Float(), Boolean(), Text(), Json()
PRICE = Decimal(10, 2)
WHEN, DAY, CLOCK = Timestamp(), Date(), Time()


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        ("add", (Integer(32), Integer(32)), INT),
        ("add", (INT, FLOAT), FLOAT),
        ("add", (INT, PRICE, Decimal(10, 4)), Decimal(38, 4)),
        ("subtract", (PRICE, INT), Decimal(38, 2)),
        ("multiply", (PRICE, PRICE, INT), Decimal(38, 4)),
        ("divide", (INT, INT), FLOAT),
        ("divide", (PRICE, FLOAT), FLOAT),
        ("mod", (INT, INT), INT),
        ("mod", (PRICE, INT), Decimal(38, 2)),
        ("abs", (FLOAT,), FLOAT),
        ("ceil", (FLOAT,), FLOAT),
        ("floor", (PRICE,), Decimal(38, 0)),
        ("floor", (Integer(32),), INT),
        ("concat", (Text(5), TEXT), TEXT),
        ("toLower", (Enumeration(("a",)),), TEXT),
        ("substrCP", (TEXT, INT, INT), TEXT),
        ("strLenCP", (TEXT,), INT),
        ("cond", (INT, Integer(32), FLOAT), FLOAT),
        ("cond", (TEXT, DAY, DAY), DAY),
        ("ifNull", (Text(5), TEXT), TEXT),
        ("switch", (BOOL, INT, TEXT, PRICE, INT), Decimal(38, 2)),
        ("eq", (INT, FLOAT), BOOL),
        ("lt", (BOOL, BOOL), BOOL),
        ("and", (INT, TEXT, WHEN), BOOL),
        ("not", (DAY,), BOOL),
        ("year", (DAY,), INT),
        ("hour", (CLOCK,), INT),
        ("dateTrunc.week", (DAY,), DAY),
        ("dateTrunc.hour", (WHEN,), WHEN),
    ],
)
def test_every_call_has_a_type(
    function: str, arguments: tuple[FieldType, ...], result: FieldType
) -> None:
    """The type of a result follows from the types of the arguments."""
    assert CALLS[function].result_type(arguments, "User.total") == result


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("add", (INT, TEXT), "User.total: $add takes numbers, got str"),
        ("add", (BOOL,), "$add takes numbers, got bool"),
        ("add", (WHEN, INT), "$add takes numbers, got datetime"),
        ("multiply", (PRICE, FLOAT), "$multiply does not mix Decimal and float"),
        ("eq", (PRICE, FLOAT), "$eq does not mix Decimal and float"),
        ("multiply", (Decimal(38, 20), Decimal(38, 20)), "40 digits after the point, at most 38"),
        ("divide", (TEXT, INT), "$divide takes numbers, got str"),
        ("concat", (TEXT, INT), "$concat takes text, got int"),
        ("strLenCP", (INT,), "$strLenCP takes text, got int"),
        ("substrCP", (TEXT, FLOAT, INT), "$substrCP takes text, then two ints, got float"),
        ("eq", (INT, TEXT), "$eq takes values of one type, such as int, got str"),
        ("eq", (WHEN, DAY), "$eq takes values of one type, such as datetime, got date"),
        ("eq", (JSON, JSON), "$eq takes values that are no JSON, got JSON"),
        ("cond", (BOOL, INT, TEXT), "$cond takes values of one type, such as int, got str"),
        ("cond", (JSON, INT, INT), "$cond takes values that are no JSON, got JSON"),
        ("switch", (BOOL, INT, BOOL, TEXT, INT), "$switch takes values of one type"),
        ("switch", (BOOL, INT, JSON, INT, INT), "$switch takes values that are no JSON"),
        ("ifNull", (TEXT, Binary()), "$ifNull takes values of one type"),
        ("and", (JSON,), "$and takes values that are no JSON"),
        ("year", (TEXT,), "$year takes a datetime or a date, got str"),
        ("year", (CLOCK,), "$year takes a datetime or a date, got time"),
        ("hour", (DAY,), "$hour takes a datetime or a time, got date"),
        ("dateTrunc.day", (CLOCK,), "$dateTrunc takes a datetime or a date, got time"),
        ("dateTrunc.hour", (DAY,), "$dateTrunc takes a datetime for a unit below a day, got date"),
    ],
)
def test_arguments_of_a_wrong_type_are_refused(
    function: str, arguments: tuple[FieldType, ...], message: str
) -> None:
    """A wrong argument is refused with the function, what it takes, and what it got."""
    with pytest.raises(InvalidType, match=re.escape(message)) as caught:
        CALLS[function].result_type(arguments, "User.total")
    assert caught.value.message.startswith("User.total: ")


def test_numbers_and_texts_have_a_common_type() -> None:
    """What values of several types become beside each other."""
    assert common_type((INT, Integer(32)), "x") == INT
    assert common_type((INT, FLOAT), "x") == FLOAT
    assert common_type((Text(3), Enumeration(("a",)), TEXT), "x") == TEXT


@pytest.mark.parametrize(
    ("function", "taken", "refused"),
    [
        ("add", (1, 2, 50), (0,)),
        ("subtract", (2,), (1, 3)),
        ("cond", (3,), (2, 4)),
        ("switch", (3, 5, 7), (1, 2, 4)),
        ("ifNull", (2, 9), (1,)),
        ("not", (1,), (0, 2)),
    ],
)
def test_the_number_of_arguments_is_known(
    function: str, taken: tuple[int, ...], refused: tuple[int, ...]
) -> None:
    """Each function says how many arguments it takes; a switch has pairs and a default."""
    info = FUNCTIONS[function]
    assert all(info.takes(count) for count in taken)
    assert not any(info.takes(count) for count in refused)
    assert str(info.minimum) in info.arguments


def test_conditions_are_told_from_values() -> None:
    """A literal takes its type from the other values of a call, never from a condition."""
    assert FUNCTIONS["cond"].values(3) == (1, 2)
    assert FUNCTIONS["switch"].values(5) == (1, 3, 4)
    assert FUNCTIONS["add"].values(3) == (0, 1, 2)


def test_the_unit_of_a_truncation_is_part_of_its_name() -> None:
    """`$dateTrunc` becomes one function for each unit; what a user writes is one name."""
    for unit in TRUNCATION_UNITS:
        info = truncation(unit, "User.total")
        assert CALLS[info.name] is info
        assert info.written == "$dateTrunc"
    assert "dateTrunc" in FUNCTIONS
    assert "dateTrunc" not in CALLS


@pytest.mark.parametrize("unit", ["Days", "", None, 3, ["day"]])
def test_a_wrong_unit_is_refused(unit: object) -> None:
    """A unit that is none is refused, with the nearest right one."""
    with pytest.raises(InvalidValue, match="takes one of year, quarter, month, week") as caught:
        truncation(unit, "User.total")
    assert caught.value.suggestion == ("day" if unit == "Days" else None)


def test_every_function_belongs_to_a_feature() -> None:
    """A dialect can declare every function: each names a feature id that exists."""
    assert {info.feature for info in (*CALLS.values(), *FUNCTIONS.values())} == {
        identifier for identifier in FEATURES if identifier.startswith("expressions.")
    }
