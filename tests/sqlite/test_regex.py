from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from dataflow_core.dialect import refuse_exponential
from dataflow_core.errors import PatternRefused
from dataflow_sqlite.functions import regex

Compile = Callable[[str, bool], Callable[[str], bool]]
ENGINES: list[Compile] = [regex._with_re2, regex._with_re]

CASES = [
    ("^a$", "a", True),
    ("^a$", "a\n", False),
    ("^b", "a\nb", False),
    ("a.c", "a\nc", False),
    ("a.c", "a\rc", True),
    ("a.c", "a😀c", True),
    (r"^\d+$", "١٢", False),
    (r"^\d+$", "12", True),
    (r"^\w+$", "é", False),
    (r"^[\w-]+$", "a-b_1", True),
    (r"[^\d]", "123", False),
    ("[[a]", "[", True),
    ("[$^.]x", "$x", True),
    (r"\$\.\(", "$.(", True),
    ("a{2,3}$", "caaa", True),
    ("^a{2}$", "aaa", False),
    ("(ab|cd)+e", "xabcde", True),
    ("(?:ab)?c$", "c", True),
    ("", "", True),
    ("colou?r", "my color", True),
    ("a|b$", "xb", True),
]


@pytest.mark.parametrize("engine", ENGINES, ids=["re2", "re"])
@pytest.mark.parametrize(("pattern", "text", "found"), CASES)
def test_both_engines_mean_the_same(engine: Compile, pattern: str, text: str, found: bool) -> None:
    """A pattern of the portable subset matches the same texts on both engines."""
    assert engine(pattern, False)(text) is found


@pytest.mark.parametrize("engine", ENGINES, ids=["re2", "re"])
def test_ignoring_case_is_unicode(engine: Compile) -> None:
    """Case is ignored beyond ASCII too, and only where asked."""
    assert engine("^ÄB", True)("äb")
    assert engine("[ä-ö]", True)("Ö")
    assert not engine("^ÄB", False)("äb")


@pytest.mark.parametrize(
    "pattern",
    [
        "^(a+)+$",
        "(a*)*b",
        "(a|a)*b",
        "(a|ab|b)*c",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        r"(\w+\d*)+$",
        "(a?b?)*c",
        "(x+x+)+y",
        "((a{1,5})+)+$",
        "(.*)*x",
        "(a|[a-c])+$",
    ],
)
def test_exponential_patterns_are_refused_without_re2(pattern: str) -> None:
    """Python's engine is never given a pattern that could take exponential time."""
    with pytest.raises(PatternRefused) as caught:
        refuse_exponential(pattern)
    assert caught.value.code == "DF-803"


@pytest.mark.parametrize(
    "pattern",
    ["(ab?)*c", "^[a-z]+(-[a-z]+)*$", r"^\d{3}-\d{4}$", "(a|b)*c", r"(\d+,)*\d+$", ".*foo.*bar"],
)
def test_harmless_repetitions_are_taken_without_re2(pattern: str) -> None:
    """Nested repetitions that match in one way only are not refused."""
    assert refuse_exponential(pattern) == pattern


def test_ignoring_case_can_make_a_pattern_ambiguous() -> None:
    """Branches that are the same letter in two cases count as the same when case is ignored."""
    with pytest.raises(PatternRefused):
        refuse_exponential("(a|A)*b")


@pytest.mark.parametrize(
    "pattern", ["(", ")", "a**", "[a", "a{3,1}", "*a", r"\1", "(?=a)", "(?P<n>a)", "\\"]
)
def test_what_is_outside_of_the_subset_is_refused_without_re2(pattern: str) -> None:
    """A pattern that cannot be read is refused with a code, never passed on."""
    with pytest.raises(PatternRefused):
        regex._with_re(pattern, False)


def test_an_invalid_pattern_is_refused_by_re2() -> None:
    """re2's own refusal becomes the same error."""
    with pytest.raises(PatternRefused):
        regex._with_re2("(", False)


def test_the_check_of_a_pattern_is_quick() -> None:
    """Even the longest patterns are checked within a fraction of a second, or refused."""
    start = time.perf_counter()
    for pattern in ("(a|b){50}" * 20, "[a-z]*" * 33, "(" * 49 + "a" + ")*" * 49, "a{9999}" * 20):
        try:
            refuse_exponential(pattern)
        except PatternRefused:
            continue
    assert time.perf_counter() - start < 5


def test_patterns_are_compiled_once() -> None:
    """The same pattern gives the same function."""
    assert regex.compile_pattern("abc", False) is regex.compile_pattern("abc", False)
    assert regex.check_pattern("abc") == "abc"
