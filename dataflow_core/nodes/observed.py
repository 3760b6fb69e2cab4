"""Nodes that tell the observers of their instance when they run. Without observers none is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, Final

from attrs import evolve

from dataflow_core.contract import Ended, NodeRun
from dataflow_core.nodes.base import Context, NodeType
from dataflow_core.run.observing import Observers, failure_of, nodes_running
from dataflow_core.run.transactions import is_explaining

__all__ = ["observed"]

Result = Mapping[str, Any]


def observed(node: NodeType, observers: Observers, kind: str | None = None) -> NodeType:
    """The node, told of. ``kind`` is that of a model's node, for the number of its rows."""
    run = node.run
    name = node.name
    rows_of = _listed if kind is None else _ROWS.get(kind, _listed)

    async def told(context: Context, parameters: dict[str, Any]) -> dict[str, Any]:
        if is_explaining():
            return await run(context, parameters)
        around = nodes_running.get()
        outer = around[0] if around else None
        began_run = NodeRun(name, context.node_id, context.run_id, outer)
        token = nodes_running.set((began_run,))
        observers.tell("node_began", began_run)
        began = perf_counter()
        try:
            result = await run(context, parameters)
        except BaseException as error:
            end = Ended(perf_counter() - began, None, failure_of(error))
            observers.tell("node_ended", began_run, end)
            raise
        else:
            end = Ended(perf_counter() - began, rows_of(result))
            observers.tell("node_ended", began_run, end)
            return result
        finally:
            nodes_running.reset(token)

    return evolve(node, run=told)


def _listed(result: Result) -> int | None:
    """Of a function or a statement of the user's own: what it lists, if it does."""
    records = result.get("records") if isinstance(result, Mapping) else None
    return len(records) if isinstance(records, list) else None


def _one(result: Result) -> int:
    return 1


def _none(result: Result) -> int:
    return 0


def _if(name: str) -> Callable[[Result], int]:
    return lambda result: 1 if result.get(name) else 0


def _number(name: str) -> Callable[[Result], int | None]:
    return lambda result: result.get(name)


_ROWS: Final[Mapping[str, Callable[[Result], int | None]]] = {
    "create": _one,
    "read": _if("found"),
    "update": _if("updated"),
    "delete": _if("deleted"),
    "upsert": _one,
    "list": _listed,
    "count": _none,
    "bulk_create": _number("processed"),
    "bulk_update": _number("matched"),
    "bulk_delete": _number("matched"),
    "bulk_upsert": _number("processed"),
    "export_to": _number("rows"),
    "import_from": _number("processed"),
}
"""The rows that a node has returned or written, by its kind."""
