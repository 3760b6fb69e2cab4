"""Random filter documents over given fields: right in type most of the time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from dataflow_core.conformance.everything import DOCUMENTS, TEXTS, values_of
from dataflow_core.conformance.random_expressions import RandomExpressions
from dataflow_core.schema import Field
from dataflow_core.types import (
    Boolean,
    Decimal,
    Enumeration,
    Float,
    Integer,
    Json,
    Text,
    Timestamp,
)

__all__ = ["RandomFilters"]

_PATHS: Final = (
    "a",
    "a.b",
    "a.0",
    "a.c",
    "list",
    "list.0",
    "x y",
    'quo"te',
    "ключ",
    "0",
    "b.a.0",
    "no",
)
_JSON_SCALARS: Final = (
    1,
    2,
    1.0,
    1.5,
    0,
    3,
    2**53 + 1,
    "x",
    "1",
    "",
    "á",
    "😀",
    "значение",
    "a%b",
    True,
    False,
    "zero",
)
_PIECES: Final = (
    "a",
    "A",
    "b",
    "á",
    "ß",
    "z",
    " ",
    "%",
    "_",
    "😀",
    "0",
    "1",
    "\\$",
    "\\.",
    "\\|",
    "'",
)
_CLASSES: Final = (".", "[a-z]", "[A-Z0-9]", "[^a]", "\\d", "\\w", "[áß😀]", "[ %_]")
_TYPE_NAMES: Final = (
    "int",
    "string",
    "double",
    "decimal",
    "bool",
    "date",
    "uuid",
    "null",
    "number",
)

Make = Callable[["RandomFilters", Field], Any]


class RandomFilters:
    """Makes filters; every choice comes from ``rng``."""

    def __init__(self, rng: random.Random, fields: Sequence[Field]) -> None:
        self.rng = rng
        self.fields = [item for item in fields if not item.name.startswith("approx_")]
        self.expressions = RandomExpressions(rng, self.fields)

    def document(self, depth: int = 0) -> dict[str, Any]:
        """A filter, sometimes empty, sometimes nested."""
        rng = self.rng
        roll = rng.random()
        if not self.fields or (depth == 0 and roll < 0.05):
            return {}
        if depth < 3 and roll < 0.25:
            items = [self.document(depth + 1) for _ in range(rng.randint(1, 3))]
            return {rng.choice(("$and", "$or", "$nor")): items}
        if depth < 3 and roll < 0.30:
            return {"$not": self.document(depth + 1)}
        if roll < 0.36:
            test = self.expressions.test(2)
            if test is not None:
                return {"$expr": test}
        if roll < 0.50 and depth < 3:
            return {**self.condition(), **self.condition()}
        return self.condition()

    def condition(self) -> dict[str, Any]:
        """One field, or one place inside JSON, and what is asked of it."""
        item = self.rng.choice(self.fields)
        if isinstance(item.type, Json):
            return self._json_condition(item)
        return {item.name: self._operand(item)}

    def _operand(self, item: Field) -> Any:
        rng = self.rng
        if rng.random() < 0.2:
            return self.value(item, null=0.2)
        makers = _makers(item)
        first = rng.choice(list(makers))
        operators = {first: makers[first](self, item)}
        if first == "$regex" and rng.random() < 0.4:
            operators["$options"] = "i"
        if rng.random() < 0.15:
            second = rng.choice(list(makers))
            if second not in operators and second != "$regex":
                operators[second] = makers[second](self, item)
        if rng.random() < 0.12:
            return {"$not": operators}
        return operators

    def value(self, item: Field, *, null: float = 0.05) -> Any:
        """A value to compare the field with, now and then of another numeric type."""
        rng = self.rng
        if rng.random() < null:
            return None
        value = rng.choice(values_of(item.name, item.type))
        if rng.random() < 0.15:
            if isinstance(item.type, Integer) and abs(value) < 2**53:
                return rng.choice((float(value), value + 0.5))
            if isinstance(item.type, Decimal):
                return rng.choice((1, 0, -1, 0.5, 2.25))
            if isinstance(item.type, Float):
                return rng.choice((1, 0, -1, 2**40))
            if isinstance(item.type, Timestamp):
                return value.isoformat()
        return value

    def members(self, item: Field) -> list[Any]:
        """A list of values for ``$in``."""
        return [self.value(item, null=0.1) for _ in range(self.rng.choice((0, 1, 2, 3, 3, 9)))]

    def text(self) -> str:
        """A piece of one of the texts."""
        text = self.rng.choice(TEXTS)
        if len(text) > 1 and self.rng.random() < 0.5:
            start = self.rng.randrange(len(text))
            text = text[start : start + self.rng.randint(1, 3)]
        return text

    def like(self) -> str:
        """A pattern of pieces, wildcards and escaped characters."""
        parts = [
            self.rng.choice(("%", "_", "|%", "|_", "||", *"aAbáß 😀", self._like_literal()))
            for _ in range(self.rng.randint(0, 4))
        ]
        return "".join(parts)

    def _like_literal(self) -> str:
        return self.text().replace("|", "||").replace("%", "|%").replace("_", "|_")

    def regex(self) -> str:
        """A pattern of the portable subset that cannot backtrack far."""
        rng = self.rng
        parts = [self._regex_part() for _ in range(rng.randint(1, 3))]
        body = "".join(parts)
        if rng.random() < 0.15:
            body = f"({body}|{rng.choice(_PIECES)})"
        start = "^" if rng.random() < 0.35 else ""
        end = "$" if rng.random() < 0.35 else ""
        return f"{start}{body}{end}"

    def _regex_part(self) -> str:
        rng = self.rng
        piece = rng.choice(_PIECES if rng.random() < 0.7 else _CLASSES)
        if rng.random() < 0.15:
            piece += rng.choice(("*", "+", "?", "{2}", "{1,2}"))
        return piece

    def _json_condition(self, item: Field) -> dict[str, Any]:
        rng = self.rng
        name = item.name
        if isinstance(item.type, Json) and item.type.shape != "array":
            name = f"{name}.{rng.choice(_PATHS)}" if rng.random() < 0.85 else name
        elif rng.random() < 0.25:
            name = f"{name}.{rng.randint(0, 2)}"
        roll = rng.random()
        if roll < 0.1:
            return {name: None}
        if roll < 0.2:
            return {name: rng.choice((*DOCUMENTS, [1, 2, 3], ["x", "y"], [], {"b": 1}))}
        if roll < 0.35:
            return {name: self._scalar(item)}
        operator = rng.choice(_JSON_OPERATORS)
        return {name: {operator: self._json_operand(operator, item)}}

    def _scalar(self, item: Field) -> Any:
        kind = item.type.item if isinstance(item.type, Json) else None
        if kind is not None and not isinstance(kind, Json) and self.rng.random() < 0.8:
            return self.rng.choice(values_of("", kind)) if isinstance(kind, Integer | Text) else 1
        return self.rng.choice(_JSON_SCALARS)

    def _json_operand(self, operator: str, item: Field) -> Any:
        rng = self.rng
        if operator in ("$exists", "$null"):
            return rng.random() < 0.5
        if operator in ("$in", "$nin", "$all"):
            return [self._scalar(item) for _ in range(rng.randint(0, 3))]
        if operator == "$size":
            return rng.randint(0, 3)
        if operator == "$elemMatch":
            low, high = rng.choice(((0, 2), (1, 3), ("a", "x"), ("", "b")))
            return rng.choice(
                ({"$gte": low, "$lt": high}, {"$eq": self._scalar(item)}, {"$ne": low})
            )
        if operator in ("$gt", "$gte", "$lt", "$lte"):
            return rng.choice((0, 1, 1.5, 2, "a", "x", ""))
        if operator == "$not":
            return {"$eq": self._scalar(item)}
        if operator in ("$startswith", "$endswith", "$icontains", "$like", "$regex"):
            return {"$like": self.like, "$regex": self.regex}.get(operator, self.text)()
        return self._scalar(item)


_JSON_OPERATORS: Final = (
    "$eq",
    "$ne",
    "$gt",
    "$gte",
    "$lt",
    "$lte",
    "$in",
    "$nin",
    "$all",
    "$size",
    "$elemMatch",
    "$exists",
    "$null",
    "$contains",
    "$not",
    "$startswith",
    "$endswith",
    "$icontains",
    "$like",
    "$regex",
)

_value: Make = lambda maker, item: maker.value(item)  # noqa: E731
_flag: Make = lambda maker, item: maker.rng.random() < 0.5  # noqa: E731
_members: Make = lambda maker, item: maker.members(item)  # noqa: E731
_text: Make = lambda maker, item: maker.text()  # noqa: E731


def _between(maker: RandomFilters, item: Field) -> Any:
    return [maker.value(item, null=0), maker.value(item, null=0)]


def _modulo(maker: RandomFilters, item: Field) -> Any:
    return [maker.rng.choice((2, 3, -3, 7, 1)), maker.rng.choice((0, 1, -1, 2))]


def _mask(maker: RandomFilters, item: Field) -> Any:
    return maker.rng.choice((0, 1, 2, 5, 7, 2**31, [0], [1, 3], [62], []))


_COMMON: Final[dict[str, Make]] = {
    "$eq": _value,
    "$ne": _value,
    "$in": _members,
    "$nin": _members,
    "$exists": _flag,
    "$null": _flag,
    "$type": lambda maker, item: maker.rng.choice(_TYPE_NAMES),
}
_ORDERED: Final[dict[str, Make]] = {
    "$gt": _value,
    "$gte": _value,
    "$lt": _value,
    "$lte": _value,
    "$between": _between,
}
_TEXT: Final[dict[str, Make]] = {
    **dict.fromkeys(
        ("$startswith", "$istartswith", "$endswith", "$iendswith", "$contains", "$icontains"), _text
    ),
    "$like": lambda maker, item: maker.like(),
    "$ilike": lambda maker, item: maker.like(),
    "$regex": lambda maker, item: maker.regex(),
}
_INTEGER: Final[dict[str, Make]] = {
    "$mod": _modulo,
    **dict.fromkeys(("$bitsAllSet", "$bitsAnySet", "$bitsAllClear", "$bitsAnyClear"), _mask),
}


def _makers(item: Field) -> dict[str, Make]:
    makers = {**_COMMON, **_ORDERED}
    kind = item.type.base if isinstance(item.type, Enumeration) else item.type
    if isinstance(kind, Boolean):
        return _COMMON
    if isinstance(kind, Text):
        makers |= _TEXT
    elif isinstance(kind, Integer):
        makers |= _INTEGER
    return makers
