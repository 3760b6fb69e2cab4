"""The nearest right name, and renderings that are safe in any message."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.naming_hints import QUOTED_LENGTH, nearest, quoted
from tests.limits import at_most

FIELDS = ("id", "name", "email", "created_at", "updated_at")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("emial", "email"),
        ("EMAIL", "email"),
        ("createdAt", "created_at"),
        ("created-at", "created_at"),
        ("$name", "name"),
        ("update_at", "updated_at"),
        ("zzz", None),
        ("", None),
        ("_", None),
    ],
)
def test_nearest_name(name: str, expected: str | None) -> None:
    """Case and separators are looked through first, then the closest spelling is taken."""
    assert nearest(name, FIELDS) == expected


def test_exact_in_another_case_wins() -> None:
    """A name that differs only in case is nearer than one that is only similar."""
    assert nearest("users", ["Userss", "USERS"]) == "USERS"


def test_no_comparison_of_what_is_no_name() -> None:
    """Objects that are no text and very long names have no nearest name."""
    assert nearest("name", [1, None, b"name"]) is None  # type: ignore[list-item]
    assert nearest(3, FIELDS) is None  # type: ignore[arg-type]
    assert nearest("email" * 41, [*FIELDS, "email" * 41]) is None
    assert nearest("name", ["x" * 10_000, "names"]) == "names"


def test_hostile_tables_cost_little() -> None:
    """A long name against very many choices is answered within bounds."""
    choices = (f"{number:0200d}" for number in range(1_000_000))
    start = time.perf_counter()
    nearest("a" * 200, choices)
    assert time.perf_counter() - start < at_most(1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("name", "'name'"),
        ("it's", '"it\'s"'),
        ("a\nb", "'a\\nb'"),
        ("\ud800", "'\\ud800'"),
        ("é", "'é'"),
        (None, "None"),
        (True, "True"),
        (12, "12"),
        (1 << 300, "<integer of 301 bits>"),
        (1.5, "1.5"),
        (b"ab", "b'ab'"),
        ([1, "a"], "[1, 'a']"),
        ((1,), "(1,)"),
        ((1, 2), "(1, 2)"),
        ({"a": [1]}, "{'a': [1]}"),
        (OrderedDict(a=1), "{'a': 1}"),
        (list(range(9)), "[0, 1, 2, 3, 4, 5, ...]"),
        ([[[[]]]], "[[[<list>]]]"),
    ],
)
def test_quoted(value: object, expected: str) -> None:
    """Common values look as in Python; deep, long and huge ones are cut."""
    assert quoted(value) == expected


def test_long_text_is_cut_inside_its_quotes() -> None:
    """Long text keeps its quotes and says that it goes on."""
    assert quoted("x" * 1_000) == "'" + "x" * 75 + "...'"


def test_foreign_representations_are_tamed() -> None:
    """A representation with line ends or colour codes cannot forge lines of a log."""

    class Forged:
        def __repr__(self) -> str:
            return "a\n\x1b[31mERROR\x1b[0m"

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no representation")

    class BrokenText(str):
        def __getitem__(self, key: Any) -> str:
            raise RuntimeError("no items")

    class Empty:
        def __repr__(self) -> str:
            return ""

    assert quoted(Forged()) == "a\\n\\x1b[31mERROR\\x1b[0m"
    assert quoted(Broken()) == "<Broken>"
    assert quoted(BrokenText("abc")) == "'abc'"
    assert quoted(Empty()) == ""


def test_cyclic_and_deep_objects_are_cut() -> None:
    """Cycles and nesting of any depth end in bounded text, quickly."""
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    start = time.perf_counter()
    assert quoted(cyclic) == "[[[<list>]]]"
    assert quoted(deep) == "[[[<list>]]]"
    assert len(quoted([0] * 1_000_000)) <= QUOTED_LENGTH
    assert len(quoted(dict.fromkeys(range(1_000_000)))) <= QUOTED_LENGTH
    assert time.perf_counter() - start < at_most(1)


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text() | st.binary() | st.characters(),
        lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_quoted_is_always_one_bounded_printable_line(value: object) -> None:
    """Whatever the object, the rendering is short, printable and can be encoded."""
    text = quoted(value)
    assert len(text) <= QUOTED_LENGTH
    assert text.isprintable()
    text.encode("utf-8")


@given(st.text(), st.lists(st.text()))
def test_nearest_is_always_one_of_the_choices(name: str, choices: list[str]) -> None:
    """What is suggested exists."""
    assert nearest(name, choices) in (None, *choices)
