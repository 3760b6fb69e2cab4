"""What an instance does, measured: health, performance, slow statements, traces, metrics."""

from dataflow_monitoring.figures import Conflict, SlowStatement, Statistics, statistics

__all__ = ["Conflict", "SlowStatement", "Statistics", "statistics"]
