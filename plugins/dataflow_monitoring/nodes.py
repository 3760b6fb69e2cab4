"""``HealthCheckNode`` and ``PerformanceMonitorNode``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dataflow_core.errors import ConflictingParameters, DataFlowError, InvalidType, InvalidWorkflow
from dataflow_core.naming_hints import quoted
from dataflow_monitoring.figures import statistics
from dataflow_monitoring.runs import RUNS

if TYPE_CHECKING:
    from dataflow_core import DataFlow

__all__ = ["health_check", "performance_monitor"]

_NOT_CHECKED = "not checked"


async def health_check(
    context: Any,
    check_database: bool = True,
    check_cache: bool = True,
    check_connections: bool = True,
) -> dict[str, Any]:
    """Whether the databases answer, and how busy the connections are.

    ``unhealthy``: the primary database does not answer. ``degraded``: another one does not, or
    somebody waits because all connections are in use.
    """
    checks = {
        "check_database": check_database,
        "check_cache": check_cache,
        "check_connections": check_connections,
    }
    for name, value in checks.items():
        _check_flag("HealthCheckNode", name, value)
    db: DataFlow = context.db
    health: dict[str, Any] = {
        "status": "healthy",
        "database": _NOT_CHECKED,
        "cache": "not configured" if check_cache else _NOT_CHECKED,
        "connections": _NOT_CHECKED,
        "queries_per_second": statistics(db).queries_per_second,
        "latency_ms": None,
    }
    if check_connections:
        # Before anything is asked: the question needs a connection too.
        pools = [pool for lanes in db.pool_stats().values() for pool in lanes.values()]
        health["connections"] = {
            "used": sum(pool.used for pool in pools),
            "idle": sum(pool.idle for pool in pools),
            "max": sum(pool.max for pool in pools),
        }
        if any(pool.waiting for pool in pools):
            health["status"] = "degraded"
    if check_database:
        health |= await _databases(db, health["status"])
    return {**health, "result": dict(health)}


async def _databases(db: DataFlow, status: str) -> dict[str, Any]:
    found: dict[str, str] = {}
    latency = None
    for name in db.pool_stats():
        try:
            seconds = await db.aping(name)
        except DataFlowError as error:
            found[name] = f"{error.code}: {error.message}"
        else:
            found[name] = "connected"
            if name == "primary":
                latency = seconds * 1000
    failed = {name: reason for name, reason in found.items() if reason != "connected"}
    if "primary" in failed:
        status = "unhealthy"
    elif failed:
        status = "degraded"
    return {
        "status": status,
        "database": _described(failed),
        "latency_ms": latency,
    }


def _described(failed: Mapping[str, str]) -> str:
    """``connected``, or why not; the name of a database where it is not the primary."""
    if not failed:
        return "connected"
    return "; ".join(
        reason if name == "primary" else f"{name}: {reason}" for name, reason in failed.items()
    )


async def performance_monitor(
    context: Any, operation: str = "", track_metrics: bool = True
) -> dict[str, Any]:
    """What the nodes of this run have taken: calls, rows, seconds, statements. Always runs last."""
    _check_flag("PerformanceMonitorNode", "track_metrics", track_metrics)
    if not isinstance(operation, str):
        raise InvalidType(
            f"PerformanceMonitorNode: operation is text, got {quoted(operation)}", expected="str"
        )
    metrics: dict[str, Any] = {}
    if track_metrics:
        statistics(context.db)  # refused where nothing is counted
        record = RUNS.get(context.run_id)
        if record is None:
            raise InvalidWorkflow(
                "PerformanceMonitorNode measures the other nodes of a workflow: add it to one"
            )
        if "workflow" in record.nodes:
            raise ConflictingParameters(
                "PerformanceMonitorNode has the totals under 'workflow': give the node of that id"
                " another one"
            )
        metrics = record.metrics()
    result = {"operation": operation, "metrics": metrics}
    return {**result, "result": dict(result)}


def _check_flag(node: str, name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidType(
            f"{node}: {name} is True or False, got {quoted(value)}", expected="bool", where=name
        )
