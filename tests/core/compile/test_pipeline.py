from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.aggregate.parse import parse_pipeline
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.features import Feature
from dataflow_core.filters import Bindings
from dataflow_core.operations import Aggregate
from tests.core.compile.toy import FULL, ITEM, TOY, ToyCompiler, aggregated

GROUP = {"$group": {"_id": "$name", "total": {"$sum": "$size"}}}


def test_filter_order_and_cut_are_one_select() -> None:
    """What needs no result of another stage is not nested."""
    sql = aggregated({"$match": {"size": 1}}, {"$sort": {"size": -1}}, {"$limit": 5})
    assert sql.count("SELECT") == 1
    assert sql.startswith('SELECT "id" AS "id", "name" AS "name"')
    assert ' WHERE "size" = $1 ORDER BY ' in sql and sql.endswith(" LIMIT $2")


def test_a_group_has_one_row_for_each_key() -> None:
    """Grouped by the expression of the key, sums exact and 0 of nothing, ordered by the key."""
    sql = aggregated(GROUP)
    assert 'COALESCE(SUM("size"), 0) AS "total"' in sql
    assert 'GROUP BY "name"' in sql
    assert sql.rstrip().endswith('"_id" ASC NULLS FIRST')


@pytest.mark.parametrize("stage", [{"$group": {"_id": None, "n": {"$sum": 1}}}, {"$count": "n"}])
def test_a_group_of_no_rows_is_no_document(stage: Any) -> None:
    """`_id: null` and `$count` over nothing give no row, where SQL would give one."""
    assert "HAVING COUNT(*) > 0" in aggregated(stage)


def test_a_stage_after_a_cut_sees_the_cut_rows() -> None:
    """`$limit` before `$match` or `$group` is applied before them."""
    for later in ({"$match": {"size": 1}}, GROUP, {"$sort": {"name": 1}}, {"$limit": 3}):
        sql = aggregated({"$limit": 5}, later)
        assert sql.count("SELECT") > 1
        assert "LIMIT $1)" in sql


def test_equal_pipelines_have_equal_texts() -> None:
    """Values are not in the text, nor in the shape of the operation."""
    one, other = (
        Aggregate(ITEM, parse_pipeline([{"$match": {"size": n}}, {"$limit": n}], ITEM, Bindings()))
        for n in (1, 2)
    )
    assert one == other and hash(one) == hash(other)
    assert aggregated({"$limit": 1}) == aggregated({"$limit": 2})


def test_facets_are_statements_by_name() -> None:
    """Each branch is a statement of its own over the same rows."""
    document = [{"$match": {"size": 1}}, {"$facet": {"n": [{"$count": "c"}], "all": []}}]
    compiled = TOY.compile(Aggregate(ITEM, parse_pipeline(document, ITEM, Bindings())))
    assert compiled.statement is None
    assert [name for name, _ in compiled.branches] == ["n", "all"]
    assert all('WHERE "size" = $1' in branch.sql for _, branch in compiled.branches)


@pytest.mark.parametrize(
    ("stages", "feature"),
    [
        ([GROUP], "aggregate.group"),
        ([{"$sample": {"size": 1}}], "aggregate.more_stages"),
        ([{"$unionWith": "Item"}], "aggregate.union"),
        ([{"$group": {"_id": None, "a": {"$first": "$size"}}}], "aggregate.first_last"),
        ([{"$group": {"_id": None, "a": {"$stdDevPop": "$size"}}}], "aggregate.statistics"),
        ([{"$project": {"a": {"$add": ["$size", 1]}}}], "expressions.arithmetic"),
    ],
)
def test_what_is_declared_off_is_refused(stages: Any, feature: str) -> None:
    """The refusal names the feature of the stage, the accumulator or the function."""
    compiler = ToyCompiler({**FULL, feature: Feature("not_implemented", "later")})
    with pytest.raises(UnsupportedFeature, match="later") as caught:
        aggregated(*stages, compiler=compiler)
    assert feature == caught.value.context["feature"]


def test_collecting_has_no_common_spelling() -> None:
    """A list in a group is for the dialect to spell."""
    with pytest.raises(UnsupportedFeature, match=r"no spelling for aggregate\.collect"):
        aggregated({"$group": {"_id": None, "a": {"$push": "$size"}}})
