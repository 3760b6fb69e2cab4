"""Input that must be refused: by name, the call that gives it. Made fresh for every use."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

__all__ = ["BAD_NAMES", "HOSTILE", "SQL_TEXTS", "Hostile"]

DEEP = 100_000
MANY = 1_000_000


@frozen
class Hostile:
    """A call of a node that must be refused. ``parameters`` makes what it is given."""

    name: str
    node: str
    parameters: Callable[[], dict[str, Any]]


def nested(key: str, *, in_list: bool = False, leaf: Any = None) -> Any:
    """``{key: {key: ...}}``, deeper than any stack."""
    document = {"age": 1} if leaf is None else leaf
    for _ in range(DEEP):
        document = {key: [document]} if in_list else {key: document}
    return document


def nested_list() -> Any:
    """Lists in lists, deeper than any stack."""
    value: list[Any] = []
    for _ in range(DEEP):
        value = [value]
    return value


def cyclic_dict(key: str) -> dict[str, Any]:
    """A dict that holds itself."""
    document: dict[str, Any] = {}
    document[key] = document
    return document


def cyclic_list() -> list[Any]:
    """A list that holds itself."""
    items: list[Any] = []
    items.append(items)
    return items


def cyclic_branch(key: str) -> dict[str, Any]:
    """A document that is one of its own branches."""
    document: dict[str, Any] = {}
    document[key] = [document]
    return document


BAD_NAMES: tuple[str, ...] = (
    "nam",
    "",
    "x" * MANY,
    'name"; DROP TABLE people; --',
    "name' OR '1'='1",
    "name\0",
    "\ud800",
    "$" * MANY,
    "a." * DEEP,
    "data." + "a." * DEEP,
    "__class__",
    "\u202ename",
)

_FILTERS: dict[str, Callable[[], Any]] = {
    "deep $and": lambda: nested("$and", in_list=True),
    "deep $or": lambda: nested("$or", in_list=True),
    "deep $nor": lambda: nested("$nor", in_list=True),
    "deep $not": lambda: nested("$not"),
    "deep $not under a field": lambda: {"age": nested("$not", leaf={"$gt": 1})},
    "deep $elemMatch": lambda: {"tags": nested("$elemMatch", leaf={"$gt": 1})},
    "deep value": lambda: {"age": nested("x")},
    "deep JSON value": lambda: {"data": nested("x")},
    "deep list": lambda: {"age": nested_list()},
    "deep list in $in": lambda: {"age": {"$in": nested_list()}},
    "deep $expr": lambda: {"$expr": nested("$add", in_list=True, leaf=1)},
    "many in $in": lambda: {"age": {"$in": list(range(MANY))}},
    "many in $nin": lambda: {"age": {"$nin": list(range(MANY))}},
    "many texts in $in": lambda: {"name": {"$in": ["x"] * MANY}},
    "many in JSON $all": lambda: {"tags": {"$all": list(range(MANY))}},
    "many leaves of $or": lambda: {"$or": [{"age": 1}] * MANY},
    "many leaves of $and": lambda: {"$and": [{"age": 1}] * MANY},
    "many fields": lambda: {f"field{number}": 1 for number in range(MANY)},
    "many operators": lambda: {"age": {f"$gt{number}": 1 for number in range(MANY)}},
    "NaN": lambda: {"score": math.nan},
    "NaN in $in": lambda: {"score": {"$in": [1.0, math.nan]}},
    "infinity": lambda: {"score": {"$gt": math.inf}},
    "NaN Decimal": lambda: {"price": Decimal("NaN")},
    "infinite Decimal": lambda: {"price": Decimal("-Infinity")},
    "signalling NaN": lambda: {"price": Decimal("sNaN")},
    "2**63": lambda: {"age": 2**63},
    "-2**63-1": lambda: {"age": {"$lt": -(2**63) - 1}},
    "10**4000": lambda: {"age": 10**4_000},
    "10**400000": lambda: {"age": {"$in": [10**400_000]}},
    "10**4000 as a float": lambda: {"score": 10**4_000},
    "10**4000 as a Decimal": lambda: {"price": 10**4_000},
    "wide Decimal": lambda: {"price": Decimal("1e999999")},
    "lone surrogate": lambda: {"name": "a\ud800"},
    "lone surrogate in $regex": lambda: {"name": {"$regex": "\udfff"}},
    "lone surrogate in $contains": lambda: {"name": {"$contains": "\udfff"}},
    "NUL": lambda: {"name": "a\0b"},
    "NUL in $like": lambda: {"name": {"$like": "\0%"}},
    "cyclic $and": lambda: cyclic_branch("$and"),
    "cyclic $or": lambda: cyclic_branch("$or"),
    "cyclic $not": lambda: cyclic_dict("$not"),
    "cyclic value": lambda: {"age": cyclic_dict("x")},
    "cyclic $in": lambda: {"age": {"$in": cyclic_list()}},
    "cyclic JSON dict": lambda: {"data": cyclic_dict("x")},
    "cyclic JSON list": lambda: {"tags": cyclic_list()},
    "cyclic $expr": lambda: {"$expr": cyclic_branch("$add")},
    "key that is a number": lambda: {1: 1},
    "key that is None": lambda: {None: 1},
    "key that is bytes": lambda: {b"name": 1},
    "key that is a tuple": lambda: {("name",): 1},
    "key in operators": lambda: {"age": {1: 2}},
    "key in JSON": lambda: {"data": {1: 2}},
    "huge number as key": lambda: {10**5_000: 1},
    "no dict": lambda: [["age", 1]],
    "text as a filter": lambda: "age = 1",
    "long operator": lambda: {"age": {"$" + "x" * MANY: 1}},
    "long pattern": lambda: {"name": {"$regex": "a" * MANY}},
    "deep pattern": lambda: {"name": {"$regex": "(" * 90 + ")" * 90 + "{9}{9}"}},
    "pattern that explodes": lambda: {"name": {"$regex": "(a{1000}){1000}"}},
}

_ROWS: dict[str, Callable[[], dict[str, Any]]] = {
    "NaN": lambda: {"score": math.nan},
    "infinity": lambda: {"score": -math.inf},
    "2**63": lambda: {"age": 2**63},
    "10**4000": lambda: {"age": 10**4_000},
    "10**4000 as a float": lambda: {"score": 10**4_000},
    "wide Decimal": lambda: {"price": Decimal("1e999999")},
    "NaN Decimal": lambda: {"price": Decimal("NaN")},
    "lone surrogate": lambda: {"name": "\udc80"},
    "NUL": lambda: {"name": "a\0"},
    "deep JSON": lambda: {"data": nested("x")},
    "deep JSON list": lambda: {"tags": nested_list()},
    "cyclic JSON dict": lambda: {"data": cyclic_dict("x")},
    "cyclic JSON list": lambda: {"tags": cyclic_list()},
    "NaN in JSON": lambda: {"data": {"x": math.nan}},
    "infinity in JSON": lambda: {"tags": [math.inf]},
    "lone surrogate in JSON": lambda: {"data": {"x": "\ud800"}},
    "lone surrogate as a JSON key": lambda: {"data": {"\ud800": 1}},
    "NUL in JSON": lambda: {"data": {"x": "\0"}},
    "key in JSON": lambda: {"data": {1: "x"}},
    "tuple as a key in JSON": lambda: {"data": {(1, 2): "x"}},
    "2**63 in JSON": lambda: {"data": {"x": 2**63}},
    "10**5000 in JSON": lambda: {"data": {"x": 10**5_000}},
    "an object in JSON": lambda: {"data": {"x": object()}},
    "dict as text": lambda: {"name": {"$gt": ""}},
    "cyclic dict as text": lambda: {"name": cyclic_dict("x")},
    "deep dict as a number": lambda: {"age": nested("x")},
    "bool as a number": lambda: {"age": True},
}

_PIPELINES: dict[str, Callable[[], Any]] = {
    "many stages": lambda: [{"$limit": 1}] * MANY,
    "deep $match": lambda: [{"$match": nested("$and", in_list=True)}],
    "deep expression": lambda: [{"$project": {"x": nested("$add", in_list=True, leaf="$age")}}],
    "deep $group key": lambda: [{"$group": {"_id": nested("$abs", leaf="$age")}}],
    "deep accumulator": lambda: [{"$group": {"_id": None, "x": nested("$sum", leaf="$age")}}],
    "deep $facet": lambda: nested_facets(),
    "deep $cond": lambda: [{"$project": {"x": nested("$cond", in_list=True, leaf="$age")}}],
    "cyclic stage": lambda: [cyclic_dict("$match")],
    "cyclic pipeline": cyclic_list,
    "cyclic expression": lambda: [{"$project": {"x": cyclic_branch("$add")}}],
    "cyclic $group key": lambda: [{"$group": {"_id": cyclic_dict("x")}}],
    "many $group fields": lambda: [
        {"$group": {"_id": None, **{f"f{number}": {"$sum": "$ag"} for number in range(MANY)}}}
    ],
    "many sort keys": lambda: [{"$sort": {f"f{number}": 1 for number in range(MANY)}}],
    "bad output name": lambda: [{"$group": {"_id": None, 'x"; --': {"$summ": 1}}}],
    "key that is a number": lambda: [{1: 2}],
    "no list": lambda: {"$match": {}},
    "stage that is a number": lambda: [1],
    "2**63 as a limit": lambda: [{"$limit": 2**63}],
    "NaN as a limit": lambda: [{"$limit": math.nan}],
    "10**4000 in an expression": lambda: [{"$project": {"x": {"$add": ["$age", 10**4_000]}}}],
    "NaN in an expression": lambda: [{"$project": {"x": {"$add": ["$score", math.nan]}}}],
    "surrogate in an expression": lambda: [{"$project": {"x": {"$concat": ["$name", "\ud800"]}}}],
}


def nested_facets() -> list[Any]:
    """Facets in facets, deeper than any stack."""
    pipeline: list[Any] = [{"$count": "n"}]
    for _ in range(DEEP):
        pipeline = [{"$facet": {"x": pipeline}}]
    return pipeline


_UPDATES: dict[str, Callable[[], Any]] = {
    "deep value": lambda: {"age": nested("x")},
    "deep $set": lambda: nested("$set"),
    "deep JSON value": lambda: {"data": nested("x")},
    "cyclic $set": lambda: cyclic_dict("$set"),
    "cyclic JSON value": lambda: {"$set": {"data": cyclic_dict("x")}},
    "cyclic $push": lambda: {"$push": {"tags": cyclic_list()}},
    "2**63": lambda: {"age": 2**63},
    "$inc by 10**4000": lambda: {"$inc": {"age": 10**4_000}},
    "$inc by NaN": lambda: {"$inc": {"score": math.nan}},
    "lone surrogate": lambda: {"name": "\ud800"},
    "NUL": lambda: {"$set": {"name": "\0"}},
    "key that is a number": lambda: {1: 2},
    "key in an operator": lambda: {"$set": {None: 2}},
    "many fields": lambda: {f"field{number}": 1 for number in range(MANY)},
    "no dict": lambda: [("age", 1)],
}

_LISTS: dict[str, Callable[[], dict[str, Any]]] = {
    "limit 2**63": lambda: {"limit": 2**63},
    "limit 10**4000": lambda: {"limit": 10**4_000},
    "limit -1": lambda: {"limit": -1},
    "limit NaN": lambda: {"limit": math.nan},
    "offset -1": lambda: {"offset": -1},
    "many sort keys": lambda: {"order_by": ["age"] * MANY},
    "cyclic order": lambda: {"order_by": cyclic_list()},
    "many selected": lambda: {"select": ["name"] * MANY},
    "cyclic select": lambda: {"select": cyclic_list()},
    "cursor": lambda: {"cursor": "x" * MANY},
    "cursor with NUL": lambda: {"cursor": "\0"},
    "cursor that is no text": lambda: {"cursor": 10**4_000},
}


Make = Callable[[], Any]


def _under(name: str, make: Make, rest: Mapping[str, Any]) -> Make:
    """Parameters of which one is the hostile value."""
    return lambda: {**rest, name: make()}


def _row(make: Make) -> Make:
    return lambda: {"name": "x", **make()}


def _rows(make: Make) -> Make:
    return lambda: {"data": [{"name": "x", **make()}]}


def _constant(value: dict[str, Any]) -> Make:
    return lambda: value


def _all() -> list[Hostile]:
    found = []
    for label, make in _FILTERS.items():
        for node in ("List", "Read", "Update", "BulkDelete"):
            rest = {"fields": {"age": 1}} if node == "Update" else {}
            parameters = _under("filter", make, rest)
            found.append(Hostile(f"filter: {label}", f"Person{node}Node", parameters))
    for label, make in _ROWS.items():
        found.append(Hostile(f"row: {label}", "PersonCreateNode", _row(make)))
        found.append(Hostile(f"rows: {label}", "PersonBulkCreateNode", _rows(make)))
    for label, make in _PIPELINES.items():
        found.append(Hostile(f"pipeline: {label}", "PersonListNode", _under("aggregate", make, {})))
    for label, make in _UPDATES.items():
        parameters = _under("fields", make, {"id": 1})
        found.append(Hostile(f"update: {label}", "PersonUpdateNode", parameters))
    found += [Hostile(f"list: {label}", "PersonListNode", make) for label, make in _LISTS.items()]
    for number, name in enumerate(BAD_NAMES):
        group = [{"$group": {"_id": f"${name}"}}]
        places: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("in a filter", "List", {"filter": {name: 1}}),
            ("in order_by", "List", {"order_by": [name]}),
            ("in select", "List", {"select": [name]}),
            ("in a row", "Create", {name: 1}),
            ("as a parameter", "Read", {name: 1}),
            ("in an update", "Update", {"id": 1, "fields": {name: 1}}),
            ("in $group", "List", {"aggregate": group}),
        )
        for where, node, value in places:
            found.append(Hostile(f"name {number} {where}", f"Person{node}Node", _constant(value)))
    return found


HOSTILE = _all()

SQL_TEXTS: tuple[str, ...] = (
    "'; DROP TABLE people; --",
    '"; DELETE FROM people; --',
    "' OR '1'='1",
    "?1",
    ":name",
    "%s",
    "$1",
    "\\",
    "''",
    '""',
    "`people`",
    "/* */ -- ;",
    "%",
    "_",
    "NULL",
    "{name}",
    "CAST(1 AS TEXT)",
    "Robert'); DROP TABLE people;--",
)
