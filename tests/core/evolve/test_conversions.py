"""Which stored values become those of another type, and which change is refused."""

from __future__ import annotations

import pytest

from dataflow_core.errors import SchemaChangeRefused
from dataflow_core.evolve.conversions import converts
from dataflow_core.evolve.refusals import refuse_conversions
from dataflow_core.operations import ChangeType
from dataflow_core.schema import Column, Field, Model, Table
from dataflow_core.types import (
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Text,
    Time,
    Timestamp,
    Uuid,
)


@pytest.mark.parametrize(
    ("stored", "wanted", "made"),
    [
        (Integer(), Integer(32), True),
        (Integer(), Decimal(8, 2), True),
        (Integer(), Float(), False),
        (Integer(), Boolean(), False),
        (Decimal(8, 2), Decimal(6, 4), True),
        (Decimal(8, 4), Decimal(8, 2), False),
        (Date(), Timestamp(), True),
        (Timestamp(), Date(), False),
        (Uuid(), Text(), True),
        (Time(), Text(), False),
        (Float(), Text(), False),
        (Text(), Integer(), False),
        (Text(), Enumeration(("a",), Text()), True),
        (Enumeration(("a",), Text()), Text(1), True),
    ],
)
def test_what_becomes_of_values(stored: FieldType, wanted: FieldType, made: bool) -> None:
    """One table for every database: what one of them rounds or cannot do, none does."""
    assert converts(stored, wanted) is made


def test_the_refusal_names_both_types() -> None:
    """A change that no database makes is refused with the field, and both types with sizes."""
    column = Column("d", "numeric(18,4)", Decimal(18, 4))
    field = Field("d", Decimal(18, 2), "d")
    model, table = Model("Item", "items", (field,)), Table("items", columns=(column,))
    with pytest.raises(SchemaChangeRefused, match=r"Item\.d: .*Decimal .*Decimal\(scale=2\)"):
        refuse_conversions(model, table, [ChangeType(field, column, "lossy")])
