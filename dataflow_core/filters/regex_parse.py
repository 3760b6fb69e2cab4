"""Reading the portable subset of regular expressions; what is outside is refused by name."""

from __future__ import annotations

from typing import Final, NoReturn

from attrs import define

from dataflow_core.errors import PatternRefused
from dataflow_core.filters.regex_tree import (
    DIGITS,
    DOT,
    WORD,
    Alternation,
    Anchor,
    Characters,
    Node,
    Range,
    Repeat,
    Sequence,
)
from dataflow_core.naming_hints import quoted

__all__ = ["parse"]

_DEPTH: Final = 32
# The least that the engines in use allow: of one count, and of nested counts multiplied.
_COUNT: Final = 255
_COPIES: Final = 1000

_CLASSES: Final[dict[str, tuple[Range, ...]]] = {"d": DIGITS, "w": WORD}
_GROUPS: Final = (
    ("?=", "lookahead"),
    ("?!", "lookahead"),
    ("?<=", "lookbehind"),
    ("?<!", "lookbehind"),
    ("?P=", "a backreference"),
    ("?P", "a named group"),
    ("?<", "a named group"),
    ("?>", "an atomic group"),
    ("?#", "a comment"),
    ("?(", "a conditional group"),
    ("?", "inline flags"),
    ("*", "a control verb"),
)
_ESCAPES: Final = {
    "b": "a word boundary",
    "B": "a word boundary",
    "s": "a class of white space; write [ ] or the characters",
    "S": "a class of white space; write [^ ] or the characters",
    "D": "a negated class; write [^0-9]",
    "W": "a negated class; write [^A-Za-z0-9_]",
    "A": "the start of the text; write ^",
    "z": "the end of the text; write $",
    "Z": "the end of the text; write $",
    "u": "a character by number; write the character itself",
    "U": "a character by number; write the character itself",
    "x": "a character by number; write the character itself",
    "n": "a control character; write the character itself",
    "r": "a control character; write the character itself",
    "t": "a control character; write the character itself",
    "p": "a Unicode property",
    "P": "a Unicode property",
    "Q": "a quoted stretch; escape each character",
    "E": "a quoted stretch; escape each character",
    "k": "a backreference",
    "g": "a backreference",
}


def parse(pattern: str, where: str) -> Alternation:
    """The tree of a pattern.

    Raises:
        PatternRefused: names the construct that is outside the subset, and its position (from 0).
    """
    parser = _Parser(pattern, where)
    tree = parser.alternation(0)
    if parser.at < len(pattern):
        parser.refuse(parser.at, "a ) without a (; write \\) for the character")
    parser.check_copies(tree, 1)
    return tree


@define
class _Parser:
    pattern: str
    where: str
    at: int = 0

    def refuse(self, position: int, construct: str) -> NoReturn:
        raise PatternRefused(
            f"{self.where}: {construct}, at position {position} of {quoted(self.pattern)}, is not"
            " among what every database reads the same",
            where=self.where,
            position=position,
            construct=construct,
        )

    def next(self) -> str:
        """The next character, or nothing at the end."""
        return self.pattern[self.at : self.at + 1]

    def skip(self, text: str) -> bool:
        """Whether ``text`` is next; it is then passed."""
        if not self.pattern.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def alternation(self, depth: int) -> Alternation:
        branches = [self.sequence(depth)]
        while self.skip("|"):
            branches.append(self.sequence(depth))
        return Alternation(tuple(branches))

    def sequence(self, depth: int) -> Sequence:
        items: list[Node] = []
        while self.next() not in ("", "|", ")"):
            position = self.at
            item = self.atom(depth)
            items.append(self.repeated(item, position))
        return Sequence(tuple(items))

    def atom(self, depth: int) -> Node:
        position = self.at
        character = self.next()
        self.at += 1
        if character == "(":
            return self.group(position, depth)
        if character == "[":
            return self.bracket(position)
        if character == "\\":
            return self.escape(position)
        if character == ".":
            return DOT
        if character in ("^", "$"):
            return Anchor("start" if character == "^" else "end")
        if character in ("*", "+", "?"):
            self.refuse(position, f"{character} with nothing to repeat")
        if character == "{":
            self.refuse(position, "{ with nothing to repeat; write \\{ for the character")
        return Characters(((ord(character), ord(character)),))

    def group(self, position: int, depth: int) -> Node:
        if depth >= _DEPTH:
            self.refuse(position, f"a group nested deeper than {_DEPTH}")
        if not self.skip("?:"):
            for opening, construct in _GROUPS:
                if self.pattern.startswith(opening, self.at):
                    self.refuse(position, construct)
        tree = self.alternation(depth + 1)
        if not self.skip(")"):
            self.refuse(position, "a ( without a ); write \\( for the character")
        return tree

    def repeated(self, item: Node, position: int) -> Node:
        start = self.at
        counts = self.counts()
        if counts is None:
            return item
        if isinstance(item, Anchor):
            self.refuse(start, "a repeated anchor")
        following = self.next()
        if following == "?":
            self.refuse(self.at, "a lazy quantifier")
        if following == "+":
            self.refuse(self.at, "a possessive quantifier")
        if following in ("*", "{"):
            self.refuse(self.at, "a repeated quantifier")
        return Repeat(item, *counts, position)

    def counts(self) -> tuple[int, int | None] | None:
        """How often the item before is repeated, or ``None`` where no quantifier follows."""
        for sign, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.skip(sign):
                return counts
        position = self.at
        if not self.skip("{"):
            return None
        text, brace, _ = self.pattern[self.at :].partition("}")
        low, comma, high = text.partition(",")
        if not brace or not _is_count(low) or (high and not _is_count(high)):
            self.refuse(position, "{ that is no {m}, {m,} or {m,n}; write \\{ for the character")
        self.at += len(text) + 1
        least, most = int(low), int(high) if high else None if comma else int(low)
        if max(least, most or 0) > _COUNT:
            self.refuse(position, f"a repetition of more than {_COUNT}")
        if most is not None and most < least:
            self.refuse(position, "a repetition whose end is less than its start")
        return least, most

    def escape(self, position: int) -> Characters:
        character = self.next()
        self.at += 1
        if character in _CLASSES:
            return Characters(_CLASSES[character])
        return Characters(((self.escaped(character, position),) * 2,))

    def escaped(self, character: str, position: int) -> int:
        """The code point that an escape of a punctuation character stands for."""
        if not character:
            self.refuse(position, "a \\ at the end")
        if "0" <= character <= "9":
            self.refuse(position, f"\\{character}, a backreference")
        if character in _ESCAPES:
            self.refuse(position, f"\\{character}, {_ESCAPES[character]}")
        if not " " <= character <= "~" or character.isalpha():
            self.refuse(position, f"an escape of {quoted(character)}")
        return ord(character)

    def bracket(self, position: int) -> Characters:
        negated = self.skip("^")
        if self.next() == "]":
            self.refuse(position, "a [ that ] follows at once; write \\] for the character")
        ranges: list[Range] = []
        while not self.skip("]"):
            if not self.next():
                self.refuse(position, "a [ without a ]; write \\[ for the character")
            ranges.extend(self.bracket_item())
        return Characters(tuple(ranges), negated)

    def bracket_item(self) -> tuple[Range, ...]:
        position = self.at
        low = self.bracket_character()
        if isinstance(low, tuple):
            if self.next() == "-" and self.pattern[self.at + 1 : self.at + 2] != "]":
                self.refuse(
                    self.at, "a range that starts with a class; write \\- for the character"
                )
            return low
        if self.next() != "-" or self.pattern[self.at + 1 : self.at + 2] in ("]", ""):
            return ((low, low),)
        if chr(low) == "-" and self.pattern[position] == "-":
            self.refuse(position, "a range that starts with -; write \\- for the character")
        self.at += 1
        high = self.bracket_character()
        if isinstance(high, tuple):
            self.refuse(position, "a range that ends with a class")
        if high < low:
            self.refuse(position, "a range that runs backwards")
        if self.next() == "-" and self.pattern[self.at + 1 : self.at + 2] != "]":
            self.refuse(self.at, "a - after a range; write \\- for the character")
        return ((low, high),)

    def bracket_character(self) -> int | tuple[Range, ...]:
        """One code point, or the ranges of a class."""
        position = self.at
        character = self.next()
        self.at += 1
        if character == "[" and self.next() in (":", ".", "="):
            self.refuse(position, "a class by name")
        if character != "\\":
            return ord(character)
        character = self.next()
        self.at += 1
        return _CLASSES.get(character) or self.escaped(character, position)

    def check_copies(self, node: Node, copies: int) -> None:
        """Refuse nested counts that an engine would have to write out too often."""
        if isinstance(node, Repeat):
            copies *= max(node.high or node.low, 1)
            if copies > _COPIES:
                self.refuse(node.position, f"nested repetitions of more than {_COPIES} in all")
            self.check_copies(node.item, copies)
        elif isinstance(node, Sequence):
            for item in node.items:
                self.check_copies(item, copies)
        elif isinstance(node, Alternation):
            for branch in node.branches:
                self.check_copies(branch, copies)


def _is_count(text: str) -> bool:
    return 0 < len(text) <= 4 and text.isascii() and text.isdigit()
