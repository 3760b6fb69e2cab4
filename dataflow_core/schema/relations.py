"""How models refer to each other: foreign keys resolved to tables and columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve

from dataflow_core.errors import InvalidModel
from dataflow_core.naming_hints import quoted
from dataflow_core.schema.model import ForeignKey, Model, Reference

__all__ = ["acting_keys", "affected_by_deletion", "foreign_keys", "referenced", "referrers"]


def foreign_keys(model: Model, models: Iterable[Model]) -> tuple[ForeignKey, ...]:
    """The foreign keys of a model, those on fields resolved among ``models``.

    Raises ``InvalidModel`` for a reference that leads nowhere.
    """
    models = list(models)
    resolved = []
    for key in model.foreign_keys:
        target = next((other for other in models if other.key == key.reference.table), None)
        if target is not None:
            key = _in_order_of_key(_confined(key, model, target), target)
        resolved.append(key)
    for item in model.fields:
        if item.references is not None and item.enforced:
            target, column = _resolve(model, item.name, item.references, models)
            key = ForeignKey((item.name,), Reference(target.table, (column,), item.on_delete))
            resolved.append(_confined(key, model, target))
    return tuple(resolved)


def _confined(key: ForeignKey, model: Model, target: Model) -> ForeignKey:
    """A reference that leads to a row of the same context, where both models have one.

    What the context confines is never reached from outside of it: by a reference that leads to many
    contexts, or by a deletion that acts in all of them.
    """
    own, theirs = ({item.name: item for item in one.context_fields} for one in (model, target))
    acts = key.reference.on_delete in ("cascade", "set_null")
    if not theirs:
        if own and acts:
            raise _unconfined(
                key, model, f"on_delete is {key.reference.on_delete!r}, and a row of {target.name}"
                f" is shared: deleting it would change the rows of every {_names(model)}"
            )  # fmt: skip
        return key
    if not theirs.keys() <= own.keys():
        if set(key.reference.columns) == {item.column for item in target.primary_key}:
            return key
        raise _unconfined(
            key, model, f"{target.name} has its keys for each {_names(target)}, which"
            f" {model.name} does not have"
        )  # fmt: skip
    if key.reference.on_delete == "set_null":
        raise _unconfined(
            key, model, "on_delete is 'set_null', and the reference leads by the"
            f" {_names(target)} as well, which is never null"
        )  # fmt: skip
    added = [name for name in theirs if name not in key.columns]
    columns = tuple(theirs[name].column for name in added) + key.reference.columns
    return evolve(
        key, columns=(*added, *key.columns), reference=evolve(key.reference, columns=columns)
    )


def _names(model: Model) -> str:
    return " and ".join(item.context.name for item in model.fields if item.context is not None)


def _unconfined(key: ForeignKey, model: Model, problem: str) -> InvalidModel:
    columns = ", ".join(key.columns)
    return InvalidModel(f"{model.name}.{columns}: {problem}", model=model.name)


def _in_order_of_key(key: ForeignKey, target: Model) -> ForeignKey:
    """The same reference with its columns in the order of the key it leads to.

    It says the same in any order, and some databases take none but that.
    """
    if len(key.columns) == 1:
        return key
    column_of = {item.name: item.column for item in target.fields}
    own = dict(zip(key.reference.columns, key.columns, strict=True))
    keys = [tuple(item.column for item in target.primary_key)]
    keys += [
        tuple(column_of.get(name, name) for name in index.columns)
        for index in target.all_indexes
        if index.unique
    ]
    if key.reference.columns in keys:
        return key
    order = next((columns for columns in keys if set(columns) == own.keys()), None)
    if order is None:
        return key
    columns = tuple(own[name] for name in order)
    return evolve(key, columns=columns, reference=evolve(key.reference, columns=order))


def referenced(model: Model, models: Iterable[Model]) -> list[Model]:
    """The models that a model refers to, as far as they are known."""
    models = list(models)
    tables = _tables(model, models)
    return [other for other in models if other.table in tables and other is not model]


def referrers(model: Model, models: Iterable[Model]) -> list[Model]:
    """The models that refer to a model."""
    models = list(models)
    return [
        other for other in models if other is not model and model.table in _tables(other, models)
    ]


def affected_by_deletion(model: Model, models: Iterable[Model]) -> list[Model]:
    """The models whose rows a deletion may change or remove, through actions of foreign keys."""
    models = list(models)
    found: list[Model] = []
    pending = [model]
    while pending:
        current = pending.pop()
        for other in referrers(current, models):
            if other not in found and _acts(other, current):
                found.append(other)
                pending.append(other)
    return found


def acting_keys(model: Model, models: Iterable[Model]) -> list[tuple[Model, ForeignKey]]:
    """The foreign keys by which the database changes or removes rows when one of ``model`` goes.

    Each with the model whose rows it changes, which may be ``model`` itself.
    """
    models = list(models)
    return [
        (other, key)
        for other in (model, *referrers(model, models))
        for key in foreign_keys(other, models)
        if key.reference.table in (model.table, model.key)
        and key.reference.on_delete in ("cascade", "set_null")
    ]


def _acts(model: Model, target: Model) -> bool:
    """Whether deleting a row of ``target`` changes rows of ``model``."""
    on_fields = any(
        item.references is not None
        and item.references.rpartition(".")[0] in (target.name, target.table)
        and item.on_delete in ("cascade", "set_null")
        for item in model.fields
    )
    return on_fields or any(
        key.reference.table == target.table and key.reference.on_delete in ("cascade", "set_null")
        for key in model.foreign_keys
    )


def _tables(model: Model, models: Sequence[Model]) -> set[str]:
    """The tables that a model refers to."""
    tables = {key.reference.table for key in model.foreign_keys}
    for item in model.fields:
        owner = item.references.rpartition(".")[0] if item.references is not None else ""
        tables.update(other.table for other in models if owner in (other.name, other.table))
    return tables


def _resolve(
    model: Model, field_name: str, text: str, models: Sequence[Model]
) -> tuple[Model, str]:
    owner, dot, column = text.rpartition(".")
    for other in models:
        if dot and owner in (other.name, other.table) and column in other.by_name:
            return other, other.by_name[column].column
    raise InvalidModel(
        f"{model.name}.{field_name}: references {quoted(text)}, which no model of this database"
        " has; write 'Model.field' or 'table.field'"
    )
