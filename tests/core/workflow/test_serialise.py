"""Workflows as plain values, and back."""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
from collections import OrderedDict
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import (
    DataFlowError,
    InvalidType,
    InvalidValue,
    InvalidWorkflow,
    LimitExceeded,
    MissingParameter,
    UnknownNode,
)
from dataflow_core.nodes.base import Parameter
from dataflow_core.workflow import Workflow, WorkflowBuilder
from tests.core.workflow.fakes import FakeOwner

OWNER = FakeOwner(live=False)
OWNER.add("EchoNode")
OWNER.add("StrictNode", parameters=[Parameter("id", required=True)])


def workflow_with(value: Any) -> Workflow:
    """A workflow of one node with one parameter."""
    builder = WorkflowBuilder(OWNER)
    builder.add_node("EchoNode", "a", {"value": value})
    return builder.build()


def round_trip(value: Any) -> Any:
    """The parameter after a way through the json module."""
    stored = json.loads(json.dumps(workflow_with(value).to_dict(), allow_nan=False))
    return Workflow.from_dict(stored, OWNER).nodes["a"].parameters["value"]


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.dates(),
    # `fold` tells two times of a changing clock apart; here what has no zone is UTC's.
    st.times().map(lambda value: value.replace(fold=0)),
    st.datetimes().map(lambda value: value.replace(fold=0)),
    st.datetimes(timezones=st.just(dt.UTC)).map(lambda value: value.replace(fold=0)),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.sampled_from(["$type", "value", "a", "$gt"]), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(values)
def test_values_come_back_as_they_were(value):
    """Every value that a parameter may have comes back equal and of the same type."""
    found = round_trip(value)
    assert found == value
    assert repr(found) == repr(value)


def test_not_a_number_comes_back():
    """NaN, which is no JSON, comes back too; whether a node accepts it is another matter."""
    assert math.isnan(round_trip(math.nan))
    assert round_trip([math.inf, -math.inf]) == [math.inf, -math.inf]


def test_members_of_an_enumeration_are_stored_as_their_values():
    """A member stands for its value, as it does for a field; a dict's own class is not kept."""

    class Colour(enum.Enum):
        RED = "red"

    class Size(enum.IntEnum):
        BIG = 3

    assert round_trip([Colour.RED, Size.BIG]) == ["red", 3]
    assert type(round_trip(OrderedDict(a=1))) is dict


def test_the_whole_workflow_comes_back():
    """Nodes, their options, connections and the order come back."""
    builder = WorkflowBuilder(OWNER)
    builder.add_node("EchoNode", "b", {"x": Decimal("1.10")}, retries=2, retry_delay=0.5)
    builder.add_node("StrictNode", "c", timeout=3, on_error="continue", deferred=["id"])
    builder.add_node("EchoNode", "a")
    builder.add_connection("a", "result.0.id", "b", "y")
    builder.add_connection("b", "result", "c", "input")
    workflow = builder.build()
    stored = workflow.to_dict()
    again = Workflow.from_dict(json.loads(json.dumps(stored)), OWNER)
    assert again.to_dict() == stored
    assert (list(again), again.order) == (["b", "c", "a"], ("a", "b", "c"))
    assert [node.options for node in again.nodes.values()] == [
        node.options for node in workflow.nodes.values()
    ]
    assert stored["nodes"][2] == {"id": "a", "type": "EchoNode", "parameters": {}}


@pytest.mark.parametrize(
    "value",
    [print, iter(()), iter([]), object(), {1, 2}, int, 1j, {3: "x"}, [{None: 1}]],
)
def test_what_cannot_be_stored_is_refused(value):
    """Functions, generators, sets and other objects are refused, naming node and parameter."""
    with pytest.raises(InvalidType, match="node 'a', parameter 'value'"):
        workflow_with(value).to_dict()


def test_endless_values_are_refused():
    """A cyclic or very deep value is refused and does not exhaust the stack."""
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    deep: Any = None
    for _ in range(100_000):
        deep = {"$not": deep}
    for value in (cyclic, deep):
        with pytest.raises(LimitExceeded):
            workflow_with(value).to_dict()
    stored = workflow_with(None).to_dict()
    stored["nodes"][0]["parameters"]["value"] = deep
    with pytest.raises(LimitExceeded):
        Workflow.from_dict(stored, OWNER)


GOOD: dict[str, Any] = {
    "version": 1,
    "nodes": [{"id": "a", "type": "EchoNode"}],
    "connections": [],
}


@pytest.mark.parametrize(
    "broken",
    [
        [],
        None,
        {},
        {**GOOD, "version": 2},
        {**GOOD, "version": True},
        {**GOOD, "extra": 1},
        {**GOOD, "nodes": {}},
        {**GOOD, "nodes": [{"id": "a"}]},
        {**GOOD, "nodes": ["a"]},
        {**GOOD, "nodes": [{"id": None, "type": "EchoNode"}]},
        {**GOOD, "nodes": [{"id": "a", "type": "EchoNode", "retrys": 1}]},
        {**GOOD, "nodes": [{"id": "a", "type": "EchoNode", "parameters": []}]},
        {**GOOD, "connections": [{"source": "a"}]},
        {**GOOD, "connections": [{}]},
        {**GOOD, "connections": "ab"},
    ],
)
def test_other_forms_are_refused(broken):
    """What is not of the known form is refused, and says where."""
    with pytest.raises(InvalidWorkflow):
        Workflow.from_dict(broken, OWNER)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({"$type": "date"}, InvalidWorkflow),
        ({"$type": "dat", "value": "2025-01-17"}, InvalidWorkflow),
        ({"$type": "date", "value": 3}, InvalidWorkflow),
        ({"$type": [], "value": "x"}, InvalidWorkflow),
        ({"$type": "tuple", "value": "ab"}, InvalidWorkflow),
        ({"$type": "dict", "value": []}, InvalidWorkflow),
        ({"$type": "date", "value": "yesterday"}, InvalidValue),
        ({"$type": "decimal", "value": "ten"}, InvalidValue),
        ({"$type": "bytes", "value": "*"}, InvalidValue),
        ({"$type": "uuid", "value": "1"}, InvalidValue),
    ],
)
def test_stored_values_are_checked(value, error):
    """A stored value that cannot be read is refused, and says where."""
    nodes = [{"id": "a", "type": "EchoNode", "parameters": {"value": value}}]
    with pytest.raises(error, match=r"nodes\[0\]\.parameters\.value"):
        Workflow.from_dict({**GOOD, "nodes": nodes}, OWNER)


def test_all_checks_of_build_are_made_again():
    """A stored workflow passes the same checks as one that is built."""
    for node, error in (
        ({"id": "a", "type": "EchNode"}, UnknownNode),
        ({"id": "a", "type": "StrictNode"}, MissingParameter),
        ({"id": "a", "type": "EchoNode", "timeout": "soon"}, DataFlowError),
    ):
        with pytest.raises(error):
            Workflow.from_dict({**GOOD, "nodes": [node]}, OWNER)


def test_known_types_survive_one_by_one():
    """One example of each type, for the eye."""
    examples: list[Any] = [
        dt.datetime(2025, 1, 17, 8, 30, tzinfo=dt.UTC),
        dt.date(2025, 1, 17),
        dt.time(8, 30, 0, 5),
        Decimal("1.10"),
        UUID(int=7),
        b"\x00\xff",
        (1, "a"),
        {"$type": "mine"},
    ]
    assert [round_trip(example) for example in examples] == examples
