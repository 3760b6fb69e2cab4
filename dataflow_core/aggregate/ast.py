"""The stages of an aggregation pipeline, checked and typed.

Between two stages flows a row of ``Field`` values: at first the model's fields, after ``Group`` or
``Project`` those that the stage makes. A key that is a document (``_id: {"a": ...}``) flows as
fields named ``_id.a`` and is put together in the result.
"""

from __future__ import annotations

from typing import Final, Literal

from attrs import frozen

from dataflow_core.expressions.ast import Expression
from dataflow_core.filters.ast import Always, Predicate, Slot
from dataflow_core.order import SortKey
from dataflow_core.schema import Field, Model

__all__ = [
    "Accumulator",
    "AccumulatorName",
    "Computed",
    "CountRows",
    "Facet",
    "Group",
    "Join",
    "Limit",
    "Lookup",
    "Match",
    "Pipeline",
    "Project",
    "Sample",
    "Skip",
    "Sort",
    "Stage",
    "UnionWith",
]

_EVERY_ROW: Final = Always(True)

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
class Lookup:
    """The rows of a model whose ``foreign`` fields equal the ``local`` ones of a row.

    ``nulls``: NULL equals NULL, as in MongoDB; else it equals nothing, as in a relation. ``filter``
    is what the rows that are looked up pass beside.
    """

    name: str
    model: Model
    local: tuple[Field, ...]
    foreign: tuple[Field, ...]
    nulls: bool = False
    filter: Predicate = _EVERY_ROW


@frozen
class Join:
    """One row for each pair of a row and one that is looked up (``$lookup``, ``$unwind``).

    ``before`` are the fields of the rows, ``made`` those of the model, by dotted names. ``outer``
    keeps the rows that have none.
    """

    lookup: Lookup
    before: tuple[Field, ...]
    made: tuple[Field, ...]
    outer: bool


@frozen
class Facet:
    """One row with the results of several pipelines over the same rows; always the last stage."""

    branches: tuple[tuple[str, Pipeline], ...]


Stage = (
    Match | Group | Project | Sort | Limit | Skip | CountRows | Sample | UnionWith | Join | Facet
)


@frozen
class Pipeline:
    """Stages in order, and the fields of the rows that come in and that come out.

    ``more_stages`` says that one was written as a stage beyond the basic ones (``$addFields``,
    ``$bucket``, ...), which the tree does not tell. ``lookups`` put lists of rows into the result.
    """

    source: tuple[Field, ...]
    stages: tuple[Stage, ...]
    fields: tuple[Field, ...]
    more_stages: bool = False
    lookups: tuple[Lookup, ...] = ()

    @property
    def joined(self) -> frozenset[str]:
        """The names under which fields of joined rows are put together."""
        return frozenset(stage.lookup.name for stage in self.stages if isinstance(stage, Join))
