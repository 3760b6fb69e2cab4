"""Running one case in a session of its own, and saying what happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from typing import Any, Final

from attrs import evolve

from dataflow_core.conformance.explanation import (
    described_call,
    described_sides,
    spelled_elsewhere,
)
from dataflow_core.conformance.outcome import Observation
from dataflow_core.conformance.registry import Case
from dataflow_core.conformance.session import CaseFailed, Session
from dataflow_core.errors import DataFlowError, UnsupportedFeature

__all__ = ["CLOSING", "LIMIT", "observe"]

LIMIT: Final = 60.0
"""Seconds that a case may take."""

CLOSING: Final = 30.0
"""Seconds that it may take to remove its tables and close its handles."""


async def observe(
    url: str,
    item: Case,
    options: Mapping[str, Any] | None = None,
    *,
    repeat: int = 1,
    ignore_claims: bool = False,
) -> Observation:
    """Run a case in a session of its own and say what happened.

    Parameters:
        url: the database.
        item: the case.
        options: further arguments of every ``DataFlow`` that is made.
        repeat: how often, as long as it passes.
        ignore_claims: send even what the dialect declares off.
    """
    started = time.perf_counter()
    for number in range(1, repeat + 1):
        seen = await _once(url, item, options or {}, ignore_claims)
        if not seen.passed:
            if number > 1:
                again = f"passed {number - 1} times, then:\n{seen.explanation}"
                seen = evolve(seen, explanation=again)
            break
    return evolve(seen, seconds=time.perf_counter() - started)


async def _once(
    url: str, item: Case, options: Mapping[str, Any], ignore_claims: bool
) -> Observation:
    session = Session(url, options, ignore_claims)
    error = await _ended(item.check(session), LIMIT)
    seen = Observation(passed=True) if error is None else await _observed(session, error)
    error = await _ended(session.close(), CLOSING)
    if error is not None and seen.passed:
        # Tables that cannot be dropped: the case left something behind.
        explanation = f"afterwards: {_message(error, CLOSING)}"
        seen = Observation(passed=False, explanation=explanation)
    return evolve(seen, asked=tuple(session.asked))


async def _ended(work: Awaitable[object], limit: float) -> BaseException | None:
    """Wait for something; what it raised, whatever that is: it is an outcome of the case."""
    try:
        async with asyncio.timeout(limit):
            await work
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise  # it is this run that is to end
        return error
    except Exception as error:
        return error
    return None


async def _observed(session: Session, error: BaseException) -> Observation:
    refusal = _refusal(error)
    refused = session.refused() if refusal is None else refusal.feature
    lines = [_message(error), *described_call(session)]
    if isinstance(error, CaseFailed):
        lines += described_sides(error)
    if refused is None:
        elsewhere = await spelled_elsewhere(session)
        if elsewhere:
            lines += ["as other dialects spell it:", *(f"  {line}" for line in elsewhere)]
    return Observation(
        passed=False,
        refused=refused,
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


def _message(error: BaseException, limit: float = LIMIT) -> str:
    if isinstance(error, CaseFailed):
        return error.message
    if isinstance(error, DataFlowError):
        return f"{type(error).__name__} {error.code}: {error.message}"
    if isinstance(error, TimeoutError):
        return f"did not end within {limit:g} s"
    if isinstance(error, asyncio.CancelledError):
        return "CancelledError came out, and nobody had cancelled anything"
    return f"{type(error).__name__}: {error}"
