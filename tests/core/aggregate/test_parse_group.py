from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.aggregate import Group
from dataflow_core.aggregate.parse_group import ACCUMULATORS, parse_bucket, parse_group
from dataflow_core.errors import (
    DataFlowError,
    InvalidPipeline,
    InvalidType,
    LimitExceeded,
    UnknownField,
    UnknownOperator,
)
from dataflow_core.filters import Bindings, Scope
from dataflow_core.types import Decimal, FieldType, Float, Integer, Json, Text
from tests.core.language import USER, quickly


def group(**document: Any) -> Group:
    """The group of a document."""
    return parse_group(document, Scope.of(USER), Bindings(), "here")


def bucket(**document: Any) -> Group:
    """The group of a bucket."""
    return parse_bucket(document, Scope.of(USER), Bindings(), "here")


@pytest.mark.parametrize(
    ("key", "names"),
    [
        (None, ["_id"]),
        ("$age", ["_id"]),
        ({"$toLower": "$name"}, ["_id"]),
        ({"a": "$age", "b": {"$year": "$born"}}, ["_id.a", "_id.b"]),
    ],
)
def test_keys(key: Any, names: list[str]) -> None:
    """Null, an expression, or a document of expressions."""
    assert names == [item.field.name for item in group(_id=key).keys]


@pytest.mark.parametrize(
    ("accumulator", "kind"),
    [
        ({"$sum": 1}, Integer()),
        ({"$sum": "$short"}, Integer()),
        ({"$sum": "$price"}, Decimal(38, 4)),
        ({"$sum": "$score"}, Float()),
        ({"$avg": "$age"}, Float()),
        ({"$min": "$name"}, Text()),
        ({"$count": {}}, Integer()),
        ({"$first": "$name"}, Text()),
        ({"$push": "$age"}, Json("array", Integer())),
        ({"$median": {"input": "$age", "method": "approximate"}}, Float()),
        ({"$stdDevPop": "$price"}, Float()),
    ],
)
def test_an_accumulator_has_a_type(accumulator: Any, kind: FieldType) -> None:
    """What a group makes has the same type on every database."""
    [found] = group(_id=None, value=accumulator).accumulators
    assert kind == found.field.type


@pytest.mark.parametrize(
    ("document", "error", "message"),
    [
        ({"v": {"$sum": 1}}, InvalidPipeline, "takes a dict with '_id'"),
        ({"_id": {}}, InvalidPipeline, "has no key"),
        ({"_id": "$data"}, InvalidPipeline, "cannot be grouped by JSON"),
        ({"_id": "$nope"}, UnknownField, "nope"),
        ({"_id": {"a b": 1}}, InvalidPipeline, "letters, digits"),
        ({"_id": {"a" * 60: 1}}, InvalidPipeline, "at most 59"),
        ({"_id": {5: 1}}, InvalidPipeline, "letters, digits"),
        ({"_id": [1]}, InvalidType, "no expression"),
        ({"_id": None, "v": 5}, InvalidPipeline, "takes {accumulator: expression}"),
        ({"_id": None, "v": {}}, InvalidPipeline, "takes {accumulator: expression}"),
        ({"_id": None, "v": {"$sum": 1, "$avg": 1}}, InvalidPipeline, "takes {accumulator"),
        ({"_id": None, "v": {"$Sum": 1}}, UnknownOperator, r"no accumulator '\$Sum'"),
        ({"_id": None, "v": {5: 1}}, UnknownOperator, "no accumulator 5"),
        ({"_id": None, "v": {"$sum": "$name"}}, InvalidPipeline, r"\$sum is for numbers, got str"),
        ({"_id": None, "v": {"$avg": "$active"}}, InvalidPipeline, "for numbers, got bool"),
        ({"_id": None, "v": {"$max": "$data"}}, InvalidPipeline, "JSON has no order"),
        ({"_id": None, "v": {"$push": "$data"}}, InvalidPipeline, "not for JSON"),
        ({"_id": None, "v": {"$count": 1}}, InvalidPipeline, r"\$count takes"),
        ({"_id": None, "v": {"$median": {"input": 1, "method": "x"}}}, InvalidPipeline, "median"),
        ({"_id": None, "a.b": {"$sum": 1}}, InvalidPipeline, "letters, digits"),
        ({"_id": None, "__rank": {"$sum": 1}}, InvalidPipeline, "not __ in front"),
    ],
)
def test_a_wrong_group_is_refused(document: Any, error: type[DataFlowError], message: str) -> None:
    """The error names the key or the accumulator."""
    with pytest.raises(error, match=message):
        parse_group(document, Scope.of(USER), Bindings(), "here")


def test_at_most_eight_keys_and_a_thousand_accumulators() -> None:
    """Refused at once, however many."""
    assert len(group(_id={f"k{number}": "$age" for number in range(8)}).keys) == 8
    many = {f"v{number}": {"$sum": 1} for number in range(100_000)}
    for document in ({"_id": {f"k{number}": "$age" for number in range(9)}}, {"_id": None, **many}):
        with quickly(), pytest.raises(LimitExceeded):
            parse_group(document, Scope.of(USER), Bindings(), "here")


def test_a_wrong_accumulator_names_the_nearest() -> None:
    """Accumulators are exact in case."""
    with pytest.raises(UnknownOperator) as caught:
        group(_id=None, v={"$addtoset": "$age"})
    assert caught.value.suggestion == "$addToSet"
    assert ACCUMULATORS["$addToSet"] == "addToSet"


RANGES = {"groupBy": "$age", "boundaries": [0, 10, 20], "default": -1}


def test_a_bucket_is_a_group_by_ranges() -> None:
    """The key is of the type of what is grouped; rows are counted unless output says otherwise."""
    found = bucket(**RANGES)
    assert ([Integer()], ["count"]) == (
        [key.field.type for key in found.keys],
        [item.field.name for item in found.accumulators],
    )
    named = bucket(**RANGES, output={"total": {"$sum": "$age"}})
    assert [item.field.name for item in named.accumulators] == ["total"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"boundaries": [0]}, InvalidPipeline, "at least two values"),
        ({"boundaries": "ab"}, InvalidPipeline, "at least two values"),
        ({"boundaries": [0, 0]}, InvalidPipeline, "go upwards"),
        ({"boundaries": [1, 0]}, InvalidPipeline, "go upwards"),
        ({"boundaries": [0, 1.5]}, InvalidType, "expected int"),
        ({"boundaries": [0, None]}, InvalidType, "expected int"),
        ({"boundaries": list(range(100_000))}, LimitExceeded, "at most 1000"),
        ({"default": None}, InvalidPipeline, "default is missing"),
        ({"default": "other"}, InvalidType, "default"),
        ({"groupBy": "$data"}, InvalidPipeline, "JSON has no order"),
        ({"groupBy": "$nope"}, UnknownField, "nope"),
        ({"output": 5}, InvalidPipeline, "output is a dict"),
        ({"granularity": "R5"}, InvalidPipeline, "takes groupBy, boundaries"),
    ],
)
def test_a_wrong_bucket_is_refused(
    change: dict[str, Any], error: type[DataFlowError], message: str
) -> None:
    """Boundaries go upwards and are of the type of what is grouped."""
    with quickly(), pytest.raises(error, match=message):
        bucket(**{**RANGES, **change})
