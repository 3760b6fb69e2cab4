"""Comparing the contestants before anything is timed: settings, answers, stored rows."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from attrs import frozen

from benchmarks.contestants.contract import CannotDo, Contestant
from benchmarks.data import FIELDS
from benchmarks.databases import Place
from benchmarks.workloads import Workload

__all__ = ["AnswersDiffer", "Checked", "check"]

_EXACT = 3
"""Ours, raw and raw again come first and must agree in everything, or nothing is measured."""

_LONGEST = 160


class AnswersDiffer(Exception):
    """Two contestants did not give the same values, or are not set up alike."""


@frozen
class Checked:
    """A contestant with the database of its own."""

    contestant: Contestant
    url: str

    @property
    def name(self) -> str:
        """How the contestant is called."""
        return self.contestant.name


async def check(
    workload: Workload, everybody: list[Checked], place: Place, stack: AsyncExitStack
) -> dict[str, str]:
    """Open all contestants and compare them; which peers are to be left out, and why.

    Raises:
        AnswersDiffer: ours and the hand-written code do not agree.
    """
    left_out: dict[str, str] = {}
    first: tuple[Any, Any, Any] | None = None
    for number, each in enumerate(everybody):
        exact = number < _EXACT
        try:
            found = await _tried(workload, each, place, stack, exact=exact)
        except Exception as error:
            if exact:
                raise
            left_out[each.name] = _reason(error)
            continue
        if first is None:
            first = found
        for what, mine, ours in zip(("settings", "answers", "tables"), found, first, strict=True):
            if not exact and what == "settings":
                continue
            if not exact and what == "tables":
                mine, ours = (list(map(place.normal, rows)) for rows in (mine, ours))
            if mine != ours:
                reason = f"{workload.name}: {what} of {each.name} differ from ours"
                if exact:
                    raise AnswersDiffer(reason)
                left_out[each.name] = f"other {what} than all others"
    return left_out


async def _tried(
    workload: Workload, each: Checked, place: Place, stack: AsyncExitStack, *, exact: bool
) -> tuple[Any, Any, Any]:
    """Settings, answer and stored rows after the first batch."""
    contestant = each.contestant
    stack.push_async_callback(contestant.close)
    await contestant.open(each.url, workload.connections)
    batch = workload.batch(0, workload.size)
    answer = contestant.plain(await workload.run(contestant, batch))
    settings = {}
    if exact:
        settings = {sql: await contestant.ask(sql) for sql in place.session}
        for sql, expected in place.session.items():
            if expected is not None and settings[sql] != expected:
                raise AnswersDiffer(f"{each.name}: {sql} gives {settings[sql]}, not {expected}")
    columns = ", ".join(FIELDS)
    if workload.keyed:
        stored = await place.stored(each.url, f"id, {columns}", "id")
    else:
        stored = await place.stored(each.url, columns, "email")
    return settings, _typed(answer, keyed=workload.keyed), stored


def _typed(value: Any, *, keyed: bool) -> Any:
    """The value with the types of all its parts: True is not 1, and 1 is not 1.0."""
    if isinstance(value, dict):
        return {
            key: _typed(part, keyed=keyed) for key, part in value.items() if keyed or key != "id"
        }
    if isinstance(value, list):
        return [_typed(part, keyed=keyed) for part in value]
    return type(value), value


def _reason(error: Exception) -> str:
    """Why a peer does not take part, in one line."""
    if isinstance(error, CannotDo):
        return str(error)
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) < _LONGEST else text[:_LONGEST] + '...'}"
