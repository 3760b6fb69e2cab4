"""A model with a field of each kind, and documents parsed against it."""

from __future__ import annotations

import datetime as dt
import decimal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal
from uuid import UUID

from dataflow_core.expressions.parse import parse_test
from dataflow_core.filters import Bindings, Predicate, Scope, parse_filter
from dataflow_core.limits import LIMITS, Limits
from dataflow_core.schema.declare import declare_model, field

NOW = dt.datetime(2025, 1, 17, 8, 30, tzinfo=dt.UTC)


class User:
    id: int
    name: str
    title: str | None
    age: int | None
    short: int | None = field(None, bits=32)
    score: float | None
    price: decimal.Decimal | None
    active: bool = True
    born: dt.date | None
    seen: dt.datetime | None
    alarm: dt.time | None
    key: UUID | None
    photo: bytes | None
    colour: Literal["red", "blue"] | None
    data: dict | None
    tags: list[str] | None


USER = declare_model(User)


def parsed(document: Any, limits: Limits = LIMITS) -> tuple[Predicate, list[Any]]:
    """The tree of a filter and the values bound."""
    bindings = Bindings(limits=limits)
    tree = parse_filter(document, Scope.of(USER), bindings, expression=parse_test)
    return tree, bindings.values


def nested(depth: int, wrap: Callable[[Any], Any], inner: Any) -> Any:
    """``inner`` wrapped so many times."""
    for _ in range(depth):
        inner = wrap(inner)
    return inner


@contextmanager
def quickly(seconds: float = 0.05) -> Iterator[None]:
    """Fail if the body takes longer of the processor's time."""
    start = time.process_time()
    try:
        yield
    finally:
        assert time.process_time() - start < seconds
