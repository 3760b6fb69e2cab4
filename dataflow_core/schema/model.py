"""The values that describe a model: fields, indexes, foreign keys. They know no database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from copy import deepcopy
from functools import cached_property
from typing import Any, Final, Literal

from attrs import define, evolve, fields, frozen
from attrs import field as attribute

from dataflow_core.errors import UnknownField
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.types import FieldType

__all__ = [
    "MISSING",
    "Check",
    "ContextValue",
    "Copies",
    "Field",
    "ForeignKey",
    "Generated",
    "Index",
    "Managed",
    "Model",
    "Partitions",
    "Reference",
    "RowScope",
]


class _Missing:
    """No default was declared."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()


@frozen
class Copies:
    """Makes a default, so that rows never share one that is mutable; equal if the default is."""

    default: Any = attribute(hash=False)

    def __call__(self) -> Any:
        """A copy of the default."""
        return deepcopy(self.default)


Generated = Literal["database", "uuid7", "default", "computed"]
"""Who makes a value that is not given: of a key the database (a counter) or the client (UUIDv7); of
a column that others made, a ``default`` that only the database can compute, or what is always
``computed`` and never given."""

Managed = Literal["created", "updated", "counted"]
"""What the project sets by itself: the moment of a creation, of an update, or how many updates."""

OnDelete = Literal["restrict", "cascade", "set_null", "no_action"]


@frozen
class Reference:
    """Where a foreign key points: a table and its columns."""

    table: str
    columns: tuple[str, ...]
    on_delete: OnDelete = "no_action"


@frozen
class ForeignKey:
    """Columns of this table whose values are keys of another."""

    columns: tuple[str, ...]
    reference: Reference
    name: str | None = None


@frozen
class Index:
    """An index; ``descending`` names those of its columns that are sorted downwards.

    ``where`` is a filter document: only rows that pass it are in the index.
    """

    columns: tuple[str, ...]
    unique: bool = False
    name: str | None = None
    descending: frozenset[str] = frozenset()
    where: Mapping[str, Any] | None = attribute(default=None, hash=False)


@frozen
class ContextValue:
    """A value that a call does not give but finds: the tenant in force, for one.

    ``read`` gives it, as a value of the field's type, and raises where there is none. ``check``
    takes the value that a call gives all the same: it raises unless that is the one in force.
    ``parameter`` is that of nodes that puts a value in force for one call, ``given`` what does so.
    ``text`` gives the value in force as text, and nothing where there is none.
    """

    name: str
    read: Callable[[], Any] = attribute(eq=False)
    check: Callable[[Any], Any] = attribute(eq=False)
    parameter: str
    given: Callable[[Any], AbstractContextManager[None]] = attribute(eq=False)
    text: Callable[[], str] = attribute(eq=False, default=str)


@frozen
class RowScope:
    """The rows of a model that its operations are about: those that pass a filter document.

    ``lifted_by`` names the parameter of nodes that asks for the other rows as well.
    """

    name: str
    filter: Mapping[str, Any] = attribute(hash=False)
    lifted_by: str | None = None


@frozen
class Partitions:
    """A table in ``count`` parts, by the hash of a value that is a part of every unique key.

    ``by`` names the field, and of a table that was read the column.
    """

    by: str
    count: int


@frozen
class Check:
    """A rule that every row keeps, as a filter document over the model's fields."""

    name: str
    filter: Mapping[str, Any] = attribute(hash=False)


@frozen(slots=False, unsafe_hash=True, cache_hash=True)
class Field:  # noqa: PLW1641 - attrs makes the hash
    """One field of a model and the column that stores it.

    ``default`` is a value, a callable without arguments, or ``MISSING``.
    ``references`` is what the user wrote (``"User.id"`` or ``"users.id"``). ``check`` is a filter
    over the model's fields. ``enforced``: the database refuses what ``references`` no row.
    ``context``: the value is always that of the context, and every operation is confined to its
    rows. ``protected`` says why no call may set the field; empty where calls may.
    """

    name: str
    type: FieldType
    column: str
    nullable: bool = False
    default: Any = MISSING
    primary_key: bool = False
    generated: Generated | None = None
    managed: Managed | None = None
    unique: bool = False
    index: bool = False
    references: str | None = None
    on_delete: OnDelete = "no_action"
    enforced: bool = True
    check: Mapping[str, Any] | None = attribute(default=None, hash=False)
    renamed_from: str | None = None
    comment: str | None = None
    personal: bool = False
    retain: str | None = None
    context: ContextValue | None = None
    protected: str = ""

    def __eq__(self, other: object) -> bool:
        # Shapes are compared on every call, and nearly always hold the very same fields.
        if self is other:
            return True
        if not isinstance(other, Field):
            return NotImplemented
        names = (attribute.name for attribute in fields(Field))
        return all(getattr(self, name) == getattr(other, name) for name in names)

    @property
    def has_default(self) -> bool:
        """Whether a create may leave the field out though it is not nullable."""
        made = (self.generated, self.managed, self.context)
        return self.default is not MISSING or any(maker is not None for maker in made)

    @property
    def required(self) -> bool:
        """Whether every create has to give the field."""
        return not self.nullable and not self.has_default

    def default_value(self) -> Any:
        """The default of one new row; a callable is called."""
        return self.default() if isinstance(self.default, Callable) else self.default  # type: ignore[arg-type]


@define(slots=False, eq=False, frozen=True)
class Model:
    """A declared model. Two models are equal only if they are the same object.

    ``database`` is the name of the database within the instance; ``options`` holds what plugins
    claimed of ``__dataflow__``. ``coalesce``: calls that are made together may share statements.
    ``read_only`` says why rows are only read, as those of a view are; empty where they are not.
    ``no_new_rows`` says why none can be added, where those that are there can be changed.
    ``schema`` is that of the table, where it is not the default one. ``scopes`` confine every
    operation to some of the rows. ``secured_by`` names the field of the context by whose value the
    database keeps rows apart too. ``partitions``: the table is in parts. ``origin`` is the model
    that this one is a variant of.
    """

    name: str
    table: str
    fields: tuple[Field, ...]
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    database: str = "primary"
    options: Mapping[str, Any] = attribute(factory=dict)
    coalesce: bool = True
    read_only: str = ""
    no_new_rows: str = ""
    schema: str | None = None
    scopes: tuple[RowScope, ...] = ()
    secured_by: str | None = None
    partitions: Partitions | None = None
    origin: Model | None = None
    _variants: dict[tuple[frozenset[str], frozenset[str]], Model] = attribute(
        factory=dict, init=False, repr=False
    )

    @property
    def declared(self) -> Model:
        """The model as it was declared, of which this may be a variant."""
        return self if self.origin is None else self.origin

    def variant(
        self, lifted: frozenset[str] = frozenset(), writable: frozenset[str] = frozenset()
    ) -> Model:
        """The model without the scopes ``lifted``, its fields ``writable`` set by nobody else.

        Always the same object for the same names. What the context confines stays confined.
        """
        if self.origin is not None:
            return self.origin.variant(lifted, writable)
        if not lifted and not writable:
            return self
        found = self._variants.get((lifted, writable))
        if found is None:
            changed = tuple(
                evolve(item, managed=None, protected="") if item.name in writable else item
                for item in self.fields
            )
            scopes = tuple(scope for scope in self.scopes if scope.name not in lifted)
            found = evolve(self, fields=changed, scopes=scopes, origin=self)
            self._variants[lifted, writable] = found
        return found

    @cached_property
    def context_fields(self) -> tuple[Field, ...]:
        """The fields whose value the context has."""
        return tuple(field for field in self.fields if field.context is not None)

    @cached_property
    def reference_columns(self) -> Mapping[frozenset[str], tuple[str, ...]]:
        """The columns of each reference as declared, by those that a database names.

        A reference among the rows that the context confines may lead by its fields as well.
        """
        declared = [key.columns for key in self.foreign_keys]
        declared += [(item.column,) for item in self.fields if item.references is not None]
        added = {item.column for item in self.context_fields}
        return {
            frozenset(columns) | more: columns for columns in declared for more in (set(), added)
        }

    @cached_property
    def confined(self) -> bool:
        """Whether operations are about some of the rows only, or versions are counted."""
        counted = any(field.managed == "counted" for field in self.fields)
        return bool(self.scopes or self.context_fields) or counted

    @property
    def key(self) -> str:
        """What discovery calls the table: with its schema, where that is not the default one."""
        return self.table if self.schema is None else f"{self.schema}.{self.table}"

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """The fields by name."""
        return {field.name: field for field in self.fields}

    @cached_property
    def primary_key(self) -> tuple[Field, ...]:
        """The fields of the primary key, in order."""
        return tuple(field for field in self.fields if field.primary_key)

    @cached_property
    def key_names(self) -> tuple[str, ...]:
        """The names of the fields of the primary key."""
        return tuple(field.name for field in self.primary_key)

    @cached_property
    def given_key(self) -> tuple[Field, ...]:
        """The fields of the primary key that calls give; the context has the others."""
        return tuple(field for field in self.primary_key if field.context is None)

    @cached_property
    def given_keys(self) -> tuple[tuple[str, ...], ...]:
        """The unique keys, without the fields that the context has."""
        implied = {field.name for field in self.context_fields}
        return tuple(tuple(name for name in key if name not in implied) for key in self.unique_keys)

    @cached_property
    def unique_keys(self) -> tuple[tuple[str, ...], ...]:
        """Every set of fields whose values no two rows share, the primary key first.

        See ``partial_keys`` for what is unique among some rows only.
        """
        keys = [self.key_names]
        keys += [(field.name,) for field in self.fields if field.unique]
        keys += [index.columns for index in self.indexes if index.unique and index.where is None]
        return tuple(dict.fromkeys(key for key in keys if key))

    @cached_property
    def partial_keys(self) -> tuple[Index, ...]:
        """The indexes in which no two rows are equal, of the rows that pass their filter."""
        return tuple(index for index in self.indexes if index.unique and index.where is not None)

    @cached_property
    def all_checks(self) -> tuple[Check, ...]:
        """The checks of the model and those of its fields."""
        of_fields = (
            Check(f"{self.table}_{field.column}_check", field.check)
            for field in self.fields
            if field.check is not None
        )
        return (*self.checks, *of_fields)

    @cached_property
    def all_indexes(self) -> tuple[Index, ...]:
        """The indexes of the model and those of its fields, each once; not the primary key's."""
        alone = self.primary_key[0].name if len(self.primary_key) == 1 else None
        of_fields = (
            Index((field.name,), unique=field.unique)
            for field in self.fields
            if (field.unique and field.name != alone)
            or (field.index and not field.unique and not field.primary_key)
        )
        return tuple(dict.fromkeys((*of_fields, *self.indexes)))

    def same_as(self, other: Model) -> bool:
        """Whether the other model declares the same, as when a notebook cell runs again."""
        names = [attribute.name for attribute in fields(Model) if attribute.init]
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def field(self, name: Any, where: str = "") -> Field:
        """The field called ``name``; ``UnknownField`` names the nearest otherwise."""
        found = self.by_name.get(name) if isinstance(name, str) else None
        if found is None:
            place = f" in {where}" if where else ""
            raise UnknownField(
                f"{self.name} has no field {quoted(name)}{place}",
                suggestion=nearest(name, self.by_name) if isinstance(name, str) else None,
                model=self.name,
                fields=list(self.by_name),
            )
        return found
