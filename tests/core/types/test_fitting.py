from __future__ import annotations

import pytest

from dataflow_core.types import (
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
    fits,
)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (Integer(), Integer(32)),
        (Integer(), Float()),
        (Integer(), Decimal()),
        (Text(), Text(10)),
        (Text(), Timestamp()),
        (Text(), Date()),
        (Text(), Time()),
        (Text(), Uuid()),
        (Text(), Enumeration(("a",))),
        (Enumeration(("a",)), Text()),
        (Enumeration((1,), Integer()), Float()),
        (Json(), Integer()),
        (Text(), Json()),
    ],
)
def test_what_may_fit(source: FieldType, target: FieldType) -> None:
    """A pair fits if some value of the source is accepted by the target; JSON may hold anything."""
    assert fits(source, target)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (Float(), Integer()),
        (Float(), Decimal()),
        (Decimal(), Float()),
        (Boolean(), Integer()),
        (Integer(), Boolean()),
        (Integer(), Text()),
        (Timestamp(), Text()),
        (Timestamp(), Date()),
        (Date(), Timestamp()),
        (Uuid(), Text()),
        (Enumeration((1,), Integer()), Text()),
    ],
)
def test_what_can_never_fit(source: FieldType, target: FieldType) -> None:
    """A pair of which no value is ever accepted does not fit."""
    assert not fits(source, target)
