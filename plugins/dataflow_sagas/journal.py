"""The journal: every saga, step and outcome, in the application's own database.

Leases are told by the clock of the database. They only say when a saga may be taken over: that each
change is made once, and by one process, is the work of two numbers. ``claim`` is counted up by
whoever takes a saga over, ``progress`` by every change; a change names both as it knows them, first
thing in its transaction, and so waits for, and then sees, whatever another process has done.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen

from dataflow_core.contract import ErrorSituation
from dataflow_sagas.definition import Definition
from dataflow_sagas.documents import from_text, to_text
from dataflow_sagas.state import (
    COMPENSATING,
    COMPENSATION_FAILED,
    DONE,
    FAILED,
    RUNNING,
    UNFINISHED,
    WAITING,
    Saga,
    Step,
)
from dataflow_sagas.tables import SAGA, STEP, add_effects, add_journal, inside

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["DATABASE", "MOST_CLAIMS", "Journal", "NewSaga", "Overtaken"]

DATABASE: Final = "primary"
"""The database of an instance that has the journal."""

MOST_CLAIMS: Final = 50
"""A saga that was taken over so often is left alone: it seems to end whoever carries it."""


class Overtaken(Exception):
    """The saga is not as it was read: somebody else carries it now, or an own change arrived."""


@frozen
class NewSaga:
    """The id of a saga that is to be recorded, and whose call it is: one of its own for each."""

    id: str
    started_by: str


@define(eq=False)
class Journal:
    """The sagas of an instance."""

    db: DataFlow
    _effects: dict[str, str] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        add_journal(self.db)

    # Sagas

    async def begin(
        self, saga: NewSaga, definition: Definition, timeout: float | None, lease: float
    ) -> None:
        """Record a saga, carried by whoever calls; ``UniqueViolation`` if there is one already."""
        saga_id, text = saga.id, to_text(definition.to_dict(), "the saga")
        steps = [
            {
                "id": _step_id(saga_id, position),
                "saga_id": saga_id,
                "position": position,
                "node": step.node,
                "outcome": WAITING,
            }
            for position, step in enumerate(definition.steps)
        ]
        async with self.db.transaction(DATABASE):
            now = await self._now()
            values = {
                "id": saga_id,
                "kind": definition.kind,
                "status": RUNNING,
                "definition": text,
                "started_by": saga.started_by,
                "claim": 1,
                "progress": 0,
                "lease": lease,
                "lease_until": _end(now, lease),
                "deadline": None if timeout is None else now + dt.timedelta(seconds=timeout),
            }
            await self._run(f"{SAGA}CreateNode", values=values)
            await self._run(f"{STEP}BulkCreateNode", data=steps)

    async def load(self, saga_id: str) -> Saga | None:
        """A saga as it is now; ``None`` if there is none."""
        # In a transaction, so that no replica is asked.
        async with self.db.transaction(DATABASE):
            found = await self._run(f"{SAGA}ReadNode", id=saga_id, raise_on_not_found=False)
            row = found["result"]
            if row is None:
                return None
            now = await self._now()
            steps = await self._run(
                f"{STEP}ListNode", filter={"saga_id": saga_id}, order_by=["position"]
            )
        return _saga(row, steps["records"], now)

    async def claim(self, saga_id: str, *, again: bool = False) -> Saga | None:
        """Take over a saga that nobody carries any more; ``None`` if somebody does.

        ``again``: also one that was taken over too often.
        """
        async with self.db.transaction(DATABASE):
            now = await self._now()
            # Before the saga is read, so that of two who try at once the second waits here.
            mine = await self._run(
                f"{SAGA}BulkUpdateNode",
                filter={
                    "id": saga_id,
                    "status": {"$in": list(UNFINISHED)},
                    "lease_until": {"$lte": now},
                    **({} if again else {"claim": {"$lt": MOST_CLAIMS}}),
                },
                fields={"$inc": {"claim": 1}, "lease_until": _end(now, _UNTIL_READ)},
            )
        if not mine["matched"]:
            return None
        saga = await self.load(saga_id)
        return saga if saga is not None and await self.renew(saga) else None

    async def renew(self, saga: Saga) -> bool:
        """Hold a saga for another lease; False if another process has taken it over."""
        async with self.db.transaction(DATABASE):
            until = _end(await self._now(), saga.lease)
            mine = await self._run(
                f"{SAGA}BulkUpdateNode",
                filter={"id": saga.id, "claim": saga.claim},
                fields={"lease_until": until},
            )
        return bool(mine["matched"])

    async def advance(self, saga: Saga, changes: Mapping[str, Any]) -> None:
        """Note, in the transaction that is open, that the saga gets on; ``Overtaken`` if it did."""
        until = _end(await self._now(), saga.lease)
        mine = await self._run(
            f"{SAGA}BulkUpdateNode",
            filter={"id": saga.id, "claim": saga.claim, "progress": saga.progress},
            fields={"progress": saga.progress + 1, "lease_until": until, **_written(changes)},
        )
        if not mine["matched"]:
            raise Overtaken

    async def record(self, saga: Saga, position: int, changes: Mapping[str, Any]) -> None:
        """Note, in the transaction that is open, what became of a step."""
        fields = _written(changes)
        await self._run(
            f"{STEP}UpdateNode", filter={"id": _step_id(saga.id, position)}, fields=fields
        )

    async def reopen(self, saga_id: str) -> None:
        """Make a saga that has failed one whose compensations are to be tried again."""
        async with self.db.transaction(DATABASE):
            now = await self._now()
            mine = await self._run(
                f"{SAGA}BulkUpdateNode",
                filter={"id": saga_id, "status": FAILED},
                fields={"status": COMPENSATING, "lease_until": now, "$inc": {"progress": 1}},
            )
            if mine["matched"]:
                await self._run(
                    f"{STEP}BulkUpdateNode",
                    filter={"saga_id": saga_id, "outcome": COMPENSATION_FAILED},
                    fields={"outcome": DONE, "failure": None},
                )

    async def rows(self, statuses: tuple[str, ...]) -> list[dict[str, Any]]:
        """The sagas of these statuses, the oldest first; whether their lease is over."""
        async with self.db.transaction(DATABASE):
            now = await self._now()
            found = await self._run(
                f"{SAGA}ListNode",
                filter={"status": {"$in": list(statuses)}},
                order_by=["created_at"],
            )
        return [{**row, "left": row["lease_until"] <= now} for row in found["records"]]

    async def has(self, kind: str) -> bool:
        """Whether there is a saga of a kind."""
        async with self.db.transaction(DATABASE):
            found = await self._run(f"{SAGA}ListNode", filter={"kind": kind}, limit=1)
        return bool(found["records"])

    async def _run(self, node: str, /, **parameters: Any) -> dict[str, Any]:
        """Run a node of one of the tables."""
        with inside():
            return await self.db.run(node, **parameters)

    async def _now(self) -> dt.datetime:
        """The time by the clock of the database, to the second, in the transaction that is open."""
        # No SQLNode, which is refused where a tenant is in force.
        transaction = self.db.current_transaction(DATABASE)
        rows = await transaction.fetch("SELECT CURRENT_TIMESTAMP", (), _CLOCK)
        now: Any = rows[0][0]
        if isinstance(now, str):
            now = dt.datetime.fromisoformat(now)
        assert isinstance(now, dt.datetime)
        return now if now.tzinfo is not None else now.replace(tzinfo=dt.UTC)

    # What other databases remember of the steps that were done in them

    async def effect(self, database: str, key: str) -> Mapping[str, Any] | None:
        """The result of a step that was done there; empty if it was given up; ``None``: neither."""
        async with self.db.transaction(database):
            found = await self._run(
                f"{self._effects_of(database)}ReadNode", id=key, raise_on_not_found=False
            )
        row = found["result"]
        return None if row is None else {} if row["output"] is None else from_text(row["output"])

    async def begin_effect(self, database: str, key: str) -> None:
        """Note, in the transaction that is open there, that a step is done there.

        ``UniqueViolation`` if it was, or was given up. Left without ``end_effect``, it is given up:
        nobody else can do it any more.
        """
        await self._run(f"{self._effects_of(database)}CreateNode", values={"id": key})

    async def end_effect(self, database: str, key: str, result: Mapping[str, Any]) -> None:
        """Note its result."""
        await self._run(
            f"{self._effects_of(database)}UpdateNode",
            filter={"id": key},
            fields={"output": to_text(result, "the result of a step")},
        )

    def _effects_of(self, database: str) -> str:
        if database not in self._effects:
            self._effects[database] = add_effects(self.db, database)
        return self._effects[database]


_CLOCK: Final = ErrorSituation()
"""The situation of the statement that asks for the time."""

_UNTIL_READ: Final = 5.0
"""Seconds for which a saga is held that was claimed, until its own lease is known."""

_TEXTS: Final = ("called_with", "output", "failure")


def _end(now: dt.datetime, lease: float) -> dt.datetime:
    """When a lease is over: a second later, as the clock tells whole seconds that have begun."""
    return now + dt.timedelta(seconds=lease + 1)


def _written(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: to_text(value, "a saga") if name in _TEXTS and value is not None else value
        for name, value in changes.items()
    }


def _step_id(saga_id: str, position: int) -> str:
    return f"{saga_id}:{position}"


def _saga(row: Mapping[str, Any], steps: list[dict[str, Any]], now: dt.datetime) -> Saga:
    deadline = row["deadline"]
    return Saga(
        row["id"],
        Definition.of(from_text(row["definition"])),
        row["status"],
        row["started_by"],
        row["claim"],
        row["progress"],
        row["lease"],
        None if deadline is None else (deadline - now).total_seconds(),
        tuple(
            Step(
                step["position"],
                step["node"],
                step["outcome"],
                step["attempts"],
                *(None if step[name] is None else from_text(step[name]) for name in _TEXTS),
            )
            for step in steps
        ),
        None if row["failure"] is None else from_text(row["failure"]),
        row["decided"],
    )
