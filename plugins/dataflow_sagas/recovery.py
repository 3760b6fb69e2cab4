"""What a crash has left: found, listed, carried on, by any process that has the same nodes."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any

from dataflow_core.errors import DataFlowError, LockTimeout, RecordNotFound, StatementTimeout
from dataflow_core.naming_hints import quoted
from dataflow_sagas.journal import Journal, Overtaken
from dataflow_sagas.state import COMPENSATED, COMPLETED, FAILED, UNFINISHED, Saga
from dataflow_sagas.two_phase import KIND, carrier_of, end_left_over

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["list_sagas", "resume", "run_worker"]

logger = logging.getLogger("dataflow.sagas")


async def resume(db: DataFlow, saga_id: str | None = None) -> list[dict[str, Any]]:
    """Carry on the sagas that nobody carries any more; the results of those that were ended here.

    Parameters:
        saga_id: only this one; also if it has failed (its compensations are tried again), or was
            taken over so often that it is left alone otherwise.

    Returns:
        What ``TransactionManagerNode`` gives, for each saga that this call brought to its end.

    Raises:
        RecordNotFound: there is no saga of that id.
        DatabaseError: the database of the journal is away.
    """
    journal = Journal(db)
    if saga_id is not None:
        return await _resume_one(journal, saga_id)
    ended = []
    for row in await journal.rows(UNFINISHED):
        saga = await _carried_on(journal, row["id"]) if row["left"] else None
        if saga is not None:
            ended.append(saga.to_dict())
    if await journal.has(KIND):
        await end_left_over(journal)
    return ended


async def run_worker(db: DataFlow, *, every: float = 5.0) -> None:
    """``resume`` for ever, about every so many seconds; cancel it to stop."""
    while True:
        try:
            await resume(db)
        except DataFlowError as error:
            logger.warning("sagas are not carried on for now: %s", error.message)
        # At random, so that workers that began together do not go on together.
        await asyncio.sleep(every * random.uniform(0.5, 1.5))  # noqa: S311 - no secret


async def list_sagas(db: DataFlow, *, stuck: bool = False) -> list[dict[str, Any]]:
    """The sagas of the journal, the oldest first.

    Parameters:
        stuck: only those that need somebody: a compensation failed, or nobody carries it any more.

    Returns:
        ``saga_id``, ``status``, ``claims`` (how often it was taken over), ``lease_until``,
        ``created_at``, ``error`` and ``steps`` of each.
    """
    journal = Journal(db)
    statuses = (*UNFINISHED, FAILED) if stuck else (*UNFINISHED, FAILED, COMPLETED, COMPENSATED)
    found = []
    for row in await journal.rows(statuses):
        if stuck and row["status"] != FAILED and not row["left"]:
            continue
        saga = await journal.load(row["id"])
        if saga is not None:
            when = {name: row[name] for name in ("lease_until", "created_at")}
            found.append({**saga.to_dict(), "claims": saga.claim, **when})
    return found


async def _resume_one(journal: Journal, saga_id: str) -> list[dict[str, Any]]:
    saga = await journal.load(saga_id)
    if saga is None:
        raise RecordNotFound(f"there is no saga {quoted(saga_id)}")
    if saga.status == FAILED:
        await journal.reopen(saga_id)
    ended = await _carried_on(journal, saga_id, again=True)
    return [] if ended is None else [ended.to_dict()]


async def _carried_on(journal: Journal, saga_id: str, *, again: bool = False) -> Saga | None:
    saga = await journal.load(saga_id)
    if saga is None:
        return None
    unknown = saga.definition.nodes() - set(journal.db.node_names())
    if unknown:
        logger.warning(
            "the saga %s is left to another process: there is no node %s here",
            saga_id,
            ", ".join(map(quoted, sorted(unknown))),
        )
        return None
    try:
        claimed = await journal.claim(saga_id, again=again)
    except (LockTimeout, StatementTimeout):
        # Whoever carries it is in the middle of a change that takes longer than the lease.
        return None
    if claimed is None:
        return None
    try:
        return await carrier_of(journal, claimed).carry()
    except Overtaken:
        return None
