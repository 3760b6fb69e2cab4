from __future__ import annotations

import datetime as dt
from decimal import Decimal as Number
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.expressions.ast import Call, FieldValue, Literal
from dataflow_core.filters.ast import (
    Always,
    And,
    ArraySize,
    Bits,
    Compare,
    Comparison,
    Contains,
    ElementMatch,
    ExpressionTest,
    IsNull,
    JsonPath,
    Membership,
    Modulo,
    Not,
    Or,
    Pattern,
    Predicate,
    Slot,
    Target,
)
from dataflow_core.filters.evaluate import element_matches, json_equal, matches, value_at
from dataflow_core.schema import Field
from dataflow_core.types import (
    Boolean,
    Date,
    Decimal,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Timestamp,
    Uuid,
)


def field(kind: FieldType, name: str = "value") -> Field:
    """A nullable field."""
    return Field(name, kind, name, nullable=True)


AGE = field(Integer(), "age")
NAME = field(Text(), "name")
DATA = field(Json(), "data")
SLOT = Slot(0, Json())


def place(*steps: str | int) -> JsonPath:
    """A place in the JSON field."""
    return JsonPath(DATA, steps)


def compare(target: Target, operator: Comparison, stored: Any, operand: Any) -> bool:
    """Whether a stored value compares so with an operand."""
    name = target.field.name if isinstance(target, JsonPath) else target.name
    return matches(Compare(target, operator, SLOT), {name: stored}, [operand])


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        (Integer(), -1, 2**63 - 1),
        (Float(), 0.1, 0.2),
        (Decimal(), Number("-0.5"), Number("0.1")),
        (Boolean(), False, True),
        (Text(), "Z", "a"),
        (Text(), "a", "a "),
        (Text(), "\uffff", "\U00010000"),
        (Date(), dt.date(2024, 12, 31), dt.date(2025, 1, 1)),
        (
            Timestamp(),
            dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
            dt.datetime(2025, 1, 1, 0, 0, 0, 1, tzinfo=dt.UTC),
        ),
        (Uuid(), UUID(int=1), UUID(int=2**127)),
    ],
)
def test_values_of_a_type_have_an_order(kind: FieldType, low: Any, high: Any) -> None:
    """Equal is equal; less, greater and their closed forms agree; text goes by code point."""
    target = field(kind)
    for operator, expected in {
        "eq": (True, False, False),
        "gt": (False, False, True),
        "gte": (True, False, True),
        "lt": (False, True, False),
        "lte": (True, True, False),
    }.items():
        found = tuple(
            compare(target, operator, stored, operand)  # type: ignore[arg-type]
            for stored, operand in ((low, low), (low, high), (high, low))
        )
        assert found == expected, operator


@pytest.mark.parametrize("operator", ["eq", "gt", "gte", "lt", "lte"])
def test_null_fits_no_comparison_and_every_negation(operator: Comparison) -> None:
    """A leaf is false of NULL, also of a field that is not in the row; its complement is true."""
    leaf = Compare(AGE, operator, SLOT)
    for row in ({"age": None}, {}):
        assert not matches(leaf, row, [0])
        assert matches(Not(leaf), row, [0])


def test_logic_combines_leaves() -> None:
    """`And` wants all, `Or` any; `Always` is itself; empty ones are true and false."""
    yes, no = Always(True), Always(False)
    assert matches(And((yes, yes)), {}, []) and not matches(And((yes, no)), {}, [])
    assert matches(Or((no, yes)), {}, []) and not matches(Or((no, no)), {}, [])
    assert matches(And(()), {}, []) and not matches(Or(()), {}, [])
    assert matches(Not(no), {}, []) and not matches(Not(yes), {}, [])


def test_membership_is_equality_with_one_of_a_list() -> None:
    """A value is in the list or not; NULL is in none, so `$nin` holds for it."""
    leaf = Membership(AGE, Slot(0, Integer(), 2))
    assert matches(leaf, {"age": 2}, [[1, 2]])
    assert not matches(leaf, {"age": 3}, [[1, 2]])
    assert not matches(leaf, {"age": None}, [[1, 2]])
    assert matches(Not(leaf), {"age": None}, [[1, 2]])


def test_is_null_of_a_field() -> None:
    """NULL is NULL; 0, empty text and False are values."""
    assert matches(IsNull(AGE), {"age": None}, [])
    for value in (0, "", False):
        assert not matches(IsNull(AGE), {"age": value}, [])


@pytest.mark.parametrize(
    ("kind", "pattern", "ignore_case", "expected"),
    [
        ("prefix", "Ad", False, True),
        ("prefix", "ad", False, False),
        ("prefix", "AD", True, True),
        ("prefix", "", False, True),
        ("suffix", "ce", False, True),
        ("suffix", "CE", False, False),
        ("suffix", "CE", True, True),
        ("contains", "a L", False, True),
        ("contains", "A l", False, False),
        ("contains", "A l", True, True),
        ("contains", "%", False, False),
        ("like", "Ada%", False, True),
        ("like", "ada%", False, False),
        ("like", "ada%", True, True),
        ("regex", "^Ada .*e$", False, True),
        ("regex", "^ada", False, False),
        ("regex", "^ada", True, True),
    ],
)
def test_patterns_look_at_text(kind: Any, pattern: str, ignore_case: bool, expected: bool) -> None:
    """Each kind of pattern, with and without regard to case."""
    leaf = Pattern(NAME, kind, SLOT, ignore_case)
    assert matches(leaf, {"name": "Ada Lovelace"}, [pattern]) is expected
    assert not matches(leaf, {"name": None}, [pattern])


@pytest.mark.parametrize(
    ("number", "divisor", "rest"),
    [(7, 3, 1), (-7, 3, -1), (7, -3, 1), (-7, -3, -1), (6, 3, 0), (-(2**63), -1, 0)],
)
def test_modulo_has_the_sign_of_the_dividend(number: int, divisor: int, rest: int) -> None:
    """The remainder is that of a division towards zero."""
    leaf = Modulo(AGE, Slot(0, Integer()), Slot(1, Integer()))
    assert matches(leaf, {"age": number}, [divisor, rest])
    assert not matches(leaf, {"age": number}, [divisor, rest + 1])
    assert not matches(leaf, {"age": None}, [divisor, rest])


@pytest.mark.parametrize(
    ("number", "fitting"),
    [
        (0b0110, {"all_set", "any_set"}),
        (0b0100, {"any_set", "any_clear"}),
        (0b1001, {"all_clear", "any_clear"}),
        (-1, {"all_set", "any_set"}),
        (None, set()),
    ],
)
def test_bits_of_a_mask(number: int | None, fitting: set[str]) -> None:
    """All or any bits of the mask are set or clear; a negative number is two's complement."""
    found = {
        kind
        for kind in ("all_set", "any_set", "all_clear", "any_clear")
        if matches(Bits(AGE, kind, SLOT), {"age": number}, [0b0110])
    }
    assert found == fitting


def test_an_expression_decides_by_its_truth() -> None:
    """`$expr` compares fields with each other; NULL is less than everything there."""
    other = field(Integer(), "limit")
    test = ExpressionTest(Call("gt", (FieldValue(AGE), FieldValue(other)), Boolean()))
    assert matches(test, {"age": 2, "limit": 1}, [])
    assert not matches(test, {"age": 1, "limit": 1}, [])
    assert matches(test, {"age": 1, "limit": None}, [])
    assert not matches(ExpressionTest(Literal(Slot(0, Integer()))), {}, [0])


# JSON


def test_steps_name_members_and_positions() -> None:
    """Text leads into objects only, numbers into arrays only; no step goes through an array."""
    document = {"a": [{"b": 1}, {"b": 2}], "0": "zero"}
    assert value_at(document, ("a", 1, "b")) == 2
    assert value_at(document, ("a", "b")) is None
    assert value_at(document, (0,)) is None
    assert value_at(document, ("a", 2)) is None
    assert value_at(document, ("a", 0, "b", "c")) is None
    assert value_at(document, ()) == document
    assert value_at(None, ("a",)) is None


@pytest.mark.parametrize(
    ("stored", "operand", "expected"),
    [
        (1, 1.0, True),
        (1, True, False),
        (True, 1, False),
        (1, "1", False),
        (0, False, False),
        ("a", "a", True),
        ("a", "A", False),
        ([1, 2], 2, True),
        ([1, True], True, True),
        ([0], False, False),
        ([[1]], 1, False),
        ([[1]], [1], True),
        ([1], [1], True),
        ([1, 2], [2, 1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1.0}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ([{"a": 1}], {"a": 1}, True),
        (None, 0, False),
        ([], 0, False),
    ],
)
def test_json_equality_is_by_type_and_value(stored: Any, operand: Any, expected: bool) -> None:
    """Numbers equal by value, nothing else crosses types; an array also fits by an element."""
    assert compare(place("x"), "eq", {"x": stored}, operand) is expected
    assert compare(place(), "eq", stored, operand) is expected


@pytest.mark.parametrize(
    ("stored", "operand", "expected"),
    [
        (2, 1, True),
        (1.5, 1, True),
        (True, 0, False),
        ("2", 1, False),
        ("b", "a", True),
        (1, "a", False),
        ([0, 2], 1, True),
        ([0, "2"], 1, False),
        ([[2]], 1, False),
        ({"a": 2}, 1, False),
    ],
)
def test_json_order_stays_within_a_type(stored: Any, operand: Any, expected: bool) -> None:
    """Only numbers compare with numbers and text with text; any element of an array may fit."""
    assert compare(place("x"), "gt", {"x": stored}, operand) is expected


def test_absent_and_null_are_alike_in_json() -> None:
    """A missing member, JSON null, and a NULL field are all null; an array with null is not."""
    documents: list[Any] = [None, {}, {"x": None}, [], 5]
    for document in documents:
        assert matches(IsNull(place("x")), {"data": document}, [])
    assert not matches(IsNull(place("x")), {"data": {"x": [None]}}, [])
    assert not matches(IsNull(place("x")), {"data": {"x": {}}}, [])


def test_membership_and_patterns_look_at_elements() -> None:
    """`$in` and patterns on a JSON place fit a scalar there or any element of an array there."""
    member = Membership(place("tags"), Slot(0, Text(), 2))
    assert matches(member, {"data": {"tags": ["x", "b"]}}, [["a", "b"]])
    assert matches(member, {"data": {"tags": "a"}}, [["a", "b"]])
    assert not matches(member, {"data": {"tags": [["a"]]}}, [["a", "b"]])
    pattern = Pattern(place("tags"), "prefix", SLOT)
    assert matches(pattern, {"data": {"tags": [1, "abc"]}}, ["ab"])
    assert not matches(pattern, {"data": {"tags": [1, None]}}, ["ab"])


def test_contains_and_size_want_an_array() -> None:
    """`Contains` and `ArraySize` are false of everything that is no array."""
    contains = Contains(place("tags"), SLOT)
    assert matches(contains, {"data": {"tags": ["a", 1]}}, [1.0])
    assert not matches(contains, {"data": {"tags": ["a", True]}}, [1])
    assert not matches(contains, {"data": {"tags": 1}}, [1])
    size = ArraySize(place("tags"), SLOT)
    assert matches(size, {"data": {"tags": []}}, [0])
    assert not matches(size, {"data": {"tags": [1]}}, [0])
    assert not matches(size, {"data": {}}, [0])
    assert not matches(size, {"data": {"tags": ""}}, [0])


def test_one_element_has_to_meet_all_conditions() -> None:
    """`$elemMatch` wants one scalar element for all conditions; separate leaves may use several."""
    target = place("scores")
    low, high = Compare(target, "gt", Slot(0, Integer())), Compare(target, "lt", Slot(1, Integer()))
    both = And((low, high))
    spread = {"data": {"scores": [1, 9]}}
    assert matches(both, spread, [4, 6])
    assert not matches(ElementMatch(target, both), spread, [4, 6])
    assert matches(ElementMatch(target, both), {"data": {"scores": [1, 5]}}, [4, 6])


def test_element_match_passes_over_documents_and_takes_null() -> None:
    """Objects and arrays inside the array are no scalars; null is one, and differs from 5."""
    target = place("scores")
    other = ElementMatch(target, Not(Compare(target, "eq", SLOT)))
    assert matches(other, {"data": {"scores": [None]}}, [5])
    assert not matches(other, {"data": {"scores": [{}, [], 5]}}, [5])
    assert not matches(other, {"data": {"scores": 4}}, [5])


def test_an_element_is_not_looked_into() -> None:
    """A condition on an element sees the element itself, also where it is an array."""
    assert not element_matches(Compare(place(), "eq", SLOT), [1], [1])
    assert element_matches(Compare(place(), "eq", SLOT), [1], [[1]])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, 1.0, 1.5])
    | st.text("a1", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=1), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(JSON, JSON)
def test_json_equality_is_an_equivalence(one: Any, other: Any) -> None:
    """Equality is reflexive and symmetric, and never equates a bool with a number."""
    assert json_equal(one, one)
    assert json_equal(one, other) == json_equal(other, one)
    if json_equal(one, other):
        assert one == other
        assert isinstance(one, bool) == isinstance(other, bool)


@given(JSON, JSON)
def test_not_is_the_plain_complement(document: Any, operand: Any) -> None:
    """Of every row exactly one of a leaf and its negation is true."""
    leaves: list[Predicate] = [
        Compare(place("a"), "eq", SLOT),
        IsNull(place("a")),
        Contains(place("a"), SLOT),
        ElementMatch(place("a"), Compare(place("a"), "eq", SLOT)),
    ]
    for leaf in leaves:
        row = {"data": document}
        assert matches(leaf, row, [operand]) != matches(Not(leaf), row, [operand])
