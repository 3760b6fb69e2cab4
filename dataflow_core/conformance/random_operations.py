"""Random operations on a database, each compared with the oracle.

Every choice comes from one seed, so a difference can be had again: it is raised with the seed and
the number of the operation.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import frozen

from dataflow_core.conformance.equality import first_difference
from dataflow_core.conformance.everything import Everything
from dataflow_core.conformance.explanation import compiled_call
from dataflow_core.conformance.oracle import Oracle
from dataflow_core.conformance.random_calls import Call, RandomCalls
from dataflow_core.errors import (
    ConstraintViolation,
    DataFlowError,
    MultipleRecordsMatched,
    OutOfRange,
)
from dataflow_core.schema import Model

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

__all__ = ["Difference", "RandomReport", "run_random_operations"]


class Difference(AssertionError):
    """The database and the oracle disagree; the text says where and how to see it again."""


@frozen
class RandomReport:
    """How many operations of each kind ran, and how many of them were errors on both sides."""

    operations: Mapping[str, int]
    errors: Mapping[str, int]


async def run_random_operations(session: Session, *, seed: int, count: int) -> RandomReport:
    """Run ``count`` random operations and compare each with the oracle.

    Parameters:
        session: the database; a model is registered in it.
        seed: decides everything.
        count: how many operations.

    Raises:
        Difference: a result, an error or the rows afterwards are not what the oracle says.
    """
    rng = random.Random(seed)
    operations = await _prepared(rng, session)
    kinds: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for number in range(count):
        call = operations.any()
        kinds[call.node] += 1
        try:
            failure = await _compared(session, operations.oracle, call)
        except Difference as difference:
            raise Difference(
                _explained(session, operations.model, call, seed, number, difference)
            ) from None
        if failure is not None:
            errors[failure] += 1
        if number % 100 == 99:
            await _pages(session, operations, seed, number)
    return RandomReport(dict(kinds), dict(errors))


async def _prepared(rng: random.Random, session: Session) -> RandomCalls:
    model = session.model(Everything)
    twin = session.model(type("Twin", (Everything,), {"__module__": Everything.__module__}))
    oracle, other = Oracle(model), Oracle(twin)
    oracle.others[twin.name] = other
    operations = RandomCalls(rng, oracle, other)
    for at in range(8):
        row = {**operations.row(), "id": at + 1, "code": f"twin {at}"}
        other.create([row])
        await session.run(twin, "Create", values=row)
    for at in range(12):
        row = {**operations.row(), "id": at + 1, "code": f"first {at}"}
        oracle.create([row])
        await session.run(model, "Create", values=row)
    return operations


async def _compared(session: Session, oracle: Oracle, call: Call) -> str | None:
    """Run one call on both sides; the name of the error if both sides raised the same."""
    before = dict(oracle.rows)
    oracle.errors = ()
    expected: dict[str, Any] | None = None
    expected_error: DataFlowError | None = None
    try:
        expected = call.expected()
    except DataFlowError as error:
        expected_error = error
        oracle.rows = before
    got: Mapping[str, Any] | None = None
    got_error: DataFlowError | None = None
    try:
        got = await session.run(oracle.model, call.node, **call.parameters)
    except DataFlowError as error:
        got_error = error
    if expected_error is not None or got_error is not None:
        if isinstance(expected_error, MultipleRecordsMatched) and isinstance(
            got_error, ConstraintViolation
        ):
            # Two things are wrong at once; which one is named is not promised.
            got_error = expected_error
        if got is not None and isinstance(expected_error, OutOfRange) and call.lazily is not None:
            _same(got, call.lazily(), call)
            return None
        if type(got_error) in oracle.errors:
            got_error = expected_error
        if type(expected_error) is not type(got_error):
            raise Difference(
                f"expected {_shown_error(expected_error, expected)}\n"
                f"     got {_shown_error(got_error, got)}"
            )
    else:
        assert expected is not None
        assert got is not None
        _same(got, expected, call)
    if call.writes:
        await _same_rows(session, oracle)
    return type(expected_error).__name__ if expected_error is not None else None


def _same(got: Mapping[str, Any], expected: Mapping[str, Any], call: Call) -> None:
    part = {name: got.get(name) for name in expected}
    found = first_difference(part, expected, close=call.close)
    if found is not None:
        raise Difference(f"{found}\nexpected {expected}\n     got {part}")


def _shown_error(error: DataFlowError | None, result: Any) -> str:
    if error is None:
        return f"the result {result}"
    cause = f" (cause: {error.__cause__!r})" if error.__cause__ is not None else ""
    return f"{type(error).__name__}: {error.message}{cause}"


async def _same_rows(session: Session, oracle: Oracle) -> None:
    got = await session.run(oracle.model, "List")
    found = first_difference(got["records"], oracle.all_rows())
    if found is not None:
        raise Difference(f"the rows afterwards: {found}")


async def _pages(session: Session, operations: RandomCalls, seed: int, number: int) -> None:
    """All pages by cursor, one after the other, are the whole list."""
    parameters: dict[str, Any] = {
        "filter": operations.filters.document(),
        "order_by": operations.order(),
        "limit": operations.rng.randint(1, 7),
    }
    cursor, rows = None, []
    while True:
        page = await session.run(operations.model, "List", cursor=cursor, **parameters)
        rows += page["records"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    expected = operations.oracle.find(parameters["filter"], order_by=parameters["order_by"])
    found = first_difference(rows, expected)
    if found is not None:
        call = Call("List", parameters, dict)
        difference = Difference(f"the pages together: {found}")
        raise Difference(_explained(session, operations.model, call, seed, number, difference))


def _explained(
    session: Session, model: Model, call: Call, seed: int, number: int, difference: Difference
) -> str:
    node = f"{model.name}{call.node}Node"
    lines = [
        f"seed {seed}, operation {number}: {node}",
        f"parameters {call.parameters!r}",
        str(difference),
        *compiled_call(session.db, node, call.parameters),
    ]
    return "\n".join(lines)
