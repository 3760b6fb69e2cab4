"""$lookup, with $unwind and without."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.cases.relations import FLIGHTS, PLANES, fleet
from dataflow_core.conformance.registry import register
from dataflow_core.errors import DataFlowError, InvalidPipeline, UnknownField

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_LOOKUP: Final = "aggregate.lookup"
_SINCE: Final = "0.3"
_PLANE: Final = {
    "$lookup": {"from": "Plane", "localField": "tail", "foreignField": "tail", "as": "p"}
}
_KEEP: Final = "preserveNullAndEmptyArrays"


def _list(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [plane for plane in PLANES if plane["tail"] == row["tail"]]


_CASES: Final[tuple[tuple[str, str, list[Any], list[Any], str], ...]] = (
    ("list", "Flight", [_PLANE], [{**row, "p": _list(row)} for row in FLIGHTS],
     "Without $unwind at the end: each row has the list of rows that fit."),
    ("grouped", "Flight", [{"$group": {"_id": "$tail", "n": {"$count": {}}}},
     {"$lookup": {"from": "Plane", "localField": "_id", "foreignField": "tail", "as": "p"}}],
     [{"_id": None, "n": 1, "p": []}, {"_id": "N1", "n": 2, "p": [PLANES[0]]},
      {"_id": "N2", "n": 1, "p": [PLANES[1]]}, {"_id": "n1", "n": 1, "p": [PLANES[2]]}],
     "A group is looked up by its key."),
    ("two_lists", "Plane", [{"$limit": 1}, {"$project": {"tail": 1, "maker_id": 1}},
     {"$lookup": {"from": "Flight", "localField": "tail", "foreignField": "tail", "as": "f"}},
     {"$lookup": {"from": "Maker", "localField": "maker_id", "foreignField": "id", "as": "m"}}],
     [{"tail": "N1", "maker_id": 1, "f": FLIGHTS[:2], "m": [{"id": 1, "name": "Boeing"}]}],
     "Several lists may end a pipeline."),
    ("nulls", "Maker", [{"$project": {"name": 1}},
     {"$lookup": {"from": "Airport", "localField": "name", "foreignField": "city", "as": "a"}}],
     [{"name": "Boeing", "a": []}, {"name": None, "a": [{"code": "LAX", "city": None}]}],
     "Null fits null, as an absent field does in MongoDB."),
    ("unwound", "Flight", [_PLANE, {"$unwind": "$p"}, {"$project": {"id": 1, "p.year": 1}}],
     [{"id": 1, "p": {"year": 2000}}, {"id": 2, "p": {"year": 2000}}, {"id": 3, "p": None},
      {"id": 5, "p": {"year": 2010}}],
     "With $unwind: a row for each pair, none for rows that have none."),
    ("preserved", "Flight", [_PLANE, {"$unwind": {"path": "$p", _KEEP: True}},
     {"$match": {"miles": {"$lt": 100}}}, {"$project": {"id": 1, "p.tail": 1}}],
     [{"id": 3, "p": {"tail": "N2"}}, {"id": 4, "p": None}],
     "Rows that have none are kept on request, with None."),
    ("many", "Plane", [{"$lookup": {"relation": "flights"}}, {"$unwind": "$flights"},
     {"$project": {"tail": 1, "flights.id": 1}}],
     [{"tail": "N1", "flights": {"id": 1}}, {"tail": "N1", "flights": {"id": 2}},
      {"tail": "N2", "flights": {"id": 3}}, {"tail": "n1", "flights": {"id": 5}}],
     "The pairs come by the key of the row, then by that of the other one."),
    ("group", "Flight", [_PLANE, {"$unwind": {"path": "$p", _KEEP: True}},
     {"$group": {"_id": "$p.year", "miles": {"$sum": "$miles"}, "last": {"$last": "$id"}}}],
     [{"_id": None, "miles": 11, "last": 4}, {"_id": 2000, "miles": 2000, "last": 2},
      {"_id": 2010, "miles": 700, "last": 5}],
     "Fields of joined rows are grouped by."),
    ("match", "Flight", [_PLANE, {"$unwind": "$p"}, {"$match": {"p.year": {"$ne": 2000}}},
     {"$project": {"id": 1}}], [{"id": 3}, {"id": 5}], "Fields of joined rows are matched."),
    ("sort", "Flight", [_PLANE, {"$unwind": "$p"}, {"$sort": {"p.year": -1}}, {"$limit": 2},
     {"$project": {"id": 1}}], [{"id": 5}, {"id": 1}], "Fields of joined rows are sorted by."),
    ("after_limit", "Flight", [{"$sort": {"miles": -1}}, {"$limit": 2}, _PLANE,
     {"$unwind": "$p"}, {"$project": {"p.tail": 1}}],
     [{"p": {"tail": "N1"}}, {"p": {"tail": "n1"}}], "What was cut before is cut before."),
    ("chain", "Flight", [{"$lookup": {"relation": "plane"}},
     {"$unwind": {"path": "$plane", _KEEP: True}},
     {"$lookup": {"from": "Maker", "localField": "plane.maker_id", "foreignField": "id",
                  "as": "m"}},
     {"$unwind": {"path": "$m", _KEEP: True}}, {"$project": {"id": 1, "m.name": 1}}],
     [{"id": 1, "m": {"name": "Boeing"}}, {"id": 2, "m": {"name": "Boeing"}},
      {"id": 3, "m": None}, {"id": 4, "m": None}, {"id": 5, "m": None}],
     "A joined row is looked up from."),
    ("itself", "Flight", [{"$lookup": {"relation": "previous", "as": "before"}},
     {"$unwind": "$before"}, {"$project": {"id": 1, "before.id": 1}}],
     [{"id": 2, "before": {"id": 1}}, {"id": 3, "before": {"id": 2}},
      {"id": 4, "before": {"id": 1}}], "A table is joined with itself."),
    ("unset", "Flight", [_PLANE, {"$unwind": "$p"}, {"$limit": 1}, {"$unset": "p"}],
     [FLIGHTS[0]], "A joined row is taken out as a whole."),
    ("facet", "Flight", [_PLANE, {"$unwind": "$p"},
     {"$facet": {"n": [{"$count": "n"}], "first": [{"$limit": 1}, {"$project": {"p.year": 1}}]}}],
     [{"n": [{"n": 4}], "first": [{"p": {"year": 2000}}]}], "Joined rows go through $facet."),
)  # fmt: skip


def _pipeline(name: str, stages: Any, expected: Any) -> Callable[[Session], Awaitable[None]]:
    async def check(session: Session) -> None:
        await (await fleet(session)).pipeline(name, stages, expected)

    return check


for _id, _name, _stages, _expected, _rule in _CASES:
    register(
        f"aggregates.lookup.{_id}",
        _pipeline(_name, _stages, _expected),
        feature=_LOOKUP,
        rule=_rule,
        since=_SINCE,
    )

_REFUSED: Final[tuple[tuple[str, type[DataFlowError], list[Any], str], ...]] = (
    ("between", InvalidPipeline, [_PLANE, {"$limit": 1}],
     "A list is not looked into by later stages."),
    ("alone", InvalidPipeline, [{"$unwind": "$tail"}], "$unwind stands behind $lookup only."),
    ("type", InvalidPipeline,
     [{"$lookup": {"from": "Plane", "localField": "miles", "foreignField": "tail", "as": "p"}}],
     "Values of two types are not compared."),
    ("taken", InvalidPipeline, [{"$lookup": {"relation": "plane", "as": "miles"}}],
     "The list does not take the name of a field."),
    ("relation", UnknownField, [{"$lookup": {"relation": "airport"}}],
     "A name of two relations is refused."),
    ("facet", InvalidPipeline, [{"$facet": {"a": [_PLANE]}}],
     "A list is made at the end of the whole pipeline only."),
)  # fmt: skip


def _refused(kind: type[DataFlowError], stages: Any) -> Callable[[Session], Awaitable[None]]:
    async def check(session: Session) -> None:
        world = await fleet(session)
        call = partial(world.run, "Flight", "List", aggregate=stages)
        await session.expect_error(kind, call, sent=False)

    return check


for _id, _kind, _refusal, _rule in _REFUSED:
    register(
        f"aggregates.lookup.refused.{_id}",
        _refused(_kind, _refusal),
        feature=_LOOKUP,
        rule=_rule,
        since=_SINCE,
    )
