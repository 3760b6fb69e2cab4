"""The SQL of expressions and accumulators: arithmetic, text functions, dates, statistics.

Casts in a SELECT clip what does not fit and only warn, so whatever has to fit is compared first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from dataflow_core.compile import CALL_TABLE, BaseCompiler, Build, Codec, Render
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.expressions import Call
from dataflow_core.types import (
    Binary,
    Boolean,
    Date,
    Decimal,
    FieldType,
    Float,
    Integer,
    Text,
    Time,
    Timestamp,
    Uuid,
)
from dataflow_mysql.columns import storage_codec
from dataflow_mysql.types import MYSQL, Variant, codec, plain_type

__all__ = ["MySQLExpressions", "text_literal"]

_NULLS: Final[dict[type[FieldType], str]] = {
    Float: "CAST(NULL AS DOUBLE)",
    Binary: "CAST(NULL AS BINARY)",
    Timestamp: "CAST(NULL AS DATETIME(6))",
    Date: "CAST(NULL AS DATE)",
    Time: "CAST(NULL AS TIME(6))",
}
_LARGEST: Final = 2**63 - 1
_SHRUNK: Final = "18446744073709551616e0"
"""A power of 2, by which floats are divided exactly."""
_TINY: Final = repr(2.0**600).replace("+", "")
"""Another one, that makes the squares of all floats fit."""
_FARTHEST: Final = 2**32
"""Beyond the end of every text."""
_SHORT: Final = 80
"""What may stand in a statement several times over: the name of a column."""

_STARTS: Final = {
    "year": "%Y-01-01",
    "month": "%Y-%m-01",
    "day": "%Y-%m-%d",
    "hour": "%Y-%m-%d %H:00:00",
    "minute": "%Y-%m-%d %H:%i:00",
    "second": "%Y-%m-%d %H:%i:%s",
}
_FIRST_DAY: Final = 366
"""``TO_DAYS`` of the first day of the calendar."""


def text_literal(text: str) -> str:
    """A text as a literal that every mode of the session reads alike.

    One server's catalogue keeps no character beyond the basic plane, another one's nothing but
    ASCII, and no quote in a hexadecimal literal.
    """
    if "\\" in text or not text.isascii():
        return f"CONVERT(UNHEX('{text.encode().hex()}') USING utf8mb4)"
    return "'" + text.replace("'", "''") + "'"


def _within(sql: str, kind: Decimal) -> str:
    """A number, or an error if it has more whole digits than the type."""
    limit = 10 ** (kind.precision - kind.scale)
    return f"CASE WHEN ABS({sql}) >= {limit} THEN {_overflow(sql)} ELSE {sql} END"


def _overflow(sql: str) -> str:
    """An int that is out of range, whatever it is made of; unlike a constant, never too early."""
    return f"{_LARGEST} + CHAR_LENGTH({sql})"


def _bands(sql: str) -> tuple[str, str]:
    """The sum of the largest floats, divided, and that of the others.

    Added to each other by magnitude, large ones that cancel out leave the small ones as they are;
    and the servers' own answer to a sum that overflows is 0.
    """
    tests = {
        f"ABS({sql}) >= 1e30": f"{sql} / {_SHRUNK}",
        f"ABS({sql}) >= 1e15 AND ABS({sql}) < 1e30": sql,
        f"ABS({sql}) < 1e15": sql,
    }
    largest, large, small = (
        f"COALESCE(SUM(CASE WHEN {test} THEN {value} END), 0e0)" for test, value in tests.items()
    )
    return largest, f"({large} + {small})"


def _exact(render: Render) -> Render:
    """A function whose result has to fit, if it is a Decimal."""

    def rendered(compiler: BaseCompiler, node: Call, build: Build) -> str:
        text = render(compiler, node, build)
        return _within(text, node.type) if isinstance(node.type, Decimal) else text

    return rendered


class MySQLExpressions(BaseCompiler):
    """Spells expressions. ``variant`` is what differs from one server to the next."""

    variant: ClassVar[Variant] = MYSQL
    calls: ClassVar[dict[str, Render]] = {
        **CALL_TABLE,
        **{
            name: _exact(CALL_TABLE[name]) for name in ("add", "subtract", "multiply", "mod", "abs")
        },
    }

    def codec(self, kind: FieldType) -> Codec:
        """How values of a type travel."""
        stored = None if kind.storage is None else storage_codec(kind)
        return stored or codec(kind, self.variant.json_depth)

    def collated(self, sql: str) -> str:
        """A text that compares by code point, whatever the connection does."""
        return f"{sql} COLLATE {self.variant.collation}"

    def typed(self, text: str, kind: FieldType) -> str:
        """A literal that has its type and its collation from itself."""
        kind = plain_type(kind)
        if isinstance(kind, Uuid):
            return f"CONVERT({text} USING ascii) COLLATE ascii_bin"
        null = text == "NULL"
        if isinstance(kind, Text):
            return self.collated(f"CONVERT({text} USING utf8mb4)" if null else text)
        if isinstance(kind, Integer | Boolean):
            # A bare int would be a position in some clauses.
            return f"CAST({text} AS SIGNED)"
        if isinstance(kind, Decimal) and (null or not kind.scale):
            # Without a point in it, it would be an int.
            return f"CAST({text} AS DECIMAL({kind.precision},{kind.scale}))"
        return _NULLS.get(type(kind), text) if null else text

    def zero(self, kind: FieldType) -> str:
        """0 with its type."""
        if isinstance(kind, Decimal):
            return f"0.{'0' * kind.scale}" if kind.scale else "CAST(0 AS DECIMAL(38,0))"
        return "0e0" if isinstance(kind, Float) else "0"

    def convert(self, sql: str, source: FieldType, target: FieldType) -> str:
        """Numbers of one type as another; a Decimal is rounded, and has to fit."""
        if source == target or not target.numeric or not source.numeric:
            return sql
        if isinstance(target, Float):
            return f"CAST({sql} AS DOUBLE)"
        if not isinstance(target, Decimal):
            return sql
        digits = 19
        if isinstance(source, Decimal):
            digits = source.precision - source.scale
            if source.scale > target.scale:
                sql, digits = f"ROUND({sql}, {target.scale})", digits + 1
        if digits > target.precision - target.scale:
            sql = _within(sql, target)
        self.representable(target)
        return f"CAST({sql} AS DECIMAL({target.precision},{target.scale}))"

    def representable(self, kind: Decimal) -> None:
        """Refuse a Decimal with more digits after the point than the server keeps."""
        if kind.scale > self.variant.scale:
            reason = f"the server keeps at most {self.variant.scale} digits after the point"
            raise UnsupportedFeature(
                f"a Decimal of {kind.scale} digits after the point: {reason}",
                feature="types.decimal.wide",
                dialect=self.name,
                reason=reason,
            )

    def arithmetic(self, function: str, sides: Sequence[str], kind: FieldType) -> str:
        """The server's own: it refuses ints and floats that overflow."""
        if function == "subtract" and isinstance(kind, Integer):
            return self.variant.difference.format(left=sides[0], right=sides[1])
        if function not in ("ceil", "floor"):
            return super().arithmetic(function, sides, kind)
        if isinstance(kind, Integer):
            return sides[0]
        text = super().arithmetic(function, sides, kind)
        return f"CAST({text} AS DECIMAL(38,0))" if isinstance(kind, Decimal) else text

    def multiply(self, sides: Sequence[tuple[str, FieldType]], kind: FieldType) -> str:
        """Scales add up, as those of the types do."""
        if isinstance(kind, Decimal):
            self.representable(kind)
        return super().multiply(sides, kind)

    # Text

    def concat(self, parts: Sequence[str]) -> str:
        """Texts joined; NULL if one is."""
        return f"CONCAT({', '.join(parts)})"

    def folded(self, sql: str) -> str:
        """Text in lower case."""
        return self._cased(sql, lower=True)

    def uppered(self, sql: str) -> str:
        """Text in upper case."""
        return self._cased(sql, lower=False)

    def _cased(self, sql: str, *, lower: bool) -> str:
        casing = self.variant.lower if lower else self.variant.upper
        start = self.collated(f"CONVERT({sql} USING utf8mb4)")
        text = casing.spelt(start, self.variant.collation)
        if len(sql) <= _SHORT:
            # Most texts hold no letter that the server has its own idea of.
            plain = f"{casing.function}({start})"
            text = f"CASE WHEN LENGTH({sql}) = CHAR_LENGTH({sql}) THEN {plain} ELSE {text} END"
        return self.collated(f"({text})")

    def substring(self, sql: str, start: str, count: str) -> str:
        """NULL for a negative start or count: the server would count from the end."""
        first = f"LEAST({start}, {_FARTHEST}) + 1"
        return (
            f"CASE WHEN {start} >= 0 AND {count} >= 0"
            f" THEN SUBSTRING({sql}, {first}, LEAST({count}, {_FARTHEST})) END"
        )

    def null_safe(self, left: str, right: str, *, equal: bool) -> str:
        """Equality where NULL equals NULL."""
        text = f"({left} <=> {right})"
        return text if equal else f"(NOT {text})"

    # Dates

    def date_part(self, part: str, sql: str, kind: FieldType) -> str:
        """A function of its own for every part."""
        # One of them is unsigned, and what is less than 0 then an error.
        return f"CAST({part.upper()}({sql}) AS SIGNED)"

    def truncate(self, unit: str, sql: str, kind: FieldType) -> str:
        """The start of a unit; a week starts on Sunday, the first one with the calendar."""
        target = "DATE" if isinstance(kind, Date) else "DATETIME(6)"
        if unit == "week":
            days = f"LEAST(DAYOFWEEK({sql}) - 1, TO_DAYS({sql}) - {_FIRST_DAY})"
            start = f"DATE_SUB(DATE({sql}), INTERVAL {days} DAY)"
        elif unit == "quarter":
            month = f"ELT(QUARTER({sql}), '01', '04', '07', '10')"
            start = f"CONCAT(DATE_FORMAT({sql}, '%Y-'), {month}, '-01')"
        else:
            start = f"DATE_FORMAT({sql}, '{_STARTS[unit]}')"
        return f"CAST({start} AS {target})"

    # Accumulators

    def total(self, sql: str, source: FieldType, target: FieldType) -> str:
        """Exact for ints and Decimals; what does not fit is an error."""
        if isinstance(target, Float):
            largest, rest = _bands(sql)
            return f"({largest} * {_SHRUNK} + {rest})"
        if isinstance(target, Decimal):
            return f"COALESCE({_within(f'SUM({sql})', target)}, {self.zero(target)})"
        # The sum of ints is a Decimal; the division gives an int, or an error if it is too large.
        return f"COALESCE(SUM({sql}) DIV 1, 0)"

    def average(self, sql: str) -> str:
        """The mean of floats."""
        (largest, rest), count = _bands(sql), f"NULLIF(COUNT({sql}), 0)"
        return f"({largest} / {count} * {_SHRUNK} + {rest} / {count})"

    def exact_average(self, sql: str, source: FieldType) -> str:
        """The exact sum, a Decimal, divided as a float."""
        return f"(CAST(SUM({sql}) AS DOUBLE) / NULLIF(COUNT({sql}), 0))"

    def statistic(self, function: str, sql: str) -> str:
        """Of large floats the variance overflows, which one server passes over: made small first.

        There is no median within a group: it is looked up in a list.
        """
        largest = f"MAX(ABS({sql}))"
        if function != "median":
            name = "VAR_POP" if function == "stdDevPop" else "VAR_SAMP"
            small = f"SQRT({name}({sql} / {_TINY}) * {_TINY} * {_TINY})"
            # One server computes both, whichever is asked for.
            plain = f"SQRT({name}(CASE WHEN ABS({sql}) < 1e100 THEN {sql} END))"
            return f"CASE WHEN {largest} >= 1e100 THEN {small} ELSE {plain} END"
        listed = f"GROUP_CONCAT({sql} ORDER BY {sql} SEPARATOR ',')"
        half = f"COUNT({sql}) DIV 2 + 1"
        # The one in the middle, or the two.
        count = f"MOD(COUNT({sql}), 2) - 2"
        pair = f"SUBSTRING_INDEX(SUBSTRING_INDEX({listed}, ',', {half}), ',', {count})"
        low, high = (f"CAST(SUBSTRING_INDEX({pair}, ',', {at}) AS DOUBLE)" for at in (1, -1))
        middle = (
            f"CASE WHEN {largest} < 1e300 THEN ({low} + {high}) / 2 ELSE {low} / 2 + {high} / 2 END"
        )
        return self._whole(listed, middle)

    def _whole(self, listed: str, text: str) -> str:
        """What is made of a list, or an error if the list may have been cut."""
        longest = "LEAST(@@group_concat_max_len, @@max_allowed_packet) - 2"
        return f"CASE WHEN LENGTH({listed}) >= {longest} THEN {_overflow(listed)} ELSE {text} END"

    def collected(self, sql: str, kind: FieldType, *, distinct: bool) -> str:
        """A JSON list. The server's own function for it knows no order, or cuts."""
        order = sql if distinct else self.quote("__rank")
        word = "DISTINCT " if distinct else ""
        element = _element(sql, kind)
        if element != sql:
            element = self.collated(f"CONVERT({element} USING utf8mb4)")
        listed = f"GROUP_CONCAT({word}{element} ORDER BY {order} SEPARATOR ',')"
        return self._whole(listed, f"COALESCE(CONCAT('[', {listed}, ']'), '[]')")


def _element(sql: str, kind: FieldType) -> str:
    """A value as JSON; the codec of lists reads it."""
    kind = plain_type(kind)
    if isinstance(kind, Boolean):
        return f"CASE WHEN {sql} THEN 'true' WHEN NOT {sql} THEN 'false' END"
    if isinstance(kind, Integer | Float):
        # Any function that makes a text of a float cuts long ones.
        return sql
    if isinstance(kind, Text):
        return f"JSON_QUOTE({sql})"
    text = f"HEX({sql})" if isinstance(kind, Binary) else f"CAST({sql} AS CHAR)"
    return f"CONCAT('\"', {text}, '\"')"
