"""The SQL of expressions. Arguments are converted to one type, so no database chooses its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dataflow_core.compile.build import Build, Render
from dataflow_core.compile.predicates import SIGNS, joined
from dataflow_core.errors import LimitExceeded
from dataflow_core.expressions.ast import Call, Expression, FieldValue, Literal, Null
from dataflow_core.expressions.functions import CALLS, common_type
from dataflow_core.types import Boolean, Float

if TYPE_CHECKING:
    from dataflow_core.compile.base import BaseCompiler

__all__ = ["CALL_TABLE", "condition", "converted", "expression_sql"]

LONGEST: Final = 100_000
"""The most characters of an expression. What asks for NULL repeats its arguments, so the text of
nested ones doubles at every level."""


def expression_sql(compiler: BaseCompiler, node: Expression, build: Build) -> str:
    """The SQL of an expression, in the type that the tree says."""
    if isinstance(node, FieldValue):
        return compiler.column_value(build.column(node.field), node.field.type)
    if isinstance(node, Literal):
        return compiler.typed(build.bind(node.slot), node.slot.type)
    if isinstance(node, Null):
        return compiler.typed("NULL", node.type)
    build.need(CALLS[node.function].feature)
    text = compiler.calls[node.function](compiler, node, build)
    if len(text) > LONGEST:
        raise LimitExceeded(
            f"${node.function}: the expression is too long for a statement: its parts stand in it"
            " several times; nest comparisons and choices less deep",
            limit=LONGEST,
        )
    return text


def converted(compiler: BaseCompiler, node: Expression, build: Build, target: object) -> str:
    """The SQL of an expression as a value of another type."""
    return compiler.convert(expression_sql(compiler, node, build), node.type, target)  # type: ignore[arg-type]


def condition(compiler: BaseCompiler, node: Expression, build: Build) -> str:
    """A condition that is never NULL: null, false and 0 are false, as in MongoDB."""
    text = expression_sql(compiler, node, build)
    if isinstance(node, Call) and isinstance(node.type, Boolean) and node.function in _NEVER_NULL:
        return text
    if isinstance(node.type, Boolean):
        return f"({text} IS NOT NULL AND {text})"
    if node.type.numeric:
        zero = compiler.zero(node.type)
        return f"({text} IS NOT NULL AND {text} <> {zero})"
    return f"({text} IS NOT NULL)"


_NEVER_NULL: Final = ("eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not")


def _nullable(node: Expression) -> bool:
    if isinstance(node, FieldValue):
        return node.field.nullable
    return not isinstance(node, Literal)


def _arithmetic(compiler: BaseCompiler, node: Call, build: Build) -> str:
    if node.function == "multiply":
        # Scales add up, so every factor keeps its own.
        parts = [
            (expression_sql(compiler, item, build), item.type)
            if type(item.type) is type(node.type)
            else (converted(compiler, item, build, node.type), node.type)
            for item in node.arguments
        ]
        return compiler.multiply(parts, node.type)
    # The whole number of a Decimal has another scale than what it is made of.
    whole = node.function in ("ceil", "floor")
    kind = node.arguments[0].type if whole else node.type
    sides = [converted(compiler, item, build, kind) for item in node.arguments]
    result = sides[0]
    if len(sides) == 1 and node.function == "add":
        return result
    if len(sides) == 1:
        return compiler.arithmetic(node.function, [result], kind)
    for side in sides[1:]:
        result = compiler.arithmetic(node.function, [result, side], kind)
    return result


def _divide(compiler: BaseCompiler, node: Call, build: Build) -> str:
    dividend, divisor = (converted(compiler, item, build, Float()) for item in node.arguments)
    return f"({dividend} / NULLIF({divisor}, 0))"


def _concat(compiler: BaseCompiler, node: Call, build: Build) -> str:
    return compiler.concat([expression_sql(compiler, item, build) for item in node.arguments])


def _fold(compiler: BaseCompiler, node: Call, build: Build) -> str:
    text = expression_sql(compiler, node.arguments[0], build)
    changed = compiler.folded(text) if node.function == "toLower" else compiler.uppered(text)
    return f"COALESCE({changed}, '')"


def _substring(compiler: BaseCompiler, node: Call, build: Build) -> str:
    text, start, count = (expression_sql(compiler, item, build) for item in node.arguments)
    return f"CASE WHEN {text} IS NULL THEN '' ELSE {compiler.substring(text, start, count)} END"


def _length(compiler: BaseCompiler, node: Call, build: Build) -> str:
    return compiler.length(expression_sql(compiler, node.arguments[0], build))


def _cond(compiler: BaseCompiler, node: Call, build: Build) -> str:
    test, then, otherwise = node.arguments
    return _case(compiler, [(test, then)], otherwise, node, build)


def _switch(compiler: BaseCompiler, node: Call, build: Build) -> str:
    pairs = list(zip(node.arguments[:-1:2], node.arguments[1::2], strict=True))
    return _case(compiler, pairs, node.arguments[-1], node, build)


def _case(
    compiler: BaseCompiler,
    pairs: list[tuple[Expression, Expression]],
    otherwise: Expression,
    node: Call,
    build: Build,
) -> str:
    branches = [
        f"WHEN {condition(compiler, test, build)}"
        f" THEN {converted(compiler, then, build, node.type)}"
        for test, then in pairs
    ]
    last = converted(compiler, otherwise, build, node.type)
    return f"CASE {' '.join(branches)} ELSE {last} END"


def _if_null(compiler: BaseCompiler, node: Call, build: Build) -> str:
    parts = [converted(compiler, item, build, node.type) for item in node.arguments]
    return f"COALESCE({', '.join(parts)})"


def _comparison(compiler: BaseCompiler, node: Call, build: Build) -> str:
    """NULL equals NULL and sorts before everything, as MongoDB compares in expressions."""
    kind = common_type(tuple(item.type for item in node.arguments), "")
    left, right = (converted(compiler, item, build, kind) for item in node.arguments)
    left_nullable, right_nullable = (_nullable(item) for item in node.arguments)
    name = node.function
    if not left_nullable and not right_nullable:
        sign = "<>" if name == "ne" else SIGNS[name]
        return f"({left} {sign} {right})"
    if name in ("eq", "ne"):
        return compiler.null_safe(left, right, equal=name == "eq")
    either = f"{left} IS NULL" if name in ("lte",) else f"{right} IS NULL"
    if name in ("lt", "gte"):
        either = f"{right} IS NOT NULL AND {left} IS NULL" if name == "lt" else f"{right} IS NULL"
    elif name == "gt":
        either = f"{left} IS NOT NULL AND {right} IS NULL"
    both = f"{left} IS NOT NULL AND {right} IS NOT NULL AND {left} {SIGNS[name]} {right}"
    return f"(({either}) OR ({both}))"


def _logic(compiler: BaseCompiler, node: Call, build: Build) -> str:
    parts = [condition(compiler, item, build) for item in node.arguments]
    if node.function == "not":
        return f"(NOT {parts[0]})"
    return joined(parts, node.function.upper())


def _date_part(compiler: BaseCompiler, node: Call, build: Build) -> str:
    argument = node.arguments[0]
    return compiler.date_part(
        node.function, expression_sql(compiler, argument, build), argument.type
    )


def _truncate(compiler: BaseCompiler, node: Call, build: Build) -> str:
    unit = node.function.partition(".")[2]
    argument = node.arguments[0]
    return compiler.truncate(unit, expression_sql(compiler, argument, build), argument.type)


def _entry(name: str) -> Render:
    if name.startswith("dateTrunc."):
        return _truncate
    return _NAMED[name]


_NAMED: Final[dict[str, Render]] = {
    **dict.fromkeys(("add", "subtract", "multiply", "mod", "abs", "ceil", "floor"), _arithmetic),
    "divide": _divide,
    "concat": _concat,
    "toLower": _fold,
    "toUpper": _fold,
    "substrCP": _substring,
    "strLenCP": _length,
    "cond": _cond,
    "ifNull": _if_null,
    "switch": _switch,
    **dict.fromkeys(SIGNS, _comparison),
    "ne": _comparison,
    **dict.fromkeys(("and", "or", "not"), _logic),
    **dict.fromkeys(("year", "month", "dayOfMonth", "hour"), _date_part),
}

CALL_TABLE: Final[dict[str, Render]] = {name: _entry(name) for name in CALLS}
"""The SQL of every function; dialects replace entries, or the compiler's methods they call."""
