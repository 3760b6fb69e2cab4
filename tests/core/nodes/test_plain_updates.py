from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from dataflow_core.errors import InvalidType
from dataflow_core.filters import Compare, Slot
from dataflow_core.filters.scope import Bindings
from dataflow_core.nodes.plain_updates import PlainUpdates
from dataflow_core.operations import Update
from dataflow_core.schema import Field, Model
from dataflow_core.types import Integer, Json, Text, Timestamp
from dataflow_core.updates.parse import parse_update

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
ID = Field("id", Integer(), "id", primary_key=True, generated="database")
FIELDS = (
    ID,
    Field("name", Text(), "name", nullable=True),
    Field("age", Integer(), "age"),
    Field("extra", Json(), "extra"),
    Field("updated_at", Timestamp(), "updated_at", managed="updated"),
)
MODEL = Model("Item", "items", FIELDS)
BY_KEY = Compare(ID, "eq", Slot(0, ID.type))


def in_full(fields: Any) -> tuple[Update, list[Any]]:
    """An update by its key, read in full, and its values."""
    bindings = Bindings([7])
    update = parse_update(fields, MODEL, bindings, now=NOW)
    return Update(MODEL, BY_KEY, tuple(update.assignments), unique=True), bindings.values


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"age": 1}, {"age": 2}),
        ({"name": "a", "age": 1}, {"name": "b", "age": 3}),
        ({"age": 1, "name": "a"}, {"age": 2, "name": "c"}),
        ({"extra": [1]}, {"extra": ["x"]}),
    ],
)
def test_a_known_update_is_what_reading_it_in_full_gives(first: Any, second: Any) -> None:
    """Of the same names only the values are new, and they are the same values."""
    updates, (operation, _) = PlainUpdates(), in_full(first)
    updates.keep(first, operation, 1)
    values: list[Any] = [7]
    assert updates.known(second, values, NOW) is operation
    assert (operation, values) == in_full(second)


@pytest.mark.parametrize(
    "fields",
    [{"$inc": {"age": 1}}, {"name": None}, {"extra.a": 1}, {"age": 1, "$set": {"name": "x"}}],
)
def test_what_does_more_than_setting_fields_is_read_in_full(fields: Any) -> None:
    """Operators, NULL and places inside JSON are never kept."""
    updates, (operation, _) = PlainUpdates(), in_full(fields)
    updates.keep(fields, operation, 1)
    assert updates.known(fields, [7], NOW) is None


@pytest.mark.parametrize(
    "fields", [{"name": None, "age": 1}, {"name": {"$concat": ["a"]}, "age": 1}]
)
def test_values_that_mean_more_are_read_in_full(fields: Any) -> None:
    """None and expressions under known names change the shape; nothing is bound for them."""
    updates, known = PlainUpdates(), {"name": "a", "age": 1}
    updates.keep(known, in_full(known)[0], 1)
    values: list[Any] = [7]
    assert updates.known(fields, values, NOW) is None
    assert values == [7]


def test_known_values_are_checked() -> None:
    """A value of the wrong type is refused as it is when the update is read in full."""
    updates, known = PlainUpdates(), {"age": 1}
    updates.keep(known, in_full(known)[0], 1)
    with pytest.raises(InvalidType) as caught:
        updates.known({"age": "old"}, [7], NOW)
    with pytest.raises(InvalidType) as meant:
        in_full({"age": "old"})
    assert caught.value.message == meant.value.message
