"""Text as every database is to see it: folding of case, and ranges of texts by code point."""

from __future__ import annotations

from typing import Final

__all__ = ["fold", "next_prefix", "upper"]

_LAST: Final = "\U0010ffff"


class _CaseTable(dict[int, int]):
    """Code point to code point, filled as characters are met.

    Character by character, so that no text changes its length and a prefix stays a prefix. A
    character whose other case is several characters stays as it is.
    """

    def __init__(self, *, to_upper: bool) -> None:
        super().__init__()
        self.to_upper = to_upper

    def __missing__(self, code: int) -> int:
        changed = chr(code).upper() if self.to_upper else chr(code).lower()
        self[code] = ord(changed) if len(changed) == 1 else code
        return self[code]


_LOWER: Final = _CaseTable(to_upper=False)
_UPPER: Final = _CaseTable(to_upper=True)


def fold(text: str) -> str:
    """``text`` in lower case, as every operator that ignores case compares it.

    Each character by itself: ``Σ`` is the same at the end of a word, and ``İ``, whose lower case is
    two characters, stays. ``ß`` and ``ss`` stay different.
    """
    return text.lower() if text.isascii() else text.translate(_LOWER)


def upper(text: str) -> str:
    """``text`` in upper case, each character by itself: ``ß`` stays."""
    return text.upper() if text.isascii() else text.translate(_UPPER)


def next_prefix(text: str) -> str | None:
    """The least text that is greater, by code point, than every text that starts with ``text``.

    ``None`` if there is none: ``text`` is empty or holds only the last code point, U+10FFFF.
    """
    head = text.rstrip(_LAST)
    if not head:
        return None
    following = ord(head[-1]) + 1
    if following == 0xD800:
        following = 0xE000  # surrogates are no characters
    return head[:-1] + chr(following)
