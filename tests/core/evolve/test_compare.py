"""What differs between a model and a table, as steps."""

from __future__ import annotations

import datetime as dt
import typing
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from dataflow_core.compile import BaseCompiler
from dataflow_core.dialect import BaseDDLCompiler
from dataflow_core.evolve.compare import Comparison, compare
from dataflow_core.operations import AddColumn, RenameColumn, Step
from dataflow_core.operations.described import WORDS, described
from dataflow_core.schema import (
    MISSING,
    Check,
    Column,
    Field,
    Index,
    Model,
    Table,
    TableCheck,
    TableIndex,
)
from dataflow_core.types import Date, Enumeration, Integer, Text, Timestamp
from dataflow_core.types import Decimal as DecimalType

DDL = BaseDDLCompiler(BaseCompiler({}))
ID = Field("id", Integer(), "id", primary_key=True, generated="database")
NAME = Field("name", Text(40), "name", unique=True)
AGE = Field("age", Integer(32), "age", nullable=True, default=3, check={"age": {"$gt": 0}})
MODEL = Model(
    "Item",
    "items",
    (ID, NAME, AGE),
    indexes=(Index(("age", "name"), descending=frozenset({"age"})),),
    checks=(Check("named", {"name": {"$ne": ""}}),),
)
TABLE = Table(
    "items",
    columns=(
        Column("id", "bigint", Integer(), nullable=False, generated="counter"),
        Column("name", "text", Text(40), nullable=False),
        Column("age", "integer", Integer(32), default=3, default_sql="3"),
    ),
    primary_key=("id",),
    indexes=(
        TableIndex("a", ("name",), unique=True),
        TableIndex("b", ("age", "name"), descending=frozenset({"age"})),
    ),
    checks=(TableCheck("named", "name <> ''"), TableCheck("items_age_check", "age > 0")),
)


def differing(model: Model, table: Table = TABLE, recorded: Model | None = MODEL) -> Comparison:
    """What differs."""
    return compare(model, table, (), DDL, recorded)


def steps(model: Model, table: Table = TABLE, recorded: Model | None = MODEL) -> list[str]:
    """The names of the steps, with how safe each is."""
    return [
        f"{type(step).__name__} {step.safety}" for step in differing(model, table, recorded).steps
    ]


def with_field(name: str, **changes: Any) -> Model:
    """The model with another field of that name."""
    fields = (evolve(item, **changes) if item.name == name else item for item in MODEL.fields)
    return evolve(MODEL, fields=tuple(fields))


def test_a_table_that_says_the_same_has_no_steps() -> None:
    """Nothing differs, so nothing is done."""
    assert differing(MODEL) == Comparison()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (with_field("age", type=Integer()), ["ChangeType additive"]),
        (with_field("name", type=Integer()), ["ChangeType lossy"]),
        (with_field("name", nullable=True), ["ChangeNullable additive"]),
        (with_field("age", nullable=False), ["ChangeNullable tightening"]),
        (with_field("age", default=MISSING), ["ChangeDefault additive"]),
        (with_field("age", default=4), ["ChangeDefault additive"]),
        (with_field("age", default=lambda: 4), ["ChangeDefault additive"]),
        (with_field("age", comment="years"), ["ChangeComment additive"]),
        (with_field("name", unique=False), ["DropIndex additive"]),
        (with_field("age", index=True), ["AddIndex additive"]),
        (with_field("age", unique=True), ["AddIndex tightening"]),
        (with_field("age", check=None), ["DropCheck additive"]),
        (
            with_field("age", check={"age": {"$gt": 1}}),
            ["DropCheck additive", "AddCheck tightening"],
        ),
        (evolve(MODEL, indexes=()), ["DropIndex additive"]),
        (evolve(MODEL, checks=()), ["DropCheck additive"]),
        (
            evolve(MODEL, fields=(*MODEL.fields, Field("x", Text(), "x", nullable=True))),
            ["AddColumn additive"],
        ),
        (
            evolve(MODEL, fields=(*MODEL.fields, Field("x", Text(), "x"))),
            ["AddColumn tightening"],
        ),
        (
            evolve(MODEL, fields=(ID, NAME), indexes=()),
            ["DropCheck additive", "DropIndex additive", "DropColumn lossy"],
        ),
        (with_field("name", primary_key=True), ["ChangePrimaryKey tightening"]),
    ],
)
def test_a_change_takes_its_steps(model: Model, expected: list[str]) -> None:
    """Each thing that a model says is compared, and changed by steps that say how safe they are."""
    assert steps(model) == expected


def test_a_renamed_field_takes_its_indexes_along() -> None:
    """The column is renamed, and what belongs to it is taken for what it was."""
    model = Model(
        "Item",
        "items",
        (ID, evolve(NAME, name="title", column="title", renamed_from="name"), AGE),
        indexes=(Index(("age", "title"), descending=frozenset({"age"})),),
        checks=(Check("named", {"name": {"$ne": ""}}),),
    )
    [step] = differing(model).steps
    assert isinstance(step, RenameColumn)
    assert (step.before, step.field.column) == ("name", "title")


def test_a_former_name_that_another_field_has_is_no_rename() -> None:
    """A new field is added where the column of its former name belongs to another one."""
    extra = Field("nick", Text(), "nick", nullable=True, renamed_from="name")
    [step] = differing(evolve(MODEL, fields=(*MODEL.fields, extra))).steps
    assert isinstance(step, AddColumn)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (with_field("age", type=Integer()), []),
        (with_field("age", default=4, nullable=False), []),
        (evolve(MODEL, fields=(ID, NAME), indexes=(), checks=()), []),
        (
            evolve(MODEL, fields=(*MODEL.fields, Field("x", Text(), "x", nullable=True))),
            ["AddColumn additive"],
        ),
        (with_field("age", index=True), ["AddIndex additive"]),
    ],
)
def test_tables_of_others_only_get_what_is_missing(model: Model, expected: list[str]) -> None:
    """Types, defaults and columns of a table that others made stay what they are."""
    assert steps(model, recorded=None) == expected


def test_values_of_another_kind_are_a_problem() -> None:
    """A column whose values are not of the field's Python type cannot be used, whoever made it."""
    other = differing(with_field("age", type=Timestamp()), recorded=None)
    assert not other.steps
    [problem] = other.problems
    assert "Item.age is datetime, and the column is integer" in problem


def test_a_column_that_no_type_fits_is_a_problem() -> None:
    """The reason that introspection gave is told."""
    column = Column("age", "geometry", problem="no field type holds it")
    table = evolve(TABLE, columns=(*TABLE.columns[:2], column))
    [problem] = differing(MODEL, table).problems
    assert "geometry: no field type holds it" in problem


def test_missing_columns_are_named() -> None:
    """A column that is renamed is missing as well, for whoever may not rename it."""
    table = evolve(TABLE, columns=TABLE.columns[:2])
    assert differing(MODEL, table).missing == ("age",)


def test_a_dialect_that_tells_names_only() -> None:
    """Nothing but missing columns is compared."""
    table = Table("items", columns=(Column("id", ""), Column("name", "")))
    assert steps(MODEL, table) == ["AddColumn additive"]


@pytest.mark.parametrize(
    ("stored", "wanted", "safe"),
    [
        (Integer(32), Integer(), True),
        (Integer(), Integer(32), False),
        (Text(5), Text(6), True),
        (Text(5), Text(), True),
        (Text(), Text(5), False),
        (DecimalType(6, 2), DecimalType(8, 2), True),
        (DecimalType(6, 2), DecimalType(6, 3), False),
        (Enumeration(("a",)), Enumeration(("a", "b")), True),
        (Enumeration(("a", "b")), Enumeration(("a",)), False),
        (Enumeration(("a",)), Text(), True),
        (Integer(32), DecimalType(18, 4), True),
        (Integer(), DecimalType(18, 4), False),
        (Text(), Integer(), False),
    ],
)
def test_a_change_of_type_is_safe_if_every_value_stays(
    stored: Any, wanted: Any, safe: bool
) -> None:
    """Wider types keep all values; every other change can lose some."""
    field = Field("v", wanted, "v")
    model = Model("Item", "items", (ID, field))
    recorded = Model("Item", "items", (ID, evolve(field, type=stored)))
    table = Table("items", columns=(TABLE.columns[0], Column("v", "t", stored, nullable=False)),
                  primary_key=("id",))  # fmt: skip
    expected = "additive" if safe else "lossy"
    assert steps(model, table, recorded) == [f"ChangeType {expected}"]


@pytest.mark.parametrize(
    ("kind", "default"),
    [(DecimalType(), Decimal("1.5000")), (Date(), dt.date(2024, 1, 1)), (Text(), "a'b")],
)
def test_equal_defaults_are_equal(kind: Any, default: Any) -> None:
    """Defaults are compared as Python values."""
    field = Field("v", kind, "v", default=default)
    model = Model("Item", "items", (ID, field))
    column = Column("v", "t", kind, nullable=False, default=default, default_sql="x")
    table = Table("items", columns=(TABLE.columns[0], column), primary_key=("id",))
    assert steps(model, table, model) == []


def test_every_step_has_words() -> None:
    """A plan can be read, whatever it holds."""
    assert set(WORDS) == set(typing.get_args(Step))
    assert described(differing(with_field("name", unique=False)).steps) == ["drop the index 'a'"]
