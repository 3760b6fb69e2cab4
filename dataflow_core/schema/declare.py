"""From a class to a ``Model``: annotations, defaults, ``field(...)`` and ``__dataflow__``."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import evolve, frozen

from dataflow_core.errors import InvalidModel, UnknownModelOption
from dataflow_core.naming_hints import nearest, quoted
from dataflow_core.schema.annotations import field_type, sized
from dataflow_core.schema.declare_keys import check_on_delete, declared_foreign_keys
from dataflow_core.schema.model import (
    MISSING,
    Check,
    Copies,
    Field,
    ForeignKey,
    Index,
    Model,
    OnDelete,
)
from dataflow_core.schema.naming import check_name, table_name
from dataflow_core.types import Integer, Json, Text, Timestamp, Uuid

__all__ = ["CORE_OPTIONS", "FieldDeclaration", "declare_model", "field"]

KEYED_TEXT_LENGTH: Final = 768
"""The bound of keyed, unique or indexed text everywhere: one database cannot index more."""

CORE_OPTIONS: Final = (
    "database",
    "table",
    "timestamps",
    "indexes",
    "unique",
    "foreign_keys",
    "primary_key",
    "checks",
    "validation",
    "coalesce",
)


_POLICIES: Final = ("multi_tenant", "soft_delete", "audit_log", "versioned")


@frozen
class FieldDeclaration:
    """What ``field(...)`` was given."""

    default: Any
    arguments: Mapping[str, Any]


def field(
    default: Any = MISSING,
    *,
    primary_key: bool = False,
    unique: bool = False,
    index: bool = False,
    nullable: bool | None = None,
    bits: int | None = None,
    max_length: int | None = None,
    precision: int | None = None,
    scale: int | None = None,
    references: str | None = None,
    on_delete: OnDelete = "no_action",
    enforced: bool = True,
    check: Mapping[str, Any] | None = None,
    renamed_from: str | None = None,
    comment: str | None = None,
    personal: bool = False,
    retain: str | None = None,
) -> Any:
    """Say more of a field than its annotation does.

    Parameters:
        default: a value, or a callable without arguments that makes one for each new row.
        primary_key: the field is (part of) the primary key.
        unique: no two rows share a value.
        index: the column is indexed.
        nullable: whether ``None`` is stored; by default what the annotation says.
        bits: 32 or 64, of an ``int``.
        max_length: of a ``str``, in code points.
        precision, scale: of a ``Decimal``: digits in all and after the point.
        references: ``"User.id"`` or ``"users.id"``: a foreign key.
        on_delete: ``no_action``, ``restrict``, ``cascade`` or ``set_null``.
        enforced: whether the database refuses a value that leads to no row; without that the
            reference is only the relation of two models, and may have gaps.
        check: a filter over this field that every row passes, such as ``{"$gte": 0}``.
        renamed_from: the name that the column had before.
        comment: stored with the column where the database can.
        personal: the value is erased when a person's data is anonymised.
        retain: a reason to keep it even then.
    """
    arguments = {name: value for name, value in locals().items() if name != "default"}
    return FieldDeclaration(default, arguments)


def declare_model(
    cls: type,
    *,
    claimed_options: frozenset[str] = frozenset(),
    namespace: Mapping[str, Any] | None = None,
) -> Model:
    """Read a class into a model. Raises ``ModelError``s that name class and field.

    ``claimed_options`` are the names in ``__dataflow__`` that plugins understand; ``namespace``
    holds local names that annotations written as text may use.
    """
    options = _options(cls, claimed_options)
    fields = _declared_fields(cls, namespace)
    fields = _with_primary_key(cls, fields, options.get("primary_key"))
    if options.get("timestamps", True):
        fields = _with_timestamps(fields)
    indexes = _indexes(cls, fields, options)
    foreign_keys = declared_foreign_keys(cls, fields, options)
    fields = _bounded(fields, indexes, foreign_keys)
    _refuse_same_names(cls, fields)
    _refuse_same_origins(cls, fields)
    table = _table(cls, options)
    return Model(
        name=check_name(cls.__name__, "a model"),
        table=check_name(table, f"the table of {cls.__name__}"),
        fields=tuple(fields),
        indexes=indexes,
        foreign_keys=foreign_keys,
        checks=_checks(cls, options),
        database=options.get("database", "primary"),
        options={name: value for name, value in options.items() if name not in CORE_OPTIONS},
        coalesce=options.get("coalesce", True),
    )


def _table(cls: type, options: Mapping[str, Any]) -> Any:
    named = cls.__dict__.get("__tablename__", MISSING)
    table = options.get("table", named)
    if named is not MISSING and table != named:
        raise InvalidModel(
            f"{cls.__name__}: __tablename__ is {quoted(named)}, the option 'table' {quoted(table)}"
        )
    return table_name(cls.__name__) if table is MISSING else table


def _options(cls: type, claimed: frozenset[str]) -> dict[str, Any]:
    options = getattr(cls, "__dataflow__", {})
    if not isinstance(options, Mapping):
        raise InvalidModel(f"{cls.__name__}: __dataflow__ is a dict, got {quoted(options)}")
    known = (*CORE_OPTIONS, *claimed)
    for name, value in options.items():
        switched_off = name in _POLICIES and value is False
        if name not in known and not switched_off:
            raise UnknownModelOption(
                f"{cls.__name__}: no installed plugin knows the model option {quoted(name)}"
                + (": it comes with a policies plugin" if name in _POLICIES else ""),
                suggestion=nearest(name, known),
                model=cls.__name__,
                option=quoted(name),
            )
    kinds = {"database": str, "table": str, "timestamps": bool, "coalesce": bool}
    for name, kind in kinds.items():
        if name in options and not isinstance(options[name], kind):
            raise InvalidModel(f"{cls.__name__}: the option {name!r} is a {kind.__name__}")
    return dict(options)


def _declared_fields(cls: type, namespace: Mapping[str, Any] | None) -> list[Field]:
    names = None if namespace is None else dict(namespace)
    try:
        hints = typing.get_type_hints(cls, localns=names, include_extras=True)
    except Exception as error:  # an annotation written as text is code, and may raise anything
        raise InvalidModel(f"{cls.__name__}: an annotation cannot be read: {error}") from error
    return [
        _declared_field(cls, name, annotation)
        for name, annotation in hints.items()
        if not (name.startswith("__") and name.endswith("__"))
        and typing.get_origin(annotation) is not typing.ClassVar
        and annotation is not typing.ClassVar
    ]


def _declared_field(cls: type, name: str, annotation: Any) -> Field:
    where = f"{cls.__name__}.{name}"
    check_name(name, where)
    if name.startswith("$") or "." in name:
        raise InvalidModel(f"{where}: a field's name has no '$' in front and no '.'")
    kind, nullable = field_type(annotation, where)
    # Not getattr: it also finds what every class has, such as `mro`.
    given = next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), MISSING)
    declaration = given if isinstance(given, FieldDeclaration) else FieldDeclaration(given, {})
    arguments = dict(declaration.arguments)
    sizes = {
        size: arguments.pop(size, None) for size in ("bits", "max_length", "precision", "scale")
    }
    kind = sized(kind, where, **sizes)
    _check_arguments(where, arguments)
    declared_nullable = arguments.pop("nullable", None)
    if declared_nullable is not None:
        nullable = declared_nullable
    if arguments.get("on_delete") == "set_null" and not nullable:
        raise InvalidModel(f"{where}: on_delete is 'set_null' but the field is not nullable")
    if arguments.get("check") is not None:
        arguments["check"] = {name: arguments["check"]}
    default = declaration.default
    if default is None and not nullable:
        raise InvalidModel(f"{where}: the default is None but the field is not nullable")
    if default not in (MISSING, None) and not isinstance(default, Callable):  # type: ignore[arg-type]
        default = kind.check(default, f"{where} (default)")
        if isinstance(kind, Json):
            default = Copies(default)
    return Field(name=name, type=kind, column=name, nullable=nullable, default=default, **arguments)


def _check_arguments(where: str, arguments: Mapping[str, Any]) -> None:
    """Refuse arguments of ``field(...)`` of a wrong kind, or that say nothing."""
    for name, value in arguments.items():
        kind = _ARGUMENT_KINDS[name]
        if value is not None and not isinstance(value, kind):
            raise InvalidModel(f"{where}: {name} is a {kind.__name__}, got {quoted(value)}")
    action = arguments.get("on_delete", "no_action")
    check_on_delete(action, where)
    if action != "no_action" and arguments.get("references") is None:
        raise InvalidModel(f"{where}: on_delete says what a deletion does to 'references'")
    if not arguments.get("enforced", True) and (
        arguments.get("references") is None or action != "no_action"
    ):
        raise InvalidModel(f"{where}: enforced=False is about 'references' without on_delete")


_ARGUMENT_KINDS: Final[dict[str, type]] = {
    **dict.fromkeys(("primary_key", "unique", "index", "nullable", "personal", "enforced"), bool),
    **dict.fromkeys(("references", "on_delete", "renamed_from", "comment", "retain"), str),
    "check": Mapping,
}


def _with_primary_key(cls: type, fields: list[Field], declared: Any) -> list[Field]:
    if not isinstance(declared, str | list | tuple | None):
        raise InvalidModel(f"{cls.__name__}: primary_key names fields, got {quoted(declared)}")
    names = [declared] if isinstance(declared, str) else list(declared or ())
    known = [field.name for field in fields]
    for name in names:
        if name not in known:
            raise InvalidModel(
                f"{cls.__name__}: primary_key names {quoted(name)}, which is no field",
                suggestion=nearest(name, known),
            )
    marked = [field.name for field in fields if field.primary_key]
    if names and not set(marked) <= set(names):
        raise InvalidModel(
            f"{cls.__name__}: primary_key names {', '.join(map(quoted, names))}, and field()"
            f" marks {', '.join(map(quoted, marked))}"
        )
    keys = names or marked
    if not keys and "id" not in known:
        key = Field("id", Integer(), "id", primary_key=True, generated="database")
        return [key, *fields]
    keys = keys or ["id"]
    return [
        _key_field(cls, field, alone=len(keys) == 1) if field.name in keys else field
        for field in fields
    ]


def _key_field(cls: type, field: Field, *, alone: bool) -> Field:
    if field.nullable or not field.type.ordered:
        raise InvalidModel(
            f"{cls.__name__}.{field.name}: a primary key is never null and is ordered"
        )
    generated: Any = None
    if alone and field.default is MISSING:
        if isinstance(field.type, Integer) and field.references is None:
            generated = "database"
        elif isinstance(field.type, Text | Uuid) and field.references is None:
            generated = "uuid7"
    return evolve(field, primary_key=True, generated=generated)


def _with_timestamps(fields: list[Field]) -> list[Field]:
    result = []
    for field in fields:
        managed: Any = {"created_at": "created", "updated_at": "updated"}.get(field.name)
        if managed and isinstance(field.type, Timestamp) and field.default is MISSING:
            result.append(evolve(field, managed=managed))
        else:
            result.append(field)
    names = {field.name for field in fields}
    if "created_at" not in names:
        result.append(Field("created_at", Timestamp(), "created_at", managed="created"))
    if "updated_at" not in names:
        result.append(Field("updated_at", Timestamp(), "updated_at", managed="updated"))
    return result


def _indexes(cls: type, fields: list[Field], options: Mapping[str, Any]) -> tuple[Index, ...]:
    names = [field.name for field in fields]
    result: list[Index] = []
    for option, unique in (("indexes", False), ("unique", True)):
        declared = options.get(option, ())
        if not isinstance(declared, list | tuple):
            raise InvalidModel(f"{cls.__name__}: the option {option!r} is a list")
        result.extend(_index(cls, item, names, unique) for item in declared)
    return tuple(result)


def _index(cls: type, item: Any, names: list[str], unique: bool) -> Index:
    name = where = None
    if isinstance(item, Mapping):
        unknown = set(item) - {"fields", "columns", "unique", "name", "where"}
        if unknown:
            raise InvalidModel(
                f"{cls.__name__}: an index has no {quoted(sorted(map(str, unknown))[0])}"
            )
        name, where = item.get("name"), item.get("where")
        if where is not None and not isinstance(where, Mapping):
            raise InvalidModel(
                f"{cls.__name__}: 'where' of an index is a filter, got {quoted(where)}"
            )
        unique = bool(item.get("unique", unique))
        item = item.get("fields", item.get("columns"))
    if isinstance(item, str):
        item = [item]
    if not isinstance(item, list | tuple) or not item or not all(isinstance(x, str) for x in item):
        raise InvalidModel(f"{cls.__name__}: an index names its fields, got {quoted(item)}")
    columns = tuple(column.removeprefix("-") for column in item)
    for column in columns:
        if column not in names:
            raise InvalidModel(
                f"{cls.__name__}: an index names {quoted(column)}, which is no field",
                suggestion=nearest(column, names),
            )
    if len(set(columns)) != len(columns):
        raise InvalidModel(f"{cls.__name__}: an index names a field twice: {quoted(item)}")
    if name is not None:
        check_name(name, f"an index of {cls.__name__}")
    descending = frozenset(column[1:] for column in item if column.startswith("-"))
    return Index(columns, unique, name, descending, where)


def _bounded(
    fields: list[Field], indexes: tuple[Index, ...], foreign_keys: tuple[ForeignKey, ...]
) -> list[Field]:
    """Text that is part of a key or an index gets a length, equal on every database."""
    groups = [index.columns for index in indexes] + [key.columns for key in foreign_keys]
    indexed = {column for columns in groups for column in columns}
    return [
        evolve(field, type=Text(KEYED_TEXT_LENGTH)) if _needs_bound(field, indexed) else field
        for field in fields
    ]


def _needs_bound(field: Field, indexed: set[str]) -> bool:
    keyed = field.primary_key or field.unique or field.index or field.references is not None
    return field.type == Text() and (keyed or field.name in indexed)


def _refuse_same_names(cls: type, fields: list[Field]) -> None:
    seen: dict[str, str] = {}
    for field in fields:
        other = seen.setdefault(field.name.casefold(), field.name)
        if other != field.name:
            raise InvalidModel(
                f"{cls.__name__}: the fields {other!r} and {field.name!r} differ only by case,"
                " which not every database can tell apart"
            )


def _refuse_same_origins(cls: type, fields: list[Field]) -> None:
    former = [field.renamed_from for field in fields if field.renamed_from is not None]
    twice = [name for name in dict.fromkeys(former) if former.count(name) > 1]
    if twice:
        raise InvalidModel(
            f"{cls.__name__}: a column becomes one field, and several are renamed_from"
            f" {quoted(twice[0])}"
        )


def _checks(cls: type, options: Mapping[str, Any]) -> tuple[Check, ...]:
    checks = options.get("checks", {})
    if not isinstance(checks, Mapping):
        raise InvalidModel(f"{cls.__name__}: the option 'checks' is a dict of name to filter")
    return tuple(
        Check(check_name(name, f"a check of {cls.__name__}"), rule) for name, rule in checks.items()
    )
