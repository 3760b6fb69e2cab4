"""The SQL of accumulators within a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dataflow_core.aggregate.ast import Accumulator
from dataflow_core.compile.build import Build
from dataflow_core.compile.expressions import converted, expression_sql
from dataflow_core.compile.needs import ACCUMULATOR_FEATURES
from dataflow_core.types import Float

if TYPE_CHECKING:
    from dataflow_core.compile.base import BaseCompiler

__all__ = ["accumulated"]

_STATISTICS: Final = {"stdDevPop": "STDDEV_POP", "stdDevSamp": "STDDEV_SAMP"}


def accumulated(compiler: BaseCompiler, item: Accumulator, build: Build) -> str:
    """The SQL of one accumulator; NULLs are left out as MongoDB leaves out absent fields."""
    build.need(ACCUMULATOR_FEATURES.get(item.function, "aggregate.group"))
    if item.function == "count" or item.expression is None:
        return "COUNT(*)"
    kind = item.expression.type
    if item.function in _STATISTICS or item.function == "median":
        value = converted(compiler, item.expression, build, Float())
        return compiler.statistic(item.function, value)
    value = expression_sql(compiler, item.expression, build)
    if item.function == "avg":
        if isinstance(kind, Float):
            return compiler.average(value)
        return compiler.exact_average(value, kind)
    if item.function == "sum":
        return compiler.total(value, kind, item.field.type)
    if item.function in ("min", "max"):
        return compiler.extreme(item.function, value, kind)
    if item.function in ("push", "addToSet"):
        return compiler.collected(value, kind, distinct=item.function == "addToSet")
    rank = compiler.quote("__rank" if item.function == "first" else "__rank_back")
    return compiler.extreme("max", f"CASE WHEN {rank} = 1 THEN {value} END", kind)
