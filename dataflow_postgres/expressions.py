"""The SQL of expressions and accumulators: arithmetic, text functions, dates, statistics.

Every number has one of three types: ``bigint``, ``double precision`` or ``numeric``. Ints and
floats are checked by PostgreSQL at every step; a ``numeric`` gets its limits at the end of a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from dataflow_core.compile import CALL_TABLE, SIGNS, BaseCompiler, Build, Render, expression_sql
from dataflow_core.expressions import Call, Expression
from dataflow_core.schema import Field
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    Enumeration,
    FieldType,
    Float,
    Integer,
    Json,
    Text,
    Timestamp,
    Uuid,
)
from dataflow_postgres.columns import storage_of
from dataflow_postgres.types import element_type

__all__ = ["PostgresExpressions", "once"]

_SHORT: Final = 200
"""The most characters of an operand that is written several times."""


def once(template: str, **operands: str) -> str:
    """A template over operands, each computed and written once if it is long.

    ``template`` names them in braces; a brace of the SQL itself is doubled.
    """
    if all(len(sql) <= _SHORT for sql in operands.values()):
        return f"({template.format(**operands)})"
    names = {name: f'"__once"."{name}"' for name in operands}
    columns = ", ".join(f'{sql} AS "{name}"' for name, sql in operands.items())
    return f'(SELECT {template.format(**names)} FROM (SELECT {columns} OFFSET 0) AS "__once")'


# A product or quotient too small for a float is 0, where PostgreSQL raises an error. What may be
# so small is scaled up by 2 ** 1074, the reciprocal of the least float: then it is at most 0.5.
_UP: Final = "2::double precision ^ 537"
_PRODUCT: Final = (
    "CASE WHEN ABS({a}) < 1 AND ABS({b}) < 1 AND (ABS({a}) * {up} < 1 OR ABS({b}) * {up} < 1)"
    " AND ABS(({a} * {up}) * ({b} * {up})) <= 0.5 THEN 0 ELSE {a} * {b} END"
)
_QUOTIENT: Final = (
    "CASE WHEN {b} = 0 THEN NULL"
    " WHEN ABS({a}) < 1 AND ABS({b}) > 1 AND (ABS({a}) * {up} < 1 OR ABS({b}) / {up} > 1)"
    " AND ABS(({a} * {up}) / ({b} / {up})) <= 0.5 THEN 0 ELSE {a} / {b} END"
)


# A float is fraction * 2 ** exponent. In the units of the divisor both are whole numbers, so that
# the remainder is exact.
def _bits(operand: str, wanted: str) -> str:
    """A part of the float called ``operand``, of its sign, its exponent and its fraction."""
    return (
        f"(SELECT {wanted} FROM (SELECT b.bits & 4503599627370495 AS low,"
        " (b.bits >> 52) & 2047 AS high FROM (SELECT"
        f" ('x' || ENCODE(FLOAT8SEND(ABS({{{operand}}})), 'hex'))::bit(64)::bigint AS bits)"
        " AS b) AS f)"
    )


_FRACTION: Final = "CASE WHEN f.high = 0 THEN f.low ELSE f.low + 4503599627370496 END"
_EXPONENT: Final = "GREATEST(f.high, 1)"
_REMAINDER: Final = (
    "CASE WHEN {b} = 0 OR {a} IS NULL OR {b} IS NULL THEN NULL"
    " WHEN ABS({a}) < ABS({b}) OR {a} = 0 THEN {a} ELSE"
    " SIGN({a}) * (SELECT MOD(p.f * 2::numeric ^ (p.e - p.g), p.d)::double precision"
    " * 2::double precision ^ (p.g - 1075) FROM ("
    f"SELECT {_bits('a', _FRACTION)} AS f, {_bits('a', _EXPONENT)} AS e,"
    f" {_bits('b', _FRACTION)} AS d, {_bits('b', _EXPONENT)} AS g) AS p)"
    " END"
)


def _numeric(node: Expression) -> bool:
    kind = node.type.base if isinstance(node.type, Enumeration) else node.type
    return isinstance(kind, Decimal)


def _cast(sql: str, kind: Decimal) -> str:
    return f"CAST({sql} AS NUMERIC({kind.precision}, {kind.scale}))"


def _arithmetic(compiler: BaseCompiler, node: Call, build: Build) -> str:
    """Decimals are computed exactly; only the result of a call has to fit its type."""
    if not isinstance(node.type, Decimal):
        return CALL_TABLE[node.function](compiler, node, build)
    sides = [expression_sql(compiler, item, build) for item in node.arguments]
    # A whole number stays one until a Decimal is beside it, and could be too large for an int.
    sides = [
        side if _numeric(item) else f"CAST({side} AS NUMERIC)"
        for side, item in zip(sides, node.arguments, strict=True)
    ]
    sign = {"add": " + ", "subtract": " - ", "multiply": " * "}.get(node.function)
    if sign is not None:
        return _cast(sign.join(sides), node.type)
    if node.function == "mod":
        return _cast(f"MOD({sides[0]}, NULLIF({sides[1]}, 0))", node.type)
    return _cast(f"{node.function.upper()}({sides[0]})", node.type)


def _divide(compiler: BaseCompiler, node: Call, build: Build) -> str:
    dividend, divisor = (
        compiler.convert(expression_sql(compiler, item, build), item.type, Float())
        for item in node.arguments
    )
    assert isinstance(compiler, PostgresExpressions)
    return compiler.quotient(dividend, divisor)


def _comparison(compiler: BaseCompiler, node: Call, build: Build) -> str:
    """Decimals are compared as they are: turned into one type, they might not fit it."""
    if not any(_numeric(item) for item in node.arguments):
        return CALL_TABLE[node.function](compiler, node, build)
    left, right = (expression_sql(compiler, item, build) for item in node.arguments)
    name = node.function
    if name in ("eq", "ne"):
        return compiler.null_safe(left, right, equal=name == "eq")
    null = {
        "gt": "{b} IS NULL AND {a} IS NOT NULL",
        "gte": "{b} IS NULL",
        "lt": "{a} IS NULL AND {b} IS NOT NULL",
        "lte": "{a} IS NULL",
    }[name]
    return once(f"({null}) OR COALESCE({{a}} {SIGNS[name]} {{b}}, FALSE)", a=left, b=right)


class PostgresExpressions(BaseCompiler):
    """Spells expressions and accumulators."""

    calls: ClassVar[dict[str, Render]] = {
        **CALL_TABLE,
        **dict.fromkeys(
            ("add", "subtract", "multiply", "mod", "abs", "ceil", "floor"), _arithmetic
        ),
        "divide": _divide,
        **dict.fromkeys((*SIGNS, "ne"), _comparison),
    }

    def typed(self, text: str, kind: FieldType) -> str:
        """A NULL with its type; a text compares by code point though no column is beside it."""
        if text == "NULL":
            text = f"CAST(NULL AS {element_type(kind)})"
        if isinstance(kind, Enumeration):
            kind = kind.base
        if kind.storage is None and isinstance(kind, Text):
            return f'({text} COLLATE "C")'
        return self.column_value(text, kind)

    def column(self, field: Field) -> str:
        """A column in a statement about its table."""
        storage = storage_of(field.type)
        name = self.quote(field.column)
        return storage.value.format(name) if storage is not None and storage.always else name

    def column_value(self, sql: str, kind: FieldType) -> str:
        """A column as a value that functions take, whoever made it."""
        storage = storage_of(kind.base if isinstance(kind, Enumeration) else kind)
        return sql if storage is None else storage.value.format(sql)

    # Numbers

    def convert(self, sql: str, source: FieldType, target: FieldType) -> str:
        """An expression of one type as a value of another."""
        if source == target or not target.numeric:
            return sql
        if isinstance(target, Decimal):
            return _cast(sql, target)
        if isinstance(target, Integer):
            return f"CAST({sql} AS BIGINT)"
        return f"CAST({sql} AS DOUBLE PRECISION)"

    def arithmetic(self, function: str, sides: Sequence[str], kind: FieldType) -> str:
        """``add``, ``subtract``, ``mod``, ``abs``, ``ceil``, ``floor`` of values of one type."""
        if function in ("ceil", "floor") and isinstance(kind, Integer):
            return self.convert(sides[0], kind, Integer())
        if function == "mod" and isinstance(kind, Float):
            return once(_REMAINDER, a=sides[0], b=sides[1])
        return super().arithmetic(function, sides, kind)

    def multiply(self, sides: Sequence[tuple[str, FieldType]], kind: FieldType) -> str:
        """The product of values, each with its type, as a value of ``kind``."""
        if isinstance(kind, Decimal):
            return _cast(" * ".join(sql for sql, _ in sides), kind)
        wide = [self.convert(sql, source, Integer()) for sql, source in sides]
        if isinstance(kind, Integer):
            return f"({' * '.join(wide)})"
        result = sides[0][0]
        for sql, _ in sides[1:]:
            result = once(_PRODUCT, a=result, b=sql, up=f"({_UP})")
        return result

    def quotient(self, dividend: str, divisor: str) -> str:
        """The quotient of floats; NULL for a divisor of 0."""
        return once(_QUOTIENT, a=dividend, b=divisor, up=f"({_UP})")

    # Texts

    def substring(self, sql: str, start: str, count: str) -> str:
        """``count`` code points from ``start``, which counts from 0; NULL if one is negative."""
        return once(
            "CASE WHEN {start} >= 0 AND {count} >= 0 THEN SUBSTRING({text}"
            " FROM LEAST({start}, 1073741823)::integer + 1"
            " FOR LEAST({count}, 1073741823)::integer) END",
            text=sql,
            start=start,
            count=count,
        )

    def length(self, sql: str) -> str:
        """The number of code points."""
        return f"CAST(CHAR_LENGTH({sql}) AS BIGINT)"

    # Dates

    def date_part(self, part: str, sql: str, kind: FieldType) -> str:
        """``year``, ``month``, ``dayOfMonth`` or ``hour`` as an int."""
        moment = f"({sql} AT TIME ZONE 'UTC')" if isinstance(kind, Timestamp) else sql
        return super().date_part(part, moment, kind)

    def truncate(self, unit: str, sql: str, kind: FieldType) -> str:
        """The start of the unit; a week starts on Sunday, the calendar's first one with it."""
        if isinstance(kind, Date):
            if unit == "week":
                return once(
                    "CASE WHEN {day} < DATE '0001-01-07' THEN DATE '0001-01-01' ELSE"
                    " CAST(DATE_TRUNC('week', CAST({day} + 1 AS TIMESTAMP)) AS DATE) - 1 END",
                    day=sql,
                )
            return f"CAST(DATE_TRUNC('{unit}', CAST({sql} AS TIMESTAMP)) AS DATE)"
        if unit == "week":
            return once(
                "CASE WHEN {moment} < TIMESTAMPTZ '0001-01-07 00:00:00+00'"
                " THEN TIMESTAMPTZ '0001-01-01 00:00:00+00' ELSE"
                " DATE_TRUNC('week', {moment} + INTERVAL '24 hours', 'UTC') - INTERVAL '24 hours'"
                " END",
                moment=sql,
            )
        return f"DATE_TRUNC('{unit}', {sql}, 'UTC')"

    # Accumulators

    def total(self, sql: str, source: FieldType, target: FieldType) -> str:
        """The sum, exact; 0 of nothing."""
        if isinstance(target, Float):
            return f"COALESCE({_float_sum(sql)}, 0)"
        if isinstance(target, Decimal):
            return _cast(f"COALESCE(SUM({sql}), 0)", target)
        return f"CAST(COALESCE(SUM({sql}), 0) AS BIGINT)"

    def average(self, sql: str) -> str:
        """The mean of floats."""
        return f"CAST({_numeric_sum(sql)} / NULLIF(COUNT({sql}), 0) AS DOUBLE PRECISION)"

    def exact_average(self, sql: str, source: FieldType) -> str:
        """The exact sum, divided as a float."""
        return f"(CAST(SUM({sql}) AS DOUBLE PRECISION) / NULLIF(COUNT({sql}), 0))"

    def statistic(self, function: str, sql: str) -> str:
        """``stdDevPop``, ``stdDevSamp`` or ``median`` of floats; none of them overflows inside."""
        if function == "median":
            half = f"CASE WHEN ABS({sql}) < 1e-323 THEN {sql} ELSE {sql} * 0.5 END"
            return f"(PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY {half}) * 2)"
        name = "VAR_POP" if function == "stdDevPop" else "VAR_SAMP"
        variance = f"{name}({_digits(sql)})"
        return (
            f"SQRT(CASE WHEN {variance} < 1e-307 THEN 0"
            f" ELSE CAST({variance} AS DOUBLE PRECISION) END)"
        )

    def extreme(self, function: str, sql: str, kind: FieldType) -> str:
        """``min`` or ``max``, of types for which PostgreSQL has none too."""
        kind = kind.base if isinstance(kind, Enumeration) else kind
        if isinstance(kind, Boolean):
            return f"{'BOOL_OR' if function == 'max' else 'BOOL_AND'}({sql})"
        if isinstance(kind, Uuid):
            return f'CAST({function.upper()}(CAST({sql} AS text) COLLATE "C") AS uuid)'
        if isinstance(kind, Binary):
            return f"DECODE({function.upper()}(ENCODE({sql}, 'hex') COLLATE \"C\"), 'hex')"
        if isinstance(kind, Json):
            # A document has no order; of several values only one is there.
            return f"(ARRAY_AGG({sql}) FILTER (WHERE {sql} IS NOT NULL))[1]"
        return super().extreme(function, sql, kind)

    def collected(self, sql: str, kind: FieldType, *, distinct: bool) -> str:
        """The values of a group as a list of JSON, in the order ``__rank`` or, if distinct, sorted.

        As JSON, so that later stages can look into it like into a column.
        """
        element = _element(sql, kind)
        order = element if distinct else self.quote("__rank")
        unique = "DISTINCT " if distinct else ""
        listed = f"ARRAY_AGG({unique}{element} ORDER BY {order}) FILTER (WHERE {sql} IS NOT NULL)"
        return f"COALESCE(TO_JSONB({listed}), '[]'::jsonb)"


def _digits(sql: str) -> str:
    """A float as ``numeric`` with all the digits that tell it from others: a cast keeps 15."""
    return f"CAST(CAST({sql} AS text) AS NUMERIC)"


# Below, a sum of floats is precise enough, and many times as fast.
_LARGE: Final = "1000000000"


def _numeric_sum(sql: str) -> str:
    """The sum of floats as ``numeric``: large ones added exactly, so that they may cancel out."""
    small = f"SUM({sql}) FILTER (WHERE ABS({sql}) < {_LARGE})"
    large = f"SUM({_digits(sql)}) FILTER (WHERE ABS({sql}) >= {_LARGE})"
    return f"(COALESCE({large}, 0) + COALESCE({_digits(small)}, 0))"


def _float_sum(sql: str) -> str:
    return f"CAST({_numeric_sum(sql)} AS DOUBLE PRECISION)"


def _element(sql: str, kind: FieldType) -> str:
    """A value as an element of a list; the order of values is kept."""
    kind = kind.base if isinstance(kind, Enumeration) else kind
    if isinstance(kind, Timestamp):
        return f"({sql} AT TIME ZONE 'UTC')"
    if isinstance(kind, Float):
        # With a digit behind the point, so that it comes back as a float.
        return f"({_digits(sql)} + 0.0)"
    if isinstance(kind, Binary):
        return f"(ENCODE({sql}, 'hex') COLLATE \"C\")"
    if isinstance(kind, Text):
        return f'({sql} COLLATE "C")'
    return sql
