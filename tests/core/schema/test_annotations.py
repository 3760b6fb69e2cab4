from __future__ import annotations

import datetime as dt
import enum
import typing
from decimal import Decimal as Number
from typing import Annotated, Any, Literal, Optional
from uuid import UUID

import pytest

from dataflow_core.errors import InvalidValue, UnsupportedType
from dataflow_core.schema.annotations import SUPPORTED, field_type, sized
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Time,
    Timestamp,
    Uuid,
)

WHERE = "User.x"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"
    CRIMSON = "red"  # noqa: PIE796 - an alias is no value of its own


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


class Empty(enum.Enum):
    pass


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (int, Integer()),
        (float, Float()),
        (str, Text()),
        (bool, Boolean()),
        (bytes, Binary()),
        (Number, Decimal(18, 4)),
        (dt.datetime, Timestamp()),
        (dt.date, Date()),
        (dt.time, Time()),
        (UUID, Uuid()),
        (dict, Json("object")),
        (dict[str, int], Json("object")),
        (typing.Dict, Json("object")),  # noqa: UP006 - the old spelling is in use
        (list, Json("array")),
        (typing.List, Json("array")),  # noqa: UP006 - the old spelling is in use
        (list[int], Json("array", Integer())),
        (list[str], Json("array", Text())),
        (list[dict], Json("array")),
        (list[list[int]], Json("array")),
        (Any, Json("any")),
        (Literal["a", "b"], Enumeration(("a", "b"))),
        (Literal[1, 2], Enumeration((1, 2), Integer())),
        (Literal[Colour.RED], Enumeration(("red",))),
        (Colour, Enumeration(("red", "blue"))),
        (Level, Enumeration((1, 2), Integer())),
        (Annotated[int, "a note"], Integer()),
    ],
)
def test_each_annotation_has_a_type(annotation: Any, kind: FieldType) -> None:
    """Each supported annotation is one field type, which does not admit None."""
    assert (kind, False) == field_type(annotation, WHERE)


@pytest.mark.parametrize(
    "annotation",
    [Optional[int], int | None, None | int, Annotated[int | None, "a note"]],  # noqa: UP045
)
def test_none_may_be_admitted(annotation: Any) -> None:
    """`Optional[T]` and `T | None` are the type of `T` and nullable."""
    assert (Integer(), True) == field_type(annotation, WHERE)


def test_a_literal_may_admit_none() -> None:
    """`None` among the literals makes the field nullable and is no value of it."""
    assert (Enumeration(("a",)), True) == field_type(Literal["a", None], WHERE)


@pytest.mark.parametrize(
    "annotation",
    [
        complex,
        set,
        tuple[int, ...],
        int | str,
        int | str | None,
        object,
        None,
        type(None),
        Literal[None],
        Literal["a", 1],
        Literal[True],
        Mixed,
        Empty,
        list[Number],
        list[int | None],
        list[bytes],
        "int",
        5,
        [],
        {},
        lambda: int,
    ],
)
def test_other_annotations_are_refused(annotation: Any) -> None:
    """The error names the field, shows the annotation and lists what is supported."""
    with pytest.raises(UnsupportedType) as caught:
        field_type(annotation, WHERE)
    assert caught.value.code == "DF-604"
    assert WHERE in str(caught.value) and SUPPORTED in str(caught.value)


@pytest.mark.parametrize("annotation", [Literal["a\0"], Literal["\ud800"], Literal[2**63]])
def test_choices_can_be_stored(annotation: Any) -> None:
    """A choice that the type itself refuses is refused with the model."""
    with pytest.raises(InvalidValue, match=WHERE):
        field_type(annotation, WHERE)


def test_sizes_change_their_type_only() -> None:
    """`field(...)` gives the sizes that a type has."""
    assert Integer(32) == sized(Integer(), WHERE, bits=32)
    assert Text(9) == sized(Text(), WHERE, max_length=9)
    assert Decimal(38, 0) == sized(Decimal(), WHERE, precision=38, scale=0)
    assert Boolean() == sized(Boolean(), WHERE)


@pytest.mark.parametrize(
    ("kind", "sizes", "message"),
    [
        (Integer(), {"bits": 16}, "bits"),
        (Integer(), {"bits": 48}, "32 or 64"),
        (Integer(), {"max_length": 5}, "int has no max_length"),
        (Text(), {"max_length": 0}, "from 1 to"),
        (Text(), {"max_length": True}, "from 1 to"),
        (Text(), {"max_length": "5"}, "from 1 to"),
        (Text(), {"scale": 1}, "str has no scale"),
        (Decimal(), {"precision": 39}, "from 1 to 38"),
        (Decimal(), {"precision": 3}, "scale 4 exceeds precision 3"),
        (Enumeration(("a",)), {"max_length": 3}, "enum has no max_length"),
    ],
)
def test_other_sizes_are_refused(kind: FieldType, sizes: dict[str, Any], message: str) -> None:
    """A size that the type has not, or out of its bounds, is refused by name."""
    with pytest.raises(UnsupportedType, match=message):
        sized(kind, WHERE, **sizes)
