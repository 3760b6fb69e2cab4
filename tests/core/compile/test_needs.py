from __future__ import annotations

import decimal
import re
from pathlib import Path
from typing import Any

import pytest

from dataflow_core.aggregate.parse import parse_pipeline
from dataflow_core.compile import needs
from dataflow_core.compile.needs import ELSEWHERE, NEEDS, needed, offers, require, table_needs
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.expressions.functions import CALLS
from dataflow_core.features import FEATURES, Feature
from dataflow_core.filters import Bindings
from dataflow_core.filters.ast import Slot
from dataflow_core.operations import (
    Aggregate,
    Count,
    Create,
    CreateMany,
    DeleteMany,
    Find,
    Operation,
    UpdateMany,
    Upsert,
)
from dataflow_core.order import SortKey
from dataflow_core.schema.declare import declare_model, field
from dataflow_core.types import Integer
from dataflow_core.updates.parse import parse_update
from tests.core.compile.toy import ITEM, predicate
from tests.core.language import NOW

NAME, SIZE = ITEM.field("name", "here"), ITEM.field("size", "here")
COLUMNS = tuple(item for item in ITEM.fields if not item.primary_key)
TYPES = {"types.integer", "types.text", "types.float", "types.boolean"}
SLOT = Slot(0, Integer())


def of(operation: Operation) -> set[str]:
    """What an operation needs beside the types of its model."""
    found = needed(operation)
    assert set(found) >= TYPES
    return set(found) - TYPES


def test_every_feature_is_seen_to() -> None:
    """Each feature id is read off operations, or stands in the table of those that are not."""
    source = Path(needs.__file__).read_text("utf-8")
    named = set(re.findall(r'"([a-z]+\.?[a-z_.]*)"', source.partition("ELSEWHERE: Final")[0]))
    named |= {call.feature for call in CALLS.values()}
    assert named & FEATURES.keys() | ELSEWHERE.keys() == FEATURES.keys()
    assert not ELSEWHERE.keys() - FEATURES.keys()
    assert all(isinstance(kind, type) for kind in NEEDS)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, set()),
        ({"size": 1}, {"filters.comparison"}),
        ({"size": {"$ne": 1}}, {"filters.comparison"}),
        ({"size": {"$in": [1, 2]}}, {"filters.membership"}),
        ({"size": None}, {"filters.null"}),
        ({"$or": [{"size": 1}, {"name": "a"}]}, {"filters.logic", "filters.comparison"}),
        ({"size": {"$not": {"$mod": [2, 0]}}}, {"filters.logic", "filters.modulo"}),
        ({"name": {"$startswith": "a"}}, {"filters.text"}),
        ({"name": {"$regex": "^a.c"}}, {"filters.regex"}),
        ({"size": {"$bitsAllSet": 1}}, {"filters.bits"}),
        (
            {"$expr": {"$gt": [{"$add": ["$size", 1]}, 2]}},
            {"filters.expression", "expressions.arithmetic", "expressions.logic"},
        ),
    ],
)
def test_filters(document: Any, expected: set[str]) -> None:
    """A filter needs what its operators are of, also where they stand inside of others."""
    tree, _ = predicate(document)
    for operation in (Find(ITEM, ITEM.fields, tree), Count(ITEM, tree)):
        assert of(operation) == expected
    assert of(DeleteMany(ITEM, tree)) == {*expected, "write.bulk_delete"}


def test_reading() -> None:
    """Pages, distinct rows and sorting by what may be null; the guard of a list is no page."""
    assert of(Find(ITEM, ITEM.fields, limit=SLOT)) == set()
    assert of(Find(ITEM, ITEM.fields, limit=SLOT, paged=True)) == {"paging"}
    assert of(Find(ITEM, ITEM.fields, limit=SLOT, offset=SLOT)) == {"paging"}
    assert of(Find(ITEM, (NAME,), distinct=True)) == {"select.distinct"}
    assert of(Count(ITEM, distinct=(NAME,))) == {"select.distinct"}
    assert of(Find(ITEM, ITEM.fields, order=(SortKey(NAME),))) == set()
    assert of(Find(ITEM, ITEM.fields, order=(SortKey(SIZE),))) == {"order.null_first"}


def test_writing() -> None:
    """Keys that the database makes, bulk writes and conflicts, upserts."""
    assert of(Create(ITEM, ITEM.fields)) == set()
    assert of(Create(ITEM, COLUMNS)) == {"write.generated_key"}
    assert of(CreateMany(ITEM, ITEM.fields)) == {"write.bulk_create"}
    skipping = CreateMany(ITEM, ITEM.fields, "skip")
    assert of(skipping) == {"write.bulk_create", "write.bulk_conflict"}
    assert of(Upsert(ITEM, ITEM.fields, ITEM.primary_key, (NAME,))) == {"write.upsert"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "a"}, {"updates.set"}),
        ({"$unset": {"size": ""}}, {"updates.set"}),
        ({"$inc": {"size": 1}, "$set": {"name": "a"}}, {"updates.arithmetic", "updates.set"}),
        ({"$bit": {"size": {"and": 1}}}, {"updates.bits"}),
        ({"$set": {"size": {"$add": ["$size", 1]}}}, {"updates.expression"}),
    ],
)
def test_updates(fields: Any, expected: set[str]) -> None:
    """An update needs what its changes are of."""
    update = parse_update(fields, ITEM, Bindings(), now=NOW)
    found = of(UpdateMany(ITEM, predicate({})[0], tuple(update.assignments)))
    assert found - {"expressions.arithmetic"} == {*expected, "write.bulk_update"}


@pytest.mark.parametrize(
    ("pipeline", "expected"),
    [
        ([{"$sort": {"name": 1}}, {"$limit": 1}], {"aggregate.stages"}),
        ([{"$group": {"_id": "$name"}}], {"aggregate.group"}),
        (
            [{"$group": {"_id": "$name", "v": {"$push": "$size"}}}],
            {"aggregate.group", "aggregate.collect"},
        ),
        ([{"$unset": "size"}], {"aggregate.stages", "aggregate.more_stages"}),
        ([{"$sample": {"size": 1}}], {"aggregate.more_stages"}),
        ([{"$facet": {"a": [{"$match": {"size": 1}}]}}],
         {"aggregate.facet", "aggregate.stages", "filters.comparison"}),
    ],
)  # fmt: skip
def test_pipelines(pipeline: Any, expected: set[str]) -> None:
    """A pipeline needs what its stages, accumulators and expressions are of."""
    assert of(Aggregate(ITEM, parse_pipeline(pipeline, ITEM, Bindings()))) == expected


class Wide:
    __dataflow__ = {"timestamps": False}
    id: int
    plain: decimal.Decimal
    wide: decimal.Decimal = field(precision=30, scale=2)
    checked: int = field(check={"$gt": 0})


def test_tables() -> None:
    """A table needs its types; its constraints only where it is made."""
    model = declare_model(Wide)
    types = {"types.integer", "types.decimal", "types.decimal.wide"}
    assert set(table_needs(model, made=False)) == types
    assert set(table_needs(model, made=True)) == {*types, "constraints.check"}


def test_what_is_declared_off_is_refused() -> None:
    """The refusal names feature, dialect and reason; claims depend on the server's version."""
    table = {
        "paging": Feature("full"),
        "limits": Feature("unsupported", "no limits"),
        "select.distinct": Feature("full", "from 8 on", server=lambda version: version >= (8,)),
    }

    def ask(feature: str, version: tuple[int, ...] | None = None) -> None:
        require(table, ["paging", feature], dialect="acme", version=version, place="Book")

    ask("paging")
    ask("select.distinct", (8, 1))
    ask("select.distinct", None)
    for feature, version, reason in (
        ("limits", None, "no limits"),
        ("transactions", None, "does not declare"),
        ("select.distinct", (7, 9), "from 8 on"),
    ):
        message = rf"Book: acme .*{feature}: .*{reason}"
        with pytest.raises(UnsupportedFeature, match=message) as told:
            ask(feature, version)
        assert (told.value.feature, told.value.dialect) == (feature, "acme")
        assert not offers(table, feature, version)
