"""The order of a workflow's nodes, and what may run at the same time without being noticed.

A workflow's result is that of running its nodes one after the other: in dependency order and, where
that leaves a choice, in the order in which they were added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Final

from dataflow_core.errors import InvalidWorkflow, WorkflowCycle
from dataflow_core.naming_hints import quoted
from dataflow_core.nodes.base import Effect
from dataflow_core.workflow.graph import (
    ORDER_ONLY,
    Connection,
    Step,
    TransactionPart,
    Unit,
    WorkflowNode,
)

__all__ = ["arranged"]

_SHOWN_CYCLE: Final = 20


def arranged(
    nodes: Sequence[WorkflowNode],
    connections: Sequence[Connection],
    parts: Sequence[TransactionPart] = (),
) -> tuple[Unit, ...]:
    """Put the nodes into sequential order and say for which earlier ones each has to wait.

    The nodes of a part follow each other, as if they were one node, added where the first was.

    Raises:
        WorkflowCycle: nodes wait for each other in a circle; the error names them in order.
        InvalidWorkflow: a part waits for something that waits for the part.
    """
    index = {node.id: number for number, node in enumerate(nodes)}
    feeds: list[list[Connection]] = [[] for _ in nodes]
    arrows = []
    for connection in connections:
        source, target = index[connection.source], index[connection.target]
        arrows.append((source, target))
        if connection.parameter != ORDER_ONLY:
            feeds[target].append(connection)
    # A node that runs last is taken only when no other can be.
    graph = _Graph([(node.type.last, number) for number, node in enumerate(nodes)], arrows)
    order = graph.sequence()
    if len(order) < len(nodes):
        raise _cycle([nodes[number].id for number in graph.ring(order)])
    effects = _effects(nodes)
    steps = [
        Step(node, effect, tuple(fed))
        for node, effect, fed in zip(nodes, effects, feeds, strict=True)
    ]
    if not parts:
        return _units(graph, order, [(step,) for step in steps], {})
    groups = _groups(graph, [[index[node_id] for node_id in part.nodes] for part in parts])
    outer = graph.contracted(groups)
    order = outer.sequence()
    if len(order) < len(groups):
        raise _no_part(nodes, parts, groups, arrows, outer.ring(order))
    members = [tuple(steps[number] for number in group) for group in groups]
    return _units(outer, order, members, dict(enumerate(parts)))


def _groups(graph: _Graph, members: Sequence[Sequence[int]]) -> list[list[int]]:
    """The nodes of each part in their order, then each other node by itself."""
    inside = {number for group in members for number in group}
    groups = [graph.within(group) for group in members]
    groups += [[number] for number in range(len(graph.ranks)) if number not in inside]
    return groups


def _units(
    graph: _Graph,
    order: Sequence[int],
    members: Sequence[tuple[Step, ...]],
    parts: Mapping[int, TransactionPart],
) -> tuple[Unit, ...]:
    """The groups of a graph in their order, each with what it waits for."""
    position = {group: place for place, group in enumerate(order)}
    depends = [tuple(sorted(position[one] for one in graph.sources[group])) for group in order]
    frontier = _Frontier()
    waits = []
    for place, group in enumerate(order):
        effect = _of_all(members[group])
        if effect.everything or any(step.node.type.last for step in members[group]):
            waits.append(frontier.alone(place))
        else:
            waits.append(frontier.beside_others(place, effect, depends[place]))
    followers: list[list[int]] = [[] for _ in order]
    for place, earlier in enumerate(waits):
        for one in earlier:
            followers[one].append(place)
    return tuple(
        Unit(
            steps=members[group],
            depends=depends[place],
            waits=len(waits[place]),
            followers=tuple(followers[place]),
            part=parts.get(group),
        )
        for place, group in enumerate(order)
    )


def _of_all(steps: tuple[Step, ...]) -> Effect:
    """What running all of these may read and change."""
    if len(steps) == 1:
        return steps[0].effect
    effects = [step.effect for step in steps]
    return Effect(
        reads=frozenset().union(*(effect.reads for effect in effects)),
        writes=frozenset().union(*(effect.writes for effect in effects)),
        databases=frozenset().union(*(effect.databases for effect in effects)),
        everything=any(effect.everything for effect in effects),
    )


class _Graph:
    """What comes before what, by number; of what may come next the one of lowest rank does."""

    def __init__(
        self, ranks: Sequence[tuple[bool, int]], arrows: Iterable[tuple[int, int]]
    ) -> None:
        self.ranks = ranks
        self.sources: list[set[int]] = [set() for _ in ranks]
        self.targets: list[set[int]] = [set() for _ in ranks]
        for source, target in arrows:
            self.sources[target].add(source)
            self.targets[source].add(target)

    def sequence(self) -> list[int]:
        """The numbers in order; those that wait for each other, and what waits for them, lack."""
        by_rank = {rank: number for number, rank in enumerate(self.ranks)}
        missing = [len(found) for found in self.sources]
        ready = [self.ranks[number] for number, count in enumerate(missing) if not count]
        heapify(ready)
        order = []
        while ready:
            number = by_rank[heappop(ready)]
            order.append(number)
            for target in self.targets[number]:
                missing[target] -= 1
                if not missing[target]:
                    heappush(ready, self.ranks[target])
        return order

    def ring(self, order: Iterable[int]) -> list[int]:
        """Numbers that wait for each other in a circle, the first of them again at the end."""
        stuck = set(range(len(self.ranks))).difference(order)
        # Each of them has a stuck source, so walking backwards must come round.
        walked: dict[int, None] = {}
        number = min(stuck)
        while number not in walked:
            walked[number] = None
            number = min(self.sources[number] & stuck)
        backwards = list(walked)
        ring = backwards[backwards.index(number) :][::-1]
        first = ring.index(min(ring))
        return [*ring[first:], *ring[:first], ring[first]]

    def within(self, numbers: Sequence[int]) -> list[int]:
        """Some of the numbers in order, as if there were no others."""
        place = {number: at for at, number in enumerate(numbers)}
        arrows = (
            (place[source], at)
            for number, at in place.items()
            for source in self.sources[number]
            if source in place
        )
        inner = _Graph([self.ranks[number] for number in numbers], arrows)
        return [numbers[at] for at in inner.sequence()]

    def contracted(self, groups: Sequence[Sequence[int]]) -> _Graph:
        """The graph of groups; each has the rank of its first member, and is last if one is."""
        group_of = {number: at for at, group in enumerate(groups) for number in group}
        ranks = [(any(self.ranks[number][0] for number in group), min(group)) for group in groups]
        arrows = (
            (group_of[source], group_of[target])
            for target, sources in enumerate(self.sources)
            for source in sources
            if group_of[source] != group_of[target]
        )
        return _Graph(ranks, arrows)


def _cycle(circle: list[str]) -> WorkflowCycle:
    shown = circle if len(circle) <= _SHOWN_CYCLE else [*circle[:_SHOWN_CYCLE], "..."]
    return WorkflowCycle(
        f"the nodes wait for each other in a circle: {' -> '.join(shown)}", cycle=circle
    )


def _no_part(
    nodes: Sequence[WorkflowNode],
    parts: Sequence[TransactionPart],
    groups: Sequence[Sequence[int]],
    arrows: Sequence[tuple[int, int]],
    ring: Sequence[int],
) -> InvalidWorkflow:
    """The error of a part that something leaves and comes back to."""
    # Nodes alone form no circle, so a part is among them; parts have the lowest numbers.
    part = parts[ring[0]]
    path = []
    for group, following in pairwise(ring):
        source, target = next(
            (source, target)
            for source, target in arrows
            if source in groups[group] and target in groups[following]
        )
        path.append(f"{nodes[source].id} -> {nodes[target].id}")
    shown = path if len(path) <= _SHOWN_CYCLE else [*path[:_SHOWN_CYCLE], "..."]
    return InvalidWorkflow(
        f"the transaction {quoted(part.name)} cannot run as one, because a path leaves it and comes"
        f" back: {', '.join(shown)}; let it hold all nodes on the path, or end before it",
        transaction=part.name,
        path=path,
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
