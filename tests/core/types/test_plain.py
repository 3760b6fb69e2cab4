from __future__ import annotations

import enum
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import InvalidType, InvalidValue
from dataflow_core.types import (
    Binary,
    Boolean,
    Enumeration,
    FieldType,
    Integer,
    Text,
    Uuid,
    check_text,
)

WHERE = "User.name"
KEY = uuid.UUID("8c0d5c2e-3f0e-4c55-9d0c-2f8a6f1f7a10")


class Colour(enum.Enum):
    RED = "red"


class Word(enum.StrEnum):
    YES = "yes"


class Shout(str):
    """Text of a class of its own."""

    __slots__ = ()


@pytest.mark.parametrize("value", [0, 1, "true", None, 1.0])
def test_only_true_and_false_are_bools(value: Any) -> None:
    """0 and 1 are no bools, nor is any word."""
    assert (Boolean().check(True, WHERE), Boolean().check(False, WHERE)) == (True, False)
    with pytest.raises(InvalidType, match="expected bool"):
        Boolean().check(value, WHERE)


@pytest.mark.parametrize("value", [1, b"a", None, True, ["a"]])
def test_only_text_is_text(value: Any) -> None:
    """Numbers and bytes are not turned into text."""
    with pytest.raises(InvalidType, match="expected str"):
        Text().check(value, WHERE)


@pytest.mark.parametrize("value", ["a\0b", "\ud800", "x\udfff"])
def test_what_not_every_database_stores_is_refused(value: str) -> None:
    """NUL and lone surrogates are refused in text, for storing and for comparing."""
    for take in (Text().check, Text().operand):
        with pytest.raises(InvalidValue, match=r"NUL|surrogate"):
            take(value, WHERE)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_all_other_text_stays_as_it_is(text: str) -> None:
    """Whatever else is text, quotes and emoji included, is kept code point by code point."""
    assert text == Text().check(text, WHERE)


def test_length_counts_code_points() -> None:
    """`max_length` counts code points, not bytes; comparing with longer text is allowed."""
    assert Text(3).check("😀😀😀", WHERE) == "😀😀😀"
    assert Text(3).operand("long", WHERE) == "long"
    with pytest.raises(InvalidValue, match="has 4 characters, at most 3 fit"):
        Text(3).check("long", WHERE)


def test_text_of_a_subclass_becomes_plain() -> None:
    """Members of enums and instances of subclasses become plain text."""
    for value, expected in ((Colour.RED, "red"), (Word.YES, "yes"), (Shout("a"), "a")):
        found = Text().check(value, WHERE)
        assert (expected, str) == (found, type(found))
    assert type(check_text(Shout("é"), WHERE)) is str


def test_bytes_are_bytes_only() -> None:
    """Everything with a buffer becomes bytes; text does not."""
    assert [
        Binary().check(value, WHERE) for value in (b"a", bytearray(b"a"), memoryview(b"a"))
    ] == [b"a"] * 3
    with pytest.raises(InvalidType, match="expected bytes"):
        Binary().check("a", WHERE)


@pytest.mark.parametrize(
    "text", [str(KEY), KEY.hex, str(KEY).upper(), f"{{{KEY}}}", f"urn:uuid:{KEY}"]
)
def test_text_becomes_a_uuid(text: str) -> None:
    """The usual ways to write a UUID are read."""
    assert Uuid().check(text, WHERE) == KEY


@pytest.mark.parametrize(
    "text", ["", "no", "1_2" + "3" * 29, "+" + "1" * 31, "٣" * 32, "a" * 31, "a" * 1_000_000, "\0"]
)
def test_other_text_is_no_uuid(text: str) -> None:
    """Signs, underscores and digits of other scripts are no UUID."""
    with pytest.raises(InvalidValue, match="is not like"):
        Uuid().check(text, WHERE)


def test_a_uuid_of_a_subclass_becomes_plain() -> None:
    """Drivers have UUID classes of their own; the canonical value is a plain UUID."""
    mine = type("MyUUID", (uuid.UUID,), {})
    found = Uuid().check(mine(int=KEY.int), WHERE)
    assert (found, type(found)) == (KEY, uuid.UUID)
    with pytest.raises(InvalidType):
        Uuid().check(KEY.int, WHERE)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Enumeration(("red", "blue")), Colour.RED, "red"),
        (Enumeration(("red", "blue")), "blue", "blue"),
        (Enumeration((1, 2), Integer()), 2, 2),
    ],
)
def test_one_of_the_values(kind: FieldType, value: Any, expected: Any) -> None:
    """A member and its value are the same."""
    assert expected == kind.check(value, WHERE)


def test_none_of_the_values() -> None:
    """Another value of the same type is refused with the choices; another type as such."""
    with pytest.raises(InvalidValue, match=r"'green' is not one of 'red', 'blue'"):
        Enumeration(("red", "blue")).check("green", WHERE)
    with pytest.raises(InvalidType):
        Enumeration((1, 2), Integer()).check(True, WHERE)
    assert Enumeration(("red",)).operand("r", WHERE) == "r"
