"""A process that makes processes which carry sagas and are killed at a chosen point.

Run as a program, it reads a list of jobs as one line of JSON, forks once for each, and answers with
one line: what each has printed, or null if it was killed. A point is counted in events: before and
after each thing that is sent to a database, and within the user's functions.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import warnings
from typing import Any

import dataflow_sagas
from dataflow_core import DataFlow
from dataflow_core.run.session import Session
from tests.sagas.pair import Here, There, both
from tests.sagas.world import opened, order


class Countdown:
    """Kills this process at an event."""

    def __init__(self, last: int | None) -> None:
        self.last = last
        self.count = 0

    def __call__(self) -> None:
        """Count an event."""
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def watch(event: Countdown) -> None:
    """Make everything that is sent to a database an event."""
    send = Session.guarded

    async def guarded(self: Session, work: Any, situation: Any) -> Any:
        event()
        answer = await send(self, work, situation)
        event()
        return answer

    Session.guarded = guarded  # type: ignore[method-assign]


async def work(job: dict[str, Any]) -> Any:
    """Begin a saga, or carry on what there is."""
    event = Countdown(None)
    if "two_phase" in job:
        return await commit_in_two_phases(job, event)
    db = opened(job["url"], job["warehouse"], event)
    # What is sent to look at the tables is no part of the saga.
    await dataflow_sagas.list_sagas(db, stuck=True)
    for model in ("Account", "Order", "Receipt", "Shipment", "Stock"):
        await db.run(f"{model}CountNode")
    watch(event)
    event.last = job.get("last")
    if job.get("resume"):
        found: Any = await dataflow_sagas.resume(db)
    else:
        found = await db.run(
            "TransactionManagerNode",
            **order(job["number"], fails=job["fails"], lease=job.get("lease", 30)),
        )
        found = [found]
    event.last = None
    await db.aclose()
    ends = [{"saga_id": saga["saga_id"], "status": saga["status"]} for saga in found]
    return {"events": event.count, "sagas": ends}


async def commit_in_two_phases(job: dict[str, Any], event: Countdown) -> Any:
    """Store a number in both databases."""
    number = job["two_phase"]
    async with DataFlow(job["url"], warehouse_db=job["warehouse"]) as db:
        for model in (Here, There):
            db.model(model)
            await db.run(f"{model.__name__}CountNode")
        await dataflow_sagas.list_sagas(db)
        watch(event)
        event.last = job.get("last")
        await db.run("TransactionManagerNode", **both(number))
        event.last = None
    return {"events": event.count}


def forked(job: dict[str, Any]) -> tuple[int, int]:
    """A process that does a job; its id, and where its answer is read."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    try:
        answer = json.dumps(asyncio.run(work(job)))
        os.write(writer, answer.encode())
    except BaseException as error:
        os.write(writer, json.dumps({"error": str(error)}).encode())
    os._exit(0)


def main() -> None:
    """Do lists of jobs, those of a list at the same time, until the input ends."""
    warnings.simplefilter("error")
    for line in sys.stdin:
        answers = []
        for child, reader in [forked(job) for job in json.loads(line)]:
            with os.fdopen(reader) as answer:
                text = answer.read()
            _, status = os.waitpid(child, 0)
            killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            answers.append(None if killed else json.loads(text))
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
