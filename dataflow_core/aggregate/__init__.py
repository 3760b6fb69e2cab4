"""Aggregation pipelines: documents, stages, and what they mean."""

from dataflow_core.aggregate.ast import (
    Accumulator,
    AccumulatorName,
    Computed,
    CountRows,
    Facet,
    Group,
    Limit,
    Match,
    Pipeline,
    Project,
    Sample,
    Skip,
    Sort,
    Stage,
    UnionWith,
)

__all__ = [
    "Accumulator",
    "AccumulatorName",
    "Computed",
    "CountRows",
    "Facet",
    "Group",
    "Limit",
    "Match",
    "Pipeline",
    "Project",
    "Sample",
    "Skip",
    "Sort",
    "Stage",
    "UnionWith",
]
