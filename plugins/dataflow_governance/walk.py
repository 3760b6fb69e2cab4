"""Which rows belong to a person.

A row that names the person itself is theirs. One that names nobody is theirs if what it refers to
leads to them, and to no other person. References are followed backwards only, and end at other rows
of the subject's own model, so shared data and other people are never reached.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from attrs import define, field

from dataflow_core.schema import Link, Model
from dataflow_governance.access import Access, batches
from dataflow_governance.graph import (
    Graph,
    Key,
    Row,
    inside,
    key_names,
    key_of,
    names_of,
    values_of,
)

__all__ = ["Belongings", "belongings"]

Edge = tuple[Model, tuple[str, ...], Key]
"""Where a reference of a row leads: a model, the fields that it names, their values."""

Node = tuple[Model, Key]


@define(eq=False)
class Belongings:
    """The rows of a person, each with its key and its ends of references.

    Attributes:
        person: that row of the subject's model.
        rows: by model, in the order in which they were found; the person first.
        needed: the keys of those to which rows of others refer, where that was asked for.
    """

    graph: Graph
    person: Row
    rows: dict[Model, dict[Key, Row]] = field(factory=dict)
    needed: dict[Model, set[Key]] = field(factory=dict)
    _keys: dict[tuple[Model, tuple[str, ...]], dict[Key, Key]] = field(factory=dict, init=False)

    def keys(self, model: Model, names: tuple[str, ...]) -> dict[Key, Key]:
        """The keys of the rows of a model by the values of some fields, once all are found."""
        found = self._keys.get((model, names))
        if found is None:
            rows = self.rows.get(model, {})
            found = {values: key for key, row in rows.items() if (values := values_of(names, row))}
            self._keys[model, names] = found
        return found

    def has(self, edge: Edge) -> bool:
        """Whether a reference by key leads to one of the rows."""
        model, names, values = edge
        return names == key_names(model) and values in self.rows.get(model, ())


async def belongings(
    graph: Graph, person: Row, access: Access, also: Mapping[Model, Sequence[str]], *, needed: bool
) -> Belongings:
    """Find the rows of a person.

    Parameters:
        also: further fields to keep of the rows of a model.
        needed: whether to look for rows of others that refer to them.
    """
    walk = _Walk(graph, access, also, needed, Belongings(graph, person), _Owners(graph, access))
    await walk.run()
    return walk.found


@define(eq=False)
class _Walk:
    graph: Graph
    access: Access
    also: Mapping[Model, Sequence[str]]
    needed: bool
    found: Belongings
    owners: _Owners

    async def run(self) -> None:
        pending: deque[tuple[Model, list[Row]]] = deque()
        pending.append((self.graph.subject, [self.found.person]))
        self._add(self.graph.subject, [self.found.person])
        while pending:
            model, rows = pending.popleft()
            for link in self.graph.into[model]:
                names = names_of(link.target_fields)
                targets = {
                    values: key_of(model, row)
                    for row in rows
                    if (values := values_of(names, row)) is not None
                }
                for some in batches(list(targets), len(names)) if link.owner.primary_key else ():
                    async for fresh in self._referring(link, some, targets):
                        pending.append((link.owner, fresh))

    def _add(self, model: Model, rows: Iterable[Row]) -> None:
        known = self.found.rows.setdefault(model, {})
        known.update((key_of(model, row), row) for row in rows)

    async def _referring(
        self, link: Link, values: Sequence[Key], targets: dict[Key, Key]
    ) -> AsyncIterator[list[Row]]:
        """The person's rows that refer to some of their rows and were not known yet."""
        owner, referring = link.owner, inside(names_of(link.fields), values)
        if owner is self.graph.subject:
            # Another person, whose own rows are not of interest.
            own = inside(key_names(owner), [key_of(owner, self.found.person)])
            await self._note(link, targets, {"$and": [referring, {"$nor": [own]}]})
            return
        mine, others = self.graph.of_person(owner, self.found.person)
        if mine is not None:
            select = dict.fromkeys((*self.graph.read(owner), *self.also.get(owner, ())))
            async for page in self.access.pages(owner, {"$and": [referring, mine]}, tuple(select)):
                known = self.found.rows.get(owner, {})
                fresh = {key_of(owner, row): row for row in page}
                fresh = {key: row for key, row in fresh.items() if key not in known}
                shared = await self.owners.shared(owner, list(fresh.values()), self.found)
                self._note_all(link, targets, (fresh.pop(key) for key in shared))
                if fresh:
                    self._add(owner, fresh.values())
                    yield list(fresh.values())
        if others is not None and link.target is not self.graph.subject:
            await self._note(link, targets, {"$and": [referring, others]})

    async def _note(self, link: Link, targets: dict[Key, Key], document: dict[str, object]) -> None:
        """Note which rows others refer to."""
        if not self.needed:
            return
        names = names_of(link.fields)
        # One row for each that is referred to, however many refer to it.
        pages = self.access.pages(link.owner, document, names, deleted=True, distinct=True)
        async for rows in pages:
            self._note_all(link, targets, rows)

    def _note_all(self, link: Link, targets: dict[Key, Key], rows: Iterable[Row]) -> None:
        names = names_of(link.fields)
        known = self.found.needed.setdefault(link.target, set())
        for row in rows:
            values = values_of(names, row)
            if values in targets:
                known.add(targets[values])


@define(eq=False)
class _Owners:
    """Whom rows lead to that name nobody themselves; what was read is kept for the walk."""

    graph: Graph
    access: Access
    _nodes: dict[Edge, Node | None] = field(factory=dict)
    _names: dict[Node, bool | None] = field(factory=dict)
    _edges: dict[Node, list[Edge]] = field(factory=dict)

    async def shared(self, model: Model, rows: Sequence[Row], found: Belongings) -> set[Key]:
        """The keys of those rows that name nobody and lead to another person, too."""
        asked = [row for row in rows if self.graph.names(model, row, found.person) is None]
        edges = {key_of(model, row): self._leading(model, row) for row in asked}
        await self._read({edge for some in edges.values() for edge in some}, found)
        return {key for key, some in edges.items() if self._lead_elsewhere(some, found)}

    def _leading(self, model: Model, row: Row) -> list[Edge]:
        found = []
        for link in self.graph.inherited(model):
            values = values_of(names_of(link.fields), row)
            if values is not None:
                found.append((link.target, names_of(link.target_fields), values))
        return found

    async def _read(self, edges: set[Edge], found: Belongings) -> None:
        """Read what references lead to, and what that leads to, up to rows that name somebody."""
        while edges := {edge for edge in edges if edge not in self._nodes and not found.has(edge)}:
            groups: dict[tuple[Model, tuple[str, ...]], list[Key]] = {}
            for model, names, values in edges:
                self._nodes[model, names, values] = None
                groups.setdefault((model, names), []).append(values)
            edges = set()
            for (model, names), values_list in groups.items():
                for some in batches(values_list, len(names)):
                    document = inside(names, some)
                    select = self.graph.read(model)
                    async for rows in self.access.pages(model, document, select, deleted=True):
                        for row in rows:
                            edges.update(self._learn(model, names, row, found.person))

    def _learn(self, model: Model, names: tuple[str, ...], row: Row, person: Row) -> list[Edge]:
        node = (model, key_of(model, row))
        values = values_of(names, row)
        assert values is not None
        self._nodes[model, names, values] = node
        if node not in self._names:
            self._names[node] = self.graph.names(model, row, person)
            self._edges[node] = [] if self._names[node] is not None else self._leading(model, row)
        return self._edges[node]

    def _lead_elsewhere(self, edges: Iterable[Edge], found: Belongings) -> bool:
        pending, seen = list(edges), set()
        while pending:
            edge = pending.pop()
            node = None if found.has(edge) else self._nodes[edge]
            if node is None or node in seen:
                continue
            seen.add(node)
            if self._names[node] is False:
                return True
            pending += self._edges[node]
        return False
