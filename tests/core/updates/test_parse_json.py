from __future__ import annotations

import math
from typing import Any

import pytest

from dataflow_core.errors import (
    DataFlowError,
    InvalidType,
    InvalidUpdate,
    InvalidValue,
    LimitExceeded,
)
from dataflow_core.filters import Bindings, Not
from dataflow_core.updates import AddToSet, Change, Pop, Pull, PullAll, Push
from dataflow_core.updates.evaluate import apply
from dataflow_core.updates.parse import parse_update
from tests.core.language import NOW, USER, nested, quickly


def parsed(document: Any) -> tuple[Change, list[Any]]:
    """The first change and the values bound before the automatic timestamp."""
    bindings = Bindings()
    update = parse_update(document, USER, bindings, now=NOW)
    return update.assignments[0].change, bindings.values[:-1]


def result(document: Any, row: dict[str, Any]) -> dict[str, Any]:
    """The row after the update."""
    bindings = Bindings()
    update = parse_update(document, USER, bindings, now=NOW)
    return dict(apply(update.assignments, row, bindings.values))


def test_push() -> None:
    """One value, or those under `$each` with position, slice and sort."""
    assert isinstance(parsed({"$push": {"tags": "a"}})[0], Push)
    assert parsed({"$push": {"tags": "a"}})[1] == [["a"]]
    change, values = parsed(
        {"$push": {"tags": {"$each": ["a", "b"], "$position": 0, "$slice": -3, "$sort": -1}}}
    )
    assert isinstance(change, Push)
    assert [*values, change.sort] == [0, -3, ["a", "b"], -1]


def test_the_other_changes() -> None:
    """`$addToSet`, `$pull`, `$pullAll`, `$pop`."""
    assert isinstance(parsed({"$addToSet": {"tags": {"$each": ["a"]}}})[0], AddToSet)
    assert isinstance(parsed({"$pullAll": {"tags": ("a", "b")}})[0], PullAll)
    assert (Pop((), True), []) == parsed({"$pop": {"tags": -1}})
    pull, values = parsed({"$pull": {"data.list": {"$not": {"$gt": 5}}}})
    assert isinstance(pull, Pull) and isinstance(pull.condition, Not)
    assert (pull.steps, values) == (("list",), [5])


def test_what_they_do() -> None:
    """Parsed and applied to a row."""
    row = {"tags": ["a", "b", "a"], "data": {"n": [1, 5, 9]}}
    assert result({"$push": {"tags": "c"}}, row)["tags"] == ["a", "b", "a", "c"]
    assert result({"$pull": {"tags": "a"}}, row)["tags"] == ["b"]
    assert result({"$pull": {"data.n": {"$gte": 5}}}, row)["data"]["n"] == [1]
    assert result({"$addToSet": {"tags": "b"}}, row)["tags"] == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"$push": {"age": 1}}, r"\$push is for JSON arrays"),
        ({"$pop": {"name": 1}}, r"\$pop is for JSON arrays"),
        ({"$push": {"data.a": {"$each": "ab"}}}, r"\$each takes a list"),
        ({"$push": {"data.a": {"$slice": 1}}}, "stand beside"),
        ({"$push": {"data.a": {"$each": [1], "$sort": {"a": 1}}}}, r"\$sort is 1 or -1"),
        ({"$push": {"data.a": {"$each": [1], "$sort": True}}}, r"\$sort is 1 or -1"),
        ({"$push": {"data.a": {"$each": [1], "$Slice": 1}}}, r"no modifier '\$Slice'"),
        ({"$push": {"data.a": {"$each": [1], "slice": 1}}}, "no modifier 'slice'"),
        ({"$push": {"data.a": {"$each": [1], 5: 1}}}, "no modifier 5"),
        ({"$push": {"data.a": {"$foo": 1}}}, r"no modifier '\$foo'"),
        ({"$addToSet": {"data.a": {"$each": [1], "$slice": 1}}}, r"no modifier '\$slice'"),
        ({"$pullAll": {"tags": "a"}}, r"\$pullAll takes a list"),
        ({"$pop": {"tags": 0}}, r"\$pop takes 1"),
        ({"$pop": {"tags": True}}, r"\$pop takes 1"),
        ({"$pop": {"tags": "1"}}, r"\$pop takes 1"),
    ],
)
def test_what_cannot_be_read_is_refused(document: Any, message: str) -> None:
    """Modifiers are exact, stand together, and nothing beside them is ignored."""
    with pytest.raises(InvalidUpdate, match=message):
        parsed(document)


def test_a_wrong_modifier_names_the_nearest() -> None:
    """The suggestion is a modifier of that operator."""
    with pytest.raises(InvalidUpdate) as caught:
        parsed({"$push": {"data.a": {"$each": [1], "$Slice": 1}}})
    assert caught.value.suggestion == "$slice"


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"$push": {"tags": 5}}, InvalidType),
        ({"$push": {"tags": {"$each": ["a", None]}}}, InvalidType),
        ({"$addToSet": {"tags": True}}, InvalidType),
        ({"$push": {"data.a": math.nan}}, InvalidValue),
        ({"$push": {"data.a": b"x"}}, InvalidType),
        ({"$push": {"data.a": {1: 2}}}, InvalidType),
        ({"$push": {"data.a": "a\0"}}, InvalidValue),
        ({"$push": {"data.a": {"$each": [1], "$position": "0"}}}, InvalidType),
        ({"$push": {"data.a": {"$each": [1], "$slice": 2**63}}}, InvalidValue),
        ({"$pullAll": {"data.a": [math.inf]}}, InvalidValue),
        ({"$pull": {"data.a": {"$gt": math.nan}}}, InvalidValue),
        (
            {"$pull": {"tags": nested(100_000, lambda inner: {"$not": inner}, {"$eq": 1})}},
            LimitExceeded,
        ),
        ({"$push": {"data.a": nested(100_000, lambda inner: [inner], 1)}}, InvalidValue),
    ],
)
def test_elements_are_checked(document: Any, error: type[DataFlowError]) -> None:
    """An element has the type that the list declares, and is JSON that every database keeps."""
    with quickly(), pytest.raises(error):
        parsed(document)
