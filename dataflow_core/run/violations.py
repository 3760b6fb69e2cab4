"""What every database tells alike about a broken rule, whatever else it may know."""

from __future__ import annotations

from dataflow_core.contract import ErrorSituation
from dataflow_core.errors import (
    CheckViolation,
    ConstraintViolation,
    ForeignKeyViolation,
    OutOfRange,
    UniqueViolation,
)
from dataflow_core.schema import Model

__all__ = ["made_alike"]


def made_alike(error: ConstraintViolation, situation: ErrorSituation) -> ConstraintViolation:
    """The error, with the fields that it has on every database.

    ``constraint`` is a name that the model gives, not one that a dialect has made up. Few databases
    say which number is out of range, so ``columns`` are those that the statement computes.
    """
    if isinstance(error, OutOfRange):
        error.columns = error.context["columns"] = situation.computed
    if situation.model is not None:
        error.constraint = error.context["constraint"] = _declared(error, situation.model)
    return error


def _declared(error: ConstraintViolation, model: Model) -> str | None:
    columns = set(error.columns)
    if isinstance(error, CheckViolation):
        names = {check.name for check in model.checks}
        return error.constraint if error.constraint in names else None
    if isinstance(error, UniqueViolation):
        column_of = {item.name: item.column for item in model.fields}
        return next(
            (
                index.name
                for index in model.indexes
                if index.unique and {column_of.get(name, name) for name in index.columns} == columns
            ),
            None,
        )
    if isinstance(error, ForeignKeyViolation) and error.side == "child":
        keys = (key for key in model.foreign_keys if set(key.columns) == columns)
        return next((key.name for key in keys), None)
    return None
