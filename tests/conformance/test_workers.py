from __future__ import annotations

import asyncio
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from dataflow_core.conformance import run
from dataflow_core.conformance import workers as workers_module
from dataflow_core.conformance.outcome import Observation
from dataflow_core.conformance.registry import Case
from dataflow_core.conformance.runner import observations, selected
from dataflow_core.conformance.workers import Job
from dataflow_core.errors import InvalidValue

FATAL = "paging.limit_offset"


def dying_work(job: Job, pipe: Connection) -> None:
    """A worker that dies on one case, and passes all others without looking."""
    while True:
        try:
            identifier = pipe.recv()
        except EOFError:
            return
        if identifier == FATAL:
            os._exit(7)
        pipe.send(Observation(passed=True))


def stuck_work(job: Job, pipe: Connection) -> None:
    """A worker that never answers."""
    pipe.recv()
    time.sleep(600)


async def observed(topic: str, **options: Any) -> dict[str, Observation]:
    """What a run of a topic in two workers tells."""
    seen: dict[str, Observation] = {}

    def note(item: Case, observation: Observation) -> None:
        assert item.id not in seen
        seen[item.id] = observation

    await observations(Job(":memory:", **options), selected(topics=[topic]), note, workers=2)
    return seen


@pytest.mark.timeout(120)
async def test_workers_give_the_report_of_one_process(tmp_path: Path) -> None:
    """Cases shared among processes have the results, and the order, of a plain run."""
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    alone = await run(url, topics=["paging", "select"])
    told: list[str] = []
    shared = await run(
        url,
        topics=["paging", "select"],
        workers=2,
        seed=3,
        on_result=lambda result: told.append(result.case.id),
    )
    assert [one.case.id for one in shared.results] == [one.case.id for one in alone.results]
    assert [one.outcome for one in shared.results] == [one.outcome for one in alone.results]
    assert sorted(told) == sorted(one.case.id for one in alone.results)
    assert shared.passed


@pytest.mark.timeout(120)
async def test_a_worker_that_dies_costs_its_case_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends is reported with the case that it was on; the rest of the cases run."""
    monkeypatch.setattr(workers_module, "_work", dying_work)
    seen = await observed("paging")
    assert set(seen) == {item.id for item in selected(topics=["paging"])}
    assert [name for name, one in seen.items() if not one.passed] == [FATAL]
    assert "ended (7) on this case" in seen[FATAL].explanation


@pytest.mark.timeout(120)
async def test_a_worker_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that does not answer in time is ended, and its case fails."""
    monkeypatch.setattr(workers_module, "_work", stuck_work)
    for name in ("_STARTING", "_GRACE", "LIMIT", "CLOSING"):
        monkeypatch.setattr(workers_module, name, 0.3)
    seen = await observed("select")
    assert seen
    assert all("did not answer" in one.explanation for one in seen.values())


async def test_options_have_to_be_copied() -> None:
    """What cannot be given to another process is refused before any of them starts."""
    with pytest.raises(InvalidValue, match="run without workers"):
        await observed("select", options={"plugins": [("x", lambda: None)]})


@pytest.mark.timeout(120)
async def test_an_interrupted_run_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is cancelled ends its workers."""
    import multiprocessing

    monkeypatch.setattr(workers_module, "_work", stuck_work)
    task = asyncio.ensure_future(observed("paging"))
    while not multiprocessing.active_children():  # noqa: ASYNC110 - nothing tells of a start
        await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(200):
        if not multiprocessing.active_children():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("workers are still there")


def test_a_job_shows_no_password() -> None:
    """The URL, which may hold a password, is not part of what a job prints."""
    assert "secret" not in repr(Job("x://user:secret@host/db", {"password": "secret"}))
