"""Filters of plain comparisons, known by their shape."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import DataFlowError
from dataflow_core.filters import Bindings, Predicate, Scope, parse_filter
from dataflow_core.filters.plain import PlainFilters
from dataflow_core.limits import Limits
from tests.core.language import USER

SCOPE = Scope.of(USER)


def in_full(document: Any, bindings: Bindings) -> Predicate:
    """A filter, read in full."""
    return parse_filter(document, SCOPE, bindings)


def kept(document: Any, filters: PlainFilters | None = None) -> PlainFilters:
    """Filters among which one is kept, if it is plain."""
    filters = filters or PlainFilters()
    bindings = Bindings()
    predicate = in_full(document, bindings)
    filters.keep(document, 0, predicate, bindings.leaves)
    return filters


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"name": "a"}, {"name": "b"}),
        ({"name": "a", "age": {"$gt": 1}}, {"name": "b", "age": {"$gt": 2}}),
        ({"age": {"$between": [1, 2]}}, {"age": {"$between": (3, 4)}}),
        ({"name": {"$in": ["a", "b", "c"]}}, {"name": {"$in": ["x", "y", "z", "w"]}}),
        ({"age": {"$gte": 1, "$lt": 5}}, {"age": {"$gte": 1.5, "$lt": Decimal("5.5")}}),
    ],
)
def test_a_known_shape_gives_the_same_tree_and_values(first: Any, second: Any) -> None:
    """The second filter of a shape: the tree of the first, and the values that a parser binds."""
    filters = kept(first)
    known, read = Bindings(), Bindings()
    tree = filters.known(second, known)
    assert tree == in_full(second, read)
    assert (known.values, known.leaves, known.list_values) == (
        read.values,
        read.leaves,
        read.list_values,
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"name": "a"}, {"name": None}),
        ({"name": "a"}, {"name": {"$eq": "a"}}),
        ({"name": "a"}, {"name": 5}),
        ({"age": 1}, {"age": 1.5}),
        ({"age": {"$in": [1, 2]}}, {"age": {"$in": [1, 1.5]}}),
        ({"age": {"$in": [1, 2]}}, {"age": {"$in": [1, None]}}),
        ({"age": {"$in": [1, 2]}}, {"age": {"$in": [1, 2, 3]}}),
        ({"age": {"$in": [1, 2]}}, {"age": {"$in": []}}),
        ({"age": {"$gt": 1}}, {"age": 1, "$gt": 1}),
        ({"age": 1}, {"age": {}}),
        ({"age": {"$between": [1, 2]}}, {"age": {"$between": [1, 2, 3]}}),
        ({"name": "a", "age": 1}, {"age": 1, "name": "a"}),
    ],
)
def test_another_shape_or_a_wrong_value_is_read_in_full(first: Any, second: Any) -> None:
    """What differs in shape, is null, fits nothing or is wrong is not known, and binds nothing."""
    filters = kept(first)
    bindings = Bindings()
    assert filters.known(second, bindings) is None
    assert bindings == Bindings()


@pytest.mark.parametrize(
    "document",
    [
        {"data.a": 1},
        {"data": {"a": 1}},
        {"name": {"$startswith": "a"}},
        {"age": {"$not": {"$gt": 1}}},
        {"$and": [{"age": 1}]},
        {"age": {"$ne": 1}},
        {"age": 1.5},
    ],
)
def test_what_is_not_plain_is_not_kept(document: Any) -> None:
    """Logic, patterns, places in JSON and conditions that are never true are read each time."""
    assert kept(document).known(document, Bindings()) is None


def test_the_limits_hold_for_what_is_known() -> None:
    """A list longer than allowed, together with what was counted before, is left to the parser."""
    filters = kept({"age": {"$in": [1, 2, 3]}})
    bindings = Bindings(limits=Limits(in_values=4), list_values=2)
    assert filters.known({"age": {"$in": [1, 2, 3]}}, bindings) is None


def test_values_that_are_bound_before_are_part_of_the_shape() -> None:
    """The tree says where its values are, so a filter behind other values is another one."""
    assert kept({"age": 1}).known({"age": 1}, Bindings([7])) is None


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(max_size=3)
    | st.dates()
    | st.datetimes(timezones=st.just(dt.UTC))
)
OPERATORS = {
    **dict.fromkeys(("$eq", "$gt", "$gte", "$lt", "$lte", "$ne"), VALUES),
    "$in": st.lists(VALUES, max_size=5),
    "$between": st.lists(VALUES, min_size=2, max_size=2),
}
CONDITIONS = VALUES | st.one_of(
    *(st.fixed_dictionaries({name: operand}) for name, operand in OPERATORS.items())
)
DOCUMENTS = st.dictionaries(
    st.sampled_from(["name", "age", "score", "active", "data.a"]), CONDITIONS, max_size=3
)


@given(st.lists(DOCUMENTS, max_size=6))
def test_what_is_known_is_what_a_parser_says(documents: list[Any]) -> None:
    """Random filters one after the other: never another tree or other values than in full."""
    filters = PlainFilters()
    for document in documents:
        known, read = Bindings(), Bindings()
        tree = filters.known(document, known)
        try:
            expected = in_full(document, read)
        except DataFlowError:
            assert tree is None
            continue
        if tree is not None:
            assert (tree, repr(known)) == (expected, repr(read))
        filters.keep(document, 0, expected, read.leaves)
