"""What is asked of a database, as frozen values."""

from dataflow_core.operations.ddl import CreateTable
from dataflow_core.operations.rows import (
    Aggregate,
    Count,
    Create,
    CreateMany,
    Delete,
    DeleteMany,
    Find,
    Operation,
    Update,
    UpdateMany,
    UpdateRows,
    Upsert,
)

__all__ = [
    "Aggregate",
    "Count",
    "Create",
    "CreateMany",
    "CreateTable",
    "Delete",
    "DeleteMany",
    "Find",
    "Operation",
    "Update",
    "UpdateMany",
    "UpdateRows",
    "Upsert",
]
