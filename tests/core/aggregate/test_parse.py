from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.aggregate import (
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
    UnionWith,
)
from dataflow_core.aggregate.parse import STAGES, parse_pipeline
from dataflow_core.errors import (
    DataFlowError,
    InvalidFilter,
    InvalidPipeline,
    InvalidType,
    LimitExceeded,
    UnknownField,
    UnknownOperator,
)
from dataflow_core.filters import Bindings
from tests.core.language import USER, nested, quickly


def parsed(*stages: Any) -> Pipeline:
    """The pipeline of these stages."""
    return parse_pipeline(list(stages), USER, Bindings(), lookup=lambda name: USER)


def names(*stages: Any) -> list[str]:
    """The names of the fields that come out."""
    return [field.name for field in parsed(*stages).fields]


@pytest.mark.parametrize(
    ("stage", "kinds"),
    [
        ({"$match": {"age": 1}}, [Match]),
        ({"$group": {"_id": "$name"}}, [Group]),
        ({"$sort": {"age": -1}}, [Sort]),
        ({"$limit": 1}, [Limit]),
        ({"$skip": 0}, [Skip]),
        ({"$project": {"age": 1}}, [Project]),
        ({"$count": "n"}, [CountRows]),
        ({"$addFields": {"next": {"$add": ["$age", 1]}}}, [Project]),
        ({"$set": {"next": "$age"}}, [Project]),
        ({"$unset": "age"}, [Project]),
        ({"$bucket": {"groupBy": "$age", "boundaries": [0, 9], "default": -1}}, [Group]),
        ({"$sortByCount": "$name"}, [Group, Sort]),
        ({"$sample": {"size": 3}}, [Sample]),
        ({"$facet": {"a": [{"$count": "n"}]}}, [Facet]),
        ({"$unionWith": "User"}, [UnionWith]),
        ({"$unionWith": {"coll": "User", "pipeline": [{"$limit": 1}]}}, [UnionWith]),
    ],
)
def test_each_stage(stage: Any, kinds: list[type]) -> None:
    """Each stage is one node of the tree; short forms are written out."""
    assert kinds == [type(item) for item in parsed(stage).stages]


def test_the_fields_that_flow() -> None:
    """After a stage there are the fields that it makes, and no others."""
    group = {"$group": {"_id": {"a": "$age", "n": "$name"}, "total": {"$sum": 1}}}
    assert names(group) == ["_id.a", "_id.n", "total"]
    assert names(group, {"$project": {"_id": 1}}) == ["_id.a", "_id.n"]
    assert names(group, {"$project": {"_id": 0, "total": 1}}) == ["total"]
    assert names({"$project": {"name": 1}}) == ["name"]
    assert names({"$project": {"name": True, "x": "$age"}}) == ["name", "x"]
    assert names({"$count": "n"}) == ["n"]
    for later in ({"$match": {"age": 1}}, {"$sort": {"age": 1}}, {"$project": {"age": 1}}):
        with pytest.raises(UnknownField, match="'age'"):
            parsed(group, later)


def test_parts_of_the_key_are_kept_once() -> None:
    """A part of `_id` that is named does not come twice."""
    group = {"$group": {"_id": {"a": "$age", "n": "$name"}, "total": {"$sum": 1}}}
    assert names(group, {"$project": {"_id.a": 1}}) == ["_id.n", "_id.a"]


@pytest.mark.parametrize(
    ("stage", "nearest"),
    [
        ({"$Match": {}}, "$match"),
        ({"$sortbycount": "$name"}, "$sortByCount"),
        ({"match": {}}, "$match"),
        ({5: {}}, None),
    ],
)
def test_an_unknown_stage_names_the_nearest(stage: Any, nearest: str | None) -> None:
    """Stages are exact in case."""
    with pytest.raises(UnknownOperator, match="there is no stage") as caught:
        parsed(stage)
    assert nearest == caught.value.suggestion


@pytest.mark.parametrize("stage", ["$out", "$merge", "$geoNear", "$graphLookup", "$redact"])
def test_stages_that_are_left_out_are_refused(stage: str) -> None:
    """Those that write, or that only some database could do, are no stages."""
    with pytest.raises(UnknownOperator):
        parsed({stage: {}})


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (5, "a stage is a dict with one key"),
        ({}, "a stage is a dict with one key"),
        ({"$limit": 1, "$skip": 1}, "a stage is a dict with one key"),
        ({"$limit": 0}, "a number from 1 up, got 0"),
        ({"$limit": -1}, "a number from 1 up, got -1"),
        ({"$skip": -1}, "a number from 0 up"),
        ({"$sample": {"size": 0}}, "a number from 1 up"),
        ({"$sample": 5}, "takes {'size': number}"),
        ({"$sort": {}}, r"takes \{field: 1 or -1\}"),
        ({"$sort": ["age"]}, r"takes \{field: 1 or -1\}"),
        ({"$sort": {"age": True}}, "a direction is 1 or -1"),
        ({"$sort": {"data": 1}}, "has no order"),
        ({"$project": {}}, "takes a dict of fields"),
        ({"$project": {"age": 1, "name": 0}}, "either included or excluded"),
        ({"$project": {"a b": "$age"}}, "letters, digits and _"),
        ({"$project": {"__rank": "$age"}}, "not __ in front"),
        ({"$addFields": {"__order0": 1}}, "not __ in front"),
        ({"$addFields": {"Age": 1}}, "'age' and 'Age'"),
        ({"$addFields": {"x": 1, "X": 2}}, "'x' and 'X'"),
        ({"$addFields": {}}, "takes a dict of fields"),
        ({"$unset": list(USER.by_name)}, "no field is left"),
        ({"$unset": 5}, "a name or a list of names"),
        ({"$count": ""}, "letters, digits and _"),
        ({"$count": 'n"; --'}, "letters, digits and _"),
        ({"$count": "n" * 64}, "at most 63"),
        ({"$count": "n\0"}, "letters, digits and _"),
        ({"$facet": {}}, "takes {name: pipeline}"),
        ({"$facet": {"a": {}}}, "a pipeline is a list"),
        ({"$facet": {"a": [{"$facet": {"b": []}}]}}, "does not stand inside"),
        ({"$unionWith": 5}, "takes a model"),
        ({"$unionWith": {"coll": "User", "let": {}}}, "takes a model"),
        ({"$unionWith": {"coll": "User", "pipeline": [{"$count": "n"}]}}, "the fields differ"),
    ],
)
def test_a_wrong_stage_is_refused(stage: Any, message: str) -> None:
    """The error says which stage, and what was expected."""
    with pytest.raises(InvalidPipeline, match=message):
        parsed(stage)


@pytest.mark.parametrize(
    ("stage", "error"),
    [
        ({"$limit": "5"}, InvalidType),
        ({"$limit": 1.0}, InvalidType),
        ({"$limit": True}, InvalidType),
        ({"$match": []}, InvalidFilter),
        ({"$match": {"nope": 1}}, UnknownField),
        ({"$project": {"nope": 1}}, UnknownField),
        ({"$project": {"_id": 1}}, UnknownField),
        ({"$project": {5: 1}}, UnknownField),
        ({"$unset": ["nope"]}, UnknownField),
        ({"$unset": [5]}, UnknownField),
        ({"$sort": {5: 1}}, UnknownField),
    ],
)
def test_what_stages_hold_is_checked(stage: Any, error: type[DataFlowError]) -> None:
    """Filters, names and numbers in a stage are those of the rest of the language."""
    with pytest.raises(error):
        parsed(stage)


@pytest.mark.parametrize("document", [None, {}, "$match", 5, {"$match": {}}])
def test_a_pipeline_is_a_list(document: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidPipeline, match="a pipeline is a list of stages"):
        parse_pipeline(document, USER, Bindings())


def test_a_facet_is_the_last_stage() -> None:
    """Nothing comes after it."""
    with pytest.raises(InvalidPipeline, match=r"\$facet is the last stage"):
        parsed({"$facet": {"a": []}}, {"$limit": 1})


def test_a_union_needs_a_known_model() -> None:
    """Without a way to find models there are none."""
    with pytest.raises(InvalidPipeline, match="there is no model 'User'"):
        parse_pipeline([{"$unionWith": "User"}], USER, Bindings())


LIMITED = {"$limit": 1}


@pytest.mark.parametrize(
    "stages",
    [
        [LIMITED] * 33,
        [LIMITED] * 1_000_000,
        [{"$facet": {"a": [LIMITED] * 20, "b": [LIMITED] * 20}}],
        [{"$facet": {f"a{number}": [] for number in range(33)}}],
        [{"$facet": {f"a{number}": [] for number in range(100_000)}}],
        nested(33, lambda inner: [{"$unionWith": {"coll": "U", "pipeline": inner}}], []),
        nested(100_000, lambda inner: [{"$unionWith": {"coll": "U", "pipeline": inner}}], []),
        [{"$sort": {str(number): 1 for number in range(9)}}],
        [{"$addFields": {f"a{number}": 1 for number in range(100_000)}}],
        [{"$project": {f"a{number}": "$age" for number in range(100_000)}}],
        [{"$project": {"a": nested(100_000, lambda inner: {"$abs": inner}, 1)}}],
        [{"$match": nested(100_000, lambda inner: {"$not": inner}, {})}],
    ],
    ids=range(12),
)
def test_long_and_deep_pipelines_are_refused(stages: Any) -> None:
    """At most 32 stages, those inside others counted, and 8 sort keys; refused at once."""
    with quickly(), pytest.raises(LimitExceeded):
        parse_pipeline(stages, USER, Bindings(), lookup=lambda name: USER)


def test_cyclic_pipelines_are_refused() -> None:
    """A pipeline that contains itself has too many stages."""
    cycle: list[Any] = []
    cycle.append({"$unionWith": {"coll": "User", "pipeline": cycle}})
    with quickly(), pytest.raises(LimitExceeded):
        parsed(*cycle)


PARTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 5)
    | st.text(max_size=3)
    | st.sampled_from(["$age", "$name", "$data", "$_id", "age", "n"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["_id", "age", "n", "$sum", "$first", "$add", "size", "$gt", "a"]),
            inner,
            max_size=2,
        )
    ),
    max_leaves=5,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from([*STAGES, "$sortByCount"]), PARTS, min_size=1, max_size=1),
        max_size=3,
    )
)
def test_any_pipeline_is_read_or_refused(document: Any) -> None:
    """Random stages: a typed pipeline, or a DataFlowError; nothing else."""
    try:
        pipeline = parse_pipeline(document, USER, Bindings(), lookup=lambda name: USER)
    except DataFlowError as error:
        assert error.code.startswith("DF-")
        return
    assert hash(pipeline)
    found = [field.name.casefold() for field in pipeline.fields]
    assert len(found) == len(set(found))
