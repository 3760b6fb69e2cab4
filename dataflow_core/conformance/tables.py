"""Cases as rows of a table: one registration, with id and rule, for each row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dataflow_core.conformance.registry import register
from dataflow_core.errors import DataFlowError

if TYPE_CHECKING:
    from dataflow_core.conformance.session import Session

__all__ = ["filter_cases", "pipeline_cases", "refusal_cases", "update_cases"]

Rows = Sequence[Mapping[str, Any]]
Call = Callable[["Session", Any], Awaitable[Any]]


def filter_cases(
    model: type, rows: Rows, table: Iterable[tuple[str, str, Any, Sequence[int], str]]
) -> None:
    """Register ``(id, feature, filter, keys of the rows that pass, rule)``."""

    def make(document: Any, ids: Sequence[int]) -> Callable[[Session], Awaitable[None]]:
        async def check(session: Session) -> None:
            registered = session.model(model)
            await session.load(registered, rows)
            await session.expect_filter(registered, rows, document, ids)

        return check

    for identifier, feature, document, ids, rule in table:
        register(identifier, make(document, ids), feature=feature, rule=rule)


def update_cases(
    model: type, table: Iterable[tuple[str, str, Mapping[str, Any], Any, Mapping[str, Any], str]]
) -> None:
    """Register ``(id, feature, stored row, update, fields that change, rule)``."""

    def make(row: Any, fields: Any, expected: Any) -> Callable[[Session], Awaitable[None]]:
        async def check(session: Session) -> None:
            await session.check_update(session.model(model), row, fields, expected)

        return check

    for identifier, feature, row, fields, expected, rule in table:
        register(identifier, make(row, fields, expected), feature=feature, rule=rule)


def pipeline_cases(
    model: type, rows: Rows, table: Iterable[tuple[str, str, Any, Any, str]]
) -> None:
    """Register ``(id, feature, pipeline, result, rule)``."""

    def make(pipeline: Any, expected: Any) -> Callable[[Session], Awaitable[None]]:
        async def check(session: Session) -> None:
            registered = session.model(model)
            await session.load(registered, rows)
            await session.check_pipeline(registered, rows, pipeline, expected)

        return check

    for identifier, feature, pipeline, expected, rule in table:
        register(identifier, make(pipeline, expected), feature=feature, rule=rule)


def refusal_cases(
    model: type, table: Iterable[tuple[str, str, type[DataFlowError], Call, str]]
) -> None:
    """Register ``(id, feature, error, call, rule)``: the call is refused before any SQL."""

    def make(error: type[DataFlowError], call: Call) -> Callable[[Session], Awaitable[None]]:
        async def check(session: Session) -> None:
            registered = session.model(model)
            await session.run(registered, "Count", filter={})
            await session.expect_error(error, lambda: call(session, registered), sent=False)

        return check

    for identifier, feature, error, call, rule in table:
        register(identifier, make(error, call), feature=feature, rule=rule)
