from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dataflow_core import AsyncLocalRuntime, Context, LocalRuntime, WorkflowBuilder
from dataflow_core.errors import UniqueViolation
from tests.monitoring.people import fill, instance

WITHOUT_DATABASES = ("pgbouncer",)
SECRET = "Hunter22"


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    """Keeps the spans of the process in memory."""
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    trace.set_tracer_provider(provider)
    return memory


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    """None of before."""
    exporter.clear()
    yield exporter
    exporter.clear()


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    """The finished spans whose name begins like that."""
    return [span for span in spans.get_finished_spans() if span.name.startswith(name)]


def context(span: ReadableSpan) -> trace.SpanContext:
    """The ids of a span."""
    found = span.get_span_context()
    assert found is not None
    return found


def inside(inner: ReadableSpan, outer: ReadableSpan) -> bool:
    """Whether a span is a child of another."""
    return inner.parent is not None and inner.parent.span_id == context(outer).span_id


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """The attributes of a span."""
    return dict(span.attributes or {})


async def test_a_statement_has_the_stable_attributes(
    database_url: str, spans: InMemorySpanExporter
) -> None:
    """System, text without values, operation, table, place: as the conventions name them."""
    async with instance(database_url) as db:
        await fill(db)
        spans.clear()
        await db.nodes.Person.list(filter={"name": SECRET})
        url, name = db.url, db.engine().dialect.name
    [statement], [node] = named(spans, "SELECT persons"), named(spans, "PersonListNode")
    assert inside(statement, node)
    assert statement.kind is trace.SpanKind.CLIENT
    found = attributes(statement)
    assert found.pop("db.query.text").startswith("SELECT")
    expected = {
        "db.system.name": {"postgres": "postgresql"}.get(name, name),
        "db.namespace": url.database,
        "db.operation.name": "SELECT",
        "db.collection.name": "persons",
        "db.response.returned_rows": 0,
    }
    if url.host:
        expected |= {"server.address": url.host, "server.port": url.port}
    assert found == expected
    assert SECRET not in "".join(span.to_json() for span in spans.get_finished_spans())


async def test_spans_are_nested_as_the_work_is(spans: InMemorySpanExporter) -> None:
    """A span of the user's own in a function is between its node and those that it calls."""
    async with instance() as db:
        await fill(db)

        @db.node("OuterNode")
        async def outer(context: Context) -> dict[str, Any]:
            with trace.get_tracer("user").start_as_current_span("own"):
                return await context.run("PersonReadNode", id=1)

        workflow = WorkflowBuilder(db)
        workflow.add_node("OuterNode", "o", {})
        spans.clear()
        with trace.get_tracer("user").start_as_current_span("request") as request:
            _, run_id = await AsyncLocalRuntime().execute(workflow.build())
    chain = [
        *(named(spans, "SELECT") + named(spans, "PersonReadNode") + named(spans, "own")),
        *(named(spans, "OuterNode") + named(spans, "workflow") + named(spans, "request")),
    ]
    assert len(chain) == 6
    assert all(inside(inner, outer) for inner, outer in itertools.pairwise(chain))
    assert chain[3].attributes == {
        "dataflow.node.type": "OuterNode",
        "dataflow.node.id": "o",
        "dataflow.run.id": run_id,
    }
    assert trace.get_current_span().get_span_context().span_id == 0
    assert request.get_span_context().trace_id == context(chain[0]).trace_id


async def test_a_shared_statement_links_to_its_nodes(spans: InMemorySpanExporter) -> None:
    """It is in none of the nodes' spans, and linked to all of them."""
    async with instance() as db:
        await fill(db)
        spans.clear()
        await asyncio.gather(*(db.run("PersonReadNode", id=key) for key in range(1, 6)))
    nodes = named(spans, "PersonReadNode")
    [shared] = [span for span in named(spans, "SELECT persons") if span.parent is None]
    linked = {link.context.span_id for link in shared.links}
    assert len(linked) == 4
    assert linked < {context(node).span_id for node in nodes}


async def test_an_error_is_noted(database_url: str, spans: InMemorySpanExporter) -> None:
    """Status, class, DF-code and the database's own code; never the message."""
    async with instance(database_url) as db:
        await fill(db)
        await db.nodes.Person.create(name=SECRET)
        spans.clear()
        with pytest.raises(UniqueViolation) as caught:
            await db.nodes.Person.create(name=SECRET)
    for span in (named(spans, "INSERT persons")[0], named(spans, "PersonCreateNode")[0]):
        assert span.status.status_code is trace.StatusCode.ERROR
        found = attributes(span)
        assert found["error.type"] == "UniqueViolation"
        assert found["dataflow.error.code"] == caught.value.code
    assert SECRET not in "".join(span.to_json() for span in spans.get_finished_spans())


def test_the_synchronous_runtime_is_in_the_caller_s_span(spans: InMemorySpanExporter) -> None:
    """The work is done on another thread, and belongs to the same trace."""
    with instance() as db:
        workflow = WorkflowBuilder(db)
        workflow.add_node("PersonCountNode", "count", {})
        with trace.get_tracer("user").start_as_current_span("request"):
            LocalRuntime().execute(workflow.build())
    [run], [request] = named(spans, "workflow"), named(spans, "request")
    assert inside(run, request)


async def test_a_workflow_of_two_instances_is_one_span(
    spans: InMemorySpanExporter, tmp_path: Any
) -> None:
    """Both observe it, and it is there once."""
    async with instance() as db, instance(f"sqlite:///{tmp_path / 'b.db'}") as other:
        other.node("ElsewhereNode")(lambda context: {})
        db.node("HereNode")(lambda context: {})
        workflow = WorkflowBuilder()
        workflow.add_node("HereNode", "here", {})
        workflow.add_node("ElsewhereNode", "elsewhere", {})
        await AsyncLocalRuntime().execute(workflow.build())
    [run] = named(spans, "workflow")
    for name in ("HereNode", "ElsewhereNode"):
        assert inside(named(spans, name)[0], run)


async def test_without_tracing_there_are_no_spans(spans: InMemorySpanExporter) -> None:
    """``enable_tracing=False`` switches them off for one instance."""
    async with instance(enable_tracing=False) as db:
        await fill(db)
    assert spans.get_finished_spans() == ()
