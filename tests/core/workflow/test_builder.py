"""What `add_node`, `add_connection` and `build` accept and refuse."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from dataflow_core.errors import (
    ConflictingParameters,
    DataFlowError,
    DuplicateNode,
    InvalidType,
    InvalidValue,
    MissingParameter,
    UnknownNode,
    UnknownParameter,
)
from dataflow_core.workflow import WorkflowBuilder
from tests.core.workflow.fakes import FakeOwner, user_owner
from tests.limits import at_most


@pytest.fixture
def owner() -> FakeOwner:
    """An instance with a node that makes a row and one that changes it."""
    return user_owner()


@pytest.fixture
def builder(owner: FakeOwner) -> WorkflowBuilder:
    """A builder for that instance."""
    return WorkflowBuilder(owner)


def test_a_checked_workflow_is_a_value(builder):
    """A workflow has a length, gives its node ids as added, and its builder may go on."""
    assert builder.add_node("UserCreateNode", "ada", {"name": "Ada"}) == "ada"
    workflow = builder.build()
    builder.add_node("UserCreateNode", "grace", {"name": "Grace"})
    assert (len(workflow), list(workflow), "grace" in workflow) == (1, ["ada"], False)
    assert list(builder.build()) == ["ada", "grace"]
    with pytest.raises(AttributeError):
        workflow.nodes = {}
    with pytest.raises(TypeError):
        workflow.nodes["ada"].parameters["name"] = "Eve"


def test_parameters_are_copied_and_their_values_are_not(builder):
    """A later change of the dict does not reach the workflow; large values are never copied."""
    rows = [{"name": "Ada"}]
    parameters = {"rows": rows}
    builder.add_node("FreeNode", "load", parameters)
    parameters["more"] = rows
    given = builder.build().nodes["load"].parameters
    assert list(given) == ["rows"]
    assert given["rows"] is rows


def test_ids_are_made_from_the_type(builder):
    """A node without an id is called after its type, with the first number that is free."""
    builder.add_node("FreeNode", "FreeNode_2")
    assert builder.add_node("FreeNode") == "FreeNode_1"
    assert builder.add_node("FreeNode") == "FreeNode_3"


def test_an_id_is_used_once(builder):
    """A second node of one id is refused at once, with both types."""
    builder.add_node("FreeNode", "a")
    with pytest.raises(DuplicateNode, match="UserCreateNode") as caught:
        builder.add_node("UserCreateNode", "a")
    assert caught.value.code == "DF-207"


@pytest.mark.parametrize(
    ("node_id", "error"),
    [
        (3, InvalidType),
        ({"name": "Ada"}, InvalidType),
        ("", InvalidValue),
        ("x" * 300, InvalidValue),
        ("a\0b", InvalidValue),
        ("\ud800", InvalidValue),
    ],
)
def test_ids_are_short_text(builder, node_id, error):
    """An id is text of 1 to 255 characters that can be encoded."""
    with pytest.raises(error):
        builder.add_node("FreeNode", node_id)


@pytest.mark.parametrize("node_type", [None, 3, FakeOwner, ["FreeNode"]])
def test_types_are_named_by_text(builder, node_type):
    """A node type is given by its name."""
    with pytest.raises(InvalidType, match="by its name"):
        builder.add_node(node_type, "a")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"retries": -1}, InvalidValue),
        ({"retries": 10**9}, InvalidValue),
        ({"retries": 1.5}, InvalidType),
        ({"retries": True}, InvalidType),
        ({"retry_delay": -1}, InvalidValue),
        ({"retry_delay": math.nan}, InvalidValue),
        ({"timeout": 0}, InvalidValue),
        ({"timeout": math.inf}, InvalidValue),
        ({"timeout": 10**400}, InvalidValue),
        ({"timeout": "5"}, InvalidType),
        ({"timeout": True}, InvalidType),
        ({"on_error": "ignore"}, InvalidValue),
        ({"on_error": False}, InvalidValue),
        ({"deferred": "name"}, InvalidType),
        ({"deferred": [3]}, InvalidType),
    ],
)
def test_options_are_checked(builder, options, error):
    """A value that an option cannot have is refused at once, naming node and option."""
    with pytest.raises(error) as caught:
        builder.add_node("FreeNode", "a", **options)
    assert f"node 'a': {next(iter(options))}" in caught.value.message


def test_unknown_options_cannot_be_given(builder):
    """A misspelt option is no silent parameter."""
    with pytest.raises(TypeError, match="retry"):
        builder.add_node("FreeNode", "a", retry=3)


@pytest.mark.parametrize("parameters", ["name", [("name", "Ada")], {3: "x"}, {None: 1}])
def test_parameters_are_a_dict_of_names(builder, parameters):
    """Parameters are a mapping with text keys."""
    with pytest.raises(InvalidType, match="node 'a'"):
        builder.add_node("FreeNode", "a", parameters)


def test_unknown_parameters_are_refused_with_the_nearest(builder):
    """A name that is no parameter is refused, naming node and nearest parameter."""
    builder.add_node("UserCreateNode", "ada", {"name": "Ada", "agee": 36})
    with pytest.raises(UnknownParameter, match="node 'ada'") as caught:
        builder.build()
    assert caught.value.suggestion == "age"
    assert caught.value.context["node_id"] == "ada"


def test_missing_parameters_are_refused(builder):
    """A required parameter that nothing gives is refused at build, and the ways out are named."""
    builder.add_node("UserCreateNode", "ada", {"age": 36})
    with pytest.raises(MissingParameter, match=r"'name' or 'values'.*deferred=\('name',\)"):
        builder.build()


@pytest.mark.parametrize(
    ("parameters", "options"),
    [({"name": "Ada"}, {}), ({"values": {"name": "Ada"}}, {}), ({}, {"deferred": ["name"]})],
)
def test_required_parameters_may_be_given_in_several_ways(builder, parameters, options):
    """A constant, another parameter that stands in, or a promise for the run satisfies it."""
    builder.add_node("UserCreateNode", "ada", parameters, **options)
    assert len(builder.build()) == 1


def test_a_connection_gives_a_required_parameter_by_its_alias(builder):
    """A connection to an alias satisfies the parameter that the alias stands for."""
    builder.add_node("UserCreateNode", "ada", {"name": "Ada"})
    builder.add_node("UserUpdateNode", "update")
    builder.add_connection("ada", "id", "update", "user_id")
    assert builder.build().order == ("ada", "update")


@pytest.mark.parametrize("parameter", ["id", "user_id"])
def test_a_constant_and_a_connection_exclude_each_other(builder, parameter):
    """A parameter that is both constant and connected is refused, also by an alias."""
    builder.add_node("UserCreateNode", "ada", {"name": "Ada"})
    builder.add_node("UserUpdateNode", "update", {"id": 3})
    builder.add_connection("ada", "id", "update", parameter)
    with pytest.raises(ConflictingParameters, match=r"node 'update'.*as a constant.*connection"):
        builder.build()


def test_a_constant_is_not_deferred(builder):
    """A parameter that is both constant and deferred is refused."""
    builder.add_node("UserCreateNode", "ada", {"name": "Ada"}, deferred=("name",))
    with pytest.raises(ConflictingParameters, match="deferred"):
        builder.build()


def test_unknown_names_are_not_deferred(builder):
    """A deferred name that is no parameter is refused."""
    builder.add_node("UserCreateNode", "ada", {"name": "Ada"}, deferred=("agee",))
    with pytest.raises(UnknownParameter):
        builder.build()


def test_the_check_of_a_node_type_keeps_its_error(owner, builder):
    """What a node type refuses keeps its class and code, and tells the node."""

    def check(parameters: Any) -> None:
        if parameters.get("limit", 0) < 0:
            raise InvalidValue("limit must be at least 0", where="limit")

    owner.add("UserListNode", parameters=["limit"], check=check)
    builder.add_node("UserListNode", "good", {"limit": 3})
    builder.add_node("UserListNode", "bad", {"limit": -1})
    with pytest.raises(InvalidValue, match="limit must be") as caught:
        builder.build()
    assert caught.value.context["node_id"] == "bad"
    assert caught.value.__notes__ == ["in node 'bad' (UserListNode)"]


def test_errors_of_a_check_that_are_no_dataflow_errors_pass_through(owner, builder):
    """A bug in a check is not disguised; a note tells the node."""

    def check(parameters: Any) -> None:
        raise ZeroDivisionError

    owner.add("OddNode", check=check)
    builder.add_node("OddNode", "odd")
    with pytest.raises(ZeroDivisionError) as caught:
        builder.build()
    assert caught.value.__notes__ == ["in node 'odd' (OddNode)"]


def test_what_is_read_once_is_not_retried(builder):
    """Retries and a generator exclude each other: a further try would see the rest only."""
    builder.add_node("FreeNode", "load", {"data": iter(())}, retries=2)
    with pytest.raises(ConflictingParameters, match="only once"):
        builder.build()


def test_hostile_names_are_refused_quickly_and_shortly(builder):
    """Endless and strange names give a short error, quickly."""
    for name in ("x" * 10**6, "\ud800", "a\nb\x1b[0m", "Ünïcode", "'; DROP TABLE users; --"):
        start = time.perf_counter()
        for act in (
            lambda name=name: builder.add_node("FreeNode", name),
            lambda name=name: WorkflowBuilder(FakeOwner(live=False)).add_node(name, "a"),
            lambda name=name: builder.add_connection(name, "x", "b", name),
        ):
            try:
                act()
            except DataFlowError as error:
                assert len(str(error)) < 2_000
                str(error).encode()
        other = WorkflowBuilder(FakeOwner(live=False))
        other.add_node(name, "a")
        with pytest.raises(UnknownNode) as caught:
            other.build()
        assert len(str(caught.value)) < 2_000
        str(caught.value).encode()
        assert time.perf_counter() - start < at_most(0.2)


def test_representations_show_no_values(builder):
    """Neither builder nor workflow nor node shows parameter values."""
    builder.add_node("FreeNode", "a", {"password": "hunter2"})
    workflow = builder.build()
    assert "hunter2" not in repr(builder) + repr(workflow) + repr(workflow.nodes["a"])
    assert repr(workflow) == "<Workflow of 1 node: a>"


def test_an_empty_workflow_is_a_workflow():
    """A workflow without nodes can be built; it has no order."""
    workflow = WorkflowBuilder().build()
    assert (len(workflow), workflow.order) == (0, ())
