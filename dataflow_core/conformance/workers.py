"""Several processes that share the cases. One that dies takes no more than its case with it."""

from __future__ import annotations

import asyncio
import multiprocessing
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final

from attrs import define, field, frozen

from dataflow_core.conformance.observing import CLOSING, LIMIT, observe
from dataflow_core.conformance.outcome import Observation
from dataflow_core.conformance.registry import Case, all_cases
from dataflow_core.errors import InvalidValue

__all__ = ["Job", "run_in_workers"]

_STARTING: Final = 60.0
_GRACE: Final = 30.0
_POLL: Final = 1.0
_END: Final = 10.0


@frozen
class Job:
    """What every case is run with.

    ``url`` may hold a password: it goes to the workers through a pipe, never over a command line.
    """

    url: str = field(repr=False)
    options: Mapping[str, Any] = field(factory=dict, repr=False)
    repeat: int = 1
    ignore_claims: bool = False

    async def observe(self, item: Case) -> Observation:
        """Run a case."""
        return await observe(
            self.url,
            item,
            self.options,
            repeat=self.repeat,
            ignore_claims=self.ignore_claims,
        )


@define(eq=False)
class _Worker:
    """A process, the pipe to it, and the case that it is on."""

    process: BaseProcess
    pipe: Connection
    item: Case | None = None
    deadline: float = 0.0


def run_in_workers(
    job: Job,
    items: Sequence[Case],
    on_seen: Callable[[Case, Observation], None],
    workers: int,
    stopped: threading.Event,
) -> None:
    """Run cases in several processes; ``on_seen`` is called as they end, in this thread.

    ``stopped``, set by another thread, ends the workers and leaves the rest of the cases.

    Raises:
        InvalidValue: the options cannot be given to another process.
    """
    try:
        pickle.dumps(job)
    except Exception as error:  # whatever an object says that will not be copied
        raise InvalidValue(
            f"the options cannot be given to other processes ({error}); run without workers"
        ) from error
    todo = deque(items)
    running: list[_Worker] = []
    try:
        while (todo or running) and not stopped.is_set():
            while todo and len(running) < workers:
                running.append(_started(job))
                _hand_out(running[-1], todo, job)
            ready = wait([worker.pipe for worker in running], timeout=_POLL)
            for worker in list(running):
                if not _attended(worker, worker.pipe in ready, on_seen):
                    running.remove(worker)
                elif worker.item is None and not _hand_out(worker, todo, job):
                    running.remove(worker)
                    _end(worker)
    finally:
        for worker in running:
            _end(worker, kill=True)


def _started(job: Job) -> _Worker:
    # A new interpreter, not a fork: threads and event loops of this process are not copied.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(job, there), daemon=True)
    process.start()
    there.close()
    return _Worker(process, here)


def _hand_out(worker: _Worker, todo: deque[Case], job: Job) -> bool:
    """Give a worker its next case; False if there is none."""
    if not todo:
        return False
    worker.item = todo.popleft()
    worker.deadline = time.monotonic() + _STARTING + (LIMIT + CLOSING) * job.repeat + _GRACE
    with suppress(OSError):  # it died: the end of its pipe is noticed next
        worker.pipe.send(worker.item.id)
    return True


def _attended(worker: _Worker, ready: bool, on_seen: Callable[[Case, Observation], None]) -> bool:
    """Take what a worker has to say; False if it is gone."""
    item = worker.item
    assert item is not None
    seen, alive = None, True
    if ready:
        try:
            seen = worker.pipe.recv()
        except (EOFError, OSError):
            _end(worker)
            alive = False
            seen = _lost(f"the worker process ended ({worker.process.exitcode}) on this case")
    elif time.monotonic() > worker.deadline:
        _end(worker, kill=True)
        alive = False
        seen = _lost("the worker process did not answer on this case, and was ended")
    if seen is not None:
        worker.item = None
        on_seen(item, seen)
    return alive


def _lost(explanation: str) -> Observation:
    return Observation(passed=False, explanation=explanation)


def _end(worker: _Worker, *, kill: bool = False) -> None:
    worker.pipe.close()
    if kill:
        worker.process.kill()
    worker.process.join(_END)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()


def _work(job: Job, pipe: Connection) -> None:
    """What a worker does: run the cases that it is told, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends this one
    known = {item.id: item for item in all_cases()}
    # The parent going away is no error of this process.
    with suppress(EOFError, BrokenPipeError):
        while True:
            pipe.send(asyncio.run(job.observe(known[pipe.recv()])))
