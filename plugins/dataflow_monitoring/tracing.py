"""Spans of OpenTelemetry for workflows, nodes and statements.

The attributes of statements are those of the stable conventions for database clients. Only the API
is used: without an SDK that the application sets up there are no spans.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any, Final

from attrs import frozen
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from dataflow_core.contract import (
    Ended,
    NodeRun,
    ObservedDatabase,
    Observer,
    StatementRun,
    WorkflowRun,
)
from dataflow_monitoring.shapes import operation_of

__all__ = ["Tracing"]

_SYSTEMS: Final = {"postgres": "postgresql", "mssql": "microsoft.sql_server"}
"""What the conventions call a database whose dialect has another name."""
_READING: Final = ("SELECT", "WITH", "SHOW", "EXPLAIN", "PRAGMA")
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.33.0"


@frozen(eq=False)
class _Open:
    """A span that has not ended, and what makes its context be the one before.

    ``rows`` is what its number of rows is called.
    """

    span: Span
    token: Any = None
    rows: str = "dataflow.rows"


class Tracing(Observer):
    """Makes the spans of one instance."""

    def __init__(self, databases: Mapping[str, ObservedDatabase]) -> None:
        version = metadata.version("dataflow-db-monitoring")
        self._tracer = trace.get_tracer("dataflow_monitoring", version, schema_url=_SCHEMA)
        self._open: dict[object, _Open] = {}
        self._places = {name: _attributes(database) for name, database in databases.items()}
        self._schemes = {name: database.scheme for name, database in databases.items()}

    def run_began(self, run: WorkflowRun) -> None:
        """A span that those of its nodes are in; one for a workflow of several instances."""
        if _nobody_asks():
            return
        if run.run_id not in _traced_runs:
            _traced_runs.add(run.run_id)
            self._begin(run, "workflow", {"dataflow.run.id": run.run_id})

    def run_ended(self, run: WorkflowRun, end: Ended) -> None:
        """The end of the span."""
        if run in self._open:
            _traced_runs.discard(run.run_id)
            self._end(run, end)

    def node_began(self, run: NodeRun) -> None:
        """A span that those of its statements are in."""
        if _nobody_asks():
            return
        attributes = {"dataflow.node.type": run.node}
        if run.run_id:
            attributes |= {"dataflow.node.id": run.node_id, "dataflow.run.id": run.run_id}
        self._begin(run, run.node, attributes)

    def node_ended(self, run: NodeRun, end: Ended) -> None:
        """The end of the span."""
        self._end(run, end)

    def statement_began(self, statement: StatementRun) -> None:
        """A span within that of its node; with links to all, where nodes share the statement."""
        if _nobody_asks():
            return
        spans = [self._open[node].span for node in statement.nodes if node in self._open]
        context, links = None, None
        if len(spans) == 1:
            context = trace.set_span_in_context(spans[0])
        elif spans:
            context = contexts.Context()
            links = [Link(span.get_span_context()) for span in spans]
        operation = operation_of(statement.sql)
        name = " ".join(filter(None, (operation, statement.table))) or statement.dialect
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, links=links)
        if span.is_recording():
            span.set_attributes(self._described(statement, operation))
        # What a statement that writes gives is how many rows it wrote.
        reads = operation in _READING
        rows = "db.response.returned_rows" if reads else "dataflow.rows"
        self._open[statement] = _Open(span, None, rows)

    def statement_ended(self, statement: StatementRun, end: Ended) -> None:
        """The end of the span."""
        self._end(statement, end)

    def _described(self, statement: StatementRun, operation: str) -> dict[str, Any]:
        system = _SYSTEMS.get(statement.dialect, statement.dialect)
        if self._schemes.get(statement.database, "").startswith("mariadb"):
            system = "mariadb"
        described: dict[str, Any] = {
            "db.system.name": system,
            **self._places.get(statement.database, {}),
        }
        if operation:
            described["db.operation.name"] = operation
        if statement.table is not None:
            described["db.collection.name"] = statement.table
        if not statement.control:
            described["db.query.text"] = statement.sql
        return described

    def _begin(self, what: object, name: str, attributes: Mapping[str, str]) -> None:
        span = self._tracer.start_span(name, attributes=attributes)
        self._open[what] = _Open(span, contexts.attach(trace.set_span_in_context(span)))

    def _end(self, what: object, end: Ended) -> None:
        opened = self._open.pop(what, None)
        if opened is None:
            return
        span = opened.span
        if span.is_recording():
            if end.rows is not None:
                span.set_attribute(opened.rows, end.rows)
            if end.failure is not None:
                _note_failure(span, end)
        span.end()
        if opened.token is not None:
            contexts.detach(opened.token)


def _nobody_asks() -> bool:
    """Whether the application has not set up an SDK, or not yet."""
    return isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


_traced_runs: Final[set[str]] = set()


def _note_failure(span: Span, end: Ended) -> None:
    failure = end.failure
    assert failure is not None
    span.set_status(Status(StatusCode.ERROR))
    span.set_attribute("error.type", failure.name)
    if failure.code:
        span.set_attribute("dataflow.error.code", failure.code)
    if failure.database_code is not None:
        span.set_attribute("db.response.status_code", failure.database_code)


def _attributes(database: ObservedDatabase) -> dict[str, str | int]:
    """Where a database is."""
    found: dict[str, str | int] = {}
    if database.database:
        found["db.namespace"] = database.database
    if database.host:
        found["server.address"] = database.host
    if database.port is not None:
        found["server.port"] = database.port
    return found
