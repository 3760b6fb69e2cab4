"""What statements that write rows by key say of a model whose operations are confined."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from dataflow_core.schema import Field, Model

if TYPE_CHECKING:
    from dataflow_core.compile.base import BaseCompiler

__all__ = ["counted", "row_tests"]


def row_tests(compiler: BaseCompiler, model: Model) -> list[str]:
    """Conditions that a stored row passes if a statement may be about it, without parameters.

    The fields of the context are not among them: they are compared as a part of the key.
    """
    return [compiler.literal_predicate(model, scope.filter) for scope in model.scopes]


def counted(compiler: BaseCompiler, model: Model, assigned: Collection[Field]) -> list[str]:
    """Assignments that count an update of a row, unless they are among the others."""
    table = compiler.table(model)
    names = [
        compiler.quote(item.column)
        for item in model.fields
        if item.managed == "counted" and item not in assigned
    ]
    return [f"{name} = {table}.{name} + 1" for name in names]
