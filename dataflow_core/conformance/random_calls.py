"""Random calls of nodes, each with what the oracle says to it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from attrs import define, field, frozen

from dataflow_core.conformance.everything import CODES, values_of
from dataflow_core.conformance.oracle import Oracle, stored_row
from dataflow_core.conformance.random_filters import RandomFilters
from dataflow_core.conformance.random_pipelines import RandomPipelines
from dataflow_core.conformance.random_updates import RandomUpdates
from dataflow_core.schema import Model

__all__ = ["Call", "RandomCalls"]

KEYS: Final = 60
"""Explicit keys are 1 to this, so that they collide often and the table stays small."""

_MOST_ROWS: Final = 40


@frozen
class Call:
    """A node with its parameters, and what the oracle says to it.

    ``expected`` gives the part of the result to compare; it changes the oracle's rows. ``lazily``
    gives what is right as well, where a field that nothing reads does not fit its type. ``close``
    lets computed floats differ a little.
    """

    node: str
    parameters: dict[str, Any]
    expected: Callable[[], dict[str, Any]]
    writes: bool = False
    close: bool = False
    lazily: Callable[[], dict[str, Any]] | None = None


@define(eq=False)
class RandomCalls:
    """Makes the calls and keeps the oracle."""

    rng: random.Random
    oracle: Oracle
    twin: Oracle
    filters: RandomFilters = field(init=False)
    updates: RandomUpdates = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.filters = RandomFilters(self.rng, self.model.fields)
        self.updates = RandomUpdates(self.rng, self.model)

    @property
    def model(self) -> Model:
        """The model under test."""
        return self.oracle.model

    def any(self) -> Call:
        """A call of a kind chosen by weight; too many rows are thinned out first."""
        if len(self.oracle.rows) > _MOST_ROWS:
            return self.thin()
        [make] = self.rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        return make(self)

    # Rows

    def free(self, name: str, pool: Sequence[Any]) -> Any:
        """A value that no row has in a unique field, while there is one."""
        taken = {row[name] for row in self.oracle.rows.values()}
        return self.rng.choice([value for value in pool if value not in taken] or pool)

    def row(self) -> dict[str, Any]:
        """A row to write: some fields left out, some null."""
        rng = self.rng
        given: dict[str, Any] = {"id": rng.randint(1, KEYS), "code": rng.choice(CODES)}
        if rng.random() < 0.75:
            given = {"id": self.free("id", range(1, KEYS + 1)), "code": self.free("code", CODES)}
        for item in self.model.fields:
            if item.name in ("id", "code") or rng.random() < 0.25:
                continue
            null = item.nullable and rng.random() < 0.2
            given[item.name] = None if null else rng.choice(values_of(item.name, item.type))
        return given

    def some_id(self) -> int:
        """A key, mostly of a row that is there."""
        keys = [key[0] for key in self.oracle.rows]
        if keys and self.rng.random() < 0.85:
            return int(self.rng.choice(keys))
        return self.rng.randint(1, KEYS + 5)

    # Reading

    def find(self) -> Call:
        """Rows by filter, sorted, cut, some of their fields."""
        rng = self.rng
        parameters: dict[str, Any] = {"filter": self.filters.document()}
        if rng.random() < 0.6:
            parameters["order_by"] = self.order()
        if rng.random() < 0.4:
            parameters["limit"] = rng.choice((0, 1, 2, 5, 100))
        if rng.random() < 0.3:
            parameters["offset"] = rng.choice((0, 1, 3, 50))
        if rng.random() < 0.3:
            names = [item.name for item in self.model.fields]
            parameters["select"] = rng.sample(names, rng.randint(1, 4))
        return self._list(parameters)

    def distinct(self) -> Call:
        """Distinct rows of a few fields."""
        names = [item.name for item in self.model.fields if item.type.ordered]
        parameters: dict[str, Any] = {
            "filter": self.filters.document(),
            "select": self.rng.sample(names, self.rng.randint(1, 2)),
            "distinct": True,
        }
        if self.rng.random() < 0.5:
            parameters["order_by"] = [f"-{parameters['select'][0]}"]
        if self.rng.random() < 0.3:
            parameters["limit"] = 3
        return self._list(parameters)

    def _list(self, parameters: dict[str, Any]) -> Call:
        def expected() -> dict[str, Any]:
            arguments = {name: value for name, value in parameters.items() if name != "filter"}
            rows = self.oracle.find(parameters["filter"], **arguments)
            return {"result": rows, "records": rows, "count": len(rows)}

        return Call("List", parameters, expected)

    def order(self) -> list[Any]:
        """One to three sort keys."""
        names = [item.name for item in self.model.fields if item.type.ordered]
        chosen = self.rng.sample(names, self.rng.randint(1, 3))
        return [self.rng.choice((name, f"-{name}", {name: -1})) for name in chosen]

    def count(self) -> Call:
        """The number of matches, by either node."""
        document = self.filters.document()

        def expected() -> dict[str, Any]:
            return {"result": len(self.oracle.matching(document))}

        if self.rng.random() < 0.5:
            return Call("Count", {"filter": document}, expected)
        return Call("List", {"filter": document, "count_only": True}, expected)

    def read(self) -> Call:
        """One row by key."""
        key = self.some_id()

        def expected() -> dict[str, Any]:
            row = self.oracle.rows.get((key,))
            return {"result": row, "found": row is not None}

        return Call("Read", {"id": key, "raise_on_not_found": False}, expected)

    def aggregate(self) -> Call:
        """A pipeline over the rows that a filter lets through."""
        maker = RandomPipelines(self.rng, self.model, self.twin.model)
        pipeline = maker.document()
        parameters: dict[str, Any] = {"aggregate": pipeline}
        if self.rng.random() < 0.4:
            parameters["filter"] = self.filters.condition()

        def expected(*, eager: bool = True) -> dict[str, Any]:
            document = parameters.get("filter")
            return {"result": self.oracle.aggregate(pipeline, document, eager=eager)}

        return Call("List", parameters, expected, close=True, lazily=partial(expected, eager=False))

    # Writing

    def create(self) -> Call:
        """One row, with its key given."""
        row = self.row()

        def expected() -> dict[str, Any]:
            self.oracle.create([row])
            return {"result": self.oracle.rows[(row["id"],)], "created": True}

        return Call("Create", {"values": row}, expected, writes=True)

    def bulk_create(self) -> Call:
        """Several rows: all, or those that do not collide, or over those that do."""
        rows = [self.row() for _ in range(self.rng.choice((0, 1, 2, 5, 8)))]
        conflict = self.rng.choice(("error", "skip", "update"))
        if conflict == "update":
            rows = self._same_columns(rows)

        def expected() -> dict[str, Any]:
            if conflict == "update":
                inserted, updated = self.oracle.upsert(rows, ("code",))
                return {"processed": len(rows), "inserted": inserted, "updated": updated}
            inserted = self.oracle.create(rows, skip=conflict == "skip")
            return {
                "processed": len(rows),
                "inserted": inserted,
                "skipped": len(rows) - inserted,
                "success": True,
            }

        return Call("BulkCreate", {"data": rows, "conflict": conflict}, expected, writes=True)

    def _same_columns(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows with the fields of the first: what an upsert takes over is then one set."""
        if not rows:
            return rows
        return [{name: {**rows[0], **row}[name] for name in rows[0]} for row in rows]

    def update(self) -> Call:
        """One row by key or by filter."""
        rng = self.rng
        fields = self.updates.document()
        if rng.random() < 0.7:
            key = self.some_id()
            parameters: dict[str, Any] = {"id": key, "fields": fields}
            document: dict[str, Any] = {"id": key}
            if rng.random() < 0.1:
                fields["code"] = rng.choice(CODES)
        else:
            document = self.filters.condition()
            parameters = {"filter": document, "fields": fields}

        def expected() -> dict[str, Any]:
            rows = self.oracle.update(document, fields, one=True)
            return {"result": rows[0] if rows else None, "updated": bool(rows)}

        return Call("Update", parameters, expected, writes=True)

    def bulk_update(self) -> Call:
        """Every row that matches."""
        document, fields = self.filters.document(), self.updates.document()
        parameters = {"filter": document, "fields": fields, "allow_all": True}

        def expected() -> dict[str, Any]:
            rows = self.oracle.update(document, fields, one=False)
            return {"matched": len(rows), "success": True}

        return Call("BulkUpdate", parameters, expected, writes=True)

    def bulk_update_rows(self) -> Call:
        """Rows by the keys that they give."""
        data = []
        for _ in range(self.rng.randint(0, 4)):
            row = self.row()
            names = self.rng.sample([name for name in row if name not in ("id", "code")], 3)
            data.append({"id": self.some_id(), **{name: row[name] for name in names}})

        def expected() -> dict[str, Any]:
            return {"matched": self.oracle.update_rows(data), "success": True}

        return Call("BulkUpdate", {"data": data}, expected, writes=True)

    def delete(self) -> Call:
        """One row by key or by filter."""
        key = self.some_id()
        document: dict[str, Any] = {"id": key}
        parameters: dict[str, Any] = {"id": key}
        if self.rng.random() < 0.3:
            document = self.filters.condition()
            parameters = {"filter": document}

        def expected() -> dict[str, Any]:
            rows = self.oracle.delete(document, one=True)
            return {"result": rows[0] if rows else None, "deleted": bool(rows)}

        return Call("Delete", parameters, expected, writes=True)

    def bulk_delete(self) -> Call:
        """Every row that matches, or those with the keys."""
        if self.rng.random() < 0.5:
            ids = [self.some_id() for _ in range(self.rng.randint(0, 3))]
            document: dict[str, Any] = {"id": {"$in": ids}}
            parameters: dict[str, Any] = {"ids": ids}
        else:
            document = {"$and": [self.filters.condition(), self.filters.condition()]}
            parameters = {"filter": document}

        def expected() -> dict[str, Any]:
            gone = len(self.oracle.delete(document, one=False))
            return {"matched": gone, "deleted": gone}

        return Call("BulkDelete", parameters, expected, writes=True)

    def thin(self) -> Call:
        """Half of the rows go, so that keys stay free."""
        ids = sorted(key[0] for key in self.oracle.rows)[::2]

        def expected() -> dict[str, Any]:
            return {"deleted": len(self.oracle.delete({"id": {"$in": ids}}, one=False))}

        return Call("BulkDelete", {"ids": ids}, expected, writes=True)

    def upsert(self) -> Call:
        """One row, by its key or by its code."""
        row = self.row()
        match = self.rng.choice((["id"], ["code"]))

        def expected() -> dict[str, Any]:
            inserted, _ = self.oracle.upsert([row], match)
            values = stored_row(self.model, row)
            found = [
                one
                for one in self.oracle.rows.values()
                if all(one[name] == values[name] for name in match)
            ]
            return {"result": found[0], "created": inserted == 1}

        return Call("Upsert", {"values": row, "match_fields": match}, expected, writes=True)

    def bulk_upsert(self) -> Call:
        """Several rows, some of them twice."""
        rng = self.rng
        rows = self._same_columns([self.row() for _ in range(rng.choice((1, 2, 4, 6)))])
        match = rng.choice((["id"], ["code"]))
        parameters: dict[str, Any] = {"data": rows, "match_fields": match}
        updates: list[str] | None = None
        names = [name for name in rows[0] if name not in ("id", "code")]
        if rng.random() < 0.4 and len(names) > 2:
            updates = parameters["update_fields"] = rng.sample(names, rng.randint(1, 2))
        if rng.random() < 0.3:
            parameters["batch_size"] = (
                2 if len({row[match[0]] for row in rows}) == len(rows) else 100
            )

        def expected() -> dict[str, Any]:
            inserted, updated = self.oracle.upsert(rows, match, updates)
            return {"processed": len(rows), "inserted": inserted, "updated": updated}

        return Call("BulkUpsert", parameters, expected, writes=True)


_WEIGHTS: Final[dict[Callable[[RandomCalls], Call], int]] = {
    RandomCalls.find: 24,
    RandomCalls.distinct: 4,
    RandomCalls.count: 8,
    RandomCalls.read: 2,
    RandomCalls.aggregate: 22,
    RandomCalls.create: 8,
    RandomCalls.bulk_create: 6,
    RandomCalls.update: 10,
    RandomCalls.bulk_update: 8,
    RandomCalls.bulk_update_rows: 2,
    RandomCalls.delete: 3,
    RandomCalls.bulk_delete: 2,
    RandomCalls.upsert: 3,
    RandomCalls.bulk_upsert: 4,
}
