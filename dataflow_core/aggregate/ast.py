"""The stages of an aggregation pipeline, checked and typed.

Between two stages flows a row of ``Field`` values: at first the model's fields, after ``Group`` or
``Project`` those that the stage makes. A key that is a document (``_id: {"a": ...}``) flows as
fields named ``_id.a`` and is put together in the result.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from dataflow_core.expressions.ast import Expression
from dataflow_core.filters.ast import Predicate, Slot
from dataflow_core.order import SortKey
from dataflow_core.schema import Field, Model

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

AccumulatorName = Literal[
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "first",
    "last",
    "addToSet",
    "push",
    "stdDevPop",
    "stdDevSamp",
    "median",
]


@frozen
class Computed:
    """A field that a stage makes, and the expression that gives its value."""

    field: Field
    expression: Expression


@frozen
class Accumulator:
    """A field that a group makes of the values of an expression over its rows."""

    field: Field
    function: AccumulatorName
    expression: Expression | None


@frozen
class Match:
    """Only the rows that a filter over the current fields lets through."""

    predicate: Predicate


@frozen
class Group:
    """One row for every distinct combination of ``keys``; none for no rows.

    The keys come first in the row, named ``_id`` or ``_id.<name>``; ``_id: null`` is ``Null``.
    """

    keys: tuple[Computed, ...]
    accumulators: tuple[Accumulator, ...]


@frozen
class Project:
    """Exactly these fields (``$project``, ``$addFields``, ``$set``, ``$unset``)."""

    columns: tuple[Computed, ...]


@frozen
class Sort:
    """The order of the rows; ties are broken by the key of the rows (primary key or ``_id``)."""

    keys: tuple[SortKey, ...]


@frozen
class Limit:
    """At most so many rows. ``guard``: nobody asked for it, it keeps every result in bounds."""

    slot: Slot
    guard: bool = False


@frozen
class Skip:
    """All but the first so many rows."""

    slot: Slot


@frozen
class CountRows:
    """One row with the number of rows, or none if there are none."""

    field: Field


@frozen
class Sample:
    """So many rows chosen at random."""

    slot: Slot


@frozen
class UnionWith:
    """The rows so far, then those of another pipeline of the same fields."""

    model: Model
    pipeline: Pipeline

    @property
    def table(self) -> str:
        """The table of the rows that are added."""
        return self.model.table


@frozen
class Facet:
    """One row with the results of several pipelines over the same rows; always the last stage."""

    branches: tuple[tuple[str, Pipeline], ...]


Stage = Match | Group | Project | Sort | Limit | Skip | CountRows | Sample | UnionWith | Facet


@frozen
class Pipeline:
    """Stages in order, and the fields of the rows that come in and that come out.

    ``more_stages`` says that one was written as a stage beyond the basic ones (``$addFields``,
    ``$bucket``, ...), which the tree does not tell.
    """

    source: tuple[Field, ...]
    stages: tuple[Stage, ...]
    fields: tuple[Field, ...]
    more_stages: bool = False
