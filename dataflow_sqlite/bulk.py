"""Many rows at once: upserts that tell how many rows were new."""

from __future__ import annotations

from attrs import evolve

from dataflow_core.compile import OPERATIONS, BaseCompiler, Compiled
from dataflow_core.operations import Upsert

__all__ = ["upsert"]


def upsert(compiler: BaseCompiler, operation: Upsert) -> Compiled:
    """The upsert of the core, but the new rows are counted by their keys.

    A key that SQLite makes is greater than all before, and nobody else writes meanwhile.
    """
    compiled: Compiled = OPERATIONS[Upsert](compiler, operation)
    model = operation.model
    made = [item for item in model.primary_key if item.generated == "database"]
    if compiled.only_inserts or not made or made[0] in operation.columns:
        return compiled
    key, table = compiler.quote(made[0].column), compiler.table(model)
    return evolve(
        compiled,
        existing=None,
        newest=f"SELECT COALESCE(MAX({key}), 0) FROM {table}",
        newer=f"SELECT COUNT(*) FROM {table} WHERE {key} > {compiler.placeholder(1)}",
    )
