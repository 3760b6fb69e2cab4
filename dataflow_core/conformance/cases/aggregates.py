"""Pipelines: groups with every accumulator, and the other stages."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.oracle import Oracle
from dataflow_core.conformance.registry import case
from dataflow_core.conformance.tables import pipeline_cases, refusal_cases
from dataflow_core.errors import (
    ConflictingParameters,
    InvalidPipeline,
    OutOfRange,
    UnknownField,
    UnknownOperator,
)

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_D = decimal.Decimal


class Sale:
    """Things sold."""

    id: int
    shop: str | None
    kind: str | None
    n: int | None
    f: float | None
    d: _D | None
    paid: bool | None
    day: dt.date | None
    tags: list[str] | None


ROWS: Final[list[dict[str, Any]]] = [
    {"id": 1, "shop": "a", "kind": "x", "n": 1, "f": 0.5, "d": _D("0.1"), "paid": True,
    "day": dt.date(2024, 1, 2)},
    {"id": 2, "shop": "a", "kind": "y", "n": 2, "f": 1.5, "d": _D("0.2"), "paid": False,
    "tags": ["p"]},
    {"id": 3, "shop": "A", "kind": "x", "n": 3, "d": _D("0.3"), "paid": True, "day": dt.date(2024,
    1, 1)},
    {"id": 4, "shop": None, "kind": "x", "n": None, "f": 2.5, "paid": None},
    {"id": 5, "shop": "a", "kind": None, "n": 4, "f": 3.0, "d": _D("10"), "paid": True},
    {"id": 6, "shop": None, "kind": "z", "n": -7, "f": -1.0, "d": _D("-0.6"), "paid": False},
]  # fmt: skip
_GROUP: Final = "aggregate.group"
_STAGE: Final = "aggregate.stages"
_MORE: Final = "aggregate.more_stages"
_BY_SHOP: Final = [None, "A", "a"]


def _by_shop(accumulator: Any, *values: Any) -> tuple[Any, Any]:
    pipeline = [{"$group": {"_id": "$shop", "v": accumulator}}]
    return pipeline, [{"_id": key, "v": value} for key, value in zip(_BY_SHOP, values, strict=True)]


def _all(accumulator: Any, value: Any) -> tuple[Any, Any]:
    return [{"$group": {"_id": None, "v": accumulator}}], [{"_id": None, "v": value}]


pipeline_cases(
    Sale,
    ROWS,
    (
        ("aggregates.group.order", _GROUP, *_by_shop({"$sum": 1}, 2, 1, 3),
         "Groups come in the order of _id, null first; 'A' and 'a' are two; null is a group."),
        ("aggregates.group.count", _GROUP, *_by_shop({"$count": {}}, 2, 1, 3),
         "$count counts rows."),
        ("aggregates.group.sum", _GROUP, *_by_shop({"$sum": "$n"}, -7, 3, 7),
         "$sum of ints is an int and leaves nulls out."),
        ("aggregates.group.sum_decimal", _GROUP, *_by_shop({"$sum": "$d"}, _D("-0.6"), _D("0.3"),
         _D("10.3")),
         "$sum of Decimals is exact."),
        ("aggregates.group.sum_float", _GROUP, *_by_shop({"$sum": "$f"}, 1.5, 0.0, 5.0),
         "$sum over nothing is 0."),
        ("aggregates.group.avg", _GROUP, *_by_shop({"$avg": "$n"}, -7.0, 3.0, 7 / 3),
         "$avg of ints is a float of full precision."),
        ("aggregates.group.avg_null", _GROUP, *_by_shop({"$avg": "$f"}, 0.75, None, 5 / 3),
         "$avg over nothing is null."),
        ("aggregates.group.avg_decimal", _GROUP, *_by_shop({"$avg": "$d"}, -0.6, 0.3, 10.3 / 3),
         "$avg of Decimals is a float."),
        ("aggregates.group.min", _GROUP, *_by_shop({"$min": "$kind"}, "x", "x", "x"),
         "$min leaves nulls out."),
        ("aggregates.group.max", _GROUP, *_by_shop({"$max": "$d"}, _D("-0.6"), _D("0.3"), _D("10")),
         "$max compares Decimals as numbers."),
        ("aggregates.group.max_null", _GROUP, *_by_shop({"$max": "$day"}, None, dt.date(2024, 1, 1),
         dt.date(2024, 1, 2)), "$max over nothing is null, and a date stays a date."),
        ("aggregates.group.min_boolean", _GROUP, *_by_shop({"$min": "$paid"}, False, True, False),
         "$min of bools is a bool."),
        ("aggregates.group.computed", _GROUP, *_by_shop({"$sum": {"$multiply": ["$n", 2]}}, -14, 6,
         14),
         "An accumulator takes an expression."),
        ("aggregates.group.all", _GROUP, *_all({"$sum": "$n"}, 3),
         "_id null is one group of all rows."),
        ("aggregates.group.no_accumulator", _GROUP, [{"$group": {"_id": None}}], [{"_id": None}],
         "A group may have no accumulator."),
        ("aggregates.group.of_nothing", _GROUP,
         [{"$match": {"n": 99}}, {"$group": {"_id": None, "v": {"$sum": "$n"}}}], [],
         "A group of all rows over no rows gives no document."),
        ("aggregates.group.boolean_key", _GROUP, [{"$group": {"_id": "$paid", "v": {"$sum": 1}}}],
         [{"_id": None, "v": 1}, {"_id": False, "v": 2}, {"_id": True, "v": 3}],
         "A bool key stays a bool."),
        ("aggregates.group.two_keys", _GROUP,
         [{"$match": {"shop": "a"}}, {"$group": {"_id": {"s": "$shop", "k": "$kind"},
         "v": {"$sum": "$n"}}}],
         [{"_id": {"s": "a", "k": None}, "v": 4}, {"_id": {"s": "a", "k": "x"}, "v": 1},
          {"_id": {"s": "a", "k": "y"}, "v": 2}], "Several keys make a document."),
        ("aggregates.group.expression_key", _GROUP,
         [{"$group": {"_id": {"$gt": ["$n", 1]}, "v": {"$sum": 1}}}],
         [{"_id": False, "v": 3}, {"_id": True, "v": 3}], "A key may be computed."),
        ("aggregates.group.text_keys", _GROUP, [{"$group": {"_id": {"$toLower": "$shop"},
         "v": {"$sum": 1}}}],
         [{"_id": "", "v": 2}, {"_id": "a", "v": 4}], "$toLower of null is empty text."),
        ("aggregates.group.twice", _GROUP,
         [{"$group": {"_id": "$shop", "v": {"$sum": 1}}}, {"$group": {"_id": None,
         "v": {"$max": "$v"}}}],
         [{"_id": None, "v": 3}], "Groups may be grouped."),
        ("aggregates.first", "aggregate.first_last", [{"$sort": {"n": -1}},
         {"$group": {"_id": "$shop",
         "v": {"$first": "$n"}, "w": {"$last": "$n"}}}],
         [{"_id": None, "v": -7, "w": None}, {"_id": "A", "v": 3, "w": 3}, {"_id": "a", "v": 4,
         "w": 1}],
         "$first and $last follow the sort; null counts."),
        ("aggregates.first.key_order", "aggregate.first_last", *_by_shop({"$first": "$id"}, 4, 3,
         1),
         "Without a sort $first follows the key."),
        ("aggregates.push", "aggregate.collect", *_by_shop({"$push": "$kind"}, ["x", "z"], ["x"],
         ["x", "y"]),
         "$push collects in the order of the rows and leaves nulls out."),
        ("aggregates.push.sorted", "aggregate.collect",
         [{"$sort": {"id": -1}}, {"$group": {"_id": None, "v": {"$push": "$n"}}}],
         [{"_id": None, "v": [-7, 4, 3, 2, 1]}], "$push follows the sort."),
        ("aggregates.push.decimal", "aggregate.collect",
         *_by_shop({"$push": "$d"}, [_D("-0.6")], [_D("0.3")], [_D("0.1"), _D("0.2"), _D("10")]),
         "Collected Decimals stay Decimals."),
        ("aggregates.push.boolean", "aggregate.collect",
         *_by_shop({"$push": "$paid"}, [False], [True], [True, False, True]),
         "Collected bools stay bools."),
        ("aggregates.push.date", "aggregate.collect",
         *_by_shop({"$push": "$day"}, [], [dt.date(2024, 1, 1)], [dt.date(2024, 1, 2)]),
         "Collected dates stay dates."),
        ("aggregates.add_to_set", "aggregate.collect", *_all({"$addToSet": "$kind"}, ["x", "y",
         "z"]),
         "$addToSet collects each value once, in order."),
        ("aggregates.std_dev_pop", "aggregate.statistics", *_by_shop({"$stdDevPop": "$n"}, 0.0, 0.0,
         (14 / 9) ** 0.5), "$stdDevPop of one row is 0."),
        ("aggregates.std_dev_samp", "aggregate.statistics", *_by_shop({"$stdDevSamp": "$n"}, None,
         None,
         (7 / 3) ** 0.5), "$stdDevSamp of one row is null."),
        ("aggregates.median", "aggregate.statistics", *_by_shop({"$median": {"input": "$f",
         "method": "approximate"}}, 0.75, None, 1.5),
         "$median of an even number is the mean of the middle two."),
        ("aggregates.match", _STAGE, [{"$match": {"shop": "a"}}, {"$project": {"n": 1}}],
         [{"n": 1}, {"n": 2}, {"n": 4}], "$match is a filter."),
        ("aggregates.match_after_group", _STAGE,
         [{"$group": {"_id": "$shop", "v": {"$sum": 1}}}, {"$match": {"v": {"$gt": 1}}}],
         [{"_id": None, "v": 2}, {"_id": "a", "v": 3}], "$match after $group filters the groups."),
        ("aggregates.sort_before_group", _STAGE,
         [{"$sort": {"n": -1}}, {"$limit": 3}, {"$group": {"_id": None, "v": {"$sum": "$n"}}}],
         [{"_id": None, "v": 9}], "$sort and $limit before $group choose its rows."),
        ("aggregates.sort_ties", _STAGE, [{"$sort": {"kind": -1}}, {"$project": {"id": 1}}],
         [{"id": 6}, {"id": 2}, {"id": 1}, {"id": 3}, {"id": 4}, {"id": 5}],
         "Ties of $sort come in the order of the key, null last descending."),
        ("aggregates.sort_again", _STAGE, [{"$sort": {"n": -1}}, {"$sort": {"paid": 1}},
         {"$project": {"id": 1}}],
         [{"id": 4}, {"id": 2}, {"id": 6}, {"id": 1}, {"id": 3}, {"id": 5}],
         "A second $sort forgets the first: ties come in the order of the key."),
        ("aggregates.sort_then_rename", _STAGE,
         [{"$sort": {"n": 1}}, {"$project": {"n": "$id"}}],
         [{"n": 4}, {"n": 6}, {"n": 1}, {"n": 2}, {"n": 3}, {"n": 5}],
         "A name that is made anew does not disturb the sort before it."),
        ("aggregates.skip_limit", _STAGE, [{"$skip": 1}, {"$limit": 2}, {"$project": {"id": 1}}],
         [{"id": 2}, {"id": 3}], "$skip and $limit follow the key."),
        ("aggregates.limit_skip", _STAGE, [{"$limit": 3}, {"$skip": 2}, {"$project": {"id": 1}}],
         [{"id": 3}],
         "Stages apply in their order."),
        ("aggregates.limit_twice", _STAGE,
         [{"$limit": 4}, {"$sort": {"id": -1}}, {"$limit": 1}, {"$project": {"id": 1}}],
         [{"id": 4}],
         "A second cut applies to what the first left."),
        ("aggregates.match_after_limit", _STAGE, [{"$limit": 3}, {"$match": {"kind": "x"}},
         {"$project": {"id": 1}}],
         [{"id": 1}, {"id": 3}], "$match after $limit filters what is left."),
        ("aggregates.count", _STAGE, [{"$match": {"n": {"$gt": 1}}}, {"$count": "rows"}],
         [{"rows": 3}], "$count."),
        ("aggregates.count_nothing", _STAGE, [{"$match": {"n": 99}}, {"$count": "rows"}], [],
         "$count over nothing gives no document."),
        ("aggregates.project.computed", _STAGE,
         [{"$match": {"id": 1}}, {"$project": {"n": 1, "twice": {"$multiply": ["$n", 2]}}}],
         [{"n": 1, "twice": 2}], "$project chooses and computes."),
        ("aggregates.project.exclude", _STAGE,
         [{"$match": {"id": 2}}, {"$project": {"f": 0, "d": 0, "paid": 0, "day": 0, "kind": 0}}],
         [{"id": 2, "shop": "a", "n": 2, "tags": ["p"]}], "$project leaves out; JSON stays JSON."),
        ("aggregates.add_fields", _MORE, [{"$match": {"id": 1}},
         {"$addFields": {"n": {"$add": ["$n", 1]}, "m": "$n"}},
         {"$project": {"n": 1, "m": 1}}], [{"n": 2, "m": 1}],
         "$addFields replaces and adds, each from the row before."),
        ("aggregates.set", _MORE, [{"$match": {"id": 1}}, {"$set": {"z": 5}},
         {"$project": {"z": 1}}], [{"z": 5}],
         "$set is $addFields."),
        ("aggregates.unset", _MORE, [{"$match": {"id": 1}}, {"$project": {"n": 1, "f": 1}},
         {"$unset": "f"}],
         [{"n": 1}], "$unset drops a field."),
        ("aggregates.sort_by_count", _MORE, [{"$sortByCount": "$kind"}],
         [{"_id": "x", "count": 3}, {"_id": None, "count": 1}, {"_id": "y", "count": 1},
          {"_id": "z", "count": 1}], "$sortByCount: most first, ties by _id."),
        ("aggregates.bucket", _MORE, [{"$bucket": {"groupBy": "$n", "boundaries": [0, 2, 4],
         "default": -99}}],
         [{"_id": -99, "count": 3}, {"_id": 0, "count": 1}, {"_id": 2, "count": 2}],
         "$bucket: lower end included, upper not; the rest, null too, in the default."),
        ("aggregates.sample", _MORE, [{"$sample": {"size": 100}}, {"$count": "n"}], [{"n": 6}],
         "$sample of more than there is takes everything."),
        ("aggregates.facet", "aggregate.facet",
         [{"$facet": {"count": [{"$count": "n"}], "top": [{"$sort": {"n": -1}}, {"$limit": 1},
          {"$project": {"n": 1}}], "none": [{"$match": {"n": 99}}]}}],
         [{"count": [{"n": 6}], "top": [{"n": 4}], "none": []}],
         "$facet runs several pipelines over the same rows."),
    ),
)  # fmt: skip


@case("aggregates.union_other", feature="aggregate.union")
async def union_other(session: Session) -> None:
    """$unionWith takes the rows of another model of the same fields, in their order."""

    class Other(Sale):
        pass

    model, other = session.model(Sale), session.model(Other)
    await session.load(model, ROWS[:2])
    await session.load(other, ROWS[2:4])
    oracle, second = Oracle(model), Oracle(other)
    oracle.load(ROWS[:2])
    second.load(ROWS[2:4])
    oracle.others["Other"] = second
    pipeline = [{"$unionWith": "Other"}, {"$project": {"id": 1}}]
    session.equal(oracle.aggregate(pipeline), [{"id": n} for n in (1, 2, 3, 4)])
    found = await session.run(model, "List", aggregate=pipeline)
    session.equal(found["result"], [{"id": n} for n in (1, 2, 3, 4)])


@case("aggregates.filter_beside", feature=_STAGE)
async def filter_beside(session: Session) -> None:
    """A pipeline works on the rows that the filter of the list node lets through."""
    model = session.model(Sale)
    await session.load(model, ROWS)
    found = await session.run(model, "List", filter={"shop": "a"}, aggregate=[{"$count": "n"}])
    session.equal(found["result"], [{"n": 3}])
    session.equal((found["count"], found["records"]), (1, [{"n": 3}]))


@case("aggregates.group.sum_out_of_range", feature=_GROUP)
async def sum_out_of_range(session: Session) -> None:
    """A sum of ints that leaves 64 bits is OutOfRange; one that comes back into them is exact."""
    model = session.model(Sale)
    await session.load(model, [{"id": 1, "n": 2**63 - 1}, {"id": 2, "n": 2**63 - 1}])
    pipeline = [{"$group": {"_id": None, "v": {"$sum": "$n"}}}]
    call = partial(session.run, model, "List", aggregate=pipeline)
    await session.expect_error(OutOfRange, call)
    await session.load(model, [{"id": 3, "n": -(2**63)}])
    found = await session.run(model, "List", aggregate=pipeline)
    session.equal(found["result"], [{"_id": None, "v": 2**63 - 2}])


@case("aggregates.sample.some", feature=_MORE)
async def sample_some(session: Session) -> None:
    """$sample takes so many different rows."""
    model = session.model(Sale)
    await session.load(model, ROWS)
    found = await session.run(model, "List", aggregate=[{"$sample": {"size": 4}}])
    keys = {row["id"] for row in found["result"]}
    session.equal(len(keys), 4)


def _aggregate(pipeline: Any, **parameters: Any) -> Callable[[Session, Any], Awaitable[Any]]:
    return lambda session, model: session.run(model, "List", aggregate=pipeline, **parameters)


refusal_cases(
    Sale,
    (
        ("aggregates.refused.unknown_stage", _STAGE, UnknownOperator, _aggregate([{"$matsch": {}}]),
         "An unknown stage is refused."),
        ("aggregates.refused.out", _STAGE, UnknownOperator, _aggregate([{"$out": "x"}]),
         "A stage that writes is refused."),
        ("aggregates.refused.accumulator", _GROUP, UnknownOperator,
         _aggregate([{"$group": {"_id": None, "v": {"$summ": "$n"}}}]),
         "An unknown accumulator is refused."),
        ("aggregates.refused.no_id", _GROUP, InvalidPipeline,
         _aggregate([{"$group": {"v": {"$sum": 1}}}]),
         "$group needs _id."),
        ("aggregates.refused.sum_text", _GROUP, InvalidPipeline,
         _aggregate([{"$group": {"_id": None, "v": {"$sum": "$kind"}}}]), "$sum is for numbers."),
        ("aggregates.refused.gone_field", _STAGE, UnknownField,
         _aggregate([{"$project": {"n": 1}}, {"$match": {"f": 1}}]),
         "A field that a stage dropped is unknown."),
        ("aggregates.refused.alias", _STAGE, InvalidPipeline,
         _aggregate([{"$count": 'x"; DROP TABLE y'}]), "A new name is a plain identifier."),
        ("aggregates.refused.limit_zero", _STAGE, InvalidPipeline, _aggregate([{"$limit": 0}]),
         "$limit 0 in a pipeline is refused."),
        ("aggregates.refused.two_stages", _STAGE, InvalidPipeline, _aggregate([{"$limit": 1,
         "$skip": 1}]),
         "A stage has one key."),
        ("aggregates.refused.limit_beside", _STAGE, ConflictingParameters,
         _aggregate([{"$count": "n"}], limit=1),
         "limit beside aggregate is refused."),
    ),
)  # fmt: skip
