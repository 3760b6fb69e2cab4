"""Conditions on places inside JSON, for a database that can call Python: one definition of them.

Databases read numbers, quoted names and arrays inside JSON each in its own way. Where a database
runs functions written in Python, none of that matters: a leaf travels as a small JSON tree beside
its operands, and ``json_matches`` tests it by the filters' own definition.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

from dataflow_core.errors import PatternRefused
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
    exponential,
    matches,
)
from dataflow_core.schema import Field
from dataflow_core.types import Json

__all__ = ["json_condition", "json_matches", "json_operand", "json_operands", "refuse_exponential"]

_DOCUMENT: Final = Field("document", Json(), "document", nullable=True)
_KEPT: Final = 1_024


def json_condition(node: Predicate) -> str:
    """A leaf as text; its operands are numbered in the order of ``json_operands``."""
    numbers = [slot.index for slot in json_operands(node)]
    return json.dumps(_rendered(node, numbers), separators=(",", ":"))


def json_operands(node: Predicate) -> list[Slot]:
    """The slots of a leaf, each once."""
    found: dict[int, Slot] = {}
    for item in _leaves(node):
        if isinstance(item, Compare | Membership | Pattern | Contains | ArraySize):
            found.setdefault(item.slot.index, item.slot)
    return list(found.values())


def json_operand(node: Predicate, slot: Slot) -> Callable[[Any], str]:
    """How the operand in a slot is encoded: as JSON.

    Patterns are tested by Python's engine here, which backtracks, so one that could take
    exponential time raises ``PatternRefused``.
    """
    for item in _leaves(node):
        if isinstance(item, Pattern) and item.kind == "regex" and item.slot == slot:
            return lambda pattern: json.dumps(refuse_exponential(pattern))
    return json.dumps


def json_matches(document: str | None, condition: str, *operands: str) -> bool:
    """Whether a JSON document meets a condition that ``json_condition`` wrote.

    Parameters:
        document: the document as JSON text; ``None`` is an absent one.
        condition: what ``json_condition`` wrote.
        operands: the encoded operands, in the order of ``json_operands``.
    """
    row = {"document": None if document is None else json.loads(document)}
    return matches(_parsed(condition), row, [_operand(text) for text in operands])


def refuse_exponential(pattern: str, way_out: str = "rewrite it") -> str:
    """Return the pattern if an engine that backtracks can take it; ``PatternRefused`` otherwise.

    ``way_out`` ends the message.
    """
    if exponential(pattern):
        raise PatternRefused(
            "the pattern repeats what can match in more than one way, so that Python's engine"
            f" could take exponential time; {way_out}"
        )
    return pattern


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


@lru_cache(_KEPT)
def _parsed(condition: str) -> Predicate:
    return _tree(json.loads(condition))


@lru_cache(_KEPT)
def _operand(text: str) -> Any:
    return json.loads(text)
