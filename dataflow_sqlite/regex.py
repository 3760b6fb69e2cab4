"""Regular expressions of the portable subset, on google-re2 if it is there, else on ``re``.

Both are given the same meaning: ``.`` matches no line end, ``$`` only the very end, ``\\d`` and
``\\w`` are ASCII. Python's engine backtracks, so a pattern that it could take exponential time for
is refused; re2 takes them all, in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from dataflow_core.errors import PatternRefused
from dataflow_core.filters import fold
from dataflow_sqlite.backtracking import Syntax, backtracks, parse

__all__ = ["check_pattern", "compile_pattern"]

Match = Callable[[str], bool]

_PATTERNS: Final = 256
_CLASSES: Final = {"d": "0-9", "w": "A-Za-z0-9_", "s": r" \t\n\r\f\v"}


def _load_re2() -> Any:
    try:
        import re2
    except ImportError:
        return None
    return re2


_re2: Final = _load_re2()


@lru_cache(_PATTERNS)
def compile_pattern(pattern: str, ignore_case: bool) -> Match:
    """A function that tells whether a text has a match anywhere.

    Raises:
        PatternRefused: the pattern is outside of the subset, or could backtrack exponentially.
    """
    if _re2 is not None:
        return _with_re2(pattern, ignore_case)
    return _with_re(pattern, ignore_case)


def check_pattern(pattern: str) -> str:
    """Return the pattern if ``compile_pattern`` takes it; ``PatternRefused`` otherwise."""
    compile_pattern(pattern, False)
    return pattern


def _with_re2(pattern: str, ignore_case: bool) -> Match:
    options = _re2.Options()
    options.case_sensitive = not ignore_case
    options.never_capture = True
    options.log_errors = False
    try:
        # On bytes: on text it would also count every position in characters.
        search = _re2.compile(pattern.encode(), options).search
    except _re2.error as error:
        raise PatternRefused(f"the pattern is not valid: {_text(error)}") from None
    if ignore_case:
        return lambda text: search(fold(text).encode()) is not None
    return lambda text: search(text.encode()) is not None


def _text(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)


def _with_re(pattern: str, ignore_case: bool) -> Match:
    try:
        tree = parse(pattern)
    except Syntax as error:
        raise PatternRefused(f"the pattern is not valid: {error}") from None
    if backtracks(tree, ignore_case):
        raise PatternRefused(
            "the pattern repeats what can match in more than one way, so that Python's engine"
            " could take exponential time; rewrite it, or install google-re2, which takes it"
        )
    try:
        search = re.compile(translated(pattern), re.IGNORECASE if ignore_case else 0).search
    except (re.error, RecursionError, OverflowError) as error:
        raise PatternRefused(f"the pattern is not valid: {error}") from None
    if ignore_case:
        return lambda text: search(fold(text)) is not None
    return lambda text: search(text) is not None


def translated(pattern: str) -> str:
    """A pattern of the subset as ``re`` has to be given it, without the flag ASCII.

    That flag would also restrict ``ignore_case`` to ASCII.
    """
    parts = []
    in_set = False
    index = 0
    while index < len(pattern):
        character = pattern[index]
        index += 1
        if character == "\\" and index < len(pattern):
            parts.append(_escape(pattern[index], in_set))
            index += 1
        elif in_set:
            # A bracket inside a set is plain text here, and a warning in Python's engine.
            parts.append("\\[" if character == "[" else character)
            in_set = character != "]"
        elif character == "[":
            # A bracket that comes first, or behind `^`, belongs to the set.
            start = "[^" if pattern[index : index + 1] == "^" else "["
            index += len(start) - 1
            if pattern[index : index + 1] == "]":
                start += "\\]"
                index += 1
            parts.append(start)
            in_set = True
        else:
            parts.append(r"\Z" if character == "$" else character)
    return "".join(parts)


def _escape(letter: str, in_set: bool) -> str:
    members = _CLASSES.get(letter.lower())
    if members is None:
        return "\\" + letter
    if letter.islower():
        return members if in_set else f"[{members}]"
    if in_set:
        raise PatternRefused(f"\\{letter} inside [...] is not supported without google-re2")
    return f"[^{members}]"
