"""The filter language: documents, trees, and what they mean."""

from dataflow_core.filters.ast import (
    EVERYTHING,
    Always,
    And,
    ArraySize,
    Bits,
    Compare,
    Comparison,
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
    PatternKind,
    Predicate,
    Related,
    Slot,
    Target,
    walk,
)
from dataflow_core.filters.evaluate import matches
from dataflow_core.filters.like import like_matches
from dataflow_core.filters.parse import parse_filter
from dataflow_core.filters.regex import Regex, exponential, parse_regex
from dataflow_core.filters.regex import render as render_regex
from dataflow_core.filters.scope import Bindings, Scope
from dataflow_core.filters.text import fold, next_prefix, upper

__all__ = [
    "EVERYTHING",
    "Always",
    "And",
    "ArraySize",
    "Bindings",
    "Bits",
    "Compare",
    "Comparison",
    "Contains",
    "ElementMatch",
    "ExpressionTest",
    "IsNull",
    "JsonPath",
    "Membership",
    "Modulo",
    "Not",
    "Or",
    "Pattern",
    "PatternKind",
    "Predicate",
    "Regex",
    "Related",
    "Scope",
    "Slot",
    "Target",
    "exponential",
    "fold",
    "like_matches",
    "matches",
    "next_prefix",
    "parse_filter",
    "parse_regex",
    "render_regex",
    "upper",
    "walk",
]
