from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflow_core.errors import InvalidFilter
from dataflow_core.filters.like import Wildcard, check_like, like_matches, parse_like
from dataflow_core.filters.text import fold, next_prefix, upper

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
WILD = st.text(st.sampled_from("ab%_"), max_size=8)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("", ""),
        ("Ada LOVELACE 1815", "ada lovelace 1815"),
        ("ÄÖÜ", "äöü"),
        ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
        ("İ", "İ"),
        ("Straße", "straße"),
        ("ẞ", "ß"),
    ],
)
def test_fold_lowers_each_character_by_itself(text: str, folded: str) -> None:
    """Folding knows no context, and a character whose lower case is several ones stays."""
    assert fold(text) == folded


def test_upper_leaves_what_would_grow() -> None:
    """Upper case works character by character too: ß, which would become SS, stays."""
    assert upper("straße é") == "STRAßE É"


@given(TEXT)
def test_case_keeps_the_length_and_settles_at_once(text: str) -> None:
    """Folding changes no length, and folding twice changes nothing more."""
    assert len(fold(text)) == len(upper(text)) == len(text)
    assert fold(fold(text)) == fold(text)


@given(TEXT, TEXT)
def test_fold_keeps_prefixes(prefix: str, rest: str) -> None:
    """A prefix stays a prefix, so that ranges and comparisons of folded text agree."""
    assert fold(prefix + rest).startswith(fold(prefix))


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("a", "b"),
        ("az", "a{"),
        ("\ud7ff", "\ue000"),
        ("a\U0010ffff", "b"),
        ("a\U0010ffff\U0010ffff", "b"),
        ("\U0010ffff", None),
        ("", None),
    ],
)
def test_next_prefix_of_the_edges(text: str, following: str | None) -> None:
    """Surrogates are passed over; the last code point carries; sometimes nothing follows."""
    assert next_prefix(text) == following


@given(TEXT, TEXT)
def test_next_prefix_bounds_exactly_the_texts_with_the_prefix(prefix: str, text: str) -> None:
    """A text starts with a prefix if and only if it lies in the half-open range."""
    following = next_prefix(prefix)
    inside = prefix <= text and (following is None or text < following)
    assert inside == text.startswith(prefix)
    assert prefix <= prefix + text
    assert following is None or prefix + text < following


def test_like_reads_wildcards_and_the_escape() -> None:
    """`%` and `_` are wildcards unless `|` stands before them; a backslash is a backslash."""
    any_text, any_character = Wildcard.ANY_TEXT, Wildcard.ANY_CHARACTER
    assert parse_like("a%_|%|_||\\") == ("a", any_text, any_character, "%", "_", "|", "\\")


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("", "a", False),
        ("%", "", True),
        ("_", "", False),
        ("_", "😀", True),
        ("a%", "abc", True),
        ("%c", "abc", True),
        ("a%b%c", "aXbXbYc", True),
        ("a%b%c", "aXbXbYcd", False),
        ("%a_c%", "xxabac_aXc", True),
        ("a|%", "a%", True),
        ("a|%", "ab", False),
        ("a\nb", "a\nb", True),
        ("a%b", "a\nb", True),
        ("A%", "abc", False),
        ("\\%", "\\n", True),
    ],
)
def test_like_fits_the_whole_text(pattern: str, text: str, expected: bool) -> None:
    """A pattern fits the text from end to end, newlines included, and case counts."""
    assert like_matches(pattern, text) is expected


def test_like_that_ignores_case_folds_both_sides() -> None:
    """Where case is ignored, pattern and text are folded."""
    assert like_matches("ÉT_%", "étude", ignore_case=True)
    assert not like_matches("STRASSE", "straße", ignore_case=True)


def naive(pattern: str, text: str) -> bool:
    """The meaning of a pattern without escapes, said by recursion."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(naive(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in ("_", text[0]) and naive(pattern[1:], text[1:])


@given(WILD, st.text(st.sampled_from("ab"), max_size=8))
def test_like_agrees_with_its_recursive_meaning(pattern: str, text: str) -> None:
    """The quick way gives what trying every split gives."""
    assert like_matches(pattern, text) == naive(pattern, text)


def test_like_takes_no_exponential_time() -> None:
    """Many `%` over a text that almost fits end at once (the test has a time limit)."""
    assert not like_matches("%a" * 200 + "b", "a" * 5000)


@pytest.mark.parametrize("pattern", ["|", "abc|", "a|||"])
def test_an_escape_that_escapes_nothing_is_refused(pattern: str) -> None:
    """A pattern that ends with a single `|` is refused with the way to write the character."""
    with pytest.raises(InvalidFilter, match=r"User.name.*ends with the escape"):
        check_like(pattern, "User.name")


@pytest.mark.parametrize("pattern", ["", "||", "a|%", "|||_"])
def test_complete_escapes_pass(pattern: str) -> None:
    """An escape that has its character is no error, and the pattern can be read."""
    check_like(pattern, "User.name")
    assert len(parse_like(pattern)) == len(pattern.replace("||", "x").replace("|", ""))
