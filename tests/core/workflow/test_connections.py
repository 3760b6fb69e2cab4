"""What connections may join, checked when the workflow is built."""

from __future__ import annotations

import time

import pytest

from dataflow_core.errors import (
    DuplicateConnection,
    IncompatibleConnection,
    InvalidPath,
    UnknownNode,
    UnknownOutput,
    UnknownTarget,
    WorkflowCycle,
)
from dataflow_core.workflow import WorkflowBuilder
from tests.core.workflow.fakes import user_owner


@pytest.fixture
def builder() -> WorkflowBuilder:
    """A builder for an instance with users."""
    return WorkflowBuilder(user_owner())


@pytest.mark.parametrize("parameter", ["id", "user_id"])
def test_a_parameter_is_connected_once(builder, parameter):
    """Two connections to one parameter are refused, also by an alias."""
    builder.add_node("UserCreateNode", "ada", {"name": "Ada"})
    builder.add_node("UserUpdateNode", "update")
    builder.add_connection("ada", "id", "update", "id")
    builder.add_connection("ada", "result.id", "update", parameter)
    with pytest.raises(DuplicateConnection, match=r"node 'update'.*'id'") as caught:
        builder.build()
    assert caught.value.code == "DF-210"


@pytest.mark.parametrize("ends", [("ada", "updat"), ("add", "update")])
def test_connections_join_nodes_that_exist(builder, ends):
    """A connection to or from an unknown id is refused with the nearest."""
    builder.add_node("UserCreateNode", "ada", {"name": "Ada"})
    builder.add_node("UserUpdateNode", "update", {"id": 1})
    builder.add_connection(ends[0], "result", ends[1], "input")
    with pytest.raises(UnknownNode) as caught:
        builder.build()
    assert caught.value.suggestion in {"ada", "update"}


def test_outputs_are_known_at_build(builder):
    """An unknown output is refused with the nearest; what lies deeper is left to the run."""
    builder.add_node("UserCreateNode", "ada", {"name": "Ada"})
    builder.add_node("UserUpdateNode", "update")
    builder.add_connection("ada", "idd", "update", "id")
    with pytest.raises(UnknownOutput, match="node 'ada'") as caught:
        builder.build()
    assert caught.value.suggestion == "id"


def test_outputs_that_only_the_run_tells_are_not_refused(builder):
    """A node that declares no outputs may be connected by any name."""
    builder.add_node("FreeNode", "free")
    builder.add_node("UserUpdateNode", "update")
    builder.add_connection("free", "anything.0.id", "update", "id")
    assert len(builder.build()) == 2


def test_targets_are_known_at_build(builder):
    """An unknown target is refused with the nearest."""
    builder.add_node("UserCreateNode", "ada", {"name": "Ada"})
    builder.add_node("UserUpdateNode", "update", {"id": 1})
    builder.add_connection("ada", "result", "update", "field")
    with pytest.raises(UnknownTarget, match="node 'update'") as caught:
        builder.build()
    assert caught.value.suggestion == "fields"


@pytest.mark.parametrize("arguments", [(3, "id", "b", "x"), ("a", "id", None, "x")])
def test_ends_are_named_by_text(builder, arguments):
    """An end of a connection that is no text is refused at once."""
    with pytest.raises(UnknownNode):
        builder.add_connection(*arguments)


def test_targets_and_paths_are_text(builder):
    """A target or path that is no text is refused at once."""
    with pytest.raises(UnknownTarget):
        builder.add_connection("a", "id", "b", 3)
    with pytest.raises(InvalidPath):
        builder.add_connection("a", 0, "b", "x")


@pytest.mark.parametrize(
    ("output", "parameter"),
    [("name", "id"), ("id", "key"), ("result.*.id", "id"), ("result.*", "fields")],
)
def test_types_that_can_never_fit_are_refused(builder, output, parameter):
    """An output that the target can never accept is refused, and both types are named."""
    builder.add_node("UserCreateNode", "ada", {"name": "Ada"})
    builder.add_node("UserUpdateNode", "update", {} if parameter == "id" else {"id": 1})
    builder.add_connection("ada", output, "update", parameter)
    with pytest.raises(IncompatibleConnection, match="node 'update'") as caught:
        builder.build()
    assert caught.value.code == "DF-203"


@pytest.mark.parametrize(
    ("output", "parameter"), [("id", "id"), ("name", "key"), ("result.*.id", "ids")]
)
def test_types_that_may_fit_are_accepted(builder, output, parameter):
    """Equal types, text that may be a UUID, and a list for a list are accepted."""
    builder.add_node("UserCreateNode", "ada", {"name": "Ada"})
    builder.add_node("UserUpdateNode", "update", {} if parameter == "id" else {"id": 1})
    builder.add_connection("ada", output, "update", parameter)
    assert len(builder.build()) == 2


def test_a_cycle_is_named_in_order(builder):
    """A cycle is refused; the error names its nodes in order and leaves out the others."""
    for name in ("before", "a", "b", "c", "after"):
        builder.add_node("FreeNode", name)
    for source, target in (("before", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "after")):
        builder.add_connection(source, "result", target, "input")
    with pytest.raises(WorkflowCycle, match="a -> b -> c -> a") as caught:
        builder.build()
    assert caught.value.context["cycle"] == ["a", "b", "c", "a"]


def test_a_node_does_not_wait_for_itself(builder):
    """A connection from a node to itself is a cycle."""
    builder.add_node("FreeNode", "a")
    builder.add_connection("a", "result", "a", "x")
    with pytest.raises(WorkflowCycle, match="a -> a"):
        builder.build()


def test_a_long_cycle_is_found_quickly(builder):
    """A cycle through 5,000 nodes is named, cut short, in linear time."""
    for number in range(5_000):
        builder.add_node("FreeNode", f"n{number}")
        builder.add_connection(f"n{number}", "x", f"n{(number + 1) % 5_000}", "x")
    start = time.perf_counter()
    with pytest.raises(WorkflowCycle, match=r"n0 -> n1 -> .* -> \.\.\."):
        builder.build()
    assert time.perf_counter() - start < 5
