"""Models as values, and how a class becomes one."""

from dataflow_core.schema.model import (
    MISSING,
    Check,
    ContextValue,
    Copies,
    Field,
    ForeignKey,
    Generated,
    Index,
    Managed,
    Model,
    Partitions,
    Reference,
    RowScope,
)
from dataflow_core.schema.naming import NAME_BYTES
from dataflow_core.schema.relation_names import Link, links
from dataflow_core.schema.tables import Column, Table, TableCheck, TableIndex, TableReference

__all__ = [
    "MISSING",
    "Check",
    "Column",
    "ContextValue",
    "Copies",
    "Field",
    "ForeignKey",
    "Generated",
    "Index",
    "Link",
    "Managed",
    "Model",
    "NAME_BYTES",
    "Partitions",
    "Reference",
    "RowScope",
    "Table",
    "TableCheck",
    "TableIndex",
    "TableReference",
    "links",
]
