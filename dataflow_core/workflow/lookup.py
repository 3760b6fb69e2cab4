"""Which node type a name stands for, and of which instance."""

from __future__ import annotations

import gc
from collections.abc import Mapping

from dataflow_core.errors import AmbiguousNode, UnknownNode
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.nodes.base import NodeOwner, NodeType
from dataflow_core.nodes.registry import live_owners

__all__ = ["node_types"]


def node_types(names: Mapping[str, str], owner: NodeOwner | None) -> dict[str, NodeType]:
    """Return the node type of each node.

    A name that remembers its instance (in an attribute ``owner``) belongs to that one, another one
    to ``owner`` if that knows it, else to the one live instance that does. Names that every
    instance knows belong to the instance of the other nodes, if these are of one instance.

    Parameters:
        names: the name of the type by node id.
        owner: the instance that the builder was given.

    Raises:
        UnknownNode: no instance knows the name.
        AmbiguousNode: two live instances know it, and nothing says which is meant.
    """
    found: dict[tuple[str, int], NodeType] = {}
    shared: dict[tuple[str, int], str] = {}
    known: dict[int, frozenset[str]] = {}
    for node_id, name in names.items():
        given = _given(name, owner)
        key = (name, id(given))
        if key in found or key in shared:
            continue
        if given is not None and id(given) not in known:
            known[id(given)] = frozenset(given.node_names())
        if given is not None and name in known[id(given)]:
            found[key] = given.node_type(name)
            continue
        node_type = _found_live(node_id, name, given)
        if node_type is None:
            shared[key] = node_id
        else:
            found[key] = node_type
    homes = {id(one.owner): one.owner for one in found.values() if not one.common}
    for key, node_id in shared.items():
        found[key] = _of_the_others(node_id, key[0], tuple(homes.values()))
    return {node_id: found[name, id(_given(name, owner))] for node_id, name in names.items()}


def _given(name: str, owner: NodeOwner | None) -> NodeOwner | None:
    remembered: NodeOwner | None = getattr(name, "owner", None)
    return owner if remembered is None else remembered


def _found_live(node_id: str, name: str, given: NodeOwner | None) -> NodeType | None:
    """The type in a live instance, or ``None`` where several have it in common."""
    knowing = _knowing(name)
    if len(knowing) > 1:
        # An instance that nobody uses any more may only wait to be collected.
        del knowing
        gc.collect()
        knowing = _knowing(name)
    if not knowing:
        raise _unknown(node_id, name, given)
    if len(knowing) == 1:
        return knowing[0].node_type(name)
    if all(one.node_type(name).common for one in knowing):
        return None
    raise _ambiguous(node_id, name, len(knowing))


def _of_the_others(node_id: str, name: str, homes: tuple[NodeOwner, ...]) -> NodeType:
    knowing = [one for one in homes if name in one.node_names()]
    if len(knowing) == 1:
        return knowing[0].node_type(name)
    raise _ambiguous(node_id, name, len(_knowing(name)))


def _knowing(name: str) -> list[NodeOwner]:
    return [one for one in live_owners() if name in one.node_names()]


def _unknown(node_id: str, name: str, given: NodeOwner | None) -> UnknownNode:
    owners = live_owners() if given is None else (given, *live_owners())
    absent = next((one.absent_nodes()[name] for one in owners if name in one.absent_nodes()), None)
    if absent is not None:
        reason = absent
    elif owners:
        reason = "no DataFlow instance that is open has such a node"
    else:
        reason = (
            "no DataFlow instance is open in this process; one lives until it is closed or no"
            " longer referenced"
        )
    choices = (choice for one in owners for choice in one.node_names())
    return UnknownNode(
        f"node {quoted(node_id)}: unknown node type {quoted(name)}: {reason}",
        suggestion=nearest(name, choices) if absent is None else None,
        node_id=node_id,
        node_type=name,
    )


def _ambiguous(node_id: str, name: str, count: int) -> AmbiguousNode:
    return AmbiguousNode(
        f"node {quoted(node_id)}: {count} open instances have a node type {quoted(name)};"
        " choose one with WorkflowBuilder(db) or db.workflow()",
        node_id=node_id,
        node_type=name,
    )
