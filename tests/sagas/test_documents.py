from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import InvalidType
from dataflow_sagas.documents import from_text, to_text

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.decimals(allow_nan=False),
    st.dates(),
    st.times().map(lambda time: time.replace(fold=0)),
    st.datetimes(timezones=st.none() | st.just(dt.UTC)).map(lambda time: time.replace(fold=0)),
    st.uuids(),
    st.binary(),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.just("$type"), inner)
        | st.dictionaries(st.integers(), inner)
    ),
)


@given(VALUES)
def test_what_is_written_is_read(value: Any) -> None:
    """Values come back from the journal as they were, with their types."""
    found = from_text(to_text(value, "a value"))
    assert found == value
    assert repr(found) == repr(value)


def test_tuples_and_members_of_enums() -> None:
    """A tuple comes back as a list, a member of an enum as its value."""
    kind = enum.Enum("kind", {"ONE": 1})
    assert from_text(to_text({"pair": (1, kind.ONE)}, "")) == {"pair": [1, 1]}


@pytest.mark.parametrize("value", [object(), {"rows": iter(())}, [print]])
def test_what_cannot_be_kept(value: Any) -> None:
    """What would be lost with the process is refused, and the refusal says where it is."""
    with pytest.raises(InvalidType, match="the steps"):
        to_text(value, "the steps")


def test_a_value_within_itself() -> None:
    """A list that holds itself is refused."""
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InvalidType, match="nested"):
        to_text(value, "it")


def test_types_are_named() -> None:
    """Exact numbers and keys keep their type, which JSON alone would lose."""
    key = UUID(int=1)
    found = from_text(to_text({"price": Decimal("1.20"), "key": key}, ""))
    assert found == {"price": Decimal("1.20"), "key": key}
