"""The SQL of SQLite, where it is not that of the base compiler."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from attrs import define, field

from dataflow_core.compile import (
    PREDICATES,
    BaseCompiler,
    Build,
    Codec,
    Encode,
    Render,
    listed,
)
from dataflow_core.filters import (
    Bindings,
    JsonPath,
    Membership,
    Modulo,
    Pattern,
    Predicate,
    Scope,
    parse_filter,
)
from dataflow_core.schema import Model
from dataflow_core.types import Binary, Decimal, Enumeration, FieldType, Float, Integer, Time
from dataflow_sqlite.documents import encoder, operands, render
from dataflow_sqlite.regex import check_pattern
from dataflow_sqlite.types import codec, stored_from_scaled

__all__ = ["SQLiteCompiler"]

_WIDE: Final = 38


def _literal(text: str) -> str:
    """A text as a literal of SQL; quotes are doubled."""
    return "'" + text.replace("'", "''") + "'"


def _is(kind: FieldType, *kinds: type[FieldType]) -> bool:
    return isinstance(kind.base if isinstance(kind, Enumeration) else kind, kinds)


def _sizes(kind: FieldType) -> tuple[int, int]:
    """Precision and scale, as the decimal functions take them; (0, 0) is an int."""
    return (kind.precision, kind.scale) if isinstance(kind, Decimal) else (0, 0)


def _membership(compiler: BaseCompiler, node: Membership, build: Build) -> str:
    """A list as one JSON parameter, whatever its length; floats and bytes do not survive JSON."""
    if isinstance(node.target, JsonPath):
        return compiler.json_predicate(node, build)
    column = build.column(node.target)
    # A CHECK takes no subquery.
    if _is(node.slot.type, Float, Binary) or isinstance(build, _LiteralBuild):
        return f"{column} IN ({listed(node.slot, build)})"
    encode = compiler.codec(node.slot.type).encode

    def encode_list(items: list[Any]) -> str:
        stored = items if encode is None else [encode(item) for item in items]
        return json.dumps(stored, ensure_ascii=False)

    return f"{column} IN (SELECT value FROM json_each({build.bind(node.slot, encode_list)}))"


def _modulo(compiler: BaseCompiler, node: Modulo, build: Build) -> str:
    divisor, remainder = build.bind(node.divisor), build.bind(node.remainder)
    return f"{build.column(node.target)} % {divisor} = {remainder}"


@define
class _LiteralBuild(Build):
    """Writes values into the text instead of binding them: a CHECK takes no parameters."""

    values: list[Any] = field(factory=list)

    def bind_index(self, index: int, encode: Encode | None = None) -> str:
        """The stored form of a value as a literal."""
        value = self.values[index]
        stored = value if encode is None else encode(value)
        if isinstance(stored, bytes):
            return f"x'{stored.hex()}'"
        if isinstance(stored, bool | int):
            return str(int(stored))
        return repr(stored) if isinstance(stored, float) else _literal(stored)


class SQLiteCompiler(BaseCompiler):
    """Compiles for SQLite 3.35 and newer, with the functions that every connection registers."""

    name = "sqlite"
    numbered = False
    predicates: ClassVar[dict[type, Render]] = {
        **PREDICATES,
        Membership: _membership,
        Modulo: _modulo,
    }

    def codec(self, kind: FieldType) -> Codec:
        """How values of a type are stored."""
        return codec(kind)

    def placeholder(self, position: int) -> str:
        """Without a number: to look one up takes time that grows with how many there are."""
        return "?"

    def order_item(self, sql: str, *, descending: bool, nullable: bool) -> str:
        """NULL comes first ascending and last descending by itself."""
        return f"{sql} {'DESC' if descending else 'ASC'}"

    def paging(self, limit: str | None, offset: str | None) -> list[str]:
        """OFFSET needs a LIMIT; -1 is none."""
        if offset is None:
            return [] if limit is None else [f"LIMIT {limit}"]
        return [f"LIMIT {limit or '-1'}", f"OFFSET {offset}"]

    def zero(self, kind: FieldType) -> str:
        """0 as it is stored."""
        if isinstance(kind, Decimal):
            stored = stored_from_scaled(0, kind.precision)
            return _literal(stored) if isinstance(stored, str) else str(stored)
        return "0.0" if isinstance(kind, Float) else "0"

    # Predicates

    def text_match(self, subject: str, node: Pattern, build: Build) -> str:
        """LIKE of SQLite ignores case and backtracks, so it is used for nothing."""
        if node.kind == "prefix" and not node.ignore_case:
            return super().text_match(subject, node, build)
        text = build.bind(node.slot, check_pattern if node.kind == "regex" else None)
        flag = "1" if node.ignore_case else "0"
        if node.kind in ("regex", "like"):
            return f"dataflow_{node.kind}({text}, {subject}, {flag})"
        if node.ignore_case:
            subject, text = self.folded(subject), self.folded(text)
        if node.kind == "contains":
            return f"instr({subject}, {text}) > 0"
        if node.kind == "prefix":
            return f"substr({subject}, 1, length({text})) = {text}"
        return f"substr({subject}, -length({text})) = {text}"

    def json_predicate(self, node: Predicate, build: Build) -> str:
        """A condition inside JSON, tested by ``dataflow_json_matches``."""
        target: Any = getattr(node, "target", None)
        values = [build.bind(slot, encoder(node, slot)) for slot in operands(node)]
        arguments = [build.column(target.field), _literal(render(node)), *values]
        return f"dataflow_json_matches({', '.join(arguments)})"

    def literal_predicate(self, model: Model, filter: Mapping[str, Any]) -> str:
        """A filter as SQL without parameters, for a CHECK."""
        bindings = Bindings()
        predicate = parse_filter(filter, Scope.of(model), bindings)
        return self.predicate(predicate, _LiteralBuild(self, values=bindings.values))

    # Expressions

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

    def date_part(self, part: str, sql: str, kind: FieldType) -> str:
        """A slice of the stored text."""
        start, length = {"year": (1, 4), "month": (6, 2), "dayOfMonth": (9, 2), "hour": (12, 2)}[
            part
        ]
        if isinstance(kind, Time):
            start = 1
        return f"CAST(substr({sql}, {start}, {length}) AS INTEGER)"

    def truncate(self, unit: str, sql: str, kind: FieldType) -> str:
        """The start of a unit."""
        return _call("dataflow_date_trunc", sql, _literal(unit))

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
