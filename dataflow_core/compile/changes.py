"""The SQL of updates: what is assigned to a column, over the row as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.compile.build import Build, Render
from dataflow_core.compile.expressions import converted
from dataflow_core.updates.ast import (
    Assignment,
    AtLeast,
    AtMost,
    BitChange,
    Clear,
    Compute,
    Increment,
    MoveFrom,
    Multiply,
    SetTo,
)

if TYPE_CHECKING:
    from dataflow_core.compile.base import BaseCompiler

__all__ = ["CHANGES", "assignments_sql"]


def assignments_sql(compiler: BaseCompiler, assignments: Sequence[Assignment], build: Build) -> str:
    """The list after SET."""
    return ", ".join(
        f"{compiler.quote(item.field.column)} = "
        f"{compiler.changes[type(item.change)](compiler, item, build)}"
        for item in assignments
    )


def _set(compiler: BaseCompiler, item: Assignment, build: Build) -> str:
    return build.bind(_change(item).slot)


def _clear(compiler: BaseCompiler, item: Assignment, build: Build) -> str:
    return "NULL"


def _change(item: Assignment) -> Any:
    return item.change


def _or_value(item: Assignment, column: str, otherwise: str, changed: str) -> str:
    """``changed``, or ``otherwise`` where the column is NULL."""
    if not item.field.nullable:
        return changed
    return f"CASE WHEN {column} IS NULL THEN {otherwise} ELSE {changed} END"


def _increment(compiler: BaseCompiler, item: Assignment, build: Build) -> str:
    build.need("updates.arithmetic")
    column, amount = build.column(item.field), build.bind(_change(item).slot)
    return _or_value(
        item, column, amount, compiler.arithmetic("add", [column, amount], item.field.type)
    )


def _multiply(compiler: BaseCompiler, item: Assignment, build: Build) -> str:
    build.need("updates.arithmetic")
    kind = item.field.type
    column, factor = build.column(item.field), build.bind(_change(item).slot)
    product = compiler.multiply([(column, kind), (factor, kind)], kind)
    return _or_value(item, column, compiler.zero(kind), product)


def _extreme(compiler: BaseCompiler, item: Assignment, build: Build) -> str:
    build.need("updates.arithmetic")
    column, bound = build.column(item.field), build.bind(_change(item).slot)
    sign = ">" if isinstance(item.change, AtMost) else "<"
    return f"CASE WHEN {column} IS NULL OR {column} {sign} {bound} THEN {bound} ELSE {column} END"


def _move(compiler: BaseCompiler, item: Assignment, build: Build) -> str:
    source, column = build.column(_change(item).source), build.column(item.field)
    return f"CASE WHEN {source} IS NULL THEN {column} ELSE {source} END"


def _bit(compiler: BaseCompiler, item: Assignment, build: Build) -> str:
    build.need("updates.bits")
    column = build.column(item.field)
    value = f"COALESCE({column}, 0)" if item.field.nullable else column
    mask = build.bind(_change(item).slot)
    operator = _change(item).operator
    if operator == "xor":
        # The bits of either less the bits of both; there is no common sign for it.
        return f"(({value} | {mask}) - ({value} & {mask}))"
    return f"({value} {'&' if operator == 'and' else '|'} {mask})"


def _compute(compiler: BaseCompiler, item: Assignment, build: Build) -> str:
    build.need("updates.expression")
    return converted(compiler, _change(item).expression, build, item.field.type)


CHANGES: Final[dict[type, Render]] = {
    SetTo: _set,
    Clear: _clear,
    Increment: _increment,
    Multiply: _multiply,
    AtMost: _extreme,
    AtLeast: _extreme,
    MoveFrom: _move,
    BitChange: _bit,
    Compute: _compute,
}
"""The SQL of every change but those inside JSON, which are made in Python within a transaction."""
