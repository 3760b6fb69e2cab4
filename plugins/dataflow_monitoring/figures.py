"""What was counted, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

from attrs import frozen

from dataflow_core import DataFlow
from dataflow_core.errors import PluginError
from dataflow_monitoring.monitor import Monitor

__all__ = ["Conflict", "SlowStatement", "Statistics", "monitor_of", "statistics"]


@frozen
class Conflict:
    """How often one kind of trouble was met at one place.

    Attributes:
        kind: the class of the error: ``Deadlock``, ``SerializationFailure``, ``LockTimeout``,
            ``StatementTimeout``, ``ConnectionLost``, ``PoolTimeout``.
        database: the name of the database within the instance.
        table: the table that the statement was about; ``None`` where that is not known, as when a
            transaction begins or ends.
        count: how often, what was tried again with success included.
    """

    kind: str
    database: str
    table: str | None
    count: int


@frozen
class SlowStatement:
    """Statements of one shape that were slow. Times in seconds.

    Attributes:
        database: the name of the database within the instance.
        sql: the text; lists of placeholders and of rows are cut down to their first.
        table: the table that it is about, where that is known.
        count: how often one took at least the threshold.
        seconds_total: how long these took together.
        seconds_max: how long the slowest took.
    """

    database: str
    sql: str
    table: str | None
    count: int
    seconds_total: float
    seconds_max: float


@frozen
class Statistics:
    """What an instance has done since it was made.

    Attributes:
        seconds: how long ago that was.
        statements: the statements that were answered or failed, without those that begin and end
            transactions.
        queries_per_second: ``statements`` by ``seconds``.
        failures: how often statements, and waits for a connection, failed, by class of the error.
        conflicts: deadlocks and their like by place, the most frequent first.
        slow_statements: by shape, those first that took the most time.
        connections_opened: by all pools.
        connections_closed: by all pools, lost ones included.
    """

    seconds: float
    statements: int
    queries_per_second: float
    failures: Mapping[str, int]
    conflicts: tuple[Conflict, ...]
    slow_statements: tuple[SlowStatement, ...]
    connections_opened: int
    connections_closed: int


def statistics(db: DataFlow, *, slowest: int = 20) -> Statistics:
    """What an instance has done since it was made; at most ``slowest`` slow statements.

    Raises:
        PluginError: the plugin is switched off for this instance.
    """
    monitor = monitor_of(db)
    with monitor.lock:
        seconds = perf_counter() - monitor.began
        conflicts = [Conflict(*place, count) for place, count in monitor.conflicts.most_common()]
        slow = [
            SlowStatement(database, sql, one.table, one.count, one.seconds, one.longest)
            for (database, sql), one in monitor.slow.items()
        ]
        slow.sort(key=lambda one: one.seconds_total, reverse=True)
        return Statistics(
            seconds=seconds,
            statements=monitor.statements,
            queries_per_second=monitor.statements / seconds if seconds else 0.0,
            failures=dict(monitor.failures),
            conflicts=tuple(conflicts),
            slow_statements=tuple(slow[:slowest]),
            connections_opened=monitor.opened,
            connections_closed=monitor.closed,
        )


def monitor_of(db: DataFlow) -> Monitor:
    """What counts for an instance."""
    found = None if db.observers is None else db.observers.find(Monitor)
    if found is None:
        raise PluginError("the plugin 'monitoring' is switched off for this instance")
    return found
