"""Running the cases. Every case runs; what the dialect declares decides what that means."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from dataflow_core import __version__ as core_version
from dataflow_core.conformance.outcome import CaseResult, Observation, claim_of, judged
from dataflow_core.conformance.registry import Case, all_cases
from dataflow_core.conformance.report import Report, Versions
from dataflow_core.conformance.session import CaseFailed, Session
from dataflow_core.errors import DataFlowError, InvalidValue, UnsupportedFeature
from dataflow_core.features import FEATURES
from dataflow_core.naming_hints import nearest

__all__ = ["SUITE", "observe", "run", "run_case", "selected"]

SUITE: Final = "0.1"
"""The version of the suite: that of its newest cases."""

LIMIT: Final = 60.0
"""Seconds that a case may take."""

_SHOWN: Final = 1_500


def selected(
    *, topics: Iterable[str] = (), features: Iterable[str] = (), cases: Iterable[str] = ()
) -> tuple[Case, ...]:
    """The cases of these topics, features and ids; all of them, if nothing is asked for.

    Raises:
        InvalidValue: a name that no case has.
    """
    every = all_cases()
    topics, features, cases = tuple(topics), tuple(features), tuple(cases)
    _known(topics, {item.topic for item in every}, "topic")
    _known(features, FEATURES, "feature")
    _known(cases, {item.id for item in every}, "case")
    return tuple(
        item
        for item in every
        if (not topics or item.topic in topics)
        and (not features or item.feature in features)
        and (not cases or item.id in cases)
    )


def _known(names: Sequence[str], known: Iterable[str], what: str) -> None:
    known = tuple(known)
    for name in names:
        if name not in known:
            raise InvalidValue(f"there is no {what} {name!r}", suggestion=nearest(name, known))


async def run(
    url: str,
    *,
    topics: Iterable[str] = (),
    features: Iterable[str] = (),
    cases: Iterable[str] = (),
    on_result: Callable[[CaseResult], object] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Report:
    """Run the suite, or the chosen part of it, on a database and return the report.

    Parameters:
        url: the database. Tables are made under names of their own, and dropped again.
        topics, features, cases: what to run; nothing chosen means everything.
        on_result: called after every case.
        options: further arguments of every ``DataFlow`` that is made.

    Raises:
        InvalidValue: a name that no case has.
        ConfigurationError, ConnectionFailed: the database cannot be opened.
    """
    chosen = selected(topics=topics, features=features, cases=cases)
    options = options or {}
    probe = Session(url, options)
    try:
        server = await probe.database.server()
        dialect = probe.database.dialect
        shown = probe.database.shown_url
        versions = Versions(
            suite=SUITE,
            core=core_version,
            dialect=probe.database.dialect_version,
            server=str(server),
        )
    finally:
        await probe.close()
    results = []
    for item in chosen:
        result = judged(
            item,
            claim_of(dialect.features, item, server.version),
            await observe(url, item, options),
        )
        results.append(result)
        if on_result is not None:
            on_result(result)
    complete = len(chosen) == len(all_cases())
    return Report(shown, tuple(results), dict(dialect.features), versions, complete)


async def run_case(url: str, item: Case, options: Mapping[str, Any] | None = None) -> Report:
    """Run a single case; a report of one result."""
    return await run(url, cases=[item.id], options=options)


async def observe(url: str, item: Case, options: Mapping[str, Any] | None = None) -> Observation:
    """Run a case in a session of its own and say what happened."""
    started = time.perf_counter()
    session = Session(url, options or {})
    try:
        async with asyncio.timeout(LIMIT):
            await item.check(session)
        seen = Observation(passed=True)
    except Exception as error:  # whatever a case raises is an outcome of it
        seen = _observed(session, error)
    try:
        await session.close()
    except Exception as error:  # tables that cannot be dropped: the case left something behind
        if seen.passed:
            seen = Observation(passed=False, explanation=f"afterwards: {_message(error)}")
    return Observation(
        seen.passed, seen.refused, seen.sent, seen.explanation, time.perf_counter() - started
    )


def _observed(session: Session, error: Exception) -> Observation:
    refusal = _refusal(error)
    lines = [_message(error)]
    if session.last is not None:
        node, parameters = session.last
        lines.append(f"operation: {node}({_cut(parameters)})")
        lines.append(f"statement: {session.last_statement()}")
    if isinstance(error, CaseFailed) and error.expected is not None:
        lines.append(f"expected: {_cut(error.expected)}")
        lines.append(f"got:      {_cut(error.got)}")
    return Observation(
        passed=False,
        refused=None if refusal is None else refusal.feature,
        sent=refusal is not None and session.database.sent_in_last_call,
        explanation="\n".join(lines),
    )


def _refusal(error: BaseException | None) -> UnsupportedFeature | None:
    """The refusal that an error is, or was caused by."""
    while error is not None:
        if isinstance(error, UnsupportedFeature):
            return error
        error = error.__cause__
    return None


def _message(error: Exception) -> str:
    if isinstance(error, CaseFailed):
        return error.message
    if isinstance(error, DataFlowError):
        return f"{type(error).__name__} {error.code}: {error.message}"
    if isinstance(error, TimeoutError):
        return f"did not end within {LIMIT:g} s"
    return f"{type(error).__name__}: {error}"


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
