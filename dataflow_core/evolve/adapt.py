"""A declared model and a table that others made: the model that fits the table."""

from __future__ import annotations

from attrs import evolve

from dataflow_core.evolve.conversions import alike
from dataflow_core.schema import Field, Model
from dataflow_core.schema.tables import Table
from dataflow_core.types import Enumeration, FieldType

__all__ = ["adapted_model"]


def adapted_model(model: Model, table: Table) -> Model:
    """The model without automatic timestamps that the table lacks, its values kept as they are.

    The very same model, where there is nothing to adapt.
    """
    fields = tuple(
        _adapted(field, table)
        for field in model.fields
        if field.managed not in ("created", "updated") or field.column in table.by_name
    )
    if fields == model.fields:
        return model
    return evolve(model, fields=fields)


def _adapted(field: Field, table: Table) -> Field:
    column = table.by_name.get(field.column)
    if column is None or column.type is None or not alike(column.type, field.type):
        return field
    storage = _storage(column.type)
    return field if storage == _storage(field.type) else evolve(field, type=_kept(field, storage))


def _storage(kind: FieldType) -> str | None:
    return kind.base.storage if isinstance(kind, Enumeration) else kind.storage


def _kept(field: Field, storage: str | None) -> FieldType:
    kind = field.type
    if isinstance(kind, Enumeration):
        return evolve(kind, base=evolve(kind.base, storage=storage))
    return evolve(kind, storage=storage)
