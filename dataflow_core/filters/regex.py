"""Regular expressions: the portable subset that every database reads the same.

Literals, ``.`` (no newline), ``[...]``, ``^`` and ``$`` (the very start and end), ``( )`` and
``(?: )``, ``|``, greedy ``* + ? {m} {m,} {m,n}``, ``\\d`` and ``\\w`` (ASCII), escaped punctuation.
A pattern is searched for anywhere in the text. Where case is ignored, pattern and text are folded
by ``fold`` first: exactly so for ASCII on every database; beyond, engines may differ in a few
letters.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

from attrs import frozen

from dataflow_core.errors import PatternRefused
from dataflow_core.filters.regex_cost import endless_at
from dataflow_core.filters.regex_parse import parse
from dataflow_core.filters.regex_tree import (
    Alternation,
    Anchor,
    Characters,
    Node,
    Repeat,
    Sequence,
    folded,
)
from dataflow_core.filters.text import fold
from dataflow_core.limits import LIMITS, Limits

__all__ = ["LiteralKind", "Regex", "exponential", "parse_regex", "regex_matches", "render"]

LiteralKind = Literal["contains", "prefix", "suffix", "equals"]

_SPECIAL: Final = frozenset("\\^$.|?*+()[]{}")
# What has a meaning of its own inside brackets in one engine or another.
_SPECIAL_IN_BRACKETS: Final = frozenset("\\^-[]&~|")


@frozen
class Regex:
    """A pattern of the portable subset.

    Attributes:
        pattern: the pattern in one normal form, which is again of the subset: ``\\d`` and ``\\w``
            and ``.`` written as ranges, groups without capture, no needless escapes.
        literal: for a pattern that is only text: how it is to be found, and the text.
        exponential_at: where the pattern has a part that could make an engine that backtracks run
            practically for ever, or ``None``. Engines of linear time need not look at it.
    """

    pattern: str
    literal: tuple[LiteralKind, str] | None
    exponential_at: int | None

    @property
    def exponential(self) -> bool:
        """Whether an engine that backtracks should refuse the pattern."""
        return self.exponential_at is not None


def parse_regex(pattern: str, where: str, limits: Limits = LIMITS) -> Regex:
    """Read a pattern.

    Parameters:
        pattern: as the user wrote it; checked text.
        where: the place, for messages.
        limits: ``regex_length`` is the greatest length.

    Raises:
        PatternRefused: the pattern is too long, or holds something outside the subset.
    """
    if len(pattern) > limits.regex_length:
        raise PatternRefused(
            f"{where}: the pattern has {len(pattern)} characters, at most {limits.regex_length}",
            where=where,
            limit=limits.regex_length,
        )
    return _parsed(pattern, where)


@lru_cache(maxsize=256)
def _parsed(pattern: str, where: str) -> Regex:
    tree = parse(pattern, where)
    return Regex(_rendered(tree, end="$", ignore_case=False), _literal(tree), endless_at(tree))


@lru_cache(maxsize=256)
def exponential(pattern: str) -> bool:
    """Whether an engine that backtracks could run practically for ever on a pattern.

    Also if it only could where case is ignored: ``(a|A)*b``.
    """
    folded_pattern = render(pattern, end="$", ignore_case=True)
    return any(endless_at(parse(text, "pattern")) is not None for text in (pattern, folded_pattern))


@lru_cache(maxsize=256)
def render(pattern: str, *, end: str, ignore_case: bool = False) -> str:
    """A pattern in the words of one engine.

    Parameters:
        pattern: of the subset; the ``pattern`` of a ``Regex``.
        end: how the engine writes the very end of the text: ``$`` often allows a newline after it.
        ignore_case: whether the pattern is to be compared with folded text.
    """
    return _rendered(parse(pattern, "pattern"), end=end, ignore_case=ignore_case)


def regex_matches(pattern: str, text: str, ignore_case: bool = False) -> bool:
    """Whether ``pattern``, of the subset, is found anywhere in ``text``.

    Python's engine backtracks: a pattern that is ``exponential`` may take for ever.
    """
    compiled = _compiled(pattern, ignore_case)
    return compiled.search(fold(text) if ignore_case else text) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(render(pattern, end=r"\Z", ignore_case=ignore_case))


def _literal(tree: Alternation) -> tuple[LiteralKind, str] | None:
    if len(tree.branches) != 1:
        return None
    items = list(tree.branches[0].items)
    at_start = bool(items) and items[0] == Anchor("start")
    if at_start:
        del items[0]
    at_end = bool(items) and items[-1] == Anchor("end")
    if at_end:
        del items[-1]
    characters = [item.literal if isinstance(item, Characters) else None for item in items]
    if None in characters:
        return None
    text = "".join(character for character in characters if character is not None)
    if at_start and at_end:
        return ("equals", text)
    if at_start or at_end:
        return ("prefix" if at_start else "suffix", text)
    return ("contains", text)


def _rendered(node: Node, *, end: str, ignore_case: bool) -> str:
    if isinstance(node, Characters):
        return _characters(folded(node) if ignore_case else node)
    if isinstance(node, Anchor):
        return "^" if node.place == "start" else end
    if isinstance(node, Sequence):
        return "".join(_part(item, end=end, ignore_case=ignore_case) for item in node.items)
    if isinstance(node, Alternation):
        return "|".join(
            _rendered(branch, end=end, ignore_case=ignore_case) for branch in node.branches
        )
    item = _part(node.item, end=end, ignore_case=ignore_case)
    return item + _quantifier(node)


def _part(node: Node, *, end: str, ignore_case: bool) -> str:
    """A node where others may stand beside it."""
    text = _rendered(node, end=end, ignore_case=ignore_case)
    return f"(?:{text})" if isinstance(node, Alternation) else text


def _quantifier(node: Repeat) -> str:
    if (node.low, node.high) in _SIGNS:
        return _SIGNS[node.low, node.high]
    if node.low == node.high:
        return f"{{{node.low}}}"
    return f"{{{node.low},{'' if node.high is None else node.high}}}"


_SIGNS: Final[dict[tuple[int, int | None], str]] = {(0, None): "*", (1, None): "+", (0, 1): "?"}


def _characters(node: Characters) -> str:
    character = node.literal
    if character is not None:
        return f"\\{character}" if character in _SPECIAL else character
    inside = "".join(
        _in_brackets(low) if low == high else f"{_in_brackets(low)}-{_in_brackets(high)}"
        for low, high in node.ranges
    )
    return f"[{'^' if node.negated else ''}{inside}]"


def _in_brackets(code: int) -> str:
    character = chr(code)
    return f"\\{character}" if character in _SPECIAL_IN_BRACKETS else character
