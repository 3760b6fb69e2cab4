"""Conditions on places inside JSON: sent as text, tested in Python by the filters' own definition.

SQLite's JSON functions read numbers and quoted names differently from one version to the next, so a
leaf travels as a small JSON tree with its operands, and ``dataflow_json_matches`` tests it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

from dataflow_core.filters import (
    And,
    ArraySize,
    Compare,
    Contains,
    ElementMatch,
    IsNull,
    JsonPath,
    Membership,
    Not,
    Or,
    Pattern,
    Predicate,
    Slot,
    matches,
)
from dataflow_core.schema import Field
from dataflow_core.types import Json
from dataflow_sqlite.regex import refuse_exponential

__all__ = ["encoder", "json_matches", "operands", "render"]

_DOCUMENT: Final = Field("document", Json(), "document", nullable=True)


def render(node: Predicate) -> str:
    """A leaf as text; its operands are numbered in the order of ``operands``."""
    return json.dumps(
        _rendered(node, [slot.index for slot in operands(node)]), separators=(",", ":")
    )


def operands(node: Predicate) -> list[Slot]:
    """The slots of a leaf, each once."""
    found: dict[int, Slot] = {}
    for item in _leaves(node):
        if isinstance(item, Compare | Membership | Pattern | Contains | ArraySize):
            found.setdefault(item.slot.index, item.slot)
    return list(found.values())


def _leaves(node: Predicate) -> Iterator[Predicate]:
    stack: list[Predicate] = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, And | Or):
            stack.extend(reversed(item.items))
        elif isinstance(item, Not):
            stack.append(item.item)
        elif isinstance(item, ElementMatch):
            stack.append(item.condition)
        else:
            yield item


def encoder(node: Predicate, slot: Slot) -> Callable[[Any], str]:
    """How an operand travels: as JSON.

    Patterns are tested by Python's engine here, which backtracks.
    """
    patterns = [
        item for item in _leaves(node) if isinstance(item, Pattern) and item.kind == "regex"
    ]
    if any(item.slot == slot for item in patterns):
        return lambda pattern: json.dumps(refuse_exponential(pattern))
    return json.dumps


def _rendered(node: Predicate, numbers: list[int]) -> list[Any]:
    if isinstance(node, And | Or):
        return [type(node).__name__, [_rendered(item, numbers) for item in node.items]]
    if isinstance(node, Not):
        return ["Not", _rendered(node.item, numbers)]
    assert isinstance(
        node, Compare | Membership | Pattern | Contains | ArraySize | ElementMatch | IsNull
    )
    assert isinstance(node.target, JsonPath)
    steps = list(node.target.steps)
    if isinstance(node, IsNull):
        return ["IsNull", steps]
    if isinstance(node, ElementMatch):
        return ["ElementMatch", steps, _rendered(node.condition, numbers)]
    rest: list[Any] = [numbers.index(node.slot.index)]
    if isinstance(node, Compare):
        rest.append(node.operator)
    elif isinstance(node, Pattern):
        rest += [node.kind, node.ignore_case]
    return [type(node).__name__, steps, *rest]


def _tree(data: list[Any]) -> Predicate:
    kind = data[0]
    if kind in ("And", "Or"):
        return (And if kind == "And" else Or)(tuple(_tree(item) for item in data[1]))
    if kind == "Not":
        return Not(_tree(data[1]))
    target = JsonPath(_DOCUMENT, tuple(data[1]))
    if kind == "IsNull":
        return IsNull(target)
    if kind == "ElementMatch":
        return ElementMatch(target, _tree(data[2]))
    slot = Slot(data[2], Json())
    if kind == "Compare":
        return Compare(target, data[3], slot)
    if kind == "Pattern":
        return Pattern(target, data[3], slot, data[4])
    return _SIMPLE[kind](target, slot)


_SIMPLE: Final[dict[str, Callable[[JsonPath, Slot], Predicate]]] = {
    "Membership": Membership,
    "Contains": Contains,
    "ArraySize": ArraySize,
}


@lru_cache(maxsize=1_024)
def _parsed(tree: str) -> Predicate:
    return _tree(json.loads(tree))


@lru_cache(maxsize=1_024)
def _operand(text: str) -> Any:
    return json.loads(text)


def json_matches(document: str | None, tree: str, *values: str) -> int:
    """1 if a JSON document meets a condition that ``render`` wrote, else 0; NULL means absent."""
    row = {"document": None if document is None else json.loads(document)}
    return 1 if matches(_parsed(tree), row, [_operand(value) for value in values]) else 0
