"""$and $or $nor $not, nesting, and $expr."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.tables import filter_cases, refusal_cases
from dataflow_core.errors import InvalidFilter, UnknownOperator

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session


class Pair:
    """Two numbers and a text, any of which may be null."""

    id: int
    a: int | None
    b: int | None
    t: str | None
    flag: bool | None


ROWS: Final[list[dict[str, Any]]] = [
    {"id": 1, "a": 1, "b": 1, "t": "x", "flag": True},
    {"id": 2, "a": 1, "b": 2, "t": None, "flag": False},
    {"id": 3, "a": 2, "b": None, "t": "y", "flag": None},
    {"id": 4, "a": None, "b": 1, "t": "x", "flag": True},
    {"id": 5},
]
_EVERY: Final = [1, 2, 3, 4, 5]


def _nested(depth: int) -> dict[str, Any]:
    document: dict[str, Any] = {"a": 1}
    for _ in range(depth):
        document = {"$and": [document]}
    return document


filter_cases(
    Pair,
    ROWS,
    (
        ("filters.logic.empty", "filters.logic", {}, _EVERY,
         "An empty filter lets everything through."),
        ("filters.logic.implicit_and", "filters.logic", {"a": 1, "t": "x"}, [1],
         "Several fields all hold."),
        ("filters.logic.and", "filters.logic", {"$and": [{"a": 1}, {"b": 2}]}, [2],
         "$and: all hold."),
        ("filters.logic.or", "filters.logic", {"$or": [{"a": 2}, {"b": 1}]}, [1, 3, 4],
         "$or: one holds."),
        ("filters.logic.or_beside", "filters.logic", {"t": "x", "$or": [{"a": 1}, {"a": 2}]}, [1],
         "$or beside a field: both hold."),
        ("filters.logic.nor", "filters.logic", {"$nor": [{"a": 1}, {"b": 1}]}, [3, 5],
         "$nor: none holds, null counts as not holding."),
        ("filters.logic.not_field", "filters.logic", {"a": {"$not": {"$gt": 1}}}, [1, 2, 4, 5],
         "$not of a comparison lets null through."),
        ("filters.logic.not_eq", "filters.logic", {"a": {"$not": {"$eq": 1}}}, [3, 4, 5],
         "$not $eq is $ne."),
        ("filters.logic.not_ne", "filters.logic", {"a": {"$not": {"$ne": 1}}}, [1, 2],
         "$not $ne is $eq, also within another negation."),
        ("filters.logic.nor_not_ne", "filters.logic", {"$nor": [{"a": {"$not": {"$ne": 1}}},
         {"b": 9}]},
         [3, 4, 5], "A double negation inside a negation is two-valued."),
        ("filters.logic.not_document", "filters.logic", {"$not": {"a": 1, "b": 1}}, [2, 3, 4, 5],
         "$not of a whole filter is its complement."),
        ("filters.logic.not_or", "filters.logic", {"$not": {"$or": [{"a": 1}, {"b": {"$gt": 1}}]}},
         [3, 4, 5], "$not of $or with nulls inside is two-valued."),
        ("filters.logic.not_and", "filters.logic", {"$not": {"$and": [{"a": 1},
         {"b": {"$lt": 2}}]}},
         [2, 3, 4, 5], "$not of $and with nulls inside is two-valued."),
        ("filters.logic.not_not", "filters.logic", {"$not": {"$not": {"a": 1}}}, [1, 2],
         "Two negations cancel."),
        ("filters.logic.not_in", "filters.logic", {"a": {"$not": {"$in": [1, None]}}}, [3],
         "$not $in with None leaves null out."),
        ("filters.logic.not_like", "filters.logic", {"t": {"$not": {"$like": "x%"}}}, [2, 3, 5],
         "$not of a pattern lets null through."),
        ("filters.logic.not_everything", "filters.logic", {"$nor": [{}]}, [],
         "Not everything is nothing."),
        ("filters.logic.or_everything", "filters.logic", {"$or": [{}, {"a": 1}]}, _EVERY,
         "$or with an empty filter is everything."),
        ("filters.logic.nested", "filters.logic", _nested(25), [1, 2], "Filters nest 25 deep."),
        ("filters.logic.wide_or", "filters.logic", {"$or": [{"a": 2}] * 500 + [{"b": 2}] * 499}, [2,
         3],
         "A thousand branches are no matter of the parser's depth."),
        ("filters.logic.comment", "filters.logic", {"$comment": "why", "a": 2}, [3],
         "$comment is ignored."),
        ("filters.expr.fields", "filters.expression", {"$expr": {"$eq": ["$a", "$b"]}}, [1, 5],
         "$expr compares fields; null equals null there."),
        ("filters.expr.less", "filters.expression", {"$expr": {"$lt": ["$a", "$b"]}}, [2, 4],
         "In $expr null is less than every number."),
        ("filters.expr.not_equal", "filters.expression", {"$expr": {"$ne": ["$a", "$b"]}}, [2, 3,
         4],
         "In $expr null differs from a number and not from null."),
        ("filters.expr.literal", "filters.expression", {"$expr": {"$gte": ["$a", None]}}, _EVERY,
         "Everything is at least null."),
        ("filters.expr.logic", "filters.expression",
         {"$expr": {"$and": ["$flag", {"$gt": ["$b", 0]}]}}, [1, 4],
         "A field that is true counts as true."),
        ("filters.expr.not", "filters.expression", {"$expr": {"$not": ["$flag"]}}, [2, 3, 5],
         "Null counts as false."),
        ("filters.expr.arithmetic", "filters.expression",
         {"$expr": {"$eq": [{"$add": ["$a", "$b"]}, 3]}}, [2], "$expr computes."),
        ("filters.expr.beside", "filters.expression", {"t": "x", "$expr": {"$eq": ["$a", "$b"]}},
         [1],
         "$expr stands beside fields."),
        ("filters.expr.negated", "filters.expression", {"$nor": [{"$expr": {"$lt": ["$a", "$b"]}}]},
         [1, 3, 5], "$expr may be negated."),
    ),
)  # fmt: skip


def _call(document: Any) -> Callable[[Session, Any], Awaitable[Any]]:
    return lambda session, model: session.run(model, "Count", filter=document)


refusal_cases(
    Pair,
    (
        ("filters.refused.empty_or", "filters.logic", InvalidFilter, _call({"$or": []}),
         "An empty $or is refused."),
        ("filters.refused.or_dict", "filters.logic", InvalidFilter, _call({"$or": {"a": 1}}),
         "$or takes a list."),
        ("filters.refused.not_value", "filters.logic", InvalidFilter, _call({"a": {"$not": 5}}),
         "$not under a field takes operators."),
        ("filters.refused.where", "filters.logic", UnknownOperator, _call({"$where": "1 = 1"}),
         "Code in a filter is refused."),
        ("filters.refused.expr_number", "filters.expression", InvalidFilter, _call({"$expr": "$a"}),
         "$expr takes a comparison."),
    ),
)  # fmt: skip
