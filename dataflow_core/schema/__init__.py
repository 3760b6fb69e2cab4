"""Models as values, and how a class becomes one."""

from dataflow_core.schema.model import (
    MISSING,
    Check,
    Field,
    ForeignKey,
    Generated,
    Index,
    Managed,
    Model,
    Reference,
)
from dataflow_core.schema.naming import NAME_BYTES

__all__ = [
    "MISSING",
    "Check",
    "Field",
    "ForeignKey",
    "Generated",
    "Index",
    "Managed",
    "Model",
    "NAME_BYTES",
    "Reference",
]
