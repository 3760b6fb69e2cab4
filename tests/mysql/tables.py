"""Random models, and what their tables have to look like when they are read back."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from dataflow_core.compile import DDLCompiler
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
from dataflow_core.schema.model import Copies
from dataflow_core.schema.tables import Table, TableIndex
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
from dataflow_mysql.dialect import MariaDBDialect

TARGET = Model(
    "Target",
    "targets",
    (
        Field("id", Integer(), "id", primary_key=True, generated="database"),
        Field("code", Text(20), "code", unique=True),
    ),
)
"""What models refer to."""

WORDS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\0"), max_size=12
)
"""Texts of any letters."""

_KINDS = st.one_of(
    st.sampled_from(
        [Integer(), Integer(32), Float(), Boolean(), Text(), Binary(), Timestamp(), Date(), Time(),
         Uuid(), Json(), Decimal(18, 4), Decimal(38, 18)]
    ),
    st.integers(1, 900).map(Text),
    st.lists(WORDS, min_size=1, max_size=4, unique=True).map(
        lambda values: Enumeration(tuple(values), Text())
    ),
    st.lists(st.integers(-99, 99), min_size=1, max_size=4, unique=True).map(
        lambda values: Enumeration(tuple(values), Integer())
    ),
)  # fmt: skip


def _values(kind: FieldType) -> st.SearchStrategy[Any]:
    if isinstance(kind, Enumeration):
        return st.sampled_from(kind.values)
    if isinstance(kind, Text):
        return WORDS.map(lambda text: text[: kind.max_length])
    if isinstance(kind, Integer):
        return st.integers(kind.low, kind.high)
    if isinstance(kind, Json):
        return st.dictionaries(WORDS, st.integers(0, 9), max_size=2).map(Copies)
    if isinstance(kind, Decimal):
        return st.integers(-(10**12), 10**12).map(
            lambda number: kind.check(decimal.Decimal(number).scaleb(-kind.scale), "")
        )
    return st.sampled_from(_CONSTANTS[type(kind)])


_CONSTANTS: dict[type[FieldType], list[Any]] = {
    Float: [0.0, 1.5, -2.25, 0.1, 1e22, -1e-7, 1.7976931348623157e308],
    Boolean: [True, False],
    Binary: [b"", b"\x00'\\\xff", b"text"],
    Timestamp: [dt.datetime(2024, 2, 29, 12, 34, 56, 789012, tzinfo=dt.UTC)],
    Date: [dt.date(1, 1, 1), dt.date(2024, 2, 29)],
    Time: [dt.time(0, 0), dt.time(23, 59, 59, 999999)],
    Uuid: [uuid.UUID(int=0), uuid.UUID("8c0d5c2e-3f0e-4c55-9d0c-2f8a6f1f7a10")],
}


@st.composite
def models(draw: st.DrawFn, table: str = "things") -> tuple[Model, tuple[ForeignKey, ...]]:
    """Models and their references to ``TARGET``: every type, keys, indexes, defaults, checks."""
    kinds = draw(st.lists(_KINDS, min_size=1, max_size=6))
    fields, keys = [], []
    for at, kind in enumerate(kinds):
        name = draw(st.sampled_from(["", "odd `name` ", "größe"])) + f"f{at}"
        nullable = draw(st.booleans())
        default = draw(_values(kind)) if draw(st.booleans()) else MISSING
        indexed = kind.ordered and draw(st.integers(0, 3)) == 0
        fields.append(
            Field(
                name, kind, name, nullable=nullable, default=default,
                unique=indexed and draw(st.booleans()), index=indexed,
                comment=draw(st.none() | WORDS.filter(bool)),
            )
        )  # fmt: skip
    if draw(st.booleans()):
        action: Any = draw(st.sampled_from(["no_action", "restrict", "cascade", "set_null"]))
        own: Any = draw(st.sampled_from([("id", Integer()), ("code", Text(20))]))
        nullable = action == "set_null" or draw(st.booleans())
        fields.append(Field("to", own[1], "to", nullable=nullable, index=draw(st.booleans())))
        keys.append(ForeignKey(("to",), Reference("targets", (own[0],), action)))
    primary = draw(st.sampled_from(["counter", "text", "several", "none"]))
    first: list[Field] = []
    if primary == "counter":
        first = [Field("id", Integer(), "id", primary_key=True, generated="database")]
    elif primary == "text":
        first = [Field("key", Text(), "key", primary_key=True, comment="a key")]
    elif primary == "several":
        first = [
            Field("a", Text(30), "a", primary_key=True),
            Field("b", Integer(32), "b", primary_key=True),
        ]
    ordered = [item.name for item in fields if item.type.ordered]
    indexes = []
    if len(ordered) > 1 and draw(st.booleans()):
        columns = tuple(draw(st.permutations(ordered))[:2])
        down = frozenset(draw(st.sets(st.sampled_from(columns))))
        indexes.append(Index(columns, draw(st.booleans()), descending=down))
    checks = []
    for item in fields:
        if isinstance(item.type, Integer) and item.name != "to" and draw(st.booleans()):
            checks.append(Check(f"limit of {item.name}"[:30], {item.name: {"$gt": -(2**31)}}))
    model = Model("Thing", table, (*first, *fields), tuple(indexes), (), tuple(checks))
    return model, tuple(keys)


def wanted(model: Model, keys: Sequence[ForeignKey], ddl: DDLCompiler) -> dict[str, Any]:
    """What the table of a model has to be, in a form that is easily compared."""
    column_of = {item.name: item.column for item in model.fields}
    return {
        "columns": [
            (
                item.column,
                item.type,
                item.nullable,
                None if item.generated == "database" else _default(item),
                "counter" if item.generated == "database" else None,
                item.comment,
            )
            for item in model.fields
        ],
        "primary_key": tuple(item.column for item in model.primary_key),
        "indexes": sorted(
            (
                tuple(column_of.get(name, name) for name in index.columns),
                index.unique,
                sorted(column_of.get(name, name) for name in index.descending),
            )
            for index in model.all_indexes
        ),
        "foreign_keys": sorted(
            (key.columns, key.reference.table, key.reference.columns, key.reference.on_delete)
            for key in keys
        ),
        "checks": sorted(ddl.check_name(model, check.name) for check in model.all_checks),
    }


def _default(item: Field) -> Any:
    if item.default is MISSING or item.default is None or callable(item.default):
        return None
    return item.type.check(item.default_value(), item.name)


def found(table: Table) -> dict[str, Any]:
    """A table that was read, in the same form."""
    return {
        "columns": [
            (
                column.name,
                column.type,
                column.nullable,
                None if column.default is MISSING else column.default,
                column.generated,
                column.comment,
            )
            for column in table.columns
        ],
        "primary_key": table.primary_key,
        "indexes": sorted(
            (index.columns, index.unique, sorted(index.descending)) for index in table.indexes
        ),
        "foreign_keys": sorted(
            (key.columns, key.table, key.target, key.on_delete) for key in table.foreign_keys
        ),
        "checks": sorted(str(check.name) for check in table.checks),
    }


def steps_between(before: Table, model: Model, keys: Sequence[ForeignKey]) -> tuple[Step, ...]:
    """The steps from a table that was read to a model; fields of it say what was renamed."""
    renamed = {str(item.renamed_from): item for item in model.fields if item.renamed_from}
    by_column = {item.column: item for item in model.fields}
    column_of = {item.name: item.column for item in model.fields}
    steps: list[Any] = []
    for column in before.columns:
        item = renamed.get(column.name)
        if item is not None:
            steps.append(RenameColumn(column.name, item))
        item = item or by_column.get(column.name)
        if item is None or (item.renamed_from and column.name not in renamed):
            steps.append(DropColumn(column))
            continue
        if item.type != column.type:
            steps.append(ChangeType(item, column, "tightening"))
        if item.nullable != column.nullable:
            steps.append(ChangeNullable(item, "tightening"))
        default = None if column.default is MISSING else column.default
        if item.generated is None and column.generated is None and default != _default(item):
            steps.append(ChangeDefault(item))
        if item.comment != column.comment:
            steps.append(ChangeComment(item))
    there = set(before.by_name) - set(renamed)
    steps += [
        AddColumn(item)
        for item in model.fields
        if item.renamed_from is None and item.column not in there
    ]
    now = {old: item.column for old, item in renamed.items()}

    def present(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(now.get(name, name) for name in names)

    if present(before.primary_key) != tuple(item.column for item in model.primary_key):
        steps.append(ChangePrimaryKey(before.primary_key))

    def shape(index: Index) -> Any:
        columns = tuple(column_of.get(name, name) for name in index.columns)
        return columns, index.unique, {column_of.get(name, name) for name in index.descending}

    def known(index: TableIndex) -> Any:
        return present(index.columns), index.unique, set(present(sorted(index.descending)))

    old_indexes, new_indexes = list(map(known, before.indexes)), list(map(shape, model.all_indexes))
    steps += [DropIndex(item.name) for item in before.indexes if known(item) not in new_indexes]
    steps += [
        AddIndex(item, "tightening") for item in model.all_indexes if shape(item) not in old_indexes
    ]
    new_keys = [(key.columns, key.reference) for key in keys]
    old_keys = [
        (present(key.columns), Reference(key.table, key.target, key.on_delete))  # type: ignore[arg-type]
        for key in before.foreign_keys
    ]
    for key, reference in zip(before.foreign_keys, old_keys, strict=True):
        if reference not in new_keys:
            steps.append(DropForeignKey(key.name, key.columns))
    steps += [AddForeignKey(key) for key in keys if (key.columns, key.reference) not in old_keys]
    ddl = MariaDBDialect().ddl
    names = {ddl.check_name(model, check.name): check for check in model.all_checks}
    there_checks = {str(check.name) for check in before.checks}
    steps += [DropCheck(name) for name in there_checks if name not in names]
    steps += [AddCheck(check) for name, check in names.items() if name not in there_checks]
    return tuple(steps)
