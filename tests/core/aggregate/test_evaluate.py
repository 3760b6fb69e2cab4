from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from decimal import Decimal as Number
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.aggregate.accumulate import accumulate
from dataflow_core.aggregate.ast import (
    Accumulator,
    Computed,
    CountRows,
    Facet,
    Group,
    Limit,
    Match,
    Pipeline,
    Project,
    Sample,
    Skip,
    Sort,
    Stage,
    UnionWith,
)
from dataflow_core.aggregate.evaluate import assemble, run, sorted_rows
from dataflow_core.errors import OutOfRange
from dataflow_core.expressions.ast import Call, FieldValue, Null
from dataflow_core.filters.ast import Compare, Slot
from dataflow_core.order import SortKey
from dataflow_core.schema import Field, Model
from dataflow_core.types import Decimal, FieldType, Float, Integer, Json, Text

ID = Field("id", Integer(), "id", primary_key=True)
TEAM = Field("team", Text(), "team", nullable=True)
SCORE = Field("score", Integer(), "score", nullable=True)
FIELDS = (ID, TEAM, SCORE)
OTHERS = Model("Other", "others", FIELDS)
ROWS: list[dict[str, Any]] = [
    {"id": 4, "team": None, "score": 7},
    {"id": 1, "team": "b", "score": 3},
    {"id": 2, "team": "a", "score": None},
    {"id": 3, "team": "b", "score": 1},
]


def made(name: str, kind: FieldType | None = None) -> Field:
    """A field that a stage makes."""
    return Field(name, kind or Integer(), name, nullable=True)


def key(name: str, source: Field) -> Computed:
    """A key that is the value of a field."""
    return Computed(made(name, source.type), FieldValue(source))


def result(
    *stages: Stage,
    fields: Sequence[Field] = FIELDS,
    values: Sequence[Any] = (),
    rows: Sequence[dict[str, Any]] = ROWS,
    **other: Any,
) -> list[dict[str, Any]]:
    """The documents of a pipeline over the rows."""
    return run(Pipeline(FIELDS, stages, tuple(fields)), rows, values, ["id"], **other)


def ids(*stages: Stage, values: Sequence[Any] = ()) -> list[int]:
    """The keys of the rows that come out."""
    return [row["id"] for row in result(*stages, values=values)]


TOTAL = Accumulator(made("total"), "sum", FieldValue(SCORE))
COUNT = Accumulator(made("count"), "count", None)
BY_TEAM = Group((key("_id", TEAM),), (TOTAL, COUNT))
TEAM_FIELDS = (made("_id", Text()), made("total"), made("count"))
NUMBER = Slot(0, Integer())


def test_rows_flow_in_the_order_of_their_key() -> None:
    """Without any stage the rows come in the order of the primary key."""
    assert ids() == [1, 2, 3, 4]


def test_match_limit_and_skip() -> None:
    """Rows are let through, cut and passed over."""
    assert ids(Match(Compare(SCORE, "gt", NUMBER)), values=[2]) == [1, 4]
    assert ids(Limit(NUMBER), values=[2]) == [1, 2]
    assert ids(Skip(NUMBER), values=[3]) == [4]
    assert ids(Skip(NUMBER), values=[9]) == []


def test_sort_puts_null_first_and_breaks_ties_by_key() -> None:
    """NULL is first ascending and last descending; equal rows come by key, ascending."""
    assert ids(Sort((SortKey(TEAM),))) == [4, 2, 1, 3]
    assert ids(Sort((SortKey(TEAM, descending=True),))) == [1, 3, 2, 4]
    assert ids(Sort((SortKey(TEAM), SortKey(SCORE)))) == [4, 2, 3, 1]


def test_a_sort_forgets_an_earlier_one() -> None:
    """Ties are broken by the key, not by the order that the rows came in."""
    assert ids(Sort((SortKey(ID, descending=True),)), Sort((SortKey(TEAM),))) == [4, 2, 1, 3]


def test_project_computes_exactly_its_columns() -> None:
    """A projection gives its columns only; a cut after a sort keeps the order."""
    double = Call("add", (FieldValue(SCORE), FieldValue(SCORE)), Integer())
    stage = Project((Computed(made("double"), double),))
    assert result(stage, fields=[made("double")]) == [
        {"double": 6},
        {"double": None},
        {"double": 2},
        {"double": 14},
    ]
    falling = Sort((SortKey(ID, descending=True),))
    assert result(falling, Limit(NUMBER), stage, fields=[made("double")], values=[1]) == [
        {"double": 14}
    ]


def test_groups_come_in_the_order_of_their_key() -> None:
    """One row for every key, NULL being one of them and the first."""
    assert result(BY_TEAM, fields=TEAM_FIELDS) == [
        {"_id": None, "total": 7, "count": 1},
        {"_id": "a", "total": 0, "count": 1},
        {"_id": "b", "total": 4, "count": 2},
    ]


def test_groups_can_be_sorted() -> None:
    """A later sort orders the groups; equal ones come by `_id`."""
    stages = (BY_TEAM, Sort((SortKey(made("count"), descending=True),)))
    assert [row["_id"] for row in result(*stages, fields=TEAM_FIELDS)] == ["b", None, "a"]


def test_a_key_of_several_parts_is_put_together() -> None:
    """The parts of `_id` flow as fields of their own and end as one document."""
    odd = Call("mod", (FieldValue(ID), FieldValue(SCORE)), Integer())
    group = Group((key("_id.team", TEAM), Computed(made("_id.rest"), odd)), (COUNT,))
    fields = (made("_id.team", Text()), made("_id.rest"), made("count"))
    assert result(group, fields=fields) == [
        {"_id": {"team": None, "rest": 4}, "count": 1},
        {"_id": {"team": "a", "rest": None}, "count": 1},
        {"_id": {"team": "b", "rest": 0}, "count": 1},
        {"_id": {"team": "b", "rest": 1}, "count": 1},
    ]
    total = Group((Computed(made("_id"), FieldValue(made("_id.team", Text()))),), (COUNT,))
    assert [row["count"] for row in result(group, total, fields=TEAM_FIELDS)] == [1, 1, 2]


def test_a_group_of_everything() -> None:
    """The key NULL makes one group of all rows, and none of no rows."""
    everything = Group((Computed(made("_id"), Null(Integer())),), (TOTAL,))
    fields = (made("_id"), made("total"))
    assert result(everything, fields=fields) == [{"_id": None, "total": 11}]
    assert result(everything, fields=fields, rows=[]) == []


def test_count_of_rows() -> None:
    """`$count` gives one row, or none over nothing."""
    stage = CountRows(made("n"))
    assert result(stage, fields=[made("n")]) == [{"n": 4}]
    assert result(stage, fields=[made("n")], rows=[]) == []


def test_sample_promises_a_number_of_different_rows() -> None:
    """A sample has as many rows as asked for, or all; none comes twice."""
    assert len(set(ids(Sample(NUMBER), values=[3]))) == 3
    assert sorted(ids(Sample(NUMBER), values=[9])) == [1, 2, 3, 4]


def test_union_puts_other_rows_behind() -> None:
    """The rows so far come first, then those of the other pipeline in its own order."""
    others = [{"id": 9, "team": "x", "score": 1}, {"id": 1, "team": "b", "score": 0}]
    tables = {"others": others}
    stage = UnionWith(OTHERS, Pipeline(FIELDS, (Limit(NUMBER),), FIELDS))
    union = [row["id"] for row in result(stage, values=[5], source=tables.__getitem__)]
    assert union == [1, 2, 3, 4, 1, 9]
    stages = (stage, Sort((SortKey(TEAM),)))
    ordered = [row["id"] for row in result(*stages, values=[5], source=tables.__getitem__)]
    assert ordered == [4, 2, 1, 3, 1, 9]
    with pytest.raises(ValueError, match="no source for the rows of others"):
        result(stage, values=[5])


def test_facets_are_pipelines_over_the_same_rows() -> None:
    """One document holds the results of every branch, also of no rows."""
    branches = (
        ("teams", Pipeline(FIELDS, (BY_TEAM,), TEAM_FIELDS)),
        ("first", Pipeline(FIELDS, (Limit(NUMBER),), FIELDS)),
    )
    [document] = result(Facet(branches), fields=(), values=[1])
    assert [row["_id"] for row in document["teams"]] == [None, "a", "b"]
    assert document["first"] == [{"id": 1, "team": "b", "score": 3}]
    assert result(Facet(branches), fields=(), values=[1], rows=[]) == [{"teams": [], "first": []}]


def test_assemble_keeps_the_order_of_the_fields() -> None:
    """A document has the fields in order, missing ones as NULL, `_id` put together."""
    fields = (made("_id.b"), made("_id.a"), made("n"))
    row = {"n": 1, "_id.a": 2, "_id.b": 3, "hidden": 4}
    assert assemble(row, fields) == {"_id": {"b": 3, "a": 2}, "n": 1}
    assert list(assemble(row, fields)["_id"]) == ["b", "a"]
    assert assemble({}, [made("n")]) == {"n": None}


def test_rows_can_be_sorted_apart_from_a_pipeline() -> None:
    """`sorted_rows` is the order of `order_by`: stable, NULL first ascending, last descending."""
    keys = (SortKey(TEAM, descending=True), SortKey(ID))
    assert [row["id"] for row in sorted_rows(ROWS, keys)] == [1, 3, 2, 4]


@pytest.mark.parametrize(
    ("function", "kind", "items", "expected"),
    [
        ("count", Integer(), [1, None], 2),
        ("sum", Integer(), [1, None, 2], 3),
        ("sum", Integer(), [None], 0),
        ("sum", Integer(), [2**63 - 1, 1, -1], 2**63 - 1),
        ("sum", Decimal(38, 2), [Number("0.10"), Number("0.20")], Number("0.30")),
        ("sum", Decimal(38, 2), [], Number("0.00")),
        ("sum", Float(), [0.1] * 10, 1.0),
        ("sum", Float(), [None], 0.0),
        ("sum", Float(), [1e308, 1e308, -1e308], 1e308),
        ("avg", Float(), [1, 2, None], 1.5),
        ("avg", Float(), [Number("0.1"), Number("0.2")], 0.15),
        ("avg", Float(), [2**63 - 1, 2**63 - 1], float(2**63 - 1)),
        ("avg", Float(), [None], None),
        ("min", Integer(), [3, None, 1], 1),
        ("max", Text(), ["Z", "a", None], "a"),
        ("min", Integer(), [None], None),
        ("max", Integer(), [None], None),
        ("first", Integer(), [None, 1], None),
        ("last", Integer(), [None, 1], 1),
        ("push", Json("array"), [2, None, 1, 2], [2, 1, 2]),
        ("push", Json("array"), [None], []),
        ("addToSet", Json("array"), [2, None, 1, 2], [1, 2]),
        ("stdDevPop", Float(), [2, 4, 4, 4, 5, 5, 7, 9], 2.0),
        ("stdDevPop", Float(), [5], 0.0),
        ("stdDevPop", Float(), [None], None),
        ("stdDevSamp", Float(), [1, 3], math.sqrt(2)),
        ("stdDevSamp", Float(), [5, None], None),
        ("stdDevSamp", Float(), [], None),
        ("median", Float(), [5, 1, 3], 3.0),
        ("median", Float(), [4, 1, None, 3, 2], 2.5),
        ("median", Float(), [Number("0.1"), Number("0.2")], 0.15),
        ("median", Float(), [None], None),
    ],
)
def test_accumulators(function: str, kind: FieldType, items: list[Any], expected: Any) -> None:
    """Each accumulator: what it makes of values, of NULL among them, and of nothing else."""
    found = accumulate(function, items, kind, "total")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("function", "kind", "items"),
    [
        ("sum", Integer(), [2**63 - 1, 1]),
        ("sum", Float(), [1e308, 1e308]),
        ("sum", Decimal(38, 30), [Number(99999999)] * 2),
        ("stdDevPop", Float(), [-1.7e308, 1.7e308]),
    ],
)
def test_sums_that_do_not_fit_are_refused(function: str, kind: FieldType, items: list[Any]) -> None:
    """Only the result has to fit; where it does not, the error names the field."""
    with pytest.raises(OutOfRange, match="total: the result does not fit"):
        accumulate(function, items, kind, "total")


@given(st.lists(st.integers(-(2**40), 2**40) | st.none(), min_size=1))
def test_statistics_agree_with_the_standard_library(items: list[int | None]) -> None:
    """Mean, median and deviations are those of Python's `statistics`, NULL left out."""
    known = [item for item in items if item is not None]
    expected = {
        "avg": statistics.fmean(known) if known else None,
        "median": float(statistics.median(known)) if known else None,
        "stdDevPop": statistics.pstdev(known) if known else None,
        "stdDevSamp": statistics.stdev(known) if len(known) > 1 else None,
    }
    for function, value in expected.items():
        found = accumulate(function, items, Float(), "total")
        assert found == (None if value is None else pytest.approx(value, rel=1e-12)), function


@given(st.permutations(ROWS))
def test_the_order_of_the_input_does_not_matter(rows: list[dict[str, Any]]) -> None:
    """Rows may be given in any order: their key decides."""
    pushed = Accumulator(made("ids", Json("array")), "push", FieldValue(ID))
    first = Accumulator(made("first"), "first", FieldValue(SCORE))
    group = Group((key("_id", TEAM),), (pushed, first))
    fields = (made("_id", Text()), made("ids", Json("array")), made("first"))
    assert result(group, fields=fields, rows=rows) == [
        {"_id": None, "ids": [4], "first": 7},
        {"_id": "a", "ids": [2], "first": None},
        {"_id": "b", "ids": [1, 3], "first": 3},
    ]
