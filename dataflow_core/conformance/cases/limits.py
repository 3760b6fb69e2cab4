"""Excess is refused before any SQL, quickly, and what is allowed works."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from dataflow_core.conformance.registry import case
from dataflow_core.conformance.tables import refusal_cases
from dataflow_core.errors import DataFlowError, InvalidFilter, InvalidValue, LimitExceeded

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

_LIMITS: Final = "limits"
_BUDGET: Final = 1.0
"""Seconds for a refusal, on a machine that does other things too."""


class Plain:
    """A number, a text and a document."""

    id: int
    n: int | None
    t: str | None
    doc: dict[str, Any] | None
    items: list[Any] | None


def _deep(depth: int, wrap: Callable[[Any], Any], inner: Any) -> Any:
    for _ in range(depth):
        inner = wrap(inner)
    return inner


def _cyclic() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


def _list(**parameters: Any) -> Callable[[Session, Any], Awaitable[Any]]:
    return lambda session, model: session.run(model, "List", **parameters)


def _create(**values: Any) -> Callable[[Session, Any], Awaitable[Any]]:
    return lambda session, model: session.run(model, "Create", values={"id": 1, **values})


refusal_cases(
    Plain,
    (
        ("limits.filter_depth", _LIMITS, LimitExceeded,
         _list(filter=_deep(40, lambda x: {"$and": [x]}, {"n": 1})),
         "A filter nested 40 deep is refused."),
        ("limits.filter_depth_not", _LIMITS, LimitExceeded,
         _list(filter=_deep(100_000, lambda x: {"$not": x}, {"n": 1})),
         "A filter nested 100,000 deep is refused, without exhausting the stack."),
        ("limits.filter_depth_field", _LIMITS, LimitExceeded,
         _list(filter={"n": _deep(100_000, lambda x: {"$not": x}, {"$gt": 1})}),
         "A condition nested 100,000 deep is refused."),
        ("limits.filter_leaves", _LIMITS, LimitExceeded, _list(filter={"$or": [{"n": 1}] * 1_001}),
         "More than 1,000 conditions are refused."),
        ("limits.in_values", _LIMITS, LimitExceeded,
         _list(filter={"n": {"$in": list(range(10_001))}}),
         "More than 10,000 values in lists are refused."),
        ("limits.in_values_million", _LIMITS, LimitExceeded,
         _list(filter={"n": {"$in": [1] * 1_000_000}}),
         "A million values are refused as quickly."),
        ("limits.order_keys", _LIMITS, LimitExceeded, _list(order_by=["n"] * 9),
         "More than 8 sort keys are refused."),
        ("limits.group_keys", _LIMITS, LimitExceeded,
         _list(aggregate=[{"$group": {"_id": {f"k{n}": "$n" for n in range(9)}}}]),
         "More than 8 group keys are refused."),
        ("limits.stages", _LIMITS, LimitExceeded, _list(aggregate=[{"$limit": 1}] * 33),
         "More than 32 stages are refused."),
        ("limits.expression_depth", _LIMITS, LimitExceeded,
         _list(aggregate=[{"$project": {"v": _deep(100_000, lambda x: {"$abs": x}, "$n")}}]),
         "An expression nested 100,000 deep is refused."),
        ("limits.regex_length", _LIMITS, DataFlowError,
         _list(filter={"t": {"$regex": "a" * 100_000}}),
         "A pattern of 100,000 characters is refused."),
        ("limits.json_depth", _LIMITS, InvalidValue, _create(items=_deep(100_000, lambda x: [x],
         1)),
         "JSON nested 100,000 deep is refused."),
        ("limits.json_cycle", _LIMITS, InvalidValue, _create(items=_cyclic()),
         "A list that holds itself is refused."),
        ("limits.int", _LIMITS, InvalidValue, _create(n=2**63), "2**63 is refused."),
        ("limits.huge_int", _LIMITS, InvalidValue, _create(n=10**5_000),
         "An int of 5,000 digits is refused."),
        ("limits.huge_int_filter", _LIMITS, InvalidValue, _list(filter={"n": {"$gt": 10**5_000}}),
         "An int of 5,000 digits in a filter is refused."),
        ("limits.offset", _LIMITS, InvalidValue, _list(limit=2**63),
         "A limit of 2**63 is refused."),
        ("limits.cyclic_filter", _LIMITS, InvalidFilter, _list(filter={"n": {"$in": 5}}),
         "$in takes a list."),
    ),
)  # fmt: skip


@case("limits.quick", feature=_LIMITS)
async def quick(session: Session) -> None:
    """Refusing takes no time, however large what is refused."""
    model = session.model(Plain)
    await session.run(model, "Count", filter={})
    for parameters in (
        {"filter": _deep(100_000, lambda x: {"$and": [x]}, {"n": 1})},
        {"filter": {"n": {"$in": [1] * 1_000_000}}},
        {"filter": {"x" * 1_000_000: 1}},
        {"order_by": ["x" * 1_000_000]},
        {"filter": {"n": "x" * 1_000_000}},
    ):
        started = time.perf_counter()
        try:
            await session.run(model, "List", **parameters)
        except DataFlowError as error:
            session.true(
                len(error.message) < 2_000, f"a message of {len(error.message)} characters"
            )
        else:
            session.true(False, "nothing was refused")
        took = time.perf_counter() - started
        session.true(took < _BUDGET, f"refusing took {took:.2f} s")


@case("limits.allowed", feature=_LIMITS)
async def allowed(session: Session) -> None:
    """What the limits allow works: 10,000 values, 1,000 conditions, 32 stages, long texts."""
    model = session.model(Plain)
    long = "x" * 1_000_000
    await session.load(model, [{"id": 1, "n": 5, "t": long}, {"id": 2, "n": 9_999}])
    await session.expect_list(model, {"n": {"$in": list(range(10_000))}}, [1, 2])
    await session.expect_list(model, {"n": {"$nin": list(range(9_999))}}, [2])
    await session.expect_list(model, {"$or": [{"n": n} for n in range(1_000)]}, [1])
    await session.expect_list(model, {"$and": [{"n": {"$ne": n}} for n in range(1_000)]}, [2])
    await session.expect_list(model, {"t": long}, [1])
    stages = [{"$match": {"n": {"$gt": 0}}}] * 16 + [{"$limit": 5}] * 15 + [{"$count": "n"}]
    found = await session.run(model, "List", aggregate=stages)
    session.equal(found["result"], [{"n": 2}])


@case("limits.many_columns", feature=_LIMITS)
async def many_columns(session: Session) -> None:
    """Bulk writes of wide rows stay within what a statement may bind."""
    annotations: dict[str, Any] = {"id": int, **{f"c{n}": int for n in range(120)}}
    model = session.model(
        type("Wide", (), {"__annotations__": annotations, "__module__": __name__})
    )
    data = [{"id": row, **{f"c{n}": row * n for n in range(120)}} for row in range(900)]
    await session.run(model, "BulkCreate", data=data)
    await session.run(model, "BulkUpsert", data=[{**row, "c1": -1} for row in data])
    found = await session.run(model, "Read", id=899)
    session.equal((found["c1"], found["c119"]), (-1, 899 * 119))
    session.equal((await session.run(model, "Count", filter={"c1": -1}))["count"], 900)
