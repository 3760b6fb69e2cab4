"""What the plugin declares. Imports neither OpenTelemetry nor the Prometheus client by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Final

from dataflow_core.contract import (
    NodeSpec,
    ObservedDatabase,
    Observer,
    Option,
    PluginSettings,
    hookimpl,
)
from dataflow_core.errors import InvalidOption
from dataflow_monitoring.monitor import Monitor
from dataflow_monitoring.nodes import health_check, performance_monitor

_SLOW_SECONDS: Final = 0.5


@hookimpl
def dataflow_settings() -> PluginSettings:
    """The threshold of slow statements, whether there are spans, and ``enable_metrics``."""
    missing = None
    if find_spec("prometheus_client") is None:
        missing = 'prometheus_client is missing: pip install "dataflow-db[prometheus]"'
    return PluginSettings(
        options=(
            Option(
                "slow_statement_seconds",
                (int, float),
                f"statements that take so long are listed as slow; {_SLOW_SECONDS} if not given",
            ),
            Option(
                "enable_tracing",
                bool,
                "whether there are OpenTelemetry spans; yes where its API is installed",
            ),
        ),
        serves={"enable_metrics": missing},
    )


@hookimpl
def dataflow_nodes() -> Sequence[NodeSpec]:
    """The two nodes."""
    return [
        NodeSpec("HealthCheckNode", health_check, repeatable=True),
        NodeSpec("PerformanceMonitorNode", performance_monitor, last=True, repeatable=True),
    ]


@hookimpl
def dataflow_observer(
    databases: Mapping[str, ObservedDatabase], settings: Mapping[str, Any]
) -> Sequence[Observer]:
    """What counts, and what makes spans and metrics where they are wanted."""
    seconds = settings.get("slow_statement_seconds", _SLOW_SECONDS)
    if not seconds > 0:
        raise InvalidOption(
            f"slow_statement_seconds must be greater than 0, not {seconds!r}",
            option="slow_statement_seconds",
        )
    observers: list[Observer] = [Monitor(float(seconds))]
    if _is_traced(settings.get("enable_tracing")):
        from dataflow_monitoring.tracing import Tracing

        observers.append(Tracing(databases))
    if settings.get("enable_metrics"):
        from dataflow_monitoring.metrics import Metrics

        observers.append(Metrics())
    return observers


def _is_traced(wanted: bool | None) -> bool:
    installed = find_spec("opentelemetry") is not None and find_spec("opentelemetry.trace")
    if wanted and not installed:
        raise InvalidOption(
            "enable_tracing: opentelemetry-api is missing:"
            ' pip install "dataflow-db-monitoring[opentelemetry]"',
            option="enable_tracing",
        )
    return bool(installed) if wanted is None else wanted
