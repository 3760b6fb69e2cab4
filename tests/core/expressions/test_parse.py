from __future__ import annotations

import datetime as dt
import enum
import math
from decimal import Decimal as Number
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import (
    DataFlowError,
    InvalidFilter,
    InvalidType,
    InvalidValue,
    LimitExceeded,
    UnknownField,
    UnknownOperator,
)
from dataflow_core.expressions.ast import Call, Expression, FieldValue, Literal, Null
from dataflow_core.expressions.functions import FUNCTIONS
from dataflow_core.expressions.parse import is_expression, parse_expression, parse_test
from dataflow_core.filters import Bindings, Scope
from dataflow_core.types import Boolean, Date, Decimal, Float, Integer, Text, Timestamp
from tests.core.language import USER, nested, quickly

SCOPE = Scope.of(USER)


class Colour(enum.Enum):
    RED = "red"


def parsed(document: Any) -> tuple[Expression, list[Any]]:
    """The tree of an expression and the values bound."""
    bindings = Bindings()
    return parse_expression(document, SCOPE, bindings, "here"), bindings.values


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (True, Boolean()),
        (5, Integer()),
        (1.5, Float()),
        ("x", Text()),
        (Number("1.50"), Decimal(38, 2)),
        (Number("1E+5"), Decimal(38, 0)),
        (dt.date(2025, 1, 1), Date()),
        (dt.datetime(2025, 1, 1), Timestamp()),
        (Colour.RED, Text()),
        ({"$literal": "$name"}, Text()),
    ],
)
def test_a_literal_has_a_type(document: Any, kind: Any) -> None:
    """A plain value is bound, in the type that it has by itself."""
    tree, values = parsed(document)
    assert isinstance(tree, Literal)
    assert (kind, 1) == (tree.type, len(values))


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (math.nan, InvalidValue),
        (2**63, InvalidValue),
        (Number("NaN"), InvalidValue),
        (Number("sNaN"), InvalidValue),
        (Number("1E+999999999"), InvalidValue),
        (Number("1E-999999999"), InvalidValue),
        ("a\0", InvalidValue),
        ("\ud800", InvalidValue),
        ([1], InvalidType),
        (object(), InvalidType),
        ({"$literal": {"a": 1}}, InvalidType),
    ],
)
def test_what_is_no_literal_is_refused(document: Any, error: type[DataFlowError]) -> None:
    """What no column could hold cannot be computed with."""
    with pytest.raises(error, match="here"):
        parsed(document)


def test_fields() -> None:
    """`$name` is the value of a field; there are no variables."""
    assert (FieldValue(USER.field("age")), []) == parsed("$age")
    with pytest.raises(InvalidFilter, match="no variables"):
        parsed("$$ROOT")
    with pytest.raises(UnknownField, match="'aeg'") as caught:
        parsed("$aeg")
    assert caught.value.suggestion == "age"


def test_a_call_has_the_type_of_its_function() -> None:
    """Arguments are parsed in order; the result has a type."""
    tree, values = parsed({"$multiply": ["$score", 2]})
    assert isinstance(tree, Call)
    assert ("multiply", Float(), [2]) == (tree.function, tree.type, values)


@pytest.mark.parametrize(
    ("document", "bound"),
    [
        ({"$eq": ["$born", "2025-01-17"]}, dt.date(2025, 1, 17)),
        ({"$gt": ["2025-01-17T08:30", "$seen"]}, dt.datetime(2025, 1, 17, 8, 30, tzinfo=dt.UTC)),
        ({"$eq": ["$name", "2025-01-17"]}, "2025-01-17"),
        ({"$eq": ["$colour", "green"]}, "green"),
    ],
)
def test_a_literal_takes_its_type_from_its_neighbour(document: Any, bound: Any) -> None:
    """ISO 8601 text beside a date is a date, beside text it is text."""
    assert [bound] == parsed(document)[1]


@pytest.mark.parametrize(
    "document",
    [
        {"$cond": [{"$gt": ["$age", 1]}, None, "$age"]},
        {"$cond": {"if": "$active", "then": "$age", "else": None}},
        {"$switch": {"branches": [{"case": "$active", "then": None}], "default": "$age"}},
        {"$ifNull": [None, "$age"]},
    ],
)
def test_null_has_the_type_of_the_other_results(document: Any) -> None:
    """A null among results is of their type; the type of a condition does not count."""
    tree, _ = parsed(document)
    assert Integer() == tree.type
    assert isinstance(tree, Call)
    assert [Integer()] == [item.type for item in tree.arguments if isinstance(item, Null)]


@pytest.mark.parametrize(
    ("document", "nearest"),
    [({"$Add": [1]}, "$add"), ({"$conct": ["a"]}, "$concat"), ({"$function": {}}, None)],
)
def test_an_unknown_function_names_the_nearest(document: Any, nearest: str | None) -> None:
    """Functions are exact in case."""
    with pytest.raises(UnknownOperator, match="there is no function") as caught:
        parsed(document)
    assert nearest == caught.value.suggestion


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, r"an expression is \{'\$function'"),
        ({"a": 1}, r"an expression is \{'\$function'"),
        ({"$add": [1], "$abs": 1}, r"an expression is"),
        ({1: 2}, "an expression is"),
        ({"$subtract": [1]}, "takes exactly 2 arguments, got 1"),
        ({"$add": []}, "takes at least 1 arguments, got 0"),
        ({"$cond": {"if": True, "then": 1}}, "else is missing"),
        ({"$cond": {"if": True, "then": 1, "els": 2}}, "there is no 'els'"),
        ({"$switch": {"branches": []}}, "branches is a list"),
        ({"$switch": {"branches": {"case": 1}}}, "branches is a list"),
        ({"$switch": {"branches": [5]}}, "takes a dict of case, then"),
        ({"$switch": {10**5_000: 1}}, "there is no <integer of"),
        ({"$dateTrunc": ["$seen", "day"]}, "takes a dict of date, unit"),
    ],
)
def test_what_cannot_be_read_is_refused(document: Any, message: str) -> None:
    """The error says where and what was expected."""
    with pytest.raises(InvalidFilter, match=message):
        parsed(document)


def test_units_are_checked() -> None:
    """`$dateTrunc` takes a unit that there is; the function is named by it."""
    tree, _ = parsed({"$dateTrunc": {"date": "$seen", "unit": "month"}})
    assert isinstance(tree, Call) and tree.function == "dateTrunc.month"
    for unit in ("months", "Month", 5, None, ["day"]):
        with pytest.raises(InvalidValue, match=r"\$dateTrunc takes one of"):
            parsed({"$dateTrunc": {"date": "$seen", "unit": unit}})


def test_a_test_is_true_or_false() -> None:
    """`$expr` takes what gives a bool."""
    assert Boolean() == parse_test({"$gt": ["$age", 1]}, SCOPE, Bindings(), "here").type
    for document in ("$age", {"$add": [1, 2]}, 5, None):
        with pytest.raises(InvalidFilter, match="expected a comparison"):
            parse_test(document, SCOPE, Bindings(), "here")


def test_what_is_an_expression() -> None:
    """A dict with one key that begins with `$`."""
    assert is_expression({"$add": [1]})
    assert not any(map(is_expression, ({}, {"a": 1}, {"$a": 1, "b": 2}, "$a", {1: 2}, None)))


@pytest.mark.parametrize(
    "document",
    [
        nested(100_000, lambda inner: {"$add": [inner, 1]}, 1),
        nested(100_000, lambda inner: {"$not": inner}, True),
        nested(100_000, lambda inner: {"$cond": {"if": inner, "then": 1, "else": 2}}, True),
        {"$add": [1] * 1_000_000},
        {"$switch": {"branches": [{"case": True, "then": 1}] * 1_000_000}},
        {"$add": [{"$add": [1] * 600}, {"$add": [1] * 600}]},
    ],
    ids=["add", "not", "cond", "wide", "switch", "together"],
)
def test_deep_and_wide_expressions_are_refused(document: Any) -> None:
    """Deeper than 32 or more than 1,000 parts in all: one error, at once."""
    with quickly(), pytest.raises(LimitExceeded):
        parsed(document)


def test_cyclic_expressions_are_refused() -> None:
    """An expression that contains itself is nested too deep."""
    cycle: dict[str, Any] = {}
    cycle["$add"] = [cycle, cycle]
    with quickly(), pytest.raises(LimitExceeded):
        parsed(cycle)


DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.dates()
    | st.text(max_size=3)
    | st.sampled_from([f"${name}" for name in USER.by_name]),
    lambda inner: st.dictionaries(
        st.sampled_from([f"${name}" for name in FUNCTIONS] + ["$literal", "$x", "if", "date"]),
        st.lists(inner, max_size=3) | inner,
        max_size=2,
    ),
    max_leaves=6,
)


@given(DOCUMENTS)
def test_any_expression_is_read_or_refused(document: Any) -> None:
    """Random documents: a typed tree, or a DataFlowError; nothing else."""
    try:
        tree, values = parsed(document)
    except DataFlowError as error:
        assert error.code.startswith("DF-")
        return
    assert hash(tree) == hash(parsed(document)[0])
    assert values == parsed(document)[1]
