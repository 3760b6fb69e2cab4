"""Random models that lead to persons, their rows, and a definition of whose rows they are.

The definition looks at all rows at once and follows references forwards; the plugin follows them
backwards, and reads no more than it has to.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from attrs import define, field, frozen

from dataflow_core import DataFlow
from dataflow_core import field as column

PERSONS = 3
ROWS = 9

Row = dict[str, Any]
Key = tuple[Any, ...]


@frozen
class Way:
    """A reference: names of the fields, and the model that they lead to."""

    fields: tuple[str, ...]
    target: Kind


@define(eq=False)
class Kind:
    """A model: its name, its fields, its key, where it leads."""

    name: str
    key: tuple[str, ...] = ("id",)
    fields: dict[str, tuple[Any, Any]] = field(factory=dict)
    ways: list[Way] = field(factory=list)
    options: dict[str, Any] = field(factory=dict)
    personal: list[str] = field(factory=list)

    @property
    def table(self) -> str:
        """The name of its table."""
        return self.name.lower()

    def key_of(self, row: Row) -> Key:
        """The key of a row."""
        return tuple(row[name] for name in self.key)

    def registered(self, db: DataFlow) -> None:
        """Make it a model of an instance."""
        body: dict[str, Any] = {
            "__annotations__": {name: kind for name, (kind, _) in self.fields.items()},
            "__module__": __name__,
            "__dataflow__": {"table": self.table, "timestamps": False, **self.options},
        }
        body |= {name: given for name, (_, given) in self.fields.items() if given is not None}
        db.model(type(self.name, (), body), validation="off")


@define(eq=False)
class Society:
    """Models and rows. ``kinds[0]`` are the persons."""

    rng: random.Random
    tag: str
    kinds: list[Kind] = field(factory=list)
    marks: int = 0

    def __attrs_post_init__(self) -> None:
        for number in range(6):
            self.kinds.append(self._kind(number))
        if self.rng.random() < 0.7:
            # A circle: persons refer to what refers to them.
            self._lead(self.kinds[0], self.rng.choice(self.kinds[1:]), nullable=True)
        for kind in self.kinds:
            self._mark_personal(kind)

    def _kind(self, number: int) -> Kind:
        rng = self.rng
        kind = Kind(f"{self.tag}K{number}")
        kind.fields["id"] = (int, column(primary_key=True))
        if number and rng.random() < 0.3:
            kind.key = ("id", "part")
            kind.fields["part"] = (int, column(primary_key=True))
        if number and rng.random() < 0.6:
            self._lead(kind, self.kinds[0], nullable=rng.random() < 0.5)
        for other in self.kinds[1:]:
            if rng.random() < 0.35:
                self._lead(kind, other, nullable=rng.random() < 0.5)
        if rng.random() < 0.3:
            self._lead(kind, kind, nullable=True)
        kind.options["soft_delete"] = rng.random() < 0.3
        return kind

    def _lead(self, kind: Kind, target: Kind, *, nullable: bool) -> None:
        number = len(kind.ways)
        names = tuple(f"way{number}_{name}" for name in target.key)
        kind.ways.append(Way(names, target))
        annotation: Any = int | None if nullable else int
        if len(names) == 1:
            given = column(references=f"{target.name}.{target.key[0]}")
            kind.fields[names[0]] = (annotation, given)
            return
        kind.fields.update((name, (annotation, None)) for name in names)
        kind.options.setdefault("foreign_keys", []).append(
            {"columns": names, "references": target.table, "target_columns": target.key}
        )

    def _mark_personal(self, kind: Kind) -> None:
        rng = self.rng
        plain = rng.choice((str, str | None))
        unique = not kind.options["soft_delete"] and rng.random() < 0.4
        kind.fields["name"] = (plain, column(personal=True, unique=unique))
        kind.personal = ["name"]
        if rng.random() < 0.5:
            kind.fields["about"] = (rng.choice((str, str | None)), column(personal=True))
            kind.personal.append("about")
        if rng.random() < 0.3:
            check = {"$gte": 10**9}
            kind.fields["number"] = (int, column(personal=True, check=check))
            kind.personal.append("number")
        kind.fields["rest"] = (
            str | None,
            column(None, retain="a law" if rng.random() < 0.3 else None),
        )

    def register(self, db: DataFlow) -> None:
        """Make the models known to an instance."""
        for kind in self.kinds:
            kind.registered(db)

    async def fill(self, db: DataFlow) -> None:
        """Write rows; circles are closed afterwards."""
        rows: dict[Kind, list[Row]] = {}
        later: list[tuple[Kind, Row]] = []
        for kind in self.kinds:
            rows[kind] = []
            for number in range(PERSONS if kind is self.kinds[0] else ROWS):
                row = self._row(kind, number)
                row |= self._leading(kind, rows, later, row)
                rows[kind].append(row)
            await db.run(f"{kind.name}BulkCreateNode", data=rows[kind])
        for kind, row in later:
            for way in kind.ways:
                target = self._target(way, rows)
                if target is not None and row.get(way.fields[0], 0) is None:
                    key = {name: row[name] for name in kind.key}
                    await db.run(f"{kind.name}BulkUpdateNode", data=[{**key, **target}])

    async def delete_softly(self, db: DataFlow) -> None:
        """Delete some rows that stay in their tables."""
        for kind in self.kinds:
            if kind.options["soft_delete"]:
                given = {"filter": {"id": {"$in": [self.rng.randint(1, ROWS), 2]}}}
                await db.run(f"{kind.name}BulkDeleteNode", **given)

    def _row(self, kind: Kind, number: int) -> Row:
        row: Row = {"id": 1 + number // len(kind.key)}
        if len(kind.key) == 2:
            row["part"] = number % 2
        for name in kind.personal:
            self.marks += 1
            value = 7_000_000_000 + self.marks
            row[name] = value if name == "number" else f"mark{value}"
        row["rest"] = self.rng.choice((None, "kept"))
        return row

    def _leading(
        self, kind: Kind, rows: dict[Kind, list[Row]], later: list[tuple[Kind, Row]], row: Row
    ) -> Row:
        found: Row = {}
        for way in kind.ways:
            nullable = kind.fields[way.fields[0]][0] is not int
            known = {**rows, kind: []}
            target = self._target(way, known)
            if nullable and (target is None or self.rng.random() < 0.4):
                found.update(dict.fromkeys(way.fields))
                later.append((kind, row))
            else:
                assert target is not None
                found.update(target)
        return found

    def _target(self, way: Way, rows: dict[Kind, list[Row]]) -> Row | None:
        if not rows.get(way.target):
            return None
        row = self.rng.choice(rows[way.target])
        return dict(zip(way.fields, way.target.key_of(row), strict=True))


async def stored(db: DataFlow, society: Society) -> dict[Kind, dict[Key, Row]]:
    """All rows as the database has them, by SQL."""
    found = {}
    for kind in society.kinds:
        rows = await db.run("SQLNode", sql=f"SELECT * FROM {kind.table}")
        found[kind] = {kind.key_of(row): row for row in rows["result"]}
    return found


def belonging(
    society: Society, rows: dict[Kind, dict[Key, Row]], person: Key
) -> dict[Kind, set[Key]]:
    """The keys of the rows of a person, by the definition."""
    persons = society.kinds[0]

    def ends(kind: Kind, row: Row) -> Iterator[tuple[Kind, Key]]:
        for way in kind.ways:
            values = tuple(row[name] for name in way.fields)
            if None not in values:
                yield way.target, values

    def leads_to(kind: Kind, key: Key, seen: set[tuple[Kind, Key]]) -> set[Key]:
        """The persons to whom a row leads; whoever is named ends the way."""
        if (kind, key) in seen or kind is persons:
            return {key} if kind is persons else set()
        seen.add((kind, key))
        places = list(ends(kind, rows[kind][key]))
        named = {target for model, target in places if model is persons}
        if named:
            return {person} if person in named else named
        found: set[Key] = set()
        for place in places:
            found |= leads_to(*place, seen)
        return found

    result = {
        kind: {key for key in some if leads_to(kind, key, set()) == {person}}
        for kind, some in rows.items()
    }
    result[persons] = {person}
    return {kind: keys for kind, keys in result.items() if keys}
