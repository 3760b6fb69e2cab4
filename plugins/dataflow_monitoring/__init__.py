"""What an instance does, measured: health, performance, slow statements, traces, metrics."""

from dataflow_monitoring.statistics import Conflict, SlowStatement, Statistics, statistics

__all__ = ["Conflict", "SlowStatement", "Statistics", "statistics"]
