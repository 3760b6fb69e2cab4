"""Random models, and random changes of one thing that a model says."""

from __future__ import annotations

import datetime as dt
import decimal
import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import evolve, frozen

from dataflow_core.schema import MISSING, Check, Field, Index, Model
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

__all__ = ["CHANGES", "Change", "changed", "random_model"]

_NAMES: Final = ("name", "order", "select", "größe", "two words", 'quo"te', "Upper", "a", "группа")
_COMMENTS: Final = ("plain", "it's */ odd", 'quo"te \\ and -- more', "größe; 漢字", "a\nb")
_MORE_TYPES: Final[tuple[Callable[[random.Random], FieldType], ...]] = (
    lambda rng: Integer(rng.choice((32, 64))),
    lambda rng: Float(),
    lambda rng: Decimal(rng.choice((6, 18, 30)), rng.choice((0, 2, 4))),
    lambda rng: Boolean(),
    lambda rng: Text(rng.choice((None, 5, 40, 300))),
    lambda rng: Binary(),
    lambda rng: Timestamp(),
    lambda rng: Date(),
    lambda rng: Time(),
    lambda rng: Uuid(),
    lambda rng: Json(rng.choice(("any", "object", "array"))),
    lambda rng: Enumeration(("red", "it's", "Grün")[: rng.randint(2, 3)]),
    lambda rng: Enumeration((1, 2, 30), Integer()),
)
_VALUES: Final[dict[type[FieldType], Callable[[random.Random], Any]]] = {
    Integer: lambda rng: rng.randint(-5, 5),
    Float: lambda rng: rng.choice((0.5, -1.25, 1e10)),
    Decimal: lambda rng: decimal.Decimal(rng.randint(-9, 9)),
    Boolean: lambda rng: rng.random() < 0.5,
    Text: lambda rng: rng.choice(("", "a'b", "é%\\", "NULL")),
    Binary: lambda rng: rng.choice((b"", b"\x00'\xff")),
    Timestamp: lambda rng: dt.datetime(2024, 1, rng.randint(1, 28), 3, tzinfo=dt.UTC),
    Date: lambda rng: dt.date(2024, 1, rng.randint(1, 28)),
    Time: lambda rng: dt.time(rng.randint(0, 23), 5, 6, 7),
    Uuid: lambda rng: uuid.UUID(int=rng.getrandbits(128)),
}


def random_model(rng: random.Random, name: str, table: str) -> Model:
    """A model of one to six fields beside its key, with anything that a model can say."""
    fields = [*_key(rng)]
    names = iter(rng.sample(_NAMES, len(_NAMES)))
    for _ in range(rng.randint(1, 6)):
        fields.append(_field(rng, next(names)))
    if len(_key_of(fields)) == 1 and rng.random() < 0.3:
        [key] = _key_of(fields)
        fields.append(
            Field(
                "parent", key.type, "parent", nullable=True, references=f"{table}.{key.name}",
                on_delete=rng.choice(("no_action", "cascade", "set_null", "restrict")),
            )
        )  # fmt: skip
    model = Model(name, table, tuple(fields))
    indexes = tuple(dict.fromkeys(_index(rng, model) for _ in range(rng.randint(0, 2))))
    checks = tuple(_checks(rng, model))
    return evolve(model, indexes=indexes, checks=checks)


def _key(rng: random.Random) -> list[Field]:
    kind = rng.randrange(5)
    if kind == 0:
        return [Field("id", Uuid(), "id", primary_key=True, generated="uuid7")]
    if kind == 1:
        return [Field("code", Text(40), "code", primary_key=True)]
    if kind == 2:
        return [
            Field("region", Text(10), "region", primary_key=True),
            Field("day", Date(), "day", primary_key=True),
        ]
    return [Field("id", Integer(), "id", primary_key=True, generated="database")]


def _key_of(fields: list[Field]) -> list[Field]:
    return [field for field in fields if field.primary_key]


def _field(rng: random.Random, name: str) -> Field:
    kind = rng.choice(_MORE_TYPES)(rng)
    nullable = rng.random() < 0.4
    field = Field(name, kind, name, nullable=nullable, default=_default(rng, kind))
    if _can_be_indexed(kind):
        field = evolve(field, unique=rng.random() < 0.2, index=rng.random() < 0.2)
    if isinstance(kind, Integer) and rng.random() < 0.3:
        field = evolve(field, check={name: {"$gte": -100}})
    return evolve(field, comment=rng.choice(_COMMENTS) if rng.random() < 0.3 else None)


def _default(rng: random.Random, kind: FieldType) -> Any:
    if rng.random() < 0.5:
        return MISSING
    if isinstance(kind, Enumeration):
        return rng.choice(kind.values)
    make = _VALUES.get(type(kind))
    return MISSING if make is None else kind.check(make(rng), "default")


def _can_be_indexed(kind: FieldType) -> bool:
    if isinstance(kind, Text):
        return kind.max_length is not None
    return not isinstance(kind, Json | Binary)


def _index(rng: random.Random, model: Model) -> Index:
    free = [field.name for field in model.fields if _can_be_indexed(field.type)]
    chosen = tuple(rng.sample(free, min(len(free), rng.randint(1, 2))))
    down = frozenset(name for name in chosen if rng.random() < 0.3)
    return Index(chosen, unique=rng.random() < 0.3, descending=down)


def _checks(rng: random.Random, model: Model) -> Iterator[Check]:
    numbers = [
        field.name
        for field in model.fields
        if isinstance(field.type, Integer)
        and field.generated is None
        and field.on_delete != "set_null"
    ]
    if numbers and rng.random() < 0.3:
        yield Check("not too large", {rng.choice(numbers): {"$lte": 1_000}})


@frozen
class Change:
    """A change of one thing.

    Attributes:
        what: what changes, as the table of the documentation calls it.
        steps: the names of the steps that it takes, in order.
        model: the changed model.
    """

    what: str
    steps: tuple[str, ...]
    model: Model


Make = Callable[[random.Random, Model], Model | None]


def changed(rng: random.Random, model: Model) -> Change:
    """A random change that the model allows."""
    kinds = list(CHANGES)
    rng.shuffle(kinds)
    for what in kinds:
        steps, make = CHANGES[what]
        after = make(rng, model)
        if after is not None:
            return Change(what, steps, after)
    raise AssertionError("a field can always be added")


def _with_field(model: Model, field: Field, **changes: Any) -> Model:
    fields = tuple(evolve(each, **changes) if each is field else each for each in model.fields)
    return evolve(model, fields=fields)


def _pick(rng: random.Random, model: Model, fits: Callable[[Field], bool]) -> Field | None:
    """A field that is no key, that no index, check or reference names, and that fits."""
    named = {name for index in model.indexes for name in index.columns}
    named |= {name for check in model.checks for name in check.filter}
    free = [
        field
        for field in model.fields
        if not field.primary_key and field.name not in named and field.references is None
        and field.check is None and fits(field)
    ]  # fmt: skip
    return rng.choice(free) if free else None


def _added(**arguments: Any) -> Make:
    def make(rng: random.Random, model: Model) -> Model | None:
        field = Field("added", Integer(), "added", **arguments)
        return evolve(model, fields=(*model.fields, field))

    return make


def _changing(fits: Callable[[Field], bool], change: Callable[[Field], dict[str, Any]]) -> Make:
    def make(rng: random.Random, model: Model) -> Model | None:
        field = _pick(rng, model, fits)
        return None if field is None else _with_field(model, field, **change(field))

    return make


def _removed(rng: random.Random, model: Model) -> Model | None:
    field = _pick(rng, model, lambda each: not (each.unique or each.index))
    if field is None:
        return None
    return evolve(model, fields=tuple(each for each in model.fields if each is not field))


def _plain(field: Field) -> bool:
    return not (field.unique or field.index)


def _has(kind: type[FieldType], **attributes: Any) -> Callable[[Field], bool]:
    def fits(field: Field) -> bool:
        return isinstance(field.type, kind) and all(
            getattr(field.type, name) == value for name, value in attributes.items()
        )

    return fits


def _typed(**attributes: Any) -> Callable[[Field], dict[str, Any]]:
    return lambda field: {"type": evolve(field.type, **attributes)}


def _more_values(field: Field) -> dict[str, Any]:
    assert isinstance(field.type, Enumeration)
    return {"type": evolve(field.type, values=(*field.type.values, "new"))}


def _checked(rng: random.Random, model: Model) -> Model | None:
    field = _pick(rng, model, _has(Integer))
    if field is None:
        return None
    return _with_field(model, field, check={field.name: {"$gte": -1_000}})


def _with_check(change: Callable[[Field], Any]) -> Make:
    def make(rng: random.Random, model: Model) -> Model | None:
        having = [field for field in model.fields if field.check is not None]
        if not having:
            return None
        field = rng.choice(having)
        return _with_field(model, field, check=change(field))

    return make


def _with_index(rng: random.Random, model: Model) -> Model | None:
    field = _pick(rng, model, lambda each: _can_be_indexed(each.type) and _plain(each))
    return None if field is None else evolve(model, indexes=(*model.indexes, Index((field.name,))))


def _turned(rng: random.Random, model: Model) -> Model | None:
    if not model.indexes:
        return None
    index, *rest = model.indexes
    other = evolve(index, descending=frozenset(index.columns) - index.descending)
    return evolve(model, indexes=(other, *rest))


def _acting(rng: random.Random, model: Model) -> Model | None:
    field = next((each for each in model.fields if each.references is not None), None)
    if field is None:
        return None
    actions = {"no_action", "cascade", "set_null"} - {field.on_delete}
    return _with_field(model, field, on_delete=rng.choice(sorted(actions)))


CHANGES: Final[dict[str, tuple[tuple[str, ...], Make]]] = {
    "a field is added": (("AddColumn",), _added(nullable=True)),
    "a field with a default is added": (("AddColumn",), _added(default=7)),
    "a field is removed": (("DropColumn",), _removed),
    "a field has a new name, `renamed_from` the former": (
        ("RenameColumn",),
        _changing(
            lambda field: True,
            lambda field: {"name": "renamed", "column": "renamed", "renamed_from": field.column},
        ),
    ),
    "a field becomes optional": (
        ("ChangeNullable",),
        _changing(lambda field: not field.nullable and _plain(field), lambda _: {"nullable": True}),
    ),
    "a field is no longer optional": (
        ("ChangeNullable",),
        _changing(lambda field: field.nullable and _plain(field), lambda _: {"nullable": False}),
    ),
    "the default is another one": (
        ("ChangeDefault",),
        _changing(
            lambda field: type(field.type) is Integer,
            lambda field: {"default": 77 if field.default != 77 else 78},
        ),
    ),
    "the default is dropped": (
        ("ChangeDefault",),
        _changing(lambda field: field.default is not MISSING, lambda _: {"default": MISSING}),
    ),
    "`bits` grow": (("ChangeType",), _changing(_has(Integer, bits=32), _typed(bits=64))),
    "`max_length` grows": (
        ("ChangeType",),
        _changing(_has(Text, max_length=5), _typed(max_length=9)),
    ),
    "`max_length` shrinks": (
        ("ChangeType",),
        _changing(_has(Text, max_length=40), _typed(max_length=39)),
    ),
    "`precision` grows": (
        ("ChangeType",),
        _changing(_has(Decimal, precision=6), _typed(precision=8)),
    ),
    "an enumeration has a further value": (
        ("ChangeType",),
        _changing(
            _has(Enumeration, base=Text()),
            _more_values,
        ),
    ),
    "the comment is another one": (
        ("ChangeComment",),
        _changing(lambda field: True, lambda field: {"comment": "another one"}),
    ),
    "`unique` is set": (
        ("AddIndex",),
        _changing(
            lambda field: _can_be_indexed(field.type) and _plain(field), lambda _: {"unique": True}
        ),
    ),
    "`unique` is dropped": (
        ("DropIndex",),
        _changing(lambda field: field.unique and not field.index, lambda _: {"unique": False}),
    ),
    "an index is added": (("AddIndex",), _with_index),
    "an index is sorted the other way": (("DropIndex", "AddIndex"), _turned),
    "a check is added": (("AddCheck",), _checked),
    "a check is another one": (
        ("DropCheck", "AddCheck"),
        _with_check(lambda field: {field.name: {"$gte": -50}}),
    ),
    "a check is dropped": (("DropCheck",), _with_check(lambda field: None)),
    "`on_delete` is another one": (("DropForeignKey", "AddForeignKey"), _acting),
}
"""What can change -> the steps that it takes, and how to change a model so; ``None``: it cannot."""
