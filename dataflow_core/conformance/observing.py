"""Running one case in a session of its own, and saying what happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
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

__all__ = ["LIMIT", "observe"]

LIMIT: Final = 60.0
"""Seconds that a case may take."""


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
    try:
        async with asyncio.timeout(LIMIT):
            await item.check(session)
        seen = Observation(passed=True)
    except Exception as error:  # whatever a case raises is an outcome of it
        seen = await _observed(session, error)
    try:
        await session.close()
    except Exception as error:  # tables that cannot be dropped: the case left something behind
        if seen.passed:
            seen = Observation(passed=False, explanation=f"afterwards: {_message(error)}")
    return seen


async def _observed(session: Session, error: Exception) -> Observation:
    refusal = _refusal(error)
    lines = [_message(error), *described_call(session)]
    if isinstance(error, CaseFailed):
        lines += described_sides(error)
    if refusal is None:
        elsewhere = await spelled_elsewhere(session)
        if elsewhere:
            lines += ["as other dialects spell it:", *(f"  {line}" for line in elsewhere)]
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
