"""Counting what one instance does."""

from __future__ import annotations

import threading
from collections import Counter
from time import perf_counter
from typing import Final

from attrs import define, field

from dataflow_core.contract import Ended, Failure, NodeRun, Observer, StatementRun, WorkflowRun
from dataflow_monitoring.runs import RUNS
from dataflow_monitoring.shapes import shape_of

__all__ = ["CONFLICTS", "Monitor", "Slow"]

CONFLICTS: Final = (
    *("Deadlock", "SerializationFailure", "LockTimeout"),
    *("StatementTimeout", "ConnectionLost", "PoolTimeout"),
)
"""The errors that say how well callers get on with each other and with the server."""

_MOST_SHAPES: Final = 1_000


@define(eq=False)
class Slow:
    """How often statements of one shape were slow, and how long they took then."""

    table: str | None
    count: int = 0
    seconds: float = 0.0
    longest: float = 0.0


@define(eq=False)
class Monitor(Observer):
    """Counts, since the instance was made. ``threshold``: seconds from which on one is slow."""

    threshold: float
    began: float = field(factory=perf_counter)
    statements: int = 0
    failures: Counter[str] = field(factory=Counter)
    conflicts: Counter[tuple[str, str, str | None]] = field(factory=Counter)
    slow: dict[tuple[str, str], Slow] = field(factory=dict)
    opened: int = 0
    closed: int = 0
    lock: threading.Lock = field(factory=threading.Lock)

    def run_began(self, run: WorkflowRun) -> None:
        """Keep what it does while it runs."""
        RUNS.begin(run)

    def run_ended(self, run: WorkflowRun, end: Ended) -> None:
        """Nobody can ask any more."""
        RUNS.end(run)

    def node_ended(self, run: NodeRun, end: Ended) -> None:
        """A call, its rows and its time."""
        if run.run_id:
            RUNS.add_node(run, end)

    def statement_ended(self, statement: StatementRun, end: Ended) -> None:
        """A statement and what became of it."""
        if not statement.control:
            RUNS.add_statement(statement)
        with self.lock:
            if not statement.control:
                self.statements += 1
            if end.failure is not None and end.failure.code:
                self._failed(end.failure, statement.database, statement.table)
            if end.seconds >= self.threshold:
                self._was_slow(statement, end.seconds)

    def connection_opened(self, database: str, lane: str) -> None:
        """One more."""
        with self.lock:
            self.opened += 1

    def connection_closed(self, database: str, lane: str) -> None:
        """One less."""
        with self.lock:
            self.closed += 1

    def acquire_timed_out(self, database: str, lane: str, seconds: float) -> None:
        """Too few connections, or too long transactions."""
        with self.lock:
            self._failed(Failure("PoolTimeout"), database, None)

    def _failed(self, failure: Failure, database: str, table: str | None) -> None:
        self.failures[failure.name] += 1
        if failure.name in CONFLICTS:
            self.conflicts[failure.name, database, table] += 1

    def _was_slow(self, statement: StatementRun, seconds: float) -> None:
        key = statement.database, shape_of(statement.sql)
        found = self.slow.get(key)
        if found is None:
            if len(self.slow) >= _MOST_SHAPES:
                del self.slow[min(self.slow, key=lambda known: self.slow[known].seconds)]
            found = self.slow[key] = Slow(statement.table)
        found.count += 1
        found.seconds += seconds
        found.longest = max(found.longest, seconds)
