"""What statements have in common: the first word, and the text without the length of its lists."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

__all__ = ["operation_of", "shape_of"]

_WORD: Final = re.compile(r"[^A-Za-z]*([A-Za-z]+)")
_COMMENT: Final = re.compile(r"\s*(?:--[^\n]*(?:\n|$)|/\*.*?\*/)", re.DOTALL)
_MARK: Final = r"(?:\?\d*|%s|\$\d+(?:::[\w\[\] ]+)?)"
_MARKS: Final = re.compile(rf"({_MARK})(?:\s*,\s*{_MARK})+")
_ROWS: Final = re.compile(r"(\([^()]*\))(?:\s*,\s*\1)+")


@lru_cache(maxsize=1024)
def operation_of(sql: str) -> str:
    """The first word of a statement, such as ``SELECT``; empty if there is none."""
    while comment := _COMMENT.match(sql):
        sql = sql[comment.end() :]
    found = _WORD.match(sql)
    return "" if found is None else found[1].upper()


def shape_of(sql: str) -> str:
    """The text with each list of placeholders, and of rows of them, cut down to its first."""
    return _ROWS.sub(r"\1, ...", _MARKS.sub("?, ...", sql))
