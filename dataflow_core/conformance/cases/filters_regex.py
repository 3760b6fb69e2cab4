"""$regex over the portable subset: what engines read differently is settled or refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.tables import filter_cases, refusal_cases
from dataflow_core.errors import InvalidFilter, PatternRefused

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session


class Line:
    """A text."""

    id: int
    t: str | None


_TEXTS: Final = (
    "John Smith", "john smith", "Johnny", "ab\ncd", "ab\n", "ab", "a.b", "a1b2", "é", "\u00a0", "",
    None, "😀!",
    "x|y", "a_b", "aaa", "3.50 $", "AB",
)  # fmt: skip
ROWS: Final[list[dict[str, Any]]] = [{"id": n, "t": text} for n, text in enumerate(_TEXTS, 1)]


def _regex(pattern: str, options: str = "") -> dict[str, Any]:
    return {"t": {"$regex": pattern, "$options": options} if options else {"$regex": pattern}}


filter_cases(
    Line,
    ROWS,
    (
        ("filters.regex.literal", "filters.regex", _regex("ohn"), [1, 2, 3],
         "A literal is found anywhere."),
        ("filters.regex.prefix", "filters.regex", _regex("^John"), [1, 3],
         "^ is the start; case counts."),
        ("filters.regex.anchor", "filters.regex", _regex("^ab$"), [6],
         "$ is the very end: not before a final newline."),
        ("filters.regex.suffix", "filters.regex", _regex("b$"), [6, 7, 15],
         "A literal at the end."),
        ("filters.regex.end_class", "filters.regex", _regex("[ab]$"), [6, 7, 15, 16],
         "$ is the very end behind a class too."),
        ("filters.regex.dot_newline", "filters.regex", _regex("ab.cd"), [], ". is no newline."),
        ("filters.regex.dot", "filters.regex", _regex("^a.b$"), [7, 15],
         ". is any other character."),
        ("filters.regex.dot_emoji", "filters.regex", _regex("^.!$"), [13], ". is one emoji."),
        ("filters.regex.escaped_dot", "filters.regex", _regex("a\\.b"), [7],
         "Escaped punctuation is literal."),
        ("filters.regex.escaped_pipe", "filters.regex", _regex("x\\|y"), [14],
         "An escaped | is literal."),
        ("filters.regex.escaped_dollar", "filters.regex", _regex("0 \\$$"), [17],
         "An escaped $ is literal, another one ends."),
        ("filters.regex.digits", "filters.regex", _regex("^[a-z]\\d[a-z]\\d$"), [8],
         "\\d is a digit."),
        ("filters.regex.word", "filters.regex", _regex("^\\w+$"), [3, 6, 8, 15, 16, 18],
         "\\w is an ASCII letter, digit or underscore: 'é' is none."),
        ("filters.regex.class", "filters.regex", _regex("^[A-Z]+$"), [18],
         "Classes tell case apart."),
        ("filters.regex.negated_class", "filters.regex", _regex("^[^a-z]$"), [9, 10],
         "A negated class is any other character."),
        ("filters.regex.alternation", "filters.regex", _regex("^(ab|a_b)$"), [6, 15],
         "( ) and | choose."),
        ("filters.regex.repeat", "filters.regex", _regex("^a{2,3}$"), [16], "{m,n} counts."),
        ("filters.regex.star", "filters.regex", _regex("^ax*b$"), [6], "* is none or more."),
        ("filters.regex.plus", "filters.regex", _regex("^a+$"), [16], "+ is one or more."),
        ("filters.regex.optional", "filters.regex", _regex("^a_?b$"), [6, 15], "? is none or one."),
        ("filters.regex.empty", "filters.regex", _regex("^$"), [11],
         "^$ is empty text; null is not."),
        ("filters.regex.ignore_case", "filters.regex", _regex("^john", "i"), [1, 2, 3],
         "Option i ignores case."),
        ("filters.regex.ignore_case_literal", "filters.regex", _regex("^ab$", "i"), [6, 18],
         "Option i ignores case of a whole text."),
        ("filters.regex.ignore_case_class", "filters.regex", _regex("^[a-b]+$", "i"), [6, 16, 18],
         "Option i ignores case inside a class."),
        ("filters.regex.negated", "filters.regex", {"t": {"$not": {"$regex": "[a-zA-Z]"}}},
         [9, 10, 11, 12, 13, 17], "$not of a pattern lets null through."),
    ),
)  # fmt: skip


def _call(pattern: Any, options: str = "") -> Callable[[Session, Any], Awaitable[Any]]:
    document = _regex(pattern, options)
    return lambda session, model: session.run(model, "Count", filter=document)


_REFUSED: Final = (
    ("word_boundary", "\\bjohn", "\\b is a word boundary on some databases only."),
    ("named_group", "(?P<n>a)", "Named groups exist on some databases only."),
    ("lookahead", "a(?=b)", "Looking ahead exists on some databases only."),
    ("possessive", "a++", "Possessive quantifiers exist on some databases only."),
    ("lazy", "a+?", "Lazy quantifiers exist on some databases only."),
    ("back_reference", "(a)\\1", "Back references exist on some databases only."),
    ("posix_class", "[[:alpha:]]", "POSIX classes mean different letters."),
    ("unicode_class", "\\p{L}", "Unicode classes exist on some databases only."),
    ("inline_flag", "(?i)a", "Flags inside the pattern are refused; $options says it."),
    ("space_class", "\\s", "\\s means different spaces."),
    ("unclosed", "(a", "A pattern that is none is refused."),
    ("empty_lower_bound", "a{,3}", "{,3} is a quantifier on some databases only."),
    ("long", "a" * 201, "A pattern of more than 200 characters is refused."),
)
refusal_cases(
    Line,
    (
        *((f"filters.regex.refused.{name}", "filters.regex", PatternRefused, _call(pattern), rule)
          for name, pattern, rule in _REFUSED),
        ("filters.regex.refused.options", "filters.regex", InvalidFilter, _call("a", "x"),
         "Only the option i exists."),
    ),
)  # fmt: skip
