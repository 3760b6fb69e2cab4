"""Procrastinate's queue: jobs of every state, with locks, priorities and their events."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import sys

from procrastinate import App, Blueprint, PsycopgConnector

TASKS = Blueprint()
LATER = dt.datetime(2999, 12, 31, 23, 59, 59, 123_456, tzinfo=dt.UTC)


@TASKS.task(name="add", queue="sums")
async def add(**given: object) -> None:
    """Wait in the queue: no worker asks for it."""


@TASKS.task(name="run", queue="é")
async def run(**given: object) -> None:
    """Do what is asked, or fail."""
    if given["number"] == 0:
        raise ValueError(given)


@TASKS.periodic(cron="0 0 1 1 *")
@TASKS.task(name="yearly", queue="é")
async def yearly(timestamp: int) -> None:
    """Run once a year."""


async def main(url: str) -> None:
    """Make the tables and rows."""
    app = App(connector=PsycopgConnector(conninfo=url))
    app.add_tasks_from(TASKS, namespace="tests")
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for number in range(60):
            task = app.tasks["tests:run" if number % 10 == 0 else "tests:add"]
            await task.configure(
                lock=f"lock {number}" if number % 2 else None,
                queueing_lock=f"queueing {number}" if number % 3 else None,
                priority=number % 7 - 3,
                schedule_at=LATER if number % 6 == 1 else None,
            ).defer_async(number=number, more=[1.5, None, {"é": "😀"}])
        for number in (2, 4):
            await app.job_manager.cancel_job_by_id_async(number)
        await app.run_worker_async(wait=False, queues=["é"], install_signal_handlers=False)


if __name__ == "__main__":
    logging.disable()
    asyncio.run(main(sys.argv[1]))
