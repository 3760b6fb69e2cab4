"""Places inside JSON documents, and lists."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.tables import filter_cases, refusal_cases
from dataflow_core.errors import InvalidFilter, InvalidType

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session


class Document:
    """A document and lists."""

    id: int
    doc: dict[str, Any] | None
    tags: list[str] | None
    mixed: list[Any] | None
    n: int | None


ROWS: Final[list[dict[str, Any]]] = [
    {"id": 1, "doc": {"a": 1, "b": {"c": "x"}}, "tags": ["x", "y"], "mixed": [1, 2, 3]},
    {"id": 2, "doc": {"a": "1", "b": {"c": None}}, "tags": [], "mixed": ["1", True]},
    {"id": 3, "doc": {"a": True, "b": [1, 2]}, "tags": ["X"], "mixed": [[1, 2], 3]},
    {
        "id": 4,
        "doc": {"a": 1.0, "x y": 1, 'q"': 2, "it's": 3, "ключ": "é"},
        "tags": None,
        "mixed": [],
    },
    {"id": 5, "doc": {"a": None}, "tags": ["x", "x"], "mixed": [{"k": 1}, None, 5]},
    {
        "id": 6,
        "doc": {"a": 2**53 + 1, "list": [{"k": 1}, {"k": 2}], "0": "zero"},
        "mixed": [1.5, 10],
    },
    {
        "id": 7,
        "doc": {"a": [1, "z"], "b": {"c": "X"}, "%": 1},
        "tags": ["a%b", "😀"],
        "mixed": None,
    },
    {"id": 8},
]
_PATH: Final = "filters.json.path"
_ARRAY: Final = "filters.json.array"

filter_cases(
    Document,
    ROWS,
    (
        ("filters.json.number", _PATH, {"doc.a": 1}, [1, 4, 7],
         "1 equals 1.0 and an element 1, but neither '1' nor true."),
        ("filters.json.text", _PATH, {"doc.a": "1"}, [2], "The text '1' is not the number 1."),
        ("filters.json.true", _PATH, {"doc.a": True}, [3], "true is not 1."),
        ("filters.json.big", _PATH, {"doc.a": 2**53 + 1}, [6], "Ints beyond 2**53 are exact."),
        ("filters.json.null", _PATH, {"doc.a": None}, [5, 8],
         "Null, missing and a null document are alike."),
        ("filters.json.exists", _PATH, {"doc.b.c": {"$exists": True}}, [1, 7],
         "A member that is there."),
        ("filters.json.ne", _PATH, {"doc.a": {"$ne": 1}}, [2, 3, 5, 6, 8],
         "$ne lets missing members through."),
        ("filters.json.deep", _PATH, {"doc.b.c": "x"}, [1],
         "Paths lead into documents; case counts."),
        ("filters.json.position", _PATH, {"doc.b.0": 1}, [3],
         "A number in a path is a position in a list."),
        ("filters.json.deep_position", _PATH, {"doc.list.1.k": 2}, [6],
         "A path leads through lists."),
        ("filters.json.element", _PATH, {"doc.b": 2}, [3],
         "A list holds the value if an element equals it."),
        ("filters.json.compare", _PATH, {"doc.a": {"$gt": 1}}, [6],
         "Numbers are compared with numbers only."),
        ("filters.json.compare_text", _PATH, {"doc.b.c": {"$gte": "X"}}, [1, 7],
         "Texts are compared with texts, by code point."),
        ("filters.json.in", _PATH, {"doc.a": {"$in": ["1", True, 7]}}, [2, 3],
         "$in compares with types."),
        ("filters.json.nin", _PATH, {"doc.a": {"$nin": [1, None]}}, [2, 3, 6], "$nin with None."),
        ("filters.json.space_key", _PATH, {"doc.x y": 1}, [4], "A key may hold a space."),
        ("filters.json.quote_key", _PATH, {'doc.q"': 2}, [4], "A key may hold a quote."),
        ("filters.json.apostrophe_key", _PATH, {"doc.it's": 3}, [4],
         "A key may hold an apostrophe."),
        ("filters.json.percent_key", _PATH, {"doc.%": 1}, [7], "A key may hold a percent sign."),
        ("filters.json.unicode_key", _PATH, {"doc.ключ": "é"}, [4], "A key may hold any letter."),
        ("filters.json.object", _PATH, {"doc.b": {"c": "x"}}, [1], "Documents are equal by value."),
        ("filters.json.whole", _PATH, {"doc": {"b": {"c": "x"}, "a": 1.0}}, [1],
         "The order of members does not count, nor 1 against 1.0."),
        ("filters.json.list", _PATH, {"mixed": [1, 2]}, [3],
         "A list equals a list or an element that is one."),
        ("filters.json.list_order", _PATH, {"mixed": [1, 2, 3]}, [1],
         "The order of elements counts."),
        ("filters.json.startswith", _PATH, {"doc.b.c": {"$startswith": "x"}}, [1],
         "Text inside JSON."),
        ("filters.json.regex", _PATH, {"doc.b.c": {"$regex": "^[xX]$"}}, [1, 7],
         "$regex inside JSON."),
        ("filters.json.not", _PATH, {"doc.a": {"$not": {"$gt": 0}}}, [2, 3, 5, 8],
         "$not lets missing members through."),
        ("filters.array.element", _ARRAY, {"tags": "x"}, [1, 5],
         "A plain value: an element equals it."),
        ("filters.array.contains", _ARRAY, {"mixed": {"$contains": 1}}, [1],
         "$contains looks at elements only."),
        ("filters.array.contains_boolean", _ARRAY, {"mixed": {"$contains": True}}, [2],
         "true is not 1."),
        ("filters.array.all", _ARRAY, {"tags": {"$all": ["y", "x"]}}, [1],
         "$all: every value is there."),
        ("filters.array.all_empty", _ARRAY, {"tags": {"$all": []}}, [],
         "$all of nothing is nothing."),
        ("filters.array.size", _ARRAY, {"tags": {"$size": 2}}, [1, 5, 7], "$size counts elements."),
        ("filters.array.size_zero", _ARRAY, {"tags": {"$size": 0}}, [2],
         "An empty list is not null."),
        ("filters.array.size_path", _ARRAY, {"doc.list": {"$size": 2}}, [6],
         "$size inside a document."),
        ("filters.array.elem_match", _ARRAY, {"mixed": {"$elemMatch": {"$gt": 2, "$lt": 4}}}, [1,
         3],
         "$elemMatch: one and the same element meets all conditions."),
        ("filters.array.range", _ARRAY, {"mixed": {"$gt": 2, "$lt": 2}}, [1, 6],
         "Without $elemMatch different elements may meet the conditions."),
        ("filters.array.in", _ARRAY, {"tags": {"$in": ["X", "😀"]}}, [3, 7],
         "An element is one of the list."),
        ("filters.array.nin", _ARRAY, {"tags": {"$nin": ["x"]}}, [2, 3, 4, 6, 7, 8],
         "No element is one of the list; null passes."),
        ("filters.array.wildcards", _ARRAY, {"tags": "a%b"}, [7], "% is an ordinary character."),
        ("filters.array.null", _ARRAY, {"tags": None}, [4, 6, 8], "A null list is null."),
    ),
)  # fmt: skip


def _call(document: Any) -> Callable[[Session, Any], Awaitable[Any]]:
    return lambda session, model: session.run(model, "Count", filter=document)


refusal_cases(
    Document,
    (
        ("filters.refused.path_into_int", _PATH, InvalidFilter, _call({"n.a": 1}),
         "A path leads into JSON only."),
        ("filters.refused.empty_step", _PATH, InvalidFilter, _call({"doc..a": 1}),
         "A path has no empty step."),
        ("filters.refused.size_negative", _ARRAY, InvalidFilter, _call({"tags": {"$size": -1}}),
         "A size is not negative."),
        ("filters.refused.size_on_int", _ARRAY, InvalidFilter, _call({"n": {"$size": 1}}),
         "$size is for lists."),
        ("filters.refused.json_object", _PATH, InvalidType, _call({"doc.a": object()}),
         "What is no JSON value is refused."),
        ("filters.refused.json_order", _PATH, InvalidFilter, _call({"doc.a": {"$gt": {"b": 1}}}),
         "Documents have no order."),
    ),
)  # fmt: skip
