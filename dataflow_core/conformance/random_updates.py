"""Random update documents over the model with a field of every type."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from dataflow_core.conformance.everything import values_of
from dataflow_core.conformance.random_expressions import EDGE, RandomExpressions, kind_of
from dataflow_core.schema import Field, Model
from dataflow_core.types import Enumeration, Integer, Json, Text

__all__ = ["RandomUpdates"]

_JSON_PATHS: Final = ("a", "b", "a.b", "list", "new.deep", "x y", "list.0", "a.1")
_FIXED: Final = ("id", "code")


class RandomUpdates:
    """Makes updates; every choice comes from ``rng``."""

    def __init__(self, rng: random.Random, model: Model) -> None:
        self.rng = rng
        self.model = model
        self.fields = [item for item in model.fields if item.name not in _FIXED]
        self.expressions = RandomExpressions(rng, model.fields)

    def document(self) -> dict[str, Any]:
        """One to three changes of different fields."""
        result: dict[str, Any] = {}
        chosen = self.rng.sample(self.fields, self.rng.choice((1, 1, 2, 3)))
        for item in chosen:
            operator, operand, name = self._change(item, {other.name for other in chosen})
            if operator is None:
                result[name] = operand
            else:
                result.setdefault(operator, {})[name] = operand
        return result

    def value(self, item: Field) -> Any:
        """A value to store, or None where the field takes it."""
        if item.nullable and self.rng.random() < 0.15:
            return None
        return self.rng.choice(values_of(item.name, item.type))

    def _change(self, item: Field, taken: set[str]) -> tuple[str | None, Any, str]:
        """Operator, operand and name (a dotted one inside JSON)."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.15:
            return None, self.value(item), item.name
        if roll < 0.25:
            return "$set", self.value(item), item.name
        if roll < 0.32 and item.nullable:
            return "$unset", "", item.name
        if isinstance(item.type, Json):
            return self._json_change(item)
        if roll < 0.40:
            target = self._same_type(item, taken)
            if target is not None and item.nullable:
                return "$rename", target, item.name
        if roll < 0.60:
            computed = self._computed(item)
            if computed is not None:
                return rng.choice((None, "$set")), computed, item.name
        makers = _ordered(item)
        operator = rng.choice(list(makers))
        return operator, makers[operator](self, item), item.name

    def _same_type(self, item: Field, taken: set[str]) -> str | None:
        names = [
            other.name
            for other in self.fields
            if other.type == item.type and other.name not in taken and other.nullable
        ]
        return self.rng.choice(names) if names else None

    def _computed(self, item: Field) -> Any:
        """An expression; arithmetic over the limits too, since every matching row is computed."""
        kind = kind_of(item.type)
        if kind is None or isinstance(item.type, Enumeration):
            return None
        risky = self.rng.random() < 0.15 or item.name.startswith(EDGE)
        document = self.expressions.expression(kind, 2, risky=risky)
        return document if isinstance(document, dict) else None

    def operand(self, item: Field) -> Any:
        """A value of the field's own type, never null."""
        return self.rng.choice(values_of(item.name, item.type))

    def _json_change(self, item: Field) -> tuple[str | None, Any, str]:
        assert isinstance(item.type, Json)
        if item.type.shape != "array":
            return self._document_change(item)
        operator = self.rng.choice(("$push", "$push", "$addToSet", "$pull", "$pullAll", "$pop"))
        return operator, self._array_operand(operator, item.type.item), item.name

    def _document_change(self, item: Field) -> tuple[str | None, Any, str]:
        rng = self.rng
        name = f"{item.name}.{rng.choice(_JSON_PATHS)}"
        roll = rng.random()
        if roll < 0.5:
            value = rng.choice((1, 2.5, "x", "😀", True, None, {"b": 1}, [1, 2], [], {}, 2**53 + 1))
            return "$set", value, name
        if roll < 0.7:
            return "$unset", "", name
        operator = rng.choice(("$push", "$addToSet", "$pull", "$pullAll", "$pop"))
        return operator, self._array_operand(operator, Integer()), name

    def _array_operand(self, operator: str, kind: Any) -> Any:
        rng = self.rng
        pool = (1, 2, 3, 0, 10, -1) if isinstance(kind, Integer) else ("a", "x", "A", "", "😀", "y")
        one = rng.choice(pool)
        several = [rng.choice(pool) for _ in range(rng.randint(0, 3))]
        if operator == "$pop":
            return rng.choice((1, -1))
        if operator == "$pullAll":
            return several
        if operator == "$pull":
            return rng.choice((one, {"$gte": one}, {"$in": several}, {"$ne": one}))
        if operator == "$addToSet":
            return rng.choice((one, {"$each": several}))
        if rng.random() < 0.4:
            return one
        document: dict[str, Any] = {"$each": several}
        for name, values in (
            ("$position", (0, 1, -1, 9)),
            ("$slice", (2, -2, 0)),
            ("$sort", (1, -1)),
        ):
            if rng.random() < 0.35:
                document[name] = rng.choice(values)
        return document


Make = Callable[[RandomUpdates, Field], Any]


def _amount(maker: RandomUpdates, item: Field) -> Any:
    return maker.operand(item)


def _bits(maker: RandomUpdates, item: Field) -> Any:
    mask = maker.rng.choice((0, 1, 5, 255, -1, 2**31 - 1))
    return {maker.rng.choice(("and", "or", "xor")): mask}


def _ordered(item: Field) -> dict[str, Make]:
    makers: dict[str, Make] = {"$min": _amount, "$max": _amount}
    if item.type.numeric:
        makers |= {"$inc": _amount, "$mul": _amount}
    if isinstance(item.type, Integer):
        makers["$bit"] = _bits
    if isinstance(item.type, Text):
        makers["$set"] = _amount
    return makers
