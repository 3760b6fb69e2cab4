from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dataflow_core import DataFlow
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.filters import Bindings, Scope, matches, parse_filter
from dataflow_core.operations import CreateTable
from dataflow_core.schema import Check
from dataflow_core.schema.declare import declare_model
from dataflow_core.types import Json
from dataflow_postgres.connection import PostgresConnection
from dataflow_postgres.dialect import PostgresDialect
from tests.postgres.support import column, model, raised

DOCUMENTS: tuple[dict[str, Any], ...] = (
    {},
    {"a": 1},
    {"a": 1.0},
    {"a": "1"},
    {"a": True},
    {"a": None},
    {"a": [1]},
    {"a": [[1], 3]},
    {"a": ["b", "B", "á", "|", "%"]},
    {"a": {"0": 1, "b": [1, 2]}},
    {"a": [{"b": 1}, {"b": 1.0}]},
    {"a": {"b": 1}},
    {"a": 2**60},
    {"a": 1e22},
    {"a": "line\nbreak"},
    {'quo"te': 1, "back\\slash": 2, "it's": 3, "a.b": 4, "$": 5, "": 6, "ключ": 7, "tab\t": 8},
    {"0": [0, [10, 20]]},
    {"a": [None, False, 0, ""]},
)

FILTERS: tuple[dict[str, Any], ...] = (
    *({"doc.a": operand} for operand in (1, 1.0, "1", True, False, None, [1], {"b": 1}, 0, "")),
    *({"doc.a": {"$gt": operand}} for operand in (0, 2, "A", "a", 1e21)),
    *({"doc.a": {"$lt": operand}} for operand in (3, "c", -1)),
    *({"doc.a": {"$lte": operand}} for operand in (1, "B")),
    {"doc.a": {"$in": [1, "b", None]}},
    {"doc.a": {"$in": [{"b": 1}, [1], 2.0**60]}},
    {"doc.a": {"$nin": [1, True]}},
    {"doc.a.0": 1},
    {"doc.a.0": None},
    {"doc.0": 0},
    {"doc.0.1.1": 20},
    {"doc.a.0.b": 1},
    {"doc.a.b": 1},
    {"doc.a.b.1": 2},
    {"doc.a": {"$startswith": ""}},
    {"doc.a": {"$startswith": "li"}},
    {"doc.a": {"$istartswith": "B"}},
    {"doc.a": {"$endswith": "k"}},
    {"doc.a": {"$icontains": "E\nB"}},
    {"doc.a": {"$like": "|%"}},
    {"doc.a": {"$regex": "^.$"}},
    {"doc.a": {"$regex": "n.b"}},
    {"doc.a": {"$regex": "Á", "$options": "i"}},
    {"doc.a": {"$all": [1]}},
    {"doc.a": {"$size": 1}},
    {"doc.a": {"$contains": "b"}},
    {"doc.a": {"$elemMatch": {"$gt": 0, "$lt": 2}}},
    {"doc.a": {"$elemMatch": {"$ne": 1}}},
    {"doc.a": {"$elemMatch": {"$in": ["b", False]}}},
    {"doc.a": {"$elemMatch": {"$regex": "^[a-z]$"}}},
    {"doc.a": {"$exists": True}},
    {"doc.a": {"$not": {"$gt": 1}}},
    {'doc.quo"te': 1},
    {"doc.back\\slash": 2},
    {"doc.it's": 3},
    {"doc.$": 5},
    {"doc.ключ": 7},
    {"doc.tab\t": 8},
    {"doc": {"a": 1}},
    {"$or": [{"doc.a": 1}, {"$nor": [{"doc.a": {"$exists": False}}]}]},
)


class Note:
    __dataflow__ = {"table": "notes", "timestamps": False}
    doc: dict[str, Any] | None


NOTE = declare_model(Note)


async def test_filters_inside_json_are_those_of_the_evaluator(url: str) -> None:
    """A filter lets through what the evaluator lets through, and so does its complement."""
    db = DataFlow(url)
    db.model(Note)
    try:
        await db.run("NoteBulkCreateNode", data=[{"doc": item} for item in (*DOCUMENTS, None)])
        rows = (await db.run("NoteListNode", filter={}))["records"]
        for document in FILTERS:
            for wanted in (document, {"$nor": [document]}):
                expected = [row["id"] for row in rows if fits(wanted, row)]
                found = await db.run("NoteListNode", filter=wanted)
                assert [row["id"] for row in found["records"]] == expected, wanted
    finally:
        await db.aclose()


def fits(document: dict[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a row passes a filter, by definition."""
    bindings = Bindings()
    predicate = parse_filter(document, Scope.of(NOTE), bindings)
    return matches(predicate, row, bindings.values)


async def test_a_check_inside_json(connection: PostgresConnection) -> None:
    """A check may compare a place inside JSON."""
    document = {"doc.size": {"$gt": 3}, "doc.kind": {"$in": ["a", "b\\"]}}
    made = model(column("doc", Json()), checks=(Check("rule", document),))
    for statement in PostgresDialect().ddl.compile(CreateTable(made)):
        await connection.execute(statement, ())
    insert = "INSERT INTO things (doc) VALUES ($1::jsonb)"
    await connection.execute(insert, ('{"size": 4, "kind": "b\\\\"}',))
    for refused in ('{"size": 3, "kind": "a"}', '{"size": 4}', '{"size": "4", "kind": "a"}'):
        error = await raised(connection, insert, refused)
        assert type(error).__name__ == "CheckViolation"


def test_a_check_that_looks_at_elements_is_refused() -> None:
    """What would need a subquery in a check is refused before any SQL, with the reason."""
    made = model(column("doc", Json()), checks=(Check("rule", {"doc.a": {"$like": "x%"}}),))
    with pytest.raises(UnsupportedFeature, match="no subquery in a check"):
        PostgresDialect().ddl.compile(CreateTable(made))
