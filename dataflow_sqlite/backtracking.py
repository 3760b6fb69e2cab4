r"""Whether a backtracking engine could take exponential time for a pattern.

The pattern becomes an automaton whose states are its characters and sets. Time is exponential if
some state can be left and come back to in two ways on the same text: then every round doubles the
ways that have to be tried. ``(a+)+``, ``(a|a)*`` and ``(a|ab|b)*`` are such, ``(ab?)*`` is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import define, frozen

__all__ = ["Node", "Syntax", "backtracks", "parse"]

_STATES: Final = 600
_PAIRS: Final = 60_000
_UNLIMITED: Final = -1
_END_OF_UNICODE: Final = 0x10FFFF
_PUNCTUATION: Final = frozenset("\\.[]{}()*+?|^$/-!\"#%&',:;<=>@_`~ ")
_CONTROLS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}

Ranges = tuple[tuple[int, int], ...]
_SHORT: Final[dict[str, Ranges]] = {
    "d": ((0x30, 0x39),),
    "w": ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)),
    "s": ((0x09, 0x0D), (0x20, 0x20)),
}


class Syntax(ValueError):
    """The pattern cannot be read."""


@frozen
class Node:
    """A part of a pattern: ``set``, ``sequence``, ``choice``, ``repeat`` or ``edge`` (^ and $)."""

    kind: str
    items: tuple[Node, ...] = ()
    ranges: Ranges = ()
    low: int = 1
    high: int = 1


def _complement(ranges: Ranges) -> Ranges:
    result = []
    start = 0
    for low, high in sorted(ranges):
        if low > start:
            result.append((start, low - 1))
        start = max(start, high + 1)
    if start <= _END_OF_UNICODE:
        result.append((start, _END_OF_UNICODE))
    return tuple(result)


_ANY: Final = _complement(((0x0A, 0x0A),))


@define
class _Parser:
    text: str
    position: int = 0
    depth: int = 0

    def peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def take(self) -> str:
        character = self.peek()
        if not character:
            raise Syntax("it ends too early")
        self.position += 1
        return character

    def choice(self) -> Node:
        branches = [self.sequence()]
        while self.peek() == "|":
            self.take()
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else Node("choice", tuple(branches))

    def sequence(self) -> Node:
        items = []
        while self.peek() not in ("", "|", ")"):
            items.append(self.repeated(self.atom()))
        return Node("sequence", tuple(items))

    def atom(self) -> Node:
        character = self.take()
        if character == "(":
            return self.group()
        if character == "[":
            return Node("set", ranges=self.members())
        if character == ".":
            return Node("set", ranges=_ANY)
        if character in "^$":
            return Node("edge")
        if character == "\\":
            return Node("set", ranges=self.escaped())
        if character in "*+?":
            raise Syntax(f"nothing to repeat at position {self.position}")
        return Node("set", ranges=((ord(character), ord(character)),))

    def group(self) -> Node:
        self.depth += 1
        if self.depth > 50:
            raise Syntax("its groups are nested too deep")
        if self.text.startswith("?:", self.position):
            self.position += 2
        elif self.peek() == "?":
            raise Syntax("groups with (?...) are not supported")
        inner = self.choice()
        if self.take() != ")":
            raise Syntax("a group is not closed")
        self.depth -= 1
        return inner

    def escaped(self) -> Ranges:
        letter = self.take()
        ranges = _SHORT.get(letter.lower())
        if ranges is not None:
            return ranges if letter.islower() else _complement(ranges)
        if letter not in _PUNCTUATION and letter not in _CONTROLS:
            raise Syntax(f"\\{letter} is not supported")
        code = ord(_CONTROLS.get(letter, letter))
        return ((code, code),)

    def members(self) -> Ranges:
        negated = self.peek() == "^"
        if negated:
            self.take()
        ranges: list[tuple[int, int]] = []
        first = True
        while first or self.peek() != "]":
            first = False
            ranges += self.member()
        self.take()
        return _complement(tuple(ranges)) if negated else tuple(ranges)

    def member(self) -> Ranges:
        low = self.one()
        following = self.text[self.position : self.position + 2]
        if len(low) == 1 and low[0][0] == low[0][1] and following[:1] == "-" and following != "-]":
            self.take()
            high = self.one()
            if len(high) != 1 or high[0][0] < low[0][0]:
                raise Syntax("a range in [...] is upside down")
            return ((low[0][0], high[0][1]),)
        return low

    def one(self) -> Ranges:
        character = self.take()
        return self.escaped() if character == "\\" else ((ord(character), ord(character)),)

    def repeated(self, node: Node) -> Node:
        bounds = self.bounds()
        if bounds is None:
            return node
        if self.peek() in ("*", "+", "?") and self.peek():
            raise Syntax(f"nothing to repeat at position {self.position + 1}")
        return Node("repeat", (node,), low=bounds[0], high=bounds[1])

    def bounds(self) -> tuple[int, int] | None:
        simple = {"*": (0, _UNLIMITED), "+": (1, _UNLIMITED), "?": (0, 1)}.get(self.peek())
        if simple is not None:
            self.take()
            return simple
        if self.peek() != "{":
            return None
        end = self.text.find("}", self.position)
        low, comma, high = self.text[self.position + 1 : end].partition(",")
        if end < 0 or not low.isdecimal() or len(low) > 4 or len(high) > 4:
            raise Syntax("a { is no repetition {m}, {m,} or {m,n}; write \\{")
        if high and not high.isdecimal():
            raise Syntax("a { is no repetition {m}, {m,} or {m,n}; write \\{")
        self.position = end + 1
        top = int(high) if high else _UNLIMITED if comma else int(low)
        if top != _UNLIMITED and top < int(low):
            raise Syntax("a repetition {m,n} is upside down")
        return int(low), top


def parse(pattern: str) -> Node:
    """Read a pattern of the portable subset; ``Syntax`` says what is wrong."""
    parser = _Parser(pattern)
    tree = parser.choice()
    if parser.peek():
        raise Syntax("a ) has no (")
    return tree


class _TooLarge(Exception):
    pass


class _Automaton:
    """States are the sets of a pattern; an edge leads to what may come next, once per way."""

    def __init__(self) -> None:
        self.ranges: list[Ranges] = []
        self.following: list[dict[int, int]] = []

    def add(self, node: Node) -> tuple[list[int], list[int], bool]:
        """Add a part; gives its first states, its last states, and whether it may be empty."""
        if node.kind == "set":
            if len(self.ranges) >= _STATES:
                raise _TooLarge
            self.ranges.append(node.ranges)
            self.following.append({})
            state = len(self.ranges) - 1
            return [state], [state], False
        if node.kind == "edge":
            return [], [], True
        if node.kind == "choice":
            parts = [self.add(item) for item in node.items]
            return (
                [state for part in parts for state in part[0]],
                [state for part in parts for state in part[1]],
                any(part[2] for part in parts),
            )
        if node.kind == "repeat":
            return self.add_repeat(node)
        return self.chain([self.add(item) for item in node.items])

    def add_repeat(self, node: Node) -> tuple[list[int], list[int], bool]:
        (item,) = node.items
        parts: list[tuple[list[int], list[int], bool]] = []
        for _ in range(node.low if node.high == _UNLIMITED else node.high):
            first, last, empty = self.add(item)
            parts.append((first, last, empty or len(parts) >= node.low))
        if node.high == _UNLIMITED:
            if not parts:
                first, last, _ = self.add(item)
                parts.append((first, last, True))
            first, last, _ = parts[-1]
            self.connect(last, first)
        return self.chain(parts)

    def chain(
        self, parts: list[tuple[list[int], list[int], bool]]
    ) -> tuple[list[int], list[int], bool]:
        first: list[int] = []
        last: list[int] = []
        empty = True
        for part_first, part_last, part_empty in parts:
            self.connect(last, part_first)
            if empty:
                first += part_first
            last = last + part_last if part_empty else part_last
            empty = empty and part_empty
        return first, last, empty

    def connect(self, sources: list[int], targets: list[int]) -> None:
        for source in sources:
            edges = self.following[source]
            for target in targets:
                edges[target] = edges.get(target, 0) + 1


def backtracks(tree: Node, ignore_case: bool = False) -> bool:
    """Whether the time for some text could grow exponentially (or the pattern is too large)."""
    automaton = _Automaton()
    try:
        automaton.add(tree)
        ranges = [_folded(item) if ignore_case else item for item in automaton.ranges]
        return _is_ambiguous(ranges, automaton.following)
    except _TooLarge:
        return True


def _folded(ranges: Ranges) -> Ranges:
    extra = []
    for low, high in ranges:
        for code in range(low, min(high, low + 128) + 1):
            extra += [(ord(other), ord(other)) for other in _other_cases(chr(code))]
    return (*ranges, *extra)


def _other_cases(character: str) -> Iterator[str]:
    for other in (character.lower(), character.upper()):
        if len(other) == 1:
            yield other


def _overlap(left: Ranges, right: Ranges) -> bool:
    return any(low <= end and start <= high for low, high in left for start, end in right)


def _is_ambiguous(ranges: list[Ranges], following: list[dict[int, int]]) -> bool:
    overlaps: dict[tuple[int, int], bool] = {}

    def together(one: int, other: int) -> bool:
        key = (one, other)
        if key not in overlaps:
            overlaps[key] = _overlap(ranges[one], ranges[other])
        return overlaps[key]

    for state in range(len(ranges)):
        # Walk two copies from `state` at once; they have parted if they ever differ, or took an
        # edge that exists twice. Back at `state` together after parting: ambiguous.
        start = (state, state, False)
        seen = {start}
        stack = [start]
        while stack:
            one, other, parted = stack.pop()
            for next_one, ways in following[one].items():
                for next_other in following[other]:
                    if not together(next_one, next_other):
                        continue
                    now = parted or next_one != next_other
                    now = now or (one == other and ways > 1)
                    if now and next_one == next_other == state:
                        return True
                    reached = (next_one, next_other, now)
                    if reached not in seen:
                        if len(seen) > _PAIRS:
                            raise _TooLarge
                        seen.add(reached)
                        stack.append(reached)
    return False
