"""``$like`` patterns: ``%`` is any text, ``_`` any character, ``|`` makes the next one literal."""

from __future__ import annotations

from enum import Enum
from typing import Final

from dataflow_core.errors import InvalidFilter
from dataflow_core.filters.text import fold

__all__ = ["ESCAPE", "Wildcard", "check_like", "like_matches", "parse_like"]

ESCAPE: Final = "|"
"""The escape character. The backslash is an ordinary one: databases disagree about it."""


class Wildcard(Enum):
    """What stands for other characters."""

    ANY_TEXT = "%"
    ANY_CHARACTER = "_"


def check_like(pattern: str, where: str) -> None:
    """Refuse a pattern that cannot be read.

    Raises:
        InvalidFilter: the pattern ends with the escape character, which then escapes nothing.
    """
    if (len(pattern) - len(pattern.rstrip(ESCAPE))) % 2:
        raise InvalidFilter(
            f"{where}: the pattern ends with the escape character {ESCAPE!r}; write"
            f" {ESCAPE * 2!r} for the character itself",
            where=where,
        )


def parse_like(pattern: str) -> tuple[str | Wildcard, ...]:
    """The single characters and wildcards of a pattern that ``check_like`` let pass."""
    parts: list[str | Wildcard] = []
    characters = iter(pattern)
    for character in characters:
        if character == ESCAPE:
            parts.append(next(characters))
        elif character in ("%", "_"):
            parts.append(Wildcard(character))
        else:
            parts.append(character)
    return tuple(parts)


def like_matches(pattern: str, text: str, ignore_case: bool = False) -> bool:
    """Whether the whole of ``text`` fits ``pattern``.

    Only the last ``%`` is ever tried again, so the time grows at most with the product of the
    lengths.
    """
    if ignore_case:
        pattern, text = fold(pattern), fold(text)
    parts = parse_like(pattern)
    at, part = 0, 0
    after_percent, tried = -1, 0
    while at < len(text):
        if part < len(parts) and parts[part] is Wildcard.ANY_TEXT:
            part += 1
            after_percent, tried = part, at
        elif part < len(parts) and parts[part] in (Wildcard.ANY_CHARACTER, text[at]):
            at += 1
            part += 1
        elif after_percent >= 0:
            tried += 1
            at, part = tried, after_percent
        else:
            return False
    return all(rest is Wildcard.ANY_TEXT for rest in parts[part:])
