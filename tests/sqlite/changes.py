"""Changes of a table: every step, and several at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve

from dataflow_core.operations import (
    AddCheck,
    AddColumn,
    AddForeignKey,
    AddIndex,
    ChangeComment,
    ChangeDefault,
    ChangeNullable,
    ChangePrimaryKey,
    ChangeType,
    DropCheck,
    DropColumn,
    DropForeignKey,
    DropIndex,
    RenameColumn,
    Step,
)
from dataflow_core.schema import MISSING, Check, Field, ForeignKey, Index, Model, Reference
from dataflow_core.schema.tables import Table
from dataflow_core.types import (
    Date,
    Decimal,
    Enumeration,
    Float,
    Integer,
    Text,
    Timestamp,
)
from tests.sqlite.schemas import SQLITE
from tests.sqlite.support import column, key

BEFORE = Model(
    "Thing",
    "things",
    (
        key(),
        column("name", Text(20), unique=True, comment="what it is called"),
        column("amount", Integer(32), nullable=True, index=True, default=3),
        column("day", Date(), nullable=True),
        column("kind", Enumeration(("a", "b")), nullable=True),
        column("price", Decimal(10, 2), nullable=True, check={"price": {"$gt": 0}}),
        column("parent_id", Integer(), nullable=True),
    ),
    indexes=(Index(("name", "amount"), descending=frozenset(("amount",))),),
    checks=(Check("short", {"name": {"$ne": "long"}}),),
)
PARENT_KEY = ForeignKey(("parent_id",), Reference("parents", ("id",), "cascade"))
ROWS = (
    ("n1", 1, "2024-02-29", "a", 150, 1),
    ("n2", None, None, None, None, None),
    ("007", 7, "2024-01-01", "b", 1, 2),
)

Change = tuple[Model, tuple[Step, ...], tuple[ForeignKey, ...]]


def with_field(name: str, model: Model = BEFORE, /, **changes: Any) -> Model:
    """The model with one field changed."""
    fields = tuple(evolve(item, **changes) if item.name == name else item for item in model.fields)
    return evolve(model, fields=fields)


def added(*fields: Field, model: Model = BEFORE, **changes: Any) -> Model:
    """The model with more fields."""
    return evolve(model, fields=(*model.fields, *fields), **changes)


def without(*names: str, model: Model = BEFORE, **changes: Any) -> Model:
    """The model without some fields."""
    return evolve(
        model, fields=tuple(item for item in model.fields if item.name not in names), **changes
    )


def change_type(table: Table, kind: Any, name: str) -> Change:
    """A field gets another type, and loses its default."""
    model = with_field(name, type=kind, default=MISSING)
    field = model.by_name[name]
    steps = (ChangeType(field, table.by_name[name], "lossy"), ChangeDefault(field))
    return model, steps, (PARENT_KEY,)


def index_name(model: Model, index: Index) -> str:
    """The name of an index."""
    return SQLITE.ddl.index_name(model, index)


NEW = column("fresh", Text(5), nullable=True, comment="a */ new one", default="it's")
CHECKED = column("fresh", Integer(), nullable=True, check={"fresh": {"$lt": 5}}, index=True)
REFERRING = column("second_id", Integer(), nullable=True)
SECOND_KEY = ForeignKey(("second_id",), Reference("parents", ("id",), "set_null"), "second")
PARTIAL = Index(("day",), where={"amount": {"$gt": 1}})
RENAMED = evolve(
    with_field("amount", name="count", column="count"),
    indexes=(Index(("name", "count"), descending=frozenset(("count",))),),
)


def rename_and_more(table: Table) -> Change:
    """Many steps at once: a column renamed, one dropped, one added, others changed."""
    model = with_field("name", RENAMED, type=Text(), comment=None)
    model = without("kind", model=model, checks=())
    model = added(CHECKED, model=model)
    fields = model.by_name
    steps = (
        RenameColumn("amount", fields["count"]),
        DropForeignKey(None, ("parent_id",)),
        DropCheck("short"),
        ChangeType(fields["name"], table.by_name["name"], "additive"),
        AddColumn(CHECKED),
        DropColumn(table.by_name["kind"]),
        AddIndex(Index(("fresh",)), "additive"),
        AddCheck(model.all_checks[-1]),
        ChangeComment(fields["name"]),
    )
    return model, steps, ()


COMPOSITE = evolve(
    with_field("id", generated=None, type=Integer()),
    fields=tuple(
        evolve(item, primary_key=item.name in ("id", "name"), generated=None, unique=False)
        for item in BEFORE.fields
    ),
    indexes=(*BEFORE.indexes, Index(("id",), unique=True)),
)
CHANGES: dict[str, Callable[[Table], Change]] = {
    "add a column": lambda table: (added(NEW), (AddColumn(NEW),), (PARENT_KEY,)),
    "add a column with a check and an index": lambda table: (
        added(CHECKED),
        (
            AddColumn(CHECKED),
            AddIndex(Index(("fresh",)), "additive"),
            AddCheck(added(CHECKED).all_checks[-1]),
        ),
        (PARENT_KEY,),
    ),
    "add a column with a reference": lambda table: (
        added(REFERRING),
        (AddColumn(REFERRING), AddForeignKey(SECOND_KEY)),
        (PARENT_KEY, SECOND_KEY),
    ),
    "drop a column": lambda table: (
        without("day"),
        (DropColumn(table.by_name["day"]),),
        (PARENT_KEY,),
    ),
    "drop a column with its reference": lambda table: (
        without("parent_id"),
        (DropForeignKey(None, ("parent_id",)), DropColumn(table.by_name["parent_id"])),
        (),
    ),
    "rename a column": lambda table: (
        RENAMED,
        (RenameColumn("amount", RENAMED.by_name["count"]),),
        (PARENT_KEY,),
    ),
    "a wider int": lambda table: change_type(table, Integer(), "amount"),
    "an int as a Decimal": lambda table: change_type(table, Decimal(20, 3), "amount"),
    "an int as text": lambda table: change_type(table, Text(), "amount"),
    "an int as a float": lambda table: change_type(table, Float(), "amount"),
    "more digits": lambda table: change_type(table, Decimal(30, 5), "price"),
    "fewer digits": lambda table: change_type(table, Decimal(5, 2), "price"),
    "longer text": lambda table: change_type(table, Text(50), "name"),
    "text without a bound": lambda table: change_type(table, Text(), "name"),
    "shorter text": lambda table: change_type(table, Text(4), "name"),
    "more values": lambda table: change_type(table, Enumeration(("a", "b", "c")), "kind"),
    "an enumeration as text": lambda table: change_type(table, Text(), "kind"),
    "a day as an instant": lambda table: change_type(table, Timestamp(), "day"),
    "a day as text": lambda table: change_type(table, Text(), "day"),
    "nullable": lambda table: (
        with_field("name", nullable=True),
        (ChangeNullable(with_field("name", nullable=True).by_name["name"], "additive"),),
        (PARENT_KEY,),
    ),
    "another default": lambda table: (
        with_field("amount", default=-5),
        (ChangeDefault(with_field("amount", default=-5).by_name["amount"]),),
        (PARENT_KEY,),
    ),
    "no default": lambda table: (
        with_field("amount", default=MISSING),
        (ChangeDefault(with_field("amount", default=MISSING).by_name["amount"]),),
        (PARENT_KEY,),
    ),
    "another comment": lambda table: (
        with_field("amount", comment="how\nmany */"),
        (ChangeComment(with_field("amount", comment="how\nmany */").by_name["amount"]),),
        (PARENT_KEY,),
    ),
    "a comment of the key": lambda table: (
        with_field("id", comment="the key"),
        (ChangeComment(with_field("id", comment="the key").by_name["id"]),),
        (PARENT_KEY,),
    ),
    "another key": lambda table: (
        COMPOSITE,
        (
            DropIndex(index_name(BEFORE, Index(("name",), unique=True))),
            ChangePrimaryKey(("id",)),
            AddIndex(COMPOSITE.indexes[-1], "tightening"),
        ),
        (PARENT_KEY,),
    ),
    "add a partial index": lambda table: (
        evolve(BEFORE, indexes=(*BEFORE.indexes, PARTIAL)),
        (AddIndex(PARTIAL, "additive"),),
        (PARENT_KEY,),
    ),
    "drop indexes": lambda table: (
        evolve(with_field("name", unique=False), indexes=()),
        (
            DropIndex(index_name(BEFORE, Index(("name",), unique=True))),
            DropIndex(index_name(BEFORE, BEFORE.indexes[0])),
        ),
        (PARENT_KEY,),
    ),
    "another action": lambda table: (
        BEFORE,
        (
            DropForeignKey(None, ("parent_id",)),
            AddForeignKey(evolve(PARENT_KEY, name="other", reference=SECOND_KEY.reference)),
        ),
        (evolve(PARENT_KEY, name="other", reference=SECOND_KEY.reference),),
    ),
    "other checks": lambda table: (
        evolve(with_field("price", check=None), checks=(Check("new", {"amount": {"$lt": 99}}),)),
        (
            DropCheck("short"),
            DropCheck("things_price_check"),
            AddCheck(Check("new", {"amount": {"$lt": 99}})),
        ),
        (PARENT_KEY,),
    ),
    "many at once": rename_and_more,
}
