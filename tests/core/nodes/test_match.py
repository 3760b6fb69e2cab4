"""The fields by which an upsert finds a row, and those that it changes."""

from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.errors import DataFlowError, InvalidValue, MissingParameter, UnknownField
from dataflow_core.nodes.match import match_by, update_fields
from dataflow_core.schema import Field, Index, Model
from dataflow_core.types import Integer, Text

THING = Model(
    "Thing",
    "things",
    (
        Field("id", Integer(), "id", primary_key=True, generated="database"),
        Field("email", Text(100), "email", unique=True),
        Field("a", Integer(), "a"),
        Field("b", Integer(), "b"),
        Field("c", Integer(), "c"),
    ),
    indexes=(Index(("a", "b"), unique=True), Index(("c",))),
)


def names(fields: Any) -> list[str]:
    """The names of fields."""
    return [item.name for item in fields]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, ["id"]),
        ("email", ["email"]),
        (["email"], ["email"]),
        (("b", "a"), ["b", "a"]),
        (["id"], ["id"]),
    ],
)
def test_a_unique_key_is_accepted(given, found):
    """The key, a unique field or the fields of a unique index in any order; by default the key."""
    assert names(match_by("node", THING, given, None).fields) == found


@pytest.mark.parametrize("given", [["a"], ["c"], ["email", "a"], ["a", "b", "c"], [], 5, {}])
def test_anything_else_is_refused(given):
    """Fields that may be equal in two rows are refused, with the keys that there are."""
    with pytest.raises(InvalidValue):
        match_by("node", THING, given, None)


def test_the_refusal_names_the_keys():
    """The message lists the unique keys."""
    with pytest.raises(InvalidValue, match=r"\(id\) or \(email\) or \(a, b\)"):
        match_by("node", THING, ["c"], None)


PARTIAL = Model(
    "Thing",
    "things",
    (
        Field("id", Integer(), "id", primary_key=True, generated="database"),
        Field("email", Text(100), "email"),
        Field("a", Integer(), "a", nullable=True),
        Field("b", Integer(), "b"),
    ),
    indexes=(
        Index(("email", "b"), unique=True, where={"a": None}),
        Index(("b",), unique=True, where={"a": 1}),
        Index(("email",), where={"a": None}),
    ),
)


def test_a_key_of_some_rows_is_accepted_where_new_rows_are_among_them():
    """Its fields are named in any order; what a new row need not pass, or is not unique, is not."""
    match = match_by("node", PARTIAL, ["b", "email"], None)
    assert (names(match.fields), names(match.unset)) == (["b", "email"], ["a"])
    with pytest.raises(InvalidValue, match="among some rows"):
        match_by("node", PARTIAL, ["b"], None)
    with pytest.raises(InvalidValue, match=r"\(id\) or \(email, b\)"):
        match_by("node", PARTIAL, ["email"], None)


def test_an_unknown_field_is_named():
    """A misspelt field is refused with the nearest."""
    with pytest.raises(UnknownField) as caught:
        match_by("node", THING, ["emial"], None)
    assert caught.value.suggestion == "email"


def test_a_row_gives_what_it_is_matched_by():
    """A row without the match field is refused before anything is sent."""
    assert names(match_by("node", THING, ["email"], {"email": "x"}).fields) == ["email"]
    with pytest.raises(MissingParameter, match="email"):
        match_by("node", THING, ["email"], {"a": 1})


def test_update_fields_are_fields_that_may_change():
    """Fields of the model that are neither matched by nor the key; ``None`` means all given."""
    match = match_by("node", THING, ["email"], None).fields
    assert update_fields("node", THING, None, match) is None
    assert names(update_fields("node", THING, ["a", "c"], match)) == ["a", "c"]
    assert names(update_fields("node", THING, [], match)) == []
    for wrong in (["email"], ["id"], ["nope"], "a", 5):
        with pytest.raises(DataFlowError):
            update_fields("node", THING, wrong, match)
