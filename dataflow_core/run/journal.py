"""What a transaction sent, kept so that it can be sent again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from attrs import define, field

__all__ = ["Journal"]

_MOST_KEPT: Final = 1_000_000
"""The most values, of parameters and answers, that are kept."""

Send = Callable[[], Awaitable[Any]]


@define(eq=False)
class Journal:
    """Statements in order. With ``answers`` those that read are kept too, and what came back."""

    answers: bool = False
    lost: bool = False
    _entries: list[tuple[Send, Any]] = field(factory=list)
    _values: int = 0

    def keep(self, send: Send, answer: Any, values: int, *, writing: bool) -> None:
        """Keep a statement of so many values that was sent and answered."""
        if self.lost or not (writing or self.answers):
            return
        self._values += values + (_size(answer) if self.answers else 0)
        if self._values > _MOST_KEPT:
            self.lose()
        else:
            self._entries.append((send, answer if self.answers else None))

    def lose(self) -> None:
        """Something happened that cannot be done again."""
        self.lost = True
        self._entries.clear()

    async def send_again(self) -> bool:
        """Send everything again; False as soon as an answer differs from the first one."""
        for send, answer in tuple(self._entries):
            found = await send()
            if self.answers and found != answer:
                return False
        return True


def _size(answer: Any) -> int:
    """How many values an answer has: rows, or names and rows, or a number of rows."""
    rows = answer[-1] if isinstance(answer, tuple) and answer else answer
    return sum(map(len, rows)) if isinstance(rows, list | tuple) else 1
