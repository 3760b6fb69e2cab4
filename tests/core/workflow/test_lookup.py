"""How the name of a node finds its type, and the instance it belongs to."""

from __future__ import annotations

import gc

import pytest

from dataflow_core.errors import AmbiguousNode, UnknownNode
from dataflow_core.nodes.registry import forget_owner, live_owners, register_owner
from dataflow_core.workflow import WorkflowBuilder
from tests.core.workflow.fakes import FakeOwner


class NodeName(str):
    """A name that remembers its instance."""

    owner: FakeOwner

    def __new__(cls, name: str, owner: FakeOwner) -> NodeName:
        made = super().__new__(cls, name)
        made.owner = owner
        return made


@pytest.fixture(autouse=True)
def _no_other_instances():
    """Forget the instances of other tests, and afterwards those of this one."""
    for owner in live_owners():
        forget_owner(owner)
    yield
    for owner in live_owners():
        forget_owner(owner)


def owner_of(name: str, builder: WorkflowBuilder) -> str:
    """The name of the instance that a node of this type is found in."""
    node_id = builder.add_node(name)
    owner = builder.build().nodes[node_id].type.owner
    assert isinstance(owner, FakeOwner)
    return owner.name


def made(name: str, *types: str, common: tuple[str, ...] = ()) -> FakeOwner:
    """A live instance with nodes of these names."""
    owner = FakeOwner(name)
    for one in types:
        owner.add(one)
    for one in common:
        owner.add(one, common=True)
    return owner


def test_instances_live_until_they_are_forgotten():
    """An instance is live from its registration until it is forgotten; twice is once."""
    one, two = FakeOwner("one"), FakeOwner("two")
    register_owner(one)
    assert live_owners() == (one, two)
    forget_owner(one)
    forget_owner(one)
    assert live_owners() == (two,)


def test_instances_are_not_kept_alive():
    """Being registered keeps no instance alive."""
    owner = FakeOwner("gone")
    assert live_owners() == (owner,)
    del owner
    gc.collect()
    assert live_owners() == ()


def test_a_name_is_found_in_the_one_instance_that_knows_it():
    """Without an instance, the live ones are searched."""
    one, two = made("one", "UserReadNode"), made("two", "OrderReadNode")
    assert owner_of("UserReadNode", WorkflowBuilder()) == one.name
    assert owner_of("OrderReadNode", WorkflowBuilder()) == two.name


def test_the_builders_instance_comes_first():
    """A builder's own instance wins; what it does not know is looked for in the others."""
    _, two = made("one", "UserReadNode", "LogNode"), made("two", "UserReadNode")
    assert owner_of("UserReadNode", WorkflowBuilder(two)) == "two"
    assert owner_of("LogNode", WorkflowBuilder(two)) == "one"


def test_a_name_that_remembers_its_instance_belongs_to_it():
    """A name from `generated_nodes` belongs to its instance, also in another one's builder."""
    one, two = made("one", "UserReadNode"), made("two", "UserReadNode")
    assert owner_of(NodeName("UserReadNode", one), WorkflowBuilder(two)) == "one"
    builder = WorkflowBuilder(two)
    builder.add_node(NodeName("UserReadNode", one), "a")
    builder.add_node("UserReadNode", "b")
    nodes = builder.build().nodes
    assert (nodes["a"].type.owner, nodes["b"].type.owner) == (one, two)


def test_a_name_that_two_instances_know_is_refused():
    """Two live instances with one name make it ambiguous; the error says how to choose."""
    instances = made("one", "UserReadNode"), made("two", "UserReadNode")
    with pytest.raises(AmbiguousNode, match=r"WorkflowBuilder\(db\) or db\.workflow\(\)"):
        owner_of("UserReadNode", WorkflowBuilder())
    forget_owner(instances[0])
    assert owner_of("UserReadNode", WorkflowBuilder()) == "two"


def test_an_instance_that_waits_for_the_collector_is_not_live():
    """An instance that only a reference cycle keeps in memory makes nothing ambiguous."""
    old, _new = made("old", "UserReadNode"), made("new", "UserReadNode")
    gc.disable()
    try:
        # Its node types refer back to it.
        del old
        assert owner_of("UserReadNode", WorkflowBuilder()) == "new"
    finally:
        gc.enable()


def test_an_unknown_name_is_answered_with_the_nearest():
    """An unknown name is refused, naming the node and the nearest name of any live instance."""
    _owner = made("one", "UserReadNode")
    with pytest.raises(UnknownNode, match="node 'UserReedNode_1'") as caught:
        owner_of("UserReedNode", WorkflowBuilder())
    assert caught.value.suggestion == "UserReadNode"


def test_a_process_without_instances_says_so():
    """Where no instance is live, the error says that."""
    with pytest.raises(UnknownNode, match="no DataFlow instance is open"):
        owner_of("UserReadNode", WorkflowBuilder())


def test_names_are_looked_up_when_the_workflow_is_built():
    """A node may be added before its model exists."""
    builder = WorkflowBuilder()
    builder.add_node("UserReadNode", "read")
    _owner = made("one", "UserReadNode")
    assert builder.build().nodes["read"].type.name == "UserReadNode"


def test_a_common_name_belongs_to_the_instance_of_the_other_nodes():
    """A name that every instance knows belongs to the builder's, else to the other nodes' one."""
    one = made("one", "UserReadNode", common=("SQLNode",))
    _two = made("two", "OrderReadNode", common=("SQLNode",))
    assert owner_of("SQLNode", WorkflowBuilder(one)) == "one"
    for other, home in (("UserReadNode", "one"), ("OrderReadNode", "two")):
        builder = WorkflowBuilder()
        builder.add_node("SQLNode", "first")
        builder.add_node(other)
        assert owner_of("SQLNode", builder) == home


def test_a_common_name_may_be_used_with_and_without_its_instance():
    """In one workflow a common name may remember its instance in one node and not in another."""
    one = made("one", "UserReadNode", common=("SQLNode",))
    two = made("two", common=("SQLNode",))
    builder = WorkflowBuilder()
    builder.add_node("SQLNode", "a")
    builder.add_node(NodeName("SQLNode", two), "b")
    builder.add_node("UserReadNode", "c")
    nodes = builder.build().nodes
    assert (nodes["a"].type.owner, nodes["b"].type.owner) == (one, two)


def test_a_common_name_without_a_home_is_ambiguous():
    """With several instances and no other node, or nodes of two, nothing tells which is meant."""
    one, two = (
        made("one", "UserReadNode", common=("SQLNode",)),
        made("two", "OrderReadNode", common=("SQLNode",)),
    )
    with pytest.raises(AmbiguousNode):
        owner_of("SQLNode", WorkflowBuilder())
    builder = WorkflowBuilder()
    builder.add_node("UserReadNode")
    builder.add_node("OrderReadNode")
    with pytest.raises(AmbiguousNode):
        owner_of("SQLNode", builder)
    forget_owner(two)
    assert owner_of("SQLNode", WorkflowBuilder()) == one.name
