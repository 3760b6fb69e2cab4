from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import PatternRefused
from dataflow_core.filters.regex import parse_regex, regex_matches, render
from dataflow_core.limits import Limits


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        ("abc", ("contains", "abc")),
        ("^abc", ("prefix", "abc")),
        ("abc$", ("suffix", "abc")),
        ("^abc$", ("equals", "abc")),
        (r"^1\.5\$", ("prefix", "1.5$")),
        ("", ("contains", "")),
        ("^", ("prefix", "")),
        ("^$", ("equals", "")),
        ("a]b}", ("contains", "a]b}")),
        ("[a]", ("contains", "a")),
        ("a.c", None),
        ("a|b", None),
        ("ab?", None),
        ("a^b", None),
        ("^^a", None),
        ("(a)", None),
        (r"\d", None),
    ],
)
def test_a_pattern_that_is_only_text_is_recognised(
    pattern: str, literal: tuple[str, str] | None
) -> None:
    """Plain text, with anchors or without, needs no regular expression: kind and text are told."""
    assert parse_regex(pattern, "User.name").literal == literal


@pytest.mark.parametrize(
    ("pattern", "normal"),
    [
        (r"\d+", "[0-9]+"),
        (r"[\w.-]", r"[0-9A-Z_a-z.\-]"),
        (".", "[^\n]"),
        ("(a|b)c", "(?:a|b)c"),
        ("(?:ab){1}", "(?:ab){1}"),
        ("a{0,}b{1,}c{0,1}", "a*b+c?"),
        (r"\@\-\/", "@-/"),
        ("[[&~|^]", r"[\[\&\~\|\^]"),
        ("[^a-c]", "[^a-c]"),
        ("}", r"\}"),
        ("[-a]", r"[\-a]"),
        ("[a-]", r"[a\-]"),
    ],
)
def test_patterns_are_brought_into_one_form(pattern: str, normal: str) -> None:
    """Classes become ranges, groups capture nothing, escapes stand only where one is needed."""
    regex = parse_regex(pattern, "User.name")
    assert regex.pattern == normal
    assert parse_regex(normal, "User.name").pattern == normal


@pytest.mark.parametrize(
    ("pattern", "construct", "position"),
    [
        ("ab(?=c)", "lookahead", 2),
        ("(?!c)", "lookahead", 0),
        ("(?<=c)", "lookbehind", 0),
        ("(?<!c)", "lookbehind", 0),
        ("(?P<n>a)", "named group", 0),
        ("(?<n>a)", "named group", 0),
        ("(?>a)", "atomic group", 0),
        ("(?i)a", "inline flags", 0),
        ("(?i:a)", "inline flags", 0),
        ("(?#a)", "comment", 0),
        (r"(a)\1", "backreference", 3),
        ("ab+?", "lazy", 3),
        ("ab*+", "possessive", 3),
        ("a**", "repeated quantifier", 2),
        ("a{2}{3}", "repeated quantifier", 4),
        (r"\bfoo", "word boundary", 0),
        (r"a\s", "white space", 1),
        (r"\D", "negated class", 0),
        (r"\Aa", "start of the text", 0),
        (r"a\z", "end of the text", 1),
        (r"a\Z", "end of the text", 1),
        (r"\u0041", "by number", 0),
        (r"\x41", "by number", 0),
        (r"\pL", "Unicode property", 0),
        (r"\n", "control character", 0),
        (r"\Qa\E", "quoted stretch", 0),
        (r"\y", "an escape of 'y'", 0),
        ("\\é", "an escape of 'é'", 0),
        ("a\\", "at the end", 1),
        ("a{,3}", "no {m}", 1),
        ("a{", "no {m}", 1),
        ("a{x}", "no {m}", 1),
        ("{2}", "nothing to repeat", 0),
        ("*a", "nothing to repeat", 0),
        ("(+a)", "nothing to repeat", 1),
        ("a|?", "nothing to repeat", 2),
        ("^*", "repeated anchor", 1),
        ("a{3,2}", "end is less", 1),
        ("a{256}", "more than 255", 1),
        ("(a{100}){100}", "more than 1000 in all", 1),
        ("[[:alpha:]]", "class by name", 1),
        ("[]a]", r"\] for the character", 0),
        ("[a", "without a ]", 0),
        ("[z-a]", "backwards", 1),
        (r"[a-\d]", "ends with a class", 1),
        (r"[\d-z]", "starts with a class", 3),
        ("[a-c-e]", "after a range", 4),
        ("[--a]", "starts with -", 1),
        ("(a", "without a )", 0),
        ("a)", "without a (", 1),
    ],
)
def test_what_databases_read_differently_is_refused(
    pattern: str, construct: str, position: int
) -> None:
    """Everything outside the subset is refused; the error names construct, position and place."""
    with pytest.raises(PatternRefused, match=re.escape(construct)) as caught:
        parse_regex(pattern, "User.name")
    assert caught.value.context["position"] == position
    assert caught.value.message.startswith("User.name: ")


def test_a_pattern_that_is_too_long_is_refused() -> None:
    """The limit on the length holds, and the error tells it."""
    assert parse_regex("a" * 200, "User.name").literal == ("contains", "a" * 200)
    with pytest.raises(PatternRefused, match="201 characters, at most 200"):
        parse_regex("a" * 201, "User.name")
    with pytest.raises(PatternRefused, match="at most 3"):
        parse_regex("abcd", "User.name", Limits(regex_length=3))


@pytest.mark.parametrize("pattern", ["(" * 200, "(" * 33 + ")" * 33, "(?:" * 60])
def test_nesting_is_bounded(pattern: str) -> None:
    """Deep nesting is refused before it can exhaust the stack."""
    with pytest.raises(PatternRefused, match="nested deeper than 32"):
        parse_regex(pattern, "User.name")


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("b", "abc", True),
        ("^b", "abc", False),
        ("c$", "abc", True),
        ("c$", "abc\n", False),
        ("^b", "a\nb", False),
        ("a.c", "abc", True),
        ("a.c", "a\nc", False),
        ("a[^b]c", "a\nc", True),
        (r"^\d$", "٣", False),
        (r"^\w$", "é", False),
        (r"^\w\w$", "_Z", True),
        ("^(ab|c){2,3}$", "abcab", True),
        ("^(ab|c){2,3}$", "ab", False),
        ("^(|a)b$", "b", True),
        (r"^a\.b$", "axb", False),
        ("^.$", "😀", True),
        ("A", "a", False),
    ],
)
def test_what_a_pattern_finds(pattern: str, text: str, expected: bool) -> None:
    """A pattern is searched for; the dot spares newlines, anchors are the very ends."""
    assert regex_matches(pattern, text) is expected
    assert regex_matches(parse_regex(pattern, "User.name").pattern, text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("ADA", "my ada", True),
        ("[A-C]", "b", True),
        ("[a-c]", "B", True),
        ("^[^a]$", "A", False),
        ("^[^A]$", "a", False),
        ("[Z-b]", "z", True),
        ("^É", "état", True),
        ("^[À-Ý]$", "é", True),
        ("ß", "ẞ", True),
        ("strasse", "straße", False),
    ],
)
def test_ignoring_case_folds_pattern_and_text(pattern: str, text: str, expected: bool) -> None:
    """Without regard to case, a character fits if its folded form is that of one in the pattern."""
    assert regex_matches(pattern, text, ignore_case=True) is expected


def test_an_engine_gets_its_own_word_for_the_end() -> None:
    """Only the anchor at the end is replaced, not a dollar that is meant literally."""
    assert render(r"^a\$[$]$", end=r"\z") == r"^a\$\$\z"
    assert render("^[a$]$", end=r"\z", ignore_case=True) == r"^[$a]\z"


ENDLESS = [
    "(a+)+",
    "(a*)*",
    "(a|a)*b",
    "(a|ab)*",
    "(a?){50}",
    "(.*a){20}",
    r"^(\d+\.?)*$",
    r"(\w+\s?)+$".replace(r"\s", " "),
    "(x+x+)+y",
    "a?" * 30 + "a" * 30,
    "(a|a)" * 40,
    ".*a.*b.*c.*d.*e",
    "((a|b)*c?)*",
    "(a{1,3}){2,9}",
]
HARMLESS = [
    "abc",
    "a*b*c*",
    "(ab)*c",
    "(a|b)*c",
    r"^[\w.+-]+@[\w-]+\.[\w.-]+$",
    r"^(\d{1,3}\.){3}\d{1,3}$",
    r"(\d{4}-){3}\d{4}",
    "(,[a-z]+)*$",
    "^.*foo.*bar$",
    r"^https?://[^/]+/.*\.html$",
    r"^\d{4}-\d{2}-\d{2}( \d{2}:\d{2})?$",
    "^(Mr|Mrs|Ms) [A-Z][a-z]+( [A-Z][a-z]+)*$",
]


@pytest.mark.parametrize("pattern", ENDLESS)
def test_patterns_that_could_run_for_ever_are_told(pattern: str) -> None:
    """A pattern that a backtracking engine could take for ever with is marked, with the place."""
    regex = parse_regex(pattern, "User.name")
    assert regex.exponential
    assert regex.exponential_at is not None
    assert 0 <= regex.exponential_at < len(pattern)


@pytest.mark.parametrize("pattern", HARMLESS)
def test_everyday_patterns_are_not_suspected(pattern: str) -> None:
    """Patterns that people write every day pass."""
    assert not parse_regex(pattern, "User.name").exponential


def random_pattern(source: random.Random, depth: int = 0) -> str:
    """A pattern of the subset that nests and repeats a lot."""
    parts = []
    for _ in range(source.randint(1, 4)):
        if source.random() < 0.5 or depth == 3:
            atom = source.choice(["a", "b", "ab", ".", "[ab]", "[^b]", r"\w", r"\d"])
        else:
            branches = [random_pattern(source, depth + 1) for _ in range(source.choice([1, 1, 2]))]
            atom = f"({'|'.join(branches)})"
        parts.append(atom + source.choice(["", "", "*", "+", "?", "{2}", "{1,3}", "{0,12}"]))
    return "".join(parts)


def test_no_pattern_that_passes_runs_for_ever() -> None:
    """None of many random patterns that pass explodes on texts that almost fit (time limit)."""
    source = random.Random(20250117)
    tried = 0
    for _ in range(3000):
        pattern = random_pattern(source) + source.choice(["", "$", "x"])
        try:
            regex = parse_regex(pattern, "User.name")
        except PatternRefused:
            continue
        if not regex.exponential:
            tried += 1
            for text in ("a" * 40 + "!", "ab" * 20 + "!", "a1b" * 13 + "\n"):
                assert regex_matches(regex.pattern, text) == regex_matches(pattern, text)
    assert tried > 500


@given(st.text(max_size=30) | st.text(st.sampled_from(r"ab\d()[]{}^$.|*+?-,12:="), max_size=30))
def test_every_text_is_read_or_refused(pattern: str) -> None:
    """Any text is either a pattern, with a normal form that means the same, or is refused."""
    try:
        regex = parse_regex(pattern, "User.name")
    except PatternRefused:
        return
    assert parse_regex(regex.pattern, "User.name").pattern == regex.pattern
    assert parse_regex(regex.pattern, "User.name").literal == regex.literal
