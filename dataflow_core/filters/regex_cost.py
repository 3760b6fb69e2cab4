"""Whether an engine that backtracks could take practically for ever with a pattern."""

from __future__ import annotations

from typing import Final

from attrs import define

from dataflow_core.filters.regex_tree import (
    Alternation,
    Anchor,
    Characters,
    Node,
    Repeat,
    Sequence,
    overlap,
)

__all__ = ["endless_at"]

_WAYS: Final = 1000
_WIDE: Final = 10
"""What a repetition without an end, or with a far one, counts for."""

First = tuple[Characters, ...]


def endless_at(tree: Node) -> int | None:
    """The position of the first part that could make backtracking explode, or ``None``.

    Careful rather than exact. Inside a repetition the next character must always tell which way to
    go on: then no text is read in two ways, and nothing is tried twice. Outside of repetitions a
    few open choices are harmless, but each multiplies the time.
    """
    search = _Search()
    search.visit(tree, (), inside=False, position=0)
    return search.found


@define
class _Search:
    found: int | None = None
    ways: int = 1

    def choice(self, ways: int, *, inside: bool, position: int) -> None:
        """Note a choice that the next character does not settle."""
        self.ways *= ways
        if self.found is None and (inside or self.ways > _WAYS):
            self.found = position

    def visit(self, node: Node, following: First, *, inside: bool, position: int) -> None:
        """Look at the choices of ``node``.

        Parameters:
            following: what may come next after it; inside a repetition, within that only.
            inside: whether a repetition is around it.
            position: where the part that it belongs to starts.
        """
        if isinstance(node, Sequence):
            for item in reversed(node.items):
                self.visit(item, following, inside=inside, position=position)
                following = _first(item, following)
        elif isinstance(node, Alternation):
            self.visit_branches(node, following, inside=inside, position=position)
        elif isinstance(node, Repeat):
            self.visit_repeat(node, following, inside=inside)

    def visit_branches(
        self, node: Alternation, following: First, *, inside: bool, position: int
    ) -> None:
        seen: First = ()
        for branch in node.branches:
            first = _first(branch, following)
            if overlap(seen, first):
                self.choice(len(node.branches), inside=inside, position=position)
                break
            seen += first
        before, most = self.ways, self.ways
        for branch in node.branches:
            self.ways = before
            self.visit(branch, following, inside=inside, position=position)
            most = max(most, self.ways)
        self.ways = most

    def visit_repeat(self, node: Repeat, following: First, *, inside: bool) -> None:
        first = _first(node.item, ())
        varies = node.low != node.high
        loops = node.high is None or node.high > 1
        if not varies and _is_fixed(node.item):
            return
        if _can_be_empty(node.item) and (loops or varies):
            # Empty rounds can be inserted anywhere.
            self.choice(_WIDE, inside=loops or inside, position=node.position)
        elif varies and overlap(first, following):
            most = _WIDE if node.high is None else node.high - node.low + 1
            self.choice(min(most, _WIDE), inside=inside, position=node.position)
        if loops:
            following = (*first, *following) if inside else first
        self.visit(node.item, following, inside=inside or loops, position=node.position)


def _first(node: Node, following: First) -> First:
    """The characters that may come next where ``node`` stands and ``following`` after it."""
    if isinstance(node, Characters):
        return (node,)
    if isinstance(node, Anchor):
        return following
    if isinstance(node, Repeat):
        own = _first(node.item, ())
        return (*own, *following) if _can_be_empty(node) else own
    if isinstance(node, Sequence):
        own = ()
        for item in node.items:
            own += _first(item, ())
            if not _can_be_empty(item):
                return own
        return (*own, *following)
    own = tuple(part for branch in node.branches for part in _first(branch, ()))
    return (*own, *following) if _can_be_empty(node) else own


def _can_be_empty(node: Node) -> bool:
    if isinstance(node, Characters):
        return False
    if isinstance(node, Repeat):
        return node.low == 0 or _can_be_empty(node.item)
    if isinstance(node, Sequence):
        return all(_can_be_empty(item) for item in node.items)
    if isinstance(node, Alternation):
        return any(_can_be_empty(branch) for branch in node.branches)
    return True


def _is_fixed(node: Node) -> bool:
    """Whether there is only one way through ``node``."""
    if isinstance(node, Repeat):
        return node.low == node.high and _is_fixed(node.item)
    if isinstance(node, Sequence):
        return all(_is_fixed(item) for item in node.items)
    if isinstance(node, Alternation):
        return len(node.branches) == 1 and _is_fixed(node.branches[0])
    return True
