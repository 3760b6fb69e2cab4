"""Regular expressions as trees, and sets of characters."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from functools import cache
from typing import Final, Literal

from attrs import frozen

from dataflow_core.filters.text import fold

__all__ = [
    "DIGITS",
    "DOT",
    "WORD",
    "Alternation",
    "Anchor",
    "Characters",
    "Node",
    "Repeat",
    "Sequence",
    "folded",
    "overlap",
]

Range = tuple[int, int]
_LAST: Final = 0x10FFFF

DIGITS: Final[tuple[Range, ...]] = ((0x30, 0x39),)
WORD: Final[tuple[Range, ...]] = (*DIGITS, (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))


@frozen
class Characters:
    """One character out of ranges of code points, or out of all others."""

    ranges: tuple[Range, ...]
    negated: bool = False

    @property
    def literal(self) -> str | None:
        """The one character, if it is only one."""
        if not self.negated and len(self.ranges) == 1 and self.ranges[0][0] == self.ranges[0][1]:
            return chr(self.ranges[0][0])
        return None

    def covered(self) -> list[Range]:
        """The ranges in order, without overlaps, a negation worked out."""
        merged: list[Range] = []
        for low, high in sorted(self.ranges):
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            else:
                merged.append((low, high))
        if not self.negated:
            return merged
        gaps, start = [], 0
        for low, high in merged:
            if start < low:
                gaps.append((start, low - 1))
            start = high + 1
        return [*gaps, (start, _LAST)] if start <= _LAST else gaps


DOT: Final = Characters(((0x0A, 0x0A),), negated=True)
"""``.``: any character but a newline."""


@frozen
class Anchor:
    """The start or the very end of the text."""

    place: Literal["start", "end"]


@frozen
class Repeat:
    """``item`` so many times, as often as possible; ``high`` is ``None`` without an end."""

    item: Node
    low: int
    high: int | None
    position: int


@frozen
class Sequence:
    """One after the other."""

    items: tuple[Node, ...]


@frozen
class Alternation:
    """The first of the branches that fits."""

    branches: tuple[Sequence, ...]


Node = Characters | Anchor | Repeat | Sequence | Alternation


def overlap(one: Iterable[Characters], other: Iterable[Characters]) -> bool:
    """Whether some character is in a set of each side."""
    left = sorted(part for characters in one for part in characters.covered())
    right = sorted(part for characters in other for part in characters.covered())
    at = beside = 0
    while at < len(left) and beside < len(right):
        if left[at][1] < right[beside][0]:
            at += 1
        elif right[beside][1] < left[at][0]:
            beside += 1
        else:
            return True
    return False


def folded(characters: Characters) -> Characters:
    """The set that a folded text is compared with: every character beside its folded form."""
    more: set[Range] = set()
    ascii_only = all(high < 0x80 for _, high in characters.ranges)
    codes, forms = _ASCII_PAIRS if ascii_only else _case_pairs()
    for low, high in characters.ranges:
        first = bisect_left(codes, low)
        for code, form in zip(codes[first:], forms[first:], strict=True):
            if code > high:
                break
            more.add((form, form))
    return Characters(tuple(sorted({*characters.ranges, *more})), characters.negated)


_ASCII_PAIRS: Final = (list(range(0x41, 0x5B)), list(range(0x61, 0x7B)))


@cache
def _case_pairs() -> tuple[list[int], list[int]]:
    """Every character that folding changes, in order, and what each becomes."""
    codes, forms = [], []
    for start in range(0, _LAST + 1, 0x100):
        block = "".join(map(chr, range(start, start + 0x100)))
        # Few blocks hold letters that have two cases; the others are passed over as a whole.
        if block.lower() == block:
            continue
        for character in block:
            form = fold(character)
            if form != character:
                codes.append(ord(character))
                forms.append(ord(form))
    return codes, forms
