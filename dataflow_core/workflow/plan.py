"""The order of a workflow's nodes, and what may run at the same time without being noticed.

A workflow's result is that of running its nodes one after the other: in dependency order and, where
that leaves a choice, in the order in which they were added.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Final

from dataflow_core.errors import WorkflowCycle
from dataflow_core.nodes.base import Effect
from dataflow_core.workflow.graph import ORDER_ONLY, Connection, Step, WorkflowNode

__all__ = ["arranged"]

_SHOWN_CYCLE: Final = 20


def arranged(nodes: Sequence[WorkflowNode], connections: Sequence[Connection]) -> tuple[Step, ...]:
    """Put the nodes into sequential order and say for which earlier ones each has to wait.

    Raises:
        WorkflowCycle: nodes wait for each other in a circle; the error names them in order.
    """
    index = {node.id: number for number, node in enumerate(nodes)}
    sources: list[set[int]] = [set() for _ in nodes]
    targets: list[set[int]] = [set() for _ in nodes]
    feeds: list[list[Connection]] = [[] for _ in nodes]
    for connection in connections:
        source, target = index[connection.source], index[connection.target]
        sources[target].add(source)
        targets[source].add(target)
        if connection.parameter != ORDER_ONLY:
            feeds[target].append(connection)
    order = _sequence(nodes, sources, targets)
    position = {number: place for place, number in enumerate(order)}
    depends = [tuple(sorted(position[source] for source in sources[number])) for number in order]
    effects = _effects(nodes)
    frontier = _Frontier()
    waits = [
        frontier.alone(place)
        if effects[number].everything or nodes[number].type.last
        else frontier.beside_others(place, effects[number], depends[place])
        for place, number in enumerate(order)
    ]
    followers: list[list[int]] = [[] for _ in nodes]
    for place, earlier in enumerate(waits):
        for one in earlier:
            followers[one].append(place)
    return tuple(
        Step(
            node=nodes[number],
            effect=effects[number],
            feeds=tuple(feeds[number]),
            depends=depends[place],
            waits=len(waits[place]),
            followers=tuple(followers[place]),
        )
        for place, number in enumerate(order)
    )


def _sequence(
    nodes: Sequence[WorkflowNode],
    sources: Sequence[set[int]],
    targets: Sequence[set[int]],
) -> list[int]:
    # A node that runs last is taken only when no other can be.
    rank = [(node.type.last, number) for number, node in enumerate(nodes)]
    missing = [len(found) for found in sources]
    ready = [rank[number] for number, count in enumerate(missing) if not count]
    heapify(ready)
    order = []
    while ready:
        _, number = heappop(ready)
        order.append(number)
        for target in targets[number]:
            missing[target] -= 1
            if not missing[target]:
                heappush(ready, rank[target])
    if len(order) < len(nodes):
        raise _cycle(nodes, sources, {number for number, count in enumerate(missing) if count})
    return order


def _cycle(
    nodes: Sequence[WorkflowNode], sources: Sequence[set[int]], stuck: set[int]
) -> WorkflowCycle:
    # Each stuck node has a stuck source, so walking backwards must come round.
    walked: dict[int, None] = {}
    number = min(stuck)
    while number not in walked:
        walked[number] = None
        number = min(sources[number] & stuck)
    backwards = list(walked)
    ring = backwards[backwards.index(number) :][::-1]
    first = ring.index(min(ring))
    circle = [nodes[one].id for one in (*ring[first:], *ring[:first], ring[first])]
    shown = circle if len(circle) <= _SHOWN_CYCLE else [*circle[:_SHOWN_CYCLE], "..."]
    return WorkflowCycle(
        f"the nodes wait for each other in a circle: {' -> '.join(shown)}", cycle=circle
    )


def _effects(nodes: Sequence[WorkflowNode]) -> list[Effect]:
    effects: dict[int, Effect] = {}
    for node in nodes:
        if id(node.type) not in effects:
            effects[id(node.type)] = node.type.effect()
    return [effects[id(node.type)] for node in nodes]


class _Frontier:
    """The nodes so far that a further one may have to wait for: last writers, readers since.

    What another wait implies is left out, so that a long workflow stays linear.
    """

    def __init__(self) -> None:
        self._barrier = -1
        self._since_barrier: set[int] = set()
        self._writer: dict[tuple[str, str], int] = {}
        self._readers: dict[tuple[str, str], list[int]] = {}

    def alone(self, place: int) -> set[int]:
        """Take in a node that runs beside no other one."""
        waits = self._since_barrier or ({self._barrier} if self._barrier >= 0 else set())
        self._barrier = place
        self._since_barrier = set()
        self._writer.clear()
        self._readers.clear()
        return waits

    def beside_others(self, place: int, effect: Effect, depends: tuple[int, ...]) -> set[int]:
        """Take in a node that may run beside those that it does not touch."""
        waits = {one for one in depends if one > self._barrier}
        for table in effect.reads | effect.writes:
            if table in self._writer:
                waits.add(self._writer[table])
        for table in effect.writes:
            waits.update(self._readers.pop(table, ()))
            self._writer[table] = place
        for table in effect.reads - effect.writes:
            self._readers.setdefault(table, []).append(place)
        self._since_barrier.add(place)
        if not waits and self._barrier >= 0:
            waits.add(self._barrier)
        return waits
