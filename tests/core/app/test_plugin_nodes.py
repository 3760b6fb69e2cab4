"""Nodes that plugins bring."""

from __future__ import annotations

from typing import Any

import pytest

from dataflow_core import Context, DataFlow, WorkflowBuilder
from dataflow_core.contract import NodeSpec, hookimpl
from dataflow_core.errors import DuplicateNode, PluginError
from tests.core.app.fakes import Acme, installed


async def where(context: Context, *, greeting: str = "hello") -> dict[str, Any]:
    """Says which instance it runs in."""
    return {"greeting": greeting, "db": context.db}


class Plugin:
    """Brings the nodes that it is given."""

    __version__ = "2.0"

    def __init__(self, *nodes: Any) -> None:
        self.nodes = nodes

    @hookimpl
    def dataflow_nodes(self) -> Any:
        """The nodes."""
        return list(self.nodes)


def instance(*plugins: Plugin) -> DataFlow:
    """An instance with these plugins."""
    pairs = [("acme", Acme()), *((f"p{number}", one) for number, one in enumerate(plugins))]
    return DataFlow(disabled_plugins=installed(), plugins=pairs)


async def test_every_instance_has_the_nodes_of_plugins() -> None:
    """The context belongs to the instance; the parameters are those of the function."""
    db = instance(Plugin(NodeSpec("WhereNode", where)))
    result = await db.run("WhereNode", greeting="hi")
    assert (result["greeting"], result["db"]) == ("hi", db)
    assert db.node_type("WhereNode").description == "Says which instance it runs in."


def test_a_node_may_run_last_and_is_common() -> None:
    """Two live instances do not make its name ambiguous where the workflow tells which."""
    first, second = (instance(Plugin(NodeSpec("WhereNode", where, last=True))) for _ in range(2))
    for db in (first, second):
        node = db.node_type("WhereNode")
        assert (node.last, node.common, node.owner) == (True, True, db)
    workflow = WorkflowBuilder(second)
    workflow.add_node("WhereNode", "where", {})
    assert workflow.build().owners == (second,)


@pytest.mark.parametrize("repeatable", [False, True])
def test_a_node_says_whether_transactions_may_repeat_it(repeatable: bool) -> None:
    """Nothing is known of what a function does, unless its plugin says it."""
    db = instance(Plugin(NodeSpec("WhereNode", where, repeatable=repeatable)))
    assert db.node_type("WhereNode").repeatable is repeatable


def test_two_plugins_with_one_name_are_refused() -> None:
    """Nothing decides between them."""
    with pytest.raises(PluginError, match="two plugins declare a node called 'WhereNode'"):
        instance(Plugin(NodeSpec("WhereNode", where)), Plugin(NodeSpec("WhereNode", where)))


def test_what_is_no_node_names_the_plugin() -> None:
    """A wrong answer is refused with the plugin and its version."""
    with pytest.raises(PluginError, match=r"'p0' \(2\.0\) returned function, expected NodeSpec"):
        instance(Plugin(where))


def test_a_name_that_there_is_is_refused() -> None:
    """Neither a plugin nor a user replaces a node."""
    with pytest.raises(DuplicateNode):
        instance(Plugin(NodeSpec("SQLNode", where)))
    with pytest.raises(DuplicateNode):
        instance(Plugin(NodeSpec("WhereNode", where))).node("WhereNode")(where)
