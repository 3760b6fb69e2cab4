"""Names of tables from names of classes and back: the rules of a table, no dictionary."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from dataflow_core.errors import InvalidModel
from dataflow_core.naming_hints import quoted

__all__ = [
    "NAME_BYTES",
    "PLURALS",
    "SINGULARS",
    "check_name",
    "class_name",
    "plural",
    "singular",
    "snake_case",
    "table_name",
]

PLURALS: Final[tuple[tuple[str, str, str], ...]] = (
    # ending, its plural, an example
    ("s", "ses", "bus -> buses"),
    ("x", "xes", "box -> boxes"),
    ("z", "zes", "quiz -> quizes"),
    ("ch", "ches", "match -> matches"),
    ("sh", "shes", "dish -> dishes"),
    ("ay", "ays", "day -> days"),
    ("ey", "eys", "key -> keys"),
    ("oy", "oys", "toy -> toys"),
    ("uy", "uys", "buy -> buys"),
    ("y", "ies", "category -> categories"),
    ("", "s", "user -> users"),
)
"""The first ending that fits decides; the last one fits every word."""

SINGULARS: Final = ("us", "is")
"""Endings of words that are singulars with an s: status, analysis."""

NAME_BYTES: Final = 63
"""The longest name that every database keeps whole; one of them would cut it silently."""

_BOUNDARY: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(name: str) -> str:
    """``OrderItem`` -> ``order_item``, ``HTTPServer`` -> ``http_server``."""
    return _BOUNDARY.sub("_", name).lower()


def plural(word: str) -> str:
    """The plural of a lower-case word by the table."""
    for ending, replacement, _ in PLURALS:
        if word.endswith(ending):
            return word[: len(word) - len(ending)] + replacement
    raise AssertionError("the last rule fits every word")


def singular(word: str) -> str:
    """The word whose plural by the table is ``word``; ``word`` itself if there is none.

    What ends in ``us`` or ``is`` is taken for a singular: a plural left as it is reads better than
    a word that has lost its end.
    """
    if word.endswith(SINGULARS):
        return word
    for ending, replacement, _ in PLURALS:
        candidate = word[: len(word) - len(replacement)] + ending
        if (
            word.endswith(replacement)
            and len(word) > len(replacement)
            and plural(candidate) == word
        ):
            return candidate
    return word


def table_name(class_: str) -> str:
    """The default table of a class: plural snake case."""
    return plural(snake_case(class_))


def class_name(table: str, *, singly: bool = True) -> str:
    """The class of a discovered table: singular, if ``singly``, each part capitalised."""
    parts = [part for part in re.split(r"[^0-9A-Za-z]+", table) if part]
    if not parts:
        return "Table"
    if singly and parts[-1].islower():
        parts[-1] = singular(parts[-1])
    name = "".join(part[:1].upper() + part[1:] for part in parts)
    return name if name[0].isalpha() else f"Table{name}"


def check_name(name: object, what: str) -> str:
    """Return ``name`` if every database can hold it as an identifier; ``InvalidModel`` otherwise.

    At most 63 bytes, no control characters, no lone surrogates, not empty, no space at an end.
    """
    if not isinstance(name, str):
        raise InvalidModel(f"{what}: a name is text, got {quoted(name)}")
    reason = _objection(name)
    if reason:
        raise InvalidModel(f"{what}: the name {quoted(name)} {reason}", name=quoted(name))
    return name


def _objection(name: str) -> str | None:
    if not name or name != name.strip():
        return "is empty or begins or ends with a space"
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn") for character in name):
        return "holds a control, format or unassigned character"
    if any(ord(character) > 0xFFFF for character in name):
        return "holds a character beyond the basic plane, which not every database takes in a name"
    if len(name.encode()) > NAME_BYTES:
        return f"is longer than {NAME_BYTES} bytes"
    return None
