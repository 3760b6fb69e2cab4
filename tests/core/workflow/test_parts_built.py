"""A part of a workflow as a transaction: what is one, and how it is shown and stored."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import (
    ConflictingParameters,
    InvalidType,
    InvalidValue,
    InvalidWorkflow,
    TransactionSpansDatabases,
    UnknownNode,
)
from dataflow_core.nodes.base import Effect
from dataflow_core.workflow import Workflow, WorkflowBuilder
from dataflow_core.workflow.graph import TransactionPart
from tests.core.workflow.fakes import FakeOwner, touching


@pytest.fixture
def builder() -> WorkflowBuilder:
    """A builder of an instance with two databases."""
    owner = FakeOwner(live=False)
    owner.add("WriteNode", effect=touching(writes=["users"]))
    owner.add("VisitNode", effect=touching(writes=["visits"], database="analytics"))
    owner.add("PureNode", effect=Effect())
    return WorkflowBuilder(owner)


def add(builder: WorkflowBuilder, names: str, edges: str = "") -> None:
    """Add nodes with names of one letter, and connections like ``"ab bc"``."""
    for name in names:
        builder.add_node("WriteNode", name)
    for edge in edges.split():
        builder.add_connection(edge[0], "result", edge[1], "input")


def test_both_forms_are_equal(builder):
    """A list of ids makes the transaction that a block makes of the nodes added in it."""
    add(builder, "a")
    with builder.transaction("one", isolation="serializable", retry=2):
        add(builder, "bc")
    add(builder, "de")
    builder.add_transaction("two", ["e", "d"], retry=1)
    assert list(builder.build().parts) == [
        TransactionPart("one", ("b", "c"), "serializable", 2),
        TransactionPart("two", ("e", "d"), None, 1),
    ]


def test_its_nodes_follow_each_other(builder):
    """A part stands where its first node was added, or when it can run; its nodes in order."""
    add(builder, "abcde", "ec")
    builder.add_transaction("part", list("da"))
    assert builder.build().order == ("a", "d", "b", "e", "c")
    add(builder, "", "ba")
    assert builder.build().order == ("b", "a", "d", "e", "c")


@pytest.mark.parametrize(
    ("edges", "path"),
    [("ax xb", "a -> x, x -> b"), ("ax xy yb", "a -> x, x -> y, y -> b")],
)
def test_what_leaves_a_part_does_not_come_back(builder, edges, path):
    """A node that waits for the part, and for which the part waits, is refused by its path."""
    add(builder, "abxy", edges)
    builder.add_transaction("part", list("ab"))
    with pytest.raises(InvalidWorkflow, match=f"'part' cannot run as one.*: {path};"):
        builder.build()


def test_parts_do_not_wait_for_each_other(builder):
    """Two parts of which each waits for a node of the other are refused."""
    add(builder, "abxy", "ax yb")
    builder.add_transaction("part", list("ab"))
    builder.add_transaction("other", list("xy"))
    with pytest.raises(InvalidWorkflow, match=r"'part' cannot run as one.*: a -> x, y -> b;"):
        builder.build()


@given(st.data())
def test_neighbours_in_the_order_make_a_part(data):
    """Nodes that follow each other in the order of any workflow can be parts of it, and their
    dependencies hold."""
    owner = FakeOwner(live=False)
    owner.add("WriteNode", effect=touching(writes=["users"]))
    builder = WorkflowBuilder(owner)
    count = data.draw(st.integers(1, 12))
    names = data.draw(st.permutations([f"n{number}" for number in range(count)]))
    for name in names:
        builder.add_node("WriteNode", name)
    arrows = data.draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))))
    arrows = [(min(pair), max(pair)) for pair in arrows if pair[0] != pair[1]]
    for source, target in arrows:
        builder.add_connection(f"n{source}", "result", f"n{target}", "input")
    order = builder.build().order
    ends = sorted(data.draw(st.sets(st.integers(1, count))) | {0})
    for number, (start, end) in enumerate(pairwise(ends)):
        builder.add_transaction(f"t{number}", data.draw(st.permutations(order[start:end])))
    workflow = builder.build()
    place = {node_id: at for at, node_id in enumerate(workflow.order)}
    assert place.keys() == set(names)
    assert all(place[f"n{source}"] < place[f"n{target}"] for source, target in arrows)
    for part in workflow.parts:
        places = sorted(place[node_id] for node_id in part.nodes)
        assert places == list(range(places[0], places[0] + len(places)))


def test_a_name_is_taken_once(builder):
    """Two transactions of one name are refused, in either form."""
    with builder.transaction("part"):
        add(builder, "a")
    add(builder, "b")
    with pytest.raises(InvalidWorkflow, match="already has a transaction 'part'"):
        builder.add_transaction("part", list("b"))
    with pytest.raises(InvalidWorkflow, match="already has"), builder.transaction("part"):
        pass


def test_a_node_is_in_one_part(builder):
    """A transaction within another one, and a node in two, are refused."""
    with builder.transaction("part"):
        add(builder, "a")
        within = pytest.raises(InvalidWorkflow, match="within the transaction 'part'")
        with within, builder.transaction("inner"):
            pass
        with pytest.raises(InvalidWorkflow, match="node 'a' is in the transaction 'part'"):
            builder.add_transaction("other", list("a"))
    with pytest.raises(InvalidWorkflow, match="node 'a' is in the transaction 'part'"):
        builder.add_transaction("other", list("a"))
    assert len(builder.build().parts) == 1


def test_its_block_ends_before_it_is_built(builder):
    """What is built within the block would lack the nodes that follow."""
    with builder.transaction("part"):
        add(builder, "a")
        with pytest.raises(InvalidWorkflow, match="within the block of the transaction 'part'"):
            builder.build()


def test_an_error_in_its_block_does_not_let_nodes_go(builder):
    """Nodes that were added before an exception in the block stay in the transaction."""
    with pytest.raises(ZeroDivisionError), builder.transaction("part"):
        add(builder, "a")
        raise ZeroDivisionError
    assert next(iter(builder.build().parts)).nodes == ("a",)


@pytest.mark.parametrize(
    ("nodes", "error"),
    [("a", InvalidType), (["a", "a"], InvalidValue), ([1], InvalidType), (None, InvalidType)],
)
def test_wrong_nodes_are_refused(builder, nodes, error):
    """The nodes are a collection of ids, each once; text is none."""
    add(builder, "a")
    with pytest.raises(error, match="the transaction 'part': nodes"):
        builder.add_transaction("part", nodes)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"name": 1}, InvalidType),
        ({"name": ""}, InvalidValue),
        ({"isolation": "serialisable"}, InvalidValue),
        ({"retry": -1}, InvalidValue),
        ({"retry": True}, InvalidType),
    ],
)
def test_wrong_arguments_are_refused(builder, options, error):
    """Name, isolation and retry are checked at once."""
    with pytest.raises(error), builder.transaction(**{"name": "part", **options}):
        pass


def test_what_cannot_be_a_transaction_is_not_built(builder):
    """No node, an unknown one, and nodes without a database."""
    builder.add_transaction("part", [])
    with pytest.raises(InvalidWorkflow, match="'part' has no nodes"):
        builder.build()
    builder = WorkflowBuilder(builder._owner)
    builder.add_transaction("part", ["a"])
    with pytest.raises(UnknownNode, match="'part': there is no node 'a'"):
        builder.build()
    builder = WorkflowBuilder(builder._owner)
    with builder.transaction("part"):
        builder.add_node("PureNode")
    with pytest.raises(InvalidWorkflow, match="'part' has no node that uses a database"):
        builder.build()


def test_two_databases_are_refused(builder):
    """A part is on one database; the error names both nodes, the transaction, and a way out."""
    with builder.transaction("part"):
        builder.add_node("WriteNode", "a")
        builder.add_node("VisitNode", "b")
    with pytest.raises(TransactionSpansDatabases, match=r"'primary'.*'analytics'") as caught:
        builder.build()
    assert caught.value.context["transaction"] == "part"
    assert "with workflow.transaction(" in caught.value.solutions[1].snippet


@pytest.mark.parametrize("options", [{"on_error": "continue"}, {"retries": 1}])
def test_a_part_is_all_or_nothing(builder, options):
    """A node that is retried or whose failure is passed over does not fit into a transaction."""
    with builder.transaction("part"):
        builder.add_node("WriteNode", "a", **options)
    with pytest.raises(ConflictingParameters, match="in a transaction"):
        builder.build()


def stored(builder: WorkflowBuilder) -> dict[str, Any]:
    """A workflow with a transaction, stored and read by the json module."""
    add(builder, "a")
    with builder.transaction("one", isolation="serializable", retry=2):
        add(builder, "bc")
    builder.add_transaction("two", list("a"))
    found: dict[str, Any] = json.loads(json.dumps(builder.build().to_dict()))
    return found


def test_it_is_stored(builder):
    """What was stored is built again with the same transactions; without any nothing is stored."""
    found = stored(builder)
    assert found["transactions"] == [
        {"name": "one", "nodes": ["b", "c"], "isolation": "serializable", "retry": 2},
        {"name": "two", "nodes": ["a"]},
    ]
    again = Workflow.from_dict(found, builder._owner)
    assert list(again.parts) == list(builder.build().parts)
    alone = WorkflowBuilder(builder._owner)
    add(alone, "a")
    assert "transactions" not in alone.build().to_dict()


@pytest.mark.parametrize(
    "change", [{"nodes": "bc"}, {"nodes": {}}, {"other": 1}, {"name": None}, {"isolation": "x"}]
)
def test_what_was_changed_by_hand_is_refused(builder, change):
    """A stored transaction is checked as one that is built."""
    found = stored(builder)
    found["transactions"][0].update(change)
    with pytest.raises((InvalidWorkflow, InvalidType, InvalidValue)):
        Workflow.from_dict(found, builder._owner)


def test_the_diagram_has_a_box(builder):
    """The nodes of a transaction stand in a box of its name; the arrows cross its border."""
    add(builder, "a")
    with builder.transaction('pay "now"'):
        add(builder, "b", "ab")
    assert builder.build().to_mermaid() == (
        "flowchart TD\n"
        '    subgraph t0["transaction pay #34;now#34;"]\n'
        '        n1["b<br/>WriteNode"]\n'
        "    end\n"
        '    n0["a<br/>WriteNode"]\n'
        "    n0 -.-> n1\n"
    )


def test_the_table_names_it(builder):
    """The table of a notebook has a column of transactions, if there is one."""
    add(builder, "a")
    assert "transaction" not in builder.build()._repr_html_()
    with builder.transaction("<pay>"):
        add(builder, "b")
    text = builder.build()._repr_html_()
    assert "<th>transaction</th>" in text
    assert "<td>WriteNode</td><td>&lt;pay&gt;</td>" in text
    assert "<td>WriteNode</td><td></td>" in text
