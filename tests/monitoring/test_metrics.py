from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import REGISTRY, generate_latest

from dataflow_core.errors import InvalidOption, UniqueViolation
from dataflow_monitoring import plugin
from tests.monitoring.people import fill, instance

SECRET = "Hunter22"


def sample(name: str, **labels: str) -> float:
    """The value of a metric now; 0 where there is none yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_nodes_and_statements_are_counted() -> None:
    """Time and rows by node and outcome, time by operation, failures by table and class."""

    def now() -> dict[str, float]:
        failed = UniqueViolation.code
        return {
            "ok": sample("dataflow_node_seconds_count", node="PersonListNode", outcome="ok"),
            "failed": sample(
                "dataflow_node_seconds_count", node="PersonCreateNode", outcome=failed
            ),
            "rows": sample("dataflow_node_rows_total", node="PersonListNode"),
            "selects": sample(
                "dataflow_statement_seconds_count", database="primary", operation="SELECT"
            ),
            "failures": sample(
                "dataflow_statement_failures_total",
                database="primary",
                table="persons",
                error="UniqueViolation",
            ),
        }

    async with instance(enable_metrics=True) as db:
        await fill(db)
        await db.nodes.Person.create(name=SECRET)
        before = now()
        await db.nodes.Person.list()
        with pytest.raises(UniqueViolation):
            await db.nodes.Person.create(name=SECRET)
        after = now()
    more = {name: after[name] - before[name] for name in before}
    assert more == {"ok": 1, "failed": 1, "rows": 9, "selects": 1, "failures": 1}
    assert SECRET.encode() not in generate_latest(REGISTRY)


async def test_open_connections_are_a_gauge() -> None:
    """It is back to where it was when the instance is closed."""

    def connections() -> float:
        return sum(
            one.value
            for metric in REGISTRY.collect()
            for one in metric.samples
            if one.name == "dataflow_connections"
        )

    before = connections()
    async with instance(enable_metrics=True) as db:
        await fill(db)
        assert connections() == before + 1
    assert connections() == before


async def test_the_environment_switches_metrics_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """``DATAFLOW_ENABLE_METRICS`` is as good as the argument, which wins over it."""
    labels = {"node": "PersonCountNode", "outcome": "ok"}

    async def counted(**options: Any) -> float:
        before = sample("dataflow_node_seconds_count", **labels)
        async with instance(**options) as db:
            await db.nodes.Person.count()
        return sample("dataflow_node_seconds_count", **labels) - before

    assert await counted() == 0
    monkeypatch.setenv("DATAFLOW_ENABLE_METRICS", "1")
    assert await counted() == 1
    assert await counted(enable_metrics=False) == 0


def test_without_the_library_metrics_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal says what to install; spans likewise."""
    monkeypatch.setattr(plugin, "find_spec", lambda name: None)
    with pytest.raises(InvalidOption, match=r'pip install "dataflow-db\[prometheus\]"'):
        instance(enable_metrics=True)
    with pytest.raises(InvalidOption, match="opentelemetry-api is missing"):
        instance(enable_tracing=True)
    instance().close()
