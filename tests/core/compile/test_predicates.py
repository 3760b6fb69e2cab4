from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.compile import BaseCompiler, escape_like, joined
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.features import Feature
from tests.core.compile.toy import FULL, ITEM, TOY, ToyCompiler, bound, predicate, where
from tests.core.language import USER


@pytest.mark.parametrize(
    ("document", "sql"),
    [
        ({}, ""),
        ({"size": 1}, '"size" = $1'),
        ({"size": None}, '"size" IS NULL'),
        ({"size": {"$ne": None}}, '"size" IS NOT NULL'),
        ({"size": {"$ne": 1}}, '("size" <> $1 OR "size" IS NULL)'),
        ({"name": {"$ne": "a"}}, '"name" <> $1'),
        ({"size": {"$gte": 1, "$lt": 9}}, '"size" >= $1 AND "size" < $2'),
        ({"size": {"$in": [1, 2, 3]}}, '"size" IN ($1, $2, $3, $4)'),
        ({"size": {"$nin": [1]}}, '(NOT ("size" IN ($1)) OR "size" IS NULL)'),
        ({"size": {"$in": []}}, "1 = 0"),
        ({"size": {"$nin": []}}, "1 = 1"),
        ({"size": {"$in": [1, None]}}, '("size" IN ($1) OR "size" IS NULL)'),
        ({"size": {"$not": {"$gt": 1}}}, '(NOT ("size" > $1) OR "size" IS NULL)'),
        ({"$or": [{"size": 1}, {"name": "a"}]}, '("size" = $1 OR "name" = $2)'),
        (
            {"$nor": [{"size": 1}, {"name": "a"}]},
            'NOT ((("size" = $1 AND "size" IS NOT NULL) OR "name" = $2))',
        ),
        ({"$not": {"$not": {"size": 1}}}, '"size" = $1'),
        ({"name": {"$startswith": "a"}}, '("name" >= $1 AND "name" < $2)'),
        ({"name": {"$istartswith": "a"}}, "LOWER(\"name\") LIKE $1 ESCAPE '|'"),
        ({"name": {"$contains": "a"}}, "\"name\" LIKE $1 ESCAPE '|'"),
        ({"size": {"$mod": [4, 1]}}, 'MOD("size", $1) = $2'),
        ({"size": {"$bitsAllSet": 3}}, '("size" & $1) = $1'),
        ({"size": {"$bitsAnySet": 3}}, '("size" & $1) <> 0'),
    ],
)
def test_the_text_of_a_filter(document: Any, sql: str) -> None:
    """NULL rows pass every negation and no other test; values are only ever placeholders."""
    assert sql == where(document)


@pytest.mark.parametrize(
    ("document", "values"),
    [
        ({"name": {"$contains": "50%_|"}}, ("%50|%|_||%",)),
        ({"name": {"$iendswith": "ÄB"}}, ("%äb",)),
        ({"name": {"$startswith": "az"}}, ("az", "a{")),
        ({"name": {"$like": "a%"}}, ("a%",)),
        ({"size": {"$in": [1, 2, 3]}}, (1, 2, 3, 3)),
        ({"sold": {"$in": [True, False]}}, ("Y", "N")),
        ({"sold": True}, ("Y",)),
        ({"size": {"$bitsAllSet": 3}}, (3,)),
        ({"name": "'; DROP TABLE items; --"}, ("'; DROP TABLE items; --",)),
    ],
)
def test_the_values_of_a_filter(document: Any, values: tuple[Any, ...]) -> None:
    """Values are encoded for the driver; a list is filled up with its last element."""
    assert values == bound(document)


EQUAL: list[tuple[Any, Any]] = [
    ({"size": 1, "name": "a"}, {"size": 2, "name": "b"}),
    ({"size": {"$in": [1, 2, 3]}}, {"size": {"$in": [4, 5, 6, 7]}}),
    ({"name": {"$contains": "%"}}, {"name": {"$contains": "x'"}}),
]
DIFFERENT: list[tuple[Any, Any]] = [
    ({"size": 1}, {"size": None}),
    ({"size": {"$in": [1, 2]}}, {"size": {"$in": [1, 2, 3]}}),
    ({"size": {"$in": [1, 2]}}, {"size": {"$in": [1, None]}}),
    ({"size": 1}, {"price": 1}),
]


def test_equal_shapes_have_equal_texts() -> None:
    """Other values change nothing; null, and a list of another class of length, do."""
    for one, other in EQUAL:
        assert where(one) == where(other)
        assert predicate(one)[0] == predicate(other)[0]
    for one, other in DIFFERENT:
        assert where(one) != where(other)
        assert predicate(one)[0] != predicate(other)[0]


@pytest.mark.parametrize("count", [1, 8, 9, 1_000])
def test_long_chains_are_balanced(count: int) -> None:
    """Brackets grow with the logarithm: parsers limit the depth of an expression."""
    text = joined(["x"] * count, "OR")
    deepest = max(text[:at].count("(") - text[:at].count(")") for at in range(len(text) + 1))
    assert (count, count - 1) == (text.count("x"), text.count(" OR "))
    assert deepest <= 8


def test_what_is_declared_off_is_refused_with_its_id() -> None:
    """A feature that the dialect declares off, or not at all, is refused with the reason."""
    off = ToyCompiler({**FULL, "filters.modulo": Feature("unsupported", "no such function")})
    undeclared = ToyCompiler({})
    for compiler, reason in ((off, "no such function"), (undeclared, "does not declare it")):
        with pytest.raises(UnsupportedFeature, match=f"toy does not offer .*{reason}") as caught:
            where({"size": {"$mod": [2, 1]}}, compiler=compiler)
        assert caught.value.context["feature"] == "filters.modulo"


@pytest.mark.parametrize(
    ("document", "feature"),
    [
        ({"name": {"$regex": "a.c"}}, "filters.regex"),
        ({"data.a": 1}, "filters.json.path"),
        ({"tags": {"$all": ["a"]}}, "filters.json.path"),
    ],
)
def test_what_has_no_common_spelling_is_refused(document: Any, feature: str) -> None:
    """A dialect that declares it but does not say how is refused too."""
    with pytest.raises(UnsupportedFeature, match="has no spelling") as caught:
        where(document, USER)
    assert feature == caught.value.context["feature"]


@given(st.text())
def test_a_quoted_name_is_one_identifier(name: str) -> None:
    """Whatever a name holds, it cannot leave its quotes."""
    text = TOY.quote(name)
    assert (text[0], text[-1]) == ('"', '"')
    assert name == text[1:-1].replace('""', '"')
    assert '"' not in text[1:-1].replace('""', "")


@given(st.text())
def test_escaped_text_is_literal(text: str) -> None:
    """No character of the text is special to LIKE any more."""
    rest = escape_like(text)
    for special in ("||", "|%", "|_"):
        rest = rest.replace(special, "")
    assert not set("%_|") & set(rest)


def test_placeholders_without_numbers_are_bound_each_time() -> None:
    """Where a placeholder has no number, a value that is used twice is bound twice."""

    class Positional(BaseCompiler):
        name = "positional"
        numbered = False

        def placeholder(self, position: int) -> str:
            return "?"

    assert where({"size": {"$bitsAllSet": 3}}, ITEM, Positional(FULL)) == '("size" & ?) = ?'
