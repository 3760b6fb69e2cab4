"""The SQL of expressions and accumulators: arithmetic, text functions, dates, statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from dataflow_core.compile import BaseCompiler
from dataflow_core.dialect import decimal_from_scaled
from dataflow_core.types import Boolean, Decimal, FieldType, Float, Integer, Time
from dataflow_sqlite.functions.conversions import converted
from dataflow_sqlite.functions.decimals import AS_NUMBER
from dataflow_sqlite.types import declared_type

__all__ = ["SQLiteExpressions"]

_WIDE: Final = 38


def _sizes(kind: FieldType) -> tuple[int, int]:
    """Precision and scale, as the decimal functions take them; (0, 0) is an int."""
    if isinstance(kind, Decimal) and kind.storage is not None:
        return AS_NUMBER, kind.scale
    return (kind.precision, kind.scale) if isinstance(kind, Decimal) else (0, 0)


class SQLiteExpressions(BaseCompiler):
    """Spells expressions by the functions that every connection registers."""

    def zero(self, kind: FieldType) -> str:
        """0 as it is stored."""
        if isinstance(kind, Decimal) and kind.storage is None:
            stored = decimal_from_scaled(0, kind.precision)
            return self.literal(stored, None)
        return "0.0" if isinstance(kind, Float) else "0"

    def convert(self, sql: str, source: FieldType, target: FieldType) -> str:
        """Stored forms differ by precision and scale, so Decimals are recoded."""
        if source == target or not target.numeric or not source.numeric:
            return sql
        if isinstance(target, Decimal):
            if isinstance(source, Decimal):
                return _call("dataflow_decimal_recode", sql, *_sizes(source), *_sizes(target))
            return _call("dataflow_int_to_decimal", sql, *_sizes(target))
        if isinstance(target, Float):
            if isinstance(source, Decimal):
                return _call("dataflow_decimal_to_float", sql, *_sizes(source))
            return f"CAST({sql} AS REAL)"
        return sql

    def arithmetic(self, function: str, sides: Sequence[str], kind: FieldType) -> str:
        """By Python functions: SQLite turns an int that overflows into a float."""
        if isinstance(kind, Decimal):
            name = _SHORT.get(function, function)
            arguments: list[object] = []
            for side in sides:
                arguments += [side, *_sizes(kind)]
            result = Decimal(_WIDE, 0) if function in ("ceil", "floor") else kind
            return _call(f"dataflow_decimal_{name}", *arguments, *_sizes(result))
        if function in ("ceil", "floor"):
            return (
                sides[0] if isinstance(kind, Integer) else _call(f"dataflow_{function}", sides[0])
            )
        if function == "abs":
            return _call("dataflow_int_abs" if isinstance(kind, Integer) else "abs", sides[0])
        family = "int" if isinstance(kind, Integer) else "float"
        return _call(f"dataflow_{family}_{_SHORT.get(function, function)}", *sides)

    def multiply(self, sides: Sequence[tuple[str, FieldType]], kind: FieldType) -> str:
        """Scales add up; the last product has the scale of the result."""
        if not isinstance(kind, Decimal):
            family = "int" if isinstance(kind, Integer) else "float"
            result = sides[0][0]
            for sql, _ in sides[1:]:
                result = _call(f"dataflow_{family}_mul", result, sql)
            return result
        result, scale, precision = sides[0][0], _sizes(sides[0][1])[1], _sizes(sides[0][1])[0]
        for at, (sql, factor) in enumerate(sides[1:], start=2):
            last = at == len(sides)
            wanted = _sizes(kind) if last else (_WIDE, scale + _sizes(factor)[1])
            result = _call(
                "dataflow_decimal_mul", result, precision, scale, sql, *_sizes(factor), *wanted
            )
            precision, scale = wanted
        return self.convert(result, Decimal(precision, scale), kind) if len(sides) == 1 else result

    def folded(self, sql: str) -> str:
        """SQLite's own lower() knows ASCII only."""
        return _call("dataflow_fold", sql)

    def uppered(self, sql: str) -> str:
        """SQLite's own upper() knows ASCII only."""
        return _call("dataflow_upper", sql)

    def substring(self, sql: str, start: str, count: str) -> str:
        """Code points from a start that counts from 0."""
        return _call("dataflow_substring", sql, start, count)

    def length(self, sql: str) -> str:
        """The number of code points."""
        return _call("length", sql)

    def null_safe(self, left: str, right: str, *, equal: bool) -> str:
        """IS compares any two values."""
        return f"({left} IS {'' if equal else 'NOT '}{right})"

    def column_value(self, sql: str, kind: FieldType) -> str:
        """Of what others keep, true and false become 1 and 0, numbers among texts become texts."""
        if isinstance(kind, Boolean) and kind.storage is not None:
            true = self.codec(kind).encode
            stored = 1 if true is None else true(True)
            return f"({sql} IN (1, {self.literal(stored, None)}))"
        if kind.storage == "text:numbers":
            return f"CAST({sql} AS TEXT)"
        return sql

    def _own(self, sql: str, kind: FieldType) -> str:
        """A value that others keep, as this project keeps it."""
        return (
            sql if kind.storage is None else str(converted(sql, kind, evolve(kind, storage=None)))
        )

    def date_part(self, part: str, sql: str, kind: FieldType) -> str:
        """A slice of the stored text."""
        sql = self._own(sql, kind)
        start, length = {"year": (1, 4), "month": (6, 2), "dayOfMonth": (9, 2), "hour": (12, 2)}[
            part
        ]
        if isinstance(kind, Time):
            start = 1
        return f"CAST(substr({sql}, {start}, {length}) AS INTEGER)"

    def truncate(self, unit: str, sql: str, kind: FieldType) -> str:
        """The start of a unit."""
        start = _call("dataflow_date_trunc", self._own(sql, kind), self.literal(unit, None))
        if kind.storage is None:
            return start
        kept = (declared_type(evolve(kind, storage=None)), kind.storage)
        return _call("dataflow_keep", start, *(self.literal(word, None) for word in kept))

    # Accumulators

    def total(self, sql: str, source: FieldType, target: FieldType) -> str:
        """Exact: SQLite's own sum() fails or rounds."""
        if isinstance(target, Decimal):
            zero = self.zero(target)
            return f"COALESCE({_call('dataflow_decimal_sum', sql, *_sizes(source))}, {zero})"
        return _call(f"dataflow_{'int' if isinstance(target, Integer) else 'float'}_sum", sql)

    def average(self, sql: str) -> str:
        """The mean of floats."""
        return _call("dataflow_avg", sql)

    def statistic(self, function: str, sql: str) -> str:
        """Statistics in Python."""
        names = {"stdDevPop": "stddev_pop", "stdDevSamp": "stddev_samp", "median": "median"}
        return _call(f"dataflow_{names[function]}", sql)

    def collected(self, sql: str, kind: FieldType, *, distinct: bool) -> str:
        """A JSON list of stored values, made in Python so that floats stay exact."""
        if distinct:
            return _call("dataflow_collect_set", sql)
        return _call("dataflow_collect", sql, self.quote("__rank"))


_SHORT: Final = {"subtract": "sub", "multiply": "mul"}


def _call(name: str, *arguments: object) -> str:
    return f"{name}({', '.join(map(str, arguments))})"
