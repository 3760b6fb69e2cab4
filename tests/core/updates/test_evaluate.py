from __future__ import annotations

import copy
from decimal import Decimal as Number
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import (
    InvalidType,
    InvalidUpdate,
    NotNullViolation,
    OutOfRange,
    ValueTooLong,
)
from dataflow_core.expressions.ast import Call, FieldValue, Null
from dataflow_core.filters.ast import Compare, JsonPath, Not, Slot
from dataflow_core.schema import Field
from dataflow_core.types import Decimal, FieldType, Float, Integer, Json, Text
from dataflow_core.updates.ast import (
    AddToSet,
    Assignment,
    AtLeast,
    AtMost,
    BitChange,
    Change,
    Clear,
    Compute,
    Increment,
    MoveFrom,
    Multiply,
    Pop,
    Pull,
    PullAll,
    Push,
    SetMember,
    SetTo,
    UnsetMember,
)
from dataflow_core.updates.evaluate import apply
from dataflow_core.updates.evaluate_json import json_order

SLOT = Slot(0, Json())


def field(name: str, kind: FieldType, *, nullable: bool = True) -> Field:
    """A field."""
    return Field(name, kind, name, nullable=nullable)


A, B = field("a", Integer()), field("b", Integer())
DATA = field("data", Json())


def changed(change: Change, old: Any, *values: Any, kind: FieldType | None = None) -> Any:
    """The value of a field after one change."""
    target = field("a", kind or Integer())
    return apply([Assignment(target, change)], {"a": old}, values)["a"]


def in_document(change: Change, document: Any, *values: Any) -> Any:
    """The JSON document after one change; the old one must stay as it was."""
    before = copy.deepcopy(document)
    result = apply([Assignment(DATA, change)], {"data": document}, values)["data"]
    assert document == before
    return result


def test_set_and_clear() -> None:
    """Setting gives the bound value, clearing NULL; other fields and the old row stay."""
    row = {"a": 1, "b": 2, "c": 3}
    assignments = [Assignment(A, SetTo(SLOT)), Assignment(B, Clear())]
    assert apply(assignments, row, [9]) == {"a": 9, "b": None, "c": 3}
    assert row == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize(
    ("change", "old", "operand", "result"),
    [
        (Increment, 2, 3, 5),
        (Increment, None, 3, 3),
        (Multiply, 2, 3, 6),
        (Multiply, None, 3, 0),
        (AtMost, 2, 3, 2),
        (AtMost, 4, 3, 3),
        (AtMost, None, 3, 3),
        (AtLeast, 2, 3, 3),
        (AtLeast, 4, 3, 4),
        (AtLeast, None, 3, 3),
    ],
)
def test_arithmetic_and_null(change: Any, old: Any, operand: int, result: int) -> None:
    """`$inc` of NULL gives the amount, `$mul` 0, `$min` and `$max` the bound value."""
    assert changed(change(SLOT), old, operand) == result


def test_decimals_are_exact() -> None:
    """Decimals add without error; a product is rounded to the field, halves away from zero."""
    money = Decimal(10, 2)
    assert changed(Increment(SLOT), Number("0.10"), Number("0.20"), kind=money) == Number("0.30")
    assert changed(Multiply(SLOT), Number("0.05"), Number("0.50"), kind=money) == Number("0.03")
    assert changed(Multiply(SLOT), Number("-0.05"), Number("0.50"), kind=money) == Number("-0.03")
    zero = changed(Multiply(SLOT), None, Number("2"), kind=money)
    assert (type(zero), str(zero)) == (Number, "0.00")


@pytest.mark.parametrize(
    ("kind", "change", "old", "operand"),
    [
        (Integer(), Increment, 2**63 - 1, 1),
        (Integer(32), Increment, 2**31 - 1, 1),
        (Integer(32), Multiply, -(2**31), 2),
        (Float(), Increment, 1.7e308, 1.7e308),
        (Float(), Multiply, 1e200, 1e200),
        (Decimal(4, 2), Increment, Number("99.99"), Number("0.01")),
        (Decimal(4, 2), Multiply, Number("50"), Number("2")),
    ],
)
def test_results_that_do_not_fit_are_refused(
    kind: FieldType, change: Any, old: Any, operand: Any
) -> None:
    """No overflow, no infinity: the error names the field."""
    with pytest.raises(OutOfRange, match="a: the result does not fit"):
        changed(change(SLOT), old, operand, kind=kind)


def test_floats_add_as_floats() -> None:
    """A float field keeps floats, with all that they cannot say exactly."""
    assert changed(Increment(SLOT), 0.1, 0.2, kind=Float()) == 0.1 + 0.2


@pytest.mark.parametrize(
    ("operator", "old", "result"),
    [
        ("and", 0b1100, 0b1000),
        ("or", 0b1100, 0b1110),
        ("xor", 0b1100, 0b0110),
        ("or", None, 0b1010),
    ],
)
def test_bits(operator: Any, old: int | None, result: int) -> None:
    """Bits change one by one; NULL counts as 0."""
    assert changed(BitChange(operator, SLOT), old, 0b1010) == result


def test_rename_moves_a_value_and_leaves_null_alone() -> None:
    """`$rename` of a value moves it; `$rename` of NULL changes nothing."""
    assignments = [Assignment(B, MoveFrom(A)), Assignment(A, Clear())]
    assert apply(assignments, {"a": 1, "b": 2}, []) == {"a": None, "b": 1}
    assert apply(assignments, {"a": None, "b": 2}, []) == {"a": None, "b": 2}


def test_every_assignment_reads_the_old_row() -> None:
    """Two fields can change places: no assignment sees what another one wrote."""
    swap = [Assignment(A, Compute(FieldValue(B))), Assignment(B, Compute(FieldValue(A)))]
    assert apply(swap, {"a": 1, "b": 2}, []) == {"a": 2, "b": 1}
    chain = [Assignment(A, Increment(SLOT)), Assignment(B, Compute(FieldValue(A)))]
    assert apply(chain, {"a": 1, "b": 0}, [5]) == {"a": 6, "b": 1}


def test_computed_values_have_to_fit_their_field() -> None:
    """A computed value is stored as the type of its field, or refused with a typed error."""
    quarter = Compute(FieldValue(field("d", Decimal(10, 4))))
    target = field("a", Decimal(10, 1))
    row = {"a": None, "b": 7, "d": Number("0.2500"), "text": "abcd"}
    assert str(apply([Assignment(target, quarter)], row, [])["a"]) == "0.3"
    whole = Compute(FieldValue(B))
    assert type(apply([Assignment(field("a", Float()), whole)], row, [])["a"]) is float
    total = Compute(Call("multiply", (FieldValue(B), FieldValue(B)), Integer()))
    with pytest.raises(OutOfRange, match="a: the result does not fit an int of 32 bits"):
        apply([Assignment(field("a", Integer(32)), total)], {"b": 2**20}, [])
    text = Compute(FieldValue(field("text", Text())))
    with pytest.raises(ValueTooLong, match="a: the computed text has 4 characters, at most 3"):
        apply([Assignment(field("a", Text(3)), text)], row, [])
    with pytest.raises(NotNullViolation, match="a: the computed value is NULL"):
        apply([Assignment(field("a", Text(), nullable=False), Compute(Null(Text())))], row, [])
    assert apply([Assignment(A, Compute(Null(Integer())))], row, [])["a"] is None


# JSON


@pytest.mark.parametrize(
    ("document", "steps", "result"),
    [
        (None, ("x",), {"x": 9}),
        (None, ("x", "y"), {"x": {"y": 9}}),
        ({}, ("x", "y", "z"), {"x": {"y": {"z": 9}}}),
        ({"x": 1}, ("x",), {"x": 9}),
        ({"x": None}, ("x", "y"), {"x": {"y": 9}}),
        ({"x": [1, 2]}, ("x", 1), {"x": [1, 9]}),
        ({"x": [1]}, ("x", 3), {"x": [1, None, None, 9]}),
        ([{"x": 1}], (0, "x"), [{"x": 9}]),
        ([None], (0, "x"), [{"x": 9}]),
    ],
)
def test_setting_a_member_makes_the_way(document: Any, steps: Any, result: Any) -> None:
    """Missing objects on the way are made; an array is filled up with nulls."""
    assert in_document(SetMember(steps, SLOT), document, 9) == result


@pytest.mark.parametrize(
    ("document", "steps", "message"),
    [
        ({"x": 1}, ("x", "y"), "data.x: 'y' cannot be set in a number"),
        ({"x": "t"}, ("x", "y"), "data.x: 'y' cannot be set in text"),
        ({"x": [1]}, ("x", "y"), "data.x: 'y' cannot be set in an array"),
        ({"x": {}}, ("x", 0), "data.x: 0 cannot be set in an object"),
        (None, (0,), "data: 0 cannot be set in nothing"),
        ([], (10**9,), "too far beyond the end"),
    ],
)
def test_a_way_that_leads_nowhere_is_refused(document: Any, steps: Any, message: str) -> None:
    """Nothing can be set inside a scalar, nor by name in an array or by number in an object."""
    with pytest.raises(InvalidUpdate, match=message):
        in_document(SetMember(steps, SLOT), document, 9)


@pytest.mark.parametrize(
    ("document", "steps", "result"),
    [
        ({"x": 1, "y": 2}, ("x",), {"y": 2}),
        ({"x": {"y": 1}}, ("x", "y"), {"x": {}}),
        ({"x": [1, 2]}, ("x", 0), {"x": [None, 2]}),
        ({"x": 1}, ("z",), {"x": 1}),
        ({"x": 1}, ("x", "y"), {"x": 1}),
        ({"x": [1]}, ("x", 5), {"x": [1]}),
        (None, ("x",), None),
    ],
)
def test_removing_a_member(document: Any, steps: Any, result: Any) -> None:
    """A member goes, an element becomes null, and what is not there is no error."""
    assert in_document(UnsetMember(steps), document) == result


ONE, TWO = Slot(1, Integer()), Slot(2, Integer())


@pytest.mark.parametrize(
    ("push", "values", "old", "result"),
    [
        (Push((), SLOT), [[3]], [1, 2], [1, 2, 3]),
        (Push((), SLOT), [[1, 2]], None, [1, 2]),
        (Push((), SLOT), [[]], None, []),
        (Push((), SLOT, ONE), [[8, 9], 1], [1, 2], [1, 8, 9, 2]),
        (Push((), SLOT, ONE), [[9], -1], [1, 2], [1, 9, 2]),
        (Push((), SLOT, ONE), [[9], 50], [1, 2], [1, 2, 9]),
        (Push((), SLOT, ONE), [[9], -50], [1, 2], [9, 1, 2]),
        (Push((), SLOT, slice=ONE), [[3], 2], [1, 2], [1, 2]),
        (Push((), SLOT, slice=ONE), [[3], -2], [1, 2], [2, 3]),
        (Push((), SLOT, slice=ONE), [[3], 0], [1, 2], []),
        (Push((), SLOT, slice=ONE), [[3], -9], [1, 2], [1, 2, 3]),
        (Push((), SLOT, sort=1), [[2]], [3, 1], [1, 2, 3]),
        (Push((), SLOT, sort=-1), [[2]], [3, 1], [3, 2, 1]),
        (Push((), SLOT, ONE, TWO, -1), [[2], 0, 2], [3, 1], [3, 2]),
    ],
)
def test_push(push: Push, values: list[Any], old: Any, result: Any) -> None:
    """Elements are put at a position, then all are sorted, then the array is cut."""
    assert in_document(push, old, *values) == result


def test_arrays_inside_documents_are_made_and_changed() -> None:
    """An array operator works at a place too, and makes the objects on the way."""
    assert in_document(Push(("x", "y"), SLOT), None, [1]) == {"x": {"y": [1]}}
    assert in_document(AddToSet(("x",), SLOT), {"x": None}, [1, 1.0]) == {"x": [1]}
    assert in_document(Pop(("x", 0), first=True), {"x": [[1, 2]]}) == {"x": [[2]]}


def test_sorting_mixes_types_as_bson_does() -> None:
    """Null, numbers, text, objects, arrays, booleans; within a type by value."""
    mixed = [True, [2], {"b": 1}, "b", 2, None, False, [1, 5], {"a": 2}, "a", 1.5, [1]]
    expected = [None, 1.5, 2, "a", "b", {"a": 2}, {"b": 1}, [1], [1, 5], [2], False, True]
    assert in_document(Push((), SLOT, sort=1), mixed, []) == expected


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("ab1", max_size=2)
)


@given(st.lists(SCALARS))
def test_sorting_is_a_total_order(items: list[Any]) -> None:
    """Any scalars can be sorted together, and descending is the reverse up to equal ones."""
    ascending = in_document(Push((), SLOT, sort=1), items, [])
    descending = in_document(Push((), SLOT, sort=-1), items, [])
    keys = [json_order(item) for item in ascending]
    assert keys == sorted(keys)
    assert keys[::-1] == [json_order(item) for item in descending]


def test_add_to_set_knows_types() -> None:
    """Only what no element equals is appended: 1 equals 1.0, but neither True nor "1"."""
    assert in_document(AddToSet((), SLOT), [1], [1.0, True, "1", "1", {}, {}]) == [1, True, "1", {}]
    assert in_document(AddToSet((), SLOT), None, []) == []


def test_pull_removes_what_meets_the_condition() -> None:
    """Elements that meet the condition go; a missing array is no error."""
    target = JsonPath(DATA, ())
    large = Compare(target, "gt", SLOT)
    assert in_document(Pull((), large), [1, 5, "9", None, [9], 7], 4) == [1, "9", None, [9]]
    assert in_document(Pull((), Not(large)), [1, 5, "9"], 4) == [5]
    assert in_document(Pull((), large), None, 4) is None
    inner = Pull(("x",), Compare(JsonPath(DATA, ("x",)), "eq", SLOT))
    assert in_document(inner, {"x": [{"a": 1}, {"a": 2}]}, {"a": 1}) == {"x": [{"a": 2}]}
    assert in_document(inner, {}, 1) == {}


def test_pull_all_and_pop() -> None:
    """`$pullAll` compares by JSON equality; `$pop` takes an end, if there is one."""
    assert in_document(PullAll((), SLOT), [1, True, 2, "1"], [1.0, "1"]) == [True, 2]
    assert in_document(PullAll((), SLOT), None, [1]) is None
    assert in_document(Pop((), first=False), [1, 2]) == [1]
    assert in_document(Pop((), first=True), [1, 2]) == [2]
    assert in_document(Pop((), first=True), []) == []
    assert in_document(Pop(("x",), first=True), {"y": 1}) == {"y": 1}


@pytest.mark.parametrize(
    "change",
    [
        Push(("x",), SLOT),
        AddToSet(("x",), SLOT),
        Pull(("x",), Compare(JsonPath(DATA, ("x",)), "eq", SLOT)),
        PullAll(("x",), SLOT),
        Pop(("x",), first=True),
    ],
)
def test_array_operators_want_an_array(change: Change) -> None:
    """Where something else stands than an array, the update is refused with the place."""
    with pytest.raises(InvalidUpdate, match=r"data.x: expected an array, found text"):
        in_document(change, {"x": "text"}, ["t"])


def test_changes_of_one_document_build_upon_each_other() -> None:
    """Several JSON changes of one field apply in order."""
    assignments = [
        Assignment(DATA, SetMember(("n",), Slot(0, Json()))),
        Assignment(DATA, Push(("tags",), Slot(1, Json()))),
        Assignment(DATA, UnsetMember(("old",))),
    ]
    row = {"data": {"old": 1, "tags": ["a"]}}
    assert apply(assignments, row, [5, ["b"]]) == {"data": {"n": 5, "tags": ["a", "b"]}}
    assert row == {"data": {"old": 1, "tags": ["a"]}}


def test_the_document_has_to_stay_what_its_field_takes() -> None:
    """A list of ints takes no text through the back door, nor an object in place of the list."""
    numbers = field("data", Json("array", Integer()))
    with pytest.raises(InvalidType):
        apply([Assignment(numbers, SetMember((0,), SLOT))], {"data": [1]}, ["x"])
    with pytest.raises(InvalidType):
        apply([Assignment(numbers, SetMember(("x",), SLOT))], {"data": None}, [1])
    assert apply([Assignment(numbers, SetMember((0,), SLOT))], {"data": [1]}, [2]) == {"data": [2]}


def test_bound_values_are_not_shared_with_the_row() -> None:
    """Changing the result later does not change the values of the operation."""
    values: list[Any] = [{"y": []}]
    result = apply([Assignment(DATA, SetMember(("x",), SLOT))], {"data": {}}, values)
    result["data"]["x"]["y"].append(1)
    assert values == [{"y": []}]
