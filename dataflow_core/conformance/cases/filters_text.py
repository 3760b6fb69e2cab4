"""$startswith $endswith $contains $like with their i-variants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.tables import filter_cases, refusal_cases
from dataflow_core.errors import InvalidFilter, InvalidType

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session


class Word:
    """A text."""

    id: int
    t: str | None
    n: int | None


_TEXTS: Final = (
    "abc", "ABC", "aBc", "a%c", "a_c", "a|c", "a\\c", "áb", "", None, "😀a", "ab\ncd", "c'\"a",
    "ÁB",
    "abc ",
)  # fmt: skip
ROWS: Final[list[dict[str, Any]]] = [{"id": n, "t": text} for n, text in enumerate(_TEXTS, 1)]

filter_cases(
    Word,
    ROWS,
    (
        ("filters.startswith", "filters.text", {"t": {"$startswith": "a"}}, [1, 3, 4, 5, 6, 7, 12,
         15],
         "$startswith tells case and accents apart."),
        ("filters.startswith.percent", "filters.text", {"t": {"$startswith": "a%"}}, [4],
         "% is an ordinary character of a prefix."),
        ("filters.startswith.emoji", "filters.text", {"t": {"$startswith": "😀"}}, [11],
         "A prefix may be an emoji."),
        ("filters.startswith.empty", "filters.text", {"t": {"$startswith": ""}},
         [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15],
         "Everything but null starts with nothing."),
        ("filters.startswith.last", "filters.text", {"t": {"$startswith": "\U0010ffff"}}, [],
         "A prefix of the last code point is no trouble."),
        ("filters.istartswith", "filters.text", {"t": {"$istartswith": "AB"}}, [1, 2, 3, 12, 15],
         "$istartswith ignores case."),
        ("filters.endswith", "filters.text", {"t": {"$endswith": "c"}}, [1, 3, 4, 5, 6, 7],
         "$endswith tells case apart and sees trailing spaces."),
        ("filters.endswith.space", "filters.text", {"t": {"$endswith": " "}}, [15],
         "A trailing space is a character."),
        ("filters.iendswith", "filters.text", {"t": {"$iendswith": "BC"}}, [1, 2, 3],
         "$iendswith ignores case."),
        ("filters.contains", "filters.text", {"t": {"$contains": "b"}}, [1, 8, 12, 15],
         "$contains tells case apart."),
        ("filters.contains.underscore", "filters.text", {"t": {"$contains": "_"}}, [5],
         "_ is an ordinary character."),
        ("filters.contains.escape", "filters.text", {"t": {"$contains": "|"}}, [6],
         "The escape character is an ordinary character."),
        ("filters.contains.backslash", "filters.text", {"t": {"$contains": "\\"}}, [7],
         "A backslash is an ordinary character."),
        ("filters.contains.quotes", "filters.text", {"t": {"$contains": "'\""}}, [13],
         "Quotes are ordinary characters."),
        ("filters.contains.newline", "filters.text", {"t": {"$contains": "b\nc"}}, [12],
         "A newline is an ordinary character."),
        ("filters.icontains", "filters.text", {"t": {"$icontains": "B"}}, [1, 2, 3, 8, 12, 14, 15],
         "$icontains ignores case."),
        ("filters.icontains.accent", "filters.text", {"t": {"$icontains": "Á"}}, [8, 14],
         "Case is ignored beyond ASCII too, accents are not."),
        ("filters.like.percent", "filters.text", {"t": {"$like": "a%c"}}, [1, 3, 4, 5, 6, 7],
         "% in $like is any text."),
        ("filters.like.underscore", "filters.text", {"t": {"$like": "a_c"}}, [1, 3, 4, 5, 6, 7],
         "_ in $like is one character."),
        ("filters.like.emoji", "filters.text", {"t": {"$like": "_a"}}, [11],
         "An emoji is one character."),
        ("filters.like.escaped", "filters.text", {"t": {"$like": "a|%c"}}, [4],
         "| makes the next character literal."),
        ("filters.like.escaped_escape", "filters.text", {"t": {"$like": "a||c"}}, [6],
         "|| is the character itself."),
        ("filters.like.backslash", "filters.text", {"t": {"$like": "a\\c"}}, [7],
         "A backslash escapes nothing."),
        ("filters.like.newline", "filters.text", {"t": {"$like": "ab%cd"}}, [12], "% spans lines."),
        ("filters.like.whole", "filters.text", {"t": {"$like": "b"}}, [],
         "$like is about the whole text."),
        ("filters.like.empty", "filters.text", {"t": {"$like": ""}}, [9],
         "An empty pattern is empty text."),
        ("filters.like.case", "filters.text", {"t": {"$like": "ABC"}}, [2],
         "$like tells case apart."),
        ("filters.ilike", "filters.text", {"t": {"$ilike": "ABC"}}, [1, 2, 3],
         "$ilike ignores case."),
        ("filters.ilike.accent", "filters.text", {"t": {"$ilike": "áb"}}, [8, 14],
         "$ilike ignores case beyond ASCII."),
        ("filters.text.injection", "filters.text", {"t": {"$contains": "' OR '1'='1"}}, [],
         "Text that looks like SQL is text."),
    ),
)  # fmt: skip


def _call(document: Any) -> Callable[[Session, Any], Awaitable[Any]]:
    return lambda session, model: session.run(model, "Count", filter=document)


refusal_cases(
    Word,
    (
        ("filters.refused.like_on_int", "filters.text", InvalidFilter,
         _call({"n": {"$like": "1%"}}),
         "Text operators are for text."),
        ("filters.refused.like_escape", "filters.text", InvalidFilter,
         _call({"t": {"$like": "a|"}}),
         "A pattern that ends with the escape character is refused."),
        ("filters.refused.contains_int", "filters.text", InvalidType,
         _call({"t": {"$contains": 1}}),
         "$contains on text takes text."),
    ),
)  # fmt: skip
