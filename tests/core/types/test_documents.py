from __future__ import annotations

import math
from decimal import Decimal as Number
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import DataFlowError, InvalidType, InvalidValue
from dataflow_core.types import Integer, Json, Text

WHERE = "User.data"


def nested(depth: int) -> Any:
    """A list in a list in a list."""
    document: Any = 1
    for _ in range(depth):
        document = [document]
    return document


def test_a_document_stays_as_it_is() -> None:
    """Everything that JSON has is kept."""
    document = {"a": [1, 1.5, "x", True, None, {}], "x.y": {"$set": ""}}
    assert document == Json().check(document, WHERE)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({1: "a"}, InvalidType),
        ({None: "a"}, InvalidType),
        ({"a": {1, 2}}, InvalidType),
        ([b"a"], InvalidType),
        ([(1, 2)], InvalidType),
        ([Number(1)], InvalidType),
        ([object()], InvalidType),
        ([math.nan], InvalidValue),
        ([math.inf], InvalidValue),
        ([2**63], InvalidValue),
        (["a\0"], InvalidValue),
        ({"a\0": 1}, InvalidValue),
        ({"\ud800": 1}, InvalidValue),
        (["\udfff"], InvalidValue),
        (nested(65), InvalidValue),
        (nested(100_000), InvalidValue),
        ([0] * 1_000_001, InvalidValue),
    ],
)
def test_what_is_no_json_everywhere_is_refused(value: Any, error: type[DataFlowError]) -> None:
    """Keys that are no text, values that JSON lacks or databases lose, too deep, too many."""
    with pytest.raises(error, match=r"User\.data"):
        Json().check(value, WHERE)


def test_cycles_and_repeated_parts_end() -> None:
    """A cyclic document is too deep; one that holds itself many times over is too large."""
    cycle: list[Any] = []
    cycle.append(cycle)
    doubled: Any = []
    for _ in range(40):
        doubled = [doubled, doubled]
    with pytest.raises(InvalidValue, match="nested deeper"):
        Json().check(cycle, WHERE)
    with pytest.raises(InvalidValue, match="JSON of more than"):
        Json().check(doubled, WHERE)


def test_the_shape_is_kept() -> None:
    """A `dict` takes objects only, a `list` arrays only."""
    assert (Json("object").check({}, WHERE), Json("array").check([], WHERE)) == ({}, [])
    for shape, value in (("object", []), ("array", {}), ("array", "ab"), ("object", 1)):
        with pytest.raises(InvalidType, match=r"expected (dict|list)"):
            Json(shape).check(value, WHERE)


def test_elements_have_the_type_of_the_list() -> None:
    """`list[int]` takes ints only, and the error says which element is wrong."""
    assert Json("array", Integer()).check([1, 2], WHERE) == [1, 2]
    with pytest.raises(InvalidType, match=r"User\.data\[1\]: expected int, got str"):
        Json("array", Integer()).check([1, "2"], WHERE)
    with pytest.raises(InvalidType, match=r"\[0\]: expected int, got bool"):
        Json("array", Integer()).check([True], WHERE)
    with pytest.raises(InvalidValue):
        Json("array", Text(2)).check(["abc"], WHERE)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@given(ANYTHING)
def test_a_document_is_kept_or_refused(document: Any) -> None:
    """Any Python value is either returned unchanged or refused with a code."""
    try:
        assert document is Json().check(document, WHERE)
    except DataFlowError as error:
        assert error.code in ("DF-102", "DF-103")
