"""Models of tables that are there: names of fields, and what is said about them."""

from __future__ import annotations

from dataflow_core.schema.discovered import model_from_table
from dataflow_core.schema.tables import Column, Table
from dataflow_core.types import Integer


def test_a_column_whose_name_no_field_can_have_is_told_with_its_field() -> None:
    """Columns with a '.' or a '$' in front have fields of other names, and the notes tell them."""
    columns = (Column("id", "int", Integer()), Column("a.b", "int", Integer()))
    found = model_from_table(Table("items", columns=columns, primary_key=("id",)))
    assert [field.name for field in found.model.fields] == ["id", "a_b"]
    assert found.notes == ("a.b is the field a_b",)


def test_a_column_without_a_type_is_left_out_with_its_reason() -> None:
    """The note has the type in the words of the database, if there is one, and the reason."""
    columns = (
        Column("id", "int", Integer()),
        Column("a", "", None, problem="it has no declared type"),
        Column("b", "point", None, problem="no field type is like it"),
    )
    found = model_from_table(Table("items", columns=columns, primary_key=("id",)))
    assert found.notes == (
        "a is left out: it has no declared type",
        "b is left out: point: no field type is like it",
    )
