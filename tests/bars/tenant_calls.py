"""Random calls by one tenant over the models of `tenant_world`."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, evolve, field, frozen

from dataflow_core.conformance.everything import TEXTS
from dataflow_core.conformance.random_filters import RandomFilters
from dataflow_core.conformance.random_pipelines import RandomPipelines
from dataflow_core.conformance.random_updates import RandomUpdates
from dataflow_core.schema import Model
from dataflow_core.types import Uuid
from tests.bars.tenant_world import FOREIGN, KEYS, OURS, ROWS, THEIRS, THIRD, task_key

Row = dict[str, Any]

KEY: Final = {"Team": "code", "Person": "id", "Task": "id", "Tag": "code", "Node": "id"}
COUNTED: Final = ("Person", "Node")
SOFT: Final = ("Team", "Person", "Task")
VERSIONED: Final = (*SOFT, "Node")
_HIDDEN: Final = ("created_at", "updated_at", "deleted_at", "tenant_id", "version")
_PROBES: Final[tuple[Row, ...]] = (
    {"tenant_id": THEIRS},
    {"tenant_id": {"$ne": OURS}},
    {"tenant_id": {"$in": [OURS, THEIRS, THIRD]}},
    {"$or": [{"tenant_id": THEIRS}, {}]},
    {"$nor": [{"tenant_id": OURS}]},
    {"$not": {"tenant_id": OURS}},
    {"$expr": {"$ne": ["$tenant_id", OURS]}},
    {"note": {"$startswith": "of-t"}},
    {"note": {"$regex": "^of-th"}},
    {"amount": {"$gt": 700_000_000}},
    {"$or": [{"amount": {"$gt": 700_000_000}}, {"amount": {"$lt": 3}}]},
)
_RELATED: Final[Mapping[str, tuple[str, ...]]] = {
    "Region": ("persons",),
    "Team": ("persons", "persons.tasks"),
    "Person": ("team", "tasks"),
    "Task": ("person", "person.team"),
    "Tag": (),
    "Node": ("parent", "nodes", "parent.parent"),
}
_UNIONS: Final = ("Team", "Person", "Task", "Tag", "Node")
_LOOKUPS: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("Person", "Team", "team_code", "code"),
    ("Region", "Person", "id", "region_id"),
    ("Tag", "Tag", "code", "code"),
    ("Tag", "Person", "code", "code"),
    ("Task", "Person", "person_id", "id"),
    ("Node", "Node", "id", "parent_id"),
    ("Node", "Tag", "code", "code"),
)


@frozen
class Call:
    """A node with its parameters.

    ``refused``: it has to raise. ``foreign``: it names a counted key that another tenant has, so
    that only the database of all tenants can tell about it.
    """

    node: str
    parameters: Row
    refused: bool = False
    foreign: bool = False


@define(eq=False)
class TenantCalls:
    """Makes the calls; every choice comes from ``rng``. ``rows`` are ours, as last seen."""

    rng: random.Random
    models: Mapping[str, Model]
    rows: dict[str, list[Row]] = field(factory=dict)
    _plain: dict[str, Model] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        for name, model in self.models.items():
            fields = tuple(
                item
                for item in model.fields
                if item.name not in _HIDDEN and not isinstance(item.type, Uuid)
            )
            self._plain[name] = evolve(model, fields=fields, indexes=(), checks=())

    def any(self) -> Call:
        """A call of a kind chosen by weight."""
        [make] = self.rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        return make(self)

    def reading(self) -> Call:
        """A call that changes nothing."""
        return self.rng.choice((TenantCalls.find, TenantCalls.count, TenantCalls.aggregate))(self)

    # What calls are made of

    def name(self, names: tuple[str, ...] = tuple(KEY)) -> str:
        """One of the models."""
        return self.rng.choice(names)

    def key(self, name: str) -> Any:
        """A key: mostly one of ours, now and then one that others have, or nobody."""
        if self.rows.get(name) and self.rng.random() < 0.75:
            return self.rng.choice(self.rows[name])[KEY[name]]
        if name in COUNTED:
            return self.rng.choice((FOREIGN + self.rng.randrange(ROWS), self.rng.randint(1, KEYS)))
        number = self.rng.randrange(2 * ROWS)
        return task_key(number) if name == "Task" else f"c{number}"

    def filter(self, name: str) -> Row:
        """A filter: over fields, over relations, or after what others have."""
        rng, roll = self.rng, self.rng.random()
        probes = _PROBES if name != "Region" else ({"name": {"$ne": "r1"}},)
        if roll < 0.25:
            return RandomFilters(rng, self._plain[name].fields).document()
        if roll < 0.50 and self.rows.get(name):
            row = rng.choice(self.rows[name])
            item = rng.choice([one for one in self._plain[name].fields if one.type.ordered])
            value = row[item.name]
            return {item.name: value if rng.random() < 0.6 else {rng.choice(_COMPARED): value}}
        if roll < 0.75 and _RELATED[name]:
            way = rng.choice(_RELATED[name])
            probe = {
                f"{way}.{key}": value
                for key, value in rng.choice(_PROBES).items()
                if not key.startswith("$")
            }
            return {"$not": probe} if rng.random() < 0.3 else probe or {f"{way}.amount": 1}
        if roll < 0.85:
            return {"$and": [rng.choice(probes), self.filter(name)]}
        return rng.choice(probes)

    def changes(self, name: str) -> Row:
        """What to change: operators and values, now and then a reference."""
        rng = self.rng
        if rng.random() < 0.25:
            return rng.choice(({"$inc": {"amount": 1}}, {"$mul": {"amount": 2}}))
        if name == "Person" and rng.random() < 0.15:
            return {"team_code": self.key("Team")}
        if name == "Node" and rng.random() < 0.15:
            return {"parent_id": self.key("Node")}
        if rng.random() < 0.15:
            unique = {"Task": "title", "Node": "code", "Person": "code"}.get(name, "slug")
            return {unique: f"c{rng.randrange(ROWS)}", "amount": rng.randint(0, 9)}
        kept = ("team_code", "region_id", "parent_id", "person_id", "title", "slug")
        model = self._plain[name]
        fields = [item for item in model.fields if item.name not in (*kept, *KEY.values())]
        updates = RandomUpdates(rng, evolve(model, fields=tuple(fields)))
        updates.fields = fields if len(fields) > 2 else [*fields, fields[0]]
        return updates.document()

    def row(self, name: str) -> Row:
        """A row to store, under a key of ours, or a natural one that others have as well."""
        rng = self.rng
        number = rng.randrange(2 * ROWS)
        row: Row = {"amount": rng.randint(-3, 9), "note": rng.choice(TEXTS)}
        if name == "Team":
            return {"code": f"c{number}", "slug": f"s{rng.randrange(2 * ROWS)}", **row}
        if name == "Tag":
            return {"code": f"c{number}", "slug": f"s{number}", **row}
        if name == "Task":
            return {
                "id": task_key(number), "person_id": self.key("Person"), "title": f"t{number}",
                **row,
            }  # fmt: skip
        key = rng.randint(1, KEYS)
        code = f"c{number}" if rng.random() < 0.3 else f"k{key}"
        if name == "Node":
            return {"id": key, "code": code, "parent_id": self.key("Node"), **row}
        team = self.key("Team") if rng.random() < 0.7 else None
        return {"id": key, "code": code, "team_code": team, "region_id": rng.randint(1, 3), **row}

    def data(self, name: str) -> list[Row]:
        """Some rows."""
        return [self.row(name) for _ in range(self.rng.choice((0, 1, 2, 3, 5)))]

    def selected(self, name: str, *, restoring: bool = False) -> Row:
        """Parameters that say which row is meant, and its version where that is asked for."""
        result: Row = {KEY[name]: self.key(name)}
        if self.rng.random() < 0.25:
            result = {"filter": self.filter(name)}
        elif name in VERSIONED and not restoring and self.rng.random() < 0.7:
            found = [row for row in self.rows.get(name, ()) if row[KEY[name]] == result[KEY[name]]]
            result["version"] = found[0]["version"] if found else 1
        return result

    def deleted_too(self, name: str) -> Row:
        """Now and then, the deleted rows are asked for."""
        if name in SOFT and self.rng.random() < 0.3:
            return {"include_deleted": True}
        return {}

    # Reading

    def read(self) -> Call:
        """One row."""
        name = self.name()
        parameters = {**self.selected(name, restoring=True), **self.deleted_too(name)}
        if self.rng.random() < 0.7:
            parameters["raise_on_not_found"] = False
        if _RELATED[name] and self.rng.random() < 0.3:
            parameters["include"] = [_RELATED[name][0]]
        return Call(f"{name}ReadNode", parameters)

    def find(self) -> Call:
        """Rows, a page of them, values, or their number; with related rows."""
        rng, name = self.rng, self.name((*KEY, "Region"))
        parameters: Row = {"filter": self.filter(name), **self.deleted_too(name)}
        fields = [item.name for item in self._plain[name].fields if item.type.ordered]
        if rng.random() < 0.6:
            parameters["order_by"] = [rng.choice(("", "-")) + rng.choice(fields)]
        roll = rng.random()
        if roll < 0.3 and _RELATED[name]:
            parameters["include"] = [rng.choice(_RELATED[name])]
        elif roll < 0.45:
            parameters |= {"select": [fields[0]], "distinct": True, "order_by": [fields[0]]}
        elif roll < 0.55:
            parameters = {"filter": parameters["filter"], "count_only": True}
        elif roll < 0.8:
            parameters["limit"] = rng.randint(1, 5)
        return Call(f"{name}ListNode", parameters)

    def count(self) -> Call:
        """A number of rows."""
        name = self.name((*KEY, "Region"))
        return Call(f"{name}CountNode", {"filter": self.filter(name), **self.deleted_too(name)})

    def aggregate(self) -> Call:
        """A pipeline: random stages, other models looked up or united, branches."""
        rng, roll = self.rng, self.rng.random()
        if roll < 0.35:
            name = self.name()
            model = self._plain[name]
            return Call(
                f"{name}ListNode", {"aggregate": RandomPipelines(rng, model, model).document()}
            )
        if roll < 0.65:
            name, other, local, foreign = rng.choice(_LOOKUPS)
            stage = {"from": other, "localField": local, "foreignField": foreign, "as": "it"}
            unwind = {"path": "$it", "preserveNullAndEmptyArrays": rng.random() < 0.5}
            last: Row = {"$match": {"it.amount": {"$gt": 2}}}
            if rng.random() < 0.7:
                last = {
                    "$group": {
                        "_id": "$it.note",
                        "n": {"$sum": 1},
                        "most": {"$max": "$it.amount"},
                        "all": {"$push": "$it.amount"},
                    }
                }
            stages: list[Row] = [{"$lookup": stage}, {"$unwind": unwind}, last]
            if rng.random() < 0.3:
                stages = [{"$match": self.filter(name)}, {"$lookup": stage}]
            return Call(f"{name}ListNode", {"aggregate": stages})
        if roll < 0.85:
            name, other = self.name(), rng.choice(_UNIONS)
            keep: Row = {"$project": {"amount": 1, "note": 1, "_id": 0}}
            inner = [{"$match": self.filter(other)}, keep]
            united = {"$unionWith": {"coll": other, "pipeline": inner}}
            last = rng.choice(({"$count": "n"}, {"$sortByCount": "$note"}))
            return Call(f"{name}ListNode", {"aggregate": [keep, united, last]})
        name = self.name()
        branches = {
            "one": [{"$match": rng.choice(_PROBES)}, {"$count": "n"}],
            "two": [{"$group": {"_id": None, "most": {"$max": "$amount"}, "n": {"$count": {}}}}],
            "three": [{"$sortByCount": "$note"}],
        }
        first = [{"$match": self.filter(name)}] if rng.random() < 0.5 else []
        return Call(f"{name}ListNode", {"aggregate": [*first, {"$facet": branches}]})

    # Writing

    def create(self) -> Call:
        """One row."""
        name = self.name()
        return Call(f"{name}CreateNode", {"values": self.row(name)})

    def bulk_create(self) -> Call:
        """Some rows, by each way of meeting those that are there."""
        name = self.name()
        parameters: Row = {"data": self.data(name)}
        parameters["conflict"] = self.rng.choice(("error", "skip", "update"))
        if self.rng.random() < 0.4:
            parameters["return_ids"] = True
        if self.rng.random() < 0.2:
            parameters["atomic"] = "batch"
            parameters["batch_size"] = 2
        return Call(f"{name}BulkCreateNode", parameters)

    def upsert(self) -> Call:
        """One row, by its key or by another unique one; by values or by operators."""
        name = self.name()
        row = self.row(name)
        parameters: Row = {"values": row, "match_fields": [self.match(name)]}
        if self.rng.random() < 0.3:
            parameters["fields"] = {"$inc": {"amount": 1}}
        elif self.rng.random() < 0.3:
            parameters["update_fields"] = ["amount"]
        return Call(f"{name}UpsertNode", parameters)

    def match(self, name: str) -> str:
        """A field that is unique, be it among the rows that are not deleted."""
        others = {"Team": "slug", "Person": "code", "Tag": "slug", "Node": "code"}
        return self.rng.choice((KEY[name], others.get(name, KEY[name])))

    def bulk_upsert(self) -> Call:
        """Some rows, by their key or by another unique one."""
        name = self.name()
        parameters: Row = {"data": self.data(name), "match_fields": [self.match(name)]}
        if self.rng.random() < 0.3:
            parameters["update_fields"] = ["note"]
        if self.rng.random() < 0.3:
            parameters["return_ids"] = True
        return Call(f"{name}BulkUpsertNode", parameters)

    def update(self) -> Call:
        """One row."""
        name = self.name()
        return Call(f"{name}UpdateNode", {**self.selected(name), "fields": self.changes(name)})

    def bulk_update(self) -> Call:
        """The rows that pass a filter."""
        name = self.name()
        parameters = {"filter": self.filter(name), "fields": self.changes(name), "allow_all": True}
        if name in VERSIONED and self.rng.random() < 0.3:
            parameters["version"] = self.rng.randint(1, 3)
        return Call(f"{name}BulkUpdateNode", parameters)

    def bulk_update_rows(self) -> Call:
        """Rows by their keys."""
        name, data = self.name(), []
        for _ in range(self.rng.randint(0, 3)):
            row = {KEY[name]: self.key(name), "amount": self.rng.randint(0, 9)}
            if name in VERSIONED:
                found = [one for one in self.rows.get(name, ()) if one[KEY[name]] == row[KEY[name]]]
                row["version"] = found[0]["version"] if found else 1
            data.append(row)
        return Call(f"{name}BulkUpdateNode", {"data": data})

    def delete(self) -> Call:
        """One row, softly or for good."""
        name = self.name()
        return Call(f"{name}DeleteNode", {**self.selected(name), **self._for_good(name)})

    def bulk_delete(self) -> Call:
        """Rows by their keys or by a filter."""
        name = self.name()
        which: Row = {"ids": [self.key(name) for _ in range(self.rng.randint(0, 3))]}
        if self.rng.random() < 0.4:
            which = {"filter": {"$and": [self.filter(name), {"amount": self.rng.randint(0, 9)}]}}
        return Call(f"{name}BulkDeleteNode", {**which, **self._for_good(name)})

    def _for_good(self, name: str) -> Row:
        if name in SOFT and self.rng.random() < 0.4:
            return {"soft_delete": False}
        return {}

    def restore(self) -> Call:
        """A row that was deleted."""
        name = self.name(SOFT)
        return Call(f"{name}RestoreNode", self.selected(name, restoring=True))


_COMPARED: Final = ("$gt", "$lte", "$ne", "$eq")
_WEIGHTS: Final[dict[Callable[[TenantCalls], Call], int]] = {
    TenantCalls.read: 5,
    TenantCalls.find: 18,
    TenantCalls.count: 7,
    TenantCalls.aggregate: 14,
    TenantCalls.create: 9,
    TenantCalls.bulk_create: 8,
    TenantCalls.upsert: 6,
    TenantCalls.bulk_upsert: 6,
    TenantCalls.update: 8,
    TenantCalls.bulk_update: 6,
    TenantCalls.bulk_update_rows: 4,
    TenantCalls.delete: 5,
    TenantCalls.bulk_delete: 3,
    TenantCalls.restore: 4,
}
