"""Cursors: opaque, bound to their list, refused when changed."""

from __future__ import annotations

import base64
import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import InvalidCursor
from dataflow_core.filters import Bindings, Scope, parse_filter
from dataflow_core.nodes.cursor import decode_cursor, encode_cursor, origin_of
from dataflow_core.order import SortKey
from dataflow_core.schema import Field, Model
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    FieldType,
    Float,
    Integer,
    Text,
    Time,
    Timestamp,
    Uuid,
)
from dataflow_core.types import (
    Decimal as DecimalType,
)

VALUES: list[tuple[FieldType, Any]] = [
    (Integer(), -(2**63)),
    (Float(), 0.1),
    (Float(), -1e300),
    (Text(), 'a"\\ß\U0001f600\n'),
    (Boolean(), True),
    (Binary(), b"\x00\xff"),
    (DecimalType(18, 4), Decimal("12345678901234.5678")),
    (Timestamp(), dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)),
    (Date(), dt.date(1, 1, 1)),
    (Time(), dt.time(23, 59, 59, 999999)),
    (Uuid(), uuid.UUID(int=2**127 + 5)),
]


def key(kind: FieldType, **options: Any) -> SortKey:
    """A sort key of a type."""
    return SortKey(Field("value", kind, "value", nullable=True, **options))


def model(**options: Any) -> Model:
    """A model with a number."""
    number = Field("id", Integer(), "id", primary_key=True, generated="database")
    return Model("Thing", "things", (number, Field("n", Integer(), "n", **options)))


def origin(thing: Model, document: dict[str, Any], *, descending: bool = False) -> str:
    """What a cursor of a list of ``thing`` belongs to."""
    bindings = Bindings()
    predicate = parse_filter(document, Scope.of(thing), bindings)
    return origin_of(thing, [SortKey(thing.fields[1], descending)], predicate, bindings.values)()


@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_values_of_every_type_come_back(kind, value):
    """A cursor holds a value of every ordered type exactly, and NULL."""
    for stored in (value, None):
        text = encode_cursor("here", [stored])
        assert decode_cursor(text, "here", [key(kind)], "list") == [stored]


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_what_is_no_cursor_is_refused(noise):
    """Any other text, or no text at all, is refused with one error."""
    with pytest.raises(InvalidCursor):
        decode_cursor(noise, "here", [key(Integer())], "list")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_cursor_is_refused(position, flip):
    """No byte of a cursor can be changed."""
    raw = bytearray(base64.urlsafe_b64decode(encode_cursor("here", [1, "b"]) + "=="))
    raw[position % len(raw)] ^= flip
    changed = base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")
    with pytest.raises(InvalidCursor):
        decode_cursor(changed, "here", [key(Integer()), key(Text())], "list")


def test_a_cursor_has_one_spelling():
    """No character of a cursor can be changed, not even where base64 would read the same bytes."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/="
    for values in ([1], [12], [123]):
        text = encode_cursor("here", values)
        changed = [
            text[:at] + character + text[at + 1 :]
            for at in range(len(text))
            for character in alphabet
            if character != text[at]
        ]
        for wrong in (*changed, text + "=", text + "A", text[:-1], " " + text, text + "\n"):
            with pytest.raises(InvalidCursor):
                decode_cursor(wrong, "here", [key(Integer())], "list")


@pytest.mark.parametrize("hostile", [None, 5, [], "x" * 200_000, "ß", "a" * 11])
def test_hostile_cursors_are_refused(hostile):
    """Objects that are no text, and huge ones, are refused like any other."""
    with pytest.raises(InvalidCursor, match="list: "):
        decode_cursor(hostile, "here", [key(Integer())], "list")


def test_a_cursor_of_another_list_is_refused():
    """Another origin, or another number of sort keys, is another list."""
    text = encode_cursor("here", [1])
    with pytest.raises(InvalidCursor):
        decode_cursor(text, "there", [key(Integer())], "list")
    with pytest.raises(InvalidCursor):
        decode_cursor(text, "here", [key(Integer()), key(Integer())], "list")


def test_the_origin_is_model_filter_and_order():
    """The filter's form, its values and the order all belong to the origin."""
    thing = model()
    origins = {
        origin(thing, {}),
        origin(thing, {"n": 1}),
        origin(thing, {"n": 2}),
        origin(thing, {"n": {"$gt": 1}}),
        origin(thing, {"n": 1}, descending=True),
    }
    assert len(origins) == 5
    assert origin(thing, {"n": 1}) == origin(thing, {"n": {"$eq": 1}})


def test_the_origin_is_the_same_in_every_process():
    """A field is known by its name: its default may be a function, whose address changes."""
    first, second = (model(default=lambda: 1) for _ in range(2))
    assert origin(first, {"n": {"$in": [1, 2]}}) == origin(second, {"n": {"$in": [1, 2]}})
