from __future__ import annotations

from typing import Any

import pytest

from dataflow_core.errors import LimitExceeded
from tests.core.compile.toy import where
from tests.core.language import nested, quickly


@pytest.mark.parametrize(
    ("expression", "sql"),
    [
        ({"$eq": ["$name", "a"]}, '("name" = $1)'),
        ({"$eq": ["$size", 1]}, '("size" IS NOT DISTINCT FROM $1)'),
        ({"$ne": ["$size", 1]}, '("size" IS DISTINCT FROM $1)'),
        (
            {"$lt": ["$size", 1]},
            '(($1 IS NOT NULL AND "size" IS NULL)'
            ' OR ("size" IS NOT NULL AND $1 IS NOT NULL AND "size" < $1))',
        ),
        ({"$not": ["$sold"]}, '(NOT ("sold" IS NOT NULL AND "sold"))'),
        (
            {"$and": ["$sold", "$size"]},
            '(("sold" IS NOT NULL AND "sold") AND ("size" IS NOT NULL AND "size" <> 0))',
        ),
    ],
)
def test_the_text_of_an_expression(expression: Any, sql: str) -> None:
    """A condition is never NULL; null equals null and sorts before everything."""
    assert sql == where({"$expr": expression})


def test_values_of_different_kinds_become_one_kind() -> None:
    """An int beside a float is converted, so that no database chooses; division is real."""
    text = where({"$expr": {"$gt": ["$price", "$size"]}})
    assert 'CAST("size" AS DOUBLE PRECISION)' in text
    text = where({"$expr": {"$gt": [{"$divide": ["$size", "$size"]}, 1.0]}})
    assert 'CAST("size" AS DOUBLE PRECISION) / NULLIF(CAST("size" AS DOUBLE PRECISION), 0)' in text


@pytest.mark.parametrize(
    "expression",
    [
        nested(30, lambda inner: {"$lt": [inner, True]}, {"$gt": ["$size", 1]}),
        nested(30, lambda inner: {"$gt": [{"$cond": [inner, 1, 2]}, 1]}, "$sold"),
        {"$eq": [nested(29, lambda inner: {"$substrCP": [inner, 0, 3]}, "$name"), "a"]},
    ],
)
def test_text_that_would_double_at_every_level_is_refused(expression: Any) -> None:
    """An expression within the limits that would make gigabytes of text is refused at once."""
    with quickly(0.2), pytest.raises(LimitExceeded):
        where({"$expr": expression})


def test_deep_expressions_of_ordinary_size_are_compiled() -> None:
    """30 levels that do not repeat themselves make a short text."""
    text = where({"$expr": nested(30, lambda inner: {"$not": [inner]}, "$sold")})
    assert text.count("(NOT ") == 30
    assert len(text) < 500
