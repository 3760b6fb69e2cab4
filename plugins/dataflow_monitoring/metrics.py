"""Metrics of Prometheus, in the registry that its client library offers by default."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from dataflow_core.contract import Ended, NodeRun, Observer, StatementRun
from dataflow_monitoring.shapes import operation_of

__all__ = ["Metrics"]

_BUCKETS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)

_NODE_SECONDS: Final = Histogram(
    "dataflow_node_seconds", "Time of node runs.", ("node", "outcome"), buckets=_BUCKETS
)
_NODE_ROWS: Final = Counter("dataflow_node_rows", "Rows returned or written by nodes.", ("node",))
_STATEMENT_SECONDS: Final = Histogram(
    "dataflow_statement_seconds",
    "Time of statements, without waiting for a connection.",
    ("database", "operation"),
    buckets=_BUCKETS,
)
_STATEMENT_FAILURES: Final = Counter(
    "dataflow_statement_failures", "Statements that failed.", ("database", "table", "error")
)
_CONNECTIONS: Final = Gauge("dataflow_connections", "Open connections.", ("database", "lane"))
_OPENED: Final = Counter(
    "dataflow_connections_opened", "Connections that were opened.", ("database", "lane")
)
_ACQUIRE_TIMEOUTS: Final = Counter(
    "dataflow_acquire_timeouts", "Waits for a connection in vain.", ("database", "lane")
)


class Metrics(Observer):
    """Feeds the metrics of the process."""

    def node_ended(self, run: NodeRun, end: Ended) -> None:
        """Time, rows, and the DF-code or class of an error."""
        outcome = "ok" if end.failure is None else end.failure.code or end.failure.name
        _NODE_SECONDS.labels(run.node, outcome).observe(end.seconds)
        if end.rows:
            _NODE_ROWS.labels(run.node).inc(end.rows)

    def statement_ended(self, statement: StatementRun, end: Ended) -> None:
        """Time, and the class of an error."""
        operation = operation_of(statement.sql)
        _STATEMENT_SECONDS.labels(statement.database, operation).observe(end.seconds)
        if end.failure is not None:
            table = statement.table or ""
            _STATEMENT_FAILURES.labels(statement.database, table, end.failure.name).inc()

    def connection_opened(self, database: str, lane: str) -> None:
        """One more."""
        _CONNECTIONS.labels(database, lane).inc()
        _OPENED.labels(database, lane).inc()

    def connection_closed(self, database: str, lane: str) -> None:
        """One less."""
        _CONNECTIONS.labels(database, lane).dec()

    def acquire_timed_out(self, database: str, lane: str, seconds: float) -> None:
        """Too few connections."""
        _ACQUIRE_TIMEOUTS.labels(database, lane).inc()
