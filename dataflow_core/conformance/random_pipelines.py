"""Random aggregation pipelines: each stage is made for the fields that the one before leaves."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import Any, Final

from dataflow_core.aggregate.parse import parse_pipeline
from dataflow_core.conformance.everything import values_of
from dataflow_core.conformance.random_expressions import EDGE, Kind, RandomExpressions, kind_of
from dataflow_core.conformance.random_filters import RandomFilters
from dataflow_core.filters.scope import Bindings
from dataflow_core.schema import Field, Model
from dataflow_core.types import Float, Integer, Json, Text

__all__ = ["RandomPipelines"]

Stage = dict[str, Any]
_EVERYTHING: Final = 1_000
_KINDS: Final[tuple[Kind, ...]] = ("int", "float", "decimal", "text", "bool", "moment", "day")


class RandomPipelines:
    """Makes pipelines; every choice comes from ``rng``. ``twin`` is a model of the same fields."""

    def __init__(self, rng: random.Random, model: Model, twin: Model) -> None:
        self.rng = rng
        self.model = model
        self.twin = twin
        self.names = 0

    def document(self) -> list[Stage]:
        """One to four stages."""
        if self.rng.random() < 0.1:
            return [self._risky()]
        return self._stages(self.rng.choice((1, 1, 2, 2, 3, 4)), nested=False)

    def _stages(self, count: int, *, nested: bool) -> list[Stage]:
        stages: list[Stage] = []
        if self.rng.random() < 0.08:
            stages.append(self._union())
        for _ in range(count):
            fields = self._fields(stages)
            if not nested and self.rng.random() < 0.05:
                stages.append(self._facet())
                break
            stages.append(self.rng.choice(_STAGES)(self, fields))
        return stages

    def _fields(self, stages: list[Stage]) -> list[Field]:
        """The fields that flow behind the stages."""
        parsed = parse_pipeline(stages, self.model, Bindings(), lookup=lambda name: self.twin)
        return list(parsed.fields)

    def name(self, prefix: str = "made") -> str:
        """A new name; ``big_`` and ``approx_`` say what its values are good for."""
        self.names += 1
        if prefix == "made" and self.rng.random() < 0.15:
            return self.rng.choice(("day", "text", "amount", "kind", "flag"))
        return f"{prefix}_{self.names}"

    def _risky(self) -> Stage:
        """Arithmetic at the limits, computed for every row, so that every database sees it."""
        fields = self.model.fields
        if self.rng.random() < 0.5:
            return {"$group": {"_id": None, "big_sum": {"$sum": "$number"}}}
        expression = RandomExpressions(self.rng, fields).expression("int", 2, risky=True)
        return {
            "$project": {
                "id": 1,
                "big_made": expression if isinstance(expression, dict) else "$number",
            }
        }

    def _union(self) -> Stage:
        if self.rng.random() < 0.5:
            return {"$unionWith": self.twin.name}
        document = RandomFilters(self.rng, self.twin.fields).document(2)
        return {"$unionWith": {"coll": self.twin.name, "pipeline": [{"$match": document}]}}

    def _facet(self) -> Stage:
        # Every branch begins with the fields of the model: a facet comes first here.
        return {
            "$facet": {name: self._branch() for name in ("one", "two")[: self.rng.randint(1, 2)]}
        }

    def _branch(self) -> list[Stage]:
        return [self.rng.choice(({"$count": "n"}, {"$limit": 2}, {"$skip": 1}))]

    def match(self, fields: list[Field]) -> Stage:
        """``$match``."""
        # Collected Decimals, dates and the like are no JSON values that a filter could name.
        known = [
            item
            for item in _comparable(fields)
            if not isinstance(item.type, Json)
            or item.type.item is None
            or isinstance(item.type.item, Integer | Float | Text)
        ]
        return {"$match": RandomFilters(self.rng, known).document(1)}

    def sort(self, fields: list[Field]) -> Stage:
        """``$sort`` by one or two fields."""
        names = [item.name for item in _comparable(fields) if item.type.ordered]
        if not names:
            return {"$limit": 5}
        chosen = self.rng.sample(names, min(len(names), self.rng.randint(1, 2)))
        return {"$sort": {name: self.rng.choice((1, -1)) for name in chosen}}

    def cut(self, fields: list[Field]) -> Stage:
        """``$limit`` or ``$skip``."""
        return self.rng.choice(
            ({"$limit": self.rng.randint(1, 6)}, {"$skip": self.rng.randint(0, 4)})
        )

    def sample(self, fields: list[Field]) -> Stage:
        """A sample of everything: which rows it takes is the only thing left to chance."""
        return {"$sample": {"size": _EVERYTHING}}

    def count(self, fields: list[Field]) -> Stage:
        """``$count``."""
        return {"$count": self.name("n")}

    def sort_by_count(self, fields: list[Field]) -> Stage:
        """``$sortByCount`` of a field."""
        key = self._key(fields)
        return {"$sortByCount": key} if key is not None else {"$limit": 3}

    def group(self, fields: list[Field]) -> Stage:
        """``$group`` by nothing, a field, an expression or several fields."""
        rng = self.rng
        roll = rng.random()
        key: Any = None
        if roll > 0.8:
            parts = [self._key(fields), self._key(fields)]
            key = {
                name: part for name, part in zip(("a", "b"), parts, strict=True) if part is not None
            }
        elif roll > 0.2:
            key = self._key(fields)
        document: Stage = {"_id": key or None}
        for _ in range(rng.randint(0, 3)):
            name, accumulator = self._accumulator(fields)
            document[name] = accumulator
        return {"$group": document}

    def _key(self, fields: list[Field]) -> Any:
        rng = self.rng
        if rng.random() < 0.25:
            made = RandomExpressions(rng, fields).expression(rng.choice(_KINDS), 2)
            return made if isinstance(made, dict) and "$literal" not in made else None
        names = [
            item.name
            for item in _comparable(fields)
            if not isinstance(item.type, Json) and "." not in item.name
        ]
        return f"${rng.choice(names)}" if names else None

    def _accumulator(self, fields: list[Field]) -> tuple[str, Stage]:
        rng = self.rng
        plain = [item for item in _comparable(fields) if not isinstance(item.type, Json)]
        plain = [item for item in plain if "." not in item.name]
        if not plain or rng.random() < 0.15:
            return rng.choice(((self.name(), {"$count": {}}), (self.name(), {"$sum": 1})))
        item = rng.choice(plain)
        edge = item.name.startswith(EDGE)
        if item.type.numeric and (not edge or item.name == "wide") and rng.random() < 0.6:
            return self._numeric(item)
        function = rng.choice(("$min", "$max", "$first", "$last", "$push", "$addToSet"))
        return self.name("big" if edge else "made"), {function: f"${item.name}"}

    def _numeric(self, item: Field) -> tuple[str, Stage]:
        rng = self.rng
        function = rng.choice(("$sum", "$avg", "$stdDevPop", "$stdDevSamp", "$median", "$sum"))
        if item.name == "wide":
            function = "$sum"  # the floats of such numbers lose what the evaluator keeps
        document: Any = f"${item.name}"
        if function == "$median" and rng.random() < 0.5:
            document = {"input": document, "method": "approximate"}
        inexact = function != "$sum" or isinstance(item.type, Float)
        prefix = "approx" if inexact else "big" if item.name == "wide" else "made"
        return self.name(prefix), {function: document}

    def bucket(self, fields: list[Field]) -> Stage:
        """``$bucket`` by a number, a text or a day."""
        rng = self.rng
        candidates = [
            item
            for item in _comparable(fields)
            if kind_of(item.type) in ("int", "float", "text", "day", "moment")
            and "." not in item.name
        ]
        if not candidates:
            return {"$limit": 4}
        item = rng.choice(candidates)
        values = sorted({_instant(value) for value in values_of(item.name, item.type)})
        boundaries = sorted(rng.sample(values, min(len(values), rng.randint(2, 4))))
        document: Stage = {
            "groupBy": f"${item.name}",
            "boundaries": boundaries,
            "default": rng.choice(values),
        }
        if rng.random() < 0.5:
            name, accumulator = self._accumulator(fields)
            document["output"] = {name: accumulator}
        return {"$bucket": document}

    def project(self, fields: list[Field]) -> Stage:
        """``$project``: some fields, and computed ones."""
        rng = self.rng
        names = [item.name for item in fields if "." not in item.name and item.name != "_id"]
        if rng.random() < 0.2 and len(names) > 1:
            return {"$project": dict.fromkeys(rng.sample(names, 1), 0)}
        document: Stage = dict.fromkeys(rng.sample(names, min(len(names), rng.randint(0, 3))), 1)
        for _ in range(rng.randint(0 if document else 1, 2)):
            document[self.name()] = self._computed(fields)
        return {"$project": document}

    def add_fields(self, fields: list[Field]) -> Stage:
        """``$addFields`` or ``$set``."""
        document = {self.name(): self._computed(fields) for _ in range(self.rng.randint(1, 2))}
        return {self.rng.choice(("$addFields", "$set")): document}

    def _computed(self, fields: list[Field]) -> Any:
        rng = self.rng
        made = RandomExpressions(rng, fields).expression(rng.choice(_KINDS), 2)
        # A plain 0 or 1 would include or exclude a field.
        return {"$literal": made} if not isinstance(made, dict | str) else made

    def unset(self, fields: list[Field]) -> Stage:
        """``$unset`` of a field, if another is left."""
        names = [item.name for item in fields if not item.name.startswith("_id")]
        if len(fields) < 2 or not names:
            return {"$skip": 0}
        return {"$unset": self.rng.choice(names)}


def _comparable(fields: list[Field] | tuple[Field, ...]) -> list[Field]:
    """The fields whose values are exact on every database."""
    return [item for item in fields if not item.name.startswith("approx_")]


def _instant(value: Any) -> Any:
    """A datetime that can be sorted beside others: naive means UTC."""
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=dt.UTC)
    return value


Make = Callable[[RandomPipelines, list[Field]], Stage]
_STAGES: Final[tuple[Make, ...]] = (
    RandomPipelines.match,
    RandomPipelines.match,
    RandomPipelines.group,
    RandomPipelines.group,
    RandomPipelines.group,
    RandomPipelines.sort,
    RandomPipelines.sort,
    RandomPipelines.cut,
    RandomPipelines.cut,
    RandomPipelines.sample,
    RandomPipelines.count,
    RandomPipelines.sort_by_count,
    RandomPipelines.bucket,
    RandomPipelines.project,
    RandomPipelines.project,
    RandomPipelines.add_fields,
    RandomPipelines.unset,
)
