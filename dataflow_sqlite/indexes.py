"""What tells one index of a table from others."""

from __future__ import annotations

from typing import Any

from dataflow_core.schema import Index, Model, TableIndex

__all__ = ["index_parts", "stored_parts"]


def index_parts(index: Index, model: Model) -> tuple[Any, ...]:
    """Those of an index of a model, in the names of columns."""
    column_of = {item.name: item.column for item in model.fields}
    columns = tuple(column_of.get(name, name) for name in index.columns)
    descending = frozenset(column_of.get(name, name) for name in index.descending)
    return columns, index.unique, descending, index.where is not None


def stored_parts(index: TableIndex) -> tuple[Any, ...]:
    """Those of an index that is there."""
    return index.columns, index.unique, index.descending, index.where is not None
