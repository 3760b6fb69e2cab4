"""Regular expressions of the portable subset, on google-re2 if it is there, else on ``re``.

Python's engine backtracks, so a pattern that it could practically run for ever on is refused; re2
takes them all, in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from dataflow_core.dialect import refuse_exponential
from dataflow_core.filters import fold, render_regex

__all__ = ["check_pattern", "compile_pattern"]

Match = Callable[[str], bool]

_PATTERNS: Final = 256


def _load_re2() -> Any:
    try:
        import re2
    except ImportError:
        return None
    return re2


_re2: Final = _load_re2()


@lru_cache(_PATTERNS)
def compile_pattern(pattern: str, ignore_case: bool) -> Match:
    """A function that tells whether a pattern of the subset is found anywhere in a text."""
    return (_with_re if _re2 is None else _with_re2)(pattern, ignore_case)


def check_pattern(pattern: str) -> str:
    """Return the pattern if the engine at hand can take it; ``PatternRefused`` otherwise."""
    if _re2 is not None:
        return pattern
    return refuse_exponential(pattern, "rewrite it, or install google-re2, which takes it")


def _with_re(pattern: str, ignore_case: bool) -> Match:
    search = re.compile(render_regex(pattern, end=r"\Z", ignore_case=ignore_case)).search
    if ignore_case:
        return lambda text: search(fold(text)) is not None
    return lambda text: search(text) is not None


def _with_re2(pattern: str, ignore_case: bool) -> Match:
    options = _re2.Options()
    options.never_capture = True
    options.log_errors = False
    # On bytes: on text it would also count every position in characters.
    text = render_regex(pattern, end=r"\z", ignore_case=ignore_case).encode()
    search = _re2.compile(text, options).search
    if ignore_case:
        return lambda text: search(fold(text).encode()) is not None
    return lambda text: search(text.encode()) is not None
