"""Who holds the connections of a pool, for the error of one who got none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import FrameType
from typing import Any, Final

__all__ = ["described"]

_MOST_BORROWERS: Final = 20
_MOST_FRAMES: Final = 20


def described(borrowers: Iterable[tuple[asyncio.Task[Any] | None, float]]) -> list[dict[str, Any]]:
    """Tasks that hold a connection for so many seconds, as values: name, seconds, stack.

    A stack has places in the code, the innermost last, and no values. Those that have held a
    connection longest come first.
    """
    longest = sorted(borrowers, key=lambda borrower: -borrower[1])[:_MOST_BORROWERS]
    return [
        {
            "task": "unknown" if task is None else task.get_name(),
            "seconds": round(seconds, 3),
            "stack": [] if task is None else _stack(task),
        }
        for task, seconds in longest
    ]


def _stack(task: asyncio.Task[Any]) -> list[str]:
    """Where a task stands; nothing of one that has ended and left its connection open."""
    if task.done():
        return []
    places = [_place(frame) for frame in task.get_stack()]
    # The task itself tells of its outermost coroutine only: go on through what that awaits.
    awaited = _awaited(task.get_coro())
    while awaited is not None:
        frame = _frame(awaited)
        if frame is not None:
            places.append(_place(frame))
        awaited = _awaited(awaited)
    return places[-_MOST_FRAMES:]


def _awaited(waiting: Any) -> Any:
    """What a coroutine or generator waits for; ``None`` if it waits for nothing or runs."""
    for name in ("cr_await", "gi_yieldfrom", "ag_await"):
        found = getattr(waiting, name, None)
        if found is not None:
            return found
    return None


def _frame(waiting: Any) -> FrameType | None:
    for name in ("cr_frame", "gi_frame", "ag_frame"):
        found: FrameType | None = getattr(waiting, name, None)
        if found is not None:
            return found
    return None


def _place(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}"
