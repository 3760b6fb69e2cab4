from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.errors import UnknownField
from dataflow_core.schema import MISSING, Field, Model
from dataflow_core.types import Integer, Text

ID = Field("id", Integer(), "id", primary_key=True, generated="database")
NAME = Field("name", Text(), "name")
USER = Model("User", "users", (ID, NAME))


@pytest.mark.parametrize(
    ("name", "suggestion"), [("nam", "name"), ("Name", "name"), ("zzz", None), ("", None)]
)
def test_an_unknown_field_names_the_nearest(name: str, suggestion: str | None) -> None:
    """The error names model and field, and the nearest right name if there is one."""
    with pytest.raises(UnknownField, match="User has no field") as caught:
        USER.field(name)
    assert suggestion == caught.value.suggestion
    assert caught.value.code == "DF-106"


@pytest.mark.parametrize("name", [5, None, ["name"], {}, b"name", "\ud800", "a\0", "x" * 100_000])
def test_what_is_no_name_is_no_field(name: Any) -> None:
    """Whatever stands in the place of a name: an error, short and printable."""
    with pytest.raises(UnknownField) as caught:
        USER.field(name)
    assert len(str(caught.value).encode()) < 5_000


def test_models_are_equal_by_identity_fields_by_value() -> None:
    """Two models of one declaration are two keys; their fields are equal."""
    twin = Model("User", "users", (ID, NAME))
    assert len({USER, twin}) == 2
    assert USER.same_as(twin) and twin.same_as(USER)
    assert len({ID, Field("id", Integer(), "id", primary_key=True, generated="database")}) == 1


def test_what_a_create_must_give() -> None:
    """A field is required unless it is nullable, has a default, or is filled in."""
    assert [
        item.required
        for item in (
            ID,
            NAME,
            Field("a", Text(), "a", nullable=True),
            Field("a", Text(), "a", default=""),
        )
    ] == [False, True, False, False]
    assert not MISSING
    assert repr(MISSING) == "MISSING"
