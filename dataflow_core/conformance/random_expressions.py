"""Random expressions of a wanted type over given fields.

Whether an expression leaves the range of its type must not depend on which rows a database looks
at first. So arithmetic keeps away from the fields near the limits, unless ``risky`` says that the
expression is computed for every row.
"""

from __future__ import annotations

import datetime as dt
import decimal
import random
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from dataflow_core.conformance.everything import TEXTS, values_of
from dataflow_core.schema import Field
from dataflow_core.types import (
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

__all__ = ["EDGE", "Kind", "RandomExpressions", "kind_of"]

Kind = Literal["int", "float", "decimal", "text", "bool", "moment", "day", "clock", "uuid", "bytes"]

EDGE: Final = ("number", "extreme", "wide", "id", "_id", "big_")
"""How the names of fields begin whose values may be near the limits of their type."""

_KINDS: Final[dict[type[FieldType], Kind]] = {
    Integer: "int",
    Float: "float",
    Decimal: "decimal",
    Text: "text",
    Boolean: "bool",
    Timestamp: "moment",
    Date: "day",
    Time: "clock",
    Uuid: "uuid",
}
_INTEGERS: Final = (0, 1, -1, 2, 3, 10)
_UNITS: Final = ("year", "quarter", "month", "day")
_FINE_UNITS: Final = ("hour", "minute", "second")
_COMPARISONS: Final = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")


def kind_of(kind: FieldType) -> Kind | None:
    """The kind of expression that a field of this type is; ``None`` for JSON and bytes."""
    return _KINDS.get(type(kind.base if isinstance(kind, Enumeration) else kind))


class RandomExpressions:
    """Makes expressions; every choice comes from ``rng``."""

    def __init__(self, rng: random.Random, fields: Sequence[Field]) -> None:
        self.rng = rng
        self.fields = [
            item
            for item in fields
            if not isinstance(item.type, Json)
            and "." not in item.name
            and not item.name.startswith("approx_")
        ]

    def reference(self, kind: Kind, *, edge: bool = True) -> str | None:
        """A field of the kind, as ``$name``; ``None`` if there is none."""
        names = [
            item.name
            for item in self.fields
            if kind_of(item.type) == kind and (edge or not item.name.startswith(EDGE))
        ]
        return f"${self.rng.choice(names)}" if names else None

    def any_reference(self) -> tuple[Field, str] | None:
        """Some field, with its reference."""
        if not self.fields:
            return None
        item = self.rng.choice(self.fields)
        return item, f"${item.name}"

    def expression(self, kind: Kind, depth: int, *, risky: bool = False) -> Any:
        """An expression of that kind, nested at most ``depth`` deep."""
        if depth <= 0 or self.rng.random() < 0.3:
            return self.leaf(kind, edge=risky)
        make = self.rng.choice(_MAKERS.get(kind, (RandomExpressions._choice,)))
        return make(self, kind, depth - 1, risky)

    def leaf(self, kind: Kind, *, edge: bool) -> Any:
        """A field or a literal."""
        found = self.reference(kind, edge=edge)
        if found is not None and self.rng.random() < 0.75:
            return found
        return self.literal(kind)

    def literal(self, kind: Kind) -> Any:
        """A literal; text that looks like a field is marked as one."""
        rng = self.rng
        if kind == "int":
            return rng.choice(_INTEGERS)
        if kind == "text":
            text = rng.choice(TEXTS)
            return {"$literal": text} if text.startswith("$") or rng.random() < 0.2 else text
        if kind == "decimal":
            return rng.choice(
                (decimal.Decimal("1"), decimal.Decimal("0.5"), decimal.Decimal("-2.25"))
            )
        pools: dict[Kind, tuple[Any, ...]] = {
            "float": (0.0, 1.0, 0.5, -2.5, 10.0),
            "bool": (True, False),
            "moment": values_of("", Timestamp()),
            "day": values_of("", Date()),
            "clock": values_of("", Time()),
            "uuid": values_of("", Uuid()),
        }
        return rng.choice(pools[kind])

    def test(self, depth: int) -> Any:
        """A comparison, or several: for ``$expr``."""
        return (
            self._logic("bool", depth, False)
            if depth and self.rng.random() < 0.3
            else self._compare(depth)
        )

    def _compare(self, depth: int) -> Any:
        found = self.any_reference()
        kind = kind_of(found[0].type) if found else "int"
        if found is None or kind is None:
            return None
        operator = self.rng.choice(_COMPARISONS)
        sides = [found[1], self._side(kind, depth)]
        self.rng.shuffle(sides)
        return {operator: sides}

    def _side(self, kind: Kind, depth: int) -> Any:
        roll = self.rng.random()
        if roll < 0.08:
            return None
        if roll < 0.5:
            return self.leaf(kind, edge=True)
        return self.expression(kind, depth)

    def _choice(self, kind: Kind, depth: int, risky: bool) -> Any:
        """A choice by condition: risky parts stay out, since databases differ in what they skip."""
        rng = self.rng
        one, other = self.expression(kind, depth), self.expression(kind, depth)
        roll = rng.random()
        if roll < 0.3:
            return {"$ifNull": [self.leaf(kind, edge=False), one, other][: rng.randint(2, 3)]}
        test = self._compare(depth)
        if roll < 0.4:
            return {"$cond": {"if": test, "then": one, "else": None}}
        if roll < 0.5:
            return {"$cond": {"if": test, "then": one, "else": other}}
        if roll < 0.7:
            return {"$cond": [test, one, other]}
        branches = [{"case": test, "then": one}, {"case": self._compare(0), "then": other}]
        return {"$switch": {"branches": branches, "default": self.leaf(kind, edge=False)}}

    def _sum(self, kind: Kind, depth: int, risky: bool) -> Any:
        count = self.rng.randint(1, 3)
        return {"$add": [self.expression(kind, depth, risky=risky) for _ in range(count)]}

    def _difference(self, kind: Kind, depth: int, risky: bool) -> Any:
        return {"$subtract": [self.expression(kind, depth, risky=risky) for _ in range(2)]}

    def _product(self, kind: Kind, depth: int, risky: bool) -> Any:
        factor = self.rng.choice(_INTEGERS)
        parts = [self.expression(kind, depth, risky=risky), factor]
        self.rng.shuffle(parts)
        return {"$multiply": parts}

    def _remainder(self, kind: Kind, depth: int, risky: bool) -> Any:
        divisor = self.rng.choice((2, 3, -3, 7, 0))
        return {"$mod": [self.expression(kind, depth, risky=risky), divisor]}

    def _magnitude(self, kind: Kind, depth: int, risky: bool) -> Any:
        return {"$abs": self.expression(kind, depth, risky=risky)}

    def _whole(self, kind: Kind, depth: int, risky: bool) -> Any:
        return {self.rng.choice(("$ceil", "$floor")): self.expression(kind, depth, risky=risky)}

    def _quotient(self, kind: Kind, depth: int, risky: bool) -> Any:
        dividend: Kind = self.rng.choice(("int", "float"))
        return {"$divide": [self.expression(dividend, depth), self.rng.choice((2, 4, 0, -1, 0.5))]}

    def _length(self, kind: Kind, depth: int, risky: bool) -> Any:
        return {"$strLenCP": self.expression("text", depth)}

    def _date_part(self, kind: Kind, depth: int, risky: bool) -> Any:
        function = self.rng.choice(("$year", "$month", "$dayOfMonth", "$hour"))
        source: Kind = self.rng.choice(("moment", "clock" if function == "$hour" else "day"))
        found = self.reference(source)
        return {function: found} if found is not None else self.leaf(kind, edge=False)

    def _truncated(self, kind: Kind, depth: int, risky: bool) -> Any:
        units = (*_UNITS, *_FINE_UNITS) if kind == "moment" else _UNITS
        found: Any = self.reference(kind)
        if found is None:
            found = dt.datetime(2024, 5, 17, 3, 4, 5, tzinfo=dt.UTC) if kind == "moment" else None
        if found is None:
            return self.leaf(kind, edge=False)
        return {"$dateTrunc": {"date": found, "unit": self.rng.choice(units)}}

    def _joined(self, kind: Kind, depth: int, risky: bool) -> Any:
        return {"$concat": [self.expression("text", depth) for _ in range(self.rng.randint(1, 3))]}

    def _case(self, kind: Kind, depth: int, risky: bool) -> Any:
        return {self.rng.choice(("$toLower", "$toUpper")): self.expression("text", depth)}

    def _part(self, kind: Kind, depth: int, risky: bool) -> Any:
        start, count = self.rng.randint(0, 3), self.rng.randint(0, 4)
        return {"$substrCP": [self.expression("text", depth), start, count]}

    def _logic(self, kind: Kind, depth: int, risky: bool) -> Any:
        if self.rng.random() < 0.25:
            return {"$not": [self._truth(depth)]}
        operator = self.rng.choice(("$and", "$or"))
        return {operator: [self._truth(depth) for _ in range(self.rng.randint(1, 3))]}

    def _truth(self, depth: int) -> Any:
        if self.rng.random() < 0.25:
            found = self.any_reference()
            if found is not None:
                return found[1]
        return self._compare(max(depth - 1, 0))

    def _comparison(self, kind: Kind, depth: int, risky: bool) -> Any:
        return self._compare(depth)


Make = Callable[[RandomExpressions, Kind, int, bool], Any]
_NUMERIC: Final[tuple[Make, ...]] = (
    RandomExpressions._sum,
    RandomExpressions._difference,
    RandomExpressions._product,
    RandomExpressions._remainder,
    RandomExpressions._magnitude,
    RandomExpressions._choice,
)
_MAKERS: Final[dict[Kind, tuple[Make, ...]]] = {
    "int": (
        *_NUMERIC,
        RandomExpressions._length,
        RandomExpressions._date_part,
        RandomExpressions._whole,
    ),
    "float": (*_NUMERIC, RandomExpressions._quotient, RandomExpressions._whole),
    "decimal": (*_NUMERIC, RandomExpressions._whole),
    "text": (
        RandomExpressions._joined,
        RandomExpressions._case,
        RandomExpressions._part,
        RandomExpressions._choice,
    ),
    "bool": (RandomExpressions._comparison, RandomExpressions._logic, RandomExpressions._choice),
    "moment": (RandomExpressions._truncated, RandomExpressions._choice),
    "day": (RandomExpressions._truncated, RandomExpressions._choice),
}
