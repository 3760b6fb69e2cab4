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

__all__ = [
    "MISSING",
    "Check",
    "Field",
    "ForeignKey",
    "Generated",
    "Index",
    "Managed",
    "Model",
    "Reference",
]
