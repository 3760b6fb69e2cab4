"""Which partial unique indexes upserts match by, and which rows they take."""

from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.errors import InvalidValue
from dataflow_core.run.matches import filtered_fields, match_among
from dataflow_core.schema import Field, Index, Model
from dataflow_core.types import Boolean, Integer, Json, Text, Timestamp


def thing(where: dict[str, Any]) -> tuple[Model, Index]:
    """A model with one partial unique index."""
    index = Index(("email",), unique=True, where=where)
    fields = (
        Field("id", Integer(), "id", primary_key=True, generated="database"),
        Field("email", Text(40), "email"),
        Field("gone", Timestamp(), "gone", nullable=True),
        Field("away", Timestamp(), "away", nullable=True),
        Field("on", Boolean(), "on", nullable=True, default=True),
        Field("made", Timestamp(), "made", nullable=True, generated="default"),
        Field("notes", Json(), "notes", nullable=True),
        Field("size", Integer(), "size"),
    )
    model = Model("Thing", "things", fields, indexes=(index,))
    return model, index


@pytest.mark.parametrize(
    ("where", "unset"),
    [
        ({"gone": None}, {"gone"}),
        ({"gone": None, "away": None}, {"gone", "away"}),
        ({"$and": [{"gone": None}, {"$and": [{"away": {"$eq": None}}]}]}, {"gone", "away"}),
        ({"gone": {"$exists": False}}, {"gone"}),
        ({"on": None}, {"on"}),
    ],
)
def test_fields_that_are_none_are_matched_among(where: dict[str, Any], unset: set[str]) -> None:
    """A filter that is a conjunction of fields being None is one that a new row can pass."""
    match = match_among(*thing(where))
    assert match is not None
    assert {item.name for item in match.unset} == unset


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"size": 5},
        {"on": True},
        {"gone": {"$ne": None}},
        {"gone": None, "size": {"$gt": 5}},
        {"$or": [{"gone": None}, {"away": None}]},
        {"$nor": [{"gone": None}]},
        {"notes.a": None},
        {"made": None},
    ],
)
def test_any_other_filter_is_not_matched_among(where: dict[str, Any]) -> None:
    """Anything else may be false of a new row, or is up to the database."""
    assert match_among(*thing(where)) is None


def test_a_row_is_one_of_those_in_which_the_key_is_unique() -> None:
    """A value, or a default, where None has to be is refused; None and nothing are not."""
    model, index = thing({"gone": None})
    match = match_among(model, index)
    assert match is not None
    match.check_row(model, {"email": "a"})
    match.check_row(model, {"email": "a", "gone": None, "on": False})
    with pytest.raises(InvalidValue, match="gone is None"):
        match.check_row(model, {"email": "a", "gone": "2024-01-01"})
    model, index = thing({"on": None})
    match = match_among(model, index)
    assert match is not None
    match.check_row(model, {"email": "a", "on": None})
    with pytest.raises(InvalidValue, match="on is None"):
        match.check_row(model, {"email": "a"})


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ({"gone": None}, {"gone"}),
        ({"$or": [{"size": {"$in": [1, 2]}}, {"on": True}]}, {"size", "on"}),
        ({"notes.a.b": 5, "$nor": [{"email": {"$startswith": "x"}}]}, {"notes", "email"}),
    ],
)
def test_the_fields_of_a_filter_are_found(where: dict[str, Any], names: set[str]) -> None:
    """Whatever a filter is about is found, inside of JSON and of any combination too."""
    assert filtered_fields(*thing(where)) == names
