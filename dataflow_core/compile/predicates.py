"""The SQL of filters.

A leaf is NULL for rows whose column is NULL, which ``WHERE`` takes for false. Only under ``NOT``
that would be wrong, so there every leaf is made two-valued first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.compile.build import Build, Render
from dataflow_core.compile.related import related
from dataflow_core.errors import UnsupportedFeature
from dataflow_core.filters.ast import (
    Always,
    And,
    ArraySize,
    Bits,
    Compare,
    Contains,
    ElementMatch,
    ExpressionTest,
    IsNull,
    JsonPath,
    Membership,
    Modulo,
    Not,
    Or,
    Pattern,
    Predicate,
    Related,
    Slot,
)
from dataflow_core.filters.text import fold, next_prefix
from dataflow_core.schema import Field

if TYPE_CHECKING:
    from dataflow_core.compile.base import BaseCompiler

__all__ = ["PREDICATES", "SIGNS", "escape_like", "joined", "listed"]

SIGNS: Final = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

_TWO_VALUED: Final = (
    And,
    Or,
    Not,
    Always,
    IsNull,
    ExpressionTest,
    Contains,
    ArraySize,
    ElementMatch,
    Related,
)


def joined(parts: list[str], word: str) -> str:
    """Parts joined by AND or OR, as a balanced tree: databases limit the depth of an expression."""
    if len(parts) == 1:
        return parts[0]
    if len(parts) <= WIDEST:
        return f"({f' {word} '.join(parts)})"
    middle = len(parts) // 2
    return f"({joined(parts[:middle], word)} {word} {joined(parts[middle:], word)})"


WIDEST: Final = 8
"""How many conditions are joined without brackets between them."""


def listed(slot: Slot, build: Build) -> str:
    """A placeholder for every element, up to the length class of the list; the last is repeated."""
    encode = build.compiler.codec(slot.type).encode
    return ", ".join(
        build.bind_as(slot, _element(position, encode), slot.type)
        for position in range(slot.length)
    )


def _element(position: int, encode: Callable[[Any], Any] | None) -> Callable[[list[Any]], Any]:
    def pick(items: list[Any]) -> Any:
        item = items[position] if position < len(items) else items[-1]
        return item if encode is None else encode(item)

    return pick


_FEATURES: Final[dict[type, str]] = {
    Modulo: "filters.modulo",
    Bits: "filters.bits",
    ExpressionTest: "filters.expression",
    Contains: "filters.json.array",
    ArraySize: "filters.json.array",
    ElementMatch: "filters.json.array",
    Related: "relations",
}


def features_used(node: Predicate) -> list[str]:
    """The features that a node needs by itself, without those of the nodes inside."""
    used = [_FEATURES[type(node)]] if type(node) in _FEATURES else []
    if isinstance(node, Pattern):
        used.append("filters.regex" if node.kind == "regex" else "filters.text")
    if isinstance(getattr(node, "target", None), JsonPath):
        used.append("filters.json.path")
    return used


def escape_like(text: str) -> str:
    """``text`` with the special characters of LIKE escaped by ``|``."""
    return text.replace("|", "||").replace("%", "|%").replace("_", "|_")


def _always(compiler: BaseCompiler, node: Always, build: Build) -> str:
    return "1 = 1" if node.value else "1 = 0"


def _and(compiler: BaseCompiler, node: And, build: Build) -> str:
    return joined([compiler.predicate(item, build) for item in node.items], "AND")


def _or(compiler: BaseCompiler, node: Or, build: Build) -> str:
    return joined([compiler.predicate(item, build) for item in node.items], "OR")


def _not(compiler: BaseCompiler, node: Not, build: Build) -> str:
    item = node.item
    if isinstance(item, Not):
        return compiler.predicate(item.item, build)
    if isinstance(item, Always):
        return "1 = 0" if item.value else "1 = 1"
    if isinstance(item, IsNull) and isinstance(item.target, Field):
        return f"{build.column(item.target)} IS NOT NULL"
    if isinstance(item, Compare | Membership) and isinstance(item.target, Field):
        return _unequal(compiler, item, build)
    return f"NOT ({_two_valued(compiler, item, build)})"


def _unequal(compiler: BaseCompiler, item: Compare | Membership, build: Build) -> str:
    """``NOT`` of the most common leaves, in the form that a database can use an index for."""
    assert isinstance(item.target, Field)
    column = build.column(item.target)
    if isinstance(item, Compare) and item.operator == "eq":
        text = f"{column} <> {build.bind(item.slot)}"
    else:
        text = f"NOT ({compiler.predicate(item, build)})"
    return f"({text} OR {column} IS NULL)" if item.target.nullable else text


def _two_valued(compiler: BaseCompiler, node: Predicate, build: Build) -> str:
    """The SQL of a node that is true or false, never NULL."""
    while isinstance(node, Not) and isinstance(node.item, Not):
        node = node.item.item
    if isinstance(node, And | Or):
        word = "AND" if isinstance(node, And) else "OR"
        return joined([_two_valued(compiler, item, build) for item in node.items], word)
    text = compiler.predicate(node, build)
    target = None if isinstance(node, _TWO_VALUED) else node.target
    if isinstance(target, Field) and target.nullable:
        return f"({text} AND {build.column(target)} IS NOT NULL)"
    return text


def _is_null(compiler: BaseCompiler, node: IsNull, build: Build) -> str:
    if isinstance(node.target, JsonPath):
        return compiler.json_predicate(node, build)
    return f"{build.column(node.target)} IS NULL"


def _compare(compiler: BaseCompiler, node: Compare, build: Build) -> str:
    if isinstance(node.target, JsonPath):
        return compiler.json_predicate(node, build)
    return f"{build.column(node.target)} {SIGNS[node.operator]} {build.bind(node.slot)}"


def _membership(compiler: BaseCompiler, node: Membership, build: Build) -> str:
    if isinstance(node.target, JsonPath):
        return compiler.json_predicate(node, build)
    return f"{build.column(node.target)} IN ({listed(node.slot, build)})"


def _pattern(compiler: BaseCompiler, node: Pattern, build: Build) -> str:
    if isinstance(node.target, JsonPath):
        return compiler.json_predicate(node, build)
    return compiler.text_match(build.column(node.target), node, build)


def text_match(compiler: BaseCompiler, subject: str, node: Pattern, build: Build) -> str:
    """ANSI spelling of a pattern on a text expression; a prefix is a range, so an index serves."""
    if node.kind == "prefix" and not node.ignore_case:
        low = build.bind(node.slot)
        return f"({subject} >= {low} AND {subject} < {build.bind(node.slot, next_prefix)})"
    if node.kind == "regex":
        raise UnsupportedFeature(
            f"{compiler.name} has no spelling for regular expressions",
            feature="filters.regex",
            dialect=compiler.name,
            reason="the dialect's compiler does not say how",
        )
    if node.ignore_case:
        subject = compiler.folded(subject)
    return f"{subject} LIKE {build.bind(node.slot, _LIKE[node.kind, node.ignore_case])} ESCAPE '|'"


_LIKE: Final[dict[tuple[str, bool], Callable[[str], str]]] = {
    ("like", False): lambda text: text,
    ("like", True): fold,
    ("prefix", True): lambda text: escape_like(fold(text)) + "%",
    ("suffix", False): lambda text: "%" + escape_like(text),
    ("suffix", True): lambda text: "%" + escape_like(fold(text)),
    ("contains", False): lambda text: f"%{escape_like(text)}%",
    ("contains", True): lambda text: f"%{escape_like(fold(text))}%",
}


def _modulo(compiler: BaseCompiler, node: Modulo, build: Build) -> str:
    divisor, remainder = build.bind(node.divisor), build.bind(node.remainder)
    return f"MOD({build.column(node.target)}, {divisor}) = {remainder}"


def _bits(compiler: BaseCompiler, node: Bits, build: Build) -> str:
    mask = build.bind(node.mask)
    masked = f"({build.column(node.target)} & {mask})"
    compared = {
        "all_set": f"= {mask}",
        "any_set": "<> 0",
        "all_clear": "= 0",
        "any_clear": f"<> {mask}",
    }
    return f"{masked} {compared[node.kind]}"


def _json(compiler: BaseCompiler, node: Any, build: Build) -> str:
    return compiler.json_predicate(node, build)


def _expression_test(compiler: BaseCompiler, node: ExpressionTest, build: Build) -> str:
    return compiler.condition(node.expression, build)


PREDICATES: Final[dict[type, Render]] = {
    Always: _always,
    And: _and,
    Or: _or,
    Not: _not,
    IsNull: _is_null,
    Compare: _compare,
    Membership: _membership,
    Pattern: _pattern,
    Modulo: _modulo,
    Bits: _bits,
    Contains: _json,
    ArraySize: _json,
    ElementMatch: _json,
    ExpressionTest: _expression_test,
    Related: related,
}
"""The SQL of every node of a filter; dialects replace entries."""
