"""$exists, $null, $type: null as an absent field."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.tables import filter_cases, refusal_cases
from dataflow_core.errors import InvalidFilter

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session


class Maybe:
    """Fields that may be null, of several types."""

    id: int
    n: int | None
    t: str | None
    flag: bool | None
    doc: dict[str, Any] | None


ROWS: Final[list[dict[str, Any]]] = [
    {"id": 1, "n": 0, "t": "", "flag": False, "doc": {}},
    {"id": 2, "n": 1, "t": "NULL", "flag": True, "doc": {"a": None}},
    {"id": 3},
]

filter_cases(
    Maybe,
    ROWS,
    (
        ("filters.exists.true", "filters.null", {"n": {"$exists": True}}, [1, 2],
         "$exists: there is a value, 0 included."),
        ("filters.exists.false", "filters.null", {"n": {"$exists": False}}, [3],
         "$exists False: null."),
        ("filters.exists.empty_text", "filters.null", {"t": {"$exists": True}}, [1, 2],
         "Empty text exists."),
        ("filters.exists.json", "filters.null", {"doc": {"$exists": True}}, [1, 2],
         "An empty document exists."),
        ("filters.null.true", "filters.null", {"t": {"$null": True}}, [3], "$null: no value."),
        ("filters.null.false", "filters.null", {"t": {"$null": False}}, [1, 2],
         "$null False: there is a value, also the text 'NULL'."),
        ("filters.null.boolean", "filters.null", {"flag": None}, [3], "False is not null."),
        ("filters.null.json", "filters.null", {"doc": None}, [3], "A null document is found."),
        ("filters.null.json_member", "filters.null", {"doc.a": None}, [1, 2, 3],
         "A member that is missing or null, and a document that is null, are alike."),
        ("filters.null.or", "filters.null", {"$or": [{"n": None}, {"n": 0}]}, [1, 3],
         "Null beside a value."),
        ("filters.type", "filters.null", {"n": {"$type": "int"}}, [1, 2],
         "$type: a value of the field's type is there."),
        ("filters.type.other", "filters.null", {"n": {"$type": "string"}}, [],
         "A field never holds another type."),
        ("filters.type.null", "filters.null", {"n": {"$type": ["null", "string"]}}, [3],
         "$type null means null."),
    ),
)  # fmt: skip


def _call(document: Any) -> Callable[[Session, Any], Awaitable[Any]]:
    return lambda session, model: session.run(model, "Count", filter=document)


refusal_cases(
    Maybe,
    (
        ("filters.refused.exists_one", "filters.null", InvalidFilter, _call({"n": {"$exists": 1}}),
         "$exists takes True or False."),
        ("filters.refused.type_word", "filters.null", InvalidFilter,
         _call({"n": {"$type": "integer?"}}),
         "$type takes the name of a type."),
    ),
)  # fmt: skip
