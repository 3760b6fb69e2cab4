"""The SQL of DuckDB, where it is not that of the base compiler."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dataflow_core.compile import BaseCompiler, Build, Codec, Compiled
from dataflow_core.dialect import (
    JSON_AS_TEXT,
    TIMESTAMP_WITHOUT_ZONE,
    json_condition,
    json_operand,
    json_operands,
)
from dataflow_core.filters import Pattern, Predicate, render_regex
from dataflow_core.operations import CreateMany, Operation, Upsert
from dataflow_core.schema import Field, Model
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
    Time,
    Timestamp,
    Uuid,
)

__all__ = ["DuckDBCompiler", "column_type", "sequence"]

_TYPES: dict[type[FieldType], str] = {
    Float: "DOUBLE",
    Boolean: "BOOLEAN",
    Text: "VARCHAR",
    Binary: "BLOB",
    Timestamp: "TIMESTAMP",
    Date: "DATE",
    Time: "TIME",
    Uuid: "UUID",
    Json: "VARCHAR",
}
_WIDEST = 38


def column_type(kind: FieldType) -> str:
    """The type of a column."""
    if isinstance(kind, Enumeration):
        return column_type(kind.base)
    if isinstance(kind, Decimal):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if isinstance(kind, Integer):
        return "BIGINT" if kind.bits > 32 else "INTEGER"
    return _TYPES[type(kind)]


def value_type(kind: FieldType) -> str:
    """The type of a bound or computed value. Ints have 64 bits, whatever their column has."""
    return "BIGINT" if isinstance(kind, Integer) else column_type(kind)


def sequence(field: Field, model: Model) -> str:
    """The name of the sequence that counts a key."""
    return f"{model.table}_{field.column}_sequence"


def _list_codec(kind: Any) -> Codec:
    """JSON is text; what an aggregate collected comes back as a list of DuckDB's values."""
    if kind.item is None:
        return JSON_AS_TEXT
    decode = DuckDBCompiler({}).codec(kind.item).decode

    def decode_list(stored: Any) -> Any:
        if isinstance(stored, str):
            return json.loads(stored)
        return [item if decode is None or item is None else decode(item) for item in stored]

    return Codec(JSON_AS_TEXT.encode, decode_list)


class DuckDBCompiler(BaseCompiler):
    """Compiles for DuckDB, with the functions that ``driver`` registers."""

    name = "duckdb"
    codecs = {Timestamp: TIMESTAMP_WITHOUT_ZONE, Json: _list_codec}

    def compile(self, operation: Operation) -> Compiled:
        """ON CONFLICT takes two NULLs of one statement for the same; so it gets one row only."""
        compiled = super().compile(operation)
        skips = isinstance(operation, CreateMany) and operation.conflict == "skip"
        if compiled.rows is not None and (skips or isinstance(operation, Upsert)):
            model = operation.model
            unique = {model.by_name[name] for names in model.unique_keys for name in names}
            if any(item.nullable for item in unique):
                compiled.rows.most_rows = 1
        return compiled

    def parameter(self, position: int, kind: FieldType | None) -> str:
        """With its type: DuckDB would take a small int for one of 32 bits."""
        mark = self.placeholder(position)
        if kind is None:
            return mark
        return f"CAST({mark} AS {value_type(kind)})"

    def insert(
        self,
        model: Model,
        columns: Sequence[Field],
        rows: int,
        *,
        tail: str = "",
        back: Sequence[Field] = (),
        flag: str | None = None,
    ) -> str:
        """A key that is given moves the sequence on, so that no later one is the same."""
        text = super().insert(model, columns, rows, tail=tail, back=back, flag=flag)
        for at, item in enumerate(columns):
            if item.generated != "database":
                continue
            name = self.literal(self.quote(sequence(item, model)), None)
            for row in range(rows):
                value = self.parameter(row * len(columns) + at + 1, item.type)
                text = text.replace(value, f"dataflow_key({name}, {value})", 1)
        return text

    def locking(self) -> str:
        """Nothing: there is one connection that writes."""
        return ""

    # Predicates

    def text_match(self, subject: str, node: Pattern, build: Build) -> str:
        """Regular expressions are those of RE2, the rest is plain LIKE."""
        if node.kind != "regex":
            return super().text_match(subject, node, build)

        def rendered(pattern: str) -> str:
            return render_regex(pattern, end=r"\z", ignore_case=node.ignore_case)

        subject = self.folded(subject) if node.ignore_case else subject
        return f"regexp_matches({subject}, {build.bind(node.slot, rendered)})"

    def json_predicate(self, node: Predicate, build: Build) -> str:
        """A condition inside JSON, tested in Python by the filters' own definition."""
        target: Any = getattr(node, "target", None)
        operands = [
            build.bind_as(slot, json_operand(node, slot), Text()) for slot in json_operands(node)
        ]
        condition = self.literal(json_condition(node), None)
        column = build.column(target.field)
        return f"dataflow_json_matches({column}, {condition}, [{', '.join(operands)}]::VARCHAR[])"

    def literal(self, value: Any, kind: FieldType | None) -> str:
        """DuckDB writes bytes as escaped text."""
        if isinstance(value, bytes):
            return "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"
        return super().literal(value, kind)

    # Expressions

    def convert(self, sql: str, source: FieldType, target: FieldType) -> str:
        """Numbers of one type as another."""
        if source == target or not target.numeric:
            return sql
        return f"CAST({sql} AS {value_type(target)})"

    def arithmetic(self, function: str, sides: Sequence[str], kind: FieldType) -> str:
        """A float that overflows is infinite in DuckDB, and an error here."""
        text = super().arithmetic(function, sides, kind)
        if isinstance(kind, Float):
            return f"dataflow_finite({text} + 0.0)"
        if function in ("ceil", "floor"):
            target = Decimal(_WIDEST, 0) if isinstance(kind, Decimal) else kind
            return f"CAST({text} AS {value_type(target)})"
        return f"CAST({text} AS {value_type(kind)})"

    def multiply(self, sides: Sequence[tuple[str, FieldType]], kind: FieldType) -> str:
        """The scales of exact numbers add up; then they are rounded."""
        text = super().multiply(sides, kind)
        if isinstance(kind, Float):
            return f"dataflow_finite({text})"
        return f"CAST({text} AS {value_type(kind)})"

    def folded(self, sql: str) -> str:
        """In Python: DuckDB's own lower() makes i of İ."""
        return f"dataflow_fold({sql})"

    def uppered(self, sql: str) -> str:
        """In Python: DuckDB's own upper() changes ß."""
        return f"dataflow_upper({sql})"

    def length(self, sql: str) -> str:
        """The number of code points."""
        return f"length({sql})"

    def substring(self, sql: str, start: str, count: str) -> str:
        """By code points; positions count from 1."""
        return f"substring({sql}, CAST({start} AS BIGINT) + 1, CAST({count} AS BIGINT))"

    def truncate(self, unit: str, sql: str, kind: FieldType) -> str:
        """A week starts on Sunday here, and on Monday in DuckDB."""
        text = f"date_trunc('{unit}', {sql})"
        if unit == "week":
            day = "INTERVAL 1 DAY"
            text = f"date_trunc('week', CAST({sql} AS TIMESTAMP) + {day}) - {day}"
        return f"CAST({text} AS {column_type(kind)})"

    # Accumulators

    def total(self, sql: str, source: FieldType, target: FieldType) -> str:
        """The sum, exact; of floats with a compensation for what is rounded."""
        if isinstance(target, Float):
            return f"dataflow_finite(COALESCE(fsum({sql}), 0.0))"
        return f"CAST(COALESCE(SUM({sql}), 0) AS {value_type(target)})"

    def average(self, sql: str) -> str:
        """The mean of floats."""
        return f"dataflow_finite(favg({sql}))"

    def statistic(self, function: str, sql: str) -> str:
        """Statistics of floats."""
        return f"MEDIAN({sql})" if function == "median" else super().statistic(function, sql)

    def collected(self, sql: str, kind: FieldType, *, distinct: bool) -> str:
        """A list of DuckDB's values, without NULL."""
        rank = self.quote("__rank")
        text = f"list_sort(list(DISTINCT {sql})" if distinct else f"(list({sql} ORDER BY {rank})"
        return f"COALESCE({text} FILTER (WHERE {sql} IS NOT NULL)), [])"
