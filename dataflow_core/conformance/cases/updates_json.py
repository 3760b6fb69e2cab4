"""Update operators inside JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case
from dataflow_core.conformance.tables import refusal_cases, update_cases
from dataflow_core.errors import InvalidType, InvalidUpdate

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session


class Box:
    """A document and lists."""

    id: int
    doc: dict[str, Any] | None
    words: list[str] | None
    mixed: list[Any] | None
    n: int | None


_JSON: Final = "updates.json"

update_cases(
    Box,
    (
        ("updates.json.replace", _JSON, {"doc": {"a": 1}}, {"doc": {"b": 2}}, {"doc": {"b": 2}},
         "A plain document replaces the whole."),
        ("updates.json.set", _JSON, {"doc": {"a": 1, "b": 2}}, {"$set": {"doc.a": "x"}},
         {"doc": {"a": "x", "b": 2}}, "A dotted $set changes one member."),
        ("updates.json.plain_path", _JSON, {"doc": {"a": 1}}, {"doc.b": [1]}, {"doc": {"a": 1,
         "b": [1]}},
         "A dotted name without an operator sets too."),
        ("updates.json.set_deep", _JSON, {"doc": {}}, {"$set": {"doc.a.b.c": 1}},
         {"doc": {"a": {"b": {"c": 1}}}}, "Documents on the way are made."),
        ("updates.json.set_null", _JSON, {}, {"$set": {"doc.a": 1}}, {"doc": {"a": 1}},
         "A null document is made."),
        ("updates.json.set_member_null", _JSON, {"doc": {"a": 1}}, {"$set": {"doc.a": None}},
         {"doc": {"a": None}}, "A member may be set to null."),
        ("updates.json.set_position", _JSON, {"doc": {"a": [1, 2]}}, {"$set": {"doc.a.1": 9}},
         {"doc": {"a": [1, 9]}}, "A number in a path is a position."),
        ("updates.json.set_special", _JSON, {"doc": {}}, {"$set": {"doc.x y": 1, 'doc.q"': 2,
         "doc.ключ": 3}},
         {"doc": {"x y": 1, 'q"': 2, "ключ": 3}}, "Members may have any name."),
        ("updates.json.unset", _JSON, {"doc": {"a": 1, "b": 2}}, {"$unset": {"doc.a": ""}},
         {"doc": {"b": 2}},
         "A dotted $unset removes a member."),
        ("updates.json.unset_missing", _JSON, {"doc": {"b": 2}}, {"$unset": {"doc.a": ""}},
         {"doc": {"b": 2}},
         "$unset of what is missing changes nothing."),
        ("updates.json.push", _JSON, {"words": ["a"]}, {"$push": {"words": "b"}}, {"words": ["a",
         "b"]},
         "$push appends."),
        ("updates.json.push_null", _JSON, {}, {"$push": {"words": "b"}}, {"words": ["b"]},
         "$push on null makes a list."),
        ("updates.json.push_each", _JSON, {"words": ["a"]}, {"$push": {"words": {"$each": ["c",
         "b"]}}},
         {"words": ["a", "c", "b"]}, "$each appends several."),
        ("updates.json.push_position", _JSON, {"words": ["a", "z"]},
         {"$push": {"words": {"$each": ["b"], "$position": 1}}}, {"words": ["a", "b", "z"]},
         "$position inserts."),
        ("updates.json.push_sort", _JSON, {"mixed": [3, 1]}, {"$push": {"mixed": {"$each": [2],
         "$sort": 1}}},
         {"mixed": [1, 2, 3]}, "$sort sorts the result."),
        ("updates.json.push_slice", _JSON, {"mixed": [1, 2, 3]},
         {"$push": {"mixed": {"$each": [4], "$slice": -2}}}, {"mixed": [3, 4]},
         "$slice keeps the last ones."),
        ("updates.json.push_path", _JSON, {"doc": {"a": [1]}}, {"$push": {"doc.a": 2}},
         {"doc": {"a": [1, 2]}},
         "$push reaches a list inside a document."),
        ("updates.json.add_to_set", _JSON, {"mixed": [1, "1"]},
         {"$addToSet": {"mixed": {"$each": [1.0, True, "1"]}}},
         {"mixed": [1, "1", True]}, "$addToSet compares by type and value: 1 is 1.0, not true."),
        ("updates.json.pull", _JSON, {"mixed": [1, 2, 1, "1"]}, {"$pull": {"mixed": 1}},
         {"mixed": [2, "1"]},
         "$pull removes every equal element."),
        ("updates.json.pull_condition", _JSON, {"mixed": [1, 5, 9]},
         {"$pull": {"mixed": {"$gte": 5}}}, {"mixed": [1]},
         "$pull takes a condition."),
        ("updates.json.pull_all", _JSON, {"words": ["a", "b", "a"]}, {"$pullAll": {"words": ["a",
         "z"]}},
         {"words": ["b"]}, "$pullAll removes all of a list."),
        ("updates.json.pull_null", _JSON, {}, {"$pull": {"words": "a"}}, {"words": None},
         "$pull on null changes nothing."),
        ("updates.json.pop", _JSON, {"mixed": [1, 2, 3]}, {"$pop": {"mixed": 1}}, {"mixed": [1, 2]},
         "$pop 1 removes the last."),
        ("updates.json.pop_first", _JSON, {"mixed": [1, 2, 3]}, {"$pop": {"mixed": -1}},
         {"mixed": [2, 3]},
         "$pop -1 removes the first."),
        ("updates.json.pop_empty", _JSON, {"mixed": []}, {"$pop": {"mixed": 1}}, {"mixed": []},
         "$pop of an empty list changes nothing."),
        ("updates.json.two_places", _JSON, {"doc": {"a": 1, "b": 2}},
         {"$set": {"doc.a": 3}, "$unset": {"doc.b": ""}}, {"doc": {"a": 3}},
         "Two places of one document change together."),
        ("updates.json.beside", _JSON, {"doc": {}, "n": 1}, {"$set": {"doc.a": 1},
         "$inc": {"n": 1}},
         {"doc": {"a": 1}, "n": 2}, "A change inside JSON stands beside others."),
    ),
)  # fmt: skip


@case("updates.json.no_array", feature=_JSON)
async def push_to_no_array(session: Session) -> None:
    """An array operator on what is no array is refused, and no row changes."""
    model = session.model(Box)
    rows = await session.load(model, [{"id": 1, "doc": {"a": [1]}}, {"id": 2, "doc": {"a": 5}}])
    call = partial(
        session.run, model, "BulkUpdate", filter={}, allow_all=True, fields={"$push": {"doc.a": 2}}
    )
    await session.expect_error(InvalidUpdate, call)
    session.equal(await session.rows(model), rows)


@case("updates.json.concurrent", feature=_JSON)
async def concurrent_pushes(session: Session) -> None:
    """Twenty pushes at once are all kept: none overwrites another."""
    import asyncio

    model = session.model(Box)
    await session.load(model, [{"id": 1, "mixed": []}])
    calls = [session.run(model, "Update", id=1, fields={"$push": {"mixed": n}}) for n in range(20)]
    await asyncio.gather(*calls)
    [row] = await session.rows(model)
    session.equal(sorted(row["mixed"]), list(range(20)))


def _update(fields: Any) -> Callable[[Session, Any], Awaitable[Any]]:
    return lambda session, model: session.run(model, "Update", id=1, fields=fields)


refusal_cases(
    Box,
    (
        ("updates.refused.push_int", _JSON, InvalidUpdate, _update({"$push": {"n": 1}}),
         "$push is for lists."),
        ("updates.refused.push_item", _JSON, InvalidType, _update({"$push": {"words": 1}}),
         "An item of a typed list has its type."),
        ("updates.refused.modifier", _JSON, InvalidUpdate,
         _update({"$push": {"mixed": {"$each": [1], "$top": 1}}}),
         "An unknown modifier is refused."),
        ("updates.refused.pop", _JSON, InvalidUpdate, _update({"$pop": {"mixed": 2}}),
         "$pop takes 1 or -1."),
        ("updates.refused.overlap", _JSON, InvalidUpdate, _update({"$set": {"doc.a": 1,
         "doc.a.b": 2}}),
         "Two changes of one place are refused."),
    ),
)  # fmt: skip
