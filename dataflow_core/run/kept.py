"""What recorders of changes have returned within a transaction, until it is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, field

from dataflow_core.uuid7 import uuid7

if TYPE_CHECKING:
    from dataflow_core.contract import ChangeRecorder, ChangeScope

__all__ = ["Kept"]


@define(eq=False)
class Kept:
    """What was returned, in order, each with whose it is; undone with the savepoints.

    ``transaction_id`` tells the transaction apart from all others.
    """

    transaction_id: str = field(factory=lambda: str(uuid7()))
    items: list[tuple[ChangeRecorder, ChangeScope, Any]] = field(factory=list)
    _savepoints: dict[str, int] = field(factory=dict)

    def note_savepoint(self, name: str) -> None:
        """What is kept from now on is undone with this savepoint."""
        self._savepoints[name] = len(self.items)

    def roll_back_to(self, name: str) -> None:
        """Forget what was kept since; without a note of the savepoint nothing was before it."""
        del self.items[self._savepoints.get(name, 0) :]

    async def before_commit(self) -> None:
        """Hand every recorder what it has returned."""
        while self.items:
            recorder, scope, _ = self.items[0]
            own = [kept for one, _, kept in self.items if one is recorder]
            self.items = [item for item in self.items if item[0] is not recorder]
            await recorder.before_commit(own, scope)
